//! The generator as a source: exact replay, bounds, pacing, types, refusals.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit, TimestampNanosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use expect_test::{Expect, expect};
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Metadata};
use rtsap_stream::registry::{Options, SourceRequest};
use rtsap_stream::source::{Offset, Payloads, Positions, SplitId};

use super::*;
use crate::datagen;

fn request(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> SourceRequest {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind)| Field::new(*name, kind.clone(), true))
        .collect();
    let origin = |name: &str| match name {
        "row_offset" => ColumnOrigin::Metadata(Metadata::Offset),
        "row_split" => ColumnOrigin::Metadata(Metadata::Partition),
        _ => ColumnOrigin::Payload,
    };
    let origins = columns.iter().map(|(name, _)| origin(name)).collect();
    let options = options
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    SourceRequest {
        primary_key: Vec::new(),
        name: "g".to_owned(),
        columns: DecodeSchema {
            schema: Arc::new(Schema::new(fields)),
            origins,
        },
        options: Options(options.collect()),
    }
}

fn trades() -> Vec<(&'static str, DataType)> {
    vec![
        ("symbol", DataType::Utf8),
        ("price", DataType::Decimal128(18, 8)),
        ("size", DataType::Int32),
        ("side", DataType::Utf8View),
        ("venue", DataType::Utf8),
        ("id", DataType::Int64),
        (
            "ts",
            DataType::Timestamp(TimeUnit::Nanosecond, Some("+00:00".into())),
        ),
        ("row_split", DataType::Int32),
        ("row_offset", DataType::Int64),
    ]
}

/// Reads every split from `from` to the end, `rows_max` rows at a time; one batch a split.
async fn read(request: &SourceRequest, from: u64, rows_max: usize) -> Vec<RecordBatch> {
    let source = datagen::source(request).unwrap();
    let positions: Positions = source
        .start_positions()
        .await
        .unwrap()
        .into_keys()
        .map(|id| (id, Offset(from)))
        .collect();
    let schema = &request.columns.schema;
    let mut reader = source.open(&positions, schema).await.unwrap();
    let mut batches: BTreeMap<SplitId, Vec<RecordBatch>> = BTreeMap::new();
    let mut next = positions.clone();
    let mut open = positions.len();
    while open > 0 {
        let batch = reader
            .poll(rows_max, Duration::from_secs(10))
            .unwrap()
            .unwrap();
        match batch.payloads {
            Payloads::Rows {
                rows,
                first,
                resume_at,
            } => {
                assert_eq!(next[&batch.split], first, "offsets follow each other");
                assert_eq!(resume_at.0 - first.0, rows.num_rows() as u64);
                assert!(rows.num_rows() <= rows_max);
                next.insert(batch.split.clone(), resume_at);
                batches.entry(batch.split).or_default().push(rows);
            }
            Payloads::Ended => open -= 1,
            Payloads::Raw(_) | Payloads::Found { .. } => panic!("a generator makes rows"),
        }
    }
    assert!(
        reader.poll(1, Duration::ZERO).unwrap().is_none(),
        "an ended split stays silent"
    );
    if from == 0 {
        assert_eq!(next, source.end_positions().await.unwrap());
    }
    batches
        .values()
        .map(|split| concat_batches(schema, split).unwrap())
        .collect()
}

/// One line a row.
fn table(batch: &RecordBatch) -> String {
    let options = FormatOptions::default().with_null("NULL");
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
        .collect();
    let cells = |row: usize| {
        columns
            .iter()
            .map(move |column| column.value(row).to_string())
    };
    let rows = (0..batch.num_rows()).map(|row| cells(row).collect::<Vec<_>>().join(" | "));
    rows.collect::<Vec<_>>().join("\n")
}

fn show(batches: &[RecordBatch], expected: &Expect) {
    expected.assert_eq(&batches.iter().map(table).collect::<Vec<_>>().join("\n"));
}

const UNPACED: (&str, &str) = ("pace", "none");

