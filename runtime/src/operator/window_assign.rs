//! Rows into windows: each row once for each of its windows, with their bounds.
//!
//! The watermark of a window's bound lags behind the row's.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array, UInt32Array};
use arrow::compute::{take, take_arrays};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::WindowColumn;
use rtsap_plan::window::{Window, WindowSpec};
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::state::{StateError, StateReader, StateWriter};

use super::join::saved;
use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output, stateless};

/// As `EXPLAIN` shows it.
const NAME: &str = "WindowAssign";

/// Repeats each row for each of its windows, with the window's columns.
///
/// A row without time, or in a gap between windows, belongs to none and counts as filtered out.
/// Where only open windows are wanted, a row that is late for some of its windows is in the others
/// alone.
pub struct WindowAssign {
    window: WindowSpec,
    time: TimeColumn,
    schema: SchemaRef,
    /// Which window column the watermark speaks about, if it is one.
    event_time: Option<WindowColumn>,
    /// How far event time has come, where only windows that it has not passed are wanted.
    reached: Option<EventTime>,
}

impl WindowAssign {
    /// The assignment of `node` by the column `time` of rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if that column is no timestamp.
    pub fn new(
        node: &Node,
        input: &SchemaRef,
        window: WindowSpec,
        time: usize,
        open_only: bool,
    ) -> Result<Self, OperatorError> {
        let schema = Arc::clone(&node.properties.schema);
        let columns = [WindowColumn::Start, WindowColumn::End, WindowColumn::Time];
        let first = input.fields().len();
        let added = node
            .properties
            .event_time
            .and_then(|index| index.checked_sub(first));
        let event_time = added.and_then(|index| columns.get(index).copied());
        let time = TimeColumn::of(NAME, input, time)?;
        Ok(Self {
            window,
            time,
            schema,
            event_time,
            reached: open_only.then_some(EventTime::MIN),
        })
    }

    fn rows_in_windows(
        &self,
        rows: &RecordBatch,
    ) -> Result<(Vec<u32>, Vec<Window>), OperatorError> {
        let times = self.time.read(NAME, rows)?;
        let mut indices = Vec::with_capacity(rows.num_rows());
        let mut windows = Vec::with_capacity(rows.num_rows());
        let reached = self.reached.unwrap_or(EventTime::MIN).nanos();
        for row in 0..rows.num_rows() {
            let Some(nanos) = times.nanos(row, &self.window) else {
                continue;
            };
            let found = self.window.windows_of(nanos);
            for window in found.filter(|window| window.end > reached) {
                indices.push(row as u32);
                windows.push(window);
            }
        }
        Ok((indices, windows))
    }
}

impl Operator for WindowAssign {
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
        let (indices, windows) = self.rows_in_windows(rows)?;
        let mut assigned = indices.clone();
        assigned.dedup();
        out.filtered_rows += (rows.num_rows() - assigned.len()) as u64;
        if indices.is_empty() {
            return Ok(());
        }
        let refused = OperatorError::arrow(NAME);
        let once = indices.len() == rows.num_rows() && assigned.len() == indices.len();
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        let mut ops = changes.ops().cloned();
        if !once {
            let indices = UInt32Array::from(indices);
            columns = take_arrays(&columns, &indices, None).map_err(refused)?;
            if let Some(kept) = &ops {
                let kept = take(kept, &indices, None).map_err(refused)?;
                ops = Some(Int8Array::from(kept.to_data()));
            }
        }
        for column in [WindowColumn::Start, WindowColumn::End, WindowColumn::Time] {
            let values = windows
                .iter()
                .map(|window| self.time.value(*window, column));
            columns.push(self.time.array(values));
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(refused)?;
        out.changes.push(stateless::changes(NAME, batch, ops)?);
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        self.reached = self.reached.map(|reached| reached.max(time));
        Ok(match self.event_time {
            None => time,
            Some(column) => self.time.promise(&self.window, time, column),
        })
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        match self.reached {
            Some(reached) => saved::put_time(reached, out),
            None => Ok(()),
        }
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        if self.reached.is_some() {
            self.reached = Some(saved::time(from)?);
        }
        Ok(())
    }
}
