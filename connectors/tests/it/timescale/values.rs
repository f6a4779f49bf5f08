//! Every type: Arrow → binary COPY → the server's own text. The values are drawn by proptest; its
//! seed is printed on failure.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields, IntervalMonthDayNano, Schema, TimeUnit};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rtsap_connectors::timescale;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::ErrorKind;
use rtsap_stream::sink::SinkInput;

use super::{Corner, epoch, generation, postgres_corner, timescale_corner};

/// Rows per type. One epoch each, so all types take the stage's road and the straight one.
const ROWS: usize = 300;

fn input(columns: &[(&str, DataType)]) -> SinkInput {
    let mut fields = vec![Field::new("row", DataType::Int64, false)];
    fields.extend(
        columns
            .iter()
            .map(|(name, data_type)| Field::new(*name, data_type.clone(), true)),
    );
    SinkInput {
        sink: "values".to_owned(),
        owner: rtsap_stream::progress::Owner::default(),
        schema: Arc::new(Schema::new(fields)),
        key: Vec::new(),
        event_time: None,
        mode: ChangelogMode::Append,
    }
}

/// Writes `array` to a table and checks that the server shows `expected`, where `shown` is how it
/// is asked to show column `c`.
async fn check(corner: &Corner, array: ArrayRef, shown: &str, expected: Vec<Option<String>>) {
    let data_type = array.data_type().clone();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let table = format!("t{}", NEXT.fetch_add(1, Ordering::Relaxed));
    for key in [Vec::new(), vec![0]] {
        let mode = if key.is_empty() {
            ChangelogMode::Append
        } else {
            ChangelogMode::Upsert
        };
        let input = SinkInput {
            key: key.clone(),
            mode,
            ..input(&[("c", data_type.clone())])
        };
        let mut options = corner.options(&format!("{table}_{}", key.len()));
        options
            .0
            .insert("timestamp_precision".to_owned(), "us".to_owned());
        let mut named = corner.named(&input);
        named.sink = format!("{}.{table}.{}", named.sink, key.len());
        let mut sink = timescale::sink(&named, &options).unwrap();
        sink.fence(generation(1), None).await.unwrap();
        let numbers = Int64Array::from_iter_values(0..array.len() as i64);
        let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::clone(&array)];
        let batch = RecordBatch::try_new(Arc::clone(&input.schema), columns).unwrap();
        sink.apply(epoch(1), epoch(0), &[ChangeBatch::inserts(batch)])
            .await
            .unwrap();
        let sql = format!(
            "SELECT {shown} FROM {}.{table}_{} ORDER BY row",
            corner.schema,
            key.len()
        );
        let rows = corner.client.query(&sql, &[]).await.unwrap();
        let found: Vec<Option<String>> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(found.len(), expected.len());
        for (row, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "row {row} of {data_type}");
        }
    }
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: S) -> Vec<Option<S::Value>> {
    let strategy = proptest::collection::vec(proptest::option::weighted(0.9, strategy), ROWS);
    strategy.new_tree(runner).unwrap().current()
}

fn texts<T>(values: &[Option<T>], text: impl Fn(&T) -> String) -> Vec<Option<String>> {
    values
        .iter()
        .map(|value| value.as_ref().map(&text))
        .collect()
}

async fn corners() -> Vec<Corner> {
    let corners: Vec<Corner> = timescale_corner()
        .await
        .into_iter()
        .chain(postgres_corner().await)
        .collect();
    for corner in &corners {
        corner
            .run("SET TimeZone = 'UTC'; SET bytea_output = 'hex'; SET IntervalStyle = 'iso_8601'")
            .await;
    }
    corners
}

#[tokio::test]
async fn numbers_arrive_exactly() {
    for corner in corners().await {
        let mut runner = TestRunner::default();
        macro_rules! integers {
            ($($array:ty, $native:ty);*) => {$(
                let values = draw(&mut runner, any::<$native>());
                let expected = texts(&values, ToString::to_string);
                check(&corner, Arc::new(<$array>::from(values)), "c::text", expected).await;
            )*};
        }
        integers!(Int8Array, i8; Int16Array, i16; Int32Array, i32; Int64Array, i64);
        integers!(UInt8Array, u8; UInt16Array, u16; UInt32Array, u32; UInt64Array, u64);
        let flags = draw(&mut runner, any::<bool>());
        let expected = texts(&flags, ToString::to_string);
        check(
            &corner,
            Arc::new(BooleanArray::from(flags)),
            "c::text",
            expected,
        )
        .await;
        // Doubles by their bits: their texts differ between languages, their bits do not.
        let doubles = draw(&mut runner, proptest::num::f64::ANY);
        let expected = texts(&doubles, |value| {
            if value.is_nan() {
                "nan".to_owned()
            } else {
                hex(&value.to_be_bytes())
            }
        });
        let shown = "CASE WHEN c = 'NaN' THEN 'nan' ELSE encode(float8send(c), 'hex') END";
        check(
            &corner,
            Arc::new(Float64Array::from(doubles)),
            shown,
            expected,
        )
        .await;
        let floats = draw(&mut runner, proptest::num::f32::ANY);
        let expected = texts(&floats, |value| {
            if value.is_nan() {
                "nan".to_owned()
            } else {
                hex(&value.to_be_bytes())
            }
        });
        let shown = "CASE WHEN c = 'NaN' THEN 'nan' ELSE encode(float4send(c), 'hex') END";
        check(
            &corner,
            Arc::new(Float32Array::from(floats)),
            shown,
            expected,
        )
        .await;
        corner.clear().await;
    }
}

