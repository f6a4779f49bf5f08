-- Signal generation: a mean-reversion signal with an entry and an exit.
--
-- Reads second_bars of 11-value-at-risk.sql. signals has for every second bar how many standard
-- deviations its close is from the mean of the last twenty, and whether the long signal is on: it
-- goes on below -1.5 and off once the price is back at its mean. signal_events are the bars on
-- which it changes; before it is known it counts as off.

CREATE STREAMING VIEW signal_scores AS
SELECT symbol, window_time AS ts, close,
       zscore(close, 20) OVER (PARTITION BY symbol ORDER BY window_time) AS z
FROM second_bars;

CREATE STREAMING VIEW signals AS
SELECT symbol, ts, close, z,
       signal_state(z < -1.5, z >= 0) OVER (PARTITION BY symbol ORDER BY ts) AS is_long
FROM signal_scores;

CREATE STREAMING VIEW signal_events AS
SELECT symbol, ts, close, z, is_long
FROM (
  SELECT symbol, ts, close, z, is_long,
         coalesce(lag(is_long) OVER (PARTITION BY symbol ORDER BY ts), false) AS was_long
  FROM signals
) AS changes
WHERE is_long <> was_long;

SELECT ts, symbol, close, round(z, 2) AS z, is_long FROM signal_events ORDER BY ts DESC LIMIT 10;
