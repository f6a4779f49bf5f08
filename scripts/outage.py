"""Takes TimescaleDB away while trades come, and measures what goes on and how fast it catches up.

usage: outage.py [--seconds N] [--rate N] [--seed N] [--no-kill] [--keep]

Real parts, each a process of its own, as in torture.py: a Kafka and a TimescaleDB of this run's own
instance, the server, a producer. TimescaleDB is stopped for the given time; in the midst of it the
server is killed and started again. Meanwhile rows, checkpoints and answers are measured each second;
afterwards, how long the sinks need until nothing waits for them. In the end views and tables are
compared with a count over the topic. RTSAP_TEST_BINARY names the server.

Rows and checkpoints must go on at no less than RATE_MIN of the rate before, answers take no more than
ANSWER_FACTOR_MAX times as long, and after an outage of a minute or more the sinks must catch up
CATCH_UP_FACTOR_MIN times as fast as rows come. Its last line is "N passed, N failed".
"""

import argparse
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
from typing import NamedTuple

import psycopg

import torture
from torture_oracle import Topic, Verdict
from torture_parts import FILLS, TOPIC, Feed, Server, Service
from torture_sinks import settled_table

WARM_SECONDS = 8
# What somebody who only reads may notice of it: nothing but noise.
RATE_MIN, ANSWER_FACTOR_MAX = 0.8, 3
# Below this a difference is that of the machine.
ANSWER_MS_FLOOR = 30
# Of a short outage nearly all of the time goes to finding that the database is back.
CATCH_UP_SECONDS_MIN, CATCH_UP_FACTOR_MIN = 60, 2
CATCH_UP_SECONDS_MAX = 3600
# An epoch may always be on its way.
PENDING_AT_REST = 2


class Phase(NamedTuple):
    """What a phase of the drill came to. Checkpoints are those of the time in which the server lived."""

    rows: int
    rows_per_second: float
    epochs_per_second: float
    answer_ms: float
    pending: int


class Gauge:
    """Looks at the server from time to time."""

    def __init__(self, server):
        self.server = server

    def look(self):
        """Time, rows taken by both views, epoch, epochs that wait for the sinks, milliseconds of an answer."""
        with self.server.connect() as connection:
            rows = connection.execute("SELECT min(rows_in) FROM rtsap_catalog.ledger").fetchone()[0]
            epoch = connection.execute("SELECT epoch FROM rtsap_catalog.checkpoints").fetchone()[0]
            pending = connection.execute("SELECT max(pending_epochs) FROM rtsap_catalog.sinks").fetchone()[0]
            began = time.monotonic()
            connection.execute("SELECT count(*), sum(volume) FROM totals").fetchone()
            return time.monotonic(), rows, epoch, pending, (time.monotonic() - began) * 1000

    def watch(self, what, seconds, between=None):
        """Looks each second; `between` is done once, half way."""
        looks, end = [self.look()], time.monotonic() + seconds
        gap = 0.0
        while time.monotonic() < end:
            if between and time.monotonic() > end - seconds / 2:
                began = time.monotonic()
                between()
                between = None
                gap = time.monotonic() - began
            time.sleep(min(1, max(0.1, end - time.monotonic())))
            looks.append(self.look())
        (began, rows, epoch, _, _), (ended, more, later, pending, _) = looks[0], looks[-1]
        took = ended - began
        answers = statistics.median(look[4] for look in looks)
        phase = Phase(more - rows, (more - rows) / took, (later - epoch) / (took - gap), answers, pending)
        print(
            f"{what:<22} {took:>8.1f} s {phase.rows_per_second:>10.0f} rows/s {phase.epochs_per_second:>6.2f} epochs/s "
            f"{answers:>7.1f} ms an answer {pending:>6} epochs wait" + (f"; {gap:.1f} s of it killed and back" if gap else ""),
            flush=True,
        )
        return phase


