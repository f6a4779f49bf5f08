//! Which partitions a topic has, where a reading starts and where the partitions end. Blocking:
//! call it on a thread that may wait.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{Offset, Positions, SplitId};

use crate::options::nearest;

use super::client::{self, Client};
use super::options::{KafkaOptions, StartupMode};

/// One request to the brokers may take this long: a few reconnects, shorter than a person's
/// patience.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Where a reading from scratch starts in each partition.
pub(super) fn start(options: &KafkaOptions, client: &Client) -> Result<Positions, ConnectorError> {
    let partitions = partitions(options, client)?;
    match &options.startup {
        StartupMode::Earliest => watermarks(options, client, &partitions, |low, _| low),
        StartupMode::Latest => watermarks(options, client, &partitions, |_, high| high),
        StartupMode::Timestamp(ms) => at_timestamp(options, client, &partitions, *ms),
        StartupMode::Offsets(offsets) => at_offsets(options, &partitions, offsets),
    }
}

/// The offset after the last readable message of each partition.
pub(super) fn end(options: &KafkaOptions, client: &Client) -> Result<Positions, ConnectorError> {
    let partitions = partitions(options, client)?;
    watermarks(options, client, &partitions, |_, high| high)
}

/// The offsets that exist in one partition: (oldest, after the newest).
pub(super) fn range(client: &Client, topic: &str, partition: i32) -> Option<(i64, i64)> {
    client.fetch_watermarks(topic, partition, REQUEST_MAX).ok()
}

/// The split that stands for `partition`.
pub(super) fn split(partition: i32) -> SplitId {
    SplitId::new(partition.to_string())
}

fn partitions(options: &KafkaOptions, client: &Client) -> Result<Vec<i32>, ConnectorError> {
    let topic = &options.topic;
    let metadata = topic_metadata(options, client)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Err(missing_topic(options, client));
    };
    if let Some(code) = found.error().map(RDKafkaErrorCode::from) {
        return Err(match code {
            RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => {
                missing_topic(options, client)
            }
            code => client::broker_error(
                client.context(),
                format!("cannot read topic \"{topic}\" at {}", options.servers()),
                Some(code),
            ),
        });
    }
    let mut partitions: Vec<i32> = found.partitions().iter().map(|p| p.id()).collect();
    partitions.sort_unstable();
    if partitions.is_empty() {
        return Err(missing_topic(options, client));
    }
    Ok(partitions)
}

/// Asks for the topic until a broker answers, [`REQUEST_MAX`] is over, or all brokers turn out to
/// be away.
fn topic_metadata(options: &KafkaOptions, client: &Client) -> Result<Metadata, ConnectorError> {
    const ATTEMPT: Duration = Duration::from_secs(2);
    let begun = Instant::now();
    loop {
        match client.fetch_metadata(Some(&options.topic), ATTEMPT) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => {
                // Serves pending events, so that the reason of a failed connection is known.
                while client.poll(Duration::ZERO).is_some() {}
                if client.context().down_for().is_some() || begun.elapsed() >= REQUEST_MAX {
                    let message = format!("cannot reach Kafka at {}", options.servers());
                    let code = error.rdkafka_error_code();
                    return Err(client::broker_error(client.context(), message, code));
                }
            }
        }
    }
}

fn missing_topic(options: &KafkaOptions, client: &Client) -> ConnectorError {
    let topic = &options.topic;
    let error = ConnectorError::invalid(format!(
        "topic \"{topic}\" does not exist at {}",
        options.servers()
    ));
    let Ok(metadata) = client.fetch_metadata(None, REQUEST_MAX) else {
        return error;
    };
    let names: Vec<&str> = metadata
        .topics()
        .iter()
        .filter(|found| found.error().is_none() && !found.partitions().is_empty())
        .map(|found| found.name())
        .filter(|name| !name.starts_with("__") && name != topic)
        .collect();
    let similar = similar_names(topic, &names);
    if similar.is_empty() {
        error.with_hint("Create the topic first, or correct the option 'topic'.")
    } else {
        error.with_hint(format!("Similar topics there: {}.", similar.join(", ")))
    }
}

