//! Keeps rows that are not below event time: where a row is late for its source, it is late for
//! everything that is computed of it (`late_policy = 'source'`).

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::state::{StateError, StateReader, StateWriter};

use super::join::saved;
use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output};

/// As `EXPLAIN` shows it.
const NAME: &str = "InTime";

/// Passes rows on that are not below event time; those below it, and rows without a time, are late.
pub struct InTime {
    time: TimeColumn,
    reached: EventTime,
}

impl InTime {
    /// The operator over the column `time` of rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if that column is no timestamp.
    pub fn new(input: &SchemaRef, time: usize) -> Result<Self, OperatorError> {
        Ok(Self {
            time: TimeColumn::of(NAME, input, time)?,
            reached: EventTime::MIN,
        })
    }
}

impl Operator for InTime {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let rows = changes.rows();
        let times = self.time.read(NAME, rows)?;
        let (mut kept, mut late) = (Vec::new(), Vec::new());
        for row in 0..rows.num_rows() {
            let valid = times.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            let nanos = times.values[row].saturating_mul(times.unit_nanos);
            let open = valid && nanos >= self.reached.nanos();
            if open { &mut kept } else { &mut late }.push(row as u32);
        }
        if late.is_empty() {
            out.changes.push(changes.clone());
            return Ok(());
        }
        let select = |indices: Vec<u32>| {
            take_record_batch(rows, &UInt32Array::from(indices)).map_err(OperatorError::arrow(NAME))
        };
        out.late.push(select(late)?);
        if !kept.is_empty() {
            out.changes.push(ChangeBatch::inserts(select(kept)?));
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        self.reached = self.reached.max(time);
        Ok(time)
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        saved::put_time(self.reached, out)
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        self.reached = saved::time(from)?;
        Ok(())
    }
}
