//! A consumer that only counts messages: what librdkafka costs by itself. The benchmarks divide by
//! it. Never decodes, keeps or commits anything.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::{Offset, TopicPartitionList};
use rtsap_stream::error::ConnectorError;

use super::client::{self, Client};
use super::consumer::count_messages;

pub use super::consumer::Counted;

/// How long the brokers may take to name the partitions.
const METADATA_MAX: Duration = Duration::from_secs(10);

/// Counts a topic from its beginning by `rd_kafka_consume_callback_queue`, with the same client
/// settings as a source has.
pub struct BareCounter {
    client: Client,
    counted: Counted,
}

impl BareCounter {
    /// Assigns all partitions of `topic` at the brokers `servers`.
    ///
    /// # Errors
    /// `Unavailable` if the brokers do not name the partitions.
    pub fn open(servers: &str, topic: &str) -> Result<Self, ConnectorError> {
        let mut config = client::tuned_config();
        config.set("bootstrap.servers", servers);
        let client = client::open(&config)?;
        let failed = |error: rdkafka::error::KafkaError| {
            ConnectorError::unavailable(format!("cannot count topic \"{topic}\" at {servers}"))
                .with_source(error)
        };
        let metadata = client.fetch_metadata(Some(topic), METADATA_MAX);
        let metadata = metadata.map_err(failed)?;
        let mut assignment = TopicPartitionList::new();
        for partition in metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions())
        {
            let added = assignment.add_partition_offset(topic, partition.id(), Offset::Beginning);
            added.map_err(failed)?;
        }
        client.assign(&assignment).map_err(failed)?;
        Ok(Self {
            client,
            counted: Counted::default(),
        })
    }

    /// Counts what comes within `wait`; returns what was counted since the beginning.
    pub fn poll(&mut self, wait: Duration) -> Counted {
        count_messages(&self.client, wait, &mut self.counted);
        self.counted
    }
}
