//! The demo's broker: librdkafka's own, which speaks the Kafka protocol over TCP and keeps topics
//! in memory.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::error::ServerError;

/// Partitions of each topic.
const PARTITIONS: i32 = 2;

/// A broker that lives as long as this value.
pub struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl Broker {
    /// Starts a broker with `topics`.
    ///
    /// # Errors
    /// [`ServerError::Demo`] if no port can be had.
    pub fn start(topics: &[&str]) -> Result<Self, ServerError> {
        let failed = |error: rdkafka::error::KafkaError| ServerError::Demo(error.to_string());
        let cluster = MockCluster::new(1).map_err(failed)?;
        for topic in topics {
            cluster.create_topic(topic, PARTITIONS, 1).map_err(failed)?;
        }
        Ok(Self { cluster })
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}
