//! What each type looks like as JSON, and that the sources' decoder reads back what is written.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field, Fields, Int32Type, IntervalUnit, Schema, TimeUnit};
use proptest::prelude::*;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema};
use rtsap_stream::registry::{Options, SourceRequest};
use rtsap_stream::source::{Offset, RawBatch, SplitId};

use super::{takes, write_text, write_value};

struct Payloads(Vec<Vec<u8>>);

impl RawBatch for Payloads {
    fn len(&self) -> usize {
        self.0.len()
    }
    fn payload(&self, index: usize) -> Option<&[u8]> {
        Some(&self.0[index])
    }
    fn key(&self, _: usize) -> Option<&[u8]> {
        None
    }
    fn timestamp(&self, _: usize) -> Option<i64> {
        None
    }
    fn offset(&self, index: usize) -> Offset {
        Offset(index as u64)
    }
    fn resume_at(&self) -> Offset {
        Offset(self.0.len() as u64)
    }
}

fn text(column: &ArrayRef, row: usize) -> String {
    let mut out = Vec::new();
    match write_value(column, row, &mut out) {
        Ok(()) => String::from_utf8(out).unwrap(),
        Err(problem) => format!("! {problem}"),
    }
}

/// `{"c":value}` for each row of `column`.
fn payloads(column: &ArrayRef) -> Payloads {
    let payload = |row| format!("{{\"c\":{}}}", text(column, row)).into_bytes();
    Payloads((0..column.len()).map(payload).collect())
}

fn reads_back(column: &ArrayRef) {
    let field = Field::new("c", column.data_type().clone(), true);
    let columns = DecodeSchema {
        schema: Arc::new(Schema::new(vec![field])),
        origins: Arc::new([ColumnOrigin::Payload]),
    };
    let options = [("connector", "kafka"), ("format", "json")];
    let request = SourceRequest {
        name: "t".to_owned(),
        columns: columns.clone(),
        primary_key: Vec::new(),
        options: Options(options.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
    };
    let mut decoder = crate::format::decoder(&request, &columns).unwrap();
    let payloads = payloads(column);
    let decoded = decoder.decode(&SplitId::new("0"), &payloads);
    assert!(decoded.rejects.is_empty(), "{:?}", decoded.rejects);
    let wanted = RecordBatch::try_new(columns.schema, vec![Arc::clone(column)]).unwrap();
    assert_eq!(decoded.rows.column(0).to_data(), wanted.column(0).to_data());
}

#[test]
fn every_type_has_its_form() {
    let utc = Some(Arc::<str>::from("UTC"));
    let fields: Fields = vec![
        Field::new("a", DataType::Int64, true),
        Field::new("q\"", DataType::Utf8, true),
    ]
    .into();
    let of: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![7])),
        Arc::new(StringArray::from(vec!["x"])),
    ];
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1), None])]);
    let decimal = |value, precision, scale| {
        let array = Decimal128Array::from(vec![value]);
        Arc::new(array.with_precision_and_scale(precision, scale).unwrap()) as ArrayRef
    };
    let cases: Vec<(ArrayRef, &str)> = vec![
        (Arc::new(BooleanArray::from(vec![true])), "true"),
        (Arc::new(Int16Array::from(vec![-7])), "-7"),
        (
            Arc::new(Int64Array::from(vec![i64::MIN])),
            "-9223372036854775808",
        ),
        (Arc::new(Int64Array::from(vec![None])), "null"),
        (Arc::new(Float64Array::from(vec![0.1])), "0.1"),
        (Arc::new(Float64Array::from(vec![1e300])), "1e300"),
        (Arc::new(Float64Array::from(vec![-0.0])), "-0.0"),
        (Arc::new(Float64Array::from(vec![f64::NAN])), "\"NaN\""),
        (
            Arc::new(Float32Array::from(vec![f32::NEG_INFINITY])),
            "\"-Infinity\"",
        ),
        (Arc::new(Float32Array::from(vec![0.1])), "0.1"),
        (decimal(12345, 12, 2), "123.45"),
        (decimal(-5, 12, 2), "-0.05"),
        (
            decimal(i128::from(i64::MAX) * 1_000_000, 38, 8),
            "92233720368547758.07000000",
        ),
        (
            Arc::new(StringArray::from(vec!["a\"b\\\n\u{1}é😀"])),
            "\"a\\\"b\\\\\\n\\u0001é😀\"",
        ),
        (Arc::new(BinaryArray::from_vec(vec![b""])), "\"\""),
        (Arc::new(BinaryArray::from_vec(vec![b"f"])), "\"Zg==\""),
        (Arc::new(BinaryArray::from_vec(vec![b"fo"])), "\"Zm8=\""),
        (
            Arc::new(BinaryArray::from_vec(vec![b"foo\xff"])),
            "\"Zm9v/w==\"",
        ),
        (Arc::new(Date32Array::from(vec![19_782])), "\"2024-02-29\""),
        (Arc::new(Date32Array::from(vec![-1])), "\"1969-12-31\""),
        (
            Arc::new(
                TimestampMicrosecondArray::from(vec![1_704_205_800_000_001]).with_timezone_opt(utc),
            ),
            "\"2024-01-02T14:30:00.000001Z\"",
        ),
        (
            Arc::new(TimestampMillisecondArray::from(vec![-1])),
            "\"1969-12-31T23:59:59.999\"",
        ),
        (
            Arc::new(TimestampNanosecondArray::from(vec![1])),
            "\"1970-01-01T00:00:00.000000001\"",
        ),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![i64::MAX])),
            "! 9223372036854775807 is beyond the calendar",
        ),
        (Arc::new(list), "[1,null]"),
        (
            Arc::new(StructArray::new(fields, of, None)),
            "{\"a\":7,\"q\\\"\":\"x\"}",
        ),
    ];
    for (column, wanted) in cases {
        assert!(takes(column.data_type()), "{wanted}");
        assert_eq!(text(&column, 0), wanted);
    }
    assert!(!takes(&DataType::Interval(IntervalUnit::MonthDayNano)));
    assert!(!takes(&DataType::Duration(TimeUnit::Second)));
}

