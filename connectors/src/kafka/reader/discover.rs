//! Looks now and then at the topic itself: partitions that came, and whether it is still the one
//! whose offsets are being read. Owns no turn and no message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{Offset, Payloads, SplitBatch};

use super::{KafkaReader, PROBE_MAX, Partition, assign_error};
use crate::kafka::client::{self, Client};
use crate::kafka::consumer::{Queue, Signal, topic_id};
use crate::kafka::positions;

/// How long the brokers may take to say which topic it is when the reader opens.
const IDENTITY_MAX: Duration = Duration::from_secs(10);

/// What is known of the topic.
pub(super) struct Discovery {
    /// How often to look; `None` for never.
    interval: Option<Duration>,
    looked_at: Instant,
    /// The id it had when the reader opened.
    id: Option<String>,
}

impl Discovery {
    /// Asks which topic it is. Where nobody says so, nothing is read: offsets that are not known to
    /// be this topic's must not be believed.
    pub(super) fn new(
        client: &Client,
        topic: &str,
        interval: Option<Duration>,
    ) -> Result<Self, ConnectorError> {
        let id = topic_id(client, topic, IDENTITY_MAX).map_err(|code| {
            let message = format!("cannot ask for the id of topic \"{topic}\"");
            client::broker_error(client.context(), message, Some(code))
        })?;
        Ok(Self {
            interval,
            looked_at: Instant::now(),
            id,
        })
    }

    /// The id that the topic had when the reader was opened.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn is_due(&self) -> bool {
        let elapsed = self.looked_at.elapsed();
        self.interval.is_some_and(|interval| elapsed >= interval)
    }
}

impl KafkaReader {
    /// Looks for new partitions, if it is time to.
    pub(super) fn discover(&mut self) -> Result<(), ConnectorError> {
        if !self.discovery.is_due() {
            return Ok(());
        }
        self.discovery.looked_at = Instant::now();
        // An outage is somebody else's to report; the next look comes soon.
        let Ok(metadata) = self.client.fetch_metadata(Some(&self.topic), PROBE_MAX) else {
            return Ok(());
        };
        self.check_existence(&metadata)?;
        self.check_identity()?;
        self.take_new_partitions(&metadata)
    }

    /// Fails if the topic was deleted and created again: its offsets are those of other messages.
    pub(super) fn check_identity(&mut self) -> Result<(), ConnectorError> {
        // An outage is somebody else's to report; the next look comes soon.
        let Ok(Some(found)) = topic_id(&self.client, &self.topic, PROBE_MAX) else {
            return Ok(());
        };
        let known = self.discovery.id.get_or_insert_with(|| found.clone());
        if *known == found {
            return Ok(());
        }
        Err(recreated(&self.topic, known, &found))
    }

    /// Reads partitions that are not read yet from their first message on.
    pub(super) fn take_new_partitions(
        &mut self,
        metadata: &Metadata,
    ) -> Result<(), ConnectorError> {
        let Some(topic) = metadata.topics().iter().find(|t| t.name() == self.topic) else {
            return Ok(());
        };
        let mut new: Vec<i32> = topic.partitions().iter().map(|found| found.id()).collect();
        new.retain(|id| !self.partitions.iter().any(|known| known.number == *id));
        new.sort_unstable();
        for number in new {
            // A partition whose broker does not answer yet is found at the next look.
            let Some((low, _)) = positions::range(&self.client, &self.topic, number) else {
                continue;
            };
            self.take_new_partition(number, low)?;
        }
        Ok(())
    }

    fn take_new_partition(&mut self, number: i32, first: i64) -> Result<(), ConnectorError> {
        let partition = Partition::open(&self.client, &self.topic, number, first, &self.signal)?;
        let failed = |error| assign_error(&self.topic, error);
        let mut added = TopicPartitionList::with_capacity(1);
        added
            .add_partition_offset(&self.topic, number, KafkaOffset::Offset(first))
            .map_err(failed)?;
        self.client.incremental_assign(&added).map_err(failed)?;
        tracing::info!(topic = self.topic, number, first, "new partition");
        self.found.push_back(SplitBatch {
            split: partition.split.clone(),
            payloads: Payloads::Found {
                at: Offset(first.unsigned_abs()),
            },
        });
        self.partitions.push(partition);
        Ok(())
    }
}

impl Partition {
    /// The partition with its queue, which is taken before the assignment, so that no message goes
    /// to the common queue.
    pub(super) fn open(
        client: &Arc<Client>,
        topic: &str,
        number: i32,
        next: i64,
        signal: &Arc<Signal>,
    ) -> Result<Self, ConnectorError> {
        Ok(Self {
            number,
            split: positions::split(number),
            queue: Queue::open(client, topic, number, signal)?,
            next,
            end: None,
            ended: false,
            failed: None,
        })
    }
}

fn recreated(topic: &str, known: &str, found: &str) -> ConnectorError {
    ConnectorError::data(format!(
        "cannot go on reading topic \"{topic}\": it was deleted and created again"
    ))
    .with_detail(format!("Its id was {known} and is now {found}."))
    .with_hint(client::RECREATED_HINT)
}
