//! Operators without state: projection, filter, window assignment, union.
//!
//! They pass the watermark on as it is, except for window columns, whose time lags behind the
//! row's.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, Int8Array, UInt32Array};
use arrow::compute::{filter, filter_record_batch, prep_null_mask_filter, take_arrays};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::cast::as_boolean_array;
use datafusion::physical_expr::PhysicalExpr;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::WindowColumn;
use rtsap_plan::window::{Window, WindowSpec};
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::time::EventTime;

use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output};

/// Pairs rows and ops.
///
/// # Errors
/// [`OperatorError::Contract`] if they do not fit.
pub(super) fn changes(
    operator: &'static str,
    rows: RecordBatch,
    ops: Option<Int8Array>,
) -> Result<ChangeBatch, OperatorError> {
    match ops {
        None => Ok(ChangeBatch::inserts(rows)),
        Some(ops) => ChangeBatch::try_new(rows, ops).map_err(|error| OperatorError::Contract {
            operator,
            found: error.to_string(),
        }),
    }
}

/// Computes columns.
pub struct Project {
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    schema: SchemaRef,
}

impl Project {
    /// The projection of `node` by `exprs`.
    pub fn new(node: &Node, exprs: &[Arc<dyn PhysicalExpr>]) -> Self {
        Self {
            exprs: exprs.to_vec(),
            schema: Arc::clone(&node.properties.schema),
        }
    }
}

impl Operator for Project {
    fn name(&self) -> &'static str {
        "Project"
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let operator = "Project";
        let rows = changes.rows();
        let columns = self
            .exprs
            .iter()
            .map(|expr| expr.evaluate(rows)?.into_array(rows.num_rows()))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|source| OperatorError::Compute { operator, source })?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let schema = Arc::clone(&self.schema);
        let projected = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(|source| OperatorError::Arrow { operator, source })?;
        out.changes
            .push(self::changes(operator, projected, changes.ops().cloned())?);
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        Ok(time)
    }
}

/// Keeps the rows for which the predicate is true.
///
/// On an upsert edge a row that fails may replace one that passed, so it becomes a delete of its
/// key; a delete stays. Where replaced rows come as deletes, each row passes or fails by itself.
pub struct Filter {
    predicate: Arc<dyn PhysicalExpr>,
    upsert: bool,
}

impl Filter {
    /// The filter of `node` by `predicate`. A filter's output has its input's mode.
    pub fn new(node: &Node, predicate: &Arc<dyn PhysicalExpr>) -> Self {
        let upsert = node.properties.mode == ChangelogMode::Upsert;
        Self {
            predicate: Arc::clone(predicate),
            upsert,
        }
    }

    fn passing(&self, rows: &RecordBatch) -> datafusion::common::Result<BooleanArray> {
        let passing = self.predicate.evaluate(rows)?.into_array(rows.num_rows())?;
        let passing = as_boolean_array(&passing)?;
        // Null is not true.
        Ok(if passing.null_count() > 0 {
            prep_null_mask_filter(passing)
        } else {
            passing.clone()
        })
    }
}

impl Operator for Filter {
    fn name(&self) -> &'static str {
        "Filter"
    }

    fn send_replaced(&mut self) {
        self.upsert = false;
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let operator = "Filter";
        let passing = self
            .passing(changes.rows())
            .map_err(|source| OperatorError::Compute { operator, source })?;
        let passed = passing.true_count();
        if passed == changes.len() {
            out.changes.push(changes.clone());
            return Ok(());
        }
        out.filtered_rows += (changes.len() - passed) as u64;
        if self.upsert {
            let op = |(row, passes): (usize, bool)| {
                if passes { changes.op(row) as i8 } else { -1 }
            };
            let ops = passing
                .values()
                .iter()
                .enumerate()
                .map(op)
                .collect::<Vec<i8>>();
            let ops = Int8Array::from(ops);
            out.changes
                .push(self::changes(operator, changes.rows().clone(), Some(ops))?);
            return Ok(());
        }
        if passed == 0 {
            return Ok(());
        }
        let refused = |source| OperatorError::Arrow { operator, source };
        let rows = filter_record_batch(changes.rows(), &passing).map_err(refused)?;
        let ops = match changes.ops() {
            None => None,
            Some(ops) => {
                let kept = filter(ops, &passing).map_err(refused)?;
                Some(Int8Array::from(kept.to_data()))
            }
        };
        out.changes.push(self::changes(operator, rows, ops)?);
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        Ok(time)
    }
}

/// Repeats each row for each of its windows, with the window's columns.
///
/// A row without time, or in a gap between windows, belongs to none and counts as filtered out.
pub struct WindowAssign {
    window: WindowSpec,
    time: TimeColumn,
    schema: SchemaRef,
    /// Which window column the watermark speaks about, if it is one.
    event_time: Option<WindowColumn>,
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
    ) -> Result<Self, OperatorError> {
        let schema = Arc::clone(&node.properties.schema);
        let columns = [WindowColumn::Start, WindowColumn::End, WindowColumn::Time];
        let first = input.fields().len();
        let added = node
            .properties
            .event_time
            .and_then(|index| index.checked_sub(first));
        let event_time = added.and_then(|index| columns.get(index).copied());
        let time = TimeColumn::of("WindowAssign", input, time)?;
        Ok(Self {
            window,
            time,
            schema,
            event_time,
        })
    }

    fn rows_in_windows(
        &self,
        rows: &RecordBatch,
    ) -> Result<(Vec<u32>, Vec<Window>), OperatorError> {
        let times = self.time.read("WindowAssign", rows)?;
        let mut indices = Vec::with_capacity(rows.num_rows());
        let mut windows = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let Some(nanos) = times.nanos(row, &self.window) else {
                continue;
            };
            for window in self.window.windows_of(nanos) {
                indices.push(row as u32);
                windows.push(window);
            }
        }
        Ok((indices, windows))
    }
}

impl Operator for WindowAssign {
    fn name(&self) -> &'static str {
        "WindowAssign"
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let operator = "WindowAssign";
        let rows = changes.rows();
        let (indices, windows) = self.rows_in_windows(rows)?;
        let mut assigned = indices.clone();
        assigned.dedup();
        out.filtered_rows += (rows.num_rows() - assigned.len()) as u64;
        if indices.is_empty() {
            return Ok(());
        }
        let refused = |source| OperatorError::Arrow { operator, source };
        let once = indices.len() == rows.num_rows() && assigned.len() == indices.len();
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        let mut ops = changes.ops().cloned();
        if !once {
            let indices = UInt32Array::from(indices);
            columns = take_arrays(&columns, &indices, None).map_err(refused)?;
            if let Some(kept) = &ops {
                let kept = arrow::compute::take(kept, &indices, None).map_err(refused)?;
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
        out.changes.push(self::changes(operator, batch, ops)?);
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        Ok(match self.event_time {
            None => time,
            Some(column) => self.time.promise(&self.window, time, column),
        })
    }
}

/// Passes the rows of all inputs on.
pub struct Union;

impl Operator for Union {
    fn name(&self) -> &'static str {
        "Union"
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        out.changes.push(changes.clone());
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        Ok(time)
    }
}
