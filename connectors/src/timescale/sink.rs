//! The protocol: fence once, then one transaction an epoch. Owns the connection and when to give it
//! up: after any error it is dropped, which rolls back, and the next call opens another.

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::SinkExt;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::failpoint;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::Move;
use rtsap_stream::sink::{Sink, SinkInput, SinkReport};
use tokio_postgres::Client;

use super::binary::{COPY_HEADER, COPY_TRAILER, ColumnWriter};
use super::column::{PgType, columns};
use super::connection::{BEGIN, Connection, EPOCH_TIMEOUT, database_error};
use super::options::SinkOptions;
use super::progress;
use super::statements::Statements;
use super::target::Target;
use crate::net_changes::{NetChange, NetChanges, by_key, by_row};

/// Bytes sent at once: large enough to keep the socket busy, small enough to reuse.
const CHUNK_BYTES: usize = 256 * 1024;

/// TimescaleDB or PostgreSQL as a sink.
pub struct TimescaleSink {
    input: SinkInput,
    options: SinkOptions,
    target: Target,
    statements: Statements,
    /// Who we are and what the target was then, once fenced.
    fenced: Option<Fenced>,
    connection: Option<Connection>,
    buffer: BytesMut,
}

/// What was found when the sink was taken over.
#[derive(Clone, Debug)]
struct Fenced {
    generation: Generation,
    /// Whether rows can be copied straight into the target.
    direct: bool,
    /// The target's columns.
    columns: String,
}

impl TimescaleSink {
    /// The sink of `input`; it does not connect yet.
    ///
    /// # Errors
    /// `Invalid` for a column that PostgreSQL has no type for, or a view whose changes need a key
    /// that it lacks.
    pub fn new(input: &SinkInput, options: SinkOptions) -> Result<Self, ConnectorError> {
        let columns = columns(&input.sink, &input.schema, options.round_to_micros)?;
        if columns.is_empty() {
            return Err(ConnectorError::invalid(format!(
                "sink \"{}\" has no columns",
                input.sink
            )));
        }
        if input.key.is_empty() && input.mode == ChangelogMode::Upsert {
            return Err(ConnectorError::invalid(format!(
                "cannot write upserts to sink \"{}\": the view has no key",
                input.sink
            )));
        }
        let is_time = |index: &usize| {
            matches!(
                columns[*index].pg_type,
                PgType::Timestamp(_) | PgType::TimestampTz(_)
            )
        };
        let time = input.event_time.filter(is_time);
        let mut key = input.key.clone();
        // The time leads the index: recent rows lie together and are the ones that change.
        key.sort_by_key(|index| Some(*index) != time);
        let target = Target { columns, key, time };
        Ok(Self {
            statements: Statements::new(&target, &options.table),
            input: input.clone(),
            options,
            target,
            fenced: None,
            connection: None,
            buffer: BytesMut::new(),
        })
    }

