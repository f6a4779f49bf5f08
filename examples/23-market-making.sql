-- Market making: where to quote, given the book and what we already hold.
--
-- Reads fills of 09-position-monitoring.sql. quote_inputs joins every quote with our inventory at
-- that time. fair is the microprice: the mid, moved towards the side with less size. maker_quotes
-- lowers both quotes by a tick for every 2,000 shares that we are long (and raises them when we are
-- short), so that fills bring the inventory back, keeps half the market's spread on each side, and
-- rounds to cents away from the fair price.

CREATE STREAMING VIEW inventory AS
SELECT symbol, ts, sum(signed_qty(side, size)) OVER (PARTITION BY symbol ORDER BY ts) AS inventory
FROM fills;

CREATE STREAMING VIEW quote_inputs AS
SELECT q.symbol, q.ts, q.bid, q.ask, microprice(q.bid, q.ask, q.bid_size, q.ask_size) AS fair,
       imbalance(q.bid_size, q.ask_size) AS imbalance, coalesce(i.inventory, 0) AS inventory
FROM quotes AS q LEFT ASOF JOIN inventory AS i
  MATCH_CONDITION (q.ts >= i.ts) ON q.symbol = i.symbol;

CREATE STREAMING VIEW maker_quotes AS
SELECT symbol, ts, fair, inventory, skew,
       round_to_tick(fair - skew - half, 0.01, 'down') AS our_bid,
       round_to_tick(fair - skew + half, 0.01, 'up')   AS our_ask
FROM (
  SELECT symbol, ts, fair, inventory, spread(bid, ask) / 2 AS half,
         0.01 * CAST(inventory AS DOUBLE PRECISION) / 2000 AS skew
  FROM quote_inputs
) AS skewed;

SELECT ts, symbol, inventory, round(fair, 3) AS fair, our_bid, our_ask
FROM maker_quotes ORDER BY ts DESC LIMIT 10;
