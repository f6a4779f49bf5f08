//! Tests of keys: the order of keys is the order of values.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, UInt64Array};

use super::Key;

#[test]
fn floats_keep_their_order() {
    let values = [
        f64::MIN,
        -1.5,
        -1.0,
        -f64::MIN_POSITIVE,
        0.0,
        5e-324,
        1.0,
        1.5,
        f64::MAX,
    ];
    let column: ArrayRef = Arc::new(Float64Array::from(values.to_vec()));
    let keys = i64::read(&column).unwrap();
    assert!(keys.values.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(keys.nulls.is_none());
}

#[test]
fn one_zero_and_no_nan() {
    let values = vec![
        Some(0.0),
        Some(-0.0),
        Some(f64::NAN),
        Some(f64::NEG_INFINITY),
        None,
    ];
    let column: ArrayRef = Arc::new(Float64Array::from(values));
    let keys = i64::read(&column).unwrap();
    assert_eq!(keys.values[0], keys.values[1]);
    let nulls: Vec<bool> = (0..5).map(|row| keys.is_null(row)).collect();
    assert_eq!(nulls, [false, false, true, true, true]);
}

#[test]
fn unsigned_integers_keep_their_order() {
    let column: ArrayRef = Arc::new(UInt64Array::from(vec![0, 1, 1 << 63, u64::MAX]));
    let keys = i64::read(&column).unwrap();
    assert!(keys.values.windows(2).all(|pair| pair[0] < pair[1]));
}
