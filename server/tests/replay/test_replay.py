"""Real trade ticks through a real Kafka and the real server; DuckDB over the files is the oracle.

The ticks are those of RTSAP_MARKET_DATA/equity_tick: three stocks on 2013-10-07, with many equal
times and in the order in which they were recorded. Nothing of them is kept in the project.
"""

import datetime
import decimal
import io
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.request
import uuid
import zipfile

import duckdb
import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

SYMBOLS = ["aig", "ibm", "spy"]
TICKS_MAX = 60_000
NEW_YORK_MIDNIGHT = datetime.datetime(2013, 10, 7, 4, tzinfo=datetime.UTC)
WAIT_SECONDS_MAX = 90

SOURCE = """CREATE SOURCE ticks (
    symbol TEXT NOT NULL, price DECIMAL(12, 4) NOT NULL, size BIGINT NOT NULL, exchange TEXT,
    ts TIMESTAMP(3) WITH TIME ZONE NOT NULL, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}',
        'format' = 'json')"""
CANDLES = """CREATE STREAMING VIEW candles AS
SELECT window_start, symbol, first_value(price ORDER BY ts) AS open, max(price) AS high,
       min(price) AS low, last_value(price ORDER BY ts) AS close, sum(size) AS volume,
       vwap(price, size) AS vwap, count(DISTINCT exchange) AS exchanges, count(*) AS trades
FROM TUMBLE(TABLE ticks, DESCRIPTOR(ts), INTERVAL '1' MINUTE)
GROUP BY window_start, window_end, symbol"""
CANDLES_ORACLE = """
SELECT time_bucket(INTERVAL 1 MINUTE, ts), symbol, first(price ORDER BY n), max(price), min(price),
       last(price ORDER BY n), sum(size)::BIGINT, sum(price::DOUBLE * size) / sum(size),
       count(DISTINCT exchange), count(*)
FROM ticks GROUP BY ALL ORDER BY 1, 2"""
ROLLING = """CREATE STREAMING VIEW rolling AS
SELECT window_start, symbol, avg(price) AS mean, stddev(price) AS deviation, count(*) AS trades
FROM HOP(TABLE ticks, DESCRIPTOR(ts), INTERVAL '5' MINUTE, INTERVAL '15' MINUTE)
GROUP BY window_start, window_end, symbol"""
ROLLING_ORACLE = """
SELECT time_bucket(INTERVAL 5 MINUTE, ts) - back * INTERVAL 5 MINUTE AS start, symbol,
       avg(price::DOUBLE), stddev_samp(price::DOUBLE), count(*)
FROM ticks, range(3) AS r(back) GROUP BY ALL ORDER BY 1, 2"""
TOTALS = """CREATE STREAMING VIEW totals AS
SELECT symbol, exchange, sum(price * size) AS notional, count(*) AS trades FROM ticks
GROUP BY symbol, exchange"""
TOTALS_ORACLE = """
SELECT symbol, exchange, sum(price * size), count(*) FROM ticks GROUP BY ALL ORDER BY 1, 2"""


@pytest.fixture(scope="module")
def ticks():
    """(symbol, price, size, exchange, ts) in the order of the files, merged by time."""
    folder = os.environ.get("RTSAP_MARKET_DATA")
    if not folder or not pathlib.Path(folder, "equity_tick").is_dir():
        pytest.skip("no recorded market data: set RTSAP_MARKET_DATA")
    rows = []
    for symbol in SYMBOLS:
        path = pathlib.Path(folder, "equity_tick", f"{symbol}_20131007_trade_tick.csv.zip")
        with zipfile.ZipFile(path) as archive:
            text = io.TextIOWrapper(archive.open(archive.namelist()[0]))
            for line in list(text)[:TICKS_MAX]:
                ms, price, size, exchange, _, _ = line.strip().split(",")
                at = NEW_YORK_MIDNIGHT + datetime.timedelta(milliseconds=int(float(ms)))
                price = decimal.Decimal(price).scaleb(-4)
                rows.append((symbol.upper(), price, int(size), exchange, at))
    rows.sort(key=lambda row: row[4])
    return rows


