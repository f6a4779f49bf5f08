//! The protocol, on a thread of its own: the client library blocks.
//!
//! A session is one producer of the sink's transactional id with the record it found. Opening one
//! fences every producer before it and resolves what these left open; only then is the record read.
//! After any error the session is given up and the next request opens another, reads again, and
//! decides anew: no answer that was lost is ever guessed. (librdkafka cannot tell a late commit of
//! one transaction from a commit of the next within one producer, so no producer is used again.)

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::failpoint;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::{Move, Owner, Progress, check_owner, claim, judge};
use rtsap_stream::sink::SinkReport;
use tokio::sync::oneshot;

use super::super::client;
use super::options::SinkOptions;
use super::progress::{self, PARTITION};
use super::records::{Layout, Record};
use super::topics;

/// Taking over waits for the transaction that a killed producer was committing.
const INIT_TIMEOUT: Duration = Duration::from_secs(60);

/// An abort that takes longer is left to the next session.
const ABORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Rows between two looks at what has been delivered.
const ROWS_BETWEEN_POLLS: usize = 1_000;

/// Where a sink writes, and how.
#[derive(Clone)]
pub(super) struct Place {
    /// The sink's name.
    pub sink: String,
    /// Whose record it is.
    pub owner: Owner,
    /// Its options.
    pub options: SinkOptions,
    /// Its messages.
    pub layout: Layout,
}

/// What a worker can do.
pub(super) enum Task {
    /// Take the sink over.
    Fence {
        generation: Generation,
        expected: Option<Epoch>,
    },
    /// Write an epoch.
    Apply {
        generation: Generation,
        /// The last epoch that is known to be applied.
        applied: Epoch,
        epoch: Epoch,
        previous: Epoch,
        changes: Vec<ChangeBatch>,
    },
}

type Answer = Result<SinkReport, ConnectorError>;

/// A thread that does one task after the other. It ends when this is dropped.
pub(super) struct Worker {
    tasks: Sender<(Task, oneshot::Sender<Answer>)>,
}

impl Worker {
    /// Starts it.
    ///
    /// # Errors
    /// `Exhausted` if the system gives no thread.
    pub(super) fn start(place: Place) -> Result<Self, ConnectorError> {
        let (tasks, waiting) = crossbeam_channel::bounded(1);
        let name = format!("sink {}", place.sink);
        let thread = std::thread::Builder::new().name(name.clone());
        thread
            .spawn(move || work(&place, &waiting))
            .map_err(|error| {
                let message = format!("cannot start the thread of {name}");
                ConnectorError::new(ErrorKind::Exhausted, message).with_source(error)
            })?;
        Ok(Self { tasks })
    }

    /// Does `task`.
    ///
    /// # Errors
    /// What the task ends with.
    pub(super) async fn ask(&self, task: Task) -> Answer {
        let abandoned = || {
            let message = "the thread of a Kafka sink has ended";
            ConnectorError::new(ErrorKind::Internal, message)
        };
        let (answer, answered) = oneshot::channel();
        self.tasks.send((task, answer)).map_err(|_| abandoned())?;
        answered.await.map_err(|_| abandoned())?
    }
}

fn work(place: &Place, tasks: &Receiver<(Task, oneshot::Sender<Answer>)>) {
    let mut session = None;
    while let Ok((task, answer)) = tasks.recv() {
        let done = match task {
            Task::Fence {
                generation,
                expected,
            } => fence(place, &mut session, generation, expected),
            Task::Apply {
                generation,
                applied,
                epoch,
                previous,
                changes,
            } => apply(
                place,
                &mut session,
                (generation, applied),
                (epoch, previous),
                &changes,
            ),
        };
        // Nobody waits if the sink was dropped in between; the record says what was done.
        let _ = answer.send(done);
    }
}

fn fence(
    place: &Place,
    session: &mut Option<Session>,
    generation: Generation,
    expected: Option<Epoch>,
) -> Answer {
    // The producer before is gone before its successor takes over.
    *session = None;
    let target = topics::prepare(&place.options, expected.is_some())?;
    let opened = Session::open(place, generation, expected)?;
    let applied = Epoch::new(opened.record.epoch);
    *session = Some(opened);
    Ok(SinkReport { target, applied })
}

