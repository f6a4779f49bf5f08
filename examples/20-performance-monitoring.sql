-- Performance monitoring: is the strategy worth its risk?
--
-- Reads strategy_returns of 18-backtesting.sql. One row for each symbol and two minutes, shown when
-- they close: total return, ratios by Sharpe, Sortino and Calmar, volatility a year, the deepest
-- drawdown, gains over losses, and the share of bars that gained (bars without a position do not).
-- The last argument says how many bars a year has; bars of one second in sessions of six and a half
-- hours are 5,896,800.

CREATE STREAMING VIEW performance AS
SELECT window_start, symbol, count(*) AS bars,
       exp(sum(ln(1 + r))) - 1          AS total_return,
       sharpe_ratio(r, 0, 5896800)      AS sharpe,
       sortino_ratio(r, 0, 5896800)     AS sortino,
       calmar_ratio(r, ts, 5896800)     AS calmar,
       annual_volatility(r, 5896800)    AS annual_volatility,
       max_drawdown_agg(r, ts)          AS max_drawdown,
       profit_factor(r)                 AS profit_factor,
       hit_rate(r)                      AS hit_rate
FROM TUMBLE(TABLE strategy_returns, DESCRIPTOR(ts), INTERVAL '2' MINUTE)
GROUP BY window_start, window_end, symbol
EMIT ON WINDOW CLOSE;

SELECT window_start, symbol, total_return, round(sharpe, 2) AS sharpe, max_drawdown, profit_factor
FROM performance ORDER BY window_start DESC, symbol LIMIT 10;
