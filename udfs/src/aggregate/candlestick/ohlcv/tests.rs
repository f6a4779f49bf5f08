//! Tests of `ohlcv`: the same numbers as a candlestick.

use crate::trial::{refusal, rows};

#[test]
fn five_numbers_of_the_candlestick() {
    for size in ["DOUBLE", "DECIMAL(12,3)"] {
        let args = format!("ts, CAST(price AS DECIMAL(18,2)), CAST(size AS {size})");
        let sql = format!(
            "SELECT symbol, b['open'] = open(c), b['high'] = high(c), b['low'] = low(c), \
             b['close'] = close(c), b['volume'] = volume(c) FROM (SELECT symbol, \
             ohlcv({args}) AS b, candlestick_agg({args}) AS c FROM trades GROUP BY symbol) \
             ORDER BY symbol"
        );
        assert_eq!(
            rows(&sql),
            ["A true true true true true", "B true true true true true"]
        );
    }
    let sql = "SELECT ohlcv(ts, price, size) FROM trades WHERE symbol = 'A'";
    assert_eq!(
        rows(sql),
        ["{open: 10.0, high: 12.0, low: 9.0, close: 11.0, volume: 8.0}"]
    );
    assert_eq!(
        rows("SELECT ohlcv(ts, price, size) IS NULL FROM trades WHERE false"),
        ["true"]
    );
}

#[test]
fn refusals() {
    let message = refusal("SELECT ohlcv(ts, price) FROM trades").to_string();
    assert_eq!(
        message,
        "cannot call ohlcv with 2 arguments, expected ohlcv(ts, price, size)"
    );
}
