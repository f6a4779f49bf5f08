//! The limits and intervals of a runtime, each with its unit and its reason.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;

use crate::clock::{Clock, SystemClock};

/// How a runtime behaves.
#[derive(Clone)]
pub struct RuntimeConfig {
    /// Where checkpoints and table logs live.
    pub store: Arc<dyn ObjectStore>,
    /// Shortest time between two publishes while data flows; when nothing waits, a publish follows
    /// at once.
    pub publish_interval: Duration,
    /// Shortest time between the starts of two checkpoints. Nothing is written while nothing
    /// changes.
    pub checkpoint_interval: Duration,
    /// Rows a reader decodes at most into one batch.
    pub batch_rows_max: usize,
    /// Decoded batches that may wait for the core, a reader.
    pub reader_batches_max: usize,
    /// Bytes of state and served rows a view may hold before it is suspended.
    pub view_bytes_max: usize,
    /// Change batches a subscriber may lag behind before it is disconnected.
    pub subscriber_batches_max: usize,
    /// Rows kept of each `$late` and `$errors` relation; the oldest go first. The ledger counts
    /// them all.
    pub side_rows_max: usize,
    /// Whether everything that operators send is checked against their plan: for tests, since all
    /// live rows are kept once more.
    pub check_edges: bool,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Whether the caller moves the core by [`crate::handle::Runtime::turn`], and readers are
    /// polled in its turns: no thread is started, so that a simulation decides what comes when.
    pub driven: bool,
}

impl RuntimeConfig {
    /// The defaults, over `store`.
    pub fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self {
            store,
            // 10 ms: a tenth of the latency promised from Kafka to answer.
            publish_interval: Duration::from_millis(10),
            // 1 s: what a crash makes the process read again.
            checkpoint_interval: Duration::from_secs(1),
            // 8,192 rows: fits L2 with 8 columns.
            batch_rows_max: 8_192,
            // 8 batches hide the core's publishes from the fetch without holding much memory.
            reader_batches_max: 8,
            view_bytes_max: 4 << 30,
            // At one batch a publish some 20 s behind.
            subscriber_batches_max: 2_048,
            side_rows_max: 100_000,
            check_edges: false,
            clock: Arc::new(SystemClock::default()),
            driven: false,
        }
    }
}
