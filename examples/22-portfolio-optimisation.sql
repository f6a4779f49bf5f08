-- Portfolio optimisation: the weights with the least variance, over a rolling covariance.
--
-- basket_returns are second returns of three symbols side by side, a second without a trade filled
-- with the last price. covariances has the six covariances of their last sixty returns, and
-- minimum_variance the weights that sum to one and give the portfolio its least variance, with that
-- variance and each symbol's part of the portfolio's value at risk.

CREATE STREAMING VIEW basket_seconds AS
SELECT window_start, window_end, window_time,
       last_value(price ORDER BY ts) FILTER (WHERE symbol = 'AAPL') AS a,
       last_value(price ORDER BY ts) FILTER (WHERE symbol = 'NVDA') AS b,
       last_value(price ORDER BY ts) FILTER (WHERE symbol = 'TSLA') AS c
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' SECOND)
GROUP BY window_start, window_end, window_time
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW basket_prices AS
SELECT window_time AS ts, ffill(a) OVER w AS a, ffill(b) OVER w AS b, ffill(c) OVER w AS c
FROM basket_seconds
WINDOW w AS (ORDER BY window_time);

CREATE STREAMING VIEW basket_returns AS
SELECT ts, returns(a) OVER w AS ra, returns(b) OVER w AS rb, returns(c) OVER w AS rc
FROM basket_prices
WINDOW w AS (ORDER BY ts);

CREATE STREAMING VIEW covariances AS
SELECT ts,
       rolling_cov(ra, ra, 60) OVER w AS aa, rolling_cov(ra, rb, 60) OVER w AS ab,
       rolling_cov(ra, rc, 60) OVER w AS ac, rolling_cov(rb, rb, 60) OVER w AS bb,
       rolling_cov(rb, rc, 60) OVER w AS bc, rolling_cov(rc, rc, 60) OVER w AS cc
FROM basket_returns
WINDOW w AS (ORDER BY ts);

CREATE STREAMING VIEW minimum_variance AS
SELECT ts, weights, portfolio_variance(weights, matrix) AS variance,
       component_var(weights, matrix, 0.95) AS parts_of_var
FROM (
  SELECT ts, matrix, min_variance_weights(matrix) AS weights
  FROM (
    SELECT ts, make_array(make_array(aa, ab, ac), make_array(ab, bb, bc), make_array(ac, bc, cc))
                 AS matrix
    FROM covariances
    WHERE aa IS NOT NULL AND ab IS NOT NULL AND ac IS NOT NULL
      AND bb IS NOT NULL AND bc IS NOT NULL AND cc IS NOT NULL
  ) AS with_matrix
) AS optimal;

SELECT ts, weights, sqrt(variance) AS volatility FROM minimum_variance ORDER BY ts DESC LIMIT 5;
