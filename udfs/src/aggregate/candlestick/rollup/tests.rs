//! Tests of `rollup`: coarse bars equal the bars of all ticks.

use std::sync::Arc;

use crate::trial::{Input, aggregate, assert_close, merged, one_pass, refusal, rows, run, session};

const PARTS: &str = "open(c), high(c), low(c), close(c), volume(c), vwap(c), trades(c), \
                     open_time(c), high_time(c), low_time(c), close_time(c)";

#[test]
fn minutes_roll_up_to_the_bar_of_all_ticks() {
    for (price, size) in [
        ("DOUBLE", "DOUBLE"),
        ("DECIMAL(18,8)", "DECIMAL(18,8)"),
        ("DECIMAL(18,8)", "DOUBLE"),
    ] {
        let agg = format!("candlestick_agg(ts, CAST(price AS {price}), CAST(size AS {size}))");
        let direct = format!(
            "SELECT symbol, {PARTS} FROM (SELECT symbol, {agg} AS c FROM trades GROUP BY symbol) \
             ORDER BY symbol"
        );
        let rolled = format!(
            "SELECT symbol, {PARTS} FROM (SELECT symbol, rollup(m) AS c FROM (SELECT symbol, \
             time_bucket('1 minute', ts) AS b, {agg} AS m FROM trades GROUP BY symbol, b) \
             GROUP BY symbol) ORDER BY symbol"
        );
        assert_eq!(rows(&rolled), rows(&direct));
    }
}

#[test]
fn null_bars_do_not_count() {
    let sql = "SELECT rollup(c) IS NULL, trades(rollup(c)) IS NULL FROM (SELECT \
               candlestick_agg(ts, price) AS c FROM trades WHERE false)";
    assert_eq!(rows(sql), ["true true"]);
}

#[test]
fn bars_without_volume_roll_up() {
    let sql = "SELECT trades(r), volume(r) IS NULL, vwap(r) IS NULL FROM (SELECT rollup(c) AS r \
               FROM (SELECT symbol, candlestick_agg(ts, price) AS c FROM trades GROUP BY symbol))";
    assert_eq!(rows(sql), ["7 true true"]);
}

#[test]
fn any_cut_gives_one_pass() {
    let sql = "SELECT candlestick_agg(ts, price, size) AS c FROM trades GROUP BY ts, symbol \
               ORDER BY ts, symbol";
    let batches = run(&session(), sql).unwrap();
    let bars = Arc::clone(batches[0].column(0));
    let groups = vec![0, 1, 0, 0, 1, 1];
    let input = Input {
        columns: vec![bars],
        groups,
        group_count: 2,
    };
    let function = aggregate("rollup");
    let expected = one_pass(&function, &input);
    for cut in 0..=6 {
        assert_close(&merged(&function, &input, &[cut], |_| ()), &expected);
        assert_close(
            &merged(&function, &input, &[cut], |parts| parts.reverse()),
            &expected,
        );
    }
}

#[test]
fn refusals() {
    let error = refusal("SELECT rollup(price) FROM trades");
    assert_eq!(
        error.to_string(),
        "cannot use Float64 as argument summary of rollup, expected the result of \
         candlestick_agg, stats_agg, time_weight, percentile_agg, uddsketch or tdigest"
    );
}
