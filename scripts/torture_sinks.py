"""What the sinks of the torture hold, read by clients that are not ours: TimescaleDB by psycopg, Kafka
topics by readers of committed messages, Parquet files by pyarrow. Used by torture.py; says which
epochs are not whole, compares nothing else itself.
"""

import json
import time
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import psycopg
import pyarrow.parquet as parquet
from confluent_kafka import Consumer, KafkaError, TopicPartition

CANDLE = ["window_start", "symbol", "low", "high", "volume", "notional", "trades", "ids"]
TOTAL = ["symbol", "volume", "notional", "trades", "ids"]
SETTLE_SECONDS_MAX = 180

DEFINITIONS = """
CREATE SINK candles_kafka FROM candles
  WITH ('connector' = 'kafka', 'topic' = 'candles-out', 'properties.bootstrap.servers' = '{brokers}',
        'format' = 'json', 'key.fields' = 'symbol', 'partitions' = '3');
CREATE SINK totals_kafka FROM totals
  WITH ('connector' = 'upsert-kafka', 'topic' = 'totals-out', 'properties.bootstrap.servers' = '{brokers}',
        'format' = 'json', 'partitions' = '3');
CREATE SINK candles_files FROM candles
  WITH ('connector' = 'filesystem', 'path' = '{folder}/files', 'format' = 'parquet');
CREATE SINK ticks_sink FROM ticks
  WITH ('connector' = 'timescaledb', 'url' = '{timescale}', 'table' = 'ticks');
"""


class Message(NamedTuple):
    partition: int
    key: bytes | None
    # None for a tombstone.
    value: bytes | None
    # Which epoch it belongs to, and its number in it, as its headers say.
    epoch: int
    row: int


def messages(brokers, topic):
    """All messages of a topic as a reader of committed ones sees them, in order by partition."""
    consumer = Consumer(
        {"bootstrap.servers": brokers, "group.id": "oracle", "enable.auto.commit": False, "log_level": 0,
         "isolation.level": "read_committed", "enable.partition.eof": True}
    )  # fmt: skip
    try:
        partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        found, ended, end = [], 0, time.monotonic() + SETTLE_SECONDS_MAX
        while ended < len(partitions):
            if time.monotonic() > end:
                raise RuntimeError(f"{topic} cannot be read to its end")
            for message in consumer.consume(10_000, 0.5):
                if message.error() is None:
                    headers = dict(message.headers())
                    epoch, number = int(headers["rtsap-epoch"]), int(headers["rtsap-row"])
                    found.append(Message(message.partition(), message.key(), message.value(), epoch, number))
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    ended += 1
        return found
    finally:
        consumer.close()


def epoch_faults(found):
    """What is wrong with the epochs: in each partition they rise, and so do the rows of one; over all
    partitions each has every row from 0 on, once."""
    faults, rows, last = [], defaultdict(list), {}
    for message in found:
        place = (message.epoch, message.row)
        before = last.get(message.partition, (-1, -1))
        if place <= before:
            faults.append(f"partition {message.partition}: epoch and row {place} come behind {before}")
        last[message.partition] = place
        rows[message.epoch].append(message.row)
    for epoch, numbers in sorted(rows.items()):
        if sorted(numbers) != list(range(len(numbers))):
            faults.append(f"epoch {epoch} has the rows {sorted(numbers)[:10]} …, {len(numbers)} in all")
    return faults


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
    return sorted(row(message.value, CANDLE) for message in messages(brokers, "candles-out"))


def kafka_totals(brokers):
    """What the compacted topic comes to."""
    table = {}
    for message in messages(brokers, "totals-out"):
        if message.value is None:
            table.pop(message.key, None)
        else:
            table[message.key] = row(message.value, TOTAL)
    return sorted(table.values())


def file_candles(folder):
    rows = []
    for path in sorted((folder / "files").glob("epoch-*.parquet")):
        rows += [tuple(found[name] for name in CANDLE) for found in parquet.read_table(path).to_pylist()]
    return sorted(rows)


def table(timescale, name):
    with psycopg.connect(timescale, autocommit=True) as target:
        target.execute("SET TimeZone = 'UTC'")
        return sorted(target.execute(f"SELECT * FROM {name}").fetchall())


def settled_table(timescale, name, wanted):
    return settled(lambda: table(timescale, name), wanted)


def settled(read, wanted):
    """What `read` gives once that is what is wanted, or in the end."""
    end = time.monotonic() + SETTLE_SECONDS_MAX
    while True:
        found = read()
        if found == wanted or time.monotonic() > end:
            return found
        time.sleep(0.5)
