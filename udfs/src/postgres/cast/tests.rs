//! Casts against values that PostgreSQL 15 gave; `sqllogictest/pg_compat` asks it anew.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, Float32Array, Float64Array, Int64Array, StringArray,
};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Int16Type, Int32Type};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};

use super::*;

/// The cast value as Arrow shows it, or the error.
fn check(cases: &[(ArrayRef, DataType, &str)]) {
    for (array, to, expected) in cases {
        let found = match convert(array, &Target::Type(to.clone())) {
            Ok(cast) => {
                let options = FormatOptions::default();
                let shown = ArrayFormatter::try_new(cast.as_ref(), &options).unwrap();
                shown.value(0).to_string()
            }
            Err(error) => crate::FunctionError::find(&error).unwrap().to_string(),
        };
        assert_eq!(&found, expected, "{array:?} as {to}");
    }
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

fn double(value: f64) -> ArrayRef {
    Arc::new(Float64Array::from(vec![value]))
}

fn single(value: f32) -> ArrayRef {
    Arc::new(Float32Array::from(vec![value]))
}

fn decimal(value: i128, precision: u8, scale: i8) -> ArrayRef {
    let array = datafusion::arrow::array::Decimal128Array::from(vec![value]);
    Arc::new(array.with_precision_and_scale(precision, scale).unwrap())
}

#[test]
fn numbers_are_rounded_and_checked() {
    use DataType::{Decimal128, Float64, Int16, Int32, Int64};
    check(&[
        (double(2.5), Int32, "2"),
        (double(3.5), Int32, "4"),
        (double(-0.5), Int32, "0"),
        (double(2147483647.4), Int32, "2147483647"),
        (double(2147483647.5), Int32, "integer out of range"),
        (double(9.3e18), Int64, "bigint out of range"),
        (double(f64::NAN), Int16, "smallint out of range"),
        (single(1.5), Int32, "2"),
        (decimal(25, 3, 1), Int32, "3"),
        (decimal(-25, 3, 1), Int32, "-3"),
        (decimal(24, 3, 1), Int32, "2"),
        (decimal(327675, 6, 1), Int16, "smallint out of range"),
        (
            decimal(i128::from(i64::MAX) * 10 + 4, 38, 1),
            Int64,
            "9223372036854775807",
        ),
        (
            Arc::new(Int64Array::from(vec![40000])),
            Int16,
            "smallint out of range",
        ),
        (decimal(1005, 10, 3), Decimal128(5, 2), "1.01"),
        (
            decimal(99995, 10, 3),
            Decimal128(4, 2),
            "numeric field overflow",
        ),
        (double(0.1), Decimal128(38, 20), "0.10000000000000000000"),
        (double(1e-7), Decimal128(10, 7), "0.0000001"),
        (
            double(f64::INFINITY),
            Decimal128(10, 2),
            "cannot represent \"inf\" as numeric(10,2)",
        ),
        (decimal(1, 1, 1), Float64, "0.1"),
        (
            decimal(123456789012345678901234567890, 38, 10),
            Float64,
            "1.2345678901234567e19",
        ),
    ]);
}

#[test]
fn texts_are_read_and_written_like_postgres() {
    use DataType::{Boolean, Decimal128, Float64, Int32, Int64, Utf8};
    check(&[
        (text(" 42 "), Int32, "42"),
        (text("+7"), Int64, "7"),
        (
            text("4 2"),
            Int32,
            "invalid input syntax for type integer: \"4 2\"",
        ),
        (
            text("2147483648"),
            Int32,
            "value \"2147483648\" is out of range for type integer",
        ),
        (
            text("1e400"),
            Float64,
            "\"1e400\" is out of range for type double precision",
        ),
        (text("-inf"), Float64, "-inf"),
        (
            text("1e-400"),
            Float64,
            "\"1e-400\" is out of range for type double precision",
        ),
        (text("0e-400"), Float64, "0.0"),
        (text("1e2"), Decimal128(5, 1), "100.0"),
        (text("-.005"), Decimal128(5, 2), "-0.01"),
        (
            text("0.0049999999999999999999999999999999999999999"),
            Decimal128(5, 2),
            "0.00",
        ),
        (text("1e-400"), Decimal128(5, 2), "0.00"),
        (text("1e400"), Decimal128(5, 2), "numeric field overflow"),
        (
            text("."),
            Decimal128(5, 2),
            "invalid input syntax for type numeric: \".\"",
        ),
        (
            text("1.2.3"),
            Decimal128(5, 2),
            "invalid input syntax for type numeric: \"1.2.3\"",
        ),
        (text("tr"), Boolean, "true"),
        (text("of"), Boolean, "false"),
        (
            text("o"),
            Boolean,
            "invalid input syntax for type boolean: \"o\"",
        ),
        (double(1e20), Utf8, "1e+20"),
        (double(100000.0), Utf8, "100000"),
        (double(-0.0001), Utf8, "-0.0001"),
        (double(0.00001), Utf8, "1e-05"),
        (double(1234.5), Utf8, "1234.5"),
        (single(1e6), Utf8, "1e+06"),
        (single(0.1), Utf8, "0.1"),
    ]);
}

#[test]
fn nulls_stay_and_values_keep_their_rows() {
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.5), None, Some(1.5)]));
    let cast = convert(&doubles, &Target::Type(DataType::Int16)).unwrap();
    let values: Vec<_> = cast.as_primitive::<Int16Type>().iter().collect();
    assert_eq!(values, [Some(0), None, Some(2)]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec![None, Some("1.25")]));
    let cast = convert(&texts, &Target::Type(DataType::Decimal128(3, 1))).unwrap();
    let values: Vec<_> = cast.as_primitive::<Decimal128Type>().iter().collect();
    assert_eq!(values, [None, Some(13)]);
    let empty: ArrayRef = Arc::new(StringArray::from(Vec::<Option<&str>>::new()));
    let cast = convert(&empty, &Target::Type(DataType::Int32)).unwrap();
    assert_eq!(cast.as_primitive::<Int32Type>().len(), 0);
}
