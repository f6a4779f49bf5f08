"""Kills, stops and cuts off the server, Kafka and TimescaleDB at random, and counts every row.

usage: torture.py [--kills EVENTS] [--seed N] [--rate N] [--no-failpoints] [--keep]

Real parts, each a process of its own: a Kafka and a TimescaleDB of this run's own instance, the
server, a producer, and as negative control a naive consumer that adds what it reads to a table and
stores its offsets afterwards. While messages flow, one event after another is drawn by the seed:
SIGKILL or SIGSTOP of one of the parts, or an end of the server's sessions in TimescaleDB; and most
lives of the server have a failpoint armed, at which it dies, stalls or loses an answer by itself. In
the end everything is compared with a count over the topic itself: both views, the sinks in
TimescaleDB, Kafka and Parquet files, the late rows, the bad rows, the ledger. Nothing may be lost,
repeated or wrong; the naive consumer must have failed. RTSAP_TEST_BINARY names the server; its log
and data stay with --keep.

Its last line is "N passed, N failed".
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import torture_sinks

SCRIPTS = pathlib.Path(__file__).resolve().parent
TOPIC = "torture"
PARTITIONS = 3
START = datetime(2026, 1, 5, 14, 30, tzinfo=UTC)
FAILPOINTS = SCRIPTS.parent / "stream/src/failpoint.rs"
SETTLE_SECONDS_MAX = 180
READY_SECONDS_MAX = 60
# Brokers that are away are what this is about.
QUIET = {"log_level": 0}

DEFINITIONS = """
CREATE SOURCE trades (
  id BIGINT NOT NULL, symbol TEXT NOT NULL, price DECIMAL(12,2) NOT NULL, size BIGINT NOT NULL,
  ts TIMESTAMP(6) WITH TIME ZONE NOT NULL, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}',
        'format' = 'json');
CREATE STREAMING VIEW candles AS
SELECT window_start, symbol, min(price) AS low, max(price) AS high, sum(size) AS volume,
       sum(price * size) AS notional, count(*) AS trades, sum(id) AS ids
FROM TUMBLE(TABLE trades, DESCRIPTOR(ts), INTERVAL '5' SECOND)
GROUP BY window_start, window_end, symbol EMIT ON WINDOW CLOSE;
CREATE STREAMING VIEW totals AS
SELECT symbol, sum(size) AS volume, sum(price * size) AS notional, count(*) AS trades, sum(id) AS ids
FROM trades GROUP BY symbol;
CREATE SINK candles_sink FROM candles
  WITH ('connector' = 'timescaledb', 'url' = '{timescale}', 'table' = 'candles');
CREATE SINK totals_sink FROM totals
  WITH ('connector' = 'timescaledb', 'url' = '{timescale}', 'table' = 'totals');
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Service:
    """Kafka or TimescaleDB, as its script runs it."""

    def __init__(self, name, instance):
        self.name = name
        self.environment = dict(os.environ, RTSAP_INSTANCE=instance, RTSAP_OWNER=str(os.getpid()))
        self.address = self.script("start").strip().splitlines()[-1]

    def script(self, *words):
        command = [SCRIPTS / f"{self.name}.sh", *words]
        quiet = {"stderr": subprocess.DEVNULL}
        return subprocess.run(command, env=self.environment, check=True, stdout=subprocess.PIPE, text=True, **quiet).stdout

    def pids(self):
        """The process and its children."""
        port = self.address.rsplit(":", 1)[1].split("/")[0]
        for _ in range(3):
            listening = subprocess.run(["ss", "-Hltnp", f"sport = :{port}"], capture_output=True, text=True, check=True)
            if "pid=" in listening.stdout:
                break
            # It has ended by itself, or never came up under load.
            self.script("start")
        else:
            raise RuntimeError(f"{self.name} does not listen on port {port}")
        first = listening.stdout.split("pid=", 1)[1].split(",", 1)[0]
        children = subprocess.run(["pgrep", "-P", first], capture_output=True, text=True, check=False)
        return [int(pid) for pid in [first, *children.stdout.split()]]

    def kill(self):
        send(self.pids(), signal.SIGKILL)
        time.sleep(0.2)
        self.script("start")

    def pause(self, seconds):
        pids = self.pids()
        send(pids, signal.SIGSTOP)
        time.sleep(seconds)
        send(pids, signal.SIGCONT)


def send(pids, number):
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


