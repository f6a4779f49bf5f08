-- Statistical arbitrage: is the spread of a pair stretched, and does it come back?
--
-- Reads pair_prices of 07-correlation-studies.sql. pair_spread fits a line of NVDA over AAPL
-- through the last sixty seconds: hedge_ratio is its slope, z how many standard deviations NVDA is
-- above it, half_life in how many seconds half of the deviation is expected to be gone (null when
-- it is not coming back). pair_signal is 1 to sell the pair, -1 to buy it, 0 otherwise.

CREATE STREAMING VIEW pair_spread AS
SELECT window_start, window_time, a, b,
       (rolling_ols(b, a, 60)   OVER w)['beta']  AS hedge_ratio,
       (rolling_ols(b, a, 60)   OVER w)['resid'] AS residual,
       pair_spread_z(b, a, 60)  OVER w AS z
FROM pair_prices
WINDOW w AS (ORDER BY window_time);

CREATE STREAMING VIEW pair_signal AS
SELECT window_start, z, hedge_ratio, half_life,
       CASE WHEN short_spread THEN 1 WHEN long_spread THEN -1 ELSE 0 END AS signal
FROM (
  SELECT window_start, z, hedge_ratio,
         half_life(residual, 60) OVER w AS half_life,
         signal_state(z > 2, z < 0)  OVER w AS short_spread,
         signal_state(z < -2, z > 0) OVER w AS long_spread
  FROM pair_spread
  WINDOW w AS (ORDER BY window_time)
) AS states;

SELECT window_start, round(z, 2) AS z, round(hedge_ratio, 3) AS hedge_ratio, signal
FROM pair_signal WHERE z IS NOT NULL ORDER BY window_start DESC LIMIT 10;
