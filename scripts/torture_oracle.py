"""What the views must be, by one loop over a topic that knows nothing of the server; and a verdict
that compares and counts. Used by torture.py and outage.py.
"""

import json
import time
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

from confluent_kafka import Consumer, KafkaException, TopicPartition

from torture_parts import PARTITIONS, QUIET

WINDOW = timedelta(seconds=5)
# As the sources declare it: WATERMARK FOR ts AS ts - INTERVAL '1' SECOND.
DELAY = timedelta(seconds=1)
SILENT_SECONDS_MAX = 60
# One trade of so many is kept by the view without a key.
TICKS_EVERY, TICK = 400, 7
SAMPLES_MAX = 3


class Topic:
    """A topic, counted. Keeps what the results need, not the messages: there may be millions.

    A trade may be late only if its own partition had brought, before it, a time that lies a second
    behind the end of its window: no watermark of the topic, which is the least over the partitions,
    can have closed the window before. Such trades are set aside; which of them came late is the
    server's to say, all others must be in their windows.
    """

    def __init__(self, brokers, name):
        self.good = 0
        # (window start, symbol), and symbol → low, high, volume, notional, trades, ids; money in cents.
        self.windows, self.symbols, self.starts = {}, {}, {}
        # id → symbol, price, size, at of those that may be late.
        self.may_be_late = {}
        self.ticks = []
        # (partition, offset, what is wrong, payload)
        self.broken = []
        self.last = None
        self.read(brokers, name)

    def read(self, brokers, name):
        consumer = Consumer(QUIET | {"bootstrap.servers": brokers, "group.id": "oracle", "enable.auto.commit": False})
        splits = [TopicPartition(name, partition) for partition in range(PARTITIONS)]
        left = sum(consumer.get_watermark_offsets(split, timeout=60)[1] for split in splits)
        consumer.assign([TopicPartition(name, split.partition, 0) for split in splits])
        latest, heard = {}, time.monotonic()
        next_offsets = [0] * PARTITIONS
        while left > 0:
            for message in consumer.consume(10_000, 0.5):
                if message.error() is not None:
                    if message.error().fatal() or time.monotonic() - heard > SILENT_SECONDS_MAX:
                        raise KafkaException(message.error())
                    continue
                partition, offset = message.partition(), message.offset()
                if offset != next_offsets[partition]:
                    raise RuntimeError(f"{name}/{partition} has {offset} behind {next_offsets[partition] - 1}")
                next_offsets[partition] += 1
                left -= 1
                heard = time.monotonic()
                self.take(partition, offset, message.value(), latest)
            if time.monotonic() - heard > SILENT_SECONDS_MAX:
                raise RuntimeError(f"{left} messages of {name} cannot be read")
        consumer.close()

    def take(self, partition, offset, payload, latest):
        try:
            trade = json.loads(payload)
        except ValueError:
            self.broken.append((partition, offset, "not valid JSON", payload))
            return
        if "price" not in trade:
            self.broken.append((partition, offset, 'field "price": missing', payload))
            return
        if trade["price"] == "dear":
            self.broken.append((partition, offset, 'field "price": cannot read', payload))
            return
        number, symbol, size, text = trade["id"], trade["symbol"], trade["size"], trade["ts"]
        cents = int(trade["price"].replace(".", ""))
        self.good += 1
        add(self.symbols, symbol, number, cents, size)
        # Times as text have the order of the times: all are in UTC, written by one hand.
        window = self.window_of(text)
        before, closed_before = latest.get(partition, ("", None))
        if closed_before is not None and closed_before >= window + WINDOW:
            self.may_be_late[number] = (symbol, price_of(cents), size, datetime.fromisoformat(text))
        else:
            add(self.windows, (window, symbol), number, cents, size)
        if number % TICKS_EVERY == TICK:
            self.ticks.append((number, symbol, price_of(cents), size, datetime.fromisoformat(text)))
        if text > before:
            at = datetime.fromisoformat(text)
            latest[partition] = (text, at - DELAY)
            if self.last is None or at > self.last:
                self.last = at

    def window_of(self, text):
        """The start of a time's window; a second's is looked up, since so many times are of it."""
        second = text[:19]
        found = self.starts.get(second)
        if found is None:
            found = self.starts[second] = start_of(datetime.fromisoformat(second + "+00:00"))
        return found

    def candles(self, late):
        """Closed windows, if those of `late` (ids) came too late."""
        windows = dict(self.windows)
        for number, (symbol, price, size, at) in self.may_be_late.items():
            if number not in late:
                key = (start_of(at), symbol)
                # A copy: what is counted without them stays as it is.
                windows[key] = list(windows[key]) if key in windows else None
                add(windows, key, number, int(price * 100), size)
        rows = []
        for (start, symbol), (low, high, volume, notional, trades, ids) in windows.items():
            if start + WINDOW <= self.last:
                rows.append((start, symbol, price_of(low), price_of(high), volume, price_of(notional), trades, ids))
        return sorted(rows)

    def totals(self, more=0):
        """By symbol; each trade counts `more` shares more than it has."""
        rows = []
        for symbol, (_, _, volume, notional, trades, ids) in self.symbols.items():
            rows.append((symbol, volume + more * trades, price_of(notional), trades, ids))
        return sorted(rows)


def price_of(cents):
    return Decimal(cents) / 100


def start_of(at):
    return at.replace(second=at.second - at.second % 5, microsecond=0)


def add(table, key, number, cents, size):
    found = table.get(key)
    if found is None:
        table[key] = [cents, cents, size, cents * size, 1, number]
        return
    if cents < found[0]:
        found[0] = cents
    if cents > found[1]:
        found[1] = cents
    found[2] += size
    found[3] += cents * size
    found[4] += 1
    found[5] += number


class Verdict:
    """Compares, and counts what was found."""

    def __init__(self):
        self.passed = self.failed = 0

    def same(self, what, found, wanted):
        """Lists are compared as they are, and told apart as multisets."""
        if found == wanted:
            self.passed += 1
            size = len(wanted) if isinstance(wanted, list) else wanted
            print(f"ok     {what}: {size}", flush=True)
            return
        self.failed += 1
        print(f"FAILED {what}")
        if isinstance(wanted, list):
            missing, wrong = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
            print(f"  missing: {sample(missing)}\n  wrong or too many: {sample(wrong)}")
            print(f"  rows: {len(found)} instead of {len(wanted)}", flush=True)
        else:
            print(f"  {found} instead of {wanted}", flush=True)

    def holds(self, what, condition, told=""):
        """A condition, with what there is to say of it."""
        if condition:
            self.passed += 1
            print(f"ok     {what}{': ' if told else ''}{told}", flush=True)
        else:
            self.failed += 1
            print(f"FAILED {what}: {told}", flush=True)

    def none(self, what, faults):
        """A list of faults that must be empty."""
        self.holds(what, not faults, f"{len(faults)}: {faults[:SAMPLES_MAX]}" if faults else "")


def sample(counter):
    rows = sorted(counter.items(), key=str)[:SAMPLES_MAX]
    return f"{sum(counter.values())}, as " + ", ".join(f"{row} ({times} times)" for row, times in rows)
