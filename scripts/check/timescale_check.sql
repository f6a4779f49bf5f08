-- Does this server do what RTSAP's tests rely on? Leaves nothing behind; prints one line.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS timescaledb;
BEGIN;
CREATE TABLE rtsap_check (
    ts timestamptz NOT NULL, symbol text NOT NULL, v float8, PRIMARY KEY (symbol, ts)
);
SELECT create_hypertable('rtsap_check', 'ts', chunk_time_interval => interval '1 day') \g /dev/null
INSERT INTO rtsap_check
SELECT timestamptz '2026-01-01' + i * interval '1 minute', 'S' || i % 10, i
FROM generate_series(1, 5000) i;
INSERT INTO rtsap_check SELECT ts, symbol, -1 FROM rtsap_check LIMIT 100
ON CONFLICT (symbol, ts) DO UPDATE SET v = excluded.v;
SELECT 'timescaledb ' || (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb')
    || ' on PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)
    || ', licence ' || current_setting('timescaledb.license')
    || ', ' || (SELECT count(*) FROM show_chunks('rtsap_check')) || ' chunks'
    || ', ' || (SELECT count(*) FROM rtsap_check) || ' rows'
    || ', ' || (SELECT count(DISTINCT time_bucket('1 hour', ts)) FROM rtsap_check) || ' buckets'
    || ', ' || (SELECT count(*) FROM rtsap_check WHERE v = -1) || ' upserted';
ROLLBACK;
