//! The record of what has been applied, in a topic with one partition that this sink alone writes
//! to. Owns its bytes and how the last of them is found.

use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Message, Offset, TopicPartitionList};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::progress::{Owner, Progress};
use serde_json::{Value, json};

use super::super::client::{self, Client};
use super::options::SinkOptions;

/// The partition that the record lies in.
pub(super) const PARTITION: i32 = 0;

/// Finding the last record may take this long.
const READ_MAX: Duration = Duration::from_secs(30);

/// Offsets looked at first, from the end; each record takes two, its own and its transaction's
/// marker. Where aborted transactions fill them, sixteen times as many are looked at next.
const TAIL: i64 = 64;

/// What a record says, and whose it is; versions before did not say that.
pub(super) type Record = (Progress, Option<Owner>);

/// The record's bytes.
pub(super) fn encode(sink: &str, owner: Owner, topic: &str, progress: Progress) -> Vec<u8> {
    let value = json!({
        "version": 1,
        "sink": sink,
        "owner": owner.to_string(),
        "topic": topic,
        "generation": progress.generation,
        "epoch": progress.epoch,
    });
    value.to_string().into_bytes()
}

/// Reads the record of `sink` that was committed last; `None` if there never was one.
///
/// The caller has initialised its producer, so no transaction of this sink is open.
///
/// # Errors
/// `Unavailable` if Kafka does not answer, or somebody's open transaction hides the end; `Data` if
/// what is there is no record of this sink, or old ones were deleted and none is left.
pub(super) fn read(options: &SinkOptions, sink: &str) -> Result<Option<Record>, ConnectorError> {
    let deadline = Instant::now() + READ_MAX;
    let topic = options.progress_topic.as_str();
    // The end of everything, committed or not: the end of what is committed may lag behind.
    let mut all = options.consumer_config();
    all.set("isolation.level", "read_uncommitted");
    let (low, high) = range(&client::open(&all)?, topic)?;
    let client = client::open(
        options
            .consumer_config()
            .set("isolation.level", "read_committed"),
    )?;
    let (_, committed) = range(&client, topic)?;
    if committed < high {
        return Err(unreadable(topic)
            .with_detail("A transaction of somebody else is open there.")
            .with_hint("No other program may write to the progress topic of a sink."));
    }
    let (mut from, mut tail) = (high, TAIL);
    while from > low {
        from = low.max(high - tail);
        if let Some(found) = last_between(&client, options, sink, from, deadline)? {
            return Ok(Some(found));
        }
        tail = tail.saturating_mul(16);
    }
    if low > 0 {
        return Err(ConnectorError::data(format!(
            "cannot tell what sink \"{sink}\" has written: its record is gone from topic \
             \"{topic}\""
        ))
        .with_detail("Its beginning was deleted, and nothing is left behind it.")
        .with_hint("The topic must be compacted, never shortened by time or size."));
    }
    Ok(None)
}

fn range(client: &Client, topic: &str) -> Result<(i64, i64), ConnectorError> {
    let range = client.fetch_watermarks(topic, PARTITION, READ_MAX / 3);
    range.map_err(|error| {
        let message = format!("cannot read topic \"{topic}\"");
        client::broker_error(client.context(), message, error.rdkafka_error_code())
    })
}

/// The last record from offset `from` to the end.
fn last_between(
    client: &Client,
    options: &SinkOptions,
    sink: &str,
    from: i64,
    deadline: Instant,
) -> Result<Option<Record>, ConnectorError> {
    let topic = options.progress_topic.as_str();
    let failed = |error: KafkaError| {
        let message = format!("cannot read topic \"{topic}\"");
        client::broker_error(client.context(), message, error.rdkafka_error_code())
    };
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, PARTITION, Offset::Offset(from))
        .map_err(failed)?;
    client.assign(&assignment).map_err(failed)?;
    let mut last = None;
    while Instant::now() < deadline {
        match client.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(KafkaError::PartitionEOF(_))) => return Ok(last),
            Some(Err(error)) => return Err(failed(error)),
            Some(Ok(message)) => {
                let payload = message.payload().unwrap_or_default();
                last = Some(decode(payload, topic, sink, &options.topic)?);
            }
        }
    }
    Err(unreadable(topic).with_detail(format!("It took longer than {} s.", READ_MAX.as_secs())))
}

fn decode(bytes: &[u8], topic: &str, sink: &str, target: &str) -> Result<Record, ConnectorError> {
    let strange = |detail: String| {
        ConnectorError::data(format!(
            "cannot tell what sink \"{sink}\" has written: topic \"{topic}\" holds something else"
        ))
        .with_detail(detail)
        .with_hint("Give the sink a progress topic of its own by the option 'progress.topic'.")
    };
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| strange(format!("It is no record of a sink: {error}.")))?;
    if value["sink"] != sink || value["topic"] != target {
        return Err(strange(format!(
            "It is the record of sink {} into topic {}.",
            value["sink"], value["topic"]
        )));
    }
    let number = |key: &str| value[key].as_u64();
    match (number("version"), number("generation"), number("epoch")) {
        (Some(1), Some(generation), Some(epoch)) => {
            let owner = value["owner"].as_str().map(str::parse);
            let owner = owner.transpose();
            let owner = owner.map_err(|_| strange("It names no owner.".to_owned()))?;
            Ok((Progress { generation, epoch }, owner))
        }
        (version, ..) => Err(strange(format!("It is a record of version {version:?}."))),
    }
}

fn unreadable(topic: &str) -> ConnectorError {
    ConnectorError::unavailable(format!("cannot read the end of topic \"{topic}\""))
}

#[cfg(test)]
mod tests;
