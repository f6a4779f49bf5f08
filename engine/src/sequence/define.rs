//! Sources, tables, views and sinks: from a statement or a persisted definition to something that
//! can be started.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rtsap_catalog::object::{ObjectKind, ObjectNumber, PlainViewDef, SinkDef, SourceDef, ViewDef};
use rtsap_catalog::snapshot::{CatalogObject, CatalogSnapshot};
use rtsap_plan::operator::ObjectId;
use rtsap_planner::bind::plain_view::plain_view_relation;
use rtsap_planner::bind::view::{ViewStart, view_options};
use rtsap_planner::bind::{BoundTable, BoundWatermark};
use rtsap_planner::duration::nanos_of;
use rtsap_planner::statement::WithOption;
use rtsap_planner::{BoundColumn, BoundFunction, BoundSource, PlannedView, plan_view_with};
use rtsap_runtime::spec::{
    Alignment, EventTimeSpec, OnError, Pace, Retention, SinkSpec, SourceColumn, SourceSpec,
    StartFrom, TableSpec, ViewSpec,
};
use rtsap_stream::progress::Owner;
use rtsap_stream::registry::{Options, SourceRequest};
use rtsap_stream::sink::SinkInput;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::sequence::{Candidate, Start};

/// A split without rows for so long leaves the watermark's minimum: longer than a broker's pauses,
/// shorter than a reader's patience.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// A row further ahead of the wall clock is an error row.
const FUTURE_SKEW_MAX: Duration = Duration::from_secs(300);

/// A source.
///
/// # Errors
/// What the connector refuses about options and columns.
pub(crate) fn source(
    instance: &Instance,
    name: &str,
    id: ObjectNumber,
    bound: BoundSource,
) -> Result<Candidate, EngineError> {
    let (def, relation) = (bound.def.clone(), bound.relation.clone());
    let notices = bound.notices.clone();
    let spec = source_spec(instance, name, id, bound)?;
    Ok(Candidate {
        kind: ObjectKind::Source(def),
        depends_on: Vec::new(),
        relation: Some(relation),
        start: Start::Source(Box::new(spec)),
        notices,
    })
}

/// How a source is read.
///
/// # Errors
/// What the connector refuses about options and columns.
pub(crate) fn source_spec(
    instance: &Instance,
    name: &str,
    id: ObjectNumber,
    bound: BoundSource,
) -> Result<SourceSpec, EngineError> {
    let options = Options(bound.def.options.clone());
    let request = SourceRequest {
        name: name.to_owned(),
        columns: bound.physical.clone(),
        primary_key: bound.primary_key.clone(),
        options,
    };
    instance.connectors.check_source(&request)?;
    let source = instance.connectors.source(&request)?;
    let times = Times::read(&bound.def)?;
    let (registry, asked) = (Arc::clone(&instance.connectors), request.clone());
    let column = |column: &BoundColumn| match *column {
        BoundColumn::Physical(index) => Some(SourceColumn::Physical(index)),
        BoundColumn::Computed(index) => bound
            .computed
            .get(index)
            .map(|(_, expr)| SourceColumn::Computed(Arc::clone(expr))),
    };
    let columns: Option<Vec<SourceColumn>> = bound.columns.iter().map(column).collect();
    let Some(columns) = columns else {
        return Err(EngineError::internal(format!(
            "source \"{name}\" names a missing column"
        )));
    };
    Ok(SourceSpec {
        id: ObjectId(id),
        name: name.to_owned(),
        source,
        decoder: Arc::new(move |columns| registry.decoder(&asked, columns)),
        physical: bound.physical,
        columns,
        schema: Arc::clone(&bound.relation.schema),
        event_time: bound.watermark.map(event_time),
        idle_timeout: times.idle,
        future_skew_max: times.skew,
        alignment: times.alignment,
        on_error: times.on_error,
    })
}

