//! Tests of the per-row formulas: numbers by hand, null in and null out, no division by zero.

use datafusion::arrow::array::Float64Array;

use crate::argument::{Argument, Kind};
use crate::trial::{close, refusal_text, rows};

fn value(call: &str) -> Option<f64> {
    rows(&format!("SELECT {call}"))[0].parse().ok()
}

fn check(call: &str, expected: f64) {
    let found = value(call).unwrap_or_else(|| panic!("{call} is null"));
    assert!(close(found, expected, 1e-12), "{call}: {found}");
}

#[test]
fn numbers_by_hand() {
    check("mid(99.5, 100.5)", 100.0);
    check("spread(99.5, 100.5)", 1.0);
    check("spread_bps(99.5, 100.5)", 100.0);
    // More on the bid than on the ask pulls the price towards the ask.
    check("microprice(99.0, 101.0, 30, 10)", 100.5);
    check("imbalance(30, 10)", 0.5);
    check("log_return(110, 100)", 1.1_f64.ln());
    check("simple_return(110, 100)", 0.1);
    check("bps(101, 100)", 100.0);
    check("annualize_vol(0.01, 252)", 0.01 * 252_f64.sqrt());
    check("mid(CAST(99.5 AS DECIMAL(18,8)), 100)", 99.75);
    check("mid(ask => 3, bid => 1)", 2.0);
}

#[test]
fn null_where_there_is_no_answer() {
    for call in [
        "mid(NULL, 1)",
        "mid('NaN'::double, 1)",
        "spread(1, 'Infinity'::double)",
        "spread_bps(-1, 1)",
        "microprice(1, 2, 0, 0)",
        "imbalance(0, 0)",
        "log_return(0, 1)",
        "log_return(1, 0)",
        "log_return(-1, -1)",
        "simple_return(1, 0)",
        "bps(1, 0)",
        "annualize_vol(1, -1)",
    ] {
        assert_eq!(value(call), None, "{call}");
    }
}

#[test]
fn columns_and_constants_mix() {
    let sql = "SELECT mid(price, 20), spread(10, price) FROM trades WHERE symbol = 'A' ORDER BY ts";
    assert_eq!(rows(sql), ["15.0 0.0", "14.5 -1.0", "16.0 2.0", "15.5 1.0"]);
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    check(
        "mid(price)",
        "cannot call mid with 1 arguments, expected mid(bid, ask)",
    );
    check(
        "spread(price, symbol)",
        "cannot use Utf8 as argument ask of spread, expected a number of at most 38 digits",
    );
}

#[test]
fn sides_words_and_what_may_be_left_out() {
    check("slippage_bps('buy', 10.02, 10)", 20.0);
    check("slippage_bps('S', 10.02, 10)", -20.0);
    check("slippage_bps(-1, 9.98, 10)", 20.0);
    check("effective_spread_bps(9.99, 10)", 20.0);
    check("markout(10, 'B', 10.05)", 50.0);
    check("notional(10, 3)", 30.0);
    check("notional(10, 3, 100, 1.1)", 3300.0);
    check("notional(10, 3, rate => 0.5, multiplier => 2)", 30.0);
    check("unrealized_pnl(100, 9.5, 10)", 50.0);
    check("unrealized_pnl(-100, 9.5, 10, 10)", -500.0);
    check("total_pnl(12.5, 100, 9.5, 10)", 62.5);
    check("stress_pnl(100, 50, -10)", -500.0);
    check("stress_pnl(100, 50, -10, 0.5, 0.02)", 100.0 * (-2.5 + 0.25));
    check("leverage(250, 100)", 2.5);
    check("signed_qty('sell', 5)", -5.0);
    check("signed_qty(1, 2.5)", 2.5);
    check("sign(-3)", -1.0);
    check("sign(0)", 0.0);
    for call in [
        "slippage_bps('other', 1, 1)",
        "slippage_bps(0.5, 1, 1)",
        "signed_qty('?', 1)",
        "leverage(1, 0)",
        "limit_check(1, 0)",
        "bs_price('c', -1, 1, 1, 0, 0, 0.1)",
        "implied_vol('c', 200, 100, 100, 1, 0, 0)",
        "implied_vol('p', 0.5, 90, 100, 1, 0, 0)",
        "norm_ppf(1)",
    ] {
        assert_eq!(value(call), None, "{call}");
    }
    assert_eq!(
        rows("SELECT signed_qty('S', CAST(1.25 AS DECIMAL(9,2)))"),
        ["-1.25"]
    );
}

