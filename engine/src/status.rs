//! How the engine is doing: for readiness probes, metrics and people.

use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_plan::operator::ObjectId;
use rtsap_runtime::status::{Health, RuntimeStatus};

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

/// The objects that do not run, each with its reason.
pub(crate) fn troubles(catalog: &CatalogSnapshot, status: &RuntimeStatus) -> Vec<String> {
    let sources = status.sources.iter().map(|s| (s.id, &s.health));
    let views = status.views.iter().map(|s| (s.id, &s.health));
    let sinks = status.sinks.iter().map(|s| (s.id, &s.health));
    let all = sources.chain(views).chain(sinks);
    let text = |(id, health): (ObjectId, &Health)| {
        let reason = health.reason()?;
        let object = catalog.by_id(id.0)?;
        let (noun, name) = (object.def.kind.noun(), &object.def.name);
        Some(format!("{noun} \"{name}\" is {}: {reason}", health.name()))
    };
    all.filter_map(text).collect()
}
