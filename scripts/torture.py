"""Kills, stops and cuts off the server, Kafka and TimescaleDB at random, and counts every row.

usage: torture.py [--kills N] [--seed N] [--rate N] [--idle SECONDS] [--no-failpoints] [--no-ddl] [--keep]

Real parts, each a process of its own: a Kafka and a TimescaleDB of this run's own instance, the
server, a producer, and as negative control a naive consumer that adds what it reads to a table and
stores its offsets afterwards. While messages flow, one event after another is drawn by the seed:
SIGKILL or SIGSTOP of one of the parts, a second server that overtakes a stopped one on its directory,
or an end of the server's sessions in TimescaleDB; and most lives of the server have a failpoint armed,
at which it dies, stalls or loses an answer by itself. It goes on until N processes were killed or died
at a failpoint. Meanwhile views are created, altered, paused and dropped, rows are inserted, views are
followed, and what is committed is asked for.

In the end everything is compared with a count over the topic itself: the views, also those created on
the way, what the followers were told, the sinks in TimescaleDB, Kafka and Parquet files, the late
rows, the bad rows, the inserts, the ledger. Nothing may be lost, repeated or wrong; the naive consumer
must have failed. RTSAP_TEST_BINARY names the server; its log and data stay with --keep.

Its last line is "N passed, N failed".
"""

import argparse
import os
import pathlib
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter

import psycopg
from confluent_kafka.admin import AdminClient, NewTopic

import torture_ddl
import torture_sinks
from torture_chaos import Chaos, Failpoints, Naive
from torture_oracle import Topic, Verdict
from torture_parts import FILLS, PARTITIONS, QUIET, READY_SECONDS_MAX, SCRIPTS, TOPIC, Feed, Server, Service
from torture_sinks import SETTLE_SECONDS_MAX, settled, settled_table
from torture_watch import Follower, Witness, rows_as_text

FAILPOINTS = SCRIPTS.parent / "stream/src/failpoint.rs"
FOLLOWED = ["candles", "totals", "ticks", "notes_kept"]
# The naive consumer must have failed by then.
CONTROL_EVENTS = 100
# A source that leaves silent partitions out of its watermark may call their rows late when they wake.
IDLE_LATE_SHARE_MAX = 0.001

DEFINITIONS = """
CREATE SOURCE trades (
  id BIGINT NOT NULL, symbol TEXT NOT NULL, price DECIMAL(12,2) NOT NULL, size BIGINT NOT NULL,
  ts TIMESTAMP(6) WITH TIME ZONE NOT NULL, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{brokers}',
        'format' = 'json', 'scan.watermark.idle-timeout' = '{idle} s');
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

# The last view has rows as they are, without a key: in its table an epoch that is written twice shows.
MORE_DEFINITIONS = """
CREATE SOURCE fills (
  id BIGINT NOT NULL, symbol TEXT NOT NULL, price DECIMAL(12,2) NOT NULL, size BIGINT NOT NULL,
  ts TIMESTAMP(6) WITH TIME ZONE NOT NULL, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND
) WITH ('connector' = 'kafka', 'topic' = '{fills}', 'properties.bootstrap.servers' = '{brokers}',
        'format' = 'json', 'scan.watermark.idle-timeout' = '{idle} s');
