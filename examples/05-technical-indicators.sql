-- Technical indicators: the usual panel, live, with TA-Lib's definitions and names.
--
-- One row for each five-second bar that is closed. Indicators with several outputs (macd, bbands,
-- stoch) are structs; the functions used here give one output each, so that a chart can plot it.
-- The first rows of each symbol are null until an indicator has seen enough bars.

CREATE STREAMING VIEW indicator_bars AS
SELECT window_start, window_end, window_time, symbol,
       first_value(price ORDER BY ts) AS open, max(price) AS high, min(price) AS low,
       last_value(price ORDER BY ts) AS close, CAST(sum(size) AS DOUBLE PRECISION) AS volume
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '5' SECOND)
GROUP BY window_start, window_end, window_time, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW indicators AS
SELECT window_start, symbol, close,
       rsi(close, 14)               OVER w AS rsi,
       macd_line(close, 6, 13, 5)   OVER w AS macd,
       macd_signal(close, 6, 13, 5) OVER w AS macd_signal,
       bb_upper(close, 20, 2, 2)    OVER w AS bb_upper,
       bb_lower(close, 20, 2, 2)    OVER w AS bb_lower,
       atr(high, low, close, 14)    OVER w AS atr,
       stoch_k(high, low, close)    OVER w AS stoch_k,
       obv(close, volume)           OVER w AS obv,
       mfi(high, low, close, volume, 14) OVER w AS mfi
FROM indicator_bars
WINDOW w AS (PARTITION BY symbol ORDER BY window_time);

SELECT window_start, symbol, close, round(rsi, 1) AS rsi, round(macd, 4) AS macd
FROM indicators WHERE rsi IS NOT NULL ORDER BY window_start DESC, symbol LIMIT 10;
