//! Cancel keys: which connection a cancel request means.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rtsap_engine::cancel::CancelHandle;
use tokio::sync::watch;

/// The keys of all open connections.
#[derive(Debug, Default)]
pub(crate) struct CancelKeys {
    open: Mutex<HashMap<i32, Entry>>,
}

#[derive(Debug)]
struct Entry {
    secret: i32,
    handle: CancelHandle,
    portals: watch::Sender<u64>,
}

/// A connection's key. Gone with this value.
#[derive(Debug)]
pub(crate) struct CancelKey {
    keys: Arc<CancelKeys>,
    process_id: i32,
}

impl CancelKeys {
    /// Adds a connection. The receiver changes with each cancel request: rows of a portal that was
    /// left suspended are not among what the engine's handle reaches.
    pub(crate) fn add(
        self: &Arc<Self>,
        process_id: i32,
        secret: i32,
        handle: CancelHandle,
    ) -> (CancelKey, watch::Receiver<u64>) {
        let (portals, receiver) = watch::channel(0);
        self.open.lock().insert(
            process_id,
            Entry {
                secret,
                handle,
                portals,
            },
        );
        (
            CancelKey {
                keys: Arc::clone(self),
                process_id,
            },
            receiver,
        )
    }

    /// Cancels what the connection runs, if the secret is its own. The client never learns whether
    /// it was.
    pub(crate) fn cancel(&self, process_id: i32, secret: i32) {
        if let Some(entry) = self.open.lock().get(&process_id)
            && entry.secret == secret
        {
            entry.handle.cancel();
            entry.portals.send_modify(|requests| *requests += 1);
        }
    }
}

impl Drop for CancelKey {
    fn drop(&mut self) {
        self.keys.open.lock().remove(&self.process_id);
    }
}
