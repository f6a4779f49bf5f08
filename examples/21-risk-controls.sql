-- Risk controls: the checks that stop an order before it hurts.
--
-- fat_fingers are trades more than 50 basis points away from the mid price that stood when they
-- came (a price collar), or of more than 5,000 shares. order_rates counts trades per symbol and
-- second, and marks the seconds above five: the throttle. kill_switch is on once a symbol's
-- realized loss (positions of 09-position-monitoring.sql) is beyond 100, and stays on until it is
-- below 50.

CREATE STREAMING VIEW collars AS
SELECT t.id, t.symbol, t.ts, t.price, t.size, mid(q.bid, q.ask) AS mid,
       bps(t.price, mid(q.bid, q.ask)) AS distance_bps
FROM trades AS t ASOF JOIN quotes AS q ON t.symbol = q.symbol AND t.ts >= q.ts;

CREATE STREAMING VIEW fat_fingers AS
SELECT id, symbol, ts, price, size, distance_bps,
       CASE WHEN abs(distance_bps) > 50 THEN 'price' ELSE 'size' END AS reason
FROM collars WHERE abs(distance_bps) > 50 OR size > 5000;

CREATE STREAMING VIEW order_rates AS
SELECT window_start, symbol, count(*) AS orders, count(*) > 5 AS throttled
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' SECOND)
GROUP BY window_start, window_end, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW kill_switch AS
SELECT symbol, ts, realized_pnl,
       signal_state(realized_pnl < -100, realized_pnl > -50)
         OVER (PARTITION BY symbol ORDER BY ts) AS is_off
FROM positions;

SELECT symbol, ts, price, size, round(distance_bps, 1) AS distance_bps, reason
FROM fat_fingers ORDER BY ts DESC LIMIT 10;
