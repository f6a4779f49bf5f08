//! The rows of each system table.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rtsap_catalog::object::{ObjectDef, ObjectKind};
use rtsap_catalog::snapshot::{CatalogObject, CatalogSnapshot};
use rtsap_plan::operator::ObjectId;
use rtsap_runtime::status::{Health, RuntimeStatus, SinkStatus, SourceStatus, ViewStatus};
use rtsap_stream::time::EventTime;

use crate::instance::Instance;
use crate::tabular::Tabular;
use crate::variables::KNOWN;

/// The rows of system table `name`; no rows and no columns for a name that is none.
pub(crate) fn rows(
    name: &str,
    catalog: &CatalogSnapshot,
    instance: &Instance,
) -> Result<RecordBatch, ArrowError> {
    let status = instance.runtime.status();
    match name {
        "sources" => sources(catalog, &status),
        "tables" => tables(catalog, &status),
        "views" => views(catalog, &status),
        "sinks" => sinks(catalog, &status),
        "ledger" => ledger(catalog, &status),
        "checkpoints" => checkpoints(instance, &status),
        "functions" => functions(instance),
        _ => settings(),
    }
}

type Row<'a, S> = (&'a CatalogObject, Option<&'a S>);

fn joined<'a, S>(
    catalog: &'a CatalogSnapshot,
    wanted: impl Fn(&ObjectKind) -> bool,
    status: &'a [S],
    id: impl Fn(&S) -> ObjectId,
) -> Vec<Row<'a, S>> {
    let of = |object: &CatalogObject| status.iter().find(|s| id(s).0 == object.def.id);
    let objects = catalog.objects().map(|object| &**object);
    objects
        .filter(|object| wanted(&object.def.kind))
        .map(|object| (object, of(object)))
        .collect()
}

fn state(health: Option<&Health>) -> Option<String> {
    Some(health.map_or("waiting", Health::name).to_owned())
}

fn reason(health: Option<&Health>) -> Option<String> {
    health.and_then(Health::reason).map(str::to_owned)
}

fn watermark(time: Option<EventTime>) -> Option<i64> {
    let time = time.filter(|time| *time != EventTime::MIN && *time != EventTime::MAX);
    time.map(|time| time.nanos().div_euclid(1_000))
}

fn option(def: &ObjectDef, key: &str) -> Option<String> {
    let options = match &def.kind {
        ObjectKind::Source(source) => &source.options,
        ObjectKind::Sink(sink) => &sink.options,
        ObjectKind::View(view) => &view.options,
        ObjectKind::Table(_) => return None,
    };
    options.get(key).cloned()
}

fn name_of(object: &CatalogObject) -> Option<String> {
    Some(object.def.name.to_string())
}

/// `EMIT` behaviour and key as people read them: `upsert (symbol, window_start)`.
pub(crate) fn changelog(object: &CatalogObject) -> Option<String> {
    let relation = object.relation.as_ref()?;
    let fields = relation.schema.fields();
    let key: Vec<&str> = relation
        .key
        .iter()
        .filter_map(|index| fields.get(*index))
        .map(|f| f.name().as_str())
        .collect();
    let mode = relation.mode.name();
    Some(if key.is_empty() {
        mode.to_owned()
    } else {
        format!("{mode} ({})", key.join(", "))
    })
}

/// `SHOW SOURCES` and `rtsap_catalog.sources`.
pub(crate) fn sources(
    catalog: &CatalogSnapshot,
    status: &RuntimeStatus,
) -> Result<RecordBatch, ArrowError> {
    let rows = joined(
        catalog,
        |k| matches!(k, ObjectKind::Source(_)),
        &status.sources,
        |s| s.id,
    );
    let health = |s: Option<&SourceStatus>| s.map(|s| s.health.clone());
    let positions = |s: &SourceStatus| {
        let each = s
            .positions
            .iter()
            .map(|(split, offset)| format!("{split}:{offset}"));
        each.collect::<Vec<_>>().join(" ")
    };
    Tabular::new(&rows)
        .text("name", |(object, _)| name_of(object))
        .text("connector", |(object, _)| option(&object.def, "connector"))
        .text("state", |(_, s)| state(health(*s).as_ref()))
        .count("rows", |(_, s)| s.map_or(0, |s| s.rows))
        .count("errors", |(_, s)| s.map_or(0, |s| s.errors))
        .instant("watermark", |(_, s)| s.and_then(|s| watermark(s.watermark)))
        .text("positions", |(_, s)| s.map(positions))
        .text("reason", |(_, s)| reason(health(*s).as_ref()))
        .text("comment", |(object, _)| object.def.comment.clone())
        .build()
}

