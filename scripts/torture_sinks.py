"""What the sinks of the torture hold, read by clients that are not ours: Kafka topics by readers of
committed messages, Parquet files by pyarrow; and the naive sink that must fail where ours do not.
Used by torture.py; compares nothing itself.
"""

import json
import random
import re
import subprocess
import sys
from datetime import datetime
from decimal import Decimal

import psycopg
import pyarrow.parquet as parquet
from confluent_kafka import Consumer, KafkaError, TopicPartition

CANDLE = ["window_start", "symbol", "low", "high", "volume", "notional", "trades", "ids"]
TOTAL = ["symbol", "volume", "notional", "trades", "ids"]

DEFINITIONS = """
CREATE SINK candles_kafka FROM candles
  WITH ('connector' = 'kafka', 'topic' = 'candles-out', 'properties.bootstrap.servers' = '{brokers}',
        'format' = 'json', 'key.fields' = 'symbol', 'partitions' = '3');
CREATE SINK totals_kafka FROM totals
  WITH ('connector' = 'upsert-kafka', 'topic' = 'totals-out', 'properties.bootstrap.servers' = '{brokers}',
        'format' = 'json', 'partitions' = '3');
CREATE SINK candles_files FROM candles
  WITH ('connector' = 'filesystem', 'path' = '{folder}/files', 'format' = 'parquet');
"""


def messages(brokers, topic):
    """All messages of a topic as a reader of committed ones sees them: (key, value), value None for a tombstone."""
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "oracle", "enable.auto.commit": False, "log_level": 0,
         "isolation.level": "read_committed", "enable.partition.eof": True}
    )  # fmt: skip
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found, ended = [], 0
        while ended < len(partitions):
            for message in consumer.consume(10_000, 5):
                if message.error() is None:
                    found.append((message.key(), message.value()))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended += 1
        return found
    finally:
        consumer.close()


def ends(brokers, topic):
    """By partition, the end for readers of committed messages and the end of all: they differ by what is open."""
    found = {}
    for level in ["read_committed", "read_uncommitted"]:
        consumer = Consumer({"bootstrap.servers": brokers, "group.id": "oracle", "log_level": 0, "isolation.level": level})
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        for partition in partitions:
            end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=30)[1]
            found.setdefault(partition, []).append(end)
        consumer.close()
    return found


def row(value, columns):
    fields = json.loads(value, parse_float=Decimal)
    if set(fields) != set(columns):
        raise ValueError(f"a message has the fields {sorted(fields)}")
    at = [datetime.fromisoformat(fields[name]) if name == "window_start" else fields[name] for name in columns]
    return tuple(at)


def kafka_candles(brokers):
    return sorted(row(value, CANDLE) for _, value in messages(brokers, "candles-out"))


def kafka_totals(brokers):
    """What the compacted topic comes to."""
    table = {}
    for key, value in messages(brokers, "totals-out"):
        if value is None:
            table.pop(key, None)
        else:
            table[key] = row(value, TOTAL)
    return sorted(table.values())


def file_candles(folder):
    rows = []
    for path in sorted((folder / "files").glob("epoch-*.parquet")):
        rows += [tuple(found[name] for name in CANDLE) for found in parquet.read_table(path).to_pylist()]
    return sorted(rows)


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


NAIVE = """
import json, os, sys
import psycopg
from confluent_kafka import Consumer
consumer = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "naive", "auto.offset.reset": "earliest",
                     "enable.auto.commit": False, "session.timeout.ms": 6000})
consumer.subscribe([sys.argv[3]])
target = psycopg.connect(sys.argv[2], autocommit=True)
while True:
    volume = 0
    for message in consumer.consume(500, 1):
        try:
            volume += json.loads(message.value())["size"]
        except (ValueError, TypeError):
            pass
    target.execute("UPDATE naive SET volume = volume + %s", [volume])
    try:
        consumer.commit(asynchronous=False)
    except Exception:
        pass
"""


class Naive:
    """The sink that everybody writes first: it must fail where ours does not."""

    def __init__(self, brokers, timescale, topic):
        self.command = [sys.executable, "-c", NAIVE, brokers, timescale, topic]
        self.process = None
        with psycopg.connect(timescale, autocommit=True) as target:
            target.execute("CREATE TABLE naive (volume BIGINT)")
            target.execute("INSERT INTO naive VALUES (0)")
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.DEVNULL)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.start()
