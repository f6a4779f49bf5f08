//! One partition: its rows in order, how many of them were sent, and what runs along.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::{concat_batches, partition, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use rtsap_plan::over::{History, OverFunction, OverSpec};
use rtsap_stream::time::EventTime;

use crate::operator::OperatorError;
use crate::operator::window_aggregate::time::TimeColumn;

use super::running::Running;
use super::{NAME, Over};

/// Which rows stay after they have been sent: what any call needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// So many.
    pub rows: usize,
    /// And those of so many nanoseconds.
    pub nanos: Option<i64>,
    /// All.
    pub all: bool,
}

impl Reach {
    /// The reach of the calls of `spec` together.
    pub fn of(spec: &OverSpec) -> Self {
        let mut reach = Self::default();
        for call in &spec.calls {
            match call.history {
                History::None => {}
                History::Rows(rows) => {
                    reach.rows = reach.rows.max(usize::try_from(rows).unwrap_or(usize::MAX));
                }
                History::Range(nanos) => {
                    reach.nanos = Some(reach.nanos.map_or(nanos, |known| known.max(nanos)));
                }
                History::All => reach.all = true,
            }
        }
        reach
    }
}

/// What all partitions share when time goes on.
pub(super) struct Step<'a> {
    pub spec: &'a OverSpec,
    pub schema: &'a SchemaRef,
    pub time: &'a TimeColumn,
    pub reach: Reach,
    pub watermark: EventTime,
}

/// The rows and counts of one partition.
pub(super) struct Partition {
    /// Rows that were sent and are still needed, then rows that wait.
    pub rows: RecordBatch,
    /// How many of them were sent.
    pub sent: usize,
    /// Counters and accumulators over all rows that were sent.
    pub running: Running,
    /// Time of the last row.
    last: i64,
    /// Time of the first row that waits.
    first_waiting: Option<i64>,
}

impl Partition {
    /// A partition without rows.
    pub fn new(spec: &OverSpec, input: &SchemaRef) -> Result<Self> {
        Ok(Self {
            rows: RecordBatch::new_empty(Arc::clone(input)),
            sent: 0,
            running: Running::new(&spec.calls)?,
            last: i64::MIN,
            first_waiting: None,
        })
    }

    /// Adds `new` rows, whose place is final, and returns the rows that can be sent now.
    pub fn advance(
        &mut self,
        step: &Step<'_>,
        new: Option<RecordBatch>,
    ) -> Result<Option<RecordBatch>, OperatorError> {
        if let Some(new) = new {
            self.rows = match self.rows.num_rows() {
                0 => new,
                _ => concat_batches(&new.schema(), [&self.rows, &new])
                    .map_err(OperatorError::arrow(NAME))?,
            };
        }
        let times = times(step, &self.rows)?;
        let ready = self.ready(step, &times)?;
        let sent = match ready > self.sent {
            true => Some(self.send(step, ready)?),
            false => None,
        };
        self.trim(step, &times, ready)?;
        Ok(sent)
    }

    /// How many rows have all that their calls read.
    fn ready(&self, step: &Step<'_>, times: &[i64]) -> Result<usize, OperatorError> {
        let count = self.rows.num_rows();
        let (rows, nanos) = (step.spec.following_rows(), step.spec.following_nanos());
        if step.watermark == EventTime::MAX || (rows == 0 && nanos == 0) {
            return Ok(count);
        }
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let mut ready = count.saturating_sub(rows).max(self.sent);
        let reached = |row: usize| times[row].saturating_add(nanos) < step.watermark.nanos();
        while nanos > 0 && ready > self.sent && !reached(ready - 1) {
            ready -= 1;
        }
        // Rows that are equal in order go together.
        let ends = peers(step.spec, &self.rows)?
            .into_iter()
            .map(|peers| peers.end);
        Ok(ends
            .filter(|end| *end <= ready)
            .max()
            .unwrap_or(0)
            .max(self.sent))
    }

