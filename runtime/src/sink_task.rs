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
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::sink::Sink;
use tokio::sync::Notify;

use crate::checkpoint::manifest::OutboxEntry;
use crate::checkpoint::store::Store;
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
    } = work;
    let expected = (applied > Epoch::ZERO).then_some(applied);
    let mut wait = RETRY_WAIT_MIN;
    let report = loop {
        match sink.fence(generation, expected).await {
            Ok(report) => break report,
            Err(error) => rest(error, &mut wait, tell).await?,
        }
    };
    let mut applied = report.applied;
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
        let changes = load(&store, &entry, &schema).await?;
        wait = RETRY_WAIT_MIN;
        while let Err(error) = sink.apply(epoch, applied, &changes).await {
            rest(error, &mut wait, tell).await?;
        }
        applied = epoch;
        outbox.forget(applied);
        tell(SinkEvent::Applied(applied));
    }
}

/// Waits before the next attempt, or gives the error back if no attempt can help.
async fn rest(
    error: ConnectorError,
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
    tokio::time::sleep(*wait).await;
    *wait = (*wait * 2).min(RETRY_WAIT_MAX);
    Ok(())
}

async fn load(
    store: &Store,
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
                tokio::time::sleep(RETRY_WAIT_MAX).await;
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
