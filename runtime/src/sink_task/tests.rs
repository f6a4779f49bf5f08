//! Where a sink may go on, by what its target says.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use object_store::memory::InMemory;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::{Progress, claim};
use rtsap_stream::sink::{Sink, SinkReport};

use super::{Outbox, SinkEvent, Work, run};
use crate::checkpoint::manifest::{ObjectRef, OutboxEntry};
use crate::checkpoint::store::Store;
use crate::clock::SystemClock;

/// A target with a record that somebody has left, and no rows.
struct Target(Option<Progress>);

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
        Ok(SinkReport {
            target: "a record".to_owned(),
            applied: claim("s", generation, self.0, expected)?,
        })
    }

    async fn apply(
        &mut self,
        _epoch: Epoch,
        _previous: Epoch,
        _changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        Ok(())
    }
}

/// What generation 2 says first of a sink whose target says `known`, where its directory knows that
/// epoch `applied` is applied and has come to epoch 20.
async fn first_event(known: Option<(u64, u64)>, applied: u64) -> Result<u64, String> {
    let (told, mut events) = tokio::sync::mpsc::unbounded_channel();
    let outbox = Arc::new(Outbox::default());
    let work = Work {
        sink: Box::new(Target(
            known.map(|(generation, epoch)| Progress { generation, epoch }),
        )),
        outbox: Arc::clone(&outbox),
        store: Store::new(Arc::new(InMemory::new())),
        schema: Arc::new(Schema::empty()),
        generation: Generation::new(2),
        applied: Epoch::new(applied),
        tip: Epoch::new(20),
        clock: Arc::new(SystemClock::default()),
    };
    for epoch in applied + 1..=20 {
        outbox.push(OutboxEntry {
            epoch,
            delta: ObjectRef {
                path: format!("data/{epoch}"),
                bytes: 0,
                crc32c: 0,
            },
        });
    }
    let task = tokio::spawn(run(work, move |event| {
        // Nobody listens any more once the first has come.
        let _ = told.send(event);
    }));
    let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await;
    task.abort();
    match event.unwrap().unwrap() {
        SinkEvent::Fenced { applied, .. } => Ok(applied.number()),
        SinkEvent::Problem { retried, reason } if !retried => Err(reason),
        _ => panic!("another event"),
    }
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
