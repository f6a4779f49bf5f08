//! Tests of the accessors: null bars, names of result columns, and the name shared with `vwap`.

use crate::trial::{refusal, rows, run, session};

#[test]
fn a_null_bar_has_null_parts() {
    let sql = "SELECT open(c) IS NULL, trades(c) IS NULL, vwap(c) IS NULL FROM (SELECT CASE WHEN \
               symbol = 'A' THEN candle END AS c FROM bars WHERE symbol = 'B' LIMIT 1)";
    assert_eq!(rows(sql), ["true true true"]);
}

#[test]
fn the_column_is_named_as_called() {
    let batches = run(&session(), "SELECT vwap(candle), high(candle) FROM bars").unwrap();
    let schema = batches[0].schema();
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["vwap(bars.candle)", "high(bars.candle)"]);
}

#[test]
fn one_name_reaches_both_functions() {
    let sql = "SELECT vwap(candle) = candlestick_vwap(candle) AND vwap(candle) > 0, count(*) \
               FROM bars WHERE vwap(candle) < 100 GROUP BY 1";
    assert_eq!(rows(sql), ["true 4"]);
    assert_eq!(
        rows("SELECT sum(vwap(candle)) > vwap(1.0, 1.0) FROM bars"),
        ["true"]
    );
}

#[test]
fn refusals() {
    let message = refusal("SELECT close(price) FROM trades").to_string();
    let expected = "cannot use Float64 as argument candlestick of close, expected the result of \
                    candlestick_agg";
    assert_eq!(message, expected);
    let message = refusal("SELECT vwap(price) FROM trades").to_string();
    assert_eq!(message, expected.replace("close", "vwap"));
}
