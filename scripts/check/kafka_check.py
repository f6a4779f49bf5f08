"""Checks that a Kafka broker does what RTSAP's tests rely on, with librdkafka as the client.

usage: kafka_check.py host:port

Each check creates what it needs, compares with what must come out and prints one line. Worth
running once against a new broker version: brokers that only speak the protocol fail at fetching
from inside a batch, at transactions or at offsets by time.
"""

import sys
import threading
import time
import uuid

import confluent_kafka
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, ResourceType

BROKER = sys.argv[1]
RUN = uuid.uuid4().hex[:6]
TOPIC, TRANSACTED = f"check-{RUN}", f"check-{RUN}-tx"
PARTITIONS = range(3)
FIRST_TIMESTAMP = 1_760_000_000_000
COMPRESSIONS = ("gzip", "snappy", "lz4", "zstd")
PLAIN, COMPRESSED, IDEMPOTENT = 3000, 300, 1000
TOTAL = PLAIN + COMPRESSED * len(COMPRESSIONS) + IDEMPOTENT
BASE = {"bootstrap.servers": BROKER, "log_level": 2}
LIMIT_SECONDS = 60

admin = AdminClient(BASE)
failures = 0


def equal(found, wanted, what):
    if found != wanted:
        raise AssertionError(f"{what}: found {found}, wanted {wanted}")


def check(name, run):
    """Runs one check on a thread of its own, so that a hanging client call fails and not hangs."""
    global failures
    started, outcome = time.monotonic(), []

    def body():
        try:
            outcome.append(("ok", run()))
        except BaseException as error:  # a check may fail in any way
            outcome.append(("FAIL", f"{type(error).__name__}: {error}"))

    thread = threading.Thread(target=body, daemon=True)
    thread.start()
    thread.join(LIMIT_SECONDS)
    verdict, detail = outcome[0] if outcome else ("HANG", f"no answer in {LIMIT_SECONDS} s")
    failures += verdict != "ok"
    print(f"{verdict:5}{time.monotonic() - started:6.2f}s  {name}: {detail}", flush=True)


def only(futures):
    return next(iter(futures.values())).result(12)


def member(group, **settings):
    return Consumer(
        {
            **BASE,
            "group.id": f"{group}-{RUN}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            **settings,
        }
    )


def drain(consumer, wanted, seconds=30, quiet=2.0):
    """Reads until `wanted` messages came and then `quiet` seconds brought no more."""
    messages, deadline, last = [], time.monotonic() + seconds, time.monotonic()
    while time.monotonic() < deadline:
        batch = consumer.consume(1000, 0.25)
        for message in batch:
            if message.error():
                raise KafkaException(message.error())
        messages += batch
        last = time.monotonic() if batch else last
        if len(messages) >= wanted and time.monotonic() - last > quiet:
            break
    return messages


def produce(topic, count, **settings):
    failed = []
    producer = Producer({**BASE, "linger.ms": 5, **settings})
    for i in range(count):
        producer.produce(
            topic,
            value=b'{"i":%d}' % i,
            key=b"k%d" % (i % 50),
            headers=[("h", b"1")],
            timestamp=FIRST_TIMESTAMP + i,
            on_delivery=lambda error, _: failed.append(error) if error else None,
        )
        producer.poll(0)
    equal(producer.flush(30), 0, "undelivered")
    equal(failed, [], "delivery errors")
    return f"{count} messages"


def create_topics():
    for future in admin.create_topics([NewTopic(TOPIC, 3, 1), NewTopic(TRANSACTED, 3, 1)]).values():
        future.result(12)
    topics = admin.list_topics(timeout=10).topics
    equal({name: len(topics[name].partitions) for name in (TOPIC, TRANSACTED)},
          {TOPIC: 3, TRANSACTED: 3}, "partitions")
    return "2 topics of 3 partitions"


def group_reads_and_commits():
    consumer = member("group")
    consumer.subscribe([TOPIC])
    messages = drain(consumer, TOTAL)
    equal(len(messages), TOTAL, "messages")
    equal(messages[0].headers(), [("h", b"1")], "headers")
    consumer.commit(asynchronous=False)
    committed = consumer.committed([TopicPartition(TOPIC, p) for p in PARTITIONS], timeout=10)
    equal(sum(each.offset for each in committed), TOTAL, "committed offsets")
    consumer.close()
    return f"{TOTAL} messages"


