//! Percentiles of sketches against those of the values themselves.

use crate::trial::{lines, refusal_text, rows, run, session_over};

#[test]
fn percentiles_are_within_the_error() {
    let values = "CREATE TABLE trades AS SELECT 'A' AS symbol, CAST('2026-03-02' AS TIMESTAMP(6)) AS \
                  ts, CAST((value * 7919 % 10007) - 2000 AS DOUBLE) AS price, 1.0 AS size FROM \
                  generate_series(1, 10000)";
    let ctx = session_over(values);
    for p in [0.01, 0.25, 0.5, 0.9] {
        let sql = format!(
            "SELECT abs(approx_percentile({p}, uddsketch(1000, 0.01, price)) - \
             percentile_cont(price, {p})) <= 0.011 * abs(percentile_cont(price, {p})) + 1.5, \
             abs(approx_percentile_rank(percentile_cont(price, {p}), uddsketch(2000, 0.001, price)) - {p}) \
             < 0.03 FROM trades"
        );
        assert_eq!(lines(&run(&ctx, &sql).unwrap()), ["true true"], "{p}");
    }
    let sql = "SELECT num_vals(percentile_agg(price)), (percentile_agg(price))['error'] < 0.065, \
               array_length((percentile_agg(price))['counts']) <= 200 FROM trades";
    assert_eq!(lines(&run(&ctx, sql).unwrap()), ["10000 true true"]);
}

#[test]
fn edges() {
    let asked = |values: &str, call: &str| {
        let sql = format!(
            "SELECT coalesce(CAST(round({call}, 6) AS VARCHAR), '-') FROM (VALUES {values}) AS t(v)"
        );
        rows(&sql).swap_remove(0)
    };
    assert_eq!(
        asked(
            "(NULL::double)",
            "approx_percentile(0.5, percentile_agg(v))"
        ),
        "-"
    );
    assert_eq!(
        asked(
            "(0.0), (NULL), ('NaN'::double)",
            "approx_percentile(0.5, percentile_agg(v))"
        ),
        "0.0"
    );
    assert_eq!(
        asked("(1.0), (2.0)", "approx_percentile(1.5, percentile_agg(v))"),
        "-"
    );
    assert_eq!(
        asked(
            "(1.0), (2.0), (3.0), (4.0)",
            "approx_percentile_rank(2.5, percentile_agg(v))"
        ),
        "0.5"
    );
    assert_eq!(
        refusal_text("SELECT uddsketch(1, 0.1, price) FROM trades"),
        "cannot use 1 as argument size of uddsketch, expected an integer from 8 to 100000"
    );
}

#[test]
fn sketches_roll_up_to_that_of_all_values() {
    let values = "CREATE TABLE trades AS SELECT 'A' AS symbol, CAST('2026-03-02' AS TIMESTAMP(6)) AS \
                  ts, CAST((value * 7919 % 10007) - 2000 AS DOUBLE) AS price, CAST(value % 7 * value \
                  % 13 AS DOUBLE) AS size FROM generate_series(1, 10000)";
    let ctx = session_over(values);
    for size in [8, 50, 2000] {
        let sql = format!(
            "SELECT a['num_vals'] = b['num_vals'], abs(a['error'] - b['error']) < 1e-9, \
             a['counts'] = b['counts'], a['size'] = b['size'], abs(average(a) - average(b)) < 1e-9, \
             abs(approx_percentile(0.3, a) - approx_percentile(0.3, b)) < 1e-6 FROM (SELECT \
             rollup(s) AS a FROM (SELECT size, uddsketch({size}, 0.001, price) AS s FROM trades \
             GROUP BY size)), (SELECT uddsketch({size}, 0.001, price) AS b FROM trades)"
        );
        assert_eq!(
            lines(&run(&ctx, &sql).unwrap()),
            ["true true true true true true"],
            "{size}"
        );
    }
    let sql = "SELECT num_vals(s), average(s), error(s) < 0.0011 FROM (SELECT rolling(s) AS s FROM \
               (SELECT percentile_agg(price) AS s FROM trades GROUP BY symbol))";
    assert_eq!(rows(sql), ["7 27.428571428571427 true"]);
}

#[test]
fn sketches_that_were_made_otherwise_are_refused() {
    let refused = |other: &str| {
        refusal_text(&format!(
            "SELECT rollup(s) FROM (SELECT uddsketch(100, 0.01, price) AS s FROM trades UNION ALL \
             SELECT {other} FROM trades)"
        ))
    };
    let message = "cannot use sketches of different size or error as argument summary of rollup, \
                   expected sketches that were made with one size and error";
    assert_eq!(refused("uddsketch(90, 0.01, price)"), message);
    assert_eq!(refused("uddsketch(100, 0.011, price)"), message);
}
