"""Takes TimescaleDB away while trades come, and measures what goes on and how fast it catches up.

usage: outage.py [--seconds N] [--rate N] [--seed N] [--no-kill] [--keep]

Real parts, each a process of its own, as in torture.py: a Kafka and a TimescaleDB of this run's own
instance, the server, a producer. TimescaleDB is stopped for the given time; in the midst of it the
server is killed and started again. Meanwhile rows, checkpoints and answers are measured each second;
afterwards, how long the sinks need until nothing waits for them. In the end views and tables are
compared with a count over the topic. RTSAP_TEST_BINARY names the server.

Its last line is "N passed, N failed"; no figure makes it fail.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

import psycopg
import torture
from confluent_kafka.admin import AdminClient, NewTopic

WARM_SECONDS = 8
CATCH_UP_SECONDS_MAX = 3600
# An epoch may always be on its way.
PENDING_AT_REST = 2


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
        """Looks each second; `between` is done once, half way. Returns rows and epochs a second, answers."""
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
        print(
            f"{what:<22} {took:>8.1f} s {(more - rows) / took:>10.0f} rows/s {(later - epoch) / took:>6.2f} epochs/s "
            f"{answers:>7.1f} ms an answer {pending:>6} epochs wait" + (f"; {gap:.1f} s of it killed and back" if gap else ""),
            flush=True,
        )
        return looks


def drill(options, folder):
    instance = f"outage-{os.getpid()}"
    kafka, timescale = torture.Service("kafka", instance), torture.Service("timescale", instance)
    server = None
    try:
        admin = AdminClient(torture.QUIET | {"bootstrap.servers": kafka.address})
        for future in admin.create_topics([NewTopic(torture.TOPIC, torture.PARTITIONS, 1)]).values():
            future.result()
        server = torture.Server(folder, None)
        names = {"topic": torture.TOPIC, "brokers": kafka.address, "timescale": timescale.address}
        for statement in filter(str.strip, torture.DEFINITIONS.format(**names).split(";")):
            torture.define(server, statement)
        feed = torture.Feed(kafka.address, options.rate, options.seed)
        feed.start()
        verdict, gauge = torture.Verdict(), Gauge(server)
        time.sleep(WARM_SECONDS)
        gauge.watch("before", WARM_SECONDS)
        timescale.script("stop")

        def kill():
            server.kill()
            server.wait_until_ready()

        looks = gauge.watch("TimescaleDB away", options.seconds, kill if options.kill else None)
        verdict.same("rows come while it is away", looks[-1][1] > looks[0][1], True)
        verdict.same("checkpoints are made while it is away", looks[-1][2] > looks[0][2], True)
        verdict.same("epochs wait for it", looks[-1][3] > PENDING_AT_REST, True)
        missed = looks[-1][1] - looks[0][1]
        timescale.script("start")
        began, before = time.monotonic(), gauge.look()
        while gauge.look()[3] > PENDING_AT_REST:
            if time.monotonic() - began > CATCH_UP_SECONDS_MAX:
                verdict.same("nothing waits any more", False, True)
                break
            time.sleep(0.2)
        took, after = time.monotonic() - began, gauge.look()
        came = after[1] - before[1]
        print(f"caught up with {missed} rows in {took:.1f} s, while {came} more came")
        ratio = (missed + came) / max(came, 1)
        print(f"{(missed + came) / took:.0f} rows/s, {ratio:.1f} times what came", flush=True)
        gauge.watch("after", WARM_SECONDS)
        feed.stopping.set()
        feed.join()
        judge(verdict, server, kafka, timescale)
        return verdict
    finally:
        if server:
            server.process.kill()
        for service in (kafka, timescale):
            service.script("remove")


def judge(verdict, server, kafka, timescale):
    """Views and tables against the topic."""
    trades, _ = torture.read_topic(kafka.address)
    torture.settle(server, len(trades))
    with server.connect() as view:
        late = {row[0] for row in view.execute('SELECT id FROM "candles$late"').fetchall()}
        closed_before = max(at for _, _, _, at in trades.values())
        candles, totals = torture.candles_of(trades, late, closed_before), torture.totals_of(trades)
        verdict.same("candles", sorted(view.execute("SELECT * FROM candles").fetchall()), candles)
        verdict.same("totals", sorted(view.execute("SELECT * FROM totals").fetchall()), totals)
    for table, wanted in [("candles", candles), ("totals", totals)]:
        verdict.same(f"{table} in TimescaleDB", torture.settled_table(timescale, table, wanted), wanted)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3600)
    parser.add_argument("--rate", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
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
