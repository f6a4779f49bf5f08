//! The task of one sink: takes ownership of the target, then applies the outbox, epoch by epoch.
//!
//! It awaits the target and nothing else does: an outage stops neither ingestion nor serving nor
//! checkpoints. What no further attempt can help suspends it: it stands still with the epoch and
//! the reason, until somebody has mended the target and lets it go on. Then, and after a pause, it
//! takes the target over anew: what it knew of it may no longer be true.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use futures::future;
use parking_lot::Mutex;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::failpoint;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::sink::Sink;
use tokio::sync::{Notify, watch};

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

    fn last(&self) -> Option<Epoch> {
        let entries = self.entries.lock();
        entries.back().map(|entry| Epoch::new(entry.epoch))
    }

    fn forget(&self, applied: Epoch) {
        self.entries
            .lock()
            .retain(|entry| entry.epoch > applied.number());
    }
}

/// What somebody wants of a sink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish {
    /// It shall apply nothing.
    pub paused: bool,
    /// How often it was told to go on.
    pub resumed: u64,
}

/// Why a sink stands still until somebody acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The epoch that could not be applied; none if the target could not be taken over.
    pub epoch: Option<Epoch>,
    /// The row of it, if the target names one.
    pub row: Option<String>,
    /// What is wrong.
    pub reason: String,
}

/// What the task tells.
#[derive(Debug)]
pub(crate) enum SinkEvent {
    /// The target is ours.
    Fenced { target: String, applied: Epoch },
    /// An epoch is there.
    Applied(Epoch),
    /// The target is away; it is tried again.
    Unavailable { reason: String },
    /// It stands still until it is told to go on.
    Suspended(Failure),
    /// It stands still because somebody wants it to.
    Paused,
}

/// What the task needs.
pub(crate) struct Work {
    pub sink: Box<dyn Sink>,
    pub outbox: Arc<Outbox>,
    pub wishes: watch::Receiver<Wish>,
    pub store: Store,
    pub schema: SchemaRef,
    pub generation: Generation,
    /// The last epoch that is known to be applied.
    pub applied: Epoch,
    /// The last durable epoch: no target can stand behind it.
    pub tip: Epoch,
    pub clock: Arc<dyn Clock>,
}

/// Why the task stopped draining.
enum Halt {
    Paused,
    Failed(Option<Epoch>, ConnectorError),
}

/// Runs until the task is aborted, or nobody is left to tell it anything.
pub(crate) async fn run(mut work: Work, tell: impl Fn(SinkEvent) + Send) {
    loop {
        // What was wanted before is known; a wish that comes while the task halts is not missed.
        let known = *work.wishes.borrow_and_update();
        let listening = match drain(&mut work, &tell).await {
            Halt::Paused => {
                tell(SinkEvent::Paused);
                work.wishes.wait_for(|wish| !wish.paused).await.is_ok()
            }
            Halt::Failed(epoch, error) => {
                tell(SinkEvent::Suspended(Failure {
                    epoch,
                    reason: describe(&error),
                    row: error.row,
                }));
                let told = |wish: &Wish| wish.resumed != known.resumed && !wish.paused;
                work.wishes.wait_for(told).await.is_ok()
            }
        };
        if !listening {
            return;
        }
    }
}

async fn drain(work: &mut Work, tell: &(impl Fn(SinkEvent) + Send)) -> Halt {
    if let Err(halt) = take_over(work, tell).await {
        return halt;
    }
    loop {
        if work.wishes.borrow().paused {
            return Halt::Paused;
        }
        let Some(entry) = work.outbox.first() else {
            let news = std::pin::pin!(work.outbox.news.notified());
            let wish = std::pin::pin!(work.wishes.changed());
            // Whichever it was is looked at above. Nobody wishes anything any more when the core
            // has ended, which ends this task too.
            let _ = future::select(news, wish).await;
            continue;
        };
        let epoch = Epoch::new(entry.epoch);
        let failed = |error| Halt::Failed(Some(epoch), error);
        let changes = load(&work.store, &*work.clock, &entry, &work.schema).await;
        let changes = match changes {
            Ok(changes) => changes,
            Err(error) => return failed(error),
        };
        failpoint::pass("sink.epoch_loaded");
        let mut wait = RETRY_WAIT_MIN;
        while let Err(error) = work.sink.apply(epoch, work.applied, &changes).await {
            if error.kind != ErrorKind::Unavailable {
                return failed(error);
            }
            if let Err(halt) = rest(work, &error, &mut wait, tell).await {
                return halt;
            }
        }
        failpoint::pass("sink.applied");
        work.applied = epoch;
        work.outbox.forget(epoch);
        failpoint::pass("sink.forgotten");
        tell(SinkEvent::Applied(epoch));
    }
}

/// Makes the target ours, and learns how far it is.
async fn take_over(work: &mut Work, tell: &(impl Fn(SinkEvent) + Send)) -> Result<(), Halt> {
    let mut wait = RETRY_WAIT_MIN;
    let report = loop {
        if work.wishes.borrow().paused {
            return Err(Halt::Paused);
        }
        let expected = (work.applied > Epoch::ZERO).then_some(work.applied);
        failpoint::pass("sink.fence_begun");
        match work.sink.fence(work.generation, expected).await {
            Ok(report) => break report,
            Err(error) if error.kind == ErrorKind::Unavailable => {
                rest(work, &error, &mut wait, tell).await?;
            }
            Err(error) => return Err(Halt::Failed(None, error)),
        }
    };
    failpoint::pass("sink.fenced");
    // What waits in the outbox is durable, and so was what has been applied from there.
    let last = work.outbox.last().unwrap_or(Epoch::ZERO);
    work.tip = work.tip.max(last).max(work.applied);
    if report.applied > work.tip {
        return Err(Halt::Failed(None, ahead(report.applied, work.tip)));
    }
    work.applied = report.applied;
    work.outbox.forget(report.applied);
    tell(SinkEvent::Fenced {
        target: report.target,
        applied: report.applied,
    });
    Ok(())
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

/// Waits before the next attempt at a target that is away, or until somebody wants something.
async fn rest(
    work: &mut Work,
    error: &ConnectorError,
    wait: &mut Duration,
    tell: &(impl Fn(SinkEvent) + Send),
) -> Result<(), Halt> {
    tell(SinkEvent::Unavailable {
        reason: describe(error),
    });
    let sleep = work.clock.sleep(*wait);
    *wait = (*wait * 2).min(RETRY_WAIT_MAX);
    {
        let wish = std::pin::pin!(work.wishes.changed());
        let _ = future::select(sleep, wish).await;
    }
    match work.wishes.borrow().paused {
        true => Err(Halt::Paused),
        false => Ok(()),
    }
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
