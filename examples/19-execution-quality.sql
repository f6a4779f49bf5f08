-- Order execution quality: what did our fills cost against the market?
--
-- Reads fills of 09-position-monitoring.sql. Each fill is compared with the quote that stood when
-- it happened (an ASOF join): slippage against the mid, positive is cost, and the effective spread.
-- markouts looks at the mid five seconds later: a positive markout means that the price moved our
-- way, a negative one that we traded with somebody who knew more. execution_costs adds up per symbol.

CREATE STREAMING VIEW fills_with_quote AS
SELECT f.id, f.symbol, f.ts, f.side, f.price, f.size, q.bid, q.ask
FROM fills AS f ASOF JOIN quotes AS q ON f.symbol = q.symbol AND f.ts >= q.ts;

CREATE STREAMING VIEW execution_costs AS
SELECT symbol, count(*) AS fills, sum(size) AS shares,
       arrival_slippage(side, price, size, mid(bid, ask))  AS slippage_bps,
       effective_spread(price, mid(bid, ask), size)        AS effective_spread
FROM fills_with_quote GROUP BY symbol;

CREATE STREAMING VIEW mids AS
SELECT window_start, window_end, window_time, symbol, last_value(mid(bid, ask) ORDER BY ts) AS mid
FROM TUMBLE(TABLE quotes, DESCRIPTOR(ts), INTERVAL '1' SECOND)
GROUP BY window_start, window_end, window_time, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW markouts AS
SELECT f.id, f.symbol, f.ts, f.side, f.price, m.window_time AS mid_at, m.mid,
       markout(f.price, f.side, m.mid) AS markout_bps
FROM fills AS f JOIN mids AS m
  ON f.symbol = m.symbol
 AND m.window_time BETWEEN f.ts + INTERVAL '5' SECOND AND f.ts + INTERVAL '6' SECOND;

SELECT symbol, fills, round(slippage_bps, 2) AS slippage_bps,
       round(effective_spread, 4) AS effective_spread
FROM execution_costs ORDER BY fills DESC LIMIT 10;
