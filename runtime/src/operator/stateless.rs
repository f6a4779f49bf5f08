//! Operators without state: projection, filter, union. They pass the watermark on as it is.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int8Array};
use arrow::compute::{filter, filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::cast::as_boolean_array;
use datafusion::physical_expr::PhysicalExpr;
use rtsap_plan::graph::Node;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::time::EventTime;

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
