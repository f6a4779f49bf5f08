//! Arithmetic of integers that fails where it would wrap, and expressions whose constants are
//! wrong.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::BinaryExpr;

/// `expr` with sums, differences and products that fail where the result does not fit its type.
///
/// # Errors
/// None of its own.
pub fn checked_arithmetic(expr: Arc<dyn PhysicalExpr>) -> Result<Arc<dyn PhysicalExpr>> {
    let checked = expr.transform_up(|expr| {
        let Some(binary) = expr.downcast_ref::<BinaryExpr>() else {
            return Ok(Transformed::no(expr));
        };
        let wraps = [Operator::Plus, Operator::Minus, Operator::Multiply];
        if !wraps.contains(binary.op()) {
            return Ok(Transformed::no(expr));
        }
        let checked = binary.clone().with_fail_on_overflow(true);
        Ok(Transformed::yes(Arc::new(checked) as Arc<dyn PhysicalExpr>))
    });
    checked.map(|checked| checked.data)
}

/// `physical`, computed once of no rows: what it refuses of its constants, such as the name of a
/// part of a time, it refuses when the view is made.
///
/// # Errors
/// What the expression fails with.
pub fn tried(physical: Arc<dyn PhysicalExpr>, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
    let nothing = RecordBatch::new_empty(Arc::clone(schema.inner()));
    physical.evaluate(&nothing)?;
    Ok(physical)
}
