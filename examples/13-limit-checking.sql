-- Limit checking: who is near a limit, and when was one crossed?
--
-- Reads positions and position_board of 09-position-monitoring.sql. limit_board says how much of
-- each symbol's limit is used (level 1 from 80 %, level 2 when breached). limit_events has a row
-- only when a position's level changes: it rises above 2,000 (soft) or 5,000 (hard) shares, and
-- falls only once it is 500 shares below again, so a position that hovers at a limit does not flicker.

CREATE TABLE limits (symbol TEXT PRIMARY KEY, max_value DOUBLE PRECISION NOT NULL);
INSERT INTO limits VALUES
  ('AAPL', 1000000), ('NVDA', 2500000), ('TSLA', 3000000), ('MSFT', 1200000), ('AMZN', 600000),
  ('AMD', 600000), ('META', 900000), ('IBM', 1000000), ('SPY', 1500000), ('AIG', 500000);

CREATE STREAMING VIEW limit_board AS
SELECT symbol, market_value, max_value,
       c['utilization'] AS utilization, c['level'] AS level, c['breached'] AS breached
FROM (
  SELECT p.symbol, p.market_value, l.max_value,
         limit_check(p.market_value, l.max_value, 80) AS c
  FROM position_board AS p JOIN limits AS l ON p.symbol = l.symbol
) AS checked;

CREATE STREAMING VIEW limit_events AS
SELECT symbol, ts, qty, b['level'] AS level
FROM (
  SELECT symbol, ts, qty,
         limit_breach(qty, 2000, 5000, 500) OVER (PARTITION BY symbol ORDER BY ts) AS b
  FROM positions
) AS watched
WHERE b['event'];

SELECT symbol, round(utilization, 3) AS utilization, level FROM limit_board
ORDER BY utilization DESC LIMIT 10;
