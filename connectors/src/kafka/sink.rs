//! Kafka topics as a sink, exactly once.
//!
//! ```text
//! ChangeBatches ─▶ records (JSON; with a key, net per key) ─▶ one transaction an epoch ─▶ topic
//!                                                                └─▶ progress topic: generation, epoch
//! ```
//!
//! The progress record in the same transaction is the guarantee: a lost answer to a commit, a
//! repeated call and an old process that still writes are resolved by reading it. Consumers that
//! read committed messages only see each epoch once, and all of it. See `worker` for the protocol.
//!
//! `kafka` appends and takes no updates; `upsert-kafka` writes one message a changed key, and a
//! tombstone for a key that is gone.

use std::time::Duration;

use async_trait::async_trait;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::registry::Options;
use rtsap_stream::sink::{Sink, SinkInput, SinkReport};

mod json;
mod options;
mod progress;
mod records;
mod topics;
mod worker;

use options::SinkOptions;
use records::Layout;
use worker::{Place, Task, Worker};

/// One request to the worker may take this long: beyond it its thread hangs in the client library,
/// and another takes its place. Longer than all timeouts that a request consists of.
const REQUEST_MAX: Duration = Duration::from_secs(300);

/// Checks the options and says which changes the sink takes.
///
/// # Errors
/// `Invalid` for an unknown or wrong option.
pub fn check(options: &Options) -> Result<ChangelogMode, ConnectorError> {
    let options = SinkOptions::read("the sink", "s", options)?;
    Ok(accepts(&options))
}

/// The sink; it connects when it is fenced.
///
/// # Errors
/// `Invalid` for a wrong option, a column that JSON has no form for, or a view without the key
/// that `upsert-kafka` needs.
pub fn sink(input: &SinkInput, options: &Options) -> Result<Box<dyn Sink>, ConnectorError> {
    let subject = format!("sink \"{}\"", input.sink);
    let options = SinkOptions::read(&subject, &input.sink, options)?;
    let layout = Layout::new(input, &options)?;
    let accepts = accepts(&options);
    Ok(Box::new(KafkaSink {
        accepts,
        place: Place {
            sink: input.sink.clone(),
            owner: input.owner,
            options,
            layout,
        },
        worker: None,
        fenced: None,
    }))
}

fn accepts(options: &SinkOptions) -> ChangelogMode {
    if options.upsert {
        ChangelogMode::Retract
    } else {
        ChangelogMode::Append
    }
}

/// A Kafka topic as a sink.
struct KafkaSink {
    accepts: ChangelogMode,
    place: Place,
    /// The thread that talks to Kafka; the client library blocks.
    worker: Option<Worker>,
    /// Who we are, once fenced, and the last epoch that is known to be applied.
    fenced: Option<(Generation, Epoch)>,
}

impl KafkaSink {
    /// Lets the worker do `task`; a worker that hangs is left to itself. What it may still commit
    /// is fenced by the next one before it reads the progress.
    async fn ask(&mut self, task: Task) -> Result<SinkReport, ConnectorError> {
        let worker = match self.worker.take() {
            Some(worker) => worker,
            None => Worker::start(self.place.clone())?,
        };
        let answer = tokio::time::timeout(REQUEST_MAX, worker.ask(task)).await;
        let Ok(answer) = answer else {
            return Err(ConnectorError::unavailable(format!(
                "cannot write to topic \"{}\"",
                self.place.options.topic
            ))
            .with_detail(format!(
                "The Kafka client did not answer within {} s.",
                REQUEST_MAX.as_secs()
            )));
        };
        self.worker = Some(worker);
        answer
    }
}

#[async_trait]
impl Sink for KafkaSink {
    fn accepts(&self) -> ChangelogMode {
        self.accepts
    }

    async fn fence(
        &mut self,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<SinkReport, ConnectorError> {
        let report = self.ask(Task::Fence {
            generation,
            expected,
        });
        let report = report.await?;
        self.fenced = Some((generation, report.applied));
        Ok(report)
    }

    async fn apply(
        &mut self,
        epoch: Epoch,
        previous: Epoch,
        changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        let Some((generation, applied)) = self.fenced else {
            return Err(ConnectorError::new(
                ErrorKind::Internal,
                format!("sink \"{}\" was not fenced", self.place.sink),
            ));
        };
        let task = Task::Apply {
            generation,
            applied,
            epoch,
            previous,
            changes: changes.to_vec(),
        };
        let report = self.ask(task).await?;
        self.fenced = Some((generation, report.applied));
        Ok(())
    }
}
