//! Arithmetic of integers that fails where it would wrap.

use std::sync::Arc;

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