/// A table.
pub(crate) fn table(name: &str, id: ObjectNumber, bound: BoundTable) -> Candidate {
    let spec = TableSpec {
        id: ObjectId(id),
        name: name.to_owned(),
        schema: Arc::clone(&bound.relation.schema),
        mode: bound.relation.mode,
        key: bound.relation.key.clone(),
        event_time: bound.watermark.map(event_time),
    };
    Candidate {
        kind: ObjectKind::Table(bound.def),
        depends_on: Vec::new(),
        relation: Some(bound.relation),
        start: Start::Table(spec),
        notices: Vec::new(),
    }
}

/// A view, as it was kept.
pub(crate) fn plain_view(def: PlainViewDef, depends_on: Vec<ObjectNumber>) -> Candidate {
    Candidate {
        relation: Some(plain_view_relation(&def)),
        kind: ObjectKind::PlainView(def),
        depends_on,
        start: Start::Nothing,
        notices: Vec::new(),
    }
}

/// A function in SQL.
pub(crate) fn function(bound: BoundFunction) -> Candidate {
    Candidate {
        kind: ObjectKind::Function(bound.def),
        depends_on: bound.depends_on,
        relation: None,
        start: Start::Nothing,
        notices: Vec::new(),
    }
}

fn contradictory(name: &str, error: &str) -> EngineError {
    EngineError::internal(format!(
        "the plan of \"{name}\" contradicts itself: {error}"
    ))
}

/// A streaming view. Positions in errors are those of its query's text.
///
/// # Errors
/// What the planner refuses.
pub(crate) fn view(
    instance: &Instance,
    catalog: &CatalogSnapshot,
    name: &str,
    id: ObjectNumber,
    def: ViewDef,
) -> Result<Candidate, EngineError> {
    let options = view_options(&with_options(&def.options))?;
    let planned = plan_view_with(
        &def.query,
        &def.column_names,
        &options,
        catalog,
        &instance.functions,
    )?;
    planned
        .plan
        .check()
        .map_err(|error| contradictory(name, &error.to_string()))?;
    // Rows before a given time are left out by the plan.
    let start_from = match options.start == ViewStart::Now {
        true => StartFrom::Now,
        false => StartFrom::Beginning,
    };
    let PlannedView {
        plan,
        relation,
        depends_on,
        notices,
        pace,
        retention,
        memory_limit_bytes,
    } = planned;
    let keeps_nothing = |id: &ObjectNumber| keeps_nothing(catalog, *id);
    if start_from == StartFrom::Now && !depends_on.iter().all(keeps_nothing) {
        return Err(
            EngineError::unsupported("start_from = 'now' over a table or view")
                .hint("Leave the option out, or filter by the event time."),
        );
    }
    let spec = ViewSpec {
        id: ObjectId(id),
        name: name.to_owned(),
        plan,
        start_from,
        pace: Pace {
            every: pace.every_nanos.map(duration),
            timeout: pace.timeout_nanos.map(duration),
        },
        retention: retention.map(|retention| Retention {
            column: retention.column,
            nanos: retention.nanos,
        }),
        bytes_max: memory_limit_bytes,
    };
    let (relation, start) = (Some(relation), Start::View(spec));
    Ok(Candidate {
        kind: ObjectKind::View(def),
        depends_on,
        relation,
        start,
        notices,
    })
}

/// Whether an object has no rows of its own that a view could begin with.
fn keeps_nothing(catalog: &CatalogSnapshot, id: ObjectNumber) -> bool {
    let object = catalog.by_id(id);
    object.is_some_and(|object| {
        matches!(
            object.def.kind,
            ObjectKind::Source(_) | ObjectKind::Function(_) | ObjectKind::PlainView(_)
        )
    })
}

fn duration(nanos: i64) -> Duration {
    Duration::from_nanos(nanos.unsigned_abs())
}

