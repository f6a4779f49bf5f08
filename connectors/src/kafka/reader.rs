//! Reads the partitions of one topic in turn. Owns the order of things: whose turn it is, where a
//! partition stands, when it ends, what an error is worth and when an outage is reported. Calls no
//! C.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Counter, counter};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::source::{Payloads, Positions, RawBatch, SourceReader, SplitBatch, SplitId};

use crate::metrics::{KAFKA_BATCHES_TOTAL, KAFKA_MESSAGES_TOTAL, KAFKA_OUTAGES_TOTAL};

use super::client::{self, Client};
use super::consumer::{Pointers, Queue, Signal};
use super::options::KafkaOptions;
use super::positions;

mod discover;

use discover::Discovery;

/// An outage shorter than this is librdkafka's to bridge.
const DOWN_MAX: Duration = Duration::from_secs(5);

/// How long one look whether the brokers are back may take.
const PROBE_MAX: Duration = Duration::from_millis(500);

/// Messages taken from a queue at once, whatever the caller allows: 64 KiB of pointers.
const BATCH_ROWS_MAX: usize = 8_192;

/// Reads the assigned partitions of one topic.
pub(super) struct KafkaReader {
    partitions: Vec<Partition>,
    /// The partition whose turn it is.
    turn: usize,
    pointers: Pointers,
    signal: Arc<Signal>,
    topic: String,
    servers: String,
    probed_at: Option<Instant>,
    discovery: Discovery,
    /// New partitions that have not been announced.
    found: VecDeque<SplitBatch>,
    messages: Counter,
    batches: Counter,
    outages: Counter,
    client: Arc<Client>,
}

struct Partition {
    number: i32,
    split: SplitId,
    queue: Queue,
    /// The offset to read next.
    next: i64,
    /// In bounded mode, where reading ends.
    end: Option<i64>,
    /// Whether `Ended` was reported.
    ended: bool,
    /// An error that came behind messages; reported once these are delivered.
    failed: Option<ConnectorError>,
}

impl KafkaReader {
    /// Assigns `positions` to `client` and reads from exactly there, in bounded mode up to `ends`.
    pub(super) fn open(
        options: &KafkaOptions,
        mut client: Client,
        positions: &Positions,
        ends: Option<&Positions>,
    ) -> Result<Self, ConnectorError> {
        let topic = &options.topic;
        let signal = Arc::new(Signal::default());
        let raised = Arc::clone(&signal);
        client.set_nonempty_callback(move || raised.raise());
        let client = Arc::new(client);
        let mut assignment = TopicPartitionList::with_capacity(positions.len());
        let mut partitions = Vec::with_capacity(positions.len());
        for (split, offset) in positions {
            let number = partition_number(topic, split)?;
            let next =
                i64::try_from(offset.0).map_err(|_| out_of_kafka(topic, number, offset.0))?;
            let end = ends
                .and_then(|ends| ends.get(split))
                .and_then(|end| i64::try_from(end.0).ok());
            assignment
                .add_partition_offset(topic, number, KafkaOffset::Offset(next))
                .map_err(|error| assign_error(topic, error))?;
            let mut partition = Partition::open(&client, topic, number, next, &signal)?;
            partition.end = end;
            partitions.push(partition);
        }
        client
            .assign(&assignment)
            .map_err(|error| assign_error(topic, error))?;
        let interval = options.discovery.filter(|_| ends.is_none());
        let mut reader = Self {
            discovery: Discovery::new(&client, topic, interval)?,
            found: VecDeque::new(),
            partitions,
            turn: 0,
            pointers: Pointers::default(),
            signal,
            topic: topic.clone(),
            servers: options.servers().to_owned(),
            probed_at: None,
            messages: counter!(KAFKA_MESSAGES_TOTAL, "topic" => topic.clone()),
            batches: counter!(KAFKA_BATCHES_TOTAL, "topic" => topic.clone()),
            outages: counter!(KAFKA_OUTAGES_TOTAL, "topic" => topic.clone()),
            client,
        };
        // What came while nobody read.
        if interval.is_some()
            && let Ok(metadata) = reader.client.fetch_metadata(Some(topic), PROBE_MAX)
        {
            reader.take_new_partitions(&metadata)?;
        }
        Ok(reader)
    }

