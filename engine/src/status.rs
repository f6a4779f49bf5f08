//! How the engine is doing: for readiness probes, metrics and people.

/// How the engine is doing at one moment.
#[derive(Clone, Debug, Default)]
pub struct EngineStatus {
    /// Whether every object of the catalog was started and nothing has stopped the process's work.
    pub ready: bool,
    /// Why it is not ready.
    pub problem: Option<String>,
    /// Version of the catalog.
    pub catalog_version: u64,
    /// Sessions that are open.
    pub sessions: u64,
    /// The last durable checkpoint's epoch.
    pub checkpoint_epoch: u64,
    /// Objects that do not run, as `sink s is suspended: …`.
    pub troubles: Vec<String>,
}
