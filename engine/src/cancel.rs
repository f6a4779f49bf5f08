//! Cancelling what a session runs, from another task.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

/// Cancels the statement a session is running now, and the rows still being read from it. Cloning
/// shares it.
///
/// A cancel between two statements does nothing, as in PostgreSQL.
#[derive(Clone, Debug, Default)]
pub struct CancelHandle(Arc<Mutex<Option<watch::Sender<bool>>>>);

/// Fires when the statement it was made for should stop.
#[derive(Clone, Debug)]
pub(crate) struct CancelSignal(watch::Receiver<bool>);

impl CancelHandle {
    /// Cancels the present statement, if there is one.
    pub fn cancel(&self) {
        if let Some(sender) = self.0.lock().as_ref() {
            sender.send_replace(true);
        }
    }

    /// Begins a statement: what was begun before can no longer be cancelled.
    pub(crate) fn begin(&self) -> CancelSignal {
        let (sender, receiver) = watch::channel(false);
        *self.0.lock() = Some(sender);
        CancelSignal(receiver)
    }
}

impl CancelSignal {
    /// Waits until the statement should stop; for ever if nobody asks any more.
    pub(crate) async fn fired(&mut self) {
        if self.0.wait_for(|fired| *fired).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
