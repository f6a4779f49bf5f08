//! Against a real broker at `RTSAP_TEST_KAFKA`: what the mock cluster does not know, such as
//! transactions, retention and timestamps.

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use rtsap_stream::error::ErrorKind;

use super::*;

/// The broker, or `None`, said loudly, where there is none.
fn broker() -> Option<String> {
    let servers = std::env::var("RTSAP_TEST_KAFKA").ok();
    if servers.is_none() {
        println!("SKIPPED: RTSAP_TEST_KAFKA is not set");
    }
    servers
}

fn admin(servers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .create()
        .unwrap()
}

/// A topic of its own for each test and run.
async fn topic(servers: &str, name: &str, partitions: i32) -> String {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let topic = format!("{name}-{}-{}", std::process::id(), now.as_nanos());
    let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1))
        .set("message.timestamp.after.max.ms", "9223372036854775807");
    let made = admin(servers)
        .create_topics([&new], &AdminOptions::new())
        .await
        .unwrap();
    made.into_iter().for_each(|made| {
        made.unwrap();
    });
    topic
}

#[tokio::test]
async fn three_partitions_are_read_completely_and_again_from_inside() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "all", 3).await;
    let sender = producer(&servers, &[]);
    for partition in 0..3 {
        produce(&sender, &topic, partition, 0..20_000).await;
    }
    let source = source(&servers, &topic, &[]);
    let start = source.start_positions().await.unwrap();
    let mut reader = open(&*source, &start).await.unwrap();
    let read = read_until(&mut *reader, 5_000, |read| count(read) >= 60_000).unwrap();
    assert_complete(&read, 3, 20_000);
    for inside in [1, 777, 19_998] {
        let positions = at(&[("0", inside), ("1", inside + 1), ("2", 20_000)]);
        let mut reader = open(&*source, &positions).await.unwrap();
        let expected = usize::try_from(40_000 - 2 * inside - 1).unwrap();
        let read = read_until(&mut *reader, 8_192, |read| count(read) >= expected).unwrap();
        let (first, second) = (&read[&SplitId::new("0")], &read.get(&SplitId::new("1")));
        assert_eq!(first.offsets, (inside..20_000).collect::<Vec<_>>());
        let second = second.map_or(&[][..], |read| &read.offsets);
        assert_eq!(second, (inside + 1..20_000).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn timestamps_find_their_offsets() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "times", 2).await;
    produce(&producer(&servers, &[]), &topic, 0, 0..100).await;
    let start = async |ms: &str| {
        let extra = [
            ("scan.startup.mode", "timestamp"),
            ("scan.startup.timestamp-millis", ms),
        ];
        source(&servers, &topic, &extra)
            .start_positions()
            .await
            .unwrap()
    };
    assert_eq!(start("1700000000042").await, at(&[("0", 42), ("1", 0)]));
    assert_eq!(start("0").await, at(&[("0", 0), ("1", 0)]));
    assert_eq!(start("1800000000000").await, at(&[("0", 100), ("1", 0)]));
}

#[tokio::test]
async fn deleted_and_future_offsets_are_data_errors() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "retention", 1).await;
    produce(&producer(&servers, &[]), &topic, 0, 0..100).await;
    let mut before = TopicPartitionList::new();
    before
        .add_partition_offset(&topic, 0, KafkaOffset::Offset(40))
        .unwrap();
    admin(&servers)
        .delete_records(&before, &AdminOptions::new())
        .await
        .unwrap();
    let source = source(&servers, &topic, &[]);
    assert_eq!(source.start_positions().await.unwrap(), at(&[("0", 40)]));
    for wanted in [0, 39, 101, 1 << 40] {
        let mut reader = open(&*source, &at(&[("0", wanted)])).await.unwrap();
        let error = read_until(&mut *reader, 10, |read| count(read) > 0).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data, "{wanted}");
        assert!(
            error.message.contains(&format!("at offset {wanted}:")),
            "{}",
            error.message
        );
        assert!(
            error.detail.unwrap().contains("offsets 40 to 100"),
            "{wanted}"
        );
    }
    let mut reader = open(&*source, &at(&[("0", 100)])).await.unwrap();
    assert!(
        reader
            .poll(10, Duration::from_millis(500))
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn aborted_messages_are_invisible_and_a_bounded_source_ends_behind_control_records() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "transactions", 1).await;
    let sender = producer(&servers, &[("transactional.id", &topic)]);
    let timeout = Duration::from_secs(30);
    sender.init_transactions(timeout).unwrap();
    for (numbers, commit) in [
        (0..10, true),
        (10..20, false),
        (20..30, true),
        (30..40, false),
    ] {
        sender.begin_transaction().unwrap();
        produce(&sender, &topic, 0, numbers).await;
        if commit {
            sender.commit_transaction(timeout).unwrap();
        } else {
            sender.abort_transaction(timeout).unwrap();
        }
    }
    // Ten committed, a marker, ten aborted, a marker, and the same again.
    let source = source(&servers, &topic, &[("scan.bounded.mode", "latest-offset")]);
    assert_eq!(source.end_positions().await.unwrap(), at(&[("0", 44)]));
    let mut reader = open(&*source, &at(&[("0", 0)])).await.unwrap();
    let ended = |read: &BTreeMap<SplitId, Read>| read.values().any(|read| read.ended);
    let read = read_until(&mut *reader, 7, ended).unwrap();
    let read = &read[&SplitId::new("0")];
    assert_eq!(read.offsets, (0..10).chain(22..32).collect::<Vec<_>>());
    assert_eq!(read.resume_at, Some(Offset(32)));
}