/// Up to five topics that may be meant: the nearest by spelling, then those that contain the name
/// or are contained.
fn similar_names<'a>(topic: &str, names: &[&'a str]) -> Vec<&'a str> {
    const NAMES_MAX: usize = 5;
    let mut similar: Vec<&str> = nearest(topic, names.iter().copied()).into_iter().collect();
    let related = names
        .iter()
        .filter(|name| name.contains(topic) || topic.contains(**name));
    for name in related {
        if similar.len() < NAMES_MAX && !similar.contains(name) {
            similar.push(name);
        }
    }
    similar
}

fn watermarks(
    options: &KafkaOptions,
    client: &Client,
    partitions: &[i32],
    choose: impl Fn(i64, i64) -> i64,
) -> Result<Positions, ConnectorError> {
    let mut positions = Positions::new();
    for partition in partitions {
        let (low, high) = client
            .fetch_watermarks(&options.topic, *partition, REQUEST_MAX)
            .map_err(|error| {
                let message = format!(
                    "cannot read the offsets of topic \"{}\" partition {partition} at {}",
                    options.topic,
                    options.servers()
                );
                client::broker_error(client.context(), message, error.rdkafka_error_code())
            })?;
        positions.insert(
            split(*partition),
            checked(options, *partition, choose(low, high))?,
        );
    }
    Ok(positions)
}

fn at_timestamp(
    options: &KafkaOptions,
    client: &Client,
    partitions: &[i32],
    ms: i64,
) -> Result<Positions, ConnectorError> {
    let message = || {
        format!(
            "cannot look up timestamp {ms} in topic \"{}\" at {}",
            options.topic,
            options.servers()
        )
    };
    let failed = |error: rdkafka::error::KafkaError| {
        client::broker_error(client.context(), message(), error.rdkafka_error_code())
    };
    let mut wanted = TopicPartitionList::with_capacity(partitions.len());
    for partition in partitions {
        wanted
            .add_partition_offset(&options.topic, *partition, KafkaOffset::Offset(ms))
            .map_err(failed)?;
    }
    let found = client
        .offsets_for_times(wanted, REQUEST_MAX)
        .map_err(failed)?;
    let mut positions = Positions::new();
    let mut after_all = Vec::new();
    for element in found.elements() {
        element.error().map_err(failed)?;
        match element.offset() {
            KafkaOffset::Offset(offset) => {
                let offset = checked(options, element.partition(), offset)?;
                positions.insert(split(element.partition()), offset);
            }
            // Every message there is older.
            _ => after_all.push(element.partition()),
        }
    }
    positions.extend(watermarks(options, client, &after_all, |_, high| high)?);
    Ok(positions)
}

fn at_offsets(
    options: &KafkaOptions,
    partitions: &[i32],
    offsets: &[(i32, i64)],
) -> Result<Positions, ConnectorError> {
    let topic = &options.topic;
    let named = |partition: &i32| offsets.iter().any(|(named, _)| named == partition);
    if let Some((partition, _)) = offsets
        .iter()
        .find(|(named, _)| !partitions.contains(named))
    {
        return Err(ConnectorError::invalid(format!(
            "option \"scan.startup.specific-offsets\" names partition {partition}, which topic \
             \"{topic}\" does not have"
        ))
        .with_detail(format!("The topic has {} partitions.", partitions.len())));
    }
    if let Some(partition) = partitions.iter().find(|partition| !named(partition)) {
        return Err(ConnectorError::invalid(format!(
            "option \"scan.startup.specific-offsets\" does not name partition {partition} of topic \
             \"{topic}\""
        ))
        .with_hint("Give an offset for every partition; 0 starts at the beginning of a new one."));
    }
    let mut positions = Positions::new();
    for (partition, offset) in offsets {
        positions.insert(split(*partition), checked(options, *partition, *offset)?);
    }
    Ok(positions)
}

fn checked(options: &KafkaOptions, partition: i32, offset: i64) -> Result<Offset, ConnectorError> {
    u64::try_from(offset).map(Offset).map_err(|_| {
        ConnectorError::unavailable(format!(
            "cannot read the offsets of topic \"{}\" partition {partition}: the broker said \
             {offset}",
            options.topic
        ))
    })
}