/// `SHOW TABLES` and `rtsap_catalog.tables`.
pub(crate) fn tables(
    catalog: &CatalogSnapshot,
    status: &RuntimeStatus,
) -> Result<RecordBatch, ArrowError> {
    let rows = joined(
        catalog,
        |k| matches!(k, ObjectKind::Table(_)),
        &status.views,
        |s| s.id,
    );
    Tabular::new(&rows)
        .text("name", |(object, _)| name_of(object))
        .text("changelog", |(object, _)| changelog(object))
        .count("rows", |(_, s)| s.map_or(0, |s| s.rows))
        .count("bytes", |(_, s)| s.map_or(0, |s| s.served_bytes))
        .instant("watermark", |(_, s)| s.and_then(|s| watermark(s.watermark)))
        .text("comment", |(object, _)| object.def.comment.clone())
        .build()
}

/// `SHOW STREAMING VIEWS` and `rtsap_catalog.views`.
pub(crate) fn views(
    catalog: &CatalogSnapshot,
    status: &RuntimeStatus,
) -> Result<RecordBatch, ArrowError> {
    let rows = joined(
        catalog,
        |k| matches!(k, ObjectKind::View(_)),
        &status.views,
        |s| s.id,
    );
    let health = |s: Option<&ViewStatus>| s.map(|s| s.health.clone());
    Tabular::new(&rows)
        .text("name", |(object, _)| name_of(object))
        .text("changelog", |(object, _)| changelog(object))
        .text("state", |(_, s)| state(health(*s).as_ref()))
        .count("rows", |(_, s)| s.map_or(0, |s| s.rows))
        .count("late", |(_, s)| s.map_or(0, |s| s.ledger.late))
        .instant("watermark", |(_, s)| s.and_then(|s| watermark(s.watermark)))
        .count("state_bytes", |(_, s)| s.map_or(0, |s| s.state_bytes))
        .count("served_bytes", |(_, s)| s.map_or(0, |s| s.served_bytes))
        .text("reason", |(_, s)| reason(health(*s).as_ref()))
        .text("comment", |(object, _)| object.def.comment.clone())
        .build()
}

/// `SHOW SINKS` and `rtsap_catalog.sinks`.
pub(crate) fn sinks(
    catalog: &CatalogSnapshot,
    status: &RuntimeStatus,
) -> Result<RecordBatch, ArrowError> {
    let rows = joined(
        catalog,
        |k| matches!(k, ObjectKind::Sink(_)),
        &status.sinks,
        |s| s.id,
    );
    let health = |s: Option<&SinkStatus>| s.map(|s| s.health.clone());
    let from = |object: &CatalogObject| match &object.def.kind {
        ObjectKind::Sink(sink) => catalog.by_id(sink.from).and_then(|from| name_of(from)),
        _ => None,
    };
    Tabular::new(&rows)
        .text("name", |(object, _)| name_of(object))
        .text("from", |(object, _)| from(object))
        .text("connector", |(object, _)| option(&object.def, "connector"))
        .text("state", |(_, s)| state(health(*s).as_ref()))
        .text("target", |(_, s)| s.and_then(|s| s.target.clone()))
        .count("applied_epoch", |(_, s)| {
            s.map_or(0, |s| s.applied.number())
        })
        .count("pending_epochs", |(_, s)| s.map_or(0, |s| s.pending))
        .text("reason", |(_, s)| reason(health(*s).as_ref()))
        .text("comment", |(object, _)| object.def.comment.clone())
        .build()
}

