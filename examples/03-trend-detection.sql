-- Trend detection: moving averages that cross, and how steep the line through the closes is.
--
-- trend holds for every five-second bar a fast and a slow exponential average, the slope of the
-- regression line through the last ten closes, and the average directional index: above 25 there
-- is a trend worth following. trend_turns are the bars where the fast average crosses the slow one.

CREATE STREAMING VIEW trend_bars AS
SELECT window_start, window_end, window_time, symbol,
       max(price) AS high, min(price) AS low, last_value(price ORDER BY ts) AS close
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '5' SECOND)
GROUP BY window_start, window_end, window_time, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW trend AS
SELECT window_start, window_time, symbol, close,
       ema(close, 5)              OVER w AS fast,
       ema(close, 15)             OVER w AS slow,
       linearreg_slope(close, 10) OVER w AS slope,
       adx(high, low, close, 7)   OVER w AS adx
FROM trend_bars
WINDOW w AS (PARTITION BY symbol ORDER BY window_time);

CREATE STREAMING VIEW trend_turns AS
SELECT window_start, symbol, close, CASE WHEN up THEN 'up' ELSE 'down' END AS turn
FROM (
  SELECT window_start, symbol, close,
         crossover(fast, slow)  OVER (PARTITION BY symbol ORDER BY window_time) AS up,
         crossunder(fast, slow) OVER (PARTITION BY symbol ORDER BY window_time) AS down
  FROM trend
) AS crossings
WHERE up OR down;

SELECT window_start, symbol, close, turn FROM trend_turns ORDER BY window_start DESC LIMIT 10;
