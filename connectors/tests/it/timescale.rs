//! The TimescaleDB and PostgreSQL sink against real servers, named by RTSAP_TEST_TIMESCALE and
//! RTSAP_TEST_POSTGRES (connection URLs). Without them the tests say loudly that they were skipped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow::array::{Decimal128Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use rtsap_connectors::timescale;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::registry::Options;
use rtsap_stream::sink::{Sink, SinkInput};
use tokio_postgres::{Client, NoTls};

mod append;
mod exactly_once;
mod proxy;
mod target;
mod values;

/// One test's own corner of a server: a schema, a table and a sink name that no other test has.
pub struct Corner {
    pub url: String,
    pub connector: &'static str,
    pub schema: String,
    pub client: Client,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A corner of the TimescaleDB server, or `None` with a loud line.
pub async fn timescale_corner() -> Option<Corner> {
    corner("RTSAP_TEST_TIMESCALE", "timescaledb").await
}

/// A corner of the plain PostgreSQL server, or `None` with a loud line.
pub async fn postgres_corner() -> Option<Corner> {
    corner("RTSAP_TEST_POSTGRES", "postgres").await
}

async fn corner(variable: &str, connector: &'static str) -> Option<Corner> {
    let Ok(url) = std::env::var(variable) else {
        eprintln!("SKIPPED: set {variable} to the URL of a server");
        return None;
    };
    if connector == "timescaledb" {
        install_extension(&url).await;
    }
    let client = connect(&url).await;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let schema = format!("rtsap_test_{}_{number}", std::process::id());
    client
        .batch_execute(&format!("CREATE SCHEMA {schema}"))
        .await
        .unwrap();
    Some(Corner {
        url,
        connector,
        schema,
        client,
    })
}

/// The extension must be there before a session asks for it; tests that start together take turns.
async fn install_extension(url: &str) {
    let client = connect(url).await;
    // The lock goes with the connection, after the statement that it guards is committed.
    client
        .batch_execute("SELECT pg_advisory_lock(4711)")
        .await
        .unwrap();
    let sql = "SET client_min_messages = warning; CREATE EXTENSION IF NOT EXISTS timescaledb";
    client.batch_execute(sql).await.unwrap();
}

pub async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

impl Corner {
    pub fn options(&self, table: &str) -> Options {
        self.options_at(&self.url, table)
    }

    pub fn options_at(&self, url: &str, table: &str) -> Options {
        options(&[
            ("connector", self.connector),
            ("url", url),
            ("table", &format!("{}.{table}", self.schema)),
        ])
    }

    pub fn sink(&self, input: &SinkInput, table: &str) -> Box<dyn Sink> {
        timescale::sink(&self.named(input), &self.options(table)).unwrap()
    }

    /// `input` under a sink name of this corner's own.
    pub fn named(&self, input: &SinkInput) -> SinkInput {
        SinkInput {
            sink: format!("{}.{}", self.schema, input.sink),
            ..input.clone()
        }
    }

    /// All rows of `table` as text, one line a row, in order.
    pub async fn rows(&self, table: &str) -> Vec<String> {
        let sql = format!("SELECT t::text FROM {}.{table} t ORDER BY 1", self.schema);
        let rows = self.client.query(&sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    /// One column of `table` as text, in order.
    pub async fn values(&self, table: &str, column: &str) -> Vec<String> {
        let sql = format!(
            "SELECT {column}::text FROM {}.{table} ORDER BY 1",
            self.schema
        );
        let rows = self.client.query(&sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }

    pub async fn run(&self, sql: &str) {
        self.client
            .batch_execute(&sql.replace("$schema", &self.schema))
            .await
            .unwrap();
    }

    /// Removes everything; not called by a failing test, so that one can look.
    pub async fn clear(self) {
        let sql = format!(
            "DROP SCHEMA {0} CASCADE; DELETE FROM rtsap.sink_progress WHERE sink LIKE '{0}.%'",
            self.schema
        );
        self.client.batch_execute(&sql).await.unwrap();
    }
}

pub fn options(pairs: &[(&str, &str)]) -> Options {
    Options(
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
    )
}

/// Candles: (window_end, symbol) → volume.
pub fn candles() -> SinkInput {
    let zone: Option<Arc<str>> = Some("+00:00".into());
    let schema: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("symbol", DataType::Utf8, true),
        Field::new(
            "window_end",
            DataType::Timestamp(TimeUnit::Microsecond, zone),
            true,
        ),
        Field::new("volume", DataType::Int64, true),
        Field::new("vwap", DataType::Decimal128(18, 4), true),
    ]));
    SinkInput {
        sink: "candles".to_owned(),
        owner: rtsap_stream::progress::Owner::default(),
        schema,
        key: vec![0, 1],
        event_time: Some(1),
        mode: ChangelogMode::Retract,
    }
}

/// Candle changes: (op, symbol, minute, volume).
pub fn changes(rows: &[(i8, &str, i64, i64)]) -> Vec<ChangeBatch> {
    const MINUTE_US: i64 = 60_000_000;
    const START_US: i64 = 1_704_205_800_000_000;
    let symbols = StringArray::from_iter_values(rows.iter().map(|row| row.1));
    let ends = TimestampMicrosecondArray::from_iter_values(
        rows.iter().map(|row| START_US + row.2 * MINUTE_US),
    )
    .with_timezone("+00:00");
    let volumes = Int64Array::from_iter_values(rows.iter().map(|row| row.3));
    let vwaps =
        Decimal128Array::from_iter_values(rows.iter().map(|row| i128::from(row.3) * 10_001))
            .with_precision_and_scale(18, 4)
            .unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(symbols),
        Arc::new(ends),
        Arc::new(volumes),
        Arc::new(vwaps),
    ];
    let batch = RecordBatch::try_new(candles().schema, columns).unwrap();
    let ops = Int8Array::from_iter_values(rows.iter().map(|row| row.0));
    vec![ChangeBatch::try_new(batch, ops).unwrap()]
}

