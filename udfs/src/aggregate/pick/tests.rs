//! Tests of `first`, `last`, `arg_min`, `arg_max`: ties, types, rows that do not count, any cut.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use proptest::prelude::*;

use crate::trial::{
    Input, aggregate, assert_close, merged, one_pass, refusal_text, reordered, rows,
};

fn over(values: &str, calls: &str) -> Vec<String> {
    rows(&format!("SELECT {calls} FROM (VALUES {values}) AS t(k, v)"))
}

#[test]
fn picks_by_time() {
    let sql = "SELECT symbol, first(price, ts), last(price, ts), arg_max(size, price), \
               arg_min(ts, price) FROM trades GROUP BY symbol ORDER BY symbol";
    // B's last two ticks share a time: the later arrival (49.0) is the last one.
    assert_eq!(
        rows(sql),
        [
            "A 10.0 11.0 3.0 2026-03-02T09:30:10",
            "B 50.0 49.0 1.0 2026-03-02T09:31:30",
        ]
    );
}

#[test]
fn a_row_without_key_or_value_does_not_count() {
    let values = "(3, 'c'), (NULL, 'x'), (1, NULL), (2, 'b')";
    assert_eq!(over(values, "first(v, k), last(v, k)"), ["b c"]);
    assert_eq!(
        over(
            "(NULL, 'x'), (1, NULL)",
            "first(v, k) IS NULL, max_by(v, k) IS NULL"
        ),
        ["true true"]
    );
}

#[test]
fn nan_and_infinity_do_not_count() {
    let values = "(1.0, 5.0), ('NaN'::double, 6.0), ('Infinity'::double, 7.0), \
                  (2.0, 'NaN'::double), ('-Infinity'::double, 8.0)";
    assert_eq!(
        over(
            values,
            "first(v, k), last(v, k), arg_min(k, v), arg_max(k, v)"
        ),
        ["5.0 5.0 1.0 1.0"]
    );
}

#[test]
fn equal_keys() {
    let values = "(1, 'a'), (1, 'b'), (1, 'c')";
    let calls = "first(v, k), last(v, k), arg_min(v, k), arg_max(v, k)";
    assert_eq!(over(values, calls), ["a c a a"]);
    // Minus zero and zero are one key.
    assert_eq!(over("(0.0, 'a'), (-0.0, 'b')", calls), ["a b a a"]);
}

#[test]
fn keys_of_every_kind() {
    let check = |kind: &str, small: &str, large: &str| {
        let sql = format!(
            "SELECT first(v, k), last(v, k) FROM (SELECT arrow_cast(k, '{kind}') AS k, v \
             FROM (VALUES ({large}, 'large'), ({small}, 'small')) AS t(k, v))"
        );
        assert_eq!(rows(&sql), ["small large"], "{kind}");
    };
    check("Int8", "-128", "127");
    check("UInt64", "1", "18446744073709551615");
    check("Float64", "-1.5", "-1.25");
    check("Float32", "-1.5", "1e30");
    check("Decimal128(38, 10)", "-5.5", "5.25");
    check("Date32", "'1969-12-31'", "'1970-01-01'");
    check(
        "Timestamp(Nanosecond, None)",
        "'2026-01-01T00:00:00.000000001'",
        "'2026-01-01T00:00:00.000000002'",
    );
    check(
        "Timestamp(Second, Some(\"UTC\"))",
        "'1960-01-01T00:00:00Z'",
        "'1960-01-01T00:00:01Z'",
    );
}

#[test]
fn values_of_every_kind() {
    let check = |kind: &str, value: &str, shown: &str| {
        let sql = format!(
            "SELECT arrow_typeof(f), f FROM (SELECT first(arrow_cast(v, '{kind}'), k) AS f \
             FROM (VALUES (1, {value}), (2, NULL)) AS t(k, v))"
        );
        assert_eq!(rows(&sql), [format!("{kind} {shown}")], "{kind}");
    };
    check("Utf8View", "'x'", "x");
    check("Boolean", "true", "true");
    check("Decimal128(10, 2)", "1.25", "1.25");
    check("Float32", "1.5", "1.5");
    check("UInt16", "65535", "65535");
    check("Date32", "'2026-03-02'", "2026-03-02");
    check("Binary", "'ab'", "6162");
}

#[test]
fn equals_datafusions_ordered_values() {
    let sql = "SELECT first(price, ts) = first_value(price ORDER BY ts), \
               last(price, ts) = last_value(price ORDER BY ts) FROM trades WHERE symbol = 'A'";
    assert_eq!(rows(sql), ["true true"]);
}

#[test]
fn empty_groups_are_null() {
    let sql = "SELECT first(price, ts) IS NULL, last(symbol, ts) IS NULL FROM trades WHERE false";
    assert_eq!(rows(sql), ["true true"]);
    let sql = "SELECT symbol, first(symbol, ts) FILTER (WHERE price > 40) FROM trades \
               GROUP BY symbol ORDER BY symbol";
    assert_eq!(rows(sql), ["A", "B B"]);
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    check(
        "first(price)",
        "cannot call first with 1 arguments, expected first(value, time)",
    );
    check(
        "arg_max(price, symbol)",
        "cannot use Utf8 as argument key of arg_max, expected a timestamp or a number of at \
         most 38 digits",
    );
    check(
        "last(price, ts ORDER BY size)",
        "cannot use ORDER BY with last",
    );
}

proptest! {
    /// With distinct keys the result depends neither on the cut nor on any order; with equal keys
    /// not on the cut, and on the order of arrival as documented.
    #[test]
    fn any_cut_gives_one_pass_and_distinct_keys_any_order(
        groups in prop::collection::vec(0..3_usize, 0..50),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..5),
        spread in prop::sample::select(vec![1_i64, 7]),
        shuffled in any::<u64>(),
    ) {
        let count = groups.len();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(count + 1)).collect();
        cuts.sort_unstable();
        // A permutation of 0..count as keys; integer division makes them collide.
        let mut keys: Vec<i64> = (0..count as i64).collect();
        keys.sort_by_key(|&key| (key as u64).wrapping_mul(shuffled | 1).rotate_left(17));
        let times = keys.iter().map(|&key| (key % 11 != 5).then_some(key / spread));
        let times: ArrayRef = Arc::new(times.collect::<TimestampMicrosecondArray>());
        let numbers = (0..count).map(|row| (row % 6 != 4).then_some(row as f64));
        let numbers: ArrayRef = Arc::new(numbers.collect::<Float64Array>());
        let words = (0..count).map(|row| (row % 5 != 3).then(|| format!("w{row}")));
        let words: ArrayRef = Arc::new(words.collect::<StringArray>());
        for name in ["first", "last", "arg_min", "arg_max"] {
            let function = aggregate(name);
            for values in [&numbers, &words] {
                let columns = vec![Arc::clone(values), Arc::clone(&times)];
                let input = Input { columns, groups: groups.clone(), group_count: 3 };
                let expected = one_pass(&function, &input);
                assert_close(&merged(&function, &input, &cuts, |_| ()), &expected);
                if spread == 1 {
                    let found = merged(&function, &input, &cuts, |parts| parts.reverse());
                    assert_close(&found, &expected);
                    let back: Vec<usize> = (0..count).rev().collect();
                    assert_close(&one_pass(&function, &reordered(&input, &back)), &expected);
                }
            }
        }
    }
}