#[tokio::test]
async fn rows_are_the_same_from_any_offset_and_in_any_batches() {
    let options = [
        ("kind", "trades"),
        ("number-of-rows", "1000"),
        ("splits", "3"),
        UNPACED,
    ];
    let request = request(&trades(), &options);
    let whole = read(&request, 0, 1_000).await;
    assert_eq!(
        whole.iter().map(RecordBatch::num_rows).sum::<usize>(),
        1_000
    );
    for (from, rows_max) in [(0, 7), (100, 64), (299, 1_000), (333, 1)] {
        let part = read(&request, from, rows_max).await;
        for (part, whole) in part.iter().zip(&whole) {
            let from = from as usize;
            assert_eq!(
                *part,
                whole.slice(from, whole.num_rows() - from),
                "from {from}"
            );
        }
    }
    show(
        &[whole[1].slice(0, 3)],
        &expect![[r#"
        NVDA | 509.33000000 | 400 | buy | IEXG | 1 | 2024-01-02T14:30:00.000100Z | 1 | 0
        PM | 94.92000000 | 200 | sell | ARCX | 4 | 2024-01-02T14:30:00.000400Z | 1 | 1
        HD | 348.81000000 | 500 | sell | XNAS | 7 | 2024-01-02T14:30:00.000700Z | 1 | 2"#]],
    );
}

#[tokio::test]
async fn quotes_share_the_price_with_trades() {
    let columns =
        |price: &'static str| vec![("symbol", DataType::Utf8), (price, DataType::Float64)];
    let common = [
        ("number-of-rows", "2000"),
        ("symbols", "1"),
        ("rows-per-second", "1000"),
        UNPACED,
    ];
    let mean = async |kind: &'static str, column: &'static str| {
        let options: Vec<_> = common.iter().copied().chain([("kind", kind)]).collect();
        let batch = read(&request(&columns(column), &options), 0, 5_000)
            .await
            .remove(0);
        let prices = batch
            .column(1)
            .as_primitive::<arrow::datatypes::Float64Type>();
        prices.values().iter().sum::<f64>() / 2_000.0
    };
    let (trade, bid, ask) = (
        mean("trades", "price").await,
        mean("quotes", "bid").await,
        mean("quotes", "ask").await,
    );
    assert!(
        bid < ask && (bid - 0.05..ask + 0.05).contains(&trade),
        "{bid} {trade} {ask}"
    );
}

#[tokio::test]
async fn some_rows_are_out_of_order_by_no_more_than_said() {
    let options = [
        ("kind", "trades"),
        ("number-of-rows", "10000"),
        ("rows-per-second", "1000"),
        ("disorder", "200ms"),
        ("disorder-share", "0.1"),
        ("start-time", "2025-06-01T00:00:00Z"),
        UNPACED,
    ];
    let batch = read(&request(&trades(), &options), 0, 10_000)
        .await
        .remove(0);
    let times = batch.column(6).as_primitive::<TimestampNanosecondType>();
    let start = 1_748_736_000_000_000_000_i64;
    let behind = |row: usize| start + row as i64 * 1_000_000 - times.value(row);
    assert!((0..10_000).all(|row| (0..=200_000_000).contains(&behind(row))));
    let disordered = (0..10_000).filter(|row| behind(*row) > 0).count();
    assert!((900..1_100).contains(&disordered), "{disordered}");
}

#[tokio::test]
async fn declared_rules_fill_columns_of_every_type() {
    let columns = [
        ("n", DataType::Int64),
        ("level", DataType::Int16),
        ("ratio", DataType::Decimal128(6, 3)),
        ("x", DataType::Float64),
        ("word", DataType::Utf8),
        ("flag", DataType::Boolean),
        ("at", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("day", DataType::Date32),
    ];
    let options = [
        ("fields.n.kind", "sequence"),
        ("fields.n.start", "10"),
        ("fields.n.end", "12"),
        ("fields.level.min", "-5"),
        ("fields.level.max", "5"),
        ("fields.ratio.min", "1.5"),
        ("fields.ratio.max", "2"),
        ("fields.x.kind", "random"),
        ("fields.word.length", "8"),
        ("fields.flag.kind", "random"),
        ("fields.at.max-past", "1 s"),
        ("fields.day.kind", "random"),
        UNPACED,
    ];
    let batches = read(&request(&columns, &options), 0, 10).await;
    show(
        &batches,
        &expect![[r#"
        10 | 2 | 1.715 | 0.0647682706557301 | 903e9d5e | true | 2024-01-02T14:29:59.835 | 2024-01-02
        11 | -4 | 1.518 | 0.5096289612821567 | c62d2f50 | true | 2024-01-02T14:29:59.057 | 2024-01-02
        12 | 2 | 1.900 | 0.955810000184182 | 10875015 | true | 2024-01-02T14:29:59.175 | 2024-01-02"#]],
    );
}

#[tokio::test]
async fn a_paced_reader_keeps_to_the_rate() {
    let options = [
        ("kind", "trades"),
        ("rows-per-second", "2000"),
        ("number-of-rows", "200"),
    ];
    let started = Instant::now();
    let rows = read(&request(&trades(), &options), 0, 1_000).await;
    let took = started.elapsed();
    assert_eq!(rows[0].num_rows(), 200);
    assert!(took >= Duration::from_millis(95), "{took:?}");
}

#[tokio::test]
async fn positions_that_do_not_exist_are_data_errors() {
    let options = [("kind", "trades"), ("number-of-rows", "10")];
    let request = request(&trades(), &options);
    let source = datagen::source(&request).unwrap();
    for (split, offset) in [("0", 11), ("1", 0), ("x", 0)] {
        let positions = [(SplitId::new(split), Offset(offset))].into();
        let opened = source.open(&positions, &request.columns.schema).await;
        assert_eq!(
            opened.err().unwrap().kind,
            ErrorKind::Data,
            "{split} {offset}"
        );
    }
}

fn refusal(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> String {
    let error = datagen::check(&request(columns, options)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    format!("{}\n{}", error.message, error.hint.unwrap_or_default())
}

#[test]
fn wrong_columns_and_options_are_refused_with_a_hint() {
    let refusals = [
        refusal(&[("symbl", DataType::Utf8)], &[("kind", "trades")]),
        refusal(&[("price", DataType::Utf8)], &[]),
        refusal(
            &[("price", DataType::Decimal128(18, 1))],
            &[("kind", "trades")],
        ),
        refusal(
            &[("price", DataType::Decimal128(5, 2))],
            &[("kind", "trades")],
        ),
        refusal(&[("price", DataType::Int64)], &[("kind", "trades")]),
        refusal(&[("ts", DataType::Int64)], &[("kind", "quotes")]),
        refusal(&trades(), &[("kind", "trade")]),
        refusal(&trades(), &[("kind", "trades"), ("rows-per-secnd", "5")]),
        refusal(&trades(), &[("kind", "trades"), ("rows-per-second", "0")]),
        refusal(
            &trades(),
            &[("kind", "trades"), ("start-time", "yesterday")],
        ),
        refusal(&trades(), &[("kind", "trades"), ("fields.sze.min", "1")]),
        refusal(
            &trades(),
            &[("kind", "trades"), ("fields.size.minimum", "1")],
        ),
        refusal(&[("n", DataType::Int8)], &[("fields.n.min", "1000")]),
        refusal(
            &[("n", DataType::Int64)],
            &[("fields.n.min", "5"), ("fields.n.max", "4")],
        ),
    ];
    expect![[r#"
        cannot generate column "symbl" of source "g": nothing says what goes into it
        Did you mean "symbol"? If not, add 'fields.symbl.kind' = 'random' or 'sequence' to the WITH clause.
        cannot generate column "price" of source "g": nothing says what goes into it
        For a market, write 'kind' = 'trades' or 'quotes'; else add 'fields.price.kind' = 'random' or 'sequence' to the WITH clause.
        cannot generate column "price" of source "g": DECIMAL(18,1) cannot hold 2 decimals

        cannot generate column "price" of source "g": DECIMAL(5,2) is too narrow for the numbers of this column

        cannot generate column "price" of source "g": BIGINT cannot hold numbers with decimals

        cannot generate column "ts" of source "g": BIGINT cannot hold timestamps

        option "kind" of source "g" cannot be "trade"
        Did you mean 'trades'? Possible values: trades, quotes, fields.
        unknown option "rows-per-secnd" of source "g"
        Did you mean 'rows-per-second'?
        option "rows-per-second" of source "g" cannot be 0: it must be from 1 to 10000000

        option "start-time" of source "g" cannot be "yesterday": a timestamp is expected
        Write it as '2024-01-02T14:30:00Z'.
        option "fields.sze.min" of source "g" is about no column: "sze"
        Did you mean the column "size"?
        option "fields.size.minimum" of source "g" is unknown: kind, min, max, start, end, length or max-past

        cannot generate column "n" of source "g": its 'min' is above its 'max'

        cannot generate column "n" of source "g": its 'min' is above its 'max'
    "#]].assert_eq(&refusals.join("\n"));
}
