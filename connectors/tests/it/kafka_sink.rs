//! The Kafka sinks against a real broker at `RTSAP_TEST_KAFKA`: each epoch once, for whoever reads
//! committed messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int8Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use rtsap_connectors::kafka::sink;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::registry::Options;
use rtsap_stream::sink::{Sink, SinkInput};

mod append;
mod takeover;
mod upsert;

/// A topic of its own for each test and run.
struct Corner {
    servers: String,
    topic: String,
}

/// `None`, said loudly, where there is no broker.
fn corner(name: &str) -> Option<Corner> {
    let Ok(servers) = std::env::var("RTSAP_TEST_KAFKA") else {
        println!("SKIPPED: RTSAP_TEST_KAFKA is not set");
        return None;
    };
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let topic = format!("{name}-{}-{}", std::process::id(), now.as_nanos());
    Some(Corner { servers, topic })
}

/// A message that a reader of committed messages sees.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    key: Option<String>,
    value: Option<String>,
    headers: Vec<(String, String)>,
}

impl Corner {
    fn options(&self, extra: &[(&str, &str)]) -> Options {
        let mut options = Options::default();
        for (key, value) in [
            ("connector", "kafka"),
            ("topic", self.topic.as_str()),
            ("properties.bootstrap.servers", self.servers.as_str()),
            ("format", "json"),
            ("partitions", "3"),
        ]
        .iter()
        .chain(extra)
        {
            options.0.insert((*key).to_owned(), (*value).to_owned());
        }
        options
    }

    fn sink(&self, input: &SinkInput, extra: &[(&str, &str)]) -> Box<dyn Sink> {
        sink::sink(input, &self.options(extra)).unwrap()
    }

    fn progress_topic(&self) -> String {
        format!("{}-progress", self.topic)
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .create()
            .unwrap()
    }

    async fn create(&self, topic: &str, partitions: i32, policy: &str) {
        let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(1))
            .set("cleanup.policy", policy);
        let made = self.admin().create_topics([&new], &AdminOptions::new());
        for made in made.await.unwrap() {
            made.unwrap();
        }
    }

    async fn delete(&self, topic: &str) {
        let gone = self.admin();
        let gone = gone.delete_topics(&[topic], &AdminOptions::new());
        for gone in gone.await.unwrap() {
            gone.unwrap();
        }
    }

    /// All that readers of `isolation` see, by partition.
    fn read(&self, isolation: &str) -> BTreeMap<i32, Vec<Seen>> {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.servers)
            .set("group.id", "reader")
            .set("enable.auto.commit", "false")
            .set("isolation.level", isolation)
            .set("enable.partition.eof", "true")
            .create()
            .unwrap();
        let wait = Duration::from_secs(20);
        let metadata = consumer.fetch_metadata(Some(&self.topic), wait).unwrap();
        let partitions = metadata.topics()[0].partitions();
        let mut assignment = TopicPartitionList::new();
        for partition in partitions {
            let offset = Offset::Beginning;
            assignment
                .add_partition_offset(&self.topic, partition.id(), offset)
                .unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let mut seen: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
        let mut ended = 0;
        while ended < partitions.len() {
            match consumer.poll(wait).expect("a message or an end") {
                Err(KafkaError::PartitionEOF(_)) => ended += 1,
                Err(error) => panic!("{error}"),
                Ok(message) => {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    let headers = message.headers().map(|headers| {
                        let header = |h: rdkafka::message::Header<'_, &[u8]>| {
                            (h.key.to_owned(), text(h.value.unwrap_or_default()))
                        };
                        headers.iter().map(header).collect()
                    });
                    seen.entry(message.partition()).or_default().push(Seen {
                        key: message.key().map(text),
                        value: message.payload().map(text),
                        headers: headers.unwrap_or_default(),
                    });
                }
            }
        }
        seen
    }

    /// The values that readers of committed messages see, sorted.
    fn committed(&self) -> Vec<String> {
        let seen = self.read("read_committed").into_values().flatten();
        let mut values: Vec<String> = seen.filter_map(|seen| seen.value).collect();
        values.sort();
        values
    }
}

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("symbol", DataType::Utf8, false),
        Field::new("n", DataType::Int64, false),
    ]))
}

/// An append-only view.
fn trades(name: &str) -> SinkInput {
    SinkInput {
        sink: name.to_owned(),
        owner: rtsap_stream::progress::Owner::default(),
        schema: schema(),
        key: Vec::new(),
        event_time: None,
        mode: ChangelogMode::Append,
    }
}

/// Rows (op, symbol, n).
fn changes(rows: &[(i8, &str, i64)]) -> Vec<ChangeBatch> {
    let symbols = rows.iter().map(|row| Some(row.1)).collect::<StringArray>();
    let numbers = rows.iter().map(|row| row.2).collect::<Vec<_>>();
    let columns: Vec<ArrayRef> = vec![Arc::new(symbols), Arc::new(Int64Array::from(numbers))];
    let ops = Int8Array::from(rows.iter().map(|row| row.0).collect::<Vec<_>>());
    let rows = RecordBatch::try_new(schema(), columns).unwrap();
    vec![ChangeBatch::try_new(rows, ops).unwrap()]
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number)
}

fn generation(number: u64) -> Generation {
    Generation::new(number)
}

fn kind<T: std::fmt::Debug>(result: Result<T, ConnectorError>) -> rtsap_stream::error::ErrorKind {
    result.unwrap_err().kind
}