pub fn epoch(number: u64) -> Epoch {
    Epoch::new(number)
}

pub fn generation(number: u64) -> Generation {
    Generation::new(number)
}

#[tokio::test]
async fn a_hypertable_is_created_and_candles_are_upserted() {
    let Some(corner) = timescale_corner().await else {
        return;
    };
    let mut sink = corner.sink(&candles(), "candles");
    let report = sink.fence(generation(1), None).await.unwrap();
    assert_eq!(report.applied, Epoch::ZERO);
    assert!(
        report.target.starts_with("TimescaleDB 2."),
        "{}",
        report.target
    );
    assert!(
        report.target.contains("edition) on PostgreSQL 1"),
        "{}",
        report.target
    );
    assert!(report.target.ends_with(", hypertable"), "{}", report.target);
    upsert_and_delete(&corner, sink.as_mut()).await;
    let chunks = format!(
        "SELECT count(*) FROM timescaledb_information.chunks WHERE hypertable_schema = '{}'",
        corner.schema
    );
    let chunks: i64 = corner.client.query_one(&chunks, &[]).await.unwrap().get(0);
    assert!(chunks > 0, "the rows are in chunks");
    corner.clear().await;
}

#[tokio::test]
async fn plain_postgresql_works_and_says_so() {
    let Some(corner) = postgres_corner().await else {
        return;
    };
    let mut sink = corner.sink(&candles(), "candles");
    let report = sink.fence(generation(1), None).await.unwrap();
    assert!(
        report.target.starts_with("PostgreSQL 1"),
        "{}",
        report.target
    );
    assert!(
        report.target.ends_with("(no TimescaleDB), plain table"),
        "{}",
        report.target
    );
    upsert_and_delete(&corner, sink.as_mut()).await;
    corner.clear().await;
}

async fn upsert_and_delete(corner: &Corner, sink: &mut dyn Sink) {
    let first = changes(&[
        (1, "AAPL", 1, 100),
        (1, "MSFT", 1, 200),
        (1, "IBM", 1, 7),
        (-1, "IBM", 1, 7),
    ]);
    sink.apply(epoch(1), epoch(0), &first).await.unwrap();
    let expected = [
        r#"(AAPL,"2024-01-02 14:31:00+00",100,100.0100)"#,
        r#"(MSFT,"2024-01-02 14:31:00+00",200,200.0200)"#,
    ];
    corner.run("SET TimeZone = 'UTC'").await;
    assert_eq!(corner.rows("candles").await, expected);

    // Two batches: an update of AAPL in two steps, MSFT gone, a new candle; one epoch number is
    // left out.
    let mut second = changes(&[
        (-1, "AAPL", 1, 100),
        (1, "AAPL", 1, 150),
        (-1, "MSFT", 1, 200),
    ]);
    second.extend(changes(&[
        (-1, "AAPL", 1, 150),
        (1, "AAPL", 1, 175),
        (1, "AAPL", 2, 10),
    ]));
    sink.apply(epoch(3), epoch(1), &second).await.unwrap();
    let expected = [
        r#"(AAPL,"2024-01-02 14:31:00+00",175,175.0175)"#,
        r#"(AAPL,"2024-01-02 14:32:00+00",10,10.0010)"#,
    ];
    assert_eq!(corner.rows("candles").await, expected);
}
