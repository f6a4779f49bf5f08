//! Tests of signals by hand.

use crate::trial::{refusal_text, rows};

fn series(call: &str) -> String {
    let sql = format!(
        "SELECT coalesce(CAST({call} OVER (ORDER BY t) AS VARCHAR), '-') FROM (VALUES \
         (1, 1, 2), (2, 3, 2), (3, 4, 2), (4, NULL, 2), (5, 2, 2), (6, 1, 2), (7, 3, 2)) \
         AS x(t, a, b) ORDER BY t"
    );
    let short = |row: String| row.replace("true", "1").replace("false", "0");
    rows(&sql)
        .into_iter()
        .map(short)
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn by_hand() {
    assert_eq!(series("crossover(a, b)"), "0 1 0 - 0 0 1");
    assert_eq!(series("crossunder(a, b)"), "0 0 0 - 0 1 0");
    assert_eq!(series("rising(a)"), "0 1 1 - 0 0 1");
    assert_eq!(series("rising(a, 2)"), "0 0 1 - 0 0 0");
    assert_eq!(series("falling(a, rows => 2)"), "0 0 0 - 0 1 0");
    assert_eq!(series("bars_since(a = 3)"), "- 0 1 - 2 3 0");
    assert_eq!(series("signal_state(a > 3, a < 2)"), "0 0 1 - 1 0 0");
}

#[test]
fn conditions_are_booleans() {
    assert_eq!(
        refusal_text("SELECT bars_since(price) OVER (ORDER BY ts) FROM trades"),
        "cannot use Float64 as argument condition of bars_since, expected a boolean"
    );
}
