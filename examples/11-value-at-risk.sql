-- Value at risk: what is lost in a bad second, by four methods.
--
-- second_returns are returns from second to second. var_by_method takes the last two minutes of
-- them, anew every ten seconds: historical is the quantile itself, normal assumes a bell curve,
-- Cornish-Fisher corrects it for skewness and fat tails, Student's t fits fat tails. Losses are
-- positive. shortfall is the mean of the losses beyond the historical one.

CREATE STREAMING VIEW second_bars AS
SELECT window_start, window_end, window_time, symbol, last_value(price ORDER BY ts) AS close
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '1' SECOND)
GROUP BY window_start, window_end, window_time, symbol
EMIT ON WINDOW CLOSE;

CREATE STREAMING VIEW second_returns AS
SELECT symbol, window_time AS ts, close,
       returns(close) OVER (PARTITION BY symbol ORDER BY window_time) AS r
FROM second_bars;

CREATE STREAMING VIEW var_by_method AS
SELECT window_start, window_end, symbol, count(r) AS n,
       value_at_risk(r, 0.95)                     AS historical,
       value_at_risk(r, 0.95, 'normal')           AS normal,
       value_at_risk(r, 0.95, 'cornish_fisher')   AS cornish_fisher,
       value_at_risk(r, 0.95, 'student_t')        AS student_t,
       expected_shortfall(r, 0.95)                AS shortfall
FROM HOP(TABLE second_returns, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '2' MINUTE)
GROUP BY window_start, window_end, symbol
EMIT ON WINDOW CLOSE;

SELECT window_end, symbol, historical, normal, cornish_fisher, student_t, shortfall
FROM var_by_method WHERE n >= 30 ORDER BY window_end DESC, symbol LIMIT 10;