#[tokio::test]
async fn an_open_transaction_holds_the_end_back() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "open", 1).await;
    produce(&producer(&servers, &[]), &topic, 0, 0..5).await;
    let sender = producer(&servers, &[("transactional.id", &topic)]);
    sender.init_transactions(Duration::from_secs(30)).unwrap();
    sender.begin_transaction().unwrap();
    produce(&sender, &topic, 0, 5..10).await;
    let source = source(&servers, &topic, &[("scan.bounded.mode", "latest-offset")]);
    assert_eq!(source.end_positions().await.unwrap(), at(&[("0", 5)]));
    let mut reader = open(&*source, &at(&[("0", 0)])).await.unwrap();
    let ended = |read: &BTreeMap<SplitId, Read>| read.values().any(|read| read.ended);
    let read = read_until(&mut *reader, 100, ended).unwrap();
    assert_eq!(count(&read), 5);
    sender.abort_transaction(Duration::from_secs(30)).unwrap();
}

#[tokio::test]
async fn a_missing_topic_is_refused_with_similar_ones() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "similar", 1).await;
    let wrong = topic.replace("similar", "similiar");
    let error = source(&servers, &wrong, &[])
        .start_positions()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(
        error
            .message
            .starts_with(&format!("topic \"{wrong}\" does not exist at"))
    );
    assert!(error.hint.unwrap().contains(&topic));
}

#[tokio::test]
async fn every_compression_is_read() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "codecs", 4).await;
    let codecs = ["gzip", "snappy", "lz4", "zstd"];
    for (partition, codec) in (0..).zip(codecs) {
        let sender = producer(&servers, &[("compression.codec", codec)]);
        produce(&sender, &topic, partition, 0..3_000).await;
    }
    let source = source(&servers, &topic, &[]);
    let start = source.start_positions().await.unwrap();
    let mut reader = open(&*source, &start).await.unwrap();
    let read = read_until(&mut *reader, 5_000, |read| count(read) >= 12_000).unwrap();
    assert_complete(&read, 4, 3_000);
}

#[tokio::test]
async fn a_topic_deleted_under_the_reader_ends_the_source() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "deleted", 1).await;
    produce(&producer(&servers, &[]), &topic, 0, 0..10).await;
    // Sooner than the default of five minutes, and of half a minute for news to spread.
    let extra = [
        ("properties.topic.metadata.refresh.interval.ms", "500"),
        ("properties.topic.metadata.propagation.max.ms", "1000"),
    ];
    let source = source(&servers, &topic, &extra);
    let mut reader = open(&*source, &at(&[("0", 0)])).await.unwrap();
    read_until(&mut *reader, 100, |read| count(read) == 10).unwrap();
    let deleted = admin(&servers)
        .delete_topics(&[&topic], &AdminOptions::new())
        .await
        .unwrap();
    deleted.into_iter().for_each(|deleted| {
        deleted.unwrap();
    });
    let error = read_until(&mut *reader, 100, |_| false).unwrap_err();
    assert_eq!(
        error.kind,
        ErrorKind::Data,
        "{} {:?}",
        error.message,
        error.detail
    );
    assert_eq!(
        error.message,
        format!(
            "cannot read topic \"{topic}\" partition 0 at offset 10: it does not exist any more"
        )
    );
}

