//! `SUBSCRIBE`: every change of a relation or query, as rows that say when and what.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use rtsap_catalog::object::ObjectKind;
use rtsap_plan::graph::StreamPlan;
use rtsap_plan::operator::ObjectId;
use rtsap_planner::plan_view;
use rtsap_planner::statement::{SubscribeStatement, SubscribeTarget};
use rtsap_runtime::serve::Part;
use rtsap_runtime::spec::{Pace, StartFrom, ViewSpec};
use rtsap_runtime::subscribe::SubscriptionEvent;
use rtsap_stream::change::Op;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::query::diagnose::{Scene, unknown_relation};
use crate::query::namespace;
use crate::response::BatchStream;
use crate::sequence::own_name;
use crate::session::change::shifted;

/// Numbers of temporary views begin here: far above those of the catalog.
const TEMPORARY: u64 = 1 << 62;

/// What is followed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    what: What,
    rows: SchemaRef,
    snapshot: bool,
    progress: bool,
}

#[derive(Clone, Debug)]
enum What {
    Relation(ObjectId, Part),
    Query(Arc<StreamPlan>),
}

impl Followed {
    /// `rtsap_time`, `rtsap_op`, then the columns of what is followed.
    pub(crate) fn schema(&self) -> SchemaRef {
        let utc = Some(Arc::from("UTC"));
        let time = DataType::Timestamp(TimeUnit::Microsecond, utc);
        let mut fields = vec![
            Arc::new(Field::new("rtsap_time", time, false)),
            Arc::new(Field::new("rtsap_op", DataType::Utf8, false)),
        ];
        let progress = self.progress;
        fields.extend(self.rows.fields().iter().map(|field| {
            // A row that only says how far the stream is has nothing in the other columns.
            if progress {
                Arc::new(field.as_ref().clone().with_nullable(true))
            } else {
                Arc::clone(field)
            }
        }));
        Arc::new(Schema::new(fields))
    }
}

/// Resolves what a statement follows.
///
/// # Errors
/// `RT0201` for an unknown relation; what the planner refuses about a query.
pub(crate) fn follow(
    instance: &Instance,
    statement: &SubscribeStatement,
) -> Result<Followed, EngineError> {
    if statement.upsert_key.is_some() {
        let error = EngineError::unsupported("ENVELOPE UPSERT");
        return Err(error.hint("Leave it out: an update comes as a delete and an insert."));
    }
    let catalog = instance.snapshot();
    let (what, rows) = match &statement.target {
        SubscribeTarget::Relation(name) => {
            let own = own_name(name)?;
            if let Some(view) = catalog.resolve(own.as_str())
                && matches!(view.def.kind, ObjectKind::PlainView(_))
            {
                // It keeps no rows that could be followed; what it selects can.
                let query = format!("SELECT * FROM \"{}\"", own.as_str().replace('"', "\"\""));
                let planned = plan_view(&query, &[], &catalog, &instance.functions);
                let planned = planned.map_err(|error| error.moved(name.position))?;
                let what = What::Query(Arc::new(planned.plan));
                return Ok(followed(statement, what, planned.relation.schema));
            }
            let resolved = namespace::resolve(&catalog, instance, own.as_str());
            let resolved = resolved.map_err(|error| error.at(Some(name.position)))?;
            let Some(table) = resolved else {
                let scene = Scene {
                    text: "",
                    catalog: &catalog,
                };
                return Err(unknown_relation(own.as_str(), scene).at(Some(name.position)));
            };
            (What::Relation(table.object, table.part), table.schema)
        }
        SubscribeTarget::Query {
            query,
            query_offset,
        } => {
            let planned = plan_view(query, &[], &catalog, &instance.functions);
            let planned = planned.map_err(|error| shifted(error.into(), *query_offset))?;
            (What::Query(Arc::new(planned.plan)), planned.relation.schema)
        }
    };
    Ok(followed(statement, what, rows))
}

