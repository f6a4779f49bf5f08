//! What an engine is started with, and its limits: each with its unit and its reason.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use rtsap_runtime::clock::Clock;

/// How an engine behaves.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where catalog, checkpoints and table logs live. On local disk with
    /// `LocalFileSystem::new_with_prefix(..)?.with_fsync(true)`.
    pub store: Arc<dyn ObjectStore>,
    /// Names this process uniquely in the world: host, process id and something random.
    pub writer: String,
    /// Shortest time between two publishes while data flows.
    pub publish_interval: Duration,
    /// Shortest time between the starts of two checkpoints.
    pub checkpoint_interval: Duration,
    /// Longest statement text in bytes: 1 MiB holds any query that people or tools write.
    pub statement_bytes_max: usize,
    /// Most memory that one query may use, in bytes.
    pub query_bytes_max: usize,
    /// Most bytes of one COPY or transaction that wait for their commit.
    pub uncommitted_bytes_max: usize,
    /// Cursors a session may have open at once.
    pub cursors_max: usize,
    /// Most memory that one view's state and rows may hold, in bytes.
    pub view_bytes_max: usize,
    /// Whether everything that operators of views send is checked: for tests, since all live rows
    /// are kept once more.
    pub check_edges: bool,
    /// Partitions a large read is split into; usually the number of cores.
    pub read_partitions: usize,
    /// A clock of a simulation, which then also moves the engine by [`crate::Engine::turn`];
    /// `None` for the machine's clock and threads of its own.
    pub simulated: Option<Simulated>,
}

/// A world in which time is what somebody says.
#[derive(Clone)]
pub struct Simulated(pub Arc<dyn Clock>);

impl std::fmt::Debug for Simulated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Simulated({:?})", self.0.elapsed())
    }
}

impl EngineConfig {
    /// The defaults over `store`, as process `writer`.
    pub fn new(store: Arc<dyn ObjectStore>, writer: impl Into<String>) -> Self {
        Self {
            store,
            writer: writer.into(),
            publish_interval: Duration::from_millis(10),
            checkpoint_interval: Duration::from_secs(1),
            statement_bytes_max: 1 << 20,
            query_bytes_max: 1 << 30,
            uncommitted_bytes_max: 256 << 20,
            cursors_max: 64,
            view_bytes_max: 4 << 30,
            check_edges: false,
            read_partitions: 2,
            simulated: None,
        }
    }
}
