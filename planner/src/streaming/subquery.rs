//! `WHERE EXISTS (SELECT …)` and `WHERE x IN (SELECT …)`: semi and anti joins.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::{Optimizer, OptimizerContext};

use std::sync::Arc;

use crate::error::PlanError;
use crate::logical::{refine, scope};

/// The plan with subqueries in conditions as joins; as it was if there are none.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for subqueries elsewhere; DataFusion's.
pub fn to_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !has_subquery(&plan)? {
        return Ok(plan);
    }
    let optimizer = Optimizer::with_rules(vec![Arc::new(DecorrelatePredicateSubquery::new())]);
    let context = OptimizerContext::new_with_config_options(Arc::new(scope::options()))
        .without_query_execution_start_time()
        .with_skip_failing_rules(false);
    let joined = optimizer.optimize(refine(plan)?, &context, |_, _| {})?;
    if has_subquery(&joined)? {
        let error = PlanError::unsupported("a subquery outside of WHERE in a streaming view");
        let hint = "Write WHERE EXISTS (SELECT 1 FROM … WHERE …), or a join.";
        return Err(error.hint(hint).into());
    }
    Ok(joined)
}

fn has_subquery(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= matches!(expr, Expr::InSubquery(_) | Expr::Exists(_));
                Ok(if found {
                    TreeNodeRecursion::Stop
                } else {
                    TreeNodeRecursion::Continue
                })
            })
        })
    })?;
    Ok(found)
}
