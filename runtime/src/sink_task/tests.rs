//! Where a sink may go on, by what its target says; and when it stands still.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use bytes::Bytes;
use object_store::memory::InMemory;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::{Progress, claim};
use rtsap_stream::sink::{Sink, SinkReport};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Failure, Outbox, SinkEvent, Wish, Work, run};
use crate::checkpoint::manifest::OutboxEntry;
use crate::checkpoint::store::Store;
use crate::clock::SystemClock;
use crate::state::encode;

/// What somebody does to a target behind the sink's back.
#[derive(Default)]
struct Trouble {
    /// It refuses rows: a constraint is broken.
    broken: AtomicBool,
    /// It is not there.
    away: AtomicBool,
    /// The last epoch that it has.
    applied: AtomicU64,
    /// How often the sink was taken over.
    fences: AtomicU64,
}

/// A target with a record that somebody has left, and no rows.
struct Target(Option<Progress>, Arc<Trouble>);

#[async_trait]
impl Sink for Target {
    fn accepts(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn fence(
        &mut self,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<SinkReport, ConnectorError> {
        self.1.fences.fetch_add(1, Ordering::Relaxed);
        let applied = claim("s", generation, self.0, expected)?;
        let done = Epoch::new(self.1.applied.load(Ordering::Relaxed));
        Ok(SinkReport {
            target: "a record".to_owned(),
            applied: applied.max(done),
        })
    }

    async fn apply(
        &mut self,
        epoch: Epoch,
        previous: Epoch,
        _changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        if self.1.away.load(Ordering::Relaxed) {
            return Err(ConnectorError::unavailable("nobody answers"));
        }
        if self.1.broken.load(Ordering::Relaxed) {
            return Err(ConnectorError::data("a constraint is broken").with_row("AAPL"));
        }
        let before = self.1.applied.swap(epoch.number(), Ordering::Relaxed);
        assert_eq!(before, previous.number(), "none is left out or repeated");
        self.0 = Some(Progress {
            generation: 2,
            epoch: epoch.number(),
        });
        Ok(())
    }
}

/// A task with what moves it.
struct Rig {
    task: JoinHandle<()>,
    events: UnboundedReceiver<SinkEvent>,
    wishes: watch::Sender<Wish>,
    outbox: Arc<Outbox>,
    trouble: Arc<Trouble>,
    store: Store,
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Rig {
    fn start(known: Option<(u64, u64)>, applied: u64, wish: Wish) -> Self {
        let (told, events) = tokio::sync::mpsc::unbounded_channel();
        let outbox = Arc::new(Outbox::default());
        let (wishes, wished) = watch::channel(wish);
        let trouble = Arc::new(Trouble::default());
        let store = Store::new(Arc::new(InMemory::new()));
        let known = known.map(|(generation, epoch)| Progress { generation, epoch });
        let work = Work {
            sink: Box::new(Target(known, Arc::clone(&trouble))),
            outbox: Arc::clone(&outbox),
            wishes: wished,
            store: store.clone(),
            schema: Arc::new(Schema::empty()),
            generation: Generation::new(2),
            applied: Epoch::new(applied),
            tip: Epoch::new(20),
            clock: Arc::new(SystemClock::default()),
        };
        let task = tokio::spawn(run(work, move |event| {
            // Nobody listens any more once the test is over.
            let _ = told.send(event);
        }));
        Self {
            task,
            events,
            wishes,
            outbox,
            trouble,
            store,
        }
    }

    async fn queue(&self, epoch: u64) {
        let bytes = Bytes::from(encode(&BTreeMap::new()).unwrap());
        let delta = self.store.put(&format!("data/{epoch}"), bytes).await;
        let delta = delta.unwrap();
        self.outbox.push(OutboxEntry { epoch, delta });
    }

    async fn next(&mut self) -> SinkEvent {
        let event = tokio::time::timeout(Duration::from_secs(10), self.events.recv());
        event.await.unwrap().unwrap()
    }

    async fn is_applied(&mut self, epoch: u64) {
        let event = self.next().await;
        assert!(
            matches!(event, SinkEvent::Applied(applied) if applied == Epoch::new(epoch)),
            "{event:?}"
        );
    }

    async fn is_fenced(&mut self) {
        let event = self.next().await;
        assert!(matches!(event, SinkEvent::Fenced { .. }), "{event:?}");
    }

    fn wish(&self, paused: bool) {
        self.wishes.send_modify(|wish| {
            wish.paused = paused;
            wish.resumed += u64::from(!paused);
        });
    }
}

/// What generation 2 says first of a sink whose target says `known`, where its directory knows that
/// epoch `applied` is applied and has come to epoch 20.
async fn first_event(known: Option<(u64, u64)>, applied: u64) -> Result<u64, String> {
    let mut rig = Rig::start(known, applied, Wish::default());
    match rig.next().await {
        SinkEvent::Fenced { applied, .. } => Ok(applied.number()),
        SinkEvent::Suspended(failure) => Err(failure.reason),
        _ => panic!("another event"),
    }
}

#[tokio::test]
async fn a_suspended_sink_goes_on_where_it_stood_once_it_is_told_to() {
    let mut rig = Rig::start(None, 0, Wish::default());
    rig.is_fenced().await;
    rig.queue(21).await;
    rig.is_applied(21).await;
    rig.trouble.broken.store(true, Ordering::Relaxed);
    for epoch in [22, 25] {
        rig.queue(epoch).await;
    }
    for _ in 0..3 {
        match rig.next().await {
            SinkEvent::Suspended(failure) => assert_eq!(
                failure,
                Failure {
                    epoch: Some(Epoch::new(22)),
                    row: Some("AAPL".to_owned()),
                    reason: "a constraint is broken".to_owned(),
                }
            ),
            event => panic!("{event:?}"),
        }
        // Nothing has been mended yet: it says so again.
        rig.wish(false);
        rig.is_fenced().await;
    }
    assert!(matches!(rig.next().await, SinkEvent::Suspended(_)));
    rig.trouble.broken.store(false, Ordering::Relaxed);
    rig.wish(false);
    rig.is_fenced().await;
    rig.is_applied(22).await;
    rig.is_applied(25).await;
    assert_eq!(rig.trouble.fences.load(Ordering::Relaxed), 5);
}

#[tokio::test]
async fn a_paused_sink_applies_nothing_until_it_is_told_to_go_on() {
    let paused = Wish {
        paused: true,
        resumed: 0,
    };
    let mut rig = Rig::start(None, 0, paused);
    assert!(matches!(rig.next().await, SinkEvent::Paused));
    rig.queue(21).await;
    assert_eq!(rig.trouble.fences.load(Ordering::Relaxed), 0);
    rig.wish(false);
    rig.is_fenced().await;
    rig.is_applied(21).await;
    rig.wish(true);
    assert!(matches!(rig.next().await, SinkEvent::Paused));
    rig.queue(22).await;
    rig.queue(23).await;
    assert_eq!(rig.trouble.applied.load(Ordering::Relaxed), 21);
    rig.wish(false);
    rig.is_fenced().await;
    rig.is_applied(22).await;
    rig.is_applied(23).await;
}

#[tokio::test]
async fn a_pause_while_nothing_waits_ends_as_well() {
    let mut rig = Rig::start(None, 0, Wish::default());
    rig.is_fenced().await;
    rig.queue(21).await;
    rig.is_applied(21).await;
    rig.wish(true);
    assert!(matches!(rig.next().await, SinkEvent::Paused));
    rig.wish(false);
    rig.is_fenced().await;
    rig.queue(22).await;
    rig.is_applied(22).await;
}

#[tokio::test]
async fn a_pause_does_not_wait_for_a_target_that_is_away() {
    let mut rig = Rig::start(None, 0, Wish::default());
    rig.is_fenced().await;
    rig.trouble.away.store(true, Ordering::Relaxed);
    rig.queue(21).await;
    // Several attempts, so that the wait between them is long.
    for _ in 0..3 {
        let event = rig.next().await;
        assert!(matches!(event, SinkEvent::Unavailable { .. }), "{event:?}");
    }
    rig.wish(true);
    assert!(matches!(rig.next().await, SinkEvent::Paused));
    rig.trouble.away.store(false, Ordering::Relaxed);
    rig.wish(false);
    rig.is_fenced().await;
    rig.is_applied(21).await;
}

#[tokio::test]
async fn a_sink_goes_on_only_where_its_target_can_stand() {
    assert_eq!(first_event(None, 0).await, Ok(0));
    assert_eq!(first_event(Some((1, 12)), 12).await, Ok(12));
    // The last answers were lost.
    assert_eq!(first_event(Some((1, 20)), 12).await, Ok(20));
    for (known, applied, problem) in [
        // Restored from a backup: what was confirmed is forgotten here.
        (Some((1, 11)), 12, "gone back in time"),
        (None, 12, "record is missing"),
        // A new data directory under the name of an older sink: its epochs are not these.
        (Some((1, 21)), 0, "ahead of the checkpoints"),
        (Some((2, 4_000)), 0, "ahead of the checkpoints"),
        (Some((3, 12)), 12, "a newer process owns it"),
    ] {
        let found = first_event(known, applied).await.unwrap_err();
        assert!(found.contains(problem), "{known:?} {applied}: {found}");
    }
}
