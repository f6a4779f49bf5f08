//! Tests of what runs from the first row: gaps, sessions, anchors, divisions by zero.

use crate::trial::rows;

fn series(call: &str, values: &str) -> Vec<String> {
    let sql = format!(
        "SELECT coalesce(CAST({call} OVER (ORDER BY t) AS VARCHAR), '-') FROM (VALUES {values}) \
         AS x(t, a, b, s) ORDER BY t"
    );
    rows(&sql)
}

#[test]
fn gaps_are_passed_over_or_filled() {
    let values = "(1, NULL, 1, 'x'), (2, 8.0, 1, 'x'), (3, NULL, 1, 'y'), (4, 4.0, 0, 'y')";
    assert_eq!(series("ffill(a)", values), ["-", "8.0", "8.0", "4.0"]);
    assert_eq!(series("returns(a)", values), ["-", "-", "-", "-0.5"]);
    assert_eq!(series("drawdown(a)", values), ["-", "0.0", "-", "-0.5"]);
    assert_eq!(series("drawdown_duration(a)", values), ["-", "0", "-", "1"]);
    assert_eq!(series("cumsum(a)", values), ["-", "8.0", "-", "12.0"]);
    assert_eq!(
        series("returns(b)", "(1, 0, 0.0, ''), (2, 0, 1.0, '')"),
        ["-", "-"]
    );
    assert_eq!(
        series("log_returns(b)", "(1, 0, -1.0, ''), (2, 0, 1.0, '')"),
        ["-", "-"]
    );
}

#[test]
fn average_prices_begin_anew() {
    let values = "(1, 10.0, 1, 'x'), (2, 12.0, 1, 'x'), (3, 20.0, 0, 'y'), (4, 30.0, 3, 'y'), \
                  (5, 10.0, 1, 'y')";
    let by_session = ["10.0", "11.0", "-", "30.0", "25.0"];
    assert_eq!(series("session_vwap(a, b, s)", values), by_session);
    let by_anchor = ["10.0", "12.0", "12.0", "25.5", "22.4"];
    assert_eq!(series("anchored_vwap(a, b, t = 2)", values), by_anchor);
}