@pytest.fixture(scope="module")
def oracle(ticks, tmp_path_factory):
    """A DuckDB over the same rows, n being their order."""
    path = tmp_path_factory.mktemp("oracle") / "ticks.csv"
    with path.open("w") as out:
        for n, (symbol, price, size, exchange, at) in enumerate(ticks):
            out.write(f"{n},{symbol},{price},{size},{exchange},{at.replace(tzinfo=None).isoformat()}\n")
    database = duckdb.connect()
    columns = (
        "{'n': 'BIGINT', 'symbol': 'VARCHAR', 'price': 'DECIMAL(12,4)', 'size': 'BIGINT', "
        "'exchange': 'VARCHAR', 'ts': 'TIMESTAMP'}"
    )
    database.execute(f"CREATE TABLE ticks AS FROM read_csv('{path}', header=false, columns={columns})")
    return database


@pytest.fixture(scope="module")
def topic(ticks):
    """A new topic with all ticks, those of a symbol in one partition."""
    brokers = os.environ.get("RTSAP_TEST_KAFKA")
    if not brokers:
        pytest.skip("no Kafka: set RTSAP_TEST_KAFKA")
    name = f"replay-{uuid.uuid4()}"
    admin = AdminClient({"bootstrap.servers": brokers})
    for future in admin.create_topics([NewTopic(name, 3, 1)]).values():
        future.result()
    producer = Producer({"bootstrap.servers": brokers, "linger.ms": 20})
    for n, (symbol, price, size, exchange, at) in enumerate(ticks):
        message = {"symbol": symbol, "price": str(price), "size": size, "exchange": exchange, "ts": at.isoformat()}
        producer.produce(name, json.dumps(message), partition=SYMBOLS.index(symbol.lower()))
        if n % 10_000 == 0:
            producer.flush()
    producer.flush()
    yield brokers, name
    admin.delete_topics([name])


@pytest.fixture(scope="module")
def views(topic, ticks, tmp_path_factory):
    """A connection to a server whose views have taken every tick."""
    folder = tmp_path_factory.mktemp("server")
    ports = [free_port() for _ in range(3)]
    command = [os.environ["RTSAP_TEST_BINARY"], "serve", "--data-dir", folder / "data"]
    for option, port in zip(["--pg-port", "--flight-port", "--http-port"], ports, strict=True):
        command += [option, str(port)]
    log = (folder / "server.log").open("w")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(lambda: answers(f"http://127.0.0.1:{ports[2]}/ready"), "the server")
        conninfo = f"host=127.0.0.1 port={ports[0]} user=rtsap dbname=rtsap"
        with psycopg.connect(conninfo, autocommit=True) as connection:
            brokers, name = topic
            connection.execute("SET TimeZone = 'UTC'")
            for sql in (SOURCE.format(brokers=brokers, topic=name), CANDLES, ROLLING, TOTALS):
                connection.execute(sql)
            ledger = "SELECT count(*) FROM rtsap_catalog.ledger WHERE rows_in = %s"
            done = lambda: connection.execute(ledger, [len(ticks)]).fetchone()[0] == 3  # noqa: E731
            wait_for(done, "all ticks in all views")
            yield connection
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return answer.status == 200
    except OSError:
        return False


def wait_for(done, what):
    end = time.monotonic() + WAIT_SECONDS_MAX
    while not done():
        assert time.monotonic() < end, f"waited too long for {what}"
        time.sleep(0.1)


def same(found, wanted):
    """Row by row: floats within 1e-9 of each other, everything else exactly."""
    assert len(found) == len(wanted) > 0
    for ours, theirs in zip(found, wanted, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            if isinstance(a, datetime.datetime):
                a = a.replace(tzinfo=None)
            if isinstance(b, float) and a is not None:
                assert float(a) == pytest.approx(b, rel=1e-9, abs=1e-9), (ours, theirs)
            else:
                assert a == b, (ours, theirs)


def test_candles_of_real_ticks_are_those_of_duckdb(views, oracle):
    found = views.execute("SELECT * FROM candles ORDER BY window_start, symbol").fetchall()
    same(found, oracle.execute(CANDLES_ORACLE).fetchall())


def test_overlapping_windows_of_real_ticks_are_those_of_duckdb(views, oracle):
    found = views.execute("SELECT * FROM rolling ORDER BY window_start, symbol").fetchall()
    same(found, oracle.execute(ROLLING_ORACLE).fetchall())


def test_totals_of_real_ticks_are_exact(views, oracle):
    found = views.execute("SELECT * FROM totals ORDER BY symbol, exchange").fetchall()
    same(found, oracle.execute(TOTALS_ORACLE).fetchall())


def test_no_tick_is_late_or_refused(views):
    for relation in ("candles$late", "rolling$late", "ticks$errors"):
        assert views.execute(f'SELECT count(*) FROM "{relation}"').fetchone() == (0,)