CREATE STREAMING VIEW fill_totals AS
SELECT symbol, sum(size) AS volume, sum(price * size) AS notional, count(*) AS trades, sum(id) AS ids
FROM fills GROUP BY symbol;
CREATE STREAMING VIEW ticks AS SELECT id, symbol, price, size, ts FROM trades WHERE id % 400 = 7;
"""


def settle(server, wanted):
    """Waits until every view has taken every row: `wanted` is how many, by view."""
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while time.monotonic() < end:
        server.wait_until_ready()
        try:
            with server.connect() as connection:
                found = dict(connection.execute("SELECT view, rows_in FROM rtsap_catalog.ledger").fetchall())
                if all(found.get(view) == rows for view, rows in wanted.items()):
                    return
        except psycopg.Error:
            pass
        time.sleep(0.2)
    print("  the views have not taken every row; their ledger follows")


def judge_candles(verdict, view, name, topic, idle):
    """A view of closed windows, with what it called late; returns what its rows must be."""
    columns = "id, symbol, price, size, ts"
    rows = view.execute(f'SELECT {columns} FROM "{name}$late"').fetchall()
    late = {row[0] for row in rows}
    unjustified = sorted(late - set(topic.may_be_late))
    if idle >= 3600:
        # The rows themselves, each once.
        wanted = sorted((number, *topic.may_be_late[number]) for number in late if number in topic.may_be_late)
        verdict.same(f"{name}: late rows are rows that may be late", sorted(rows), wanted)
    else:
        verdict.holds(f"{name}: no row is late twice", len(rows) == len(late), f"{len(rows)} rows")
        share = len(unjustified) / topic.good
        told = f"{len(unjustified)} of {topic.good} rows were late for an idle partition"
        verdict.holds(f"{name}: few rows are late without need", share <= IDLE_LATE_SHARE_MAX, told)
    print(f"       {name}: {len(late)} rows were late, {len(topic.may_be_late)} may have been")
    wanted = topic.candles(late)
    verdict.same(name, sorted(view.execute(f"SELECT * FROM {name}").fetchall()), wanted)
    return wanted, len(late)


def judge_errors(verdict, view, source, topic):
    """The bad rows: where they lie, what they are, and in what way."""
    kinds, found = {kind for _, _, kind, _ in topic.broken}, []
    rows = view.execute(f'SELECT "split", "offset", reason, payload FROM "{source}$errors"').fetchall()
    for split, offset, reason, payload in rows:
        kind = next((kind for kind in kinds if reason.startswith(kind)), reason)
        found.append((int(split), offset, kind, bytes(payload)))
    verdict.same(f"bad rows of {source}", sorted(found), sorted(topic.broken))


def judge(server, kafka, timescale, watchers, options):
    """Everything against the topics. `watchers`: followers, witness, definer or None, writer."""
    followers, witness, definer, writer = watchers
    topics = {"trades": Topic(kafka.address, TOPIC), "fills": Topic(kafka.address, FILLS)}
    trades = topics["trades"]
    server.wait_until_ready()
    late_views = definer.settle() if definer else []
    rows_in = {name: trades.good for name in ["candles", "totals", "ticks"]} | {"fill_totals": topics["fills"].good}
    settle(server, rows_in | {view.name: topics[view.source].good for view in late_views})
    verdict = Verdict()
    with server.connect() as view:
        view.execute("FLUSH")
        candles, late = judge_candles(verdict, view, "candles", trades, options.idle)
        totals, ticks = trades.totals(), sorted(trades.ticks)
        verdict.same("totals", sorted(view.execute("SELECT * FROM totals").fetchall()), totals)
        fills = topics["fills"].totals()
        verdict.same("fill_totals", sorted(view.execute("SELECT * FROM fill_totals").fetchall()), fills)
        verdict.same("ticks", sorted(view.execute("SELECT * FROM ticks").fetchall()), ticks)
        for source, topic in topics.items():
            judge_errors(verdict, view, source, topic)
        ledger = "SELECT view, rows_in, used + filtered, late, balances FROM rtsap_catalog.ledger ORDER BY 1"
        ledger = [row for row in view.execute(ledger).fetchall() if row[0] in ("candles", "totals", "ticks")]
        count = trades.good
        wanted = [("candles", count, count - late, late, True), ("ticks", count, count, 0, True)]
        verdict.same("ledger", ledger, [*wanted, ("totals", count, count, 0, True)])
        for late_view in late_views:
            judge_late_view(verdict, view, late_view, topics[late_view.source], options.idle)
        notes = sorted(view.execute("SELECT id, item FROM notes").fetchall())
        kept = sorted(view.execute("SELECT id, item FROM notes_kept").fetchall())
    if definer:
        verdict.none("views are as they were defined", definer.faults)
        verdict.holds("a view was created on the way", late_views, f"{len(late_views)} live")
        print(f"       {dict(sorted(definer.done.items()))}")
        for text, times in definer.refused.items():
            print(f"       refused {times} times: {text}")
    verdict.none("inserted rows", writer.note_faults(notes))
    print(f"       {len(writer.acknowledged)} inserts acknowledged, {len(writer.in_doubt)} in doubt")
    verdict.same("rows of the view on the table", kept, notes)
    judge_sinks(verdict, server, kafka, timescale, {"candles": candles, "totals": totals, "ticks": ticks, "notes": notes})
    judge_watchers(verdict, server, followers, witness)
    return verdict, trades, late


def judge_late_view(verdict, view, late_view, topic, idle):
    if late_view.windowed:
        judge_candles(verdict, view, late_view.name, topic, idle)
        return
    (more,) = late_view.may_be
    found = sorted(view.execute(f"SELECT * FROM {late_view.name}").fetchall())
    verdict.same(f"{late_view.name} on {late_view.source}, plus {more}", found, topic.totals(more))


def judge_sinks(verdict, server, kafka, timescale, wanted):
    for name, rows in wanted.items():
        verdict.same(f"{name} in TimescaleDB", settled_table(timescale.address, name, rows), rows)
    for what, rows, read in [
        ("candles in Kafka", wanted["candles"], lambda: torture_sinks.kafka_candles(kafka.address)),
        ("totals in Kafka", wanted["totals"], lambda: torture_sinks.kafka_totals(kafka.address)),
        ("candles in files", wanted["candles"], lambda: torture_sinks.file_candles(server.folder)),
    ]:
        verdict.same(what, settled(read, rows), rows)
    for topic in ["candles-out", "totals-out"]:
        found = torture_sinks.messages(kafka.address, topic)
        verdict.none(f"epochs of {topic}", torture_sinks.epoch_faults(found))
        print(f"       {len(found)} messages of {len({message.epoch for message in found})} epochs")


def judge_watchers(verdict, server, followers, witness):
    for follower in followers:
        wanted = rows_as_text(server, follower.view)
        verdict.same(f"{follower.view} as followed", settled(follower.present, wanted), wanted)
        verdict.none(f"changes of {follower.view}", follower.faults)
        print(f"       {follower.changes} changes by {follower.connections} connections {dict(follower.errors) or ''}")
    verdict.none("committed answers never go back", witness.faults)
    verdict.holds("committed answers", witness.answers > 0, f"{witness.answers} {dict(witness.errors) or ''}")


def judge_parts(verdict, server, feed, naive, error, events):
    """The server's ends, the producer, and the negative control."""
    verdict.same("overtaken servers that went on", server.immortal, 0)
    log = (server.folder / "server.log").read_text(errors="replace")
    panics = [line for line in log.splitlines() if "panicked at" in line]
    verdict.none("panics in the server's log", panics)
    told = f"{feed.sent} sent, {feed.undelivered} not delivered"
    verdict.holds("the producer brought everything", feed.finished and not feed.undelivered, told)
    wrong = -naive.catch_up()
    wrong += naive.counted()
    print(f"the naive consumer is wrong by {wrong} messages")
    if events >= CONTROL_EVENTS:
        told = f"it had repeated {error} messages by event {CONTROL_EVENTS}"
        verdict.holds("the negative control has failed", error > 0 and wrong > 0, told)