#[tokio::test]
async fn decimals_of_every_scale_arrive_exactly() {
    for corner in corners().await {
        let mut runner = TestRunner::default();
        for (precision, scale) in [
            (38, 38),
            (38, 0),
            (38, 19),
            (18, 8),
            (18, 2),
            (9, 4),
            (5, 5),
            (38, 1),
        ] {
            let limit = 10_i128.pow(precision) - 1;
            let small = -100_000_i128.min(limit)..=100_000_i128.min(limit);
            let digits = prop_oneof![-limit..=limit, small, Just(limit), Just(-limit), Just(0)];
            let values = draw(&mut runner, digits);
            let expected = texts(&values, |value| decimal(*value, scale));
            let array = Decimal128Array::from(values)
                .with_precision_and_scale(precision as u8, scale as i8)
                .unwrap();
            check(&corner, Arc::new(array), "c::text", expected).await;
        }
        corner.clear().await;
    }
}

fn decimal(value: i128, scale: u32) -> String {
    let digits = format!(
        "{:0width$}",
        value.unsigned_abs(),
        width = scale as usize + 1
    );
    let (whole, part) = digits.split_at(digits.len() - scale as usize);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{part}")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn texts_and_bytes_arrive_exactly() {
    for corner in corners().await {
        let mut runner = TestRunner::default();
        let words = draw(&mut runner, "[^\0]{0,40}");
        let expected = words.clone();
        check(
            &corner,
            Arc::new(StringArray::from(words.clone())),
            "c",
            expected.clone(),
        )
        .await;
        check(
            &corner,
            Arc::new(LargeStringArray::from(words.clone())),
            "c",
            expected.clone(),
        )
        .await;
        check(
            &corner,
            Arc::new(StringViewArray::from_iter(words)),
            "c",
            expected,
        )
        .await;
        let bytes = draw(&mut runner, proptest::collection::vec(any::<u8>(), 0..40));
        let expected = texts(&bytes, |bytes| hex(bytes));
        let array: BinaryArray = bytes.iter().map(Option::as_deref).collect();
        check(
            &corner,
            Arc::new(array),
            "encode(c, 'hex')",
            expected.clone(),
        )
        .await;
        let array: BinaryViewArray = bytes.iter().map(Option::as_deref).collect();
        check(&corner, Arc::new(array), "encode(c, 'hex')", expected).await;
        corner.clear().await;
    }
}

#[tokio::test]
async fn times_arrive_exactly() {
    // Years 1 to 9999, where both sides write years with four digits.
    const RANGE_US: std::ops::Range<i64> = -62_135_596_800_000_000..253_402_300_800_000_000;
    for corner in corners().await {
        let mut runner = TestRunner::default();
        let micros = draw(&mut runner, RANGE_US);
        let text = |us: i64| {
            let time = chrono::DateTime::from_timestamp_micros(us).unwrap();
            time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
        };
        let shown = "to_char(c, 'YYYY-MM-DD HH24:MI:SS.US')";
        let expected = texts(&micros, |us| text(*us));
        let array = TimestampMicrosecondArray::from(micros.clone());
        check(&corner, Arc::new(array.clone()), shown, expected.clone()).await;
        check(
            &corner,
            Arc::new(array.with_timezone("UTC")),
            shown,
            expected,
        )
        .await;
        let millis: Vec<Option<i64>> = micros
            .iter()
            .map(|us| us.map(|us| us.div_euclid(1_000)))
            .collect();
        let expected = texts(&millis, |ms| text(ms * 1_000));
        check(
            &corner,
            Arc::new(TimestampMillisecondArray::from(millis)),
            shown,
            expected,
        )
        .await;
        let nanos = draw(&mut runner, any::<i64>());
        let expected = texts(&nanos, |ns| text(ns.div_euclid(1_000)));
        check(
            &corner,
            Arc::new(TimestampNanosecondArray::from(nanos)),
            shown,
            expected,
        )
        .await;
        let days = draw(&mut runner, -719_162..2_932_897_i32);
        let expected = texts(&days, |days| {
            let date = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
            (date + chrono::Duration::days(i64::from(*days)))
                .format("%Y-%m-%d")
                .to_string()
        });
        check(
            &corner,
            Arc::new(Date32Array::from(days)),
            "to_char(c, 'YYYY-MM-DD')",
            expected,
        )
        .await;
        let spans = draw(
            &mut runner,
            (
                -1_000..1_000_i32,
                -1_000..1_000_i32,
                -1_000_000..1_000_000_i64,
            ),
        );
        let expected = texts(&spans, |(months, days, ms)| {
            format!("{months} {days} {}", ms * 1_000)
        });
        let shown = "extract(year FROM c) * 12 + extract(month FROM c) || ' ' \
                     || extract(day FROM c) \
                     || ' ' || (extract(hour FROM c) * 3600000000 \
                     + extract(minute FROM c) * 60000000 \
                     + extract(microsecond FROM c))::int8";
        let array: IntervalMonthDayNanoArray = spans
            .iter()
            .map(|span| span.map(|(m, d, ms)| IntervalMonthDayNano::new(m, d, ms * 1_000_000)))
            .collect();
        check(&corner, Arc::new(array), shown, expected).await;
        corner.clear().await;
    }
}

