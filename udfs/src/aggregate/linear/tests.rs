//! Tests of the aggregates of sums: any cut and order of the rows, rows that do not count,
//! cancellation. The formulas are compared with references in `tests/oracle`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array};
use proptest::prelude::*;

use super::all;
use super::stats::{OF_ONE, OF_TWO};
use crate::aggregate;
use crate::trial::{Input, assert_close, close, merged, one_pass, refusal_text, reordered, rows};

fn number(call: &str, values: &str) -> Option<f64> {
    rows(&format!(
        "SELECT {call} FROM (VALUES {values}) AS t(x, y, s)"
    ))[0]
        .parse()
        .ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_cut_and_order_give_the_same(
        drawn in prop::collection::vec(
            (prop::array::uniform7(-50_i32..50), 0_usize..3, any::<bool>()), 1..40),
        cut in 0_usize..40,
        seed in any::<u64>(),
    ) {
        for linear in all().chain([&OF_ONE, &OF_TWO]) {
            let columns = (0..linear.arguments.len()).map(|index| -> ArrayRef {
                let values = drawn.iter().map(|(values, _, known)| {
                    known.then_some(f64::from(values[index]) / 64.0)
                });
                Arc::new(values.collect::<Float64Array>())
            });
            let groups = drawn.iter().map(|(_, group, _)| *group).collect();
            let input = Input { columns: columns.collect(), groups, group_count: 3 };
            let function = aggregate::function(*linear);
            let expected = one_pass(&function, &input);
            let cut = cut.min(drawn.len());
            assert_close(&merged(&function, &input, &[cut], |parts| parts.reverse()), &expected);
            let mut order: Vec<usize> = (0..drawn.len()).collect();
            order.sort_by_key(|row| (*row as u64).wrapping_mul(seed | 1));
            assert_close(&one_pass(&function, &reordered(&input, &order)), &expected);
        }
    }
}

#[test]
fn a_large_mean_costs_no_digits() {
    let check = |call: &str, mean: &str, expected: f64| {
        let rows = [(1, 1), (2, 2), (4, 3), (8, 4)];
        let values = rows
            .map(|(x, y)| format!("({mean} + {x}, {y}, 0)"))
            .join(", ");
        let found = number(call, &values).unwrap();
        assert!(close(found, expected, 1e-9), "{call}: {found}");
    };
    let deviations = [-2.75, -1.75, 0.25, 4.25_f64];
    let power = |n| deviations.iter().map(|d| d.powi(n)).sum::<f64>() / 4.0;
    check("stats_agg(x)['variance']", "1e9", power(2) * 4.0 / 3.0);
    check("stats_agg(x, y)['slope']", "1e9", 2.3);
    check("kyle_lambda(x, y)", "1e9", 2.3);
    check(
        "stats_agg(x)['skewness']",
        "1e5",
        power(3) / power(2).powf(1.5),
    );
    check(
        "stats_agg(x)['kurtosis']",
        "1e5",
        power(4) / power(2).powi(2),
    );
    // Where too few digits are left there is no answer rather than a wrong one.
    let values = "(1e12 + 1, 0, 0), (1e12 + 2, 0, 0), (1e12 + 4, 0, 0)";
    assert_eq!(number("stats_agg(x)['kurtosis']", values), None);
}

#[test]
fn groups_without_an_answer_are_null() {
    for call in [
        "sharpe_ratio(x)",
        "annual_volatility(x)",
        "kyle_lambda(x, x)",
        "omega_ratio(x)",
        "profit_factor(x)",
        "beta_agg(x, y)",
        "fill_ratio(x, y)",
        "arrival_slippage(s, x, x, x)",
        "stats_agg(x)['stddev']",
    ] {
        assert_eq!(number(call, "(0.5, 0.0, 0.5)"), None, "{call}");
        assert_eq!(number(call, "(NULL::double, 0.0, 0.5)"), None, "{call}");
        assert_eq!(number(call, "('NaN'::double, 0.0, 0.5)"), None, "{call}");
    }
    assert_eq!(
        number(
            "gross_exposure(x)",
            "(NULL::double, 1, 1), ('inf'::double, 1, 1)"
        ),
        None
    );
    assert_eq!(
        number("annual_return(x)", "(-1.0, 0, 0), (0.5, 0, 0)"),
        Some(-1.0)
    );
    assert_eq!(number("annual_return(x)", "(-1.5, 0, 0)"), None);
}

#[test]
fn a_side_that_is_unknown_is_taken_from_the_middle() {
    let values = "(10.0, 9.5, 'B'), (9.0, 9.5, '?'), (9.0, 9.5, NULL)";
    assert_eq!(number("realized_spread(x, y, y, s)", values), Some(1.0));
    assert_eq!(
        number("arrival_slippage(s, x, 1, y)", values),
        Some(1e4 * 0.5 / 9.5)
    );
}

