//! Brokers, topics and their messages.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::executor::block_on;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{
    BaseRecord, DefaultProducerContext, NoCustomPartitioner, Producer, ProducerContext,
    ThreadedProducer,
};

use crate::Failure;
use crate::cli::Setting;

/// How long all messages may take to be delivered once they are queued.
const FLUSH_MAX: Duration = Duration::from_secs(120);

/// Rest before a full queue is tried again.
const FULL_REST: Duration = Duration::from_millis(1);

/// Where topics live.
pub struct Broker {
    /// `host:port`.
    pub servers: String,
    mock: Option<MockCluster<'static, DefaultProducerContext>>,
}

/// A topic, deleted when this value goes.
pub struct Topic<'b> {
    broker: &'b Broker,
    /// Its name.
    pub name: String,
    /// Number of its partitions.
    pub partitions: i32,
}

/// Counts what could not be delivered.
#[derive(Clone, Default)]
pub struct Deliveries {
    lost: Arc<AtomicU64>,
}

/// A producer that counts what it lost.
pub type Sender = ThreadedProducer<Deliveries>;

impl Broker {
    /// The real broker of `setting`, or else a mock one in this process.
    ///
    /// # Errors
    /// If the mock broker cannot listen.
    pub fn start(setting: &Setting) -> Result<Self, Failure> {
        if let Some(servers) = setting.brokers.as_ref().filter(|_| !setting.mock) {
            return Ok(Self {
                servers: servers.clone(),
                mock: None,
            });
        }
        let cluster = MockCluster::new(1)?;
        Ok(Self {
            servers: cluster.bootstrap_servers(),
            mock: Some(cluster),
        })
    }

    /// As results name it.
    pub fn description(&self) -> &'static str {
        match self.mock {
            Some(_) => "librdkafka's mock broker",
            None => "Apache Kafka",
        }
    }

    /// Makes an empty topic.
    ///
    /// # Errors
    /// If the broker refuses.
    pub fn create(&self, purpose: &str, partitions: i32) -> Result<Topic<'_>, Failure> {
        let name = format!("bench-{purpose}-{}-{}", std::process::id(), now_us());
        if let Some(cluster) = &self.mock {
            cluster.create_topic(&name, partitions, 1)?;
        } else {
            let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
            let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(30)));
            let made = block_on(self.admin()?.create_topics([&topic], &options))?;
            for result in made {
                result.map_err(|(name, code)| format!("cannot create topic {name}: {code}"))?;
            }
        }
        Ok(Topic {
            broker: self,
            name,
            partitions,
        })
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, Failure> {
        Ok(self.config().create()?)
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.servers);
        config
    }

    /// A producer whose messages wait at most `linger_ms` for others.
    ///
    /// # Errors
    /// If librdkafka refuses the settings.
    pub fn sender(&self, linger_ms: u32) -> Result<(Sender, Deliveries), Failure> {
        let deliveries = Deliveries::default();
        let sender = self
            .config()
            .set("linger.ms", linger_ms.to_string())
            .set("batch.size", "1000000")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.messages", "1000000")
            .set("acks", "1")
            .create_with_context(deliveries.clone())?;
        Ok((sender, deliveries))
    }
}

impl Topic<'_> {
    /// Writes the lines of `file`, the nth into partition `partition_of(n)`; returns how many.
    ///
    /// # Errors
    /// If the file cannot be read or a message cannot be delivered.
    pub fn load(&self, file: &Path, partition_of: &[i32]) -> Result<u64, Failure> {
        let (sender, deliveries) = self.broker.sender(20)?;
        let mut lines = BufReader::with_capacity(1 << 20, File::open(file)?);
        let mut line = Vec::new();
        let mut count = 0_u64;
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let payload = line.strip_suffix(b"\n").unwrap_or(&line);
            let partition = usize::try_from(count)
                .ok()
                .and_then(|n| partition_of.get(n));
            send(
                &sender,
                &self.name,
                partition.copied().unwrap_or(0),
                payload,
            )?;
            count += 1;
        }
        sender.flush(FLUSH_MAX)?;
        deliveries.check()?;
        Ok(count)
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        if self.broker.mock.is_some() {
            return;
        }
        if let Ok(admin) = self.broker.admin() {
            // What is left behind goes with the broker's data.
            let _ = block_on(admin.delete_topics(&[&self.name], &AdminOptions::new()));
        }
    }
}

/// Queues one message, waiting while the queue is full.
///
/// # Errors
/// If the producer cannot go on.
pub fn send(sender: &Sender, topic: &str, partition: i32, payload: &[u8]) -> Result<(), Failure> {
    let mut record: BaseRecord<'_, (), [u8]> =
        BaseRecord::to(topic).partition(partition).payload(payload);
    loop {
        match sender.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                record = back;
                std::thread::sleep(FULL_REST);
            }
            Err((error, _)) => return Err(error.into()),
        }
    }
}

impl Deliveries {
    /// # Errors
    /// If a message was lost.
    pub fn check(&self) -> Result<(), Failure> {
        match self.lost.load(Ordering::Relaxed) {
            0 => Ok(()),
            lost => Err(format!("{lost} messages could not be delivered").into()),
        }
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Microseconds since the Unix epoch.
pub fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}