fn apply(
    place: &Place,
    session: &mut Option<Session>,
    (generation, applied): (Generation, Epoch),
    (epoch, previous): (Epoch, Epoch),
    changes: &[ChangeBatch],
) -> Answer {
    let mut open = match session.take() {
        Some(open) => open,
        None => Session::open(place, generation, Some(applied))?,
    };
    let record = Some(open.record);
    if judge(&place.sink, generation, record, previous, epoch)? == Move::Apply {
        open.write(place, epoch, changes)?;
    }
    let applied = Epoch::new(open.record.epoch);
    *session = Some(open);
    Ok(SinkReport {
        target: String::new(),
        applied,
    })
}

/// One producer, and what it knows to be written.
struct Session {
    producer: BaseProducer<Deliveries>,
    record: Progress,
}

impl Session {
    /// Fences all producers before this one, reads the record and claims it.
    fn open(
        place: &Place,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<Self, ConnectorError> {
        let options = &place.options;
        let action = format!("cannot take over topic \"{}\"", options.topic);
        let config = options.producer_config();
        let producer: BaseProducer<Deliveries> = config
            .create_with_context(Deliveries::default())
            .map_err(|error| failure(&action, options, None, &error))?;
        producer
            .init_transactions(INIT_TIMEOUT)
            .map_err(|error| failure(&action, options, Some(&producer), &error))?;
        failpoint::pass("kafka.producer_ready");
        let found = progress::read(options, &place.sink)?;
        failpoint::pass("kafka.progress_read");
        let (known, owner) = (found.map(|found| found.0), found.and_then(|found| found.1));
        check_owner(&place.sink, place.owner, owner, known, expected)?;
        let epoch = claim(&place.sink, generation, known, expected)?.number();
        let record = Progress {
            generation: generation.number(),
            epoch,
        };
        let mut session = Self { producer, record };
        if found != Some((record, Some(place.owner))) {
            // From here on a producer of an earlier generation that takes over again sees that it
            // is late.
            session.transact(place, record, |_| Ok(()))?;
        }
        failpoint::pass("kafka.session_open");
        Ok(session)
    }

    /// Writes an epoch and the record that it is written, in one transaction.
    fn write(
        &mut self,
        place: &Place,
        epoch: Epoch,
        changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        let net = place.layout.net(changes)?;
        let record = Progress {
            epoch: epoch.number(),
            ..self.record
        };
        let deadline = Instant::now() + place.options.transaction_timeout;
        let epoch = epoch.number().to_string();
        let mut message = Record::default();
        self.transact(place, record, |session| {
            for (number, change) in net.iter().enumerate() {
                place.layout.write(changes, change, &mut message)?;
                session.send(place, &epoch, number, &message, deadline)?;
                if number % ROWS_BETWEEN_POLLS == 0 {
                    session.producer.poll(Duration::ZERO);
                }
            }
            Ok(())
        })
    }

    /// Runs `send` and moves the record to `record`, all or nothing.
    fn transact(
        &mut self,
        place: &Place,
        record: Progress,
        send: impl FnOnce(&Self) -> Result<(), ConnectorError>,
    ) -> Result<(), ConnectorError> {
        let options = &place.options;
        let action = format!(
            "cannot write epoch {} to topic \"{}\"",
            record.epoch, options.topic
        );
        let failed = |error| failure(&action, options, Some(&self.producer), &error);
        self.producer.begin_transaction().map_err(failed)?;
        let sent = send(self);
        failpoint::pass("kafka.rows_sent");
        let sent = sent.and_then(|()| self.send_record(place, record));
        failpoint::pass("kafka.record_sent");
        if let Err(error) = sent {
            self.give_up();
            return Err(error);
        }
        let timeout = options.transaction_timeout;
        if let Err(error) = self.producer.commit_transaction(timeout) {
            let error = failed(error);
            self.give_up();
            return Err(error);
        }
        failpoint::pass("kafka.committed");
        if failpoint::fails("kafka.commit_lost") {
            let message = format!("{action}: its answer was lost on purpose");
            return Err(ConnectorError::unavailable(message));
        }
        self.record = record;
        Ok(())
    }

    /// Aborts the transaction: nobody shall wait behind what is given up. If it cannot be done now,
    /// the next session does it.
    fn give_up(&self) {
        self.producer.purge(PurgeConfig::default().queue());
        // Takes the reports of what was purged, for which the abort would wait.
        let flushed = self.producer.flush(ABORT_TIMEOUT);
        let aborted = self.producer.abort_transaction(ABORT_TIMEOUT);
        tracing::debug!(?flushed, ?aborted, "gave a transaction up");
    }

    fn send_record(&self, place: &Place, record: Progress) -> Result<(), ConnectorError> {
        let options = &place.options;
        let value = progress::encode(&place.sink, place.owner, &options.topic, record);
        let message = BaseRecord::to(&options.progress_topic)
            .partition(PARTITION)
            .key(place.sink.as_bytes())
            .payload(&value);
        let action = format!("cannot write to topic \"{}\"", options.progress_topic);
        self.producer
            .send(message)
            .map_err(|(error, _)| failure(&action, options, Some(&self.producer), &error))
    }

    /// Hands one message to the client, waiting while its queue is full.
    fn send(
        &self,
        place: &Place,
        epoch: &str,
        number: usize,
        record: &Record,
        deadline: Instant,
    ) -> Result<(), ConnectorError> {
        let options = &place.options;
        let mut message: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&options.topic);
        if place.layout.has_key() {
            message = message.key(&record.key);
        }
        if !record.tombstone {
            message = message.payload(&record.value);
        }
        if options.headers {
            message = message.headers(headers(epoch, number));
        }
        loop {
            let Err((error, back)) = self.producer.send(message) else {
                return Ok(());
            };
            let is_full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !is_full || Instant::now() >= deadline {
                let action = format!("cannot write row {number} to topic \"{}\"", options.topic);
                return Err(failure(&action, options, Some(&self.producer), &error));
            }
            message = back;
            self.producer.poll(Duration::from_millis(10));
        }
    }
}

