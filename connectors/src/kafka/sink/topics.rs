//! The topics of a sink: made where they are missing and may be made, else checked.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rtsap_stream::error::{ConnectorError, ErrorKind};

use super::super::client::{self, Client};
use super::options::SinkOptions;

/// One request may take this long.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// A topic that was made is known to all brokers within this.
const SPREAD_MAX: Duration = Duration::from_secs(20);

/// Checks or makes both topics; says what the target is. `written` says that this sink has written
/// before: then nothing may be missing.
///
/// # Errors
/// `Unavailable` if Kafka does not answer, `Denied` if it does not let us, `Invalid` if a topic is
/// missing and may not be made, or the progress topic is of another kind; `Data` if a topic is
/// gone.
pub(super) fn prepare(options: &SinkOptions, written: bool) -> Result<String, ConnectorError> {
    let client = client::open(&options.consumer_config())?;
    let wait = Instant::now() + SPREAD_MAX;
    let target = match partitions(&client, options, &options.topic)? {
        Some(count) => count,
        None if written => return Err(gone(&options.topic)),
        None if !options.create => return Err(missing(options)),
        None => {
            let policy = if options.upsert { "compact" } else { "delete" };
            let count = options.partitions.unwrap_or(-1);
            make(options, &options.topic, count, policy)?;
            until_known(&client, options, &options.topic, wait)?
        }
    };
    let topic = options.progress_topic.as_str();
    match partitions(&client, options, topic)? {
        None if written => return Err(gone(topic)),
        None => {
            make(options, topic, 1, "compact")?;
            until_known(&client, options, topic, wait)?;
        }
        Some(1) => check_compacted(options)?,
        Some(count) => {
            return Err(ConnectorError::invalid(format!(
                "topic \"{topic}\" cannot hold the progress of a sink: it has {count} partitions"
            ))
            .with_hint("It must have one; name another by the option 'progress.topic'."));
        }
    }
    Ok(format!(
        "Kafka topic \"{}\" ({target} partitions), progress in \"{topic}\"",
        options.topic
    ))
}

/// How many partitions `topic` has; `None` if it does not exist.
fn partitions(
    client: &Client,
    options: &SinkOptions,
    topic: &str,
) -> Result<Option<usize>, ConnectorError> {
    let failed = |code| {
        let message = format!("cannot reach topic \"{topic}\" at {}", options.servers());
        client::broker_error(client.context(), message, code)
    };
    let metadata = client.fetch_metadata(Some(topic), REQUEST_MAX);
    let metadata = metadata.map_err(|error| failed(error.rdkafka_error_code()))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(None);
    };
    match found.error().map(RDKafkaErrorCode::from) {
        None if found.partitions().is_empty() => Ok(None),
        None => Ok(Some(found.partitions().len())),
        Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
            Ok(None)
        }
        code => Err(failed(code)),
    }
}

fn admin(options: &SinkOptions) -> Result<AdminClient<DefaultClientContext>, ConnectorError> {
    options.consumer_config().create().map_err(|error| {
        ConnectorError::invalid("cannot create the Kafka client")
            .with_detail(format!("{error}."))
            .with_source(error)
    })
}

fn make(
    options: &SinkOptions,
    topic: &str,
    partitions: i32,
    policy: &str,
) -> Result<(), ConnectorError> {
    let action = format!("cannot create topic \"{topic}\" at {}", options.servers());
    let replicas = TopicReplication::Fixed(options.replicas.unwrap_or(-1));
    let new = NewTopic::new(topic, partitions, replicas).set("cleanup.policy", policy);
    let asked = AdminOptions::new().operation_timeout(Some(REQUEST_MAX));
    let made = block_on(admin(options)?.create_topics([&new], &asked));
    let made = made.map_err(|error| admin_error(&action, &error))?;
    match made.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(code_error(&action, code)),
        None => Err(ConnectorError::unavailable(action)),
    }
}

/// Waits until the brokers name the partitions of a topic that was just made.
fn until_known(
    client: &Client,
    options: &SinkOptions,
    topic: &str,
    deadline: Instant,
) -> Result<usize, ConnectorError> {
    loop {
        match partitions(client, options, topic) {
            Ok(Some(count)) => return Ok(count),
            Err(error) if error.kind != ErrorKind::Unavailable => return Err(error),
            _ if Instant::now() >= deadline => {
                return Err(ConnectorError::unavailable(format!(
                    "topic \"{topic}\" was created at {} and is not there yet",
                    options.servers()
                )));
            }
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Refuses a progress topic whose records vanish with time.
fn check_compacted(options: &SinkOptions) -> Result<(), ConnectorError> {
    let topic = options.progress_topic.as_str();
    let action = format!("cannot read the settings of topic \"{topic}\"");
    let wanted = ResourceSpecifier::Topic(topic);
    let asked = AdminOptions::new().request_timeout(Some(REQUEST_MAX));
    let found = block_on(admin(options)?.describe_configs([&wanted], &asked));
    let found = found.map_err(|error| admin_error(&action, &error))?;
    let entries = match found.into_iter().next() {
        Some(Ok(found)) => found.entries,
        Some(Err(code)) => return Err(code_error(&action, code)),
        None => return Err(ConnectorError::unavailable(action)),
    };
    let policy = entries
        .into_iter()
        .find(|entry| entry.name == "cleanup.policy");
    match policy.and_then(|entry| entry.value).as_deref() {
        Some("compact") | None => Ok(()),
        Some(policy) => Err(ConnectorError::invalid(format!(
            "topic \"{topic}\" cannot hold the progress of a sink: its records are deleted with \
             time"
        ))
        .with_detail(format!("Its cleanup.policy is \"{policy}\"."))
        .with_hint("Set cleanup.policy=compact, or name another by the option 'progress.topic'.")),
    }
}

fn admin_error(action: &str, error: &KafkaError) -> ConnectorError {
    match error.rdkafka_error_code() {
        Some(code) => code_error(action, code),
        None => ConnectorError::unavailable(action).with_detail(format!("{error}.")),
    }
}

fn code_error(action: &str, code: RDKafkaErrorCode) -> ConnectorError {
    let kind = match code {
        RDKafkaErrorCode::InvalidReplicationFactor
        | RDKafkaErrorCode::InvalidPartitions
        | RDKafkaErrorCode::InvalidConfig
        | RDKafkaErrorCode::PolicyViolation => ErrorKind::Invalid,
        code => client::kind_of(code),
    };
    let detail = format!("{}.", code.to_string().trim_end_matches('.'));
    ConnectorError::new(kind, action).with_detail(detail)
}

fn missing(options: &SinkOptions) -> ConnectorError {
    ConnectorError::invalid(format!(
        "topic \"{}\" does not exist at {}",
        options.topic,
        options.servers()
    ))
    .with_hint("Create it first, or leave out 'create' = 'false'.")
}

fn gone(topic: &str) -> ConnectorError {
    ConnectorError::data(format!(
        "topic \"{topic}\" is gone, though this sink has written there"
    ))
    .with_hint("Drop the sink and create it anew, under another name, to write all again.")
}
