//! Tests of the per-row formulas: numbers by hand, null in and null out, no division by zero.

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