def group_resumes():
    consumer = member("group")
    consumer.subscribe([TOPIC])
    messages = drain(consumer, 0, seconds=12, quiet=8)
    consumer.close()
    equal(len(messages), 0, "messages after the commit")
    return "nothing read twice"


def assigned_partitions():
    consumer = member("assign")
    consumer.assign([TopicPartition(TOPIC, p, OFFSET_BEGINNING) for p in PARTITIONS])
    equal(len(drain(consumer, TOTAL)), TOTAL, "messages")
    partitions = [TopicPartition(TOPIC, p) for p in PARTITIONS]
    ends = [consumer.get_watermark_offsets(each, timeout=10) for each in partitions]
    equal(sum(high - low for low, high in ends), TOTAL, "watermark offsets")
    consumer.close()
    return f"{TOTAL} messages, ends {ends}"


def offset_inside_a_batch():
    consumer = member("seek")
    found = []
    for offset in (100, 5, 777):
        consumer.assign([TopicPartition(TOPIC, 0, offset)])
        message = consumer.poll(10)
        found.append(message.offset() if message else None)
    consumer.close()
    equal(found, [100, 5, 777], "first offsets")
    return f"{found}"


def offsets_by_time():
    consumer = member("times")
    wanted = FIRST_TIMESTAMP + 1500
    found = consumer.offsets_for_times([TopicPartition(TOPIC, 0, wanted)], timeout=10)[0]
    consumer.assign([TopicPartition(TOPIC, 0, found.offset - 1)])
    before, at = consumer.poll(10), consumer.poll(10)
    consumer.close()
    if not before.timestamp()[1] < wanted <= at.timestamp()[1]:
        times = f"{before.timestamp()}, {at.timestamp()}"
        raise AssertionError(f"offset {found.offset}; the records around it have {times}")
    return f"offset {found.offset}"