/// A sink that follows `from`.
///
/// # Errors
/// `RT0542` if the target cannot take the view's changes or the object has no rows to follow; what
/// the connector refuses.
pub(crate) fn sink(
    instance: &Instance,
    name: &str,
    id: ObjectNumber,
    from: &CatalogObject,
    def: SinkDef,
) -> Result<Candidate, EngineError> {
    let readable = matches!(from.def.kind, ObjectKind::View(_) | ObjectKind::Table(_));
    let Some(relation) = from.relation.as_ref().filter(|_| readable) else {
        let message = format!(
            "a sink cannot follow {} \"{}\"",
            from.def.kind.noun(),
            from.def.name
        );
        return Err(EngineError::invalid("RT0542", message)
            .sqlstate("42809")
            .hint("Follow a streaming view or a table."));
    };
    let given = Options(def.options.clone());
    let accepts = instance.connectors.check_sink(&given)?;
    if relation.mode > accepts {
        let (takes, gives) = (accepts.name(), relation.mode.name());
        let message = format!(
            "sink \"{name}\" takes {takes} changes but \"{}\" gives {gives}",
            from.def.name
        );
        let hint = if matches!(from.def.kind, ObjectKind::Table(_)) {
            "Create the table APPEND ONLY, or choose a connector that takes changes."
        } else if relation.key.is_empty() {
            "Add EMIT ON WINDOW CLOSE to the view, or group it by a key."
        } else {
            "Add EMIT ON WINDOW CLOSE to the view, or choose a connector that takes updates."
        };
        return Err(EngineError::invalid("RT0542", message)
            .sqlstate("0A000")
            .hint(hint));
    }
    let input = SinkInput {
        sink: def.record.clone().unwrap_or_else(|| name.to_owned()),
        owner: Owner {
            directory: instance.runtime.directory(),
            sink: id,
        },
        schema: Arc::clone(&relation.schema),
        key: relation.key.clone(),
        event_time: relation.event_time,
        mode: relation.mode,
    };
    let sink = instance.connectors.sink(&input, &given)?;
    let from = from.def.id;
    let spec = SinkSpec {
        id: ObjectId(id),
        name: name.to_owned(),
        from: ObjectId(from),
        input,
        sink,
    };
    Ok(Candidate {
        kind: ObjectKind::Sink(def),
        depends_on: vec![from],
        relation: None,
        start: Start::Sink(spec),
        notices: Vec::new(),
    })
}

/// Persisted options in the form of a statement's, without positions.
pub(crate) fn with_options(options: &BTreeMap<String, String>) -> BTreeMap<String, WithOption> {
    let option = |value: &String| WithOption {
        value: value.clone(),
        position: 1,
    };
    options
        .iter()
        .map(|(key, value)| (key.clone(), option(value)))
        .collect()
}

fn event_time(watermark: BoundWatermark) -> EventTimeSpec {
    EventTimeSpec {
        column: watermark.column,
        delay_nanos: watermark.delay_nanos,
    }
}

/// Options of every source that the runtime obeys, whatever the connector. Connectors check them
/// too.
struct Times {
    idle: Duration,
    skew: Duration,
    alignment: Option<Alignment>,
    on_error: OnError,
}

impl Times {
    fn read(def: &SourceDef) -> Result<Self, EngineError> {
        let on_error = match def.options.get("on_error").map(String::as_str) {
            None | Some("dead_letter") => OnError::DeadLetter,
            Some("fail") => OnError::Fail,
            Some("drop") => OnError::Drop,
            Some(other) => {
                let message = format!("invalid value for option \"on_error\": \"{other}\"");
                let hint = "Possible values: dead_letter, fail, drop.";
                return Err(EngineError::invalid("RT0543", message)
                    .sqlstate("22023")
                    .hint(hint));
            }
        };
        let length = |key: &str, default: Duration| match def.options.get(key) {
            None => Ok(default),
            Some(text) => nanos_of(text, None)
                .map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
                .map_err(EngineError::from),
        };
        Ok(Self {
            idle: length("scan.watermark.idle-timeout", IDLE_TIMEOUT)?,
            skew: length("max_future_skew", FUTURE_SKEW_MAX)?,
            alignment: alignment(
                def,
                length("scan.watermark.alignment.max-drift", Duration::ZERO)?,
            ),
            on_error,
        })
    }
}

/// The connector has checked that a group has a drift.
fn alignment(def: &SourceDef, drift: Duration) -> Option<Alignment> {
    let group = def.options.get("scan.watermark.alignment.group")?;
    Some(Alignment {
        group: group.clone(),
        drift_nanos: i64::try_from(drift.as_nanos()).unwrap_or(i64::MAX),
    })
}