    async fn fence_on(
        &self,
        client: &Client,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<(SinkReport, Fenced), ConnectorError> {
        let failed = |error| database_error("fence the sink", error);
        client.batch_execute(BEGIN).await.map_err(failed)?;
        progress::prepare(client).await?;
        let name = self.input.sink.as_str();
        let known = progress::read(client, name).await?;
        let written = known.is_some_and(|known| known.epoch > 0);
        let own = (name, self.input.owner);
        let applied = progress::take(client, own, generation, expected, known).await?;
        failpoint::pass("timescale.fence_claimed");
        let found = self.target.prepare(client, &self.options, written).await?;
        client.batch_execute("COMMIT").await.map_err(failed)?;
        failpoint::pass("timescale.fence_committed");
        Ok((
            SinkReport {
                target: found.description,
                applied,
            },
            Fenced {
                generation,
                direct: found.same_types,
                columns: found.columns,
            },
        ))
    }

    async fn apply_on(
        &mut self,
        client: &Client,
        fenced: &Fenced,
        epoch: Epoch,
        previous: Epoch,
        changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        let net = self.net(changes)?;
        let action = format!("apply epoch {epoch} to table \"{}\"", self.options.table);
        let failed = |error| database_error(&action, error);
        let begin = format!("{BEGIN} {}", self.statements.create_stage);
        client.batch_execute(&begin).await.map_err(failed)?;
        let sink = self.input.sink.as_str();
        if progress::advance(client, sink, fenced.generation, previous, epoch).await?
            == Move::AlreadyApplied
        {
            return client.batch_execute("ROLLBACK").await.map_err(failed);
        }
        failpoint::pass("timescale.record_advanced");
        let plain = self.target.key.is_empty() && net.deletes() == 0 && fenced.direct;
        let weighted = net.changes.iter().any(|change| change.weight != 1);
        if plain && !weighted {
            let sql = self.statements.copy_target.clone();
            self.copy(client, &sql, &action, changes, &net, false)
                .await?;
        } else if !net.changes.is_empty() {
            let sql = self.statements.copy_stage.clone();
            self.copy(client, &sql, &action, changes, &net, true)
                .await?;
            self.merge(client, &action, &net).await?;
        }
        if !net.changes.is_empty() {
            self.check_columns(client, fenced).await?;
        }
        client.batch_execute("COMMIT").await.map_err(failed)?;
        failpoint::pass("timescale.committed");
        if failpoint::fails("timescale.commit_lost") {
            let message = format!("cannot {action}: its answer was lost on purpose");
            return Err(ConnectorError::unavailable(message));
        }
        Ok(())
    }

    /// Fails if the table is no longer what it was when the sink was taken over, before anything is
    /// committed: bytes that were meant for another type could be taken for a value of this one.
    /// What has been written holds a lock, so the table cannot change behind this.
    async fn check_columns(
        &mut self,
        client: &Client,
        fenced: &Fenced,
    ) -> Result<(), ConnectorError> {
        let table = &self.options.table;
        let columns = self.target.columns_of(client, table).await?;
        if columns == fenced.columns {
            return Ok(());
        }
        let direct = self.target.check(client, table).await?;
        let message = format!("the columns of table \"{table}\" were changed");
        self.fenced = Some(Fenced {
            generation: fenced.generation,
            direct,
            columns,
        });
        Err(ConnectorError::unavailable(message)
            .with_detail("They still fit; the epoch is applied anew."))
    }

    fn net(&self, changes: &[ChangeBatch]) -> Result<NetChanges, ConnectorError> {
        let wrong_schema = changes.iter().find(|batch| {
            let fields = batch.rows().schema_ref().fields();
            let same = fields.iter().zip(self.input.schema.fields());
            fields.len() != self.target.columns.len()
                || same
                    .into_iter()
                    .any(|(a, b)| a.data_type() != b.data_type())
        });
        if wrong_schema.is_some() {
            return Err(self.internal("a batch has other columns than the view"));
        }
        let deletes = changes.iter().any(|batch| batch.ops().is_some());
        if deletes && self.input.mode == ChangelogMode::Append {
            return Err(self.internal("an append-only view takes rows away"));
        }
        if self.target.key.is_empty() {
            by_row(changes)
        } else {
            by_key(changes, &self.target.key, self.input.mode)
        }
    }

    fn internal(&self, problem: &str) -> ConnectorError {
        ConnectorError::new(
            ErrorKind::Internal,
            format!(
                "cannot apply changes to sink \"{}\": {problem}",
                self.input.sink
            ),
        )
    }

    /// From the stage to the target: rows go first, so that a key that left and came back is there.
    async fn merge(
        &self,
        client: &Client,
        action: &str,
        net: &NetChanges,
    ) -> Result<(), ConnectorError> {
        failpoint::pass("timescale.rows_copied");
        let failed = |error| database_error(action, error);
        let (deletes, inserts) = (net.deletes(), net.inserts());
        if deletes > 0 {
            let sql = self.delete_statement(client).await.map_err(failed)?;
            let deleted = client.execute(&sql, &[]).await.map_err(failed)?;
            if deleted < net.deletes_certain || deleted > deletes {
                return Err(self.miscounted(action, "deleted", deleted, deletes));
            }
        }
        if inserts > 0 {
            let inserted = client
                .execute(&self.statements.insert, &[])
                .await
                .map_err(failed)?;
            if inserted != inserts {
                return Err(self.miscounted(action, "inserted or updated", inserted, inserts));
            }
        }
        failpoint::pass("timescale.rows_merged");
        Ok(())
    }

    /// The DELETE with the times of its rows as literals: the planner then leaves out all chunks
    /// but the few that they fall into, however many the hypertable has.
    async fn delete_statement(&self, client: &Client) -> Result<String, tokio_postgres::Error> {
        let statements = &self.statements;
        let Some(bounds) = &statements.delete_bounds else {
            return Ok(statements.delete.clone());
        };
        let row = client.query_one(bounds, &[]).await?;
        let (Some(low), Some(high)) =
            (row.get::<_, Option<&str>>(0), row.get::<_, Option<&str>>(1))
        else {
            return Ok(statements.delete.clone());
        };
        // The server's own text of a timestamp: digits, signs and letters, never a quote.
        Ok(format!(
            "{} AND {} BETWEEN '{low}' AND '{high}'",
            statements.delete, statements.delete_time
        ))
    }

    fn miscounted(&self, action: &str, verb: &str, found: u64, wanted: u64) -> ConnectorError {
        ConnectorError::data(format!("cannot {action}: the row counts do not match"))
            .with_detail(format!(
                "{found} rows were {verb}, {wanted} should have been; nothing was kept."
            ))
            .with_hint("Somebody else changes the table, or a trigger or rule swallows rows.")
    }

    /// Sends the rows of `net` to the COPY statement `sql`, with their weights if `weighted`.
    async fn copy(
        &mut self,
        client: &Client,
        sql: &str,
        action: &str,
        changes: &[ChangeBatch],
        net: &NetChanges,
        weighted: bool,
    ) -> Result<(), ConnectorError> {
        let failed = |error| database_error(action, error);
        let mut writers = self.writers(changes)?;
        let out = client.copy_in::<_, Bytes>(sql).await.map_err(failed)?;
        let mut out = std::pin::pin!(out);
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(COPY_HEADER);
        for change in &net.changes {
            self.write_row(change, weighted, &mut writers[change.at.batch], &mut buffer)?;
            if buffer.len() >= CHUNK_BYTES {
                out.feed(buffer.split().freeze()).await.map_err(failed)?;
                buffer.reserve(CHUNK_BYTES);
            }
        }
        buffer.extend_from_slice(&COPY_TRAILER);
        out.send(buffer.split().freeze()).await.map_err(failed)?;
        let copied = out.as_mut().finish().await.map_err(failed)?;
        self.buffer = buffer;
        let wanted = net.changes.len() as u64;
        if copied != wanted {
            return Err(self.miscounted(action, "copied", copied, wanted));
        }
        Ok(())
    }

    fn writers<'a>(
        &self,
        changes: &'a [ChangeBatch],
    ) -> Result<Vec<Vec<ColumnWriter<'a>>>, ConnectorError> {
        let writers = |batch: &'a ChangeBatch| {
            let fields = batch.rows().schema_ref().fields().iter();
            let columns = fields.zip(batch.rows().columns());
            columns
                .map(|(field, array)| ColumnWriter::new(field, array))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|problem| self.internal(&problem))
        };
        changes.iter().map(writers).collect()
    }

    fn write_row(
        &self,
        change: &NetChange,
        weighted: bool,
        writers: &mut [ColumnWriter<'_>],
        buffer: &mut BytesMut,
    ) -> Result<(), ConnectorError> {
        let fields = writers.len() + usize::from(weighted);
        let fields = i16::try_from(fields).map_err(|_| self.internal("too many columns"))?;
        buffer.extend_from_slice(&fields.to_be_bytes());
        if weighted {
            buffer.extend_from_slice(&8_i32.to_be_bytes());
            buffer.extend_from_slice(&change.weight.to_be_bytes());
        }
        for (index, writer) in writers.iter_mut().enumerate() {
            writer.write(change.at.row, buffer).map_err(|problem| {
                let (name, table) = (&self.target.columns[index].name, &self.options.table);
                let row = format!("batch {}, row {}", change.at.batch, change.at.row);
                ConnectorError::data(format!(
                    "cannot write column \"{name}\" of table \"{table}\""
                ))
                .with_detail(format!("In {row}: {problem}."))
                .with_row(row)
            })?;
        }
        Ok(())
    }

    fn overdue(&self, action: &str) -> ConnectorError {
        ConnectorError::unavailable(format!("cannot {action} at {}", self.options.place))
            .with_detail(format!(
                "It did not finish within {} s.",
                EPOCH_TIMEOUT.as_secs()
            ))
    }
}

