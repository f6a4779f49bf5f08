//! Tests of `rollup` and `rolling` of moments: the moments of all rows, whatever the buckets.

use crate::trial::{lines, refusal_text, rows, run, session_over};

/// Prices about `mean` in buckets of different length; one of a single row, one of equal values.
fn trades(mean: &str) -> String {
    format!(
        "CREATE TABLE trades AS SELECT CASE WHEN value = 1 THEN 'one' WHEN value < 9 THEN 'equal' \
         WHEN value % 3 = 0 THEN 'third' ELSE 'rest' END AS symbol, CAST(to_timestamp(value) AS \
         TIMESTAMP(6)) AS ts, CASE WHEN value < 9 THEN {mean} ELSE {mean} + sin(value) END AS price, \
         CASE WHEN value < 9 THEN 2.0 ELSE cos(value * 0.7) END AS size FROM generate_series(1, 90)"
    )
}

/// Whether every part of `rollup` of the buckets is close to that of all rows.
fn check(mean: &str, call: &str, parts: &[&str], tolerance: f64) {
    let ctx = session_over(&trades(mean));
    let columns: Vec<String> = parts
        .iter()
        .map(|part| {
            format!("abs(a['{part}'] - b['{part}']) <= {tolerance} * (abs(b['{part}']) + 0.001)")
        })
        .collect();
    let sql = format!(
        "SELECT {} FROM (SELECT rollup(s) AS a FROM (SELECT symbol, {call} AS s FROM trades GROUP \
         BY symbol)), (SELECT {call} AS b FROM trades)",
        columns.join(", ")
    );
    let expected = vec!["true"; parts.len()].join(" ");
    assert_eq!(
        lines(&run(&ctx, &sql).unwrap()),
        [expected],
        "{call} about {mean}"
    );
}

#[test]
fn buckets_roll_up_to_the_moments_of_all_rows() {
    let one = [
        "num_vals", "sum", "average", "variance", "stddev", "skewness", "kurtosis",
    ];
    let two = [
        "num_vals",
        "sum_y",
        "sum_x",
        "average_y",
        "average_x",
        "variance_y",
        "variance_x",
        "covariance",
        "corr",
        "slope",
        "intercept",
        "determination_coeff",
    ];
    check("0.0", "stats_agg(price)", &one, 1e-11);
    check("100.0", "stats_agg(price)", &one, 1e-9);
    check("0.0", "stats_agg(price, size)", &two, 1e-11);
    check("1000000.0", "stats_agg(price, size)", &two, 1e-7);
}

#[test]
fn buckets_without_deviation_roll_up() {
    let moments = |values: &str| {
        let sql = format!(
            "SELECT r['num_vals'], r['average'], coalesce(CAST(r['variance'] AS VARCHAR), '-'), \
             coalesce(CAST(r['skewness'] AS VARCHAR), '-') FROM (SELECT rollup(s) AS r FROM (SELECT \
             b, stats_agg(v) AS s FROM (VALUES {values}) AS t(b, v) GROUP BY b))"
        );
        rows(&sql).swap_remove(0)
    };
    assert_eq!(moments("(1, 3.0)"), "1 3.0 - -");
    assert_eq!(moments("(1, 3.0), (2, 3.0)"), "2 3.0 0.0 -");
    assert_eq!(moments("(1, 1.0), (2, 3.0), (3, NULL)"), "2 2.0 2.0 0.0");
}

#[test]
fn no_moments_are_null_and_other_types_are_refused() {
    let none = "SELECT rollup(s) IS NULL FROM (SELECT symbol, stats_agg(price) AS s FROM trades \
                WHERE price < 0 GROUP BY symbol)";
    assert_eq!(rows(none), ["true"]);
    assert_eq!(
        refusal_text("SELECT rollup(time_weight('LOCF', ts, price)['seconds']) FROM trades"),
        "cannot use Float64 as argument summary of rollup, expected the result of \
         candlestick_agg, stats_agg, time_weight, percentile_agg, uddsketch or tdigest"
    );
}

#[test]
fn rolling_is_over_the_last_buckets() {
    let sql = "SELECT m, num_vals(r), average(r) FROM (SELECT m, rolling(s) OVER (ORDER BY m ROWS \
               1 PRECEDING) AS r FROM (SELECT v / 10 AS m, stats_agg(CAST(v AS DOUBLE)) AS s FROM \
               (VALUES (1), (3), (12), (21), (25)) AS t(v) GROUP BY m)) ORDER BY m";
    assert_eq!(
        rows(sql),
        ["0 2 2.0", "1 3 5.333333333333333", "2 3 19.333333333333332"]
    );
}
