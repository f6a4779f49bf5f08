//! The Kafka source over the wire: against librdkafka's mock cluster always, and against a real
//! broker at `RTSAP_TEST_KAFKA` (`host:port`) where one is given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::{DataType, Field, Schema};
use rdkafka::ClientConfig;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rtsap_connectors::registry::BuiltinConnectors;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::{ConnectorRegistry, Options, SourceRequest};
use rtsap_stream::source::{Offset, Payloads, Positions, Source, SourceReader, SplitId};

mod mock;
mod real;

/// What a test does not finish in this time hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn source(servers: &str, topic: &str, extra: &[(&str, &str)]) -> Arc<dyn Source> {
    let mut options: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in [
        ("connector", "kafka"),
        ("format", "json"),
        ("topic", topic),
        ("properties.bootstrap.servers", servers),
    ]
    .iter()
    .chain(extra)
    {
        options.insert((*key).to_owned(), (*value).to_owned());
    }
    let request = SourceRequest {
        primary_key: Vec::new(),
        name: "t".to_owned(),
        columns: DecodeSchema {
            schema: Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)])),
            origins: Arc::new([ColumnOrigin::Payload]),
        },
        options: Options(options),
    };
    BuiltinConnectors.source(&request).unwrap()
}

async fn open(
    source: &dyn Source,
    positions: &Positions,
) -> Result<Box<dyn SourceReader>, ConnectorError> {
    let none = Arc::new(Schema::empty());
    source.open(positions, &none).await
}

fn producer(servers: &str, extra: &[(&str, &str)]) -> FutureProducer {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("linger.ms", "5");
    for (key, value) in extra {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

/// Produces `{"n":…}` with keys and headers; all of it has arrived when this returns.
async fn produce(
    producer: &FutureProducer,
    topic: &str,
    partition: i32,
    numbers: std::ops::Range<u64>,
) {
    let mut sent = Vec::new();
    for number in numbers {
        let payload = format!("{{\"n\":{number}}}");
        let record = FutureRecord::to(topic)
            .partition(partition)
            .key("k")
            .payload(&payload)
            .timestamp(1_700_000_000_000 + i64::try_from(number).unwrap());
        sent.push(
            producer
                .send_result(record)
                .map_err(|(error, _)| error)
                .unwrap(),
        );
    }
    for delivery in sent {
        delivery.await.unwrap().map_err(|(error, _)| error).unwrap();
    }
}

/// What was read of one partition.
#[derive(Default, Debug)]
struct Read {
    offsets: Vec<u64>,
    payloads: Vec<Vec<u8>>,
    resume_at: Option<Offset>,
    found_at: Option<Offset>,
    ended: bool,
}

/// Reads until `done` says so, `rows_max` messages at a time.
fn read_until(
    reader: &mut dyn SourceReader,
    rows_max: usize,
    done: impl Fn(&BTreeMap<SplitId, Read>) -> bool,
) -> Result<BTreeMap<SplitId, Read>, ConnectorError> {
    let begun = Instant::now();
    let mut read: BTreeMap<SplitId, Read> = BTreeMap::new();
    while !done(&read) {
        assert!(begun.elapsed() < PATIENCE, "hangs after {}", summary(&read));
        let Some(batch) = reader.poll(rows_max, Duration::from_millis(200))? else {
            continue;
        };
        let found = read.entry(batch.split).or_default();
        match batch.payloads {
            Payloads::Raw(raw) => {
                assert!(!raw.is_empty() && raw.len() <= rows_max);
                for index in 0..raw.len() {
                    found.offsets.push(raw.offset(index).0);
                    found
                        .payloads
                        .push(raw.payload(index).unwrap_or_default().to_vec());
                    assert_eq!(raw.key(index), Some(&b"k"[..]));
                    assert!(raw.timestamp(index).is_some());
                }
                found.resume_at = Some(raw.resume_at());
            }
            Payloads::Found { at } => found.found_at = Some(at),
            Payloads::Ended => found.ended = true,
            Payloads::Rows { .. } => panic!("Kafka makes no rows"),
        }
    }
    Ok(read)
}

fn summary(read: &BTreeMap<SplitId, Read>) -> String {
    let parts = read.iter().map(|(split, read)| {
        let (first, last) = (read.offsets.first(), read.offsets.last());
        format!("{split}: {} from {first:?} to {last:?}", read.offsets.len())
    });
    parts.collect::<Vec<_>>().join("; ")
}

fn count(read: &BTreeMap<SplitId, Read>) -> usize {
    read.values().map(|read| read.offsets.len()).sum()
}

fn at(pairs: &[(&str, u64)]) -> Positions {
    pairs
        .iter()
        .map(|(split, offset)| (SplitId::new(*split), Offset(*offset)))
        .collect()
}

/// Every number of `0..per_partition` is there once in each of `partitions`, in order.
fn assert_complete(read: &BTreeMap<SplitId, Read>, partitions: usize, per_partition: u64) {
    assert_eq!(read.len(), partitions);
    for read in read.values() {
        assert_eq!(read.offsets, (0..per_partition).collect::<Vec<_>>());
        for (number, payload) in read.payloads.iter().enumerate() {
            assert_eq!(payload, format!("{{\"n\":{number}}}").as_bytes());
        }
        assert_eq!(read.resume_at, Some(Offset(per_partition)));
    }
}
