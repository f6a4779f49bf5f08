//! `WITH` options of a Kafka sink, checked. Owns which client properties carry the promise and so
//! cannot be set, and the names that a sink has in Kafka.

use std::time::Duration;

use rdkafka::ClientConfig;
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::Options;

use super::super::client;
use super::super::options::properties;
use crate::options::OptionReader;

/// An epoch must be written within this, or the broker aborts it. Until then readers of committed
/// messages wait behind what a killed process has left open.
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// Kafka's limit for a topic's name.
const NAME_BYTES_MAX: usize = 249;

/// Properties on which exactly-once rests.
const OWNED_PROPERTIES: [&str; 14] = [
    "acks",
    "allow.auto.create.topics",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "isolation.level",
    "log.queue",
    "max.in.flight.requests.per.connection",
    "opaque",
    "request.required.acks",
    "transactional.id",
];

const OWNED_REASON: &str =
    "An epoch is written by one transaction, so RTSAP itself decides how the producer behaves.";

/// Properties that only a producer has: given to a consumer they are a warning in the log.
const PRODUCER_PREFIXES: [&str; 12] = [
    "batch.",
    "compression.",
    "delivery.timeout.ms",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "partitioner",
    "queue.buffering.",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.",
    "transaction.timeout.ms",
];

/// Options of a Kafka sink, checked.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// The target.
    pub topic: String,
    /// Whether rows are upserted by key (`upsert-kafka`).
    pub upsert: bool,
    /// Whether to create the topic if it is missing.
    pub create: bool,
    /// Partitions of a topic that is created; `None` for the broker's own number.
    pub partitions: Option<i32>,
    /// Replicas of topics that are created; `None` for the broker's own number.
    pub replicas: Option<i32>,
    /// Columns of the message key of an appending sink; empty for none.
    pub key_fields: Vec<String>,
    /// Whether messages carry the epoch and the number of the row in it.
    pub headers: bool,
    /// Where the progress record lies: one topic with one partition for each sink.
    pub progress_topic: String,
    /// How long a transaction may be open.
    pub transaction_timeout: Duration,
    /// Handed to librdkafka, without the prefix `properties.`.
    properties: Vec<(String, String)>,
}

impl SinkOptions {
    /// Reads and checks all options of `subject`, the sink called `sink`.
    ///
    /// # Errors
    /// `Invalid` for an option that is missing, unknown or has a bad value.
    pub fn read(subject: &str, sink: &str, options: &Options) -> Result<Self, ConnectorError> {
        let mut reader = OptionReader::new(subject, options);
        let upsert = reader
            .choice("connector", &[("kafka", false), ("upsert-kafka", true)])?
            .unwrap_or(false);
        let topic = reader.required("topic")?.to_owned();
        reader.accept(&["properties.bootstrap.servers"]);
        let properties = properties(&mut reader, &OWNED_PROPERTIES, OWNED_REASON)?;
        formats(&mut reader)?;
        let timeout = properties.iter().find(|p| p.0 == "transaction.timeout.ms");
        let timeout = timeout.and_then(|(_, ms)| ms.trim().parse().ok());
        let read = Self {
            upsert,
            create: reader.flag("create")?.unwrap_or(true),
            partitions: count(&mut reader, "partitions")?,
            replicas: count(&mut reader, "replication.factor")?,
            key_fields: key_fields(&mut reader, upsert)?,
            headers: reader.flag("headers")?.unwrap_or(true),
            progress_topic: progress_topic(&mut reader, &topic, sink)?,
            topic,
            transaction_timeout: timeout.map_or(TRANSACTION_TIMEOUT, Duration::from_millis),
            properties,
        };
        reader.finish()?;
        client::check(&read.producer_config(), subject)?;
        Ok(read)
    }

    /// The brokers as given, for messages.
    pub fn servers(&self) -> &str {
        let servers = self.properties.iter().find(|p| p.0 == "bootstrap.servers");
        servers.map_or("", |(_, value)| value)
    }

    /// The configuration of a producer that fences those before it.
    pub fn producer_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("client.id", "rtsap")
            // As the Java client chooses a partition, so that a key is where others expect it.
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "5")
            .set("compression.type", "lz4")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "65536")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "2000")
            .set("socket.keepalive.enable", "true");
        let timeout = TRANSACTION_TIMEOUT.as_millis().to_string();
        config.set("transaction.timeout.ms", timeout);
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("transactional.id", &self.progress_topic);
        config
    }

    /// The configuration of a consumer that looks at the progress topic and at metadata.
    pub fn consumer_config(&self) -> ClientConfig {
        let mut config = client::tuned_config();
        let own = |key: &str| {
            PRODUCER_PREFIXES
                .iter()
                .any(|prefix| key.starts_with(prefix))
        };
        for (key, value) in self.properties.iter().filter(|p| !own(&p.0)) {
            config.set(key, value);
        }
        config.set("enable.partition.eof", "true");
        config
    }
}

/// `json` is the one format of keys and values so far.
fn formats(reader: &mut OptionReader<'_>) -> Result<(), ConnectorError> {
    let mut found = None;
    for key in ["format", "value.format", "key.format"] {
        let chosen = reader.choice(key, &[("json", ())])?;
        if key != "key.format" {
            found = found.or(chosen);
        }
    }
    if found.is_none() {
        reader
            .required("format")
            .map_err(|error| error.with_hint("Add 'format' = 'json' to the WITH clause."))?;
    }
    Ok(())
}

fn count(reader: &mut OptionReader<'_>, key: &str) -> Result<Option<i32>, ConnectorError> {
    match reader.number::<i32>(key)? {
        Some(number) if number < 1 => Err(reader.invalid(key, "must be at least 1")),
        number => Ok(number),
    }
}

fn key_fields(reader: &mut OptionReader<'_>, upsert: bool) -> Result<Vec<String>, ConnectorError> {
    let Some(text) = reader.text("key.fields") else {
        return Ok(Vec::new());
    };
    if upsert {
        return Err(reader
            .invalid("key.fields", "cannot be set")
            .with_detail("The key of an upserted message is the key of the view."));
    }
    let fields: Vec<String> = text
        .split(';')
        .map(|field| field.trim().to_owned())
        .collect();
    if fields.iter().any(String::is_empty) {
        return Err(reader
            .invalid("key.fields", &format!("cannot be \"{text}\""))
            .with_hint("Write column names, with ';' between them."));
    }
    Ok(fields)
}

fn progress_topic(
    reader: &mut OptionReader<'_>,
    topic: &str,
    sink: &str,
) -> Result<String, ConnectorError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let Some(given) = reader.text("progress.topic") else {
        let readable: String = sink
            .chars()
            .map(|c| if allowed(c) { c } else { '-' })
            .take(128)
            .collect();
        return Ok(format!(
            "__rtsap-progress-{readable}-{:016x}",
            hash(topic, sink)
        ));
    };
    let name = given.trim();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(allowed) {
        return Err(reader
            .invalid("progress.topic", &format!("cannot be \"{given}\""))
            .with_hint("A topic's name has letters, digits, '.', '_' and '-'."));
    }
    if name == topic {
        return Err(reader.invalid("progress.topic", "cannot be the sink's own topic"));
    }
    Ok(name.to_owned())
}

/// FNV-1a of both names: the same at every start and on every machine.
fn hash(topic: &str, sink: &str) -> u64 {
    let bytes = topic.bytes().chain([0]).chain(sink.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
