//! Keeps rows that are not late, before anything is computed of them.
//!
//! Where a row is late for its source, it is late for everything (`late_policy = 'source'`). Where
//! rows are put into windows one by one, a late row is found late once and not in each of its
//! windows.

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use rtsap_plan::window::WindowSpec;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::state::{StateError, StateReader, StateWriter};

use super::join::saved;
use super::window_aggregate::time::{TimeColumn, Times};
use super::{Operator, OperatorError, Output};

/// Passes rows on that are in time; others, and rows without a time, are late.
pub struct InTime {
    /// As `EXPLAIN` shows it.
    name: &'static str,
    /// In which windows a row is in time; without them, where it is not below event time.
    window: Option<WindowSpec>,
    time: TimeColumn,
    reached: EventTime,
}

impl InTime {
    /// The operator over the column `time` of rows of `input`: rows are late below event time, or
    /// when all their windows are closed.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if that column is no timestamp.
    pub fn new(
        name: &'static str,
        input: &SchemaRef,
        window: Option<WindowSpec>,
        time: usize,
    ) -> Result<Self, OperatorError> {
        Ok(Self {
            name,
            window,
            time: TimeColumn::of(name, input, time)?,
            reached: EventTime::MIN,
        })
    }

    /// Whether a row is in time.
    fn holds(&self, times: &Times, row: usize) -> bool {
        let Some(window) = &self.window else {
            let valid = times.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            let nanos = times.values[row].saturating_mul(times.unit_nanos);
            return valid && nanos >= self.reached.nanos();
        };
        let nanos = times.nanos(row, window);
        match nanos.map(|nanos| window.windows_of(nanos).last()) {
            // It has no time.
            None => false,
            // It is between windows: the next node knows.
            Some(None) => true,
            Some(Some(window)) => window.end > self.reached.nanos(),
        }
    }
}

impl Operator for InTime {
    fn name(&self) -> &'static str {
        self.name
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let rows = changes.rows();
        let times = self.time.read(self.name, rows)?;
        let (mut kept, mut late) = (Vec::new(), Vec::new());
        for row in 0..rows.num_rows() {
            let open = self.holds(&times, row);
            if open { &mut kept } else { &mut late }.push(row as u32);
        }
        if late.is_empty() {
            out.changes.push(changes.clone());
            return Ok(());
        }
        let select = |indices: Vec<u32>| {
            take_record_batch(rows, &UInt32Array::from(indices))
                .map_err(OperatorError::arrow(self.name))
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