class Server:
    """The server as a child, started again after each kill on the same directory."""

    def __init__(self, folder, failpoints):
        self.folder, self.failpoints = folder, failpoints
        self.died = 0
        self.ports = [free_port() for _ in range(3)]
        self.process = None
        self.start()

    def start(self):
        command = [os.environ["RTSAP_TEST_BINARY"], "serve", "--data-dir", self.folder / "data"]
        for option, port in zip(["--pg-port", "--flight-port", "--http-port"], self.ports, strict=True):
            command += [option, str(port)]
        environment = dict(os.environ)
        if self.failpoints:
            environment["RTSAP_FAILPOINTS"] = self.failpoints.draw()
        with (self.folder / "server.log").open("a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)

    def wait_until_ready(self):
        end = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < end:
            # It gave up, as when Kafka was away for too long at a start: what a supervisor does.
            self.revive()
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[2]}/ready", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise RuntimeError("the server does not get ready")

    def revive(self):
        """Starts it again if it has died by itself."""
        if self.process.poll() is not None:
            self.died += 1
            self.start()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.start()

    def calm(self):
        """From now on it is to live."""
        self.failpoints = None
        self.kill()

    def pause(self, seconds):
        send([self.process.pid], signal.SIGSTOP)
        time.sleep(seconds)
        send([self.process.pid], signal.SIGCONT)

    def connect(self):
        conninfo = f"host=127.0.0.1 port={self.ports[0]} user=rtsap dbname=rtsap"
        connection = psycopg.connect(conninfo, autocommit=True)
        connection.execute("SET TimeZone = 'UTC'")
        return connection


class Feed(threading.Thread):
    """Produces trades until it is told to stop: some out of order, some late, some broken."""

    def __init__(self, brokers, rate, seed):
        super().__init__(daemon=True)
        self.producer = Producer(
            QUIET
            | {"bootstrap.servers": brokers, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 600_000}
        )
        self.rate, self.random, self.stopping = rate, random.Random(seed), threading.Event()

    def run(self):
        number, began = 0, time.monotonic()
        while not self.stopping.is_set():
            due = int((time.monotonic() - began) * self.rate)
            while number < due:
                self.send(number)
                number += 1
            self.producer.poll(0.01)
        self.close(number)
        self.producer.flush(120)

    def send(self, number):
        symbol = self.random.randrange(24)
        back = self.random.randrange(800_000)
        if number % 997 == 0:
            back += 20_000_000
        at = START + timedelta(microseconds=number * 1000 - back)
        cents = 10_000 + 100 * symbol + self.random.randrange(100)
        trade = {
            "id": number, "symbol": f"S{symbol}", "price": f"{cents / 100:.2f}", "size": self.random.randrange(1, 500),
            "ts": at.isoformat(),
        }  # fmt: skip
        text = "{broken" if number % 1009 == 0 else json.dumps(trade)
        while True:
            try:
                self.producer.produce(TOPIC, text, partition=symbol % PARTITIONS)
                return
            except BufferError:
                self.producer.poll(0.1)

    def close(self, number):
        """One last trade for each partition, far ahead, closes all windows before it."""
        at = START + timedelta(microseconds=number * 1000) + timedelta(hours=1)
        for partition in range(PARTITIONS):
            trade = {"id": number + partition, "symbol": f"S{partition}", "price": "1.00", "size": 1, "ts": at.isoformat()}
            self.producer.produce(TOPIC, json.dumps(trade), partition=partition)


class Chaos:
    """Draws what happens next."""

    def __init__(self, seed, server, kafka, timescale, naive):
        self.random = random.Random(seed)
        self.server, self.kafka, self.timescale, self.naive = server, kafka, timescale, naive
        self.done = Counter()

    def strike(self):
        events = {
            "server killed": (12, self.kill_server), "server stopped": (2, self.pause_server),
            "Kafka killed": (2, self.kafka.kill), "Kafka stopped": (1, self.pause_kafka),
            "TimescaleDB killed": (3, self.timescale.kill), "TimescaleDB stopped": (1, self.pause_timescale),
            "sessions ended": (2, self.end_sessions),
        }  # fmt: skip
        name = self.random.choices(list(events), [weight for weight, _ in events.values()])[0]
        time.sleep(self.random.uniform(0.05, 1.8))
        self.server.revive()
        events[name][1]()
        self.done[name] += 1
        return name

    def kill_server(self):
        self.naive.kill()
        self.server.kill()
        # Half of the time it is killed again while it recovers.
        if self.random.random() < 0.5:
            self.server.wait_until_ready()

    def pause_server(self):
        self.server.pause(self.random.uniform(0.1, 3))

    def pause_kafka(self):
        self.kafka.pause(self.random.uniform(0.1, 3))

    def pause_timescale(self):
        self.timescale.pause(self.random.uniform(0.1, 3))

    def end_sessions(self):
        try:
            with psycopg.connect(self.timescale.address, autocommit=True) as target:
                target.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
        except psycopg.OperationalError:
            pass


