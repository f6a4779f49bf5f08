//! One step of a dataflow. Operators decide and compute; they never wait, read a clock, or do I/O.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::state::{StateError, StateReader, StateWriter};

pub mod asof_join;
pub mod fill;
pub mod group_aggregate;
pub mod horizon;
pub mod in_time;
pub mod instantiate;
pub mod interval_join;
pub mod join;
pub mod latest_by_key;
pub mod over;
pub mod partition_over;
mod ranked;
pub mod regular_join;
pub mod session;
pub mod stateless;
pub mod top_n;
pub mod unnest;
pub mod values;
pub mod window_aggregate;
pub mod window_assign;

/// One step of a dataflow: a deterministic state machine over the messages of its inputs.
///
/// The same messages give the same output in a test as in production, and a checkpoint can cut
/// between any two calls.
///
/// # Contract
///
/// - The sum of all output changes does not depend on how the input is cut into batches or where
///   publishes fall.
/// - A `Delete` on a retract edge matches an earlier `Insert` of an equal row; on an upsert edge an
///   insert replaces.
/// - `snapshot` followed by `restore` into a fresh operator of the same spec continues as if
///   nothing had happened.
pub trait Operator: Send {
    /// As shown by `EXPLAIN` and in metrics: `WindowAggregate`.
    fn name(&self) -> &'static str;

    /// From now on each row that takes the place of another follows the delete of that row, and
    /// every delete carries a row as it was inserted. Called first, on operators before one that
    /// adds up their rows.
    fn send_replaced(&mut self) {}

    /// Takes changes that arrived on input `port` (0-based).
    ///
    /// # Errors
    /// [`OperatorError`] when an expression cannot be computed for a row (division by zero,
    /// overflow, bad cast).
    fn on_changes(
        &mut self,
        port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError>;

    /// Event time has reached `time` on all inputs. Returns the promise this operator makes
    /// downstream about its own event-time column. Called only with growing times.
    ///
    /// # Errors
    /// As [`Operator::on_changes`].
    fn on_watermark(
        &mut self,
        time: EventTime,
        out: &mut Output,
    ) -> Result<EventTime, OperatorError>;

    /// A cut is about to be published: emits what has changed since the last one and was held back
    /// until now.
    ///
    /// # Errors
    /// As [`Operator::on_changes`].
    fn on_publish(&mut self, _out: &mut Output) -> Result<(), OperatorError> {
        Ok(())
    }

    /// Writes all state. Called right after `on_publish`; leaves the state as it was.
    ///
    /// # Errors
    /// [`StateError`] if a value cannot be written.
    fn snapshot(&mut self, _out: &mut StateWriter) -> Result<(), StateError> {
        Ok(())
    }

    /// Replaces all state by what `snapshot` wrote. Called once, first.
    ///
    /// # Errors
    /// [`StateError`] if the state is not of this operator.
    fn restore(&mut self, _from: &StateReader) -> Result<(), StateError> {
        Ok(())
    }

    /// What waits for event time, if anything does.
    fn waiting(&self) -> Option<Waiting> {
        None
    }

    /// Bytes of state held now.
    fn state_bytes(&self) -> usize {
        0
    }
}

/// What an operator holds back until event time has passed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What waits, for people: `windows`.
    pub what: &'static str,
    /// How much of it.
    pub count: u64,
    /// The watermark that lets go of the first of it.
    pub next: EventTime,
    /// The watermark that lets go of all of it.
    pub last: EventTime,
}

/// What an operator sends in one call.
#[derive(Debug, Default)]
pub struct Output {
    /// Changes in the node's output schema, in order.
    pub changes: Vec<ChangeBatch>,
    /// Rows that came too late, in the node's *input* schema.
    pub late: Vec<RecordBatch>,
    /// How many rows a filter took out.
    pub filtered_rows: u64,
}

/// Why an operator cannot go on. The dataflow stops and says so; nothing is published.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// An expression or aggregate failed.
    #[error("cannot compute {operator}: {source}")]
    Compute {
        /// The operator.
        operator: &'static str,
        /// DataFusion's words.
        #[source]
        source: DataFusionError,
    },
    /// Arrow refused, for instance an overflow of a kernel.
    #[error("cannot compute {operator}: {source}")]
    Arrow {
        /// The operator.
        operator: &'static str,
        /// Arrow's words.
        #[source]
        source: ArrowError,
    },
    /// It panicked.
    #[error("a bug: {message}")]
    Bug {
        /// The words of the panic.
        message: String,
    },
    /// The input broke its contract: a bug upstream.
    #[error("{operator} got {found}")]
    Contract {
        /// The operator.
        operator: &'static str,
        /// What came.
        found: String,
    },
}

impl OperatorError {
    /// What turns a failure of Arrow into one of `operator`.
    pub fn arrow(operator: &'static str) -> impl Fn(ArrowError) -> Self + Copy {
        move |source| Self::Arrow { operator, source }
    }

    /// What turns a failure of DataFusion into one of `operator`.
    pub fn compute(operator: &'static str) -> impl Fn(DataFusionError) -> Self + Copy {
        move |source| Self::Compute { operator, source }
    }

    /// A contradiction of what comes to `operator`.
    pub const fn contract(operator: &'static str, found: String) -> Self {
        Self::Contract { operator, found }
    }
}

/// Refuses changes with ops where only inserts may come.
///
/// # Errors
/// [`OperatorError::Contract`].
pub(crate) fn append_only(
    operator: &'static str,
    changes: &ChangeBatch,
) -> Result<(), OperatorError> {
    if changes.ops().is_none() {
        return Ok(());
    }
    let found = "a delete on an append-only edge".to_owned();
    Err(OperatorError::contract(operator, found))
}
