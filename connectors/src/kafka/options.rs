//! `WITH` options of a Kafka source, checked. Touches no network: librdkafka itself judges its
//! `properties.*`.

use std::time::Duration;

use rdkafka::ClientConfig;
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::Options;

use crate::options::{OptionReader, SourceOptions, nearest};

use super::client;

/// Where a reading from scratch starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StartupMode {
    /// At the oldest message still there.
    #[default]
    Earliest,
    /// After the newest message.
    Latest,
    /// At the first message whose broker timestamp, in milliseconds since the epoch, is not
    /// earlier.
    Timestamp(i64),
    /// At exactly these: (partition, offset).
    Offsets(Vec<(i32, i64)>),
}

/// A Kafka source as its options describe it.
#[derive(Clone, Debug)]
pub struct KafkaOptions {
    /// The topic.
    pub topic: String,
    /// Where to start.
    pub startup: StartupMode,
    /// How often new partitions are looked for, and whether the topic is still the same; `None` for
    /// never.
    pub discovery: Option<Duration>,
    /// Whether the source ends at the offsets that were the ends when it was opened.
    pub bounded: bool,
    /// Handed to librdkafka, without the prefix `properties.`.
    pub properties: Vec<(String, String)>,
    /// What every source takes.
    pub source: SourceOptions,
}

/// A new partition is read this long after it came: a request of a few hundred bytes.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(10);

/// Properties on which the promise of exact offsets rests.
const OWNED_PROPERTIES: [&str; 6] = [
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "log.queue",
    "opaque",
];

/// Why they cannot be set.
const OWNED_REASON: &str =
    "Offsets live in checkpoints, so RTSAP itself decides where reading starts.";

impl KafkaOptions {
    /// Reads and checks all options of the source called `name`. `format_keys` are read by its
    /// decoder.
    ///
    /// # Errors
    /// `Invalid` for an option that is missing, unknown or has a bad value.
    pub fn read(
        name: &str,
        options: &Options,
        format_keys: &[&str],
    ) -> Result<Self, ConnectorError> {
        let mut reader = OptionReader::new(format!("source \"{name}\""), options);
        reader.accept(&["connector", "format"]);
        reader.accept(format_keys);
        let topic = reader.required("topic")?.to_owned();
        reader.accept(&["properties.bootstrap.servers", "properties.group.id"]);
        let properties = properties(&mut reader, &OWNED_PROPERTIES, OWNED_REASON)?;
        let bounded = reader.choice(
            "scan.bounded.mode",
            &[("latest-offset", true), ("unbounded", false)],
        )?;
        let discovery = reader.duration("scan.partition-discovery.interval")?;
        let discovery = discovery.unwrap_or(DISCOVERY_INTERVAL);
        let read = Self {
            topic,
            discovery: (!discovery.is_zero()).then_some(discovery),
            startup: startup(&mut reader)?,
            bounded: bounded.unwrap_or(false),
            properties,
            source: SourceOptions::read(&mut reader)?,
        };
        reader.finish()?;
        client::check(&read.client_config(), &format!("source \"{name}\""))?;
        Ok(read)
    }

    /// The brokers as given, for messages.
    pub fn servers(&self) -> &str {
        let servers = self
            .properties
            .iter()
            .find(|(key, _)| key == "bootstrap.servers");
        servers.map_or("", |(_, value)| value)
    }

    /// The configuration that all clients of this source start from.
    pub(super) fn client_config(&self) -> ClientConfig {
        let mut config = client::tuned_config();
        for (key, value) in &self.properties {
            config.set(key, value);
        }
        config
    }
}

