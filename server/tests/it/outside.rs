//! Sinks into real services for the crash-point matrix, and what they hold, read by other clients.

#![expect(clippy::print_stdout, reason = "what was skipped must be seen")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tokio_postgres::NoTls;

use super::harness::{PATIENCE, wait_for};

/// The services that a failpoint needs, and names that no other run has.
pub struct Outside {
    kafka: Option<String>,
    timescale: Option<String>,
    tag: String,
}

impl Outside {
    /// What the point `name` needs; `None`, said loudly, where that is not there.
    pub fn for_point(name: &str, number: usize) -> Option<Self> {
        let needed = |prefix: &str, variable: &str| {
            if !name.starts_with(prefix) {
                return Some(None);
            }
            match std::env::var(variable) {
                Ok(value) => Some(Some(value)),
                Err(_) => {
                    println!("SKIPPED: failpoint {name}; {variable} is not set");
                    None
                }
            }
        };
        Some(Self {
            kafka: needed("kafka.", "RTSAP_TEST_KAFKA")?,
            timescale: needed("timescale.", "RTSAP_TEST_TIMESCALE")?,
            tag: format!("crash_{}_{number}", std::process::id()),
        })
    }

    /// Long enough for a checkpoint or two, which come each 100 ms here, and for what goes outside.
    pub fn work_time(&self) -> Duration {
        match (&self.kafka, &self.timescale) {
            (None, None) => Duration::from_millis(250),
            (None, Some(_)) => Duration::from_millis(1_000),
            // A producer must find its coordinator first.
            (Some(_), _) => Duration::from_millis(4_000),
        }
    }

    pub fn definitions(&self) -> Vec<String> {
        let tag = &self.tag;
        let mut statements = Vec::new();
        if let Some(servers) = &self.kafka {
            for (connector, view) in [("kafka", "all_rows"), ("upsert-kafka", "sums")] {
                statements.push(format!(
                    "CREATE SINK IF NOT EXISTS {tag}_{view} FROM {view} WITH \
                     ('connector' = '{connector}', 'topic' = '{tag}_{view}', 'format' = 'json', \
                     'properties.bootstrap.servers' = '{servers}')"
                ));
            }
        }
        if let Some(url) = &self.timescale {
            for view in ["all_rows", "sums"] {
                statements.push(format!(
                    "CREATE SINK IF NOT EXISTS {tag}_{view} FROM {view} WITH \
                     ('connector' = 'timescaledb', 'url' = '{url}', 'table' = '{tag}_{view}')"
                ));
            }
        }
        statements
    }

    /// Waits until the sinks hold `total` different rows, once each, and `sums` (`k|c|s`).
    pub async fn check(&self, total: i64, sums: &[String]) {
        let tag = &self.tag;
        if let Some(url) = &self.timescale {
            let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
            tokio::spawn(connection);
            let count = format!("SELECT count(*), count(DISTINCT n) FROM {tag}_all_rows");
            wait_for(&client, &count, &[format!("{total}|{total}")]).await;
            wait_for(&client, &format!("SELECT k, c, s FROM {tag}_sums"), sums).await;
            let drop = format!("DROP TABLE {tag}_all_rows, {tag}_sums");
            client.batch_execute(&drop).await.unwrap();
        }
        if let Some(servers) = &self.kafka {
            let begun = Instant::now();
            loop {
                let problem = kafka_problem(servers, tag, total, sums);
                let Some(problem) = problem else { return };
                assert!(begun.elapsed() < PATIENCE, "{problem}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn kafka_problem(servers: &str, tag: &str, total: i64, sums: &[String]) -> Option<String> {
    let number = |value: &serde_json::Value, name: &str| value[name].as_i64().unwrap();
    let parse = |value: &[u8]| -> serde_json::Value { serde_json::from_slice(value).unwrap() };
    let all = committed(servers, &format!("{tag}_all_rows"));
    let mut numbers: Vec<i64> = all
        .iter()
        .map(|(_, value)| number(&parse(value.as_deref().unwrap()), "n"))
        .collect();
    numbers.sort_unstable();
    if numbers != (0..total).collect::<Vec<_>>() {
        return Some(format!("{} messages instead of {total}", numbers.len()));
    }
    let mut table = BTreeMap::new();
    for (key, value) in committed(servers, &format!("{tag}_sums")) {
        match value {
            Some(value) => table.insert(key, value),
            None => table.remove(&key),
        };
    }
    let line = |value: &Vec<u8>| {
        let value = parse(value);
        let [k, c, s] = ["k", "c", "s"].map(|name| number(&value, name));
        format!("{k}|{c}|{s}")
    };
    let mut found: Vec<String> = table.values().map(line).collect();
    found.sort();
    (found != sums).then(|| format!("{found:?} instead of {sums:?}"))
}

type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// All that a reader of committed messages sees.
fn committed(servers: &str, topic: &str) -> Vec<KeyAndValue> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let partitions = metadata.topics()[0].partitions();
    let mut assignment = TopicPartitionList::new();
    for partition in partitions {
        let added = assignment.add_partition_offset(topic, partition.id(), Offset::Beginning);
        added.unwrap();
    }
    consumer.assign(&assignment).unwrap();
    let (mut found, mut ended) = (Vec::new(), 0);
    while ended < partitions.len() {
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => found.push((
                message.key().map(<[u8]>::to_vec),
                message.payload().map(<[u8]>::to_vec),
            )),
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            other => panic!("{topic}: {other:?}"),
        }
    }
    found
}
