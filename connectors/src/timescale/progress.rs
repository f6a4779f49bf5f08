//! The record of what has been applied, in the target's own database: one row a sink, compared and
//! set.

use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::{Move, Owner, Progress, check_owner, claim, judge};
use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::connection::database_error;

/// Serialises everybody who sets up sinks in one database: `CREATE … IF NOT EXISTS` is not safe by
/// itself. The number spells "rtsap" on a telephone.
const SETUP_LOCK: i64 = 78_727;

/// Takes the set-up lock for this transaction and makes sure that the table of records exists.
///
/// # Errors
/// The database's, and `Denied` if the role may not create it.
pub async fn prepare(client: &Client) -> Result<(), ConnectorError> {
    let action = "set up rtsap.sink_progress";
    let failed = |error| database_error(action, error);
    let lock = "SELECT pg_catalog.pg_advisory_xact_lock($1)";
    client
        .execute_typed(lock, &[(&SETUP_LOCK, Type::INT8)])
        .await
        .map_err(failed)?;
    let found = "SELECT pg_catalog.to_regclass('rtsap.sink_progress') IS NOT NULL";
    let found: bool = client.query_one(found, &[]).await.map_err(failed)?.get(0);
    if found {
        // Earlier versions did not name the owner.
        let named = "SELECT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attname = 'owner' \
            AND attrelid = 'rtsap.sink_progress'::regclass AND NOT attisdropped)";
        let named: bool = client.query_one(named, &[]).await.map_err(failed)?.get(0);
        if !named {
            let add = "ALTER TABLE rtsap.sink_progress ADD COLUMN owner text";
            client.batch_execute(add).await.map_err(failed)?;
        }
        return Ok(());
    }
    let create = "CREATE SCHEMA IF NOT EXISTS rtsap; \
        CREATE TABLE rtsap.sink_progress ( \
            sink text PRIMARY KEY, \
            generation bigint NOT NULL CHECK (generation >= 0), \
            epoch bigint NOT NULL CHECK (epoch >= 0), \
            owner text, \
            updated_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp() \
        ) WITH (fillfactor = 50); \
        COMMENT ON TABLE rtsap.sink_progress IS \
            'Last epoch applied by each RTSAP sink. Changing a row breaks exactly-once.'";
    client.batch_execute(create).await.map_err(failed)
}

/// Reads the record of `sink` and locks it, waiting for a transaction that is about to change it.
///
/// # Errors
/// The database's.
pub async fn read(client: &Client, sink: &str) -> Result<Option<Progress>, ConnectorError> {
    let sql = "SELECT generation, epoch FROM rtsap.sink_progress WHERE sink = $1 FOR UPDATE";
    let rows = client.query_typed(sql, &[(&sink, Type::TEXT)]).await;
    let rows = rows.map_err(|error| database_error("read rtsap.sink_progress", error))?;
    Ok(rows.first().map(|row| Progress {
        generation: row.get::<_, i64>(0).unsigned_abs(),
        epoch: row.get::<_, i64>(1).unsigned_abs(),
    }))
}

/// Makes `generation` of `owner` the only writer of `sink`, whose record is `known` (read in this
/// transaction).
///
/// # Errors
/// As [`check_owner`] and [`claim`], and the database's.
pub async fn take(
    client: &Client,
    (sink, owner): (&str, Owner),
    generation: Generation,
    expected: Option<Epoch>,
    known: Option<Progress>,
) -> Result<Epoch, ConnectorError> {
    let failed = |error| database_error("fence rtsap.sink_progress", error);
    let sql = "SELECT owner FROM rtsap.sink_progress WHERE sink = $1";
    let rows = client.query_typed(sql, &[(&sink, Type::TEXT)]).await;
    let rows = rows.map_err(failed)?;
    let found: Option<String> = rows.first().and_then(|row| row.get(0));
    let found = found.map(|text| {
        text.parse().map_err(|_| {
            ConnectorError::data(format!(
                "the record of sink \"{sink}\" names no owner: {text}"
            ))
        })
    });
    check_owner(sink, owner, found.transpose()?, known, expected)?;
    let applied = claim(sink, generation, known, expected)?;
    let (number, owner) = (signed(generation.number())?, owner.to_string());
    let sql = if known.is_some() {
        "UPDATE rtsap.sink_progress SET generation = $2, owner = $3, \
         updated_at = pg_catalog.clock_timestamp() WHERE sink = $1"
    } else {
        "INSERT INTO rtsap.sink_progress (sink, generation, epoch, owner) VALUES ($1, $2, 0, $3)"
    };
    let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] = &[
        (&sink, Type::TEXT),
        (&number, Type::INT8),
        (&owner, Type::TEXT),
    ];
    let changed = client.execute_typed(sql, parameters).await;
    let changed = changed.map_err(failed)?;
    if changed != 1 {
        return Err(ConnectorError::data(format!(
            "cannot fence sink \"{sink}\": its record is gone"
        )));
    }
    Ok(applied)
}

/// Moves the record of `sink` from `previous` to `epoch`, as `generation`. The caller commits it
/// with the rows.
///
/// # Errors
/// `Fenced` if a later generation owns the sink, `Data` if the record is missing or stands
/// elsewhere.
pub async fn advance(
    client: &Client,
    sink: &str,
    generation: Generation,
    previous: Epoch,
    epoch: Epoch,
) -> Result<Move, ConnectorError> {
    let sql = "UPDATE rtsap.sink_progress SET epoch = $3, \
               updated_at = pg_catalog.clock_timestamp() \
               WHERE sink = $1 AND generation = $2 AND epoch = $4";
    let (to, from) = (signed(epoch.number())?, signed(previous.number())?);
    let own = signed(generation.number())?;
    let parameters: &[(&(dyn tokio_postgres::types::ToSql + Sync), Type)] = &[
        (&sink, Type::TEXT),
        (&own, Type::INT8),
        (&to, Type::INT8),
        (&from, Type::INT8),
    ];
    let changed = client.execute_typed(sql, parameters).await;
    let changed = changed.map_err(|error| database_error("advance rtsap.sink_progress", error))?;
    if changed == 1 {
        return Ok(Move::Apply);
    }
    match judge(sink, generation, read(client, sink).await?, previous, epoch)? {
        Move::AlreadyApplied => Ok(Move::AlreadyApplied),
        // Whoever held the record in between has given it up again.
        Move::Apply => Err(ConnectorError::unavailable(format!(
            "cannot advance sink \"{sink}\" to epoch {epoch}: its record was busy"
        ))),
    }
}

fn signed(number: u64) -> Result<i64, ConnectorError> {
    i64::try_from(number).map_err(|_| {
        ConnectorError::new(
            ErrorKind::Internal,
            format!("number {number} is beyond bigint"),
        )
    })
}