def rebalance():
    events, final = [], {}

    def live(name, delay, seconds):
        time.sleep(delay)
        settings = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        consumer = member("rebalance", **settings)
        consumer.subscribe(
            [TOPIC],
            on_assign=lambda _, p: events.append((name, "+", len(p))),
            on_revoke=lambda _, p: events.append((name, "-", len(p))),
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            consumer.poll(0.1)
        final[name] = len(consumer.assignment())
        consumer.close()

    members = [threading.Thread(target=live, args=a) for a in (("a", 0, 12), ("b", 4, 8))]
    for thread in members:
        thread.start()
    for thread in members:
        thread.join()
    equal(sum(final.values()), 3, f"partitions assigned at the end ({final})")
    return f"{events}"


def group_protocol(name, **settings):
    def run():
        consumer = member(name, **settings)
        consumer.subscribe([TOPIC])
        found = len(drain(consumer, TOTAL))
        consumer.close()
        equal(found, TOTAL, "messages")
        return f"{found} messages"

    return run


def transactions():
    producer = Producer({**BASE, "transactional.id": f"tx-{RUN}", "transaction.timeout.ms": 10000})
    producer.init_transactions(15)
    for prefix, count, commit in ((b"c", 10, True), (b"a", 10, False), (b"d", 5, True)):
        producer.begin_transaction()
        for i in range(count):
            producer.produce(TRANSACTED, value=prefix + b"%d" % i)
        if commit:
            producer.commit_transaction(15)
        else:
            producer.flush(10)
            producer.abort_transaction(15)
    for isolation, wanted in (("read_committed", 15), ("read_uncommitted", 25)):
        consumer = member(isolation, **{"isolation.level": isolation})
        consumer.subscribe([TRANSACTED])
        messages = drain(consumer, wanted)
        consumer.close()
        equal(len(messages), wanted, isolation)
        if isolation == "read_committed":
            equal(sum(m.value().startswith(b"a") for m in messages), 0, "aborted messages seen")
    return "15 committed, 25 written"


def offsets_in_a_transaction():
    consumer = member("eos")
    consumer.subscribe([TOPIC])
    drain(consumer, 1000, quiet=0)
    producer = Producer({**BASE, "transactional.id": f"eos-{RUN}"})
    producer.init_transactions(15)
    producer.begin_transaction()
    for _ in range(3):
        producer.produce(TRANSACTED, value=b"e")
    position = consumer.position(consumer.assignment())
    producer.send_offsets_to_transaction(position, consumer.consumer_group_metadata(), 15)
    producer.commit_transaction(15)
    committed = consumer.committed(consumer.assignment(), timeout=10)
    consumer.close()
    found = sorted(each.offset for each in committed)
    equal(found, sorted(each.offset for each in position), "offsets committed by the transaction")
    return f"{found}"


def fencing():
    zombie = Producer({**BASE, "transactional.id": f"fence-{RUN}"})
    zombie.init_transactions(15)
    zombie.begin_transaction()
    zombie.produce(TRANSACTED, value=b"z")
    zombie.flush(10)
    Producer({**BASE, "transactional.id": f"fence-{RUN}"}).init_transactions(15)
    try:
        zombie.commit_transaction(15)
    except KafkaException as error:
        return f"refused with {error.args[0].name()}"
    raise AssertionError("the older producer could still commit")


def describe_group():
    name = f"group-{RUN}"
    groups = {group.group_id for group in admin.list_consumer_groups().result(12).valid}
    equal(name in groups, True, "group listed")
    asked = [ConsumerGroupTopicPartitions(name)]
    offsets = admin.list_consumer_group_offsets(asked)[name].result(12).topic_partitions
    equal(sum(each.offset for each in offsets), TOTAL, "offsets of the group")
    return f"{len(groups)} groups"


def add_partitions():
    only(admin.create_partitions([NewPartitions(TRANSACTED, 6)]))
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        found = len(admin.list_topics(TRANSACTED, timeout=10).topics[TRANSACTED].partitions)
        if found == 6:
            return "3 to 6"
        time.sleep(0.1)
    raise AssertionError(f"{found} partitions after 10 s")


def delete_records():
    low = only(admin.delete_records([TopicPartition(TOPIC, 0, 100)])).low_watermark
    equal(low, 100, "low watermark")
    return "partition 0 begins at 100"


def lost_offset():
    consumer = member("lost", **{"auto.offset.reset": "error"})
    consumer.assign([TopicPartition(TOPIC, 0, 99_999_999)])
    message = consumer.poll(10)
    consumer.close()
    if message is None or not message.error():
        raise AssertionError("an offset beyond the end was accepted")
    return message.error().name()


def big_message():
    producer = Producer(BASE)
    producer.produce(TOPIC, value=b"x" * 900_000)
    equal(producer.flush(15), 0, "undelivered")
    return "900 kB"


def old_and_future_timestamps():
    """Recorded market data is years old, and a test's clock may run ahead."""
    failed = []
    producer = Producer(BASE)
    for when in (946_684_800_000, FIRST_TIMESTAMP, 4_102_444_800_000):
        producer.produce(TOPIC, value=b"t", timestamp=when,
                         on_delivery=lambda error, _: failed.append(error) if error else None)
    equal(producer.flush(15), 0, "undelivered")
    equal(failed, [], "delivery errors")
    return "the years 2000, 2025, 2100"


def main():
    print(f"librdkafka {confluent_kafka.libversion()[0]}, broker {BROKER}")
    check("topics are created", create_topics)
    check("produce with acks=1", lambda: produce(TOPIC, PLAIN, acks=1))
    for codec in COMPRESSIONS:
        settings = {"compression.type": codec}
        check(f"produce with {codec}", lambda: produce(TOPIC, COMPRESSED, **settings))
    settings = {"enable.idempotence": True}
    check("produce idempotently", lambda: produce(TOPIC, IDEMPOTENT, **settings))
    check("a group reads all and commits", group_reads_and_commits)
    check("a group resumes at its commit", group_resumes)
    check("assigned partitions", assigned_partitions)
    check("fetch from inside a batch", offset_inside_a_batch)
    check("offsets by time", offsets_by_time)
    check("rebalance of two members", rebalance)
    sticky = {"partition.assignment.strategy": "cooperative-sticky"}
    check("cooperative-sticky", group_protocol("sticky", **sticky))
    check("consumer group protocol", group_protocol("kip848", **{"group.protocol": "consumer"}))
    check("transactions and isolation", transactions)
    check("offsets inside a transaction", offsets_in_a_transaction)
    check("fencing of an older producer", fencing)
    check("groups are listed and described", describe_group)
    topic = [ConfigResource(ResourceType.TOPIC, TOPIC)]
    check("topic settings", lambda: f"{len(only(admin.describe_configs(topic)))} settings")
    check("partitions are added", add_partitions)
    check("records are deleted", delete_records)
    check("an offset beyond the end is an error", lost_offset)
    check("a big message", big_message)
    check("old and future timestamps", old_and_future_timestamps)
    check("a topic is deleted", lambda: only(admin.delete_topics([TRANSACTED])) or "deleted")
    print(f"{failures} checks failed" if failures else "all checks passed")
    sys.exit(1 if failures else 0)


main()
