//! Columns of an outer row in places from which DataFusion takes them out of their query wrongly:
//! it then answers, but another question.

use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// Whether `plan` names the outer row in or below an outer join, below an `OFFSET`, which would not
/// be looked at, or below a window function, which would run over the rows of all outer rows at
/// once.
///
/// # Errors
/// None.
pub fn is_misplaced(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found |= match node {
            LogicalPlan::Join(join) => outer_join(join)?,
            LogicalPlan::Window(window) => outer_rows(&window.input)?,
            LogicalPlan::Limit(limit) => limit.skip.is_some() && outer_rows(&limit.input)?,
            _ => false,
        };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn outer_join(join: &Join) -> Result<bool> {
    let sides: &[&LogicalPlan] = match join.join_type {
        JoinType::Left => &[&join.right],
        JoinType::Right => &[&join.left],
        JoinType::Full => &[&join.left, &join.right],
        _ => return Ok(false),
    };
    let condition = join.filter.iter().any(names_outer_row);
    let keys = join.on.iter();
    let mut keys = keys.flat_map(|(left, right)| [left, right]);
    let mut found = condition || keys.any(names_outer_row);
    for side in sides {
        found |= outer_rows(side)?;
    }
    Ok(found)
}

/// Whether `plan` names a row of a query around it.
fn outer_rows(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            found |= names_outer_row(expr);
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

fn names_outer_row(expr: &Expr) -> bool {
    expr.exists(|expr| Ok(matches!(expr, Expr::OuterReferenceColumn(..))))
        .unwrap_or(true)
}
