//! Ends a statement early: when its client cancels it, or when its time is over.

use std::future::Future;
use std::time::Duration;

use futures::StreamExt;
use rtsap_stream::error::ErrorKind;
use tokio::time::Instant;

use crate::cancel::CancelSignal;
use crate::error::EngineError;
use crate::response::BatchStream;

/// What can end a statement early.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    signal: CancelSignal,
    deadline: Option<(Instant, Duration)>,
}

impl Guard {
    /// Ends a statement when `signal` fires or after `timeout`.
    pub(crate) fn new(signal: CancelSignal, timeout: Option<Duration>) -> Self {
        let deadline = timeout.and_then(|limit| Some((Instant::now().checked_add(limit)?, limit)));
        Self { signal, deadline }
    }

    /// The same without a time limit, for what is meant to go on for ever.
    pub(crate) fn endless(&self) -> Self {
        Self {
            signal: self.signal.clone(),
            deadline: None,
        }
    }

    /// The result of `work`, unless it is ended before.
    ///
    /// # Errors
    /// Those of `work`; `RT0503` if canceled, `RT0504` if its time is over.
    pub(crate) async fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let mut signal = self.signal.clone();
        tokio::select! {
            done = work => done,
            () = signal.fired() => Err(EngineError::canceled()),
            () = self.expired() => Err(timed_out(self.deadline)),
        }
    }

    /// `rows` until they are ended early.
    pub(crate) fn watch(self, rows: BatchStream) -> BatchStream {
        futures::stream::unfold(Some((rows, self)), |state| async move {
            let (mut rows, guard) = state?;
            match guard.wait(async { rows.next().await.transpose() }).await {
                Ok(None) => None,
                Ok(Some(batch)) => Some((Ok(batch), Some((rows, guard)))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    async fn expired(&self) {
        match self.deadline {
            Some((deadline, _)) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }
}

fn timed_out(deadline: Option<(Instant, Duration)>) -> EngineError {
    let limit = deadline.map_or(Duration::ZERO, |(_, limit)| limit);
    EngineError::new(
        ErrorKind::Canceled,
        "RT0504",
        "canceling statement due to statement timeout",
    )
    .sqlstate("57014")
    .detail(format!(
        "It ran for {limit:?}, the limit in statement_timeout."
    ))
}
