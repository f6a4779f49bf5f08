//! The rows of each system table.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::Documentation;
use rtsap_catalog::object::{ObjectDef, ObjectKind};
use rtsap_catalog::snapshot::{CatalogObject, CatalogSnapshot};
use rtsap_plan::operator::ObjectId;
use rtsap_runtime::status::{Health, RuntimeStatus, SinkStatus, SourceStatus, ViewStatus};
use rtsap_stream::time::EventTime;
use rtsap_udfs::FunctionDoc;

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
        "views" => views(catalog, &status, false),
        "sinks" => sinks(catalog, &status),
        "ledger" => ledger(catalog, &status),
        "checkpoints" => checkpoints(instance, &status),
        "functions" => functions(instance, catalog),
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
        ObjectKind::Table(_) | ObjectKind::PlainView(_) | ObjectKind::Function(_) => return None,
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

/// `SHOW STREAMING VIEWS` and `rtsap_catalog.views`; with `all`, `SHOW VIEWS`.
pub(crate) fn views(
    catalog: &CatalogSnapshot,
    status: &RuntimeStatus,
    all: bool,
) -> Result<RecordBatch, ArrowError> {
    let is_plain = |kind: &ObjectKind| matches!(kind, ObjectKind::PlainView(_));
    let rows = joined(
        catalog,
        |k| matches!(k, ObjectKind::View(_)) || (all && is_plain(k)),
        &status.views,
        |s| s.id,
    );
    let health = |s: Option<&ViewStatus>| s.map(|s| s.health.clone());
    Tabular::new(&rows)
        .text("name", |(object, _)| name_of(object))
        .text("changelog", |(object, _)| {
            match is_plain(&object.def.kind) {
                true => None,
                false => changelog(object),
            }
        })
        .text("state", |(object, s)| match is_plain(&object.def.kind) {
            // It keeps no rows: it is computed where it is read.
            true => Some("computed".to_owned()),
            false => state(health(*s).as_ref()),
        })
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
        .int8("failed_epoch", |(_, s)| {
            let epoch = s.and_then(|s| s.failed_epoch);
            epoch.and_then(|epoch| i64::try_from(epoch.number()).ok())
        })
        .text("failed_row", |(_, s)| s.and_then(|s| s.failed_row.clone()))
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

/// One function as `SHOW FUNCTIONS` shows it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    name: String,
    kind: &'static str,
    signature: Option<String>,
    description: Option<String>,
    formula: Option<String>,
    reference: Option<String>,
    example: Option<String>,
}

impl Function {
    /// One of DataFusion's, or an alias of ours.
    fn of(
        name: &str,
        kind: &'static str,
        document: Option<&Documentation>,
        docs: &[FunctionDoc],
    ) -> Self {
        let ours = docs
            .iter()
            .find(|doc| doc.name == name && doc.kind.as_str() == kind);
        let text = document.map(|document| document.description.as_str());
        let line = text.and_then(|text| text.lines().find(|line| !line.trim().is_empty()));
        Self {
            name: name.to_owned(),
            kind,
            signature: match ours {
                Some(doc) => Some(doc.signature.to_owned()),
                None => document.map(|document| document.syntax_example.clone()),
            },
            description: match ours {
                Some(doc) => Some(doc.description.to_owned()),
                None => line.map(|line| line.trim().to_owned()),
            },
            formula: ours.map(|doc| doc.formula.to_owned()),
            reference: Some(
                ours.map_or("Apache DataFusion", |doc| doc.reference)
                    .to_owned(),
            ),
            example: ours.map(|doc| doc.example.to_owned()),
        }
    }
}

/// `SHOW FUNCTIONS` and `rtsap_catalog.functions`.
pub(crate) fn functions(
    instance: &Instance,
    catalog: &CatalogSnapshot,
) -> Result<RecordBatch, ArrowError> {
    let (state, docs) = (&instance.base, &instance.docs);
    let mut rows: Vec<Function> = Vec::new();
    for (name, function) in state.scalar_functions() {
        rows.push(Function::of(name, "scalar", function.documentation(), docs));
    }
    for (name, function) in state.aggregate_functions() {
        rows.push(Function::of(
            name,
            "aggregate",
            function.documentation(),
            docs,
        ));
    }
    for (name, function) in state.window_functions() {
        rows.push(Function::of(name, "window", function.documentation(), docs));
    }
    // What shares its name with an aggregate is reached through it: `stddev(summary)`.
    for doc in docs.iter() {
        let is_doc = |row: &Function| row.name == doc.name && row.kind == doc.kind.as_str();
        if !rows.iter().any(is_doc) {
            rows.push(Function::of(doc.name, doc.kind.as_str(), None, docs));
        }
    }
    for object in catalog.objects() {
        let ObjectKind::Function(def) = &object.def.kind else {
            continue;
        };
        rows.push(Function {
            name: object.def.name.to_string(),
            kind: "scalar",
            signature: Some(def.signature(&object.def.name)),
            description: object.def.comment.clone(),
            formula: Some(def.body.trim().to_owned()),
            reference: Some("CREATE FUNCTION".to_owned()),
            example: None,
        });
    }
    rows.sort();
    Tabular::new(&rows)
        .text("name", |row| Some(row.name.clone()))
        .text("kind", |row| Some(row.kind.to_owned()))
        .text("signature", |row| row.signature.clone())
        .text("description", |row| row.description.clone())
        .text("formula", |row| row.formula.clone())
        .text("reference", |row| row.reference.clone())
        .text("example", |row| row.example.clone())
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
