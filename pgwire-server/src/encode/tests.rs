//! Text and binary values against what a PostgreSQL 15 server sends for the same literals.

use std::sync::Arc;

use arrow::array::types::IntervalMonthDayNano;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray,
    Float32Array, Float64Array, Int8Array, Int32Array, IntervalMonthDayNanoArray, ListArray,
    NullArray, StringArray, StructArray, Time64NanosecondArray, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use bytes::BytesMut;

use super::column::Column;
use super::zone::Zone;
use super::{binary, text};

fn texts_in(zone: &str, array: ArrayRef) -> Vec<String> {
    let column = Column::new(&array).unwrap();
    let zone = Zone::of(zone);
    let one = |row| {
        if column.is_null(row) {
            return "∅".to_owned();
        }
        let mut out = BytesMut::new();
        text::put(&column, row, &zone, &mut out).unwrap();
        String::from_utf8(out.to_vec()).unwrap()
    };
    (0..array.len()).map(one).collect()
}

fn texts(array: impl arrow::array::Array + 'static) -> Vec<String> {
    texts_in("UTC", Arc::new(array))
}

fn bytes(array: impl arrow::array::Array + 'static) -> String {
    let array: ArrayRef = Arc::new(array);
    let column = Column::new(&array).unwrap();
    let mut out = BytesMut::new();
    binary::put(&column, 0, &mut out).unwrap();
    out.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn floats_have_the_digits_and_exponents_of_postgres() {
    let doubles = [
        0.1,
        1.0,
        -2.5,
        1e14,
        123_456_789_012_345.0,
        1e15,
        1.234_567_890_123_456_8e17,
        1e-4,
        1e-5,
        1.5e-7,
        1e300,
        f64::MIN_POSITIVE,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        -0.0,
        100.25,
    ];
    assert_eq!(
        texts(Float64Array::from(doubles.to_vec())),
        [
            "0.1",
            "1",
            "-2.5",
            "100000000000000",
            "123456789012345",
            "1e+15",
            "1.2345678901234568e+17",
            "0.0001",
            "1e-05",
            "1.5e-07",
            "1e+300",
            "2.2250738585072014e-308",
            "NaN",
            "Infinity",
            "-Infinity",
            "-0",
            "100.25",
        ]
    );
    assert_eq!(
        texts(Float32Array::from(vec![0.1, 123_456.0, 1e6, 1.5e-5])),
        ["0.1", "123456", "1e+06", "1.5e-05"]
    );
}

#[test]
fn decimals_keep_their_scale() {
    let decimals = |values: Vec<i128>, scale| {
        Decimal128Array::from(values)
            .with_precision_and_scale(38, scale)
            .unwrap()
    };
    assert_eq!(
        texts(decimals(vec![0, 5, -12_345, 100, i128::from(i64::MAX)], 2)),
        ["0.00", "0.05", "-123.45", "1.00", "92233720368547758.07"]
    );
    assert_eq!(texts(decimals(vec![12, 0], -2)), ["1200", "0"]);
    assert_eq!(
        texts(UInt64Array::from(vec![i64::MAX as u64])),
        ["9223372036854775807"]
    );
    // select numeric_send(..): 123.45, -0.0005, 10000, 0.00, 12345678.9
    assert_eq!(bytes(decimals(vec![12_345], 2)), "0002000000000002007b1194");
    assert_eq!(bytes(decimals(vec![-5], 4)), "0001ffff400000040005");
    assert_eq!(bytes(decimals(vec![10_000], 0)), "00010001000000000001");
    assert_eq!(bytes(decimals(vec![0], 2)), "0000000000000002");
    assert_eq!(
        bytes(decimals(vec![123_456_789], 1)),
        "000300010000000104d2162e2328"
    );
}

#[test]
fn instants_are_cut_to_microseconds_and_shown_in_the_zone() {
    let us = 1_704_164_645_123_456;
    let instants = |us: Vec<i64>| TimestampMicrosecondArray::from(us).with_timezone("UTC");
    assert_eq!(texts(instants(vec![us])), ["2024-01-02 03:04:05.123456+00"]);
    assert_eq!(
        texts_in(
            "America/New_York",
            Arc::new(instants(vec![us, us + 15_552_000_000_000]))
        ),
        [
            "2024-01-01 22:04:05.123456-05",
            "2024-06-29 23:04:05.123456-04"
        ]
    );
    assert_eq!(
        texts_in("Asia/Kolkata", Arc::new(instants(vec![us]))),
        ["2024-01-02 08:34:05.123456+05:30"]
    );
    assert_eq!(
        texts_in("-02:30", Arc::new(instants(vec![0]))),
        ["1969-12-31 21:30:00-02:30"]
    );
    let nanoseconds = TimestampNanosecondArray::from(vec![1_999, -1]);
    assert_eq!(
        texts(nanoseconds),
        ["1970-01-01 00:00:00.000001", "1969-12-31 23:59:59.999999"]
    );
    let early = TimestampMillisecondArray::from(vec![-62_167_219_200_000, -62_135_596_800_000]);
    assert_eq!(
        texts(early),
        ["0001-01-01 00:00:00 BC", "0001-01-01 00:00:00"]
    );
    assert_eq!(
        bytes(instants(vec![946_684_800_000_001])),
        "0000000000000001"
    );
    let far: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![i64::MAX]));
    assert_eq!(Column::new(&far).unwrap_err().sqlstate, "22008");
}