fn followed(statement: &SubscribeStatement, what: What, rows: SchemaRef) -> Followed {
    Followed {
        what,
        rows,
        snapshot: statement.snapshot,
        progress: statement.progress,
    }
}

/// Begins to follow. The rows never end by themselves unless the relation is dropped.
///
/// # Errors
/// What the runtime refuses; a slow reader gets `RT0609` in the stream.
pub(crate) async fn start(
    instance: &Arc<Instance>,
    followed: &Followed,
) -> Result<BatchStream, EngineError> {
    let (object, part, temporary) = match &followed.what {
        What::Relation(object, part) => (*object, *part, None),
        What::Query(plan) => {
            let temporary = Temporary::start(instance, plan, followed.snapshot).await?;
            (temporary.id, Part::Rows, Some(temporary))
        }
    };
    let subscription = instance
        .runtime
        .subscribe(object, part, followed.snapshot)
        .await?;
    let (schema, progress) = (followed.schema(), followed.progress);
    let rows = subscription
        .map_err(EngineError::from)
        .try_filter_map(move |event| {
            // The view lives as long as somebody reads its changes.
            let _alive = &temporary;
            futures::future::ready(batch_of(&schema, &event, progress))
        });
    Ok(rows.boxed())
}

/// The rows that tell of an event, if any.
fn batch_of(
    schema: &SchemaRef,
    event: &SubscriptionEvent,
    progress: bool,
) -> Result<Option<RecordBatch>, EngineError> {
    let Some(changes) = event.changes.as_ref().filter(|changes| !changes.is_empty()) else {
        return if progress {
            progress_row(schema, event).map(Some)
        } else {
            Ok(None)
        };
    };
    let ops = (0..changes.len()).map(|index| match changes.op(index) {
        Op::Insert => "insert",
        Op::Delete => "delete",
    });
    let mut columns = leading(event, ops.collect());
    columns.extend_from_slice(changes.rows().columns());
    batch(schema, columns).map(Some)
}

fn progress_row(schema: &SchemaRef, event: &SubscriptionEvent) -> Result<RecordBatch, EngineError> {
    let mut columns = leading(event, vec!["progress"]);
    let rest = schema.fields().iter().skip(columns.len());
    columns.extend(rest.map(|field| new_null_array(field.data_type(), 1)));
    batch(schema, columns)
}

fn leading(event: &SubscriptionEvent, ops: Vec<&str>) -> Vec<ArrayRef> {
    let times = TimestampMicrosecondArray::from(vec![event.at_us; ops.len()]).with_timezone("UTC");
    vec![Arc::new(times), Arc::new(StringArray::from(ops))]
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch, EngineError> {
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| {
        EngineError::internal(format!("changes do not fit their columns: {error}"))
    })
}

/// A view that lives as long as this value.
struct Temporary {
    instance: Arc<Instance>,
    id: ObjectId,
}

impl Temporary {
    async fn start(
        instance: &Arc<Instance>,
        plan: &StreamPlan,
        snapshot: bool,
    ) -> Result<Self, EngineError> {
        let number = instance.temporaries.fetch_add(1, Ordering::Relaxed);
        let id = ObjectId(TEMPORARY + number);
        let name = format!("subscription {number}");
        let start_from = if snapshot {
            StartFrom::Beginning
        } else {
            StartFrom::Now
        };
        let this = Self {
            instance: Arc::clone(instance),
            id,
        };
        let spec = ViewSpec {
            id,
            name,
            plan: plan.clone(),
            start_from,
            pace: Pace::default(),
            retention: None,
            bytes_max: None,
        };
        instance.runtime.add_view(spec).await?;
        Ok(this)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let (runtime, id) = (self.instance.runtime.clone(), self.id);
        let Ok(handle) = tokio::runtime::Handle::try_current() else {
            return;
        };
        handle.spawn(async move {
            if let Err(error) = runtime.drop_objects(&[id]).await {
                tracing::warn!(%error, "cannot end a subscription's query");
            }
        });
    }
}
