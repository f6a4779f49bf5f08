//! Tests of `vwap`: numbers by hand, the rules for rows that do not count, and any cut.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Decimal128Array, Float64Array};
use proptest::prelude::*;

use crate::error::FunctionError;
use crate::trial::{Input, aggregate, assert_close, merged, one_pass, refusal, refusal_text, rows};

#[test]
fn weights_prices_by_size() {
    // A: (10 * 1 + 12 * 3 + 11 * 4) / 8 = 11.25; the tick without a size does not count.
    // B: (50 * 2 + 51 * 1 + 49 * 1) / 4 = 50.
    let sql = "SELECT symbol, vwap(price, size) FROM trades GROUP BY symbol ORDER BY symbol";
    assert_eq!(rows(sql), ["A 11.25", "B 50.0"]);
}

#[test]
fn equals_the_quotient_of_datafusions_sums() {
    let sql = "SELECT vwap(price, size) = sum(price * size) / sum(size) FROM trades";
    assert_eq!(rows(sql), ["true"]);
}

#[test]
fn rows_that_do_not_count() {
    let check = |values: &str, expected: &str| {
        let sql = format!(
            "SELECT arrow_typeof(v), v FROM (SELECT vwap(p, CAST(s AS DOUBLE)) AS v \
             FROM (VALUES {values}) AS t(p, s))"
        );
        assert_eq!(
            rows(&sql),
            [format!("Float64 {expected}").trim()],
            "{values}"
        );
    };
    check("(10.0, 1)", "10.0");
    check(
        "(10.0, 1), (20.0, 0), (30.0, -5), (NULL, 7), (40.0, NULL)",
        "10.0",
    );
    check(
        "(10.0, 1), ('NaN'::double, 1), ('Infinity'::double, 1)",
        "10.0",
    );
    check(
        "(10.0, 1), (11.0, 'NaN'::double), (12.0, '-Infinity'::double)",
        "10.0",
    );
    check("(10.0, 0)", "");
    check("(NULL, NULL)", "");
    check("(-37.5, 2), (10.0, 2)", "-13.75");
}

#[test]
fn empty_input_is_null() {
    assert_eq!(
        rows("SELECT vwap(price, size) IS NULL FROM trades WHERE false"),
        ["true"]
    );
    assert!(rows("SELECT vwap(price, size) FROM trades WHERE false GROUP BY symbol").is_empty());
}

#[test]
fn decimals_are_exact_and_rounded_once() {
    let check = |price: &str, size: &str, values: &str, expected: &str| {
        let sql = format!(
            "SELECT arrow_typeof(v), v FROM (SELECT vwap(CAST(p AS {price}), CAST(s AS {size})) \
             AS v FROM (VALUES {values}) AS t(p, s))"
        );
        assert_eq!(rows(&sql), [expected], "{values}");
    };
    check(
        "DECIMAL(18,8)",
        "DECIMAL(10,2)",
        "('10', '1'), ('11', '2'), ('12', '3')",
        "Decimal128(26, 16) 11.3333333333333333",
    );
    check(
        "DECIMAL(4,0)",
        "INT",
        "('1', '1'), ('2', '1')",
        "Decimal128(20, 16) 1.5000000000000000",
    );
    // 1 / 2^17 = 0.00000762939453125: half away from zero, on both sides of it.
    check(
        "DECIMAL(4,0)",
        "INT",
        "('0', '131071'), ('1', '1')",
        "Decimal128(20, 16) 0.0000076293945313",
    );
    check(
        "DECIMAL(4,0)",
        "INT",
        "('0', '131071'), ('-1', '1')",
        "Decimal128(20, 16) -0.0000076293945313",
    );
    // No digit is lost where doubles have none left.
    check(
        "DECIMAL(38,0)",
        "DECIMAL(38,0)",
        "('90000000000000000000000000000000000001', '30000000000000000000000000000000000001')",
        "Decimal128(38, 0) 90000000000000000000000000000000000001",
    );
    // A double on either side makes the result a double.
    check(
        "DECIMAL(18,8)",
        "DOUBLE",
        "('10', '1'), ('20', '3')",
        "Float64 17.5",
    );
    check(
        "DOUBLE",
        "DECIMAL(18,8)",
        "('10', '1'), ('20', '3')",
        "Float64 17.5",
    );
    check("INT", "INT", "('10', '1'), ('20', '3')", "Float64 17.5");
}

#[test]
fn sums_of_decimals_do_not_wrap() {
    let many = ["('90000000000000000000000000000000000000')"; 9].join(", ");
    let sql = format!(
        "SELECT vwap(CAST(p AS DECIMAL(38,0)), CAST(p AS DECIMAL(38,0))) FROM (VALUES {many}) t(p)"
    );
    assert!(matches!(
        refusal(&sql),
        FunctionError::Overflow {
            function: "vwap",
            ..
        }
    ));
}

#[test]
fn filter_and_growing_frame() {
    let sql = "SELECT vwap(price, size) FILTER (WHERE size > 1) FROM trades WHERE symbol = 'A'";
    assert_eq!(rows(sql), ["11.428571428571429"]);
    let sql = "SELECT vwap(price, size) OVER (ORDER BY ts) FROM trades WHERE symbol = 'A' \
               ORDER BY ts";
    assert_eq!(rows(sql), ["10.0", "10.0", "11.5", "11.25"]);
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    check(
        "vwap(price, size, 1)",
        "cannot call vwap with 3 arguments, expected vwap(price, size)",
    );
    check(
        "vwap(symbol, size)",
        "cannot use Utf8 as argument price of vwap, expected a number of at most 38 digits",
    );
    check(
        "vwap(DISTINCT price, size)",
        "cannot use DISTINCT with vwap",
    );
}

/// Group, price and size.
type Tick = (usize, Option<f64>, Option<f64>);

fn floats() -> impl Strategy<Value = Vec<Tick>> {
    let price = prop_oneof![
        8 => (0.01..1000.0_f64).prop_map(Some),
        1 => Just(None),
        1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1e-300)].prop_map(Some),
    ];
    let size = prop_oneof![8 => (0.0..1e6_f64).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((0..4_usize, price, size), 0..60)
}

proptest! {
    #[test]
    fn any_cut_and_merge_order_gives_one_pass(
        ticks in floats(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        reverse in any::<bool>(),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(ticks.len() + 1)).collect();
        cuts.sort_unstable();
        let order = |parts: &mut Vec<usize>| if reverse { parts.reverse() };
        let groups: Vec<usize> = ticks.iter().map(|tick| tick.0).collect();
        let column = |pick: fn(&Tick) -> Option<f64>| -> ArrayRef {
            Arc::new(ticks.iter().map(pick).collect::<Float64Array>())
        };
        let columns = vec![column(|tick| tick.1), column(|tick| tick.2)];
        let input = Input { columns, groups: groups.clone(), group_count: 4 };
        let function = aggregate("vwap");
        assert_close(&merged(&function, &input, &cuts, order), &one_pass(&function, &input));

        let decimal = |pick: fn(&Tick) -> Option<f64>| -> ArrayRef {
            let raw = |value: f64| value.is_finite().then_some((value * 1e8) as i128);
            let values = ticks.iter().map(|tick| pick(tick).and_then(raw));
            let values = values.collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(18, 8).unwrap())
        };
        let columns = vec![decimal(|tick| tick.1), decimal(|tick| tick.2)];
        let input = Input { columns, groups, group_count: 4 };
        assert_close(&merged(&function, &input, &cuts, order), &one_pass(&function, &input));
    }
}
