-- Statistical analysis: the shape of each minute's returns.
--
-- tick_returns are logarithmic returns from trade to trade. return_statistics has the moments of
-- each minute (skewness is that of the returns themselves, g1, not an estimate from a sample), its
-- realized volatility, and as jump_ratio how much of the movement was jumps, by bipower variation
-- (near 0: none). return_memory correlates the last fifty returns with those one trade before:
-- clearly negative is bid-ask bounce.

CREATE STREAMING VIEW tick_returns AS
SELECT symbol, ts, price, log_returns(price) OVER (PARTITION BY symbol ORDER BY ts) AS r
FROM trades;

CREATE STREAMING VIEW return_statistics AS
SELECT window_start, symbol, count(r) AS n, avg(r) AS mean, stddev_samp(r) AS deviation,
       skewness(stats_agg(r)) AS skewness,
       realized_vol(price, ts) AS realized_vol, jump_ratio(price, ts) AS jump_ratio
FROM TUMBLE(TABLE tick_returns, DESCRIPTOR(ts), INTERVAL '1' MINUTE)
GROUP BY window_start, window_end, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW return_memory AS
SELECT symbol, ts, autocorr(r, 1, 50) OVER (PARTITION BY symbol ORDER BY ts) AS autocorrelation
FROM tick_returns;

SELECT window_start, symbol, n, deviation, skewness, realized_vol
FROM return_statistics ORDER BY window_start DESC, symbol LIMIT 10;
