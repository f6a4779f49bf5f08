//! The broker's own floor: when a bare consumer receives each message.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::Failure;
use crate::histogram::Percentiles;
use crate::topic::now_us;

use super::schedule::Schedule;
use super::{DRAIN_MAX, Pace};

/// One look for a message.
const LOOK: Duration = Duration::from_millis(100);

/// How long the brokers may take to name the partitions.
const METADATA_MAX: Duration = Duration::from_secs(10);

/// Receives all messages of `schedule`.
///
/// # Errors
/// If some do not come.
pub fn receive(
    servers: &str,
    topic: &str,
    schedule: &Schedule,
    pace: &Pace,
) -> Result<Percentiles, Failure> {
    // What bears on latency is set as the source of the server sets it.
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "10")
        .set("fetch.queue.backoff.ms", "2")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), METADATA_MAX)?;
    let mut assignment = TopicPartitionList::new();
    for partition in metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
    {
        assignment.add_partition_offset(topic, partition.id(), Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut watch = schedule.watch();
    // Messages of a partition come in the order they are due: the nth is the nth.
    let mut came_at = Instant::now();
    let names: Vec<String> = (0..=assignment.count()).map(|n| n.to_string()).collect();
    while watch.left() > 0 && !pace.stopped() {
        let Some(message) = consumer.poll(LOOK) else {
            if pace.start_us().is_some() && came_at.elapsed() > DRAIN_MAX {
                return Err(format!("{} messages never came", watch.left()).into());
            }
            continue;
        };
        let message = message?;
        came_at = Instant::now();
        let (Some(start_us), Some(ts_us)) = (pace.start_us(), message.payload().and_then(time_of))
        else {
            return Err("a message came that was not sent".into());
        };
        let name = usize::try_from(message.partition()).ok();
        let name = name.and_then(|partition| names.get(partition));
        let name = name.ok_or("a message of a partition that was not there")?;
        watch.see(name, ts_us - start_us, now_us() - start_us);
    }
    Ok(watch.percentiles())
}

/// The time in a trade's JSON, in microseconds since the Unix epoch.
fn time_of(payload: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(payload).ok()?;
    let (_, rest) = text.split_once("\"ts\":\"")?;
    let digits = |range: std::ops::Range<usize>| rest.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (digits(0..4)?, digits(5..7)?, digits(8..10)?);
    // Days from a date by Howard Hinnant's `days_from_civil`.
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let seconds = (days * 24 + digits(11..13)?) * 3_600 + digits(14..16)? * 60 + digits(17..19)?;
    Some(seconds * 1_000_000 + digits(20..26)?)
}

#[cfg(test)]
mod tests;
