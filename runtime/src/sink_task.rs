//! The task of one sink: takes ownership of the target, then applies the outbox, epoch by epoch.
//!
//! It awaits the target and nothing else does: an outage stops neither ingestion nor serving nor
//! checkpoints.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use parking_lot::Mutex;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::failpoint;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::sink::Sink;
use tokio::sync::Notify;

use crate::checkpoint::manifest::OutboxEntry;
use crate::checkpoint::store::Store;
use crate::clock::Clock;
use crate::serve::delta::Delta;
use crate::state::{StateReader, decode};

/// The first wait after a failure; it doubles up to [`RETRY_WAIT_MAX`].
const RETRY_WAIT_MIN: Duration = Duration::from_millis(100);

/// The longest wait between two attempts.
const RETRY_WAIT_MAX: Duration = Duration::from_secs(5);

/// Epochs that wait to be applied, mirrored from the manifest.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    entries: Mutex<VecDeque<OutboxEntry>>,
    news: Notify,
}

impl Outbox {
    /// Adds an epoch.
    pub(crate) fn push(&self, entry: OutboxEntry) {
        self.entries.lock().push_back(entry);
        self.news.notify_one();
    }

    fn first(&self) -> Option<OutboxEntry> {
        self.entries.lock().front().cloned()
    }

    fn forget(&self, applied: Epoch) {
        self.entries
            .lock()
            .retain(|entry| entry.epoch > applied.number());
    }
}

/// What the task tells.
pub(crate) enum SinkEvent {
    Fenced { target: String, applied: Epoch },
    Applied(Epoch),
    Problem { retried: bool, reason: String },
}

/// What the task needs.
pub(crate) struct Work {
    pub sink: Box<dyn Sink>,
    pub outbox: Arc<Outbox>,
    pub store: Store,
    pub schema: SchemaRef,
    pub generation: Generation,
    /// The last epoch that the manifest knows to be applied.
    pub applied: Epoch,
    /// The last durable epoch: no target can stand behind it.
    pub tip: Epoch,
    pub clock: Arc<dyn Clock>,
}

/// Runs until the sink is suspended or the task is aborted.
pub(crate) async fn run(work: Work, tell: impl Fn(SinkEvent) + Send) {
    if let Err(error) = drain(work, &tell).await {
        tell(SinkEvent::Problem {
            retried: false,
            reason: describe(&error),
        });
    }
}

async fn drain(work: Work, tell: &(impl Fn(SinkEvent) + Send)) -> Result<(), ConnectorError> {
    let Work {
        mut sink,
        outbox,
        store,
        schema,
        generation,
        applied,
        tip,
        clock,
    } = work;
    let expected = (applied > Epoch::ZERO).then_some(applied);
    let mut wait = RETRY_WAIT_MIN;
    let report = loop {
        failpoint::pass("sink.fence_begun");
        match sink.fence(generation, expected).await {
            Ok(report) => break report,
            Err(error) => rest(error, &*clock, &mut wait, tell).await?,
        }
    };
    failpoint::pass("sink.fenced");
    let mut applied = report.applied;
    if applied > tip {
        return Err(ahead(applied, tip));
    }
    outbox.forget(applied);
    tell(SinkEvent::Fenced {
        target: report.target,
        applied,
    });
    loop {
        let Some(entry) = outbox.first() else {
            outbox.news.notified().await;
            continue;
        };
        let epoch = Epoch::new(entry.epoch);
        let changes = load(&store, &*clock, &entry, &schema).await?;
        failpoint::pass("sink.epoch_loaded");
        wait = RETRY_WAIT_MIN;
        while let Err(error) = sink.apply(epoch, applied, &changes).await {
            rest(error, &*clock, &mut wait, tell).await?;
        }
        failpoint::pass("sink.applied");
        applied = epoch;
        outbox.forget(applied);
        failpoint::pass("sink.forgotten");
        tell(SinkEvent::Applied(applied));
    }
}

/// A target that knows more than the chain: these epochs are not ours.
fn ahead(applied: Epoch, tip: Epoch) -> ConnectorError {
    ConnectorError::data("the target is ahead of the checkpoints")
        .with_detail(format!(
            "Epoch {applied} is applied there; the last one here was {tip} when the sink started."
        ))
        .with_hint(
            "The data directory is new or was restored from an older state, and another one has \
             written there under this name. Restore the target to the same point, or drop the sink \
             and create it under another name.",
        )
}

/// Waits before the next attempt, or gives the error back if no attempt can help.
async fn rest(
    error: ConnectorError,
    clock: &dyn Clock,
    wait: &mut Duration,
    tell: &(impl Fn(SinkEvent) + Send),
) -> Result<(), ConnectorError> {
    if error.kind != ErrorKind::Unavailable {
        return Err(error);
    }
    tell(SinkEvent::Problem {
        retried: true,
        reason: describe(&error),
    });
    clock.sleep(*wait).await;
    *wait = (*wait * 2).min(RETRY_WAIT_MAX);
    Ok(())
}

async fn load(
    store: &Store,
    clock: &dyn Clock,
    entry: &OutboxEntry,
    schema: &SchemaRef,
) -> Result<Vec<ChangeBatch>, ConnectorError> {
    let failed = |error: &dyn std::fmt::Display| {
        let message = format!("cannot read the outbox of epoch {}", entry.epoch);
        ConnectorError::data(message).with_detail(error.to_string())
    };
    let bytes = loop {
        match store.get(&entry.delta).await {
            Ok(bytes) => break bytes,
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                clock.sleep(RETRY_WAIT_MAX).await;
            }
            Err(error) => return Err(failed(&error)),
        }
    };
    let sections: BTreeMap<_, _> = decode(&bytes).map_err(|error| failed(&error))?;
    let delta = Delta::read(&StateReader::new(sections), schema).map_err(|e| failed(&e))?;
    delta.changes().map_err(|error| failed(&error))
}

fn describe(error: &ConnectorError) -> String {
    match &error.detail {
        Some(detail) => format!("{error}: {detail}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
