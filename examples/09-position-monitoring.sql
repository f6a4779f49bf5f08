-- Position monitoring: what do we hold, at what cost, and what is it worth now?
--
-- The demo has no fills of its own, so every tenth trade counts as ours: the view fills. positions
-- keeps quantity, average cost and realized profit after each fill; position_board marks the last
-- one of each symbol to the mid price of its last quote. For first-in-first-out accounting write
-- position_fifo. With DECIMAL columns the profit is exact to the last digit.

CREATE STREAMING VIEW fills AS
SELECT id, symbol, ts, side, price, size, venue FROM trades WHERE id % 10 = 0;

CREATE STREAMING VIEW positions AS
SELECT symbol, ts, p.qty AS qty, p.avg_cost AS avg_cost, p.realized_pnl AS realized_pnl
FROM (
  SELECT symbol, ts,
         position_avg(signed_qty(side, size), price) OVER (PARTITION BY symbol ORDER BY ts) AS p
  FROM fills
) AS history;

CREATE STREAMING VIEW position_now AS
SELECT symbol, last_value(qty ORDER BY ts) AS qty, last_value(avg_cost ORDER BY ts) AS avg_cost,
       last_value(realized_pnl ORDER BY ts) AS realized_pnl
FROM positions GROUP BY symbol;

CREATE STREAMING VIEW marks AS
SELECT symbol, last_value(mid(bid, ask) ORDER BY ts) AS mark FROM quotes GROUP BY symbol;

CREATE STREAMING VIEW position_board AS
SELECT p.symbol, p.qty, p.avg_cost, m.mark, p.realized_pnl,
       unrealized_pnl(p.qty, p.avg_cost, m.mark) AS unrealized_pnl, p.qty * m.mark AS market_value
FROM position_now AS p JOIN marks AS m ON p.symbol = m.symbol;

SELECT symbol, qty, round(avg_cost, 2) AS avg_cost, round(mark, 2) AS mark,
       round(realized_pnl, 2) AS realized, round(unrealized_pnl, 2) AS unrealized
FROM position_board ORDER BY abs(market_value) DESC LIMIT 10;