#[test]
fn the_quote_decides_before_the_tick() {
    check("lee_ready(10.2, 10, 10.2, 11)", 1.0);
    check("lee_ready(10.0, 10, 10.2, 9)", -1.0);
    check("lee_ready(10.1, 10, 10.2, 10)", 1.0);
    check("lee_ready(10.1, 10, 10.2, NULL)", 0.0);
    check("tick_rule(9, 10)", -1.0);
    check("tick_rule(10, 10)", 0.0);
    assert_eq!(value("lee_ready(NULL, 10, 10.2, 10)"), None);
}

#[test]
fn prices_on_the_grid() {
    check("round_to_tick(10.03, 0.05)", 10.05);
    check("round_to_tick(10.03, 0.05, 'down')", 10.0);
    check("round_to_tick(10.01, 0.05, mode => 'up')", 10.05);
    // 0.3 / 0.1 is 2.9999999999999996: it is on the grid all the same.
    assert_eq!(
        rows("SELECT round_to_tick(0.3, 0.1, 'down'), round_to_tick(0.3, 0.1, 'up')"),
        ["0.3 0.3"]
    );
    check("round_to_tick(-10.03, 0.05, 'down')", -10.05);
    check("round_to_tick(7, 2.5)", 7.5);
    assert_eq!(value("round_to_tick(1, 0)"), None);
}

#[test]
fn limits_have_levels() {
    let cells = |call: &str| rows(&format!("SELECT {call}"))[0].clone();
    assert_eq!(
        cells("limit_check(-85, 100)"),
        "{breached: false, utilization: 0.85, level: 1}"
    );
    assert_eq!(
        cells("limit_check(101, 100)"),
        "{breached: true, utilization: 1.01, level: 2}"
    );
    assert_eq!(
        cells("limit_check(85, 100, 90)"),
        "{breached: false, utilization: 0.85, level: 0}"
    );
}

#[test]
fn unknown_words_are_refused_at_planning() {
    assert_eq!(
        refusal_text("EXPLAIN SELECT round_to_tick(price, 1, 'sideways') FROM trades"),
        "cannot use 'sideways' as argument mode of round_to_tick, expected 'nearest', 'up' or \
         'down'"
    );
}

#[test]
fn options_without_time_are_worth_what_they_pay() {
    check("bs_price('c', 110, 100, 0, 0.05, 0, 0.2)", 10.0);
    check("bs_price('put', 110, 100, 0, 0.05, 0, 0.2)", 0.0);
    check("bs_price('p', 90, 100, 1, 0, 0, 0)", 10.0);
    check("bs_price('c', 100, 100, 0, 0, 0, 0.2)", 0.0);
    // Put-call parity.
    let parity = "bs_price('c', 100, 95, 0.5, 0.03, 0.01, 0.3) \
                  - bs_price('p', 100, 95, 0.5, 0.03, 0.01, 0.3)";
    check(
        parity,
        100.0 * (-0.005_f64).exp() - 95.0 * (-0.015_f64).exp(),
    );
    let implied = "implied_vol('p', bs_price('p', 100, 130, 0.5, 0.03, 0.01, 0.37), 100, 130, \
                   0.5, 0.03, 0.01)";
    let found = value(implied).unwrap();
    assert!(close(found, 0.37, 1e-9), "{found}");
}

#[test]
fn positions_are_worth_their_mark() {
    check("mark_to_market(100, 9.5)", 950.0);
    check("mark_to_market(-2, 9.5, 50)", -950.0);
    assert_eq!(value("mark_to_market(100, NULL)"), None);
    assert_eq!(value("mark_to_market(100, 'NaN'::double)"), None);
}

