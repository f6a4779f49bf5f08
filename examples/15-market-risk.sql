-- Market risk: volatility now, volatility as a model had expected it, and beta to the market.
--
-- Reads second_returns of 11-value-at-risk.sql. volatility_now is the RiskMetrics volatility of
-- each symbol's second returns (decay 0.94), the value at risk of 99 % that follows from it, and
-- what a GARCH(1,1) model had expected of that second. market_beta takes the mean return of all
-- symbols as the market, and measures each against it over the last sixty seconds that it traded.

CREATE STREAMING VIEW volatility_now AS
SELECT symbol, ts, r,
       ewma_vol(r, 0.94)       OVER w AS ewma_vol,
       ewma_var(r, 0.94, 0.99) OVER w AS var_99,
       garch11_vol(r, 0.0000000001, 0.08, 0.9) OVER w AS garch_vol
FROM second_returns
WINDOW w AS (PARTITION BY symbol ORDER BY ts);

CREATE STREAMING VIEW market_returns AS
SELECT window_start, window_end, window_time, avg(r) AS market
FROM TUMBLE(TABLE second_returns, DESCRIPTOR(ts), INTERVAL '1' SECOND)
GROUP BY window_start, window_end, window_time
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW symbol_returns AS
SELECT window_start, window_end, window_time, symbol, avg(r) AS r
FROM TUMBLE(TABLE second_returns, DESCRIPTOR(ts), INTERVAL '1' SECOND)
GROUP BY window_start, window_end, window_time, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW returns_with_market AS
SELECT s.window_time AS ts, s.symbol, s.r, m.market
FROM symbol_returns AS s JOIN market_returns AS m
  ON s.window_time = m.window_time;

CREATE STREAMING VIEW market_beta AS
SELECT ts, symbol,
       rolling_beta(r, market, 60) OVER (PARTITION BY symbol ORDER BY ts) AS beta,
       rolling_corr(r, market, 60) OVER (PARTITION BY symbol ORDER BY ts) AS correlation
FROM returns_with_market;

SELECT ts, symbol, ewma_vol, var_99, garch_vol FROM volatility_now ORDER BY ts DESC LIMIT 10;
