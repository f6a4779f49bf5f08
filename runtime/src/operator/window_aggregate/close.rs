//! The windows that event time has passed: their rows are sent, their panes forgotten.

use arrow::record_batch::RecordBatch;
use rtsap_stream::time::EventTime;

use crate::operator::{OperatorError, Waiting};

use super::shared::SharedSlices;
use super::{NAME, WindowAggregation};

impl WindowAggregation {
    /// The windows, or the slices that they share, that event time has not passed.
    pub(super) fn open_windows(&self) -> Option<Waiting> {
        let (first, _) = self.panes.first_key_value()?;
        let (last, _) = self.panes.last_key_value()?;
        let (next, last) = match &self.shared {
            None => (*first, *last),
            Some(_) => {
                // Of a slice some windows may be closed already.
                let ends = self.window.windows_of(*first).map(|window| window.end);
                let mut open = ends.filter(|end| *end > self.closed.nanos());
                let next = open.next().unwrap_or_else(|| self.window.last_end(*first));
                (next, self.window.last_end(*last))
            }
        };
        let after = |end: i64| EventTime::from_nanos(end.saturating_add(self.wait_nanos));
        Some(Waiting {
            what: if self.shared.is_some() {
                "slices"
            } else {
                "windows"
            },
            count: self.panes.len() as u64,
            next: after(next),
            last: after(last),
        })
    }

    /// Closes the windows whose panes are theirs alone.
    pub(super) fn close_windows(
        &mut self,
        batches: &mut Vec<RecordBatch>,
    ) -> Result<(), OperatorError> {
        while let Some(end) = self.panes.first_key_value().map(|(end, _)| *end) {
            if end > self.closed.nanos() {
                break;
            }
            if self.changing {
                batches.extend(self.changed_rows(end)?);
                self.panes.remove(&end);
            } else if let Some(table) = self.panes.remove(&end) {
                let rows = table.finish().map_err(OperatorError::compute(NAME))?;
                batches.push(self.window_rows(end, &rows)?);
            }
        }
        Ok(())
    }

    /// Closes the windows that end after `before`, merging the slices they share.
    pub(super) fn close_shared(
        &mut self,
        shared: &mut SharedSlices,
        before: EventTime,
        batches: &mut Vec<RecordBatch>,
    ) -> Result<(), OperatorError> {
        let mut end = self.time.next_end(&self.window, before);
        // The first slice at or after the window's start says which window is the next one with
        // rows.
        while let Some((slice, _)) = self.panes.range(self.window.ending_at(end).start..).next() {
            let first = self.window.windows_of(*slice).next();
            end = end.max(first.map_or(i64::MAX, |window| window.end));
            if end > self.closed.nanos() || first.is_none() {
                break;
            }
            let bounds = (self.window.ending_at(end).start, end);
            let table = shared
                .window(&self.calls, &mut self.panes, bounds, &mut self.groups)
                .map_err(OperatorError::compute(NAME))?;
            let rows = table.finish().map_err(OperatorError::compute(NAME))?;
            batches.push(self.window_rows(end, &rows)?);
            let next = self.time.next_end(&self.window, EventTime::from_nanos(end));
            if next <= end {
                break;
            }
            end = next;
        }
        while let Some(slice) = self.panes.first_entry() {
            if self.window.last_end(*slice.key()) > self.closed.nanos() {
                break;
            }
            slice.remove();
        }
        if self.panes.is_empty() {
            shared.clear();
        }
        Ok(())
    }
}