#[test]
fn amounts_of_decimals_are_exact() {
    let check = |call: &str, expected: &str, kind: &str| {
        let sql = format!("SELECT {call}, arrow_typeof({call}) = '{kind}'");
        assert_eq!(rows(&sql), [format!("{expected} true")], "{call}");
    };
    let d = |value: &str, digits: u8| format!("CAST({value} AS DECIMAL(20,{digits}))");
    let (tenth, price, mark) = (d("0.1", 1), d("100.01", 2), d("100.123456", 6));
    check(
        &format!("unrealized_pnl({tenth}, {price}, {mark})"),
        "0.0113456",
        "Decimal128(38, 7)",
    );
    check(
        &format!("unrealized_pnl(-30000000000000, {price}, {mark}, {tenth})"),
        "-340368000000.0000000",
        "Decimal128(38, 7)",
    );
    check(
        &format!("total_pnl({price}, 3, {price}, {mark})"),
        "100.350368",
        "Decimal128(38, 6)",
    );
    check(
        &format!("notional({price}, 3)"),
        "300.03",
        "Decimal128(38, 2)",
    );
    check(
        &format!("notional({price}, 3, 100, {tenth})"),
        "3000.300",
        "Decimal128(38, 3)",
    );
    check(
        &format!("mark_to_market(-7, multiplier => 2, mark => {mark})"),
        "-1401.728384",
        "Decimal128(38, 6)",
    );
    // A float among them, or integers alone, make floats; a null is null.
    check(
        &format!("notional({price}, CAST(2 AS DOUBLE))"),
        "200.02",
        "Float64",
    );
    check("notional(100, 2)", "200.0", "Float64");
    let null = format!("SELECT notional({price}, NULL) IS NULL, notional(NULL, NULL) IS NULL");
    assert_eq!(rows(&null), ["true true"]);
    let columns = "SELECT sum(notional(CAST(price AS DECIMAL(12,2)), CAST(size AS BIGINT))) \
                   FROM trades";
    assert_eq!(rows(columns), ["290.00"]);
}

#[test]
fn amounts_that_do_not_fit_are_refused() {
    let huge = "CAST(99999999999999999999999999999999999999 AS DECIMAL(38,0))";
    assert_eq!(
        refusal_text(&format!(
            "SELECT notional({huge}, CAST(size AS BIGINT)) FROM trades"
        )),
        "cannot express the amount of notional in Decimal128(38, 0)"
    );
    let fine = "CAST(price AS DECIMAL(38,30))";
    assert_eq!(
        refusal_text(&format!("SELECT notional({fine}, {fine}) FROM trades")),
        "cannot express the amount of notional in Decimal128(38, 38)"
    );
}

/// A value that an argument may have.
fn usual(argument: &Argument) -> f64 {
    match argument.kind {
        Kind::Word(words, _) => words[0].1,
        Kind::Side => 1.0,
        Kind::Number | Kind::Between(..) => 0.75,
    }
}

#[test]
fn no_formula_has_an_answer_without_an_argument_that_it_needs() {
    let (mut answered, mut formulas) = (0, 0);
    for formula in super::all() {
        let name = formula.doc.name;
        let usual: Vec<f64> = formula.arguments.iter().map(usual).collect();
        let outputs = |given: &[Option<f64>]| {
            let columns: Vec<Float64Array> = given
                .iter()
                .map(|value| Float64Array::from(vec![*value]))
                .collect();
            formula.rows(&columns, 1).map(|output| output[0])
        };
        let whole: Vec<Option<f64>> = usual.iter().copied().map(Some).collect();
        answered += usize::from(outputs(&whole)[0].is_some());
        formulas += 1;
        for (place, argument) in formula.arguments.iter().enumerate() {
            for none in [
                None,
                Some(f64::NAN),
                Some(f64::INFINITY),
                Some(f64::NEG_INFINITY),
            ] {
                let mut given = whole.clone();
                given[place] = none;
                let found = outputs(&given);
                let is_null = found.iter().all(Option::is_none);
                assert!(
                    argument.may_be_null || is_null,
                    "{name}, {place}: {found:?}"
                );
            }
        }
        // Whatever comes, what is given is a number.
        for value in [0.0, -0.75, 1e300, -1e300, 1e-300, 1.0, -1.0] {
            let found = outputs(&vec![Some(value); usual.len()]);
            assert!(
                found.iter().flatten().all(|value| value.is_finite()),
                "{name}"
            );
        }
    }
    assert!(
        answered * 10 > formulas * 8,
        "only {answered} of {formulas}"
    );
}