def read_topic(brokers):
    """All trades by id, and how many messages are broken."""
    consumer = Consumer(QUIET | {"bootstrap.servers": brokers, "group.id": "oracle", "enable.auto.commit": False})
    ends = {p: consumer.get_watermark_offsets(TopicPartition(TOPIC, p), timeout=30)[1] for p in range(PARTITIONS)}
    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in ends])
    trades, broken, left = {}, 0, sum(ends.values())
    while left > 0:
        for message in consumer.consume(10_000, 5):
            left -= 1
            try:
                trade = json.loads(message.value())
            except ValueError:
                broken += 1
                continue
            at = datetime.fromisoformat(trade["ts"])
            trades[trade["id"]] = (trade["symbol"], Decimal(trade["price"]), trade["size"], at)
    consumer.close()
    return trades, broken


def candles_of(trades, late, closed_before):
    """What the closed candles must be: by a loop over the topic."""
    candles = {}
    for number, (symbol, price, size, at) in trades.items():
        start = at.replace(second=at.second - at.second % 5, microsecond=0)
        if number in late or start + timedelta(seconds=5) > closed_before:
            continue
        c = candles.setdefault((start, symbol), [price, price, 0, Decimal(0), 0, 0])
        c[0], c[1] = min(c[0], price), max(c[1], price)
        c[2], c[3], c[4], c[5] = c[2] + size, c[3] + price * size, c[4] + 1, c[5] + number
    return sorted((*key, *values) for key, values in candles.items())


def totals_of(trades):
    totals = {}
    for number, (symbol, price, size, _) in trades.items():
        t = totals.setdefault(symbol, [0, Decimal(0), 0, 0])
        t[0], t[1], t[2], t[3] = t[0] + size, t[1] + price * size, t[2] + 1, t[3] + number
    return sorted((symbol, *values) for symbol, values in totals.items())


class Verdict:
    """Compares, and counts what was found."""

    def __init__(self):
        self.passed = self.failed = 0

    def same(self, what, found, wanted):
        if found == wanted:
            self.passed += 1
            size = len(wanted) if isinstance(wanted, list) else wanted
            print(f"ok     {what}: {size}")
            return
        self.failed += 1
        print(f"FAILED {what}")
        if isinstance(wanted, list):
            print(f"  missing: {sorted(set(wanted) - set(found))[:3]}\n  wrong: {sorted(set(found) - set(wanted))[:3]}")
            print(f"  rows: {len(found)} instead of {len(wanted)}")
        else:
            print(f"  {found} instead of {wanted}")


def settle(server, good):
    """Waits until every view has taken every row."""
    end = time.monotonic() + SETTLE_SECONDS_MAX
    ledger = "SELECT count(*) FROM rtsap_catalog.ledger WHERE rows_in = %s"
    while time.monotonic() < end:
        server.wait_until_ready()
        try:
            with server.connect() as connection:
                if connection.execute(ledger, [good]).fetchone()[0] == 2:
                    return
        except psycopg.Error:
            pass
        time.sleep(0.2)
    print("  the views have not taken every row; their ledger follows")


def judge(server, kafka, timescale):
    trades, broken = read_topic(kafka.address)
    settle(server, len(trades))
    verdict = Verdict()
    with server.connect() as view:
        late = sorted(row[0] for row in view.execute('SELECT id FROM "candles$late"').fetchall())
        verdict.same("no row is late twice", len(late), len(set(late)))
        verdict.same("late rows are rows of the topic", set(late) <= set(trades), True)
        closed_before = max(at for _, _, _, at in trades.values())
        candles, totals = candles_of(trades, set(late), closed_before), totals_of(trades)
        verdict.same("candles", sorted(view.execute("SELECT * FROM candles").fetchall()), candles)
        verdict.same("totals", sorted(view.execute("SELECT * FROM totals").fetchall()), totals)
        errors = view.execute('SELECT count(*), count(DISTINCT ("split" || \'/\' || "offset")) FROM "trades$errors"')
        verdict.same("broken messages", errors.fetchone(), (broken, broken))
        ledger = view.execute("SELECT view, rows_in, used + filtered, late, balances FROM rtsap_catalog.ledger ORDER BY 1")
        count = len(trades)
        wanted = [("candles", count, count - len(late), len(late), True), ("totals", count, count, 0, True)]
        verdict.same("ledger", ledger.fetchall(), wanted)
    verdict.same("candles in TimescaleDB", settled_table(timescale, "candles", candles), candles)
    verdict.same("totals in TimescaleDB", settled_table(timescale, "totals", totals), totals)
    for what, wanted, read in [
        ("candles in Kafka", candles, lambda: torture_sinks.kafka_candles(kafka.address)),
        ("totals in Kafka", totals, lambda: torture_sinks.kafka_totals(kafka.address)),
        ("candles in files", candles, lambda: torture_sinks.file_candles(server.folder)),
    ]:
        verdict.same(what, settled(read, wanted), wanted)
    return verdict, len(trades), len(late), naive_error(timescale, trades)