#[test]
fn an_imbalance_is_of_what_has_a_side_or_of_all() {
    let check = |call: &str, values: &str, expected: f64| {
        assert_eq!(number(call, values), Some(expected), "{call} of {values}");
    };
    let numbers = "(30, 1, 0), (10, -1, 0), (60, 0, 0), (-5, 1, 0), (NULL, 1, 0)";
    check("trade_imbalance(x, y)", numbers, 0.5);
    check("trade_imbalance(x, y, 'total')", numbers, 0.2);
    let words = "(30, 'B', 0), (10, 'sell', 0), (40, 'x', 0), (20, NULL, 0)";
    check("trade_imbalance(x, y)", words, 0.5);
    check("trade_imbalance(x, y, over => 'total')", words, 0.2);
    assert_eq!(number("trade_imbalance(x, y)", "(1, 0, 0)"), None);
    assert_eq!(
        number("trade_imbalance(x, y, 'total')", "(1, 0, 0)"),
        Some(0.0)
    );
    assert_eq!(
        refusal_text("SELECT trade_imbalance(size, 'B', 'most') FROM trades"),
        "cannot use 'most' as argument over of trade_imbalance, expected 'known' or 'total'"
    );
    assert_eq!(
        refusal_text("SELECT trade_imbalance(symbol, 1) FROM trades"),
        "cannot use Utf8 as argument size of trade_imbalance, expected a number of at most 38 \
         digits"
    );
}

#[test]
fn named_arguments_frames_and_refusals() {
    let last = "SELECT hit_rate(price - 10) OVER (ORDER BY ts ROWS 1 PRECEDING) FROM trades \
                WHERE symbol = 'A' ORDER BY ts";
    assert_eq!(rows(last), ["0.0", "0.0", "0.5", "1.0"]);
    let named = "SELECT annual_volatility(return => price, annualization => 1) > 0 FROM trades";
    assert_eq!(rows(named), ["true"]);
    assert_eq!(
        refusal_text("SELECT sharpe_ratio(price, 0, -1) FROM trades"),
        "cannot use -1 as argument annualization of sharpe_ratio, expected a positive number"
    );
    assert_eq!(
        refusal_text("SELECT sharpe_ratio(price, size) FROM trades"),
        "cannot use an expression as argument risk_free of sharpe_ratio, expected a constant"
    );
}

#[test]
fn shortfall_has_a_part_for_what_was_not_filled() {
    let cost = |arguments: &str, values: &str| -> Option<f64> {
        let sql = format!(
            "SELECT implementation_shortfall({arguments}) FROM (VALUES {values}) AS t(side, price, \
             quantity, fee, ordered, last)"
        );
        rows(&sql)[0].parse().ok()
    };
    let check = |values: &str, expected: f64| {
        let found = cost("side, price, quantity, 50.0, fee, ordered, last", values).unwrap();
        assert!(close(found, expected, 1e-12), "{values}: {found}");
    };
    // Perold's paper portfolio: 1000 to buy at 50; 400 filled at 50.10, 300 at 50.25 for fees of 7,
    // the last 300 missed while the price went to 51: 40 + 75 + 7 + 300 of 50,000.
    let fills = "('B', 50.10, 400, 4.0, NULL, NULL), ('B', 50.25, 300, 3.0, NULL, NULL)";
    check(
        &format!("{fills}, ('B', NULL, 0, 0.0, 300, 51.0)"),
        1e4 * 422.0 / 50_000.0,
    );
    // The same as one row of the order.
    let price = "(400 * 50.10 + 300 * 50.25) / 700";
    check(
        &format!("('B', {price}, 700, 7.0, 1000, 51.0)"),
        1e4 * 422.0 / 50_000.0,
    );
    // Without what was missed it is that of the fills.
    check(fills, 1e4 * 122.0 / 35_000.0);
    assert_eq!(
        cost("side, price, quantity, 50.0, fee", fills),
        cost(
            "side, price, quantity, 50.0, fee, ordered => NULL, final_price => 51",
            fills
        ),
    );
    // To sell: what rose was missed, a gain; more filled than ordered is all filled.
    check("('S', 49.5, 100, 0.0, 200, 51.0)", 1e4 * -50.0 / 10_000.0);
    check("('S', 49.5, 100, 0.0, 60, 51.0)", 1e4 * 50.0 / 5_000.0);
    // What was missed needs a price; an order for nothing is none.
    assert_eq!(
        cost(
            "side, price, quantity, 50.0, fee, ordered, last",
            "('B', 50.1, 100, 0.0, 200, NULL), ('B', NULL, 0, 0.0, 0, 51.0)"
        ),
        None
    );
}
