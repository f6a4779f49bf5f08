//! Against librdkafka's mock cluster: the real wire protocol, in memory, without transactions worth
//! the name.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rtsap_stream::error::ErrorKind;

use super::*;

fn cluster(topic: &str, partitions: i32) -> (MockCluster<'static, DefaultProducerContext>, String) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(topic, partitions, 1).unwrap();
    let servers = cluster.bootstrap_servers();
    (cluster, servers)
}

#[tokio::test]
async fn every_message_is_read_once_from_every_partition() {
    let (_cluster, servers) = cluster("trades", 3);
    let sender = producer(&servers, &[]);
    for partition in 0..3 {
        produce(&sender, "trades", partition, 0..2_000).await;
    }
    let source = source(&servers, "trades", &[]);
    let start = source.start_positions().await.unwrap();
    assert_eq!(start, at(&[("0", 0), ("1", 0), ("2", 0)]));
    let ends = source.end_positions().await.unwrap();
    assert_eq!(ends, at(&[("0", 2_000), ("1", 2_000), ("2", 2_000)]));
    let mut reader = open(&*source, &start).await.unwrap();
    let read = read_until(&mut *reader, 700, |read| count(read) >= 6_000).unwrap();
    assert_complete(&read, 3, 2_000);
}

#[tokio::test]
async fn reading_resumes_at_exact_offsets_inside_batches() {
    let (_cluster, servers) = cluster("trades", 2);
    let sender = producer(&servers, &[]);
    produce(&sender, "trades", 0, 0..500).await;
    produce(&sender, "trades", 1, 0..500).await;
    let source = source(&servers, "trades", &[]);
    for (first, second) in [(0, 499), (1, 250), (123, 321), (499, 500)] {
        let mut reader = open(&*source, &at(&[("0", first), ("1", second)]))
            .await
            .unwrap();
        let expected = usize::try_from(1_000 - first - second).unwrap();
        let read = read_until(&mut *reader, 64, |read| count(read) >= expected).unwrap();
        for (split, start) in [("0", first), ("1", second)] {
            let found = read
                .get(&SplitId::new(split))
                .map_or(&[][..], |read| &read.offsets);
            assert_eq!(found, (start..500).collect::<Vec<_>>());
        }
    }
}

#[tokio::test]
async fn start_modes_choose_offsets() {
    let (_cluster, servers) = cluster("trades", 2);
    let sender = producer(&servers, &[]);
    produce(&sender, "trades", 0, 0..10).await;
    let start =
        async |extra: &[(&str, &str)]| source(&servers, "trades", extra).start_positions().await;
    let latest = start(&[("scan.startup.mode", "latest-offset")])
        .await
        .unwrap();
    assert_eq!(latest, at(&[("0", 10), ("1", 0)]));
    let mode = ("scan.startup.mode", "specific-offsets");
    let key = "scan.startup.specific-offsets";
    let exact = start(&[mode, (key, "partition:0,offset:7;partition:1,offset:0")]).await;
    assert_eq!(exact.unwrap(), at(&[("0", 7), ("1", 0)]));
    let error = start(&[mode, (key, "partition:0,offset:7")])
        .await
        .unwrap_err();
    assert!(
        error.message.contains("does not name partition 1"),
        "{}",
        error.message
    );
    let error = start(&[mode, (key, "partition:5,offset:7")])
        .await
        .unwrap_err();
    assert!(
        error.message.contains("names partition 5"),
        "{}",
        error.message
    );
}

