//! Subscriptions: every change of a relation, in order, from one cut on.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use arrow::datatypes::SchemaRef;
use futures::Stream;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;
use tokio::sync::mpsc;

use crate::error::RuntimeError;

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub struct SubscriptionEvent {
    /// Wall time of the publish, in microseconds since the Unix epoch.
    pub at_us: i64,
    /// Event time of the relation at that publish.
    pub watermark: Option<EventTime>,
    /// Net changes of that publish; none for mere progress.
    pub changes: Option<ChangeBatch>,
    /// Whether `changes` is (part of) the relation as it stood at the start.
    pub snapshot: bool,
}

/// The reader's end. Ends when the relation is dropped or the runtime stops.
pub struct Subscription {
    schema: SchemaRef,
    initial: VecDeque<SubscriptionEvent>,
    events: mpsc::Receiver<SubscriptionEvent>,
    overrun: Arc<AtomicBool>,
    batches_max: usize,
}

impl Subscription {
    /// Columns and types.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

impl Stream for Subscription {
    type Item = Result<SubscriptionEvent, RuntimeError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(event) = self.initial.pop_front() {
            return Poll::Ready(Some(Ok(event)));
        }
        match self.events.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(event)) => Poll::Ready(Some(Ok(event))),
            Poll::Ready(None) if self.overrun.swap(false, Ordering::AcqRel) => {
                let batches = self.batches_max;
                Poll::Ready(Some(Err(RuntimeError::SlowSubscriber { batches })))
            }
            Poll::Ready(None) => Poll::Ready(None),
        }
    }
}

/// The writer's end, held by the core.
pub struct Subscriber {
    events: mpsc::Sender<SubscriptionEvent>,
    overrun: Arc<AtomicBool>,
}

impl Subscriber {
    /// Hands `event` over without waiting. `false` if the subscriber is gone or too far behind:
    /// forget it then.
    pub fn send(&self, event: SubscriptionEvent) -> bool {
        match self.events.try_send(event) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.overrun.store(true, Ordering::Release);
                false
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

/// The two ends of a subscription that begins with `initial` and may lag `batches_max` batches
/// behind after that.
pub fn pair(
    schema: SchemaRef,
    batches_max: usize,
    initial: VecDeque<SubscriptionEvent>,
) -> (Subscriber, Subscription) {
    let (sender, events) = mpsc::channel(batches_max);
    let overrun = Arc::new(AtomicBool::new(false));
    let subscriber = Subscriber {
        events: sender,
        overrun: Arc::clone(&overrun),
    };
    (
        subscriber,
        Subscription {
            schema,
            initial,
            events,
            overrun,
            batches_max,
        },
    )
}
