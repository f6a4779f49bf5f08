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

/// Level and event (`*`) of a limit after each of these values.
fn levels(limits: &str, values: &[&str]) -> String {
    let values: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(at, value)| format!("({at}, CAST({value} AS DOUBLE))"))
        .collect();
    let sql = format!(
        "SELECT coalesce(CAST(l['level'] AS VARCHAR), '-'), CASE WHEN l['event'] THEN '*' ELSE '' \
         END FROM (SELECT t, limit_breach(v, {limits}) OVER (ORDER BY t) AS l FROM (VALUES {}) AS \
         x(t, v)) ORDER BY t",
        values.join(", ")
    );
    let rows = rows(&sql).into_iter().map(|row| row.replace(' ', ""));
    rows.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_limit_is_breached_above_it_and_left_below_the_band() {
    // From soft to hard and back, each change an event; a limit itself is no breach.
    assert_eq!(
        levels("10, 20, 2", &["5", "10", "10.5", "20", "20.5", "21", "5"]),
        "0 0 1* 1 2* 2 0*"
    );
    // Inside the band the level stays; at its lower edge it falls.
    assert_eq!(
        levels("10, 20, 2", &["11", "9", "8.001", "8", "9", "10", "11"]),
        "1* 1 1 0* 0 0 1*"
    );
    // From hard it falls to soft, and from there only by the band of soft.
    assert_eq!(
        levels("10, 20, 2", &["25", "19", "18", "19", "9", "7"]),
        "2* 2 1* 1 1 0*"
    );
    // Without a band it flickers.
    assert_eq!(
        levels("10, 20", &["10.1", "10", "10.1", "20.1", "20"]),
        "1* 0* 1* 2* 1*"
    );
}

#[test]
fn a_limit_is_one_of_the_magnitude() {
    assert_eq!(
        levels("10, 20, 2", &["-11", "-25", "-19", "25", "-9", "-8", "8"]),
        "1* 2* 2 2 1* 0* 0"
    );
    // What has no value changes nothing, nor is it an event.
    assert_eq!(
        levels(
            "10, 20, 2",
            &["25", "NULL", "'NaN'", "19", "'Infinity'", "0"]
        ),
        "2* - - 2 - 0*"
    );
    // One limit of two names: its level is that of hard.
    assert_eq!(levels("10, 10", &["11", "10"]), "2* 0*");
}

#[test]
fn limits_are_in_order_and_not_negative() {
    let refused = |limits: &str| {
        refusal_text(&format!(
            "SELECT limit_breach(price, {limits}) OVER (ORDER BY ts) FROM trades"
        ))
    };
    assert_eq!(
        refused("12, 11"),
        "cannot use 12 as argument soft of limit_breach, expected a number not above hard"
    );
    assert!(refused("1, 2, -0.5").starts_with("cannot use -0.5 as argument hysteresis"));
    assert!(refused("-1, 2").starts_with("cannot use -1 as argument soft of limit_breach"));
    assert!(refused("NULL, 2").starts_with("cannot use NULL as argument soft of limit_breach"));
}
