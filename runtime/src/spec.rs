//! What the engine asks the runtime to run.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::physical_expr::PhysicalExpr;
use rtsap_plan::graph::StreamPlan;
use rtsap_plan::operator::ObjectId;
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::decode::{DecodeSchema, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::sink::{Sink, SinkInput};
use rtsap_stream::source::Source;

/// Makes a decoder that fills only the given physical columns.
pub type DecoderFactory =
    Arc<dyn Fn(&DecodeSchema) -> Result<Box<dyn Decoder>, ConnectorError> + Send + Sync>;

/// Event time of a source or table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventTimeSpec {
    /// Index of the timestamp column in the relation.
    pub column: usize,
    /// How far the watermark stays behind the latest row.
    pub delay_nanos: i64,
}

/// Where a relation's column comes from.
#[derive(Clone, Debug)]
pub enum SourceColumn {
    /// Physical column *n*.
    Physical(usize),
    /// Computed over all physical columns (in the order of [`SourceSpec::physical`]).
    Computed(Arc<dyn PhysicalExpr>),
}

/// What happens to a payload that cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It becomes a row of `<source>$errors`.
    DeadLetter,
    /// The source is suspended and says so.
    Fail,
    /// It is counted and forgotten.
    Drop,
}

/// Sources that wait for each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alignment {
    /// The name of the group.
    pub group: String,
    /// How far event time of one may be ahead of that of the slowest.
    pub drift_nanos: i64,
}

/// A source to read.
#[derive(Clone)]
pub struct SourceSpec {
    /// Identity.
    pub id: ObjectId,
    /// Name, for people.
    pub name: String,
    /// The stream.
    pub source: Arc<dyn Source>,
    /// Its payloads' decoder.
    pub decoder: DecoderFactory,
    /// All physical columns.
    pub physical: DecodeSchema,
    /// The relation's columns, in the order of `schema`.
    pub columns: Vec<SourceColumn>,
    /// The relation's schema.
    pub schema: SchemaRef,
    /// Event time, if it has any.
    pub event_time: Option<EventTimeSpec>,
    /// A split without rows for so long leaves the watermark's minimum.
    pub idle_timeout: Duration,
    /// A row further ahead of the wall clock than this is an error and does not move the watermark.
    pub future_skew_max: Duration,
    /// Whom it waits for, if anybody.
    pub alignment: Option<Alignment>,
    /// What happens to bad payloads.
    pub on_error: OnError,
}

/// A table fed by `insert`.
#[derive(Clone, Debug)]
pub struct TableSpec {
    /// Identity.
    pub id: ObjectId,
    /// Name, for people.
    pub name: String,
    /// Columns.
    pub schema: SchemaRef,
    /// What may become of its rows.
    pub mode: ChangelogMode,
    /// Primary key; empty for none.
    pub key: Vec<usize>,
    /// Event time, if it has any.
    pub event_time: Option<EventTimeSpec>,
}

/// Where a view begins to read its sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFrom {
    /// At the sources' own start positions.
    Beginning,
    /// At their present ends.
    Now,
}

/// What of a view goes by the clock on the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    /// How long at least between two publishes of it.
    pub every: Option<Duration>,
    /// After how long without rows it closes what is open.
    pub timeout: Option<Duration>,
}

/// How long rows of a view are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Index of their event time.
    pub column: usize,
    /// How far event time of the view must be past a row that is no longer served.
    pub nanos: i64,
}

/// A view to compute.
#[derive(Clone, Debug)]
pub struct ViewSpec {
    /// Identity.
    pub id: ObjectId,
    /// Name, for people.
    pub name: String,
    /// How.
    pub plan: StreamPlan,
    /// From where, if there is no saved state.
    pub start_from: StartFrom,
    /// When it shows, by the clock.
    pub pace: Pace,
    /// How long its rows are served; for ever if `None`.
    pub retention: Option<Retention>,
    /// Bytes of state and served rows beyond which it is suspended, instead of those that the
    /// runtime allows each view.
    pub bytes_max: Option<usize>,
}

/// A sink to feed.
pub struct SinkSpec {
    /// Identity.
    pub id: ObjectId,
    /// Name, for people.
    pub name: String,
    /// The view or table it follows.
    pub from: ObjectId,
    /// What it was made with.
    pub input: SinkInput,
    /// The target.
    pub sink: Box<dyn Sink>,
}
