//! Keeps rows that are in an open window: what comes before rows are put into windows one by one,
//! so that a late row is found late once and not in each of its windows.

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;
use rtsap_plan::window::WindowSpec;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::state::{StateError, StateReader, StateWriter};

use super::join::saved;
use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output};

/// As `EXPLAIN` shows it.
const NAME: &str = "OpenWindows";

/// Passes rows on that are in an open window, or in none at all; rows all of whose windows are
/// closed, and rows without a time, are late.
pub struct OpenWindows {
    window: WindowSpec,
    time: TimeColumn,
    closed: EventTime,
}

impl OpenWindows {
    /// The operator over the column `time` of rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if that column is no timestamp.
    pub fn new(input: &SchemaRef, window: WindowSpec, time: usize) -> Result<Self, OperatorError> {
        Ok(Self {
            window,
            time: TimeColumn::of(NAME, input, time)?,
            closed: EventTime::MIN,
        })
    }
}

impl Operator for OpenWindows {
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
            let nanos = times.nanos(row, &self.window);
            let last = nanos.map(|nanos| self.window.windows_of(nanos).last());
            let open = match last {
                // It has no time.
                None => false,
                // It is between windows: the next node knows.
                Some(None) => true,
                Some(Some(window)) => window.end > self.closed.nanos(),
            };
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
        self.closed = self.closed.max(time);
        Ok(time)
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        saved::put_time(self.closed, out)
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        self.closed = saved::time(from)?;
        Ok(())
    }
}
