//! Tests of window functions on `ema` and `rsi`: numbers by hand, rows without a value, refusals.
//! The comparison with TA-Lib's C library on real bars is `tests/oracle`.

use crate::trial::{refusal_text, rows};

fn series(call: &str, values: &str) -> Vec<String> {
    let sql = format!(
        "SELECT coalesce(CAST(round({call} OVER (ORDER BY t), 9) AS VARCHAR), '-') FROM (VALUES \
         {values}) AS x(t, v) ORDER BY t"
    );
    rows(&sql)
}

#[test]
fn ema_by_hand() {
    // Seed (1 + 2 + 6) / 3 = 3, then 3 + (4 - 3) / 2 = 3.5 and 3.5 + (8 - 3.5) / 2 = 5.75.
    let values = "(1, 1.0), (2, 2.0), (3, 6.0), (4, 4.0), (5, 8.0)";
    assert_eq!(
        series("ema(v, 3)", values),
        ["-", "-", "3.0", "3.5", "5.75"]
    );
    assert_eq!(
        series("ta_ema(v, timeperiod => 3)", values),
        ["-", "-", "3.0", "3.5", "5.75"]
    );
    assert_eq!(
        series("ema(v, 1)", values),
        ["1.0", "2.0", "6.0", "4.0", "8.0"]
    );
}

#[test]
fn rsi_by_hand() {
    // Changes +1 +3 -2: gain 2, loss 0 -> 100; then gain 1, loss 1 -> 50.
    let values = "(1, 1.0), (2, 2.0), (3, 5.0), (4, 3.0)";
    assert_eq!(series("rsi(v, 2)", values), ["-", "-", "100.0", "50.0"]);
    assert_eq!(series("ta_rsi(v, 2)", values), ["-", "-", "100.0", "50.0"]);
}

#[test]
fn the_defaults_are_ta_libs() {
    let sql = |call: &str| {
        format!(
            "SELECT count(*) - count(x) FROM (SELECT {call} OVER (ORDER BY value) AS x \
             FROM generate_series(1, 40))"
        )
    };
    assert_eq!(rows(&sql("ema(value)")), ["29"]);
    assert_eq!(rows(&sql("rsi(value)")), ["14"]);
}

#[test]
fn rows_without_a_value_are_passed_over() {
    let values = "(1, 1.0), (2, NULL), (3, 2.0), (4, 'NaN'::double), (5, 6.0), \
                  (6, 'Infinity'::double), (7, 4.0), (8, 8.0)";
    assert_eq!(
        series("ema(v, 3)", values),
        ["-", "-", "-", "-", "3.0", "-", "3.5", "5.75"]
    );
    assert_eq!(series("rsi(v, 2)", "(1, NULL), (2, NULL)"), ["-", "-"]);
}

#[test]
fn a_short_partition_is_all_warm_up() {
    assert_eq!(series("ema(v, 3)", "(1, 1.0)"), ["-"]);
    assert_eq!(series("rsi(v)", "(1, 1.0), (2, 2.0)"), ["-", "-"]);
}

#[test]
fn partitions_are_separate_and_types_are_coerced() {
    let sql = "SELECT symbol, ema(CAST(price AS DECIMAL(9,2)), 2) OVER (PARTITION BY symbol \
               ORDER BY ts, price DESC) FROM trades ORDER BY symbol, ts, price DESC";
    assert_eq!(
        rows(sql),
        [
            "A",
            "A 9.5",
            "A 11.166666666666666",
            "A 11.055555555555555",
            "B",
            "B 50.5",
            "B 49.5"
        ]
    );
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    check(
        "ema(price, 0) OVER (ORDER BY ts)",
        "cannot use 0 as argument timeperiod of ema, expected an integer from 1 to 100000",
    );
    check(
        "rsi(price, 1) OVER (ORDER BY ts)",
        "cannot use 1 as argument timeperiod of rsi, expected an integer from 2 to 100000",
    );
    check(
        "ema(price, 2.5) OVER (ORDER BY ts)",
        "cannot use Float64 as argument timeperiod of ema, expected an integer",
    );
    check(
        "ema(price, CAST(size AS INT)) OVER (ORDER BY ts)",
        "cannot use an expression as argument timeperiod of ema, expected a constant",
    );
    check(
        "ema(symbol) OVER (ORDER BY ts)",
        "cannot use Utf8 as argument value of ema, expected a number of at most 38 digits",
    );
    check(
        "ema(price) OVER (PARTITION BY symbol)",
        "cannot use OVER without ORDER BY with ema",
    );
    check(
        "ema(price) OVER (ORDER BY ts ROWS BETWEEN 5 PRECEDING AND CURRENT ROW)",
        "cannot use a window frame with ema",
    );
}