def explain(server, kafka):
    """What whoever reads of a failure wants to know, and cannot ask later."""
    with server.connect() as connection:
        for name in ["SOURCES", "SINKS", "STREAMING VIEWS"]:
            for row in connection.execute(f"SHOW {name}").fetchall():
                print(f"  {row}")
    for topic in ["candles-out", "totals-out"]:
        print(f"  {topic}: {torture_sinks.ends(kafka.address, topic)}")
    log = (server.folder / "server.log").read_text(errors="replace")
    troubles = [line for line in log.splitlines() if "INFO" not in line]
    print("\n".join(f"  {line[:500]}" for line in troubles[-40:]))


def define(server, statement):
    """Runs a definition, again if the server dies in the midst of it."""
    for noun in ["SOURCE", "TABLE", "STREAMING VIEW", "SINK"]:
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


def create_topics(kafka, names):
    admin = AdminClient(QUIET | {"bootstrap.servers": kafka.address})
    for future in admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names]).values():
        future.result()


def define_all(server, kafka, timescale, options, more=""):
    names = {
        "topic": TOPIC, "fills": FILLS, "brokers": kafka.address, "timescale": timescale.address,
        "folder": server.folder, "idle": options.idle,
    }  # fmt: skip
    for statement in filter(str.strip, (DEFINITIONS + more).format(**names).split(";")):
        define(server, statement)


