"""One-second candles of a file of JSON lines by DuckDB, one thread. Prints what it took as JSON.

usage: python -c <this> <lines> <csv to write>
"""

import json
import resource
import sys
import time

import duckdb

lines, out = sys.argv[1:3]
database = duckdb.connect()
database.execute("SET threads = 1")
database.execute("SET preserve_insertion_order = false")
database.execute("SET enable_progress_bar = false")


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


cpu, wall = cpu_seconds(), time.monotonic()
database.execute(
    f"""
    CREATE TABLE candles AS
    SELECT time_bucket(INTERVAL 1 SECOND, ts) AS window_start, symbol,
           arg_min(price, ts) AS open, max(price) AS high, min(price) AS low,
           arg_max(price, ts) AS close, sum(size) AS volume,
           sum(price * size) / sum(size) AS vwap, count(*) AS trades
    FROM read_ndjson('{lines}', columns = {{symbol: 'VARCHAR', price: 'DOUBLE', size: 'BIGINT',
                                            ts: 'TIMESTAMP'}})
    GROUP BY ALL
    """
)
cpu, wall = cpu_seconds() - cpu, time.monotonic() - wall
(rows,) = database.execute("SELECT sum(trades)::BIGINT FROM candles").fetchone()
database.execute(
    f"""
    COPY (SELECT epoch_us(window_start), symbol, open, high, low, close, volume, vwap, trades
          FROM candles) TO '{out}' (FORMAT csv, HEADER)
    """
)
json.dump(
    {"version": duckdb.__version__, "rows": rows, "cpu_seconds": cpu, "wall_seconds": wall},
    sys.stdout,
)