/// Lets the reader see what changes in the topic soon.
const SOON: (&str, &str) = ("scan.partition-discovery.interval", "200 ms");

#[tokio::test]
async fn partitions_that_come_later_are_read_from_their_first_message() {
    use rdkafka::admin::NewPartitions;
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "grows", 1).await;
    let sender = producer(&servers, &[]);
    produce(&sender, &topic, 0, 0..10).await;
    // What is there at the start is skipped; what comes later never is.
    let source = source(
        &servers,
        &topic,
        &[SOON, ("scan.startup.mode", "latest-offset")],
    );
    let start = source.start_positions().await.unwrap();
    assert_eq!(start, at(&[("0", 10)]));
    let mut reader = open(&*source, &start).await.unwrap();
    let grow = async |count| {
        let new = NewPartitions::new(&topic, count);
        let grown = admin(&servers);
        let grown = grown.create_partitions([&new], &AdminOptions::new());
        for grown in grown.await.unwrap() {
            grown.unwrap();
        }
    };
    grow(3).await;
    // A producer of its own: the first one does not know the new partitions yet.
    let sender = producer(&servers, &[]);
    produce(&sender, &topic, 2, 0..100).await;
    produce(&sender, &topic, 0, 10..20).await;
    let read = read_until(&mut *reader, 1_000, |read| {
        count(read) >= 110 && read.len() == 3
    });
    let read = read.unwrap();
    let part = |split: &str| &read[&SplitId::new(split)];
    assert_eq!(part("2").offsets, (0..100).collect::<Vec<_>>());
    assert_eq!(part("0").offsets, (10..20).collect::<Vec<_>>());
    assert_eq!(part("1").found_at, Some(Offset(0)));
    assert_eq!(part("2").found_at, Some(Offset(0)));
    drop(reader);
    // And so is what came while nobody read.
    grow(4).await;
    produce(&producer(&servers, &[]), &topic, 3, 0..10).await;
    let known = at(&[("0", 20), ("1", 0), ("2", 100)]);
    let mut reader = open(&*source, &known).await.unwrap();
    let read = read_until(&mut *reader, 1_000, |read| count(read) >= 10).unwrap();
    assert_eq!(read[&SplitId::new("3")].found_at, Some(Offset(0)));
    assert_eq!(
        read[&SplitId::new("3")].offsets,
        (0..10).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_topic_that_was_recreated_ends_the_source_whatever_it_holds() {
    let Some(servers) = broker() else { return };
    let topic = topic(&servers, "recreated", 1).await;
    produce(&producer(&servers, &[]), &topic, 0, 0..10).await;
    let source = source(&servers, &topic, &[SOON]);
    let mut reader = open(&*source, &at(&[("0", 0)])).await.unwrap();
    let first = reader.identity().expect("a real broker says");
    let same = open(&*source, &at(&[("0", 0)])).await.unwrap();
    assert_eq!(same.identity(), Some(first.clone()));
    read_until(&mut *reader, 100, |read| count(read) >= 10).unwrap();
    let gone = admin(&servers);
    let gone = gone.delete_topics(&[&topic], &AdminOptions::new());
    for gone in gone.await.unwrap() {
        gone.unwrap();
    }
    // Recreated at once, and with more messages than were read: every old offset exists again.
    let again = NewTopic::new(&topic, 1, TopicReplication::Fixed(1));
    let begun = Instant::now();
    loop {
        let made = admin(&servers);
        let made = made.create_topics([&again], &AdminOptions::new()).await;
        if made.unwrap().into_iter().all(|made| made.is_ok()) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    produce(&producer(&servers, &[]), &topic, 0, 100..130).await;
    let read = std::cell::Cell::new(0);
    let error = read_until(&mut *reader, 100, |found| {
        read.set(count(found));
        false
    });
    let error = error.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data, "{error}");
    let other = open(&*source, &at(&[("0", 0)])).await.unwrap();
    assert_ne!(other.identity(), Some(first));
    assert_eq!(
        read.get(),
        0,
        "no message of the new topic is taken for one of the old"
    );
}
