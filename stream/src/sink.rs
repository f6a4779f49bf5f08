//! Relations outside RTSAP that results are written to.

use arrow_schema::SchemaRef;
use async_trait::async_trait;

use crate::change::{ChangeBatch, ChangelogMode};
use crate::error::ConnectorError;
use crate::message::{Epoch, Generation};
use crate::progress::Owner;

/// The view as its sink sees it.
#[derive(Clone, Debug)]
pub struct SinkInput {
    /// The sink's own stable name: key of its progress record.
    pub sink: String,
    /// Whose record it is: nobody else's is taken over.
    pub owner: Owner,
    /// Columns and types.
    pub schema: SchemaRef,
    /// Indices of the columns that identify a row; empty only for an append-only view.
    pub key: Vec<usize>,
    /// Index of the column that carries event time, if any: the hypertable's time column.
    pub event_time: Option<usize>,
    /// Which changes will come.
    pub mode: ChangelogMode,
}

/// What a sink says of itself once it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkReport {
    /// What was found there: `TimescaleDB 2.19.3 (Apache edition) on PostgreSQL 17.5`.
    pub target: String,
    /// The last epoch that is applied there; [`Epoch::ZERO`] for none.
    pub applied: Epoch,
}

/// A relation outside RTSAP that each epoch's net changes are applied to, exactly once and in
/// order.
///
/// Order of calls: `fence(g)`, then `apply(e1)`, `apply(e2)`, …; an epoch comes only after its
/// manifest is durable. Epochs in which the view did not change are skipped, so numbers may have
/// gaps; `previous` closes the chain.
///
/// # Contract
///
/// - `fence(g)` checks or creates the target, makes every writer of a generation below *g* fail
///   from now on, and returns the last epoch applied.
/// - `apply(e)` makes all of epoch *e* visible in one step together with the record that *e* is
///   applied, or nothing. It may be called again after a crash or an unclear answer and then
///   changes nothing.
/// - A record of another owner is never taken over: [`crate::progress::check_owner`].
/// - "No record" for a sink that has applied before never means "not applied": it is
///   [`crate::error::ErrorKind::Data`], and the sink stops.
///
/// The epoch record inside the target's own transaction is Materialize's progress topic; the outbox
/// that feeds it is RisingWave's log store.
#[async_trait]
pub trait Sink: Send {
    /// The widest changelog this sink can take. The planner refuses a view that is wider.
    fn accepts(&self) -> ChangelogMode;

    /// Takes ownership for `generation`. `expected` is the last epoch known to be applied, if any
    /// ever was.
    ///
    /// # Errors
    /// `Unavailable` if the target cannot be reached (retried), `Fenced` if a newer generation owns
    /// it, `Invalid` if the target's shape does not fit, `Data` if the progress record is missing
    /// though `expected` says it was there.
    async fn fence(
        &mut self,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<SinkReport, ConnectorError>;

    /// Applies the net changes of `epoch`, which follow those of `previous`.
    ///
    /// # Errors
    /// `Unavailable` (retried with the same arguments), `Fenced`, `Data` for a gap or a constraint
    /// violation.
    async fn apply(
        &mut self,
        epoch: Epoch,
        previous: Epoch,
        changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError>;
}