/// Which epoch a message belongs to and its number in it, from 0: the same if it is ever written
/// again.
fn headers(epoch: &str, number: usize) -> OwnedHeaders {
    let number = number.to_string();
    let headers = OwnedHeaders::new_with_capacity(2);
    headers
        .insert(Header {
            key: "rtsap-epoch",
            value: Some(epoch),
        })
        .insert(Header {
            key: "rtsap-row",
            value: Some(&number),
        })
}

/// What the client reports besides answers: the first message that was not delivered, with the
/// reason, and errors of connections.
#[derive(Default)]
struct Deliveries {
    trouble: Mutex<Trouble>,
}

#[derive(Clone, Default)]
struct Trouble {
    undelivered: Option<RDKafkaErrorCode>,
    text: Option<String>,
}

impl Deliveries {
    fn note(&self, undelivered: Option<RDKafkaErrorCode>, text: String) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.undelivered.is_none() {
            *trouble = Trouble {
                undelivered,
                text: Some(text),
            };
        }
    }

    fn trouble(&self) -> Trouble {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone()
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!(target: "librdkafka", facility, "{text}");
            }
            _ => tracing::warn!(target: "librdkafka", facility, "{text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        self.note(None, reason.to_owned());
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else {
            return;
        };
        let code = error.rdkafka_error_code();
        // Purged messages are those of a transaction that was given up for another reason.
        if !matches!(
            code,
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight)
        ) {
            let (topic, partition) = (message.topic(), message.partition());
            let text = format!("topic \"{topic}\" partition {partition}: {error}");
            self.note(code, text);
        }
    }
}

/// What an error of the producer means. Whatever can pass by itself, or be resolved by a new
/// session that reads the record, is worth another try.
fn failure(
    action: &str,
    options: &SinkOptions,
    producer: Option<&BaseProducer<Deliveries>>,
    error: &KafkaError,
) -> ConnectorError {
    let trouble = producer.map(|producer| producer.client().context().trouble());
    let trouble = trouble.unwrap_or_default();
    let code = error.rdkafka_error_code();
    // Why a message was not delivered says more than that the transaction failed for it.
    let kind = match trouble.undelivered.or(code) {
        Some(
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed,
        ) => ErrorKind::Denied,
        Some(RDKafkaErrorCode::InvalidTransactionTimeout | RDKafkaErrorCode::InvalidRecord) => {
            ErrorKind::Invalid
        }
        Some(code) => client::kind_of(code),
        None => ErrorKind::Unavailable,
    };
    let detail = [Some(error.to_string()), trouble.text];
    let detail: Vec<String> = detail
        .into_iter()
        .flatten()
        .map(|text| format!("{}.", text.trim_end_matches('.')))
        .collect();
    let failed = ConnectorError::new(kind, format!("{action} at {}", options.servers()))
        .with_detail(detail.join(" "));
    if code == Some(RDKafkaErrorCode::InvalidTransactionTimeout) {
        return failed.with_hint(
            "Lower 'properties.transaction.timeout.ms', or raise the brokers' \
             transaction.max.timeout.ms.",
        );
    }
    failed
}
