//! Tests of the quotients: formulas by hand, rows that do not count, any cut.

use std::f64::consts::LN_2;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use datafusion::logical_expr::AggregateUDF;
use proptest::prelude::*;

use super::Mean;
use crate::aggregate;
use crate::trial::{Input, assert_close, close, merged, one_pass, refusal_text, rows};

fn value(call: &str, values: &str) -> Option<f64> {
    let columns = "a, b, c, d";
    let sql = format!("SELECT {call} FROM (VALUES {values}) AS t({columns})");
    rows(&sql)[0].parse().ok()
}

fn check(call: &str, values: &str, expected: f64) {
    let found = value(call, values).unwrap_or_else(|| panic!("{call} is null"));
    assert!(
        close(found, expected, 1e-12),
        "{call} of {values}: {found}, not {expected}"
    );
}

#[test]
fn liquidity() {
    // (0.01 / 1000 + 0.02 / 500) / 2; a day without volume does not count.
    check(
        "amihud(a, b)",
        "(0.01, 1000, 0, 0), (-0.02, 500, 0, 0), (0.5, 0, 0, 0)",
        2.5e-5,
    );
    check(
        "amihud(a, b, 1000000)",
        "(0.01, 1000, 0, 0), (-0.02, 500, 0, 0)",
        25.0,
    );
    // The same of prices in order of time: 1 % on 1000, 2 % on 500. A day without volume moves the
    // price that the next return is from; a price of zero is none.
    check(
        "amihud(a, b, to_timestamp(c))",
        "(103.02, 500, 4, 0), (100, 70, 1, 0), (101, 1000, 2, 0), (50, 0, 5, 0), (0, 900, 3, 0), \
         (51.0, 100, 6, 0)",
        (0.01 / 1000.0 + 0.02 / 500.0 + 0.02 / 100.0) / 3.0,
    );
    check(
        "amihud(a, b, to_timestamp(c), 1000000)",
        "(100, 70, 1, 0), (101, 1000, 2, 0)",
        10.0,
    );
    assert_eq!(
        value("amihud(a, b, to_timestamp(c))", "(100, 70, 1, 0)"),
        None
    );
    // (2 * 0.05 * 100 + 2 * 0.10 * 300) / 400
    check(
        "effective_spread(a, b, c)",
        "(10.05, 10.0, 100, 0), (9.90, 10.0, 300, 0), (5.0, 10.0, 0, 0)",
        0.175,
    );
}

#[test]
fn volatility_from_bars() {
    let bars = "(100.0, 110.0, 95.0, 105.0), (105.0, 108.0, 100.0, 101.0)";
    let rows = [
        [100.0, 110.0, 95.0, 105.0_f64],
        [105.0, 108.0, 100.0, 101.0],
    ];
    let mean = |term: fn([f64; 4]) -> f64| rows.iter().map(|row| term(*row)).sum::<f64>() / 2.0;
    let parkinson = mean(|[_, h, l, _]| (h / l).ln().powi(2) / (4.0 * LN_2));
    check("parkinson_vol(b, c)", bars, parkinson.sqrt());
    check("parkinson_vol(b, c, 252)", bars, (parkinson * 252.0).sqrt());
    let garman_klass =
        mean(|[o, h, l, c]| 0.5 * (h / l).ln().powi(2) - (2.0 * LN_2 - 1.0) * (c / o).ln().powi(2));
    check(
        "garman_klass_vol(a, b, c, d, 252)",
        bars,
        (garman_klass * 252.0).sqrt(),
    );
    let rogers_satchell =
        mean(|[o, h, l, c]| (h / c).ln() * (h / o).ln() + (l / c).ln() * (l / o).ln());
    check(
        "rogers_satchell_vol(a, b, c, d)",
        bars,
        rogers_satchell.sqrt(),
    );
}

#[test]
fn null_without_a_row_that_counts() {
    for (call, values) in [
        ("amihud(a, b)", "(0.01, 0, 0, 0)"),
        ("effective_spread(a, b, c)", "(NULL, 1, 1, 0)"),
        (
            "parkinson_vol(a, b)",
            "(-1.0, 1.0, 0, 0), ('NaN'::double, 1.0, 0, 0)",
        ),
    ] {
        assert_eq!(value(call, values), None, "{call}");
    }
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    check(
        "amihud(price)",
        "cannot call amihud with 1 arguments, expected amihud(ret, dollar_volume [, scale]) | \
         amihud(price, dollar_volume, ts [, scale])",
    );
    check(
        "parkinson_vol(price, price, 0)",
        "cannot use 0 as argument annualization of parkinson_vol, expected a positive number",
    );
    check(
        "parkinson_vol(price, price, size)",
        "cannot use an expression as argument annualization of parkinson_vol, expected a constant",
    );
}

fn functions() -> Vec<(usize, Arc<AggregateUDF>)> {
    let of = |mean: Mean| (mean.arguments().len(), aggregate::function(mean));
    Mean::ALL.into_iter().map(of).collect()
}

proptest! {
    #[test]
    fn any_cut_and_merge_order_gives_one_pass(
        rows in prop::collection::vec(
            (0..3_usize, prop::array::uniform4(prop::option::weighted(0.9, -1.0..9.0_f64))), 0..40),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(rows.len() + 1)).collect();
        cuts.sort_unstable();
        for (width, function) in functions() {
            let column = |index: usize| -> ArrayRef {
                Arc::new(rows.iter().map(|row| row.1[index]).collect::<Float64Array>())
            };
            let columns = (0..width).map(column).collect();
            let groups = rows.iter().map(|row| row.0).collect();
            let input = Input { columns, groups, group_count: 3 };
            let expected = one_pass(&function, &input);
            assert_close(&merged(&function, &input, &cuts, |_| ()), &expected);
            assert_close(&merged(&function, &input, &cuts, |parts| parts.reverse()), &expected);
        }
    }
}