/// The options `properties.*`: all of librdkafka's but those in `owned`, for which `reason` stands.
pub(super) fn properties(
    reader: &mut OptionReader<'_>,
    owned: &[&str],
    reason: &str,
) -> Result<Vec<(String, String)>, ConnectorError> {
    let given = reader.prefixed("properties.");
    if let Some((key, _)) = given.iter().find(|(key, _)| owned.contains(key)) {
        let key = format!("properties.{key}");
        return Err(reader.invalid(&key, "cannot be set").with_detail(reason));
    }
    if !given
        .iter()
        .any(|(key, value)| *key == "bootstrap.servers" && !value.trim().is_empty())
    {
        let similar = nearest("bootstrap.servers", given.iter().map(|(key, _)| *key));
        let hint = match similar {
            Some(key) => {
                format!("There is 'properties.{key}'; did you mean 'properties.bootstrap.servers'?")
            }
            None => "Add 'properties.bootstrap.servers' = 'host:9092' to the WITH clause.".into(),
        };
        return Err(ConnectorError::invalid(format!(
            "option \"properties.bootstrap.servers\" of {} is missing",
            reader.subject()
        ))
        .with_hint(hint));
    }
    Ok(given
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect())
}

/// Which `scan.startup.mode` was written, before its companion option is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Earliest,
    Latest,
    Timestamp,
    Offsets,
}

fn startup(reader: &mut OptionReader<'_>) -> Result<StartupMode, ConnectorError> {
    const TIMESTAMP: &str = "scan.startup.timestamp-millis";
    const OFFSETS: &str = "scan.startup.specific-offsets";
    let mode = reader.choice(
        "scan.startup.mode",
        &[
            ("earliest-offset", Mode::Earliest),
            ("latest-offset", Mode::Latest),
            ("timestamp", Mode::Timestamp),
            ("specific-offsets", Mode::Offsets),
        ],
    )?;
    let mode = mode.unwrap_or(Mode::Earliest);
    let timestamp: Option<i64> = reader.number(TIMESTAMP)?;
    let offsets = reader.text(OFFSETS);
    for (key, given, wanted, mode_name) in [
        (
            TIMESTAMP,
            timestamp.is_some(),
            mode == Mode::Timestamp,
            "timestamp",
        ),
        (
            OFFSETS,
            offsets.is_some(),
            mode == Mode::Offsets,
            "specific-offsets",
        ),
    ] {
        if given && !wanted {
            let problem = format!("is only used with 'scan.startup.mode' = '{mode_name}'");
            return Err(reader.invalid(key, &problem));
        }
    }
    match mode {
        Mode::Earliest => Ok(StartupMode::Earliest),
        Mode::Latest => Ok(StartupMode::Latest),
        Mode::Timestamp => match timestamp {
            Some(ms) if ms >= 0 => Ok(StartupMode::Timestamp(ms)),
            Some(_) => Err(reader.invalid(TIMESTAMP, "must not be negative")),
            None => reader.required(TIMESTAMP).map(|_| StartupMode::Earliest),
        },
        Mode::Offsets => {
            let text = reader.required(OFFSETS)?;
            let parsed = parse_offsets(text).ok_or_else(|| {
                reader
                    .invalid(OFFSETS, &format!("cannot be \"{text}\""))
                    .with_hint("Write it as 'partition:0,offset:42;partition:1,offset:300'.")
            })?;
            Ok(StartupMode::Offsets(parsed))
        }
    }
}

/// Reads `partition:0,offset:42;partition:1,offset:300`; `None` if it is not of that form or names
/// a partition twice.
fn parse_offsets(text: &str) -> Option<Vec<(i32, i64)>> {
    let mut parsed: Vec<(i32, i64)> = Vec::new();
    for entry in text
        .split(';')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        let (partition, offset) = entry.split_once(',')?;
        let partition = partition
            .trim()
            .strip_prefix("partition:")?
            .trim()
            .parse()
            .ok()?;
        let offset = offset.trim().strip_prefix("offset:")?.trim().parse().ok()?;
        if partition < 0 || offset < 0 || parsed.iter().any(|(seen, _)| *seen == partition) {
            return None;
        }
        parsed.push((partition, offset));
    }
    (!parsed.is_empty()).then_some(parsed)
}

#[cfg(test)]
mod tests;
