//! The librdkafka client: how it is tuned, how its log reaches ours, and what its errors mean to
//! us.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rtsap_stream::error::{ConnectorError, ErrorKind};

/// What to do about a topic whose offsets mean other messages than they did.
pub(super) const RECREATED_HINT: &str =
    "Drop the source and its views and create them again to read the new topic from its beginning.";

/// The consumer as this crate uses it.
pub(super) type Client = BaseConsumer<Context>;

/// Settings before the user's own. Latency first where it costs nothing, then large prefetch.
pub(super) fn tuned_config() -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("client.id", "rtsap")
        // librdkafka needs a name for any assignment; nothing is ever committed under it.
        .set("group.id", "rtsap")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        // The default of 1,000 ms leaves a full queue idle and costs two thirds of the throughput.
        .set("fetch.queue.backoff.ms", "2")
        // The broker answers at the first byte; the wait only bounds an empty answer.
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "10")
        // 2 MiB a partition and request: about 16,000 messages of 120 bytes.
        .set("fetch.message.max.bytes", "2097152")
        .set("queued.min.messages", "200000")
        // 64 MiB prefetched a client at most, whatever the number of partitions.
        .set("queued.max.messages.kbytes", "65536")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "2000")
        .set("socket.keepalive.enable", "true");
    config.set_log_level(RDKafkaLogLevel::Info);
    config
}

/// Lets librdkafka judge the properties of `subject` (`source "trades"`), without opening a
/// connection.
pub(super) fn check(config: &ClientConfig, subject: &str) -> Result<(), ConnectorError> {
    match config.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, description, key, _)) => {
            let error = ConnectorError::invalid(format!(
                "option \"properties.{key}\" of {subject} is not accepted by the Kafka client"
            ))
            .with_detail(format!("{}.", description.trim_end_matches('.')));
            Err(if key.contains("jaas") || key.ends_with("deserializer") {
                error.with_hint(
                    "This is a property of the Java client; the names are librdkafka's, such as \
                     'properties.sasl.username' and 'properties.sasl.password'.",
                )
            } else {
                error.with_hint("The names of librdkafka's CONFIGURATION.md are accepted.")
            })
        }
        Err(error) => Err(ConnectorError::invalid(format!(
            "options of {subject} are not accepted by the Kafka client"
        ))
        .with_source(error)),
    }
}

/// Opens a client; it connects in the background.
pub(super) fn open(config: &ClientConfig) -> Result<Client, ConnectorError> {
    let context = Context::default();
    config.create_with_context(context).map_err(|error| {
        let detail = error.to_string();
        ConnectorError::invalid("cannot create the Kafka client")
            .with_detail(format!("{detail}."))
            .with_source(error)
    })
}

/// What librdkafka calls back.
#[derive(Default)]
pub(super) struct Context {
    health: Mutex<Health>,
    /// Whether a partition reported an error that batch consumption only logs.
    suspect: AtomicBool,
}

/// The facility under which librdkafka logs errors that it has nobody to give to. Among them, and
/// nowhere else in batch consumption, is that a topic or partition has ceased to exist.
const UNDELIVERED_ERROR: &str = "ERROR";

#[derive(Default)]
struct Health {
    /// Since when no broker could be reached.
    down_since: Option<Instant>,
    /// The last client-wide error, for the detail of whatever fails because of it.
    last: Option<(RDKafkaErrorCode, String)>,
}

impl Context {
    /// For how long no broker could be reached.
    pub(super) fn down_for(&self) -> Option<Duration> {
        let health = self.health.lock().ok()?;
        health.down_since.map(|since| since.elapsed())
    }

    /// Notes that a broker answered.
    pub(super) fn is_up(&self) {
        if let Ok(mut health) = self.health.lock() {
            *health = Health::default();
        }
    }

    /// Whether a partition may have ceased to exist since the last call.
    pub(super) fn is_suspect(&self) -> bool {
        self.suspect.swap(false, Ordering::Relaxed)
    }

    /// The last client-wide error.
    pub(super) fn last_error(&self) -> Option<(RDKafkaErrorCode, String)> {
        self.health.lock().ok()?.last.clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if facility == UNDELIVERED_ERROR {
            self.suspect.store(true, Ordering::Relaxed);
        }
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", facility, "{text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, "{text}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{text}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else {
            return;
        };
        tracing::debug!(target: "librdkafka", %code, "{reason}");
        // Group coordination is never used, so what goes wrong with it is of no interest.
        if is_about_groups(code) {
            return;
        }
        if let Ok(mut health) = self.health.lock() {
            if code == RDKafkaErrorCode::AllBrokersDown {
                health.down_since.get_or_insert_with(Instant::now);
            } else {
                health.last = Some((code, reason.to_owned()));
            }
        }
    }
}

impl ConsumerContext for Context {}

fn is_about_groups(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as C;
    matches!(
        code,
        C::GroupAuthorizationFailed
            | C::CoordinatorLoadInProgress
            | C::CoordinatorNotAvailable
            | C::NotCoordinator
            | C::WaitingForCoordinator
    )
}

/// An error of `kind` judged from a librdkafka code: `message` says what was attempted.
pub(super) fn broker_error(
    context: &Context,
    message: String,
    code: Option<RDKafkaErrorCode>,
) -> ConnectorError {
    let last = context.last_error();
    let decisive = match (&last, code) {
        (Some((last, _)), Some(code)) if kind_of(code) == ErrorKind::Unavailable => Some(*last),
        (Some((last, _)), None) => Some(*last),
        _ => code,
    };
    let kind = decisive.map_or(ErrorKind::Unavailable, kind_of);
    let mut detail: Vec<String> = Vec::new();
    detail.extend(code.map(|code| format!("{}.", code.to_string().trim_end_matches('.'))));
    detail.extend(last.map(|(_, reason)| format!("{}.", reason.trim_end_matches('.'))));
    let error = ConnectorError::new(kind, message).with_detail(detail.join(" "));
    match kind {
        ErrorKind::Unavailable => error.with_hint(
            "Check that the broker runs and that the addresses it advertises can be reached from \
             here.",
        ),
        ErrorKind::Denied => {
            error.with_hint("Check the credentials and the access rights of the Kafka user.")
        }
        _ => error,
    }
}

/// Who must act on a librdkafka code. What is not known to be permanent is worth another try.
pub(super) fn kind_of(code: RDKafkaErrorCode) -> ErrorKind {
    use RDKafkaErrorCode as C;
    match code {
        C::Authentication
        | C::SaslAuthenticationFailed
        | C::TopicAuthorizationFailed
        | C::ClusterAuthorizationFailed => ErrorKind::Denied,
        C::InvalidTopic
        | C::MessageSizeTooLarge
        | C::InvalidMessageSize
        | C::UnsupportedFeature => ErrorKind::Invalid,
        C::BadMessage
        | C::BadCompression
        | C::InvalidMessage
        | C::AutoOffsetReset
        | C::OffsetOutOfRange
        | C::LogTruncation
        | C::UnknownTopic
        | C::UnknownPartition
        | C::UnknownTopicOrPartition => ErrorKind::Data,
        _ => ErrorKind::Unavailable,
    }
}
