//! Tests of the aggregates of samples: numbers by hand, order, any cut, refusals. The formulas
//! are compared with references in `tests/oracle`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, TimestampMicrosecondArray};
use proptest::prelude::*;

use super::all;
use crate::aggregate;
use crate::trial::{Input, assert_close, merged, one_pass, refusal_text, reordered, rows};

fn number(call: &str, values: &str) -> Option<f64> {
    let sql = format!(
        "SELECT {call} FROM (SELECT to_timestamp_micros(t) AS t, x, y FROM (VALUES {values}) \
         AS v(t, x, y))"
    );
    rows(&sql)[0].parse().ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_cut_and_order_give_the_same(
        drawn in prop::collection::vec(
            (prop::array::uniform4(-31_i32..50), 0_usize..3, any::<bool>()), 1..40),
        cut in 0_usize..40,
    ) {
        for sample in all().filter(|sample| sample.constants.iter().all(|c| c.default.is_some())) {
            let mut columns: Vec<ArrayRef> = Vec::new();
            for index in 0..sample.arguments.len() {
                let values = drawn.iter().map(|(values, _, known)| {
                    known.then_some(f64::from(values[index]) / 64.0)
                });
                columns.push(Arc::new(values.collect::<Float64Array>()));
            }
            if sample.timed() {
                let times = (0..drawn.len()).map(|row| Some((row as i64 * 7) % 41));
                columns.push(Arc::new(times.collect::<TimestampMicrosecondArray>()));
            }
            let groups = drawn.iter().map(|(_, group, _)| *group).collect();
            let input = Input { columns, groups, group_count: 3 };
            let function = aggregate::function(*sample);
            let expected = one_pass(&function, &input);
            let cut = cut.min(drawn.len());
            assert_close(&merged(&function, &input, &[cut], |parts| parts.reverse()), &expected);
            let order: Vec<usize> = (0..drawn.len()).rev().collect();
            assert_close(&one_pass(&function, &reordered(&input, &order)), &expected);
        }
    }
}

#[test]
fn quantiles_by_hand() {
    let values = "(1, -0.04, 0), (2, 0.02, 0), (3, -0.01, 0), (4, 0.03, 0), (5, 0.00, 0)";
    // Sorted -4 -1 0 2 3 percent: the quantile at 10 % is 0.4 of the way from -4 to -1.
    let found = number("value_at_risk(x, 0.9)", values).unwrap();
    assert!((found - 0.028).abs() < 1e-12, "{found}");
    assert_eq!(number("expected_shortfall(x, 0.9)", values), Some(0.04));
    assert_eq!(number("concentration(x, 2)", values), Some(0.07 / 0.1));
}

#[test]
fn drawdowns_follow_time() {
    let values = "(3, 0.5, 0), (1, 1.0, 0), (2, -0.5, 0), (4, NULL, 0)";
    assert_eq!(number("max_drawdown_agg(x, t)", values), Some(-0.5));
    assert_eq!(number("max_drawdown_agg(x, t)", "(1, 0.1, 0)"), Some(0.0));
    assert_eq!(number("calmar_ratio(x, t)", "(1, 0.1, 0)"), None);
    assert_eq!(number("max_drawdown_agg(x, t)", "(1, NULL, 0)"), None);
}

#[test]
fn buckets_of_volume_are_cut() {
    // Two buckets of 10: +6 -4, then -10; two left over.
    let values = "(1, 6.0, 'B'), (2, 16.0, 'S')";
    assert_eq!(number("vpin(x, y, t, 10, 2)", values), Some(0.6));
    assert_eq!(number("vpin(x, y, t, 10, 3)", values), None);
    assert_eq!(number("vpin(x, y, t, 1, 3)", "(1, 1e300, 'B')"), Some(1.0));
}

#[test]
fn refusals() {
    assert_eq!(
        refusal_text("SELECT value_at_risk(price, 1.5) FROM trades"),
        "cannot use 1.5 as argument confidence of value_at_risk, expected a number between 0 and 1"
    );
    assert_eq!(
        refusal_text("SELECT value_at_risk(price, 0.9, 'guess') FROM trades"),
        "cannot use 'guess' as argument method of value_at_risk, expected 'historical', \
         'normal', 'cornish_fisher' or 'student_t'"
    );
    assert_eq!(
        refusal_text("SELECT vpin(size, 'B', ts) FROM trades"),
        "cannot call vpin with 3 arguments, expected vpin(size, side, ts, bucket_volume [, \
         buckets = 50])"
    );
}
