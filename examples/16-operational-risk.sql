-- Operational risk: feed gaps, stale quotes, crossed books.
--
-- feed_gaps are silences of a symbol of more than three seconds between two trades. crossed_books
-- are quotes whose bid is not below the ask. stale_quotes compares each symbol's last quote with the
-- newest of all: more than two seconds behind is stale. Payloads that could not be read are in
-- trades$errors and quotes$errors, rows that came too late in feed_gaps$late.

CREATE STREAMING VIEW feed_gaps AS
SELECT symbol, ts, gap_seconds
FROM (
  SELECT symbol, ts,
         extract(epoch FROM ts)
           - extract(epoch FROM lag(ts) OVER (PARTITION BY symbol ORDER BY ts)) AS gap_seconds
  FROM trades
) AS gaps
WHERE gap_seconds > 3;

CREATE STREAMING VIEW crossed_books AS
SELECT symbol, ts, bid, ask, spread_bps(bid, ask) AS spread_bps FROM quotes WHERE bid >= ask;

CREATE STREAMING VIEW last_quotes AS
SELECT symbol, max(ts) AS last_ts, count(*) AS quotes FROM quotes GROUP BY symbol;

CREATE STREAMING VIEW newest_quote AS SELECT 1 AS one, max(last_ts) AS newest FROM last_quotes;

CREATE STREAMING VIEW stale_quotes AS
SELECT q.symbol, q.last_ts,
       extract(epoch FROM n.newest) - extract(epoch FROM q.last_ts) AS seconds_behind
FROM (SELECT symbol, last_ts, 1 AS one FROM last_quotes) AS q
JOIN newest_quote AS n ON q.one = n.one
WHERE n.newest > q.last_ts + INTERVAL '2' SECOND;

SELECT symbol, ts, round(gap_seconds, 2) AS gap_seconds FROM feed_gaps
ORDER BY gap_seconds DESC LIMIT 10;
