//! Areas put together are those of all rows, over any buckets, in any order; what does not fit.

use proptest::prelude::*;

use super::{halves, whole};
use crate::trial::{close, refusal_text, rows};

/// Rolls up the areas of buckets of `width` seconds, and the area of all rows: sum, seconds, first
/// and last value, first and last time.
fn both(method: &str, values: &str, width: i64, unit: &str) -> [Vec<f64>; 2] {
    let parts = "a['weighted_sum'], a['seconds'], a['first_value'], a['last_value'], \
                 CAST(a['first_time'] AS BIGINT), CAST(a['last_time'] AS BIGINT), average(a), \
                 a['is_linear']";
    let area = format!("time_weight('{method}', CAST(to_timestamp_micros(t) AS {unit}), v) AS a");
    let table = format!("(VALUES {values}) AS x(t, v)");
    let rolled = format!(
        "SELECT {parts} FROM (SELECT rollup(a) AS a FROM (SELECT {area} FROM {table} GROUP BY t / \
         ({width} * 1000000)))"
    );
    let whole = format!("SELECT {parts} FROM (SELECT {area} FROM {table})");
    [rolled, whole].map(|sql| {
        let line = rows(&sql).swap_remove(0);
        let numbers = line.split(' ').map(|cell| match cell.parse() {
            Ok(number) => number,
            Err(_) => f64::from(cell == "true"),
        });
        numbers.collect()
    })
}

fn same([rolled, whole]: [Vec<f64>; 2]) -> bool {
    let pairs = rolled.iter().zip(&whole);
    rolled.len() == whole.len() && pairs.into_iter().all(|(a, b)| close(*a, *b, 1e-12))
}

#[test]
fn by_hand() {
    // 4 for 7 s, 2 for 4 s, 6 for 9 s.
    let values = "(5000000, 4.0), (12000000, 2.0), (16000000, 6.0), (25000000, 9.0)";
    let [rolled, _] = both("LOCF", values, 10, "TIMESTAMP(6)");
    assert_eq!(rolled[..4], [90.0, 20.0, 4.0, 9.0]);
    let [rolled, _] = both("LINEAR", values, 10, "TIMESTAMP(3)");
    assert_eq!(rolled[..4], [21.0 + 16.0 + 67.5, 20.0, 4.0, 9.0]);
}

#[test]
fn the_last_buckets_roll_along() {
    let sql = "SELECT integral(rolling(a) OVER (ORDER BY b ROWS 1 PRECEDING)) FROM (SELECT b, \
               time_weight('LOCF', to_timestamp_seconds(t), v) AS a FROM (VALUES (0, 1, 5.0), \
               (1, 3, 7.0), (2, 4, 1.0), (2, 6, 2.0)) AS x(b, t, v) GROUP BY b) ORDER BY b";
    assert_eq!(rows(sql), ["0.0", "10.0", "9.0"]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let check = |first: &str, second: &str, message: &str| {
        let sql = format!("SELECT rollup(a) FROM ({first} UNION ALL {second})");
        assert_eq!(refusal_text(&sql), message);
    };
    let area = |method: &str, symbol: &str| {
        format!(
            "SELECT time_weight('{method}', ts, price) AS a FROM trades WHERE symbol = '{symbol}'"
        )
    };
    check(
        &area("LOCF", "A"),
        &area("LOCF", "B"),
        "cannot use time weights whose times overlap as argument summary of rollup, expected \
         those of times that follow each other, such as of buckets",
    );
    check(
        &area("LOCF", "A"),
        &area("LINEAR", "B"),
        "cannot use time weights of both methods as argument summary of rollup, expected those of \
         one method, LOCF or LINEAR",
    );
    let none = "SELECT rollup(a) IS NULL FROM (SELECT time_weight('LOCF', ts, price) AS a FROM \
                trades WHERE false)";
    assert_eq!(rows(none), ["true"]);
}

#[test]
fn any_time_comes_back_from_its_halves() {
    for time in [
        0,
        1,
        -1,
        i64::MAX,
        i64::MIN,
        1_772_443_865_123_456_789,
        -(1 << 53) - 1,
    ] {
        assert_eq!(whole(halves(time)), time);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn rolled_up_buckets_are_the_whole(
        values in prop::collection::vec((0..400_000_000_i64, -9.0..9.0_f64), 1..30),
        width in 1..90_i64,
        is_linear in any::<bool>(),
    ) {
        let values: Vec<String> = values.iter().map(|(t, v)| format!("({t}, {v:?})")).collect();
        let method = if is_linear { "LINEAR" } else { "LOCF" };
        let found = both(method, &values.join(", "), width, "TIMESTAMP(6)");
        prop_assert!(same(found.clone()), "{found:?}");
    }
}
