-- Correlation studies: do two stocks still move together?
--
-- pair_prices puts the last price of two symbols of each second side by side; a second in which one
-- of them did not trade is filled with its last known price, one in which neither did has no row.
-- pair_correlation is the correlation of their returns over the last sixty rows, and the beta of
-- NVDA over AAPL. Change the symbols in the first view to study others.

CREATE STREAMING VIEW pair_seconds AS
SELECT window_start, window_end, window_time,
       last_value(price ORDER BY ts) FILTER (WHERE symbol = 'AAPL') AS a,
       last_value(price ORDER BY ts) FILTER (WHERE symbol = 'NVDA') AS b
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' SECOND)
WHERE symbol IN ('AAPL', 'NVDA')
GROUP BY window_start, window_end, window_time
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW pair_prices AS
SELECT window_start, window_time,
       ffill(a) OVER (ORDER BY window_time) AS a, ffill(b) OVER (ORDER BY window_time) AS b
FROM pair_seconds;

CREATE STREAMING VIEW pair_returns AS
SELECT window_start, window_time,
       log_returns(a) OVER (ORDER BY window_time) AS ra, log_returns(b) OVER (ORDER BY window_time) AS rb
FROM pair_prices;

CREATE STREAMING VIEW pair_correlation AS
SELECT window_start,
       rolling_corr(ra, rb, 60) OVER (ORDER BY window_time) AS correlation,
       rolling_beta(rb, ra, 60) OVER (ORDER BY window_time) AS beta
FROM pair_returns;

SELECT window_start, round(correlation, 3) AS correlation, round(beta, 3) AS beta
FROM pair_correlation WHERE correlation IS NOT NULL ORDER BY window_start DESC LIMIT 10;
