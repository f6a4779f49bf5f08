//! Tests of moving frames: each result equals the aggregate over the frame's rows.

use crate::trial::rows;

const A: &str = "FROM trades WHERE symbol = 'A' ORDER BY ts";

#[test]
fn moving_rows() {
    // By time: (10, 1), (9, -), (12, 3), (11, 4).
    let over = "OVER (ORDER BY ts ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)";
    let sql = format!("SELECT vwap(price, size) {over} {A}");
    assert_eq!(rows(&sql), ["10.0", "10.0", "12.0", "11.428571428571429"]);
    let sql = format!("SELECT first(price, ts) {over}, arg_max(price, size) {over} {A}");
    assert_eq!(
        rows(&sql),
        ["10.0 10.0", "10.0 10.0", "9.0 12.0", "12.0 11.0"]
    );
    let sql = format!("SELECT high(candlestick_agg(ts, price, size) {over}) {A}");
    assert_eq!(rows(&sql), ["10.0", "10.0", "12.0", "12.0"]);
}

#[test]
fn frames_ahead_and_frames_without_rows() {
    let over = "OVER (ORDER BY ts ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING)";
    let sql = format!("SELECT last(price, ts) {over} {A}");
    assert_eq!(rows(&sql), ["12.0", "11.0", "11.0", ""]);
}

#[test]
fn moving_time() {
    let over = "OVER (ORDER BY ts RANGE BETWEEN INTERVAL '15 seconds' PRECEDING AND CURRENT ROW)";
    let sql = format!("SELECT realized_variance(price, ts) {over} > 0, twap(price, ts) {over} {A}");
    assert_eq!(rows(&sql), ["10.0", "true 10.0", "true 9.0", "11.0"]);
}

#[test]
fn a_moving_frame_equals_a_subquery_per_row() {
    let sql = "SELECT count(*) FROM (SELECT vwap(t.price, t.size) OVER (ORDER BY t.ts, t.price \
               ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS moving, sum(t.price * t.size) OVER w \
               / nullif(sum(CASE WHEN t.size IS NOT NULL THEN t.size END) OVER w, 0) AS direct \
               FROM trades t WINDOW w AS (ORDER BY t.ts, t.price ROWS BETWEEN 2 PRECEDING AND \
               CURRENT ROW)) WHERE abs(moving - direct) > 1e-9 OR moving IS NULL";
    assert_eq!(rows(sql), ["0"]);
}
