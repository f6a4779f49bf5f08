-- Strategy backtesting: what would the signal have earned?
--
-- Reads signals of 17-signal-generation.sql. A position is held from the bar after the signal goes
-- on to the bar on which it goes off, so no bar trades on its own close. backtest has each bar's
-- return of the strategy after half a basis point of cost per trade, its equity and its drawdown.
-- The same view runs over history: create it on a source of files instead of the live feed, and the
-- answer is the same.

CREATE STREAMING VIEW backtest_bars AS
SELECT symbol, ts, close,
       returns(close)                            OVER w AS r,
       coalesce(lag(is_long, 1, false)           OVER w, false) AS held,
       coalesce(lag(is_long, 2, false)           OVER w, false) AS held_before
FROM signals
WINDOW w AS (PARTITION BY symbol ORDER BY ts);

CREATE STREAMING VIEW strategy_returns AS
SELECT symbol, ts,
       CASE WHEN held THEN coalesce(r, 0.0) ELSE 0.0 END
         - CASE WHEN held <> held_before THEN 0.00005 ELSE 0.0 END AS r
FROM backtest_bars;

CREATE STREAMING VIEW backtest AS
SELECT symbol, ts, r, equity, drawdown(equity) OVER (PARTITION BY symbol ORDER BY ts) AS drawdown
FROM (
  SELECT symbol, ts, r, cumprod(1 + r) OVER (PARTITION BY symbol ORDER BY ts) AS equity
  FROM strategy_returns
) AS curve;

SELECT ts, symbol, round(equity, 6) AS equity, round(drawdown, 6) AS drawdown
FROM backtest ORDER BY ts DESC LIMIT 10;