#[tokio::test]
async fn lists_and_structs_arrive_as_arrays_and_json() {
    for corner in corners().await {
        let mut runner = TestRunner::default();
        let lists = draw(
            &mut runner,
            proptest::collection::vec(proptest::option::of(any::<i32>()), 0..6),
        );
        let expected = texts(&lists, |list| {
            let items: Vec<String> = list
                .iter()
                .map(|item| item.map_or("NULL".to_owned(), |item| item.to_string()))
                .collect();
            format!("{{{}}}", items.join(","))
        });
        let array = ListArray::from_iter_primitive::<arrow::datatypes::Int32Type, _, _>(lists);
        check(&corner, Arc::new(array.clone()), "c::text", expected).await;
        // A slice: offsets that do not start at 0.
        let sliced = array.slice(7, 20);
        check(
            &corner,
            Arc::new(sliced.clone()),
            "coalesce(cardinality(c), -1)::text",
            (0..20)
                .map(|row| {
                    Some(if sliced.is_null(row) {
                        "-1".to_owned()
                    } else {
                        sliced.value(row).len().to_string()
                    })
                })
                .collect(),
        )
        .await;
        let levels = draw(&mut runner, (any::<i64>(), "[a-z\"\\\\ é]{0,10}"));
        let fields: Fields = vec![
            Field::new("size", DataType::Int64, true),
            Field::new("venue", DataType::Utf8, true),
        ]
        .into();
        let sizes = Int64Array::from_iter(
            levels
                .iter()
                .map(|level| level.as_ref().map(|level| level.0)),
        );
        let venues = StringArray::from_iter(
            levels
                .iter()
                .map(|level| level.as_ref().map(|level| &level.1)),
        );
        let nulls = levels.iter().map(Option::is_some).collect::<Vec<bool>>();
        let array = StructArray::new(
            fields.clone(),
            vec![Arc::new(sizes), Arc::new(venues)],
            Some(nulls.into()),
        );
        let expected = texts(&levels, |(size, venue)| format!("{size}|{venue}"));
        check(
            &corner,
            Arc::new(array.clone()),
            "(c->>'size') || '|' || (c->>'venue')",
            expected,
        )
        .await;
        // A book: lists of levels become an array of JSON objects.
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(3, ROWS / 3));
        let field = Arc::new(Field::new_struct("item", fields, true));
        let books = ListArray::new(field, offsets, Arc::new(array), None);
        let expected = levels.chunks(3).map(|book| {
            let first = book[0]
                .as_ref()
                .map_or("none".to_owned(), |level| level.0.to_string());
            Some(format!("3 {first}"))
        });
        let shown = "cardinality(c) || ' ' || coalesce(c[1]->>'size', 'none')";
        check(&corner, Arc::new(books), shown, expected.collect()).await;
        corner.clear().await;
    }
}

#[tokio::test]
async fn nanoseconds_are_refused_unless_rounding_is_asked_for() {
    let input = input(&[("ts", DataType::Timestamp(TimeUnit::Nanosecond, None))]);
    let options = super::options(&[
        ("connector", "postgres"),
        ("url", "postgres://u@localhost/d"),
        ("table", "t"),
    ]);
    let error = timescale::sink(&input, &options).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.hint.unwrap().contains("'timestamp_precision' = 'us'"));
}

#[tokio::test]
async fn values_that_the_server_cannot_hold_stop_the_epoch() {
    let Some(corner) = postgres_corner().await else {
        return;
    };
    let cases: [ArrayRef; 3] = [
        Arc::new(TimestampSecondArray::from(vec![i64::MAX])),
        Arc::new(StringArray::from(vec!["a\0b"])),
        Arc::new(Date32Array::from(vec![i32::MIN])),
    ];
    for (number, array) in cases.into_iter().enumerate() {
        let mut input = corner.named(&input(&[("c", array.data_type().clone())]));
        input.sink.push_str(&number.to_string());
        let mut sink = timescale::sink(&input, &corner.options(&format!("t{number}"))).unwrap();
        sink.fence(generation(1), None).await.unwrap();
        let columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(vec![1])), array];
        let batch = RecordBatch::try_new(input.schema, columns).unwrap();
        let error = sink
            .apply(epoch(1), epoch(0), &[ChangeBatch::inserts(batch)])
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data, "{error:?}");
    }
    corner.clear().await;
}