#[test]
fn names_are_escaped_as_values_are() {
    let mut out = Vec::new();
    write_text("a\tb\u{7f}\u{0}", &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "\"a\\tb\u{7f}\\u0000\"");
}

proptest! {
    #[test]
    fn texts_are_read_back(
        // U+0000 is no character of a TEXT.
        texts in prop::collection::vec(prop::option::of("[^\u{0}\n]*\n?"), 1..20),
    ) {
        let column: ArrayRef = Arc::new(StringArray::from(texts));
        for row in 0..column.len() {
            let found: serde_json::Value = serde_json::from_str(&text(&column, row)).unwrap();
            let wanted = column.is_valid(row)
                .then(|| column.as_any().downcast_ref::<StringArray>().unwrap().value(row));
            prop_assert_eq!(found.as_str(), wanted);
        }
        reads_back(&column);
    }

    #[test]
    fn numbers_are_read_back(
        whole in prop::collection::vec(prop::option::of(any::<i64>()), 1..20),
        small in prop::collection::vec(any::<i32>(), 1..20),
        float in prop::collection::vec(
            any::<f64>().prop_filter("one NaN is like another", |v| !v.is_nan()), 1..20),
        cents in prop::collection::vec(-10_i128.pow(37)..10_i128.pow(37), 1..20),
    ) {
        reads_back(&(Arc::new(Int64Array::from(whole)) as ArrayRef));
        reads_back(&(Arc::new(Int32Array::from(small)) as ArrayRef));
        reads_back(&(Arc::new(Float64Array::from(float)) as ArrayRef));
        let decimals = Decimal128Array::from(cents).with_precision_and_scale(38, 10).unwrap();
        reads_back(&(Arc::new(decimals) as ArrayRef));
    }

    #[test]
    fn times_and_bytes_are_read_back(
        micros in prop::collection::vec(
            -62_000_000_000_000_000_i64..253_000_000_000_000_000,
            1..20,
        ),
        days in prop::collection::vec(-700_000_i32..2_900_000, 1..20),
        bytes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 1..20),
    ) {
        let zoned = TimestampMicrosecondArray::from(micros.clone()).with_timezone("UTC");
        reads_back(&(Arc::new(zoned) as ArrayRef));
        reads_back(&(Arc::new(TimestampMicrosecondArray::from(micros)) as ArrayRef));
        reads_back(&(Arc::new(Date32Array::from(days)) as ArrayRef));
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        reads_back(&(Arc::new(BinaryArray::from_vec(bytes)) as ArrayRef));
    }
}