#[tokio::test]
async fn a_bounded_source_ends_where_it_ended_at_open() {
    let (_cluster, servers) = cluster("trades", 3);
    let sender = producer(&servers, &[]);
    produce(&sender, "trades", 0, 0..300).await;
    produce(&sender, "trades", 1, 0..5).await;
    let source = source(
        &servers,
        "trades",
        &[("scan.bounded.mode", "latest-offset")],
    );
    assert!(source.is_bounded());
    let start = source.start_positions().await.unwrap();
    let mut reader = open(&*source, &start).await.unwrap();
    produce(&sender, "trades", 0, 300..400).await;
    let ended = |read: &BTreeMap<SplitId, Read>| read.values().filter(|r| r.ended).count() == 3;
    let read = read_until(&mut *reader, 1_000, ended).unwrap();
    let counts: Vec<usize> = read.values().map(|read| read.offsets.len()).collect();
    assert_eq!(counts, [300, 5, 0]);
    assert!(
        reader
            .poll(10, Duration::from_millis(50))
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn an_offset_that_is_not_there_is_told_with_the_range() {
    let (_cluster, servers) = cluster("trades", 1);
    produce(&producer(&servers, &[]), "trades", 0, 0..10).await;
    let source = source(&servers, "trades", &[]);
    let mut reader = open(&*source, &at(&[("0", 4_711)])).await.unwrap();
    let error = read_until(&mut *reader, 10, |_| false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Data);
    assert_eq!(
        error.message,
        "cannot read topic \"trades\" partition 0 at offset 4711: it is not there any more"
    );
    assert_eq!(
        error.detail,
        Some(format!(
            "The broker {servers} has offsets 0 to 10 (exclusive)."
        ))
    );
}

#[tokio::test]
async fn a_missing_topic_is_refused_with_similar_ones() {
    // The mock cluster makes a topic when it is asked for, so it is told to deny this one.
    let (cluster, servers) = cluster("trades", 1);
    let missing = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    cluster.create_topic("trade", 1, 1).unwrap();
    cluster.topic_error("trade", missing).unwrap();
    let error = source(&servers, "trade", &[])
        .start_positions()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert_eq!(
        error.message,
        format!("topic \"trade\" does not exist at {servers}")
    );
    assert_eq!(error.hint.as_deref(), Some("Similar topics there: trades."));
}

#[tokio::test]
async fn a_broker_that_is_away_is_unavailable() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let servers = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = source(&servers, "trades", &[])
        .start_positions()
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(error.message, format!("cannot reach Kafka at {servers}"));
    let detail = error.detail.unwrap();
    assert!(detail.contains("refused"), "{detail}");
}

#[tokio::test]
async fn a_message_wakes_an_idle_reader() {
    let (_cluster, servers) = cluster("trades", 1);
    let sender = producer(&servers, &[("linger.ms", "0")]);
    let source = source(&servers, "trades", &[]);
    let start = source.start_positions().await.unwrap();
    let mut reader = open(&*source, &start).await.unwrap();
    let reading = std::thread::spawn(move || {
        let mut seen = 0;
        let begun = Instant::now();
        while seen < 20 {
            assert!(begun.elapsed() < PATIENCE);
            // A wait far longer than the test: only a wake-up can end it in time.
            if let Some(batch) = reader.poll(100, PATIENCE).unwrap() {
                let Payloads::Raw(raw) = batch.payloads else {
                    panic!("not raw")
                };
                seen += raw.len();
            }
        }
        begun.elapsed()
    });
    for number in 0..20 {
        produce(&sender, "trades", 0, number..number + 1).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(reading.join().unwrap() < PATIENCE / 2);
}

#[tokio::test]
async fn batches_outlive_their_reader() {
    let (_cluster, servers) = cluster("trades", 1);
    produce(&producer(&servers, &[]), "trades", 0, 0..100).await;
    let source = source(&servers, "trades", &[]);
    let mut reader = open(&*source, &at(&[("0", 0)])).await.unwrap();
    let batch = loop {
        if let Some(batch) = reader.poll(100, Duration::from_secs(1)).unwrap() {
            break batch;
        }
    };
    drop(reader);
    let check = std::thread::spawn(move || {
        let Payloads::Raw(raw) = batch.payloads else {
            panic!("not raw")
        };
        assert_eq!(raw.payload(0), Some(&b"{\"n\":0}"[..]));
    });
    check.join().unwrap();
}

#[tokio::test]
async fn a_lasting_outage_is_reported_and_survived() {
    let (cluster, servers) = cluster("trades", 1);
    let sender = producer(&servers, &[]);
    produce(&sender, "trades", 0, 0..10).await;
    let source = source(&servers, "trades", &[]);
    let mut reader = open(&*source, &at(&[("0", 0)])).await.unwrap();
    read_until(&mut *reader, 100, |read| count(read) == 10).unwrap();
    cluster.broker_down(-1).unwrap();
    let error = read_until(&mut *reader, 100, |_| false).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert_eq!(error.message, format!("cannot reach Kafka at {servers}"));
    cluster.broker_up(-1).unwrap();
    produce(&sender, "trades", 0, 10..20).await;
    let mut read = 0;
    let begun = Instant::now();
    while read < 10 {
        assert!(begun.elapsed() < PATIENCE);
        // Until the client has reconnected, an outage may be reported again.
        if let Ok(Some(batch)) = reader.poll(100, Duration::from_millis(200)) {
            let Payloads::Raw(raw) = batch.payloads else {
                panic!("not raw")
            };
            assert_eq!(raw.offset(0), Offset(10 + read));
            read += raw.len() as u64;
        }
    }
}

#[tokio::test]
async fn keys_headers_and_tombstones_come_through() {
    use rdkafka::message::{Header, OwnedHeaders};
    let (_cluster, servers) = cluster("trades", 1);
    let sender = producer(&servers, &[]);
    let headers = OwnedHeaders::new()
        .insert(Header {
            key: "a",
            value: Some("1"),
        })
        .insert(Header {
            key: "b",
            value: None::<&str>,
        })
        .insert(Header {
            key: "a",
            value: Some(""),
        });
    let record = FutureRecord::<[u8], [u8]>::to("trades")
        .partition(0)
        .headers(headers);
    sender
        .send(record, PATIENCE)
        .await
        .map_err(|(error, _)| error)
        .unwrap();
    let record = FutureRecord::to("trades")
        .partition(0)
        .key(&b"\xff"[..])
        .payload(&b""[..]);
    sender
        .send(record, PATIENCE)
        .await
        .map_err(|(error, _)| error)
        .unwrap();
    let source = source(&servers, "trades", &[]);
    let mut reader = open(&*source, &at(&[("0", 0)])).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let Some(batch) = reader.poll(100, PATIENCE).unwrap() else {
            continue;
        };
        let Payloads::Raw(raw) = batch.payloads else {
            panic!("not raw")
        };
        for index in 0..raw.len() {
            let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            seen.push((
                own(raw.key(index)),
                own(raw.payload(index)),
                raw.headers(index),
            ));
        }
    }
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let headers = vec![
        header("a", Some(b"1")),
        header("b", None),
        header("a", Some(b"")),
    ];
    assert_eq!(seen[0], (None, None, headers));
    assert_eq!(
        seen[1],
        (Some(b"\xff".to_vec()), Some(Vec::new()), Vec::new())
    );
}
