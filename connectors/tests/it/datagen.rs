//! The market twice: as rows of the source, and as JSON that a topic or a file would carry. Both
//! must be the same.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use rtsap_connectors::datagen::market::{MarketConfig, MarketGenerator};
use rtsap_connectors::registry::BuiltinConnectors;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema};
use rtsap_stream::registry::{ConnectorRegistry, Options, SourceRequest};
use rtsap_stream::source::Payloads;

fn request(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> SourceRequest {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind)| Field::new(*name, kind.clone(), true))
        .collect();
    let options = options
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    SourceRequest {
        primary_key: Vec::new(),
        name: "market".to_owned(),
        columns: DecodeSchema {
            schema: Arc::new(Schema::new(fields)),
            origins: vec![ColumnOrigin::Payload; columns.len()].into(),
        },
        options: Options(options.collect::<BTreeMap<_, _>>()),
    }
}

/// Reads a bounded source of one split to its end, through the registry as an engine would.
async fn read(request: &SourceRequest) -> RecordBatch {
    BuiltinConnectors.check_source(request).unwrap();
    let source = BuiltinConnectors.source(request).unwrap();
    let schema = &request.columns.schema;
    let positions = source.start_positions().await.unwrap();
    let mut reader = source.open(&positions, schema).await.unwrap();
    let mut batches = Vec::new();
    loop {
        let batch = reader.poll(1_000, Duration::from_secs(5)).unwrap().unwrap();
        match batch.payloads {
            Payloads::Rows { rows, .. } => batches.push(rows),
            Payloads::Raw(raw) => {
                let columns = &request.columns;
                let mut decoder = BuiltinConnectors.decoder(request, columns).unwrap();
                let decoded = decoder.decode(&batch.split, raw.as_ref());
                assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
                batches.push(decoded.rows);
            }
            Payloads::Found { .. } => panic!("a generator has its splits from the beginning"),
            Payloads::Ended => return concat_batches(schema, &batches).unwrap(),
        }
    }
}

const ROWS: u64 = 5_000;
/// 2024-01-02T14:30:00Z, where the source starts, and its default rate of 10,000 rows a second.
const START_US: i64 = 1_704_205_800_000_000;
const STEP_US: i64 = 100;

async fn check(kind: &str, columns: &[(&str, DataType)], json: impl Fn(u64, i64, &mut Vec<u8>)) {
    let generated = request(
        columns,
        &[
            ("connector", "datagen"),
            ("kind", kind),
            ("seed", "7"),
            ("number-of-rows", "5000"),
            ("pace", "none"),
        ],
    );
    let rows = read(&generated).await;
    assert_eq!(rows.num_rows() as u64, ROWS);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("market.jsonl");
    let mut line = Vec::new();
    let mut file = std::fs::File::create(&path).unwrap();
    for number in 0..ROWS {
        line.clear();
        json(number, START_US + number as i64 * STEP_US, &mut line);
        line.push(b'\n');
        file.write_all(&line).unwrap();
    }
    let path = path.to_str().unwrap();
    let options = [
        ("connector", "filesystem"),
        ("path", path),
        ("format", "json"),
    ];
    let decoded = read(&request(columns, &options)).await;
    assert_eq!(decoded, rows, "{kind}");
}

fn market() -> MarketGenerator {
    MarketGenerator::new(&MarketConfig {
        seed: 7,
        ..MarketConfig::default()
    })
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))
}

#[tokio::test]
async fn trades_as_json_equal_trades_as_rows() {
    let columns = [
        ("symbol", DataType::Utf8),
        ("price", DataType::Decimal128(18, 8)),
        ("size", DataType::Int64),
        ("side", DataType::Utf8),
        ("ts", timestamp()),
        ("venue", DataType::Utf8),
        ("id", DataType::Int64),
    ];
    let market = market();
    check("trades", &columns, |number, us, out| {
        market.trade(number, us).write_json(out)
    })
    .await;
}

#[tokio::test]
async fn quotes_as_json_equal_quotes_as_rows() {
    let columns = [
        ("symbol", DataType::Utf8),
        ("bid", DataType::Decimal128(10, 2)),
        ("ask", DataType::Float64),
        ("bid_size", DataType::Int32),
        ("ask_size", DataType::Int64),
        ("ts", timestamp()),
        ("venue", DataType::Utf8),
    ];
    let market = market();
    check("quotes", &columns, |number, us, out| {
        market.quote(number, us).write_json(out)
    })
    .await;
}