def strike_until(chaos, options, watchers):
    """Strikes until enough was killed; returns the number of events, and how many messages the naive
    consumer had repeated by the event by which it must have. Tells at once what was seen wrong."""
    events, error, told = 0, None, Counter()
    while chaos.kills() < options.kills:
        name = chaos.strike()
        events += 1
        print(f"[{chaos.kills()}/{options.kills}] {name}", flush=True)
        for watcher in watchers:
            for fault in watcher.faults[told[watcher] :]:
                print(f"  FAULT seen by {type(watcher).__name__}: {fault}", flush=True)
                told[watcher] += 1
        if events == CONTROL_EVENTS:
            error = chaos.naive.repeated()
    return events, error


def torture(options, folder):
    instance = f"torture-{os.getpid()}"
    kafka, timescale = Service("kafka", instance), Service("timescale", instance)
    server = naive = None
    try:
        create_topics(kafka, [TOPIC, FILLS])
        failpoints = Failpoints(options.seed, FAILPOINTS) if options.failpoints else None
        server, naive = Server(folder, failpoints), Naive(kafka.address, timescale.address)
        define_all(server, kafka, timescale, options, MORE_DEFINITIONS + torture_sinks.DEFINITIONS + torture_ddl.NOTES)
        feed, writer = Feed(kafka.address, options.rate, options.seed), torture_ddl.Writer(server, options.seed)
        definer = torture_ddl.Definer(server, feed, options.seed) if options.ddl else None
        followers, witness = [Follower(server, view) for view in FOLLOWED], Witness(server)
        actors = [feed, writer, definer] if definer else [feed, writer]
        for thread in [*actors, *followers, witness]:
            thread.start()
        chaos = Chaos(options.seed, server, kafka, timescale, naive)
        events, error = strike_until(chaos, options, [*followers, witness, *filter(None, [definer])])
        for actor in actors:
            actor.stopping.set()
        server.bury_all()
        # Whoever waits for an answer gets none, and sees that it shall stop.
        server.calm()
        for actor in actors:
            actor.join(SETTLE_SECONDS_MAX)
            if actor.is_alive():
                raise RuntimeError(f"{type(actor).__name__} does not stop: a statement hangs")
        verdict, trades, late = judge(server, kafka, timescale, (followers, witness, definer, writer), options)
        judge_parts(verdict, server, feed, naive, error, events)
        print(f"{trades.good} trades, {late} late\n{chaos.summary()}\n{dict(chaos.done)}")
        if failpoints:
            armed = f"{len(failpoints.armed)} failpoints armed, {len(set(failpoints.armed))} of {len(failpoints.names)}"
            print(armed)
        if verdict.failed:
            explain(server, kafka)
        return verdict
    finally:
        for part in filter(None, [server, naive]):
            part.end()
        for service in (kafka, timescale):
            service.script("remove")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--rate", type=int, default=4000)
    # An hour: no partition is left out, and what may be late is known exactly.
    parser.add_argument("--idle", type=int, default=3600)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--no-failpoints", dest="failpoints", action="store_false")
    parser.add_argument("--no-ddl", dest="ddl", action="store_false")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rtsap-torture-"))
    print(f"seed {options.seed}, {options.kills} kills, {options.rate} messages/s, in {folder}", flush=True)
    try:
        verdict = torture(options, folder)
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print(f"the server's log and data are in {folder}\n0 passed, 1 failed")
        sys.exit(1)
    if options.keep or verdict.failed:
        print(f"the server's log and data are in {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{verdict.passed} passed, {verdict.failed} failed")
    sys.exit(1 if verdict.failed else 0)


if __name__ == "__main__":
    main()
