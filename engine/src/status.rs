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

/// One table or view, for status pages.
#[derive(Clone, Debug)]
pub struct ViewReport {
    /// Its name.
    pub name: String,
    /// `running`, `backfilling`, `suspended`, …
    pub state: &'static str,
    /// Rows taken from its inputs.
    pub rows_in: u64,
    /// Rows that came too late.
    pub late: u64,
    /// Rows it serves.
    pub rows: u64,
    /// Event time, in milliseconds since the Unix epoch.
    pub watermark_ms: Option<i64>,
    /// Operator state and served rows, in bytes.
    pub state_bytes: u64,
}

/// Tables and views, in order of creation.
pub(crate) fn view_reports(catalog: &CatalogSnapshot, status: &RuntimeStatus) -> Vec<ViewReport> {
    let report = |view: &rtsap_runtime::status::ViewStatus| {
        let object = catalog.by_id(view.id.0)?;
        Some(ViewReport {
            name: object.def.name.as_str().to_owned(),
            state: view.health.name(),
            rows_in: view.ledger.rows_in,
            late: view.ledger.late,
            rows: view.rows,
            watermark_ms: view
                .watermark
                .map(|time| time.nanos().div_euclid(1_000_000)),
            state_bytes: view.state_bytes + view.served_bytes,
        })
    };
    status.views.iter().filter_map(report).collect()
}

/// Registers help and units of all metrics below the engine with the installed recorder.
pub fn describe_metrics() {
    rtsap_runtime::metrics::describe();
}