#[async_trait]
impl Sink for TimescaleSink {
    fn accepts(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn fence(
        &mut self,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<SinkReport, ConnectorError> {
        self.connection = None;
        let connection = Connection::open(&self.options).await?;
        let fencing = self.fence_on(&connection.client, generation, expected);
        let fenced = tokio::time::timeout(EPOCH_TIMEOUT, fencing).await;
        let (report, fenced) = fenced.unwrap_or_else(|_| Err(self.overdue("fence the sink")))?;
        self.fenced = Some(fenced);
        self.connection = Some(connection);
        Ok(report)
    }

    async fn apply(
        &mut self,
        epoch: Epoch,
        previous: Epoch,
        changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        let Some(fenced) = self.fenced.clone() else {
            return Err(self.internal("it was not fenced"));
        };
        // Taken out of `self`: if this future is dropped or fails, so is the connection, and the
        // database rolls back.
        let connection = match self.connection.take() {
            Some(connection) if !connection.client.is_closed() => connection,
            _ => Connection::open(&self.options).await?,
        };
        let applying = self.apply_on(&connection.client, &fenced, epoch, previous, changes);
        let applied = tokio::time::timeout(EPOCH_TIMEOUT, applying).await;
        applied.unwrap_or_else(|_| Err(self.overdue(&format!("apply epoch {epoch}"))))?;
        self.connection = Some(connection);
        Ok(())
    }
}
