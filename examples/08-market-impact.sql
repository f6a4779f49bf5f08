-- Market impact: how far does volume move the price, and how dear is it to trade?
--
-- impact measures each minute: kyle_lambda is the price move per signed share (the slope of price
-- changes over signed volume), amihud the absolute return per million traded, roll_spread the
-- spread that the bouncing of trades between bid and ask implies.

CREATE STREAMING VIEW signed_trades AS
SELECT symbol, ts, price, size, signed_qty(side, size) AS signed_size,
       price - lag(price) OVER (PARTITION BY symbol ORDER BY ts) AS price_change,
       returns(price) OVER (PARTITION BY symbol ORDER BY ts)     AS r
FROM trades;

CREATE STREAMING VIEW impact AS
SELECT window_start, symbol,
       kyle_lambda(price_change, signed_size)        AS kyle_lambda,
       amihud(r, price * size) * 1000000             AS amihud_per_million,
       roll_spread(price, ts)                        AS roll_spread,
       count(*)                                      AS trades
FROM TUMBLE(TABLE signed_trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE)
GROUP BY window_start, window_end, symbol
EMIT ON WINDOW CLOSE;

SELECT window_start, symbol, kyle_lambda, amihud_per_million, roll_spread
FROM impact ORDER BY window_start DESC, symbol LIMIT 10;
