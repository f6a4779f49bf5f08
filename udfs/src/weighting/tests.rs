//! Tests of sums and ratios: no lost bits, one rounding, nothing wraps.

use datafusion::arrow::datatypes::i256;

use super::{Compensated, Decimals, RunningSum, Weighting, fitting};

#[test]
fn compensated_sums_keep_what_plain_sums_lose() {
    let mut sum = Compensated::default();
    for value in [1e100, 1.0, -1e100, 1e-3] {
        sum.add(value);
    }
    assert_eq!(sum.value(), Some(1.001));
    let mut tenths = Compensated::default();
    (0..10_000_000).for_each(|_| tenths.add(0.1));
    assert_eq!(tenths.value(), Some(1e6));
}

#[test]
fn an_infinite_sum_has_no_value() {
    let mut sum = Compensated::default();
    sum.add(f64::MAX);
    sum.add(f64::MAX);
    assert_eq!(sum.value(), None);
}

#[test]
fn sums_survive_their_columns() {
    let mut sum = Compensated::default();
    [1e30, 1.0, 1e-30]
        .into_iter()
        .for_each(|value| sum.add(value));
    let columns = Compensated::to_columns([sum].into_iter());
    assert_eq!(Compensated::from_columns(&columns, 0), sum);
    let sum = i256::from_parts(7, -3);
    let columns = i256::to_columns([sum].into_iter());
    assert_eq!(i256::from_columns(&columns, 0), sum);
}

#[test]
fn products_wider_than_128_bits_are_exact() {
    let decimals = Decimals::new(38, 0, 0);
    let large = 10_i128.pow(37);
    let products = decimals.add_product(i256::ZERO, large, large).unwrap();
    assert_eq!(
        decimals.ratio(products, i256::from_i128(large)),
        Some(large)
    );
}

#[test]
fn thirty_nine_digits_do_not_fit() {
    let limit = i256::from_i128(10_i128.pow(38));
    assert_eq!(fitting(limit), None);
    assert_eq!(fitting(limit.wrapping_neg()), None);
    assert_eq!(
        fitting(limit.wrapping_sub(i256::ONE)),
        Some(10_i128.pow(38) - 1)
    );
}
