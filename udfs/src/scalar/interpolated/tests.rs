//! Tests of `interpolated_average`: by hand, with and without neighbours, what does not fit.

use crate::trial::{refusal_text, rows};

/// The mean over the second from 10 s to 20 s of values at seconds, in the buckets around it.
fn mean(method: &str, values: &str, neighbours: &str) -> String {
    let sql = format!(
        "SELECT coalesce(CAST(round(interpolated_average(a, to_timestamp_micros(10000000), \
         INTERVAL '10 seconds'{neighbours}), 9) AS VARCHAR), '-') FROM (SELECT b, a, lag(a) OVER \
         (ORDER BY b) AS p, lead(a) OVER (ORDER BY b) AS n FROM (SELECT s / 10 AS b, \
         time_weight('{method}', to_timestamp_micros(s * 1000000), CAST(v AS DOUBLE)) AS a FROM \
         (VALUES {values}) AS x(s, v) GROUP BY b)) WHERE b = 1"
    );
    rows(&sql).swap_remove(0)
}

/// 4 at 5 s, 2 at 12 s, 6 at 16 s, 9 at 25 s.
const VALUES: &str = "(5, 4), (12, 2), (16, 6), (25, 9)";

#[test]
fn the_last_value_stands_until_the_end() {
    // 2 for four seconds and 6 for four, of the eight since the first row.
    assert_eq!(mean("LOCF", VALUES, ""), "4.0");
    // And 4 for two seconds before it.
    assert_eq!(mean("LOCF", VALUES, ", p, n"), "4.0");
    assert_eq!(mean("LOCF", "(5, 9), (12, 2), (16, 6)", ", p"), "5.0");
    assert_eq!(mean("LOCF", VALUES, ", next => n, previous => NULL"), "4.0");
}

#[test]
fn lines_lead_to_the_neighbours() {
    // Between the rows only: the mean of 2 and 6.
    assert_eq!(mean("LINEAR", VALUES, ""), "4.0");
    // At 10 s the line from 4 to 2 is at 18/7, at 20 s that from 6 to 9 at 22/3.
    let at_start: f64 = 4.0 - 2.0 * 5.0 / 7.0;
    let at_end: f64 = 6.0 + 3.0 * 4.0 / 9.0;
    let before = (at_start + 2.0) / 2.0 * 2.0;
    let behind = (6.0 + at_end) / 2.0 * 4.0;
    let check = |neighbours: &str, expected: f64| {
        let found: f64 = mean("LINEAR", VALUES, neighbours).parse().unwrap();
        assert!((found - expected).abs() < 1e-8, "{neighbours}: {found}");
    };
    check(", p, n", (before + 16.0 + behind) / 10.0);
    check(", p", (before + 16.0) / 6.0);
    check(", NULL, n", (16.0 + behind) / 8.0);
}

#[test]
fn a_single_moment_is_its_value() {
    assert_eq!(mean("LINEAR", "(12, 2)", ", p, n"), "2.0");
    assert_eq!(mean("LOCF", "(12, 2)", ", p, n"), "2.0");
}

#[test]
fn what_does_not_fit_is_null() {
    // The bucket itself as its neighbour.
    assert_eq!(mean("LOCF", VALUES, ", a"), "-");
    assert_eq!(mean("LINEAR", VALUES, ", p, a"), "-");
    let narrow = "SELECT interpolated_average(time_weight('LOCF', ts, price), \
                  min(ts), INTERVAL '1 second') IS NULL FROM trades";
    assert_eq!(rows(narrow), ["true"]);
}

#[test]
fn refusals() {
    assert_eq!(
        refusal_text("SELECT interpolated_average(price, ts, INTERVAL '1 second') FROM trades"),
        "cannot use Float64 as argument area of interpolated_average, expected the result of \
         time_weight"
    );
    assert_eq!(
        refusal_text(
            "SELECT interpolated_average(time_weight('LOCF', ts, price), min(ts), 5) FROM trades"
        ),
        "cannot use Int64 as argument width of interpolated_average, expected an interval"
    );
}