def explain(server, kafka):
    """What whoever reads of a failure wants to know, and cannot ask later."""
    with server.connect() as connection:
        for name in ["SINKS", "STREAMING VIEWS"]:
            for row in connection.execute(f"SHOW {name}").fetchall():
                print(f"  {row}")
    for topic in ["candles-out", "totals-out"]:
        print(f"  {topic}: {torture_sinks.ends(kafka.address, topic)}")
    troubles = [line for line in (server.folder / "server.log").read_text().splitlines() if "INFO" not in line]
    print("\n".join(f"  {line[:500]}" for line in troubles[-40:]))


def settled_table(timescale, table, wanted):
    def read():
        with psycopg.connect(timescale.address, autocommit=True) as target:
            target.execute("SET TimeZone = 'UTC'")
            return sorted(target.execute(f"SELECT * FROM {table}").fetchall())

    return settled(read, wanted)


def settled(read, wanted):
    """What `read` gives once that is what is wanted, or in the end."""
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        found = read()
        if found == wanted or time.monotonic() > end:
            return found
        time.sleep(0.5)


def naive_error(timescale, trades):
    time.sleep(8)
    with psycopg.connect(timescale.address, autocommit=True) as target:
        volume = target.execute("SELECT volume FROM naive").fetchone()[0]
    return volume - sum(size for _, _, size, _ in trades.values())


def define(server, statement):
    """Runs a definition, again if the server dies in the midst of it."""
    for noun in ["SOURCE", "STREAMING VIEW", "SINK"]:
        statement = statement.replace(f"CREATE {noun} ", f"CREATE {noun} IF NOT EXISTS ")
    end = time.monotonic() + READY_SECONDS_MAX
    while True:
        server.wait_until_ready()
        try:
            with server.connect() as connection:
                connection.execute(statement)
            return
        except psycopg.OperationalError:
            if time.monotonic() > end:
                raise


def torture(options, folder):
    instance = f"torture-{os.getpid()}"
    kafka, timescale = Service("kafka", instance), Service("timescale", instance)
    parts = []
    try:
        admin = AdminClient(QUIET | {"bootstrap.servers": kafka.address})
        for future in admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)]).values():
            future.result()
        failpoints = torture_sinks.Failpoints(options.seed, FAILPOINTS) if options.failpoints else None
        server, naive = Server(folder, failpoints), torture_sinks.Naive(kafka.address, timescale.address, TOPIC)
        parts = [server, naive]
        names = {"topic": TOPIC, "brokers": kafka.address, "timescale": timescale.address, "folder": folder}
        sql = (DEFINITIONS + torture_sinks.DEFINITIONS).format(**names)
        for statement in filter(str.strip, sql.split(";")):
            define(server, statement)
        feed = Feed(kafka.address, options.rate, options.seed)
        feed.start()
        chaos = Chaos(options.seed, server, kafka, timescale, naive)
        for number in range(options.kills):
            name = chaos.strike()
            print(f"[{number + 1}/{options.kills}] {name}", flush=True)
        feed.stopping.set()
        feed.join()
        server.calm()
        verdict, rows, late, error = judge(server, kafka, timescale)
        print(f"{rows} trades, {late} late; {dict(chaos.done)}")
        if failpoints:
            armed = f"{len(failpoints.armed)} failpoints armed, {len(set(failpoints.armed))} of {len(failpoints.names)}"
            print(f"{armed}; the server died by itself {server.died} times")
        print(f"the naive consumer is wrong by {error} shares")
        if options.kills >= 100 and error == 0:
            verdict.failed += 1
            print("FAILED the negative control: nothing was tested")
        if verdict.failed:
            explain(server, kafka)
        return verdict
    finally:
        for part in parts:
            part.process.kill()
        for service in (kafka, timescale):
            service.script("remove")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=int, default=4000)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--no-failpoints", dest="failpoints", action="store_false")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rtsap-torture-"))
    print(f"seed {options.seed}, {options.kills} events, {options.rate} messages/s", flush=True)
    verdict = torture(options, folder)
    if options.keep or verdict.failed:
        print(f"the server's log and data are in {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{verdict.passed} passed, {verdict.failed} failed")
    sys.exit(1 if verdict.failed else 0)


if __name__ == "__main__":
    main()