#[test]
fn days_times_and_intervals() {
    assert_eq!(
        texts(Date32Array::from(vec![0, 19_724, -719_528])),
        ["1970-01-01", "2024-01-02", "0001-01-01 BC"]
    );
    assert_eq!(bytes(Date32Array::from(vec![10_958])), "00000001");
    let times = Time64NanosecondArray::from(vec![0, 45_296_500_000_999]);
    assert_eq!(texts(times), ["00:00:00", "12:34:56.5"]);
    let intervals = vec![
        IntervalMonthDayNano::new(14, 3, 14_706_789_000_000),
        IntervalMonthDayNano::new(0, 0, 0),
        IntervalMonthDayNano::new(-1, 2, -1_000_000_000),
        IntervalMonthDayNano::new(0, -1, 60_000_000_000),
        IntervalMonthDayNano::new(24, 1, 0),
    ];
    assert_eq!(
        texts(IntervalMonthDayNanoArray::from(intervals)),
        [
            "1 year 2 mons 3 days 04:05:06.789",
            "00:00:00",
            "-1 mons +2 days -00:00:01",
            "-1 days +00:01:00",
            "2 years 1 day",
        ]
    );
    let interval = IntervalMonthDayNanoArray::from(vec![IntervalMonthDayNano::new(1, 2, 3_000)]);
    assert_eq!(bytes(interval), "00000000000000030000000200000001");
}

#[test]
fn plain_values_and_nulls() {
    assert_eq!(
        texts(BooleanArray::from(vec![Some(true), Some(false), None])),
        ["t", "f", "∅"]
    );
    assert_eq!(texts(Int8Array::from(vec![-128])), ["-128"]);
    assert_eq!(
        texts(BinaryArray::from(vec![b"\x00\xab".as_slice()])),
        ["\\x00ab"]
    );
    assert_eq!(texts(NullArray::new(1)), ["∅"]);
    let symbols: DictionaryArray<Int32Type> =
        vec![Some("a"), None, Some("b")].into_iter().collect();
    assert_eq!(texts(symbols), ["a", "∅", "b"]);
    assert_eq!(bytes(Int32Array::from(vec![258])), "00000102");
}

#[test]
fn arrays_and_records_quote_what_would_be_misread() {
    let words = StringArray::from(vec![
        Some("a"),
        Some(""),
        Some("null"),
        Some("x,y"),
        Some("q\"\\"),
        None,
        Some("ü"),
    ]);
    let item = Arc::new(Field::new("item", DataType::Utf8, true));
    let offsets = arrow::buffer::OffsetBuffer::new(vec![0, 7, 7].into());
    let list = ListArray::new(item, offsets, Arc::new(words), None);
    assert_eq!(
        texts(list.clone()),
        ["{a,\"\",\"null\",\"x,y\",\"q\\\"\\\\\",NULL,ü}", "{}"]
    );
    let outer = Arc::new(Field::new("item", list.data_type().clone(), true));
    let offsets = arrow::buffer::OffsetBuffer::new(vec![0, 2].into());
    let nested = ListArray::new(outer, offsets, Arc::new(list), None);
    assert!(texts(nested.clone())[0].starts_with("{{a,"));
    let nested: ArrayRef = Arc::new(nested);
    let refused = binary::put(&Column::new(&nested).unwrap(), 0, &mut BytesMut::new());
    assert_eq!(refused.unwrap_err().sqlstate, "0A000");

    let numbers = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
    assert_eq!(
        bytes(numbers),
        "0000000100000001000000170000000200000001\
         0000000400000001ffffffff"
    );
    let record = StructArray::from(vec![
        (
            Arc::new(Field::new("a", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![Some(1)])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("b", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("x \"y\"")])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("c", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![None::<&str>])) as ArrayRef,
        ),
    ]);
    assert_eq!(texts(record.clone()), ["(1,\"x \"\"y\"\"\",)"]);
    assert!(bytes(record).starts_with("00000003000000170000000400000001"));
}
