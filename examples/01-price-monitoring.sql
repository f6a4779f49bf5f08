-- Real-time price monitoring: the board of every symbol, and the jumps worth a look.
--
-- price_board is one row a symbol that moves with every trade: the last price, and since the first
-- trade seen its change, range, volume and average price. price_jumps is a row for every trade that
-- is more than 5 basis points away from the trade ten before it in the same symbol; it only grows,
-- so an alert can SUBSCRIBE to it. A view over OVER shows a row once the watermark has passed it
-- (one second behind the feed).

CREATE STREAMING VIEW price_board AS
SELECT symbol,
       last_value(price ORDER BY ts)                                             AS last_price,
       (last_value(price ORDER BY ts) / first_value(price ORDER BY ts) - 1) * 100 AS change_pct,
       min(price) AS low, max(price) AS high,
       sum(size) AS volume, vwap(price, size) AS vwap, count(*) AS trades
FROM trades
GROUP BY symbol;

CREATE STREAMING VIEW price_jumps AS
SELECT symbol, ts, price, move_bps
FROM (
  SELECT symbol, ts, price,
         returns(price, 10) OVER (PARTITION BY symbol ORDER BY ts) * 10000 AS move_bps
  FROM trades
) AS moves
WHERE abs(move_bps) > 5;

SELECT symbol, round(last_price, 2) AS last_price, round(change_pct, 3) AS change_pct, volume
FROM price_board ORDER BY abs(change_pct) DESC LIMIT 10;
