//! Keys where they lie against Arrow's row format.

use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray,
    StringArray, StringViewArray, TimestampMicrosecondArray,
};
use arrow::datatypes::Int64Type;

use super::{Keys, converter};

/// Each pair of rows is the same key by both, and the same key hashes alike and has the same bytes.
fn check(columns: &[ArrayRef], is_columns: bool) {
    let rows = columns[0].len();
    let types = columns.iter().map(|column| column.data_type().clone());
    let converter = converter(types).unwrap();
    let expected = converter.convert_columns(columns).unwrap();
    let keys = Keys::of(columns, &converter).unwrap();
    assert_eq!(matches!(keys, Keys::Columns(_)), is_columns);
    // A slice looks at the same buffers from further on.
    let tail: Vec<ArrayRef> = columns
        .iter()
        .map(|column| column.slice(1, rows - 1))
        .collect();
    let tail = Keys::of(&tail, &converter).unwrap();
    let hasher = RandomState::with_seeds(1, 2, 3, 4);
    for row in 0..rows {
        for other in 1..rows {
            let same = expected.row(row) == expected.row(other);
            assert_eq!(keys.same(row, &tail, other - 1), same, "{row} {other}");
            assert_eq!(keys.bytes(row) == tail.bytes(other - 1), same);
            if same {
                assert_eq!(keys.hash(row, &hasher), tail.hash(other - 1, &hasher));
            }
        }
    }
}

fn texts() -> ArrayRef {
    Arc::new(StringArray::from(vec![
        Some("A"),
        Some(""),
        None,
        Some("A"),
        Some("ABCDEFGHIJKLMNOP"),
        None,
        Some("ABCDEFGHIJKLMNOP"),
    ]))
}

fn times() -> ArrayRef {
    let values = vec![Some(0), None, Some(0), Some(0), Some(-5), None, Some(-5)];
    Arc::new(TimestampMicrosecondArray::from(values).with_timezone("UTC"))
}

#[test]
fn keys_of_several_columns() {
    check(&[texts()], true);
    check(&[times()], true);
    check(&[times(), texts()], true);
    let views = StringViewArray::from_iter_values(["A", "B", "A", "long enough for a buffer", "A"]);
    check(&[Arc::new(views)], true);
    let decimals = Decimal128Array::from(vec![Some(1), None, Some(1), Some(1 << 70)]);
    check(&[Arc::new(decimals)], true);
}

#[test]
fn floats_are_told_apart_by_their_bits() {
    let floats = Float64Array::from(vec![0.0, -0.0, f64::NAN, f64::NAN, 0.0, 1.5]);
    check(&[Arc::new(floats)], true);
}

#[test]
fn columns_of_other_kinds_fall_back() {
    let booleans: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(true), None]));
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 1, 1, 1]));
    check(&[numbers, booleans], false);
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1)]),
        None,
        Some(vec![Some(1)]),
        Some(vec![None]),
    ]);
    check(&[Arc::new(lists)], false);
}

/// A value cannot run into the next column.
#[test]
fn neighbours_do_not_blend() {
    let left: ArrayRef = Arc::new(StringArray::from(vec!["ab", "a", "", "abc"]));
    let right: ArrayRef = Arc::new(StringArray::from(vec!["c", "bc", "abc", ""]));
    check(&[left, right], true);
}
