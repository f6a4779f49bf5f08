-- Volume analysis: is this bar unusual, and where did the volume trade?
--
-- volume_bars are ten-second bars, shown when they close. volume_surprises compares each with the
-- mean of the (at most) twenty bars before it: relative_volume 3 means three times the usual. In
-- volume_by_price the volume of each minute is spread over price levels of five cents: poc is the
-- level with the most volume, value_low and value_high bound the 70 % around it (the value area).

CREATE STREAMING VIEW volume_bars AS
SELECT window_start, window_end, window_time, symbol, sum(size) AS volume, count(*) AS trades
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '10' SECOND)
GROUP BY window_start, window_end, window_time, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW volume_surprises AS
SELECT window_start, symbol, volume,
       volume / avg(volume) OVER (PARTITION BY symbol ORDER BY window_time
                                  ROWS BETWEEN 20 PRECEDING AND 1 PRECEDING) AS relative_volume
FROM volume_bars;

CREATE STREAMING VIEW volume_by_price AS
SELECT window_start, symbol,
       poc(volume_profile(price, size, 0.05))                       AS poc,
       (value_area(volume_profile(price, size, 0.05), 0.7))['low']  AS value_low,
       (value_area(volume_profile(price, size, 0.05), 0.7))['high'] AS value_high
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' MINUTE)
GROUP BY window_start, window_end, symbol
EMIT ON WINDOW CLOSE;

SELECT window_start, symbol, volume, round(relative_volume, 2) AS relative_volume
FROM volume_surprises WHERE relative_volume > 2 ORDER BY window_start DESC LIMIT 10;
