//! Tests of t-digests: exact while small, within their error when large, put together, edges.
//! Restarts are those of all aggregates; drawn values are compared with NumPy in `tests/oracle`.

use super::{Centroid, Digest, Places};
use crate::trial::{lines, refusal_text, rows, run, session_over};

fn digest(size: i64, values: impl Iterator<Item = f64>) -> Digest {
    let mut digest = Digest {
        size,
        ..Digest::default()
    };
    for mean in values {
        digest.sum += mean;
        digest.add(Centroid { mean, weight: 1 }, mean, mean);
    }
    digest
}

/// Percentile and rank of a digest.
fn asked(digest: &Digest, percentile: f64, value: f64) -> (f64, f64) {
    let mut digest = digest.clone();
    digest.compress();
    let means: Vec<f64> = digest.centroids.iter().map(|c| c.mean).collect();
    let weights: Vec<i64> = digest.centroids.iter().map(|c| c.weight).collect();
    assert_eq!(weights.iter().sum::<i64>(), digest.count);
    let places = Places {
        extremes: (digest.min, digest.max),
        means: &means,
        weights: &weights,
    };
    (places.percentile(percentile).unwrap(), places.rank(value))
}

#[test]
fn the_size_bounds_the_means_whatever_comes() {
    for size in [8, 20, 100, 1000] {
        for count in [1, 10, 1_000, 60_000_u64] {
            let values = (0..count).map(|n| (n * 7_919 % 60_013) as f64);
            let mut whole = digest(size, values);
            whole.compress();
            assert!(whole.centroids.len() <= size as usize, "{size} {count}");
            assert!(whole.centroids.is_sorted_by(|a, b| a.mean <= b.mean));
            assert_eq!(whole.count as u64, count);
        }
    }
}

#[test]
fn percentiles_are_near_in_rank_and_nearest_at_the_ends() {
    // A skewed distribution of 60,000 values, whose value number n in order is n^3.
    let values = || (0..60_000_u64).map(|n| ((n * 7_919 % 60_000) as f64).powi(3));
    let whole = digest(100, values());
    let mut parts = digest(100, values().take(20_000));
    parts.merge(digest(100, values().skip(20_000)));
    for digest in [whole, parts] {
        for (percentile, error) in [(0.0, 0.0), (0.001, 0.002), (0.25, 0.01), (0.5, 0.01)] {
            for percentile in [percentile, 1.0 - percentile] {
                let expected = (percentile * 59_999.0_f64).powi(3);
                let (found, rank) = asked(&digest, percentile, expected);
                let found = found.cbrt() / 59_999.0;
                assert!(
                    (found - percentile).abs() <= error + 1e-9,
                    "{percentile}: {found}"
                );
                assert!(
                    (rank - percentile).abs() <= error + 2e-5,
                    "{percentile}: {rank}"
                );
            }
        }
    }
}

#[test]
fn few_values_are_exact() {
    let call = |call: &str, values: &str| {
        let sql = format!(
            "SELECT coalesce(CAST(round({call}, 9) AS VARCHAR), '-') FROM (VALUES {values}) AS t(v)"
        );
        rows(&sql).swap_remove(0)
    };
    let values = "(4.0), (1.0), (NULL), (2.0), ('NaN'::double), (8.0), ('-Infinity'::double)";
    let check = |asked: &str, expected: &str| assert_eq!(call(asked, values), expected, "{asked}");
    check("approx_percentile(0.5, tdigest(100, v))", "3.0");
    check("approx_percentile(0, tdigest(100, v))", "1.0");
    check("approx_percentile(1, tdigest(100, v))", "8.0");
    check("approx_percentile(1.1, tdigest(100, v))", "-");
    check("approx_percentile_rank(0.9, tdigest(100, v))", "0.0");
    check("approx_percentile_rank(2, tdigest(100, v))", "0.5");
    check("approx_percentile_rank(3.9, tdigest(100, v))", "0.5");
    check("approx_percentile_rank(9, tdigest(100, v))", "1.0");
    check("average(tdigest(100, v))", "3.75");
    check("num_vals(tdigest(100, v))", "4");
    assert_eq!(
        call("approx_percentile(0.5, tdigest(9, v))", "(NULL::double)"),
        "-"
    );
    assert_eq!(
        call("approx_percentile(0.3, tdigest(9, v))", "(7.0)"),
        "7.0"
    );
}

#[test]
fn digests_of_parts_roll_up() {
    let values = "CREATE TABLE trades AS SELECT 'A' AS symbol, CAST('2026-03-02' AS TIMESTAMP(6)) AS \
                  ts, CAST(value * 7919 % 10007 AS DOUBLE) AS price, CAST(value % 13 AS DOUBLE) AS \
                  size FROM generate_series(1, 10000)";
    let ctx = session_over(values);
    let sql = "SELECT num_vals(d), abs(approx_percentile(0.5, d) - 5000) < 100, \
               abs(approx_percentile(0.999, d) - 9997) < 20, d['min'], d['max'], \
               array_length(d['means']) <= 100 FROM (SELECT rollup(d) AS d FROM \
               (SELECT size, tdigest(100, price) AS d FROM trades GROUP BY size))";
    assert_eq!(
        lines(&run(&ctx, sql).unwrap()),
        ["10000 true true 1.0 10006.0 true"]
    );
    let sql = "SELECT rollup(d) FROM (SELECT tdigest(50, price) AS d FROM trades UNION ALL SELECT \
               tdigest(60, price) FROM trades)";
    assert_eq!(
        refusal_text(sql),
        "cannot use digests of different size as argument summary of rollup, expected digests \
         that were made with one size"
    );
    assert_eq!(
        refusal_text("SELECT tdigest(1, price) FROM trades"),
        "cannot use 1 as argument size of tdigest, expected an integer from 8 to 100000"
    );
}