def drill(options, folder):
    instance = f"outage-{os.getpid()}"
    kafka, timescale = Service("kafka", instance), Service("timescale", instance)
    server = None
    try:
        torture.create_topics(kafka, [TOPIC, FILLS])
        server = Server(folder, None)
        torture.define_all(server, kafka, timescale, options)
        feed = Feed(kafka.address, options.rate, options.seed)
        feed.start()
        verdict, gauge = Verdict(), Gauge(server)
        time.sleep(WARM_SECONDS)
        before = gauge.watch("before", WARM_SECONDS)
        timescale.script("stop")

        def kill():
            server.kill()
            server.wait_until_ready()

        away = gauge.watch("TimescaleDB away", options.seconds, kill if options.kill else None)
        judge_away(verdict, before, away)
        timescale.start()
        factor = catch_up(verdict, gauge, away.rows)
        if options.seconds >= CATCH_UP_SECONDS_MIN:
            told = f"{factor:.1f} times what comes"
            verdict.holds("the sinks catch up faster than rows come", factor >= CATCH_UP_FACTOR_MIN, told)
        gauge.watch("after", WARM_SECONDS)
        feed.stopping.set()
        feed.join()
        judge(verdict, server, kafka, timescale, options)
        return verdict
    finally:
        if server:
            server.end()
        for service in (kafka, timescale):
            service.script("remove")


def judge_away(verdict, before, away):
    """Nobody but the sinks notices that the database is away."""
    told = f"{away.rows_per_second:.0f} a second instead of {before.rows_per_second:.0f}"
    verdict.holds("rows come as before", away.rows_per_second >= RATE_MIN * before.rows_per_second, told)
    told = f"{away.epochs_per_second:.2f} a second instead of {before.epochs_per_second:.2f}"
    verdict.holds("checkpoints are made as before", away.epochs_per_second >= RATE_MIN * before.epochs_per_second, told)
    limit = max(ANSWER_FACTOR_MAX * before.answer_ms, ANSWER_MS_FLOOR)
    told = f"{away.answer_ms:.1f} ms instead of {before.answer_ms:.1f} ms"
    verdict.holds("answers come as before", away.answer_ms <= limit, told)
    verdict.holds("epochs wait for it", away.pending > PENDING_AT_REST, f"{away.pending}")


def catch_up(verdict, gauge, missed):
    """Waits until nothing waits; returns how many times faster than rows come the sinks were."""
    began, before = time.monotonic(), gauge.look()
    while gauge.look()[3] > PENDING_AT_REST:
        if time.monotonic() - began > CATCH_UP_SECONDS_MAX:
            verdict.holds("the sinks catch up", False, f"not within {CATCH_UP_SECONDS_MAX} s")
            break
        time.sleep(0.2)
    took, after = time.monotonic() - began, gauge.look()
    came = after[1] - before[1]
    print(f"caught up with {missed} rows in {took:.1f} s, while {came} more came")
    factor = (missed + came) / max(came, 1)
    print(f"{(missed + came) / took:.0f} rows/s, {factor:.1f} times what came", flush=True)
    return factor


def judge(verdict, server, kafka, timescale, options):
    """Views and tables against the topic."""
    trades = Topic(kafka.address, TOPIC)
    torture.settle(server, {"candles": trades.good, "totals": trades.good})
    with server.connect() as view:
        candles, _ = torture.judge_candles(verdict, view, "candles", trades, options.idle)
        totals = trades.totals()
        verdict.same("totals", sorted(view.execute("SELECT * FROM totals").fetchall()), totals)
    for table, wanted in [("candles", candles), ("totals", totals)]:
        verdict.same(f"{table} in TimescaleDB", settled_table(timescale.address, table, wanted), wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--rate", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    # As in torture.py: what may be late is known exactly.
    parser.set_defaults(idle=3600)
    parser.add_argument("--no-kill", dest="kill", action="store_false")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="rtsap-outage-"))
    print(f"seed {options.seed}, {options.seconds} s, {options.rate} messages/s", flush=True)
    try:
        verdict = drill(options, folder)
    except psycopg.Error as error:
        print(f"FAILED {error}; the server's log and data are in {folder}")
        print("0 passed, 1 failed")
        sys.exit(1)
    if options.keep or verdict.failed:
        print(f"the server's log and data are in {folder}")
    else:
        shutil.rmtree(folder)
    print(f"{verdict.passed} passed, {verdict.failed} failed")
    sys.exit(1 if verdict.failed else 0)


if __name__ == "__main__":
    main()
