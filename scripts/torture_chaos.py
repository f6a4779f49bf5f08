"""What happens to the parts of the torture: the events and failpoints that the seed draws, and the
naive sink that must fail where ours do not. Used by torture.py.
"""

import random
import re
import subprocess
import sys
import time
from collections import Counter

import psycopg
from confluent_kafka import Consumer, KafkaException, TopicPartition

from torture_parts import PARTITIONS, QUIET, TOPIC

NAIVE_SECONDS_MAX = 180


class Failpoints:
    """Draws where a server shall die, stall or lose an answer: one point for each life, most of the time."""

    def __init__(self, seed, source):
        names = re.findall(r'^    "([a-z_]+\.[a-z_]+)",$', source.read_text(), re.MULTILINE)
        assert len(names) >= 40, f"{source} names {len(names)} failpoints"
        self.names, self.random = names, random.Random(seed)
        self.armed = []

    def draw(self):
        """A value for RTSAP_FAILPOINTS."""
        if self.random.random() < 0.3:
            return ""
        name = self.random.choice(self.names)
        # Soon after the start, or after seconds of work.
        time = int(self.random.expovariate(1 / self.random.choice([1, 5, 40]))) + 1
        action = "fail" if name.endswith("_lost") else self.random.choice(["abort"] * 4 + ["sleep(1500)"])
        self.armed.append(name)
        return f"{name}={action}@{time}"


class Chaos:
    """Draws what happens next."""

    def __init__(self, seed, server, kafka, timescale, naive):
        self.random = random.Random(seed)
        self.server, self.kafka, self.timescale, self.naive = server, kafka, timescale, naive
        self.done = Counter()

    def strike(self):
        events = {
            "server killed": (12, self.kill_server), "server stopped": (2, self.pause_server),
            "server overtaken": (2, self.overtake_server),
            "Kafka killed": (2, self.kafka.kill), "Kafka stopped": (1, self.pause_kafka),
            "TimescaleDB killed": (3, self.timescale.kill), "TimescaleDB stopped": (1, self.pause_timescale),
            "sessions ended": (2, self.end_sessions),
        }  # fmt: skip
        name = self.random.choices(list(events), [weight for weight, _ in events.values()])[0]
        time.sleep(self.random.uniform(0.05, 1.8))
        self.server.revive()
        self.server.bury()
        self.naive.revive()
        events[name][1]()
        self.done[name] += 1
        return name

    def kills(self):
        """Processes that ended by SIGKILL or at a failpoint."""
        return self.server.killed + self.server.aborted + self.kafka.killed + self.timescale.killed

    def kill_server(self):
        self.naive.kill()
        self.server.kill()
        # Half of the time it is killed again while it recovers.
        if self.random.random() < 0.5:
            self.server.wait_until_ready()

    def pause_server(self):
        self.server.pause(self.random.uniform(0.1, 3))

    def overtake_server(self):
        # Half of the time in the midst of its start.
        if self.random.random() < 0.5:
            self.server.kill()
            time.sleep(self.random.uniform(0, 0.6))
        self.server.overtake(self.random.uniform(1, 15))

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

    def summary(self):
        """What was done, by kind: kills, stops and ended sessions are not the same."""
        server = self.server
        stops = sum(times for name, times in self.done.items() if name.endswith("stopped"))
        lines = [
            f"{self.kills()} kills: server {server.killed}, at failpoints {server.aborted}, Kafka {self.kafka.killed}, "
            f"TimescaleDB {self.timescale.killed}",
            f"{stops} stops, {self.done['server overtaken']} times overtaken ({server.fenced} ended by themselves), "
            f"sessions ended {self.done['sessions ended']} times; {sum(self.done.values())} events in all",
        ]
        if server.gave_up:
            codes = ", ".join(f"code {code} {times} times" for code, times in sorted(server.gave_up.items()))
            lines.append(f"the server gave up and was started again: {codes}")
        return "\n".join(lines)


# Offsets are stored once a second, as by those who let the client do it every five: a kill finds
# something counted and not stored nearly always, not once in forty times.
NAIVE = """
import sys, time
import psycopg
from confluent_kafka import Consumer
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "naive", "auto.offset.reset": "earliest",
                     "group.instance.id": "naive", "enable.auto.commit": False, "session.timeout.ms": 6000,
                     "log_level": 0})
consumer.subscribe([sys.argv[3]])
target = psycopg.connect(sys.argv[2], autocommit=True)
stored = time.monotonic()
while True:
    messages = sum(message.error() is None for message in consumer.consume(500, 1))
    target.execute("UPDATE naive SET messages = messages + %s", [messages])
    if time.monotonic() < stored + 1:
        continue
    stored = time.monotonic()
    try:
        consumer.commit(asynchronous=False)
    except Exception:
        pass
"""


class Naive:
    """The sink that everybody writes first: it must fail where ours does not.

    It adds to a row how many it has read and stores its offsets afterwards, so what it repeats is what it
    has counted beyond its offsets.
    """

    def __init__(self, brokers, timescale):
        self.brokers, self.timescale = brokers, timescale
        self.command = [sys.executable, "-c", NAIVE, brokers, timescale, TOPIC]
        self.process = None
        with psycopg.connect(timescale, autocommit=True) as target:
            target.execute("CREATE TABLE naive (messages BIGINT)")
            target.execute("INSERT INTO naive VALUES (0)")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)

    def revive(self):
        """Its session was ended, or the database was away: what a supervisor does."""
        if self.process.poll() is not None:
            self.start()

    def end(self):
        self.process.kill()
        self.process.wait()

    def kill(self):
        self.end()
        self.start()

    def counted(self):
        """Messages that it has counted."""
        with psycopg.connect(self.timescale, autocommit=True) as target:
            return target.execute("SELECT messages FROM naive").fetchone()[0]

    def stored(self):
        """Messages that lie before its stored offsets, and messages in all."""
        consumer = Consumer(QUIET | {"bootstrap.servers": self.brokers, "group.id": "naive"})
        try:
            splits = [TopicPartition(TOPIC, partition) for partition in range(PARTITIONS)]
            stored = sum(max(split.offset, 0) for split in consumer.committed(splits, timeout=60))
            return stored, sum(consumer.get_watermark_offsets(split, timeout=60)[1] for split in splits)
        finally:
            consumer.close()

    def repeated(self):
        """Messages that it has counted, or will count, more than once. Kills it."""
        end = time.monotonic() + NAIVE_SECONDS_MAX
        self.end()
        while True:
            try:
                return self.counted() - self.stored()[0]
            except (psycopg.Error, KafkaException):
                # What it wrote to is away.
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def catch_up(self):
        """Lets it read all that there is; returns how many messages there are."""
        end = time.monotonic() + NAIVE_SECONDS_MAX
        while time.monotonic() < end:
            self.revive()
            stored, messages = self.stored()
            if stored >= messages:
                return messages
            time.sleep(0.5)
        print(f"  the naive consumer has not caught up: {stored} of {messages}")
        return messages