    fn send(&mut self, step: &Step<'_>, ready: usize) -> Result<RecordBatch, OperatorError> {
        let count = ready - self.sent;
        let new = self.rows.slice(self.sent, count);
        let running = self
            .running
            .advance(step.spec, &new, &peers(step.spec, &new)?);
        let mut running = running.map_err(OperatorError::compute(NAME))?.into_iter();
        let mut columns: Vec<ArrayRef> = new.columns().to_vec();
        for call in &step.spec.calls {
            let next = running.next().flatten();
            columns.push(match (&call.function, next) {
                (OverFunction::Kept(expr), _) => expr
                    .evaluate(&self.rows)
                    .map_err(OperatorError::compute(NAME))?
                    .slice(self.sent, count),
                (_, Some(values)) => values,
                (_, None) => {
                    let found = "a call that gives nothing".to_owned();
                    return Err(OperatorError::Contract {
                        operator: NAME,
                        found,
                    });
                }
            });
        }
        RecordBatch::try_new(Arc::clone(step.schema), columns).map_err(OperatorError::arrow(NAME))
    }

    /// Notes that the rows before `ready` were sent and drops those that nothing reads any more.
    fn trim(&mut self, step: &Step<'_>, times: &[i64], ready: usize) -> Result<(), OperatorError> {
        let count = self.rows.num_rows();
        self.last = times.last().copied().unwrap_or(self.last);
        self.first_waiting = times.get(ready).copied();
        let mut first = ready.saturating_sub(step.reach.rows);
        if let Some(nanos) = step.reach.nanos {
            let next = self.first_waiting.unwrap_or(step.watermark.nanos());
            let reached = times.partition_point(|time| *time < next.saturating_sub(nanos));
            first = first.min(reached);
        }
        if step.reach.all {
            first = 0;
        }
        self.sent = ready - first;
        if first > 0 {
            // A slice would hold on to the memory of all rows.
            let kept = UInt32Array::from_iter_values(first as u32..count as u32);
            self.rows = take_record_batch(&self.rows, &kept).map_err(OperatorError::arrow(NAME))?;
        }
        Ok(())
    }

    /// Takes rows of a snapshot, of which `sent` were sent.
    pub fn load(
        &mut self,
        step: &Step<'_>,
        rows: RecordBatch,
        sent: usize,
    ) -> Result<(), OperatorError> {
        let times = times(step, &rows)?;
        self.last = times.last().copied().unwrap_or(self.last);
        self.first_waiting = times.get(sent).copied();
        (self.rows, self.sent) = (rows, sent);
        Ok(())
    }

    /// Whether rows wait for others.
    pub const fn is_waiting(&self) -> bool {
        self.first_waiting.is_some()
    }

    /// The time of the first row that waits.
    pub const fn waiting_since(&self) -> Option<i64> {
        self.first_waiting
    }

    /// The time of the last row.
    pub const fn last_time(&self) -> i64 {
        self.last
    }

    /// Whether it is as good as new.
    pub fn is_forgotten(&self) -> bool {
        self.rows.num_rows() == 0 && self.running.is_empty()
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.rows.get_array_memory_size() + self.running.size()
    }
}

fn times(step: &Step<'_>, rows: &RecordBatch) -> Result<Vec<i64>, OperatorError> {
    let times = step.time.read(NAME, rows)?;
    let nanos = times
        .values
        .iter()
        .map(|value| value.saturating_mul(times.unit_nanos));
    Ok(nanos.collect())
}

/// The ranges of rows that are equal in order.
fn peers(
    spec: &OverSpec,
    rows: &RecordBatch,
) -> Result<Vec<std::ops::Range<usize>>, OperatorError> {
    if rows.num_rows() == 0 {
        return Ok(Vec::new());
    }
    let exprs: Vec<_> = spec
        .order
        .iter()
        .map(|order| Arc::clone(&order.expr))
        .collect();
    let columns = Over::evaluate(&exprs, rows)?;
    Ok(partition(&columns)
        .map_err(OperatorError::arrow(NAME))?
        .ranges())
}