    /// Serves logs and client-wide errors.
    fn serve_events(&self) -> Result<(), ConnectorError> {
        while let Some(event) = self.client.poll(Duration::ZERO) {
            match event {
                Err(KafkaError::MessageConsumptionFatal(code)) => {
                    return Err(ConnectorError::data(format!(
                        "cannot go on reading topic \"{}\" at {}",
                        self.topic, self.servers
                    ))
                    .with_detail(format!("{code}.")));
                }
                // The client's context has noted it; what persists shows in `check_health`.
                Err(_) => {}
                Ok(message) => {
                    use rdkafka::Message;
                    return Err(ConnectorError::new(
                        ErrorKind::Internal,
                        format!(
                            "a message of topic \"{}\" partition {} came through the wrong queue",
                            self.topic,
                            message.partition()
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Takes what the partitions hold, beginning with the one whose turn it is.
    fn take_turn(&mut self, rows_max: usize) -> Result<Option<SplitBatch>, ConnectorError> {
        for _ in 0..self.partitions.len() {
            let index = self.turn;
            self.turn = (index + 1) % self.partitions.len();
            if self.partitions[index].ended {
                continue;
            }
            if let Some(error) = self.partitions[index].failed.take() {
                return Err(error);
            }
            if let Some(batch) = self.drain(index, rows_max)? {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn drain(
        &mut self,
        index: usize,
        rows_max: usize,
    ) -> Result<Option<SplitBatch>, ConnectorError> {
        let partition = &mut self.partitions[index];
        if partition.is_at_end() {
            return Ok(Some(self.end(index)));
        }
        let rows_max = rows_max.clamp(1, BATCH_ROWS_MAX);
        let Some(taken) = partition
            .queue
            .take(&mut self.pointers, rows_max, partition.end)
        else {
            return Ok(None);
        };
        partition.next = partition.next.max(taken.next);
        let failure = taken
            .failure
            .map(|(code, text)| self.judge(index, code, &text));
        let partition = &mut self.partitions[index];
        if let Some(batch) = taken.batch {
            self.client.context().is_up();
            self.messages.increment(batch.len() as u64);
            self.batches.increment(1);
            partition.failed = failure;
            let payloads = Payloads::Raw(Box::new(batch));
            return Ok(Some(SplitBatch {
                split: partition.split.clone(),
                payloads,
            }));
        }
        match failure {
            Some(error) => Err(error),
            None if partition.is_at_end() => Ok(Some(self.end(index))),
            None => Ok(None),
        }
    }

    /// Ends partition `index`; what is written to it from now on is not fetched any more.
    fn end(&mut self, index: usize) -> SplitBatch {
        let partition = &mut self.partitions[index];
        partition.ended = true;
        let mut ended = TopicPartitionList::with_capacity(1);
        ended.add_partition(&self.topic, partition.number);
        if let Err(error) = self.client.pause(&ended) {
            tracing::debug!(topic = self.topic, %error, "cannot pause an ended partition");
        }
        let split = partition.split.clone();
        SplitBatch {
            split,
            payloads: Payloads::Ended,
        }
    }

    /// What an error of partition `index` means.
    fn judge(&self, index: usize, code: RDKafkaErrorCode, text: &str) -> ConnectorError {
        let Partition { number, next, .. } = &self.partitions[index];
        let message = format!(
            "cannot read topic \"{}\" partition {number} at offset {next}",
            self.topic
        );
        if code != RDKafkaErrorCode::AutoOffsetReset {
            return client::broker_error(self.client.context(), message, Some(code));
        }
        let error = ConnectorError::data(format!("{message}: it is not there any more"));
        match positions::range(&self.client, &self.topic, *number) {
            Some((low, high)) => error.with_detail(format!(
                "The broker {} has offsets {low} to {high} (exclusive).",
                self.servers
            )),
            None => error.with_detail(format!("{}.", text.trim_end_matches('.'))),
        }
        .with_hint(
            "Messages were deleted by retention before they were read, or the topic was recreated. \
             Recreate the source to start over, and raise the topic's retention.",
        )
    }

    /// Reports an outage that lasts and partitions that are gone, after a look whether it is so.
    fn check_health(&mut self) -> Result<(), ConnectorError> {
        let context = self.client.context();
        let is_down = context
            .down_for()
            .is_some_and(|down_for| down_for >= DOWN_MAX)
            && self.probed_at.is_none_or(|at| at.elapsed() >= DOWN_MAX);
        if !is_down && !context.is_suspect() {
            return Ok(());
        }
        self.probed_at = Some(Instant::now());
        match self.client.fetch_metadata(Some(&self.topic), PROBE_MAX) {
            Ok(metadata) => {
                context.is_up();
                self.probed_at = None;
                self.check_existence(&metadata)?;
                self.check_identity()
            }
            Err(_) if !is_down => Ok(()),
            Err(error) => {
                self.outages.increment(1);
                let message = format!("cannot reach Kafka at {}", self.servers);
                let code = error.rdkafka_error_code();
                let mut error = client::broker_error(context, message, code);
                // Whatever the reason, the client goes on trying and so shall the caller.
                error.kind = ErrorKind::Unavailable;
                Err(error)
            }
        }
    }

    fn check_existence(&self, metadata: &Metadata) -> Result<(), ConnectorError> {
        let topics = metadata.topics();
        let Some(topic) = topics.iter().find(|topic| topic.name() == self.topic) else {
            return Ok(());
        };
        let code = topic.error().map(RDKafkaErrorCode::from);
        let is_gone = code.is_some_and(|code| client::kind_of(code) == ErrorKind::Data);
        if code.is_some() && !is_gone {
            let message = format!("cannot read topic \"{}\" at {}", self.topic, self.servers);
            let error = client::broker_error(self.client.context(), message, code);
            // What passes, the client bridges; what needs a person ends the source.
            return if error.kind == ErrorKind::Unavailable {
                Ok(())
            } else {
                Err(error)
            };
        }
        let exists = |number: i32| topic.partitions().iter().any(|found| found.id() == number);
        let mut reading = self.partitions.iter().filter(|partition| !partition.ended);
        match reading.find(|partition| is_gone || !exists(partition.number)) {
            Some(Partition { number, next, .. }) => Err(ConnectorError::data(format!(
                "cannot read topic \"{}\" partition {number} at offset {next}: it does not exist \
                 any more",
                self.topic
            ))
            .with_hint("The topic was deleted. Drop the source, or recreate both.")),
            None => Ok(()),
        }
    }
}

impl SourceReader for KafkaReader {
    fn poll(
        &mut self,
        rows_max: usize,
        wait: Duration,
    ) -> Result<Option<SplitBatch>, ConnectorError> {
        let deadline = Instant::now() + wait;
        loop {
            // Cleared before looking: what arrives behind the look raises it again.
            self.signal.clear();
            self.serve_events()?;
            self.discover()?;
            if let Some(found) = self.found.pop_front() {
                return Ok(Some(found));
            }
            if let Some(batch) = self.take_turn(rows_max)? {
                return Ok(Some(batch));
            }
            self.check_health()?;
            // Woken now and then without a message, so that an outage is seen however long the
            // caller waits.
            let look_again = deadline.min(Instant::now() + DOWN_MAX / 5);
            if !self.signal.wait_until(look_again) && look_again == deadline {
                return Ok(None);
            }
        }
    }

    fn identity(&self) -> Option<String> {
        self.discovery.id().map(str::to_owned)
    }
}

impl Partition {
    fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

fn partition_number(topic: &str, split: &SplitId) -> Result<i32, ConnectorError> {
    split
        .as_str()
        .parse()
        .ok()
        .filter(|number| *number >= 0)
        .ok_or_else(|| {
            ConnectorError::data(format!(
                "split \"{split}\" is not a partition of topic \"{topic}\""
            ))
        })
}

fn out_of_kafka(topic: &str, partition: i32, offset: u64) -> ConnectorError {
    ConnectorError::data(format!(
        "cannot read topic \"{topic}\" partition {partition} at offset {offset}: Kafka has no such \
         offset"
    ))
}

fn assign_error(topic: &str, error: KafkaError) -> ConnectorError {
    ConnectorError::unavailable(format!("cannot assign the partitions of topic \"{topic}\""))
        .with_detail(format!("{error}."))
        .with_source(error)
}