/// Every row taken is accounted for: `rows_in = used + filtered + late`; errors are counted at the
/// source.
fn ledger(catalog: &CatalogSnapshot, status: &RuntimeStatus) -> Result<RecordBatch, ArrowError> {
    let rows = joined(
        catalog,
        |k| matches!(k, ObjectKind::View(_)),
        &status.views,
        |s| s.id,
    );
    Tabular::new(&rows)
        .text("view", |(object, _)| name_of(object))
        .count("rows_in", |(_, s)| s.map_or(0, |s| s.ledger.rows_in))
        .count("used", |(_, s)| s.map_or(0, |s| s.ledger.used))
        .count("filtered", |(_, s)| s.map_or(0, |s| s.ledger.filtered))
        .count("late", |(_, s)| s.map_or(0, |s| s.ledger.late))
        .boolean("balances", |(_, s)| s.is_none_or(|s| s.ledger.balances()))
        .build()
}

fn checkpoints(instance: &Instance, status: &RuntimeStatus) -> Result<RecordBatch, ArrowError> {
    let rows = [&status.checkpoint];
    let generation = instance.runtime.generation();
    Tabular::new(&rows)
        .count("epoch", |c| c.epoch)
        .count("generation", |_| generation)
        .count("duration_us", |c| c.duration_us)
        .count("bytes", |c| c.bytes)
        .count("publishes", |_| status.publishes)
        .text("problem", |c| c.problem.clone())
        .build()
}

/// `SHOW FUNCTIONS` and `rtsap_catalog.functions`.
pub(crate) fn functions(instance: &Instance) -> Result<RecordBatch, ArrowError> {
    let state = &instance.base;
    let mut rows: Vec<(String, &str, String)> = Vec::new();
    for (name, function) in state.scalar_functions() {
        let what = function.documentation().map(|doc| doc.description.clone());
        rows.push((name.clone(), "scalar", what.unwrap_or_default()));
    }
    for (name, function) in state.aggregate_functions() {
        let what = function.documentation().map(|doc| doc.description.clone());
        rows.push((name.clone(), "aggregate", what.unwrap_or_default()));
    }
    for (name, function) in state.window_functions() {
        let what = function.documentation().map(|doc| doc.description.clone());
        rows.push((name.clone(), "window", what.unwrap_or_default()));
    }
    rows.sort();
    Tabular::new(&rows)
        .text("name", |(name, _, _)| Some(name.clone()))
        .text("kind", |(_, kind, _)| Some((*kind).to_owned()))
        .text("description", |(_, _, what)| {
            let line = what.lines().find(|line| !line.trim().is_empty());
            line.map(|line| line.trim().to_owned())
        })
        .build()
}

fn settings() -> Result<RecordBatch, ArrowError> {
    Tabular::new(KNOWN)
        .text("name", |known| Some(known.name.to_owned()))
        .text("default", |known| Some(known.default.to_owned()))
        .text("description", |known| Some(known.description.to_owned()))
        .build()
}

/// `SHOW JOBS`: everything that runs.
pub(crate) fn jobs(
    catalog: &CatalogSnapshot,
    status: &RuntimeStatus,
) -> Result<RecordBatch, ArrowError> {
    let health = |id: u64| {
        let sources = status.sources.iter().map(|s| (s.id.0, &s.health));
        let views = status.views.iter().map(|s| (s.id.0, &s.health));
        let sinks = status.sinks.iter().map(|s| (s.id.0, &s.health));
        sources
            .chain(views)
            .chain(sinks)
            .find(|(other, _)| *other == id)
            .map(|(_, health)| health)
    };
    let rows: Vec<_> = catalog
        .objects()
        .map(|object| (&**object, health(object.def.id)))
        .collect();
    Tabular::new(&rows)
        .count("id", |(object, _)| object.def.id)
        .text("name", |(object, _)| name_of(object))
        .text("kind", |(object, _)| {
            Some(object.def.kind.noun().to_owned())
        })
        .text("state", |(_, health)| state(*health))
        .text("reason", |(_, health)| reason(*health))
        .build()
}
