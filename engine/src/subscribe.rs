//! `SUBSCRIBE`: every change of a relation or query, as rows that say when and what.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use arrow::array::{ArrayRef, StringArray, TimestampMicrosecondArray, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use futures::{FutureExt, StreamExt, TryStreamExt};
use rtsap_catalog::object::{ObjectKind, Relation};
use rtsap_plan::graph::StreamPlan;
use rtsap_plan::operator::ObjectId;
use rtsap_planner::plan_view;
use rtsap_planner::statement::{SubscribeStatement, SubscribeTarget};
use rtsap_runtime::serve::Part;
use rtsap_runtime::spec::{Pace, StartFrom, ViewSpec};
use rtsap_runtime::subscribe::SubscriptionEvent;
use rtsap_stream::change::{ChangelogMode, Op};

use crate::error::EngineError;
use crate::instance::Instance;
use crate::query::diagnose::{Scene, unknown_relation};
use crate::query::namespace;
use crate::response::BatchStream;
use crate::sequence::own_name;
use crate::session::change::shifted;
use envelope::Enveloped;

mod envelope;

/// Numbers of temporary views begin here: far above those of the catalog.
const TEMPORARY: u64 = 1 << 62;

/// What is followed, and how.
#[derive(Clone, Debug)]
pub(crate) struct Followed {
    what: What,
    rows: SchemaRef,
    snapshot: bool,
    progress: bool,
    envelope: Option<Enveloped>,
    /// When it ends, in microseconds since the Unix epoch.
    up_to: Option<i64>,
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
        let rows = match &self.envelope {
            Some(envelope) => envelope.fields(&self.rows),
            None => self.rows.fields().to_vec(),
        };
        fields.extend(rows.iter().map(|field| {
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
    let catalog = instance.snapshot();
    let (what, relation) = match &statement.target {
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
                return followed(statement, what, planned.relation);
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
            // Of rows that are late or wrong none is ever changed.
            let relation = Relation {
                schema: Arc::clone(&table.schema),
                mode: ChangelogMode::Append,
                key: Vec::new(),
                event_time: None,
            };
            let object = catalog.resolve(own.as_str());
            let object = object.and_then(|object| object.relation.clone());
            let whole = object.filter(|_| table.part == Part::Rows);
            let what = What::Relation(table.object, table.part);
            (what, whole.unwrap_or(relation))
        }
        SubscribeTarget::Query {
            query,
            query_offset,
        } => {
            let planned = plan_view(query, &[], &catalog, &instance.functions);
            let planned = planned.map_err(|error| shifted(error.into(), *query_offset))?;
            (What::Query(Arc::new(planned.plan)), planned.relation)
        }
    };
    followed(statement, what, relation)
}

fn followed(
    statement: &SubscribeStatement,
    what: What,
    relation: Relation,
) -> Result<Followed, EngineError> {
    let name = match &statement.target {
        SubscribeTarget::Relation(name) => format!("\"{}\"", name.name),
        SubscribeTarget::Query { .. } => "the query".to_owned(),
    };
    let envelope = statement.envelope.as_ref();
    let envelope = envelope.map(|envelope| Enveloped::new(envelope, &relation, &name));
    Ok(Followed {
        what,
        envelope: envelope.transpose()?,
        rows: relation.schema,
        snapshot: statement.snapshot,
        progress: statement.progress,
        up_to: statement.up_to,
    })
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
    let (schema, followed) = (followed.schema(), followed.clone());
    let up_to = followed.up_to;
    let in_time = move |event: &SubscriptionEvent| up_to.is_none_or(|end| event.at_us < end);
    let rows = subscription
        .map_err(EngineError::from)
        .try_take_while(move |event| futures::future::ready(Ok(in_time(event))))
        .try_filter_map(move |event| {
            // The view lives as long as somebody reads its changes.
            let _alive = &temporary;
            futures::future::ready(batch_of(&schema, &event, &followed))
        });
    Ok(match up_to {
        None => rows.boxed(),
        Some(end) => until(rows.boxed(), end),
    })
}

/// How long after its end a publish may still be under way to a reader.
const UNDER_WAY: Duration = Duration::from_millis(100);

/// `rows` until `end`, in microseconds since the Unix epoch, has passed and none waits any more.
fn until(mut rows: BatchStream, end: i64) -> BatchStream {
    let left = end - chrono::Utc::now().timestamp_micros();
    let left = Duration::from_micros(u64::try_from(left).unwrap_or(0)) + UNDER_WAY;
    let mut timer = Box::pin(tokio::time::sleep(left));
    let rows = futures::stream::poll_fn(move |context| match rows.poll_next_unpin(context) {
        Poll::Pending => timer.poll_unpin(context).map(|()| None),
        ready => ready,
    });
    rows.boxed()
}

/// The rows that tell of an event, if any.
fn batch_of(
    schema: &SchemaRef,
    event: &SubscriptionEvent,
    followed: &Followed,
) -> Result<Option<RecordBatch>, EngineError> {
    let Some(changes) = event.changes.as_ref().filter(|changes| !changes.is_empty()) else {
        return if followed.progress {
            progress_row(schema, event).map(Some)
        } else {
            Ok(None)
        };
    };
    if let Some(envelope) = &followed.envelope {
        let (ops, told) = envelope.told(changes)?;
        let mut columns = leading(event, ops);
        columns.extend(told);
        return batch(schema, columns).map(Some);
    }
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
