//! Columns of an outer row in places from which DataFusion takes them out of their query wrongly:
//! it then answers, but another question.

use datafusion::common::JoinType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::{Expr, LogicalPlan};

use crate::error::PlanError;

/// Refuses queries inside of others that name the outer row in an outer join, and window functions
/// in lateral queries, which would run over the rows of all outer rows at once.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`], inside of DataFusion's error.
pub fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Join(join) = node {
            outer_join(join)?;
            for side in [&join.left, &join.right] {
                lateral(side)?;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn outer_join(join: &Join) -> Result<()> {
    let sides: &[&LogicalPlan] = match join.join_type {
        JoinType::Left => &[&join.right],
        JoinType::Right => &[&join.left],
        JoinType::Full => &[&join.left, &join.right],
        _ => return Ok(()),
    };
    let condition = join.filter.iter().any(names_outer_row);
    let on = join.on.iter();
    let keys = on
        .clone()
        .any(|(left, right)| names_outer_row(left) || names_outer_row(right));
    let mut found = condition || keys;
    for side in sides.iter().filter(|side| !is_lateral(side)) {
        found |= outer_rows(side)?;
    }
    if !found {
        return Ok(());
    }
    let error = PlanError::unsupported("an outer join that names a column of the outer query");
    let error = error.hint("Write that condition into the WHERE of the subquery.");
    Err(DataFusionError::from(error))
}

/// Whether a relation is a query that may name the rows beside it.
fn is_lateral(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => is_lateral(&alias.input),
        LogicalPlan::Subquery(_) => true,
        _ => false,
    }
}

fn lateral(plan: &LogicalPlan) -> Result<()> {
    let subquery = match plan {
        LogicalPlan::SubqueryAlias(alias) => return lateral(&alias.input),
        LogicalPlan::Subquery(subquery) if !subquery.outer_ref_columns.is_empty() => subquery,
        _ => return Ok(()),
    };
    let window = subquery
        .subquery
        .exists(|node| Ok(matches!(node, LogicalPlan::Window(_))))?;
    if !window {
        return Ok(());
    }
    let error = PlanError::unsupported("a window function in a lateral query");
    let hint = "Add PARTITION BY the outer row's key to OVER in a query around the join.";
    Err(DataFusionError::from(error.hint(hint)))
}

/// Whether `plan` names a row of a query around it, its own lateral queries aside.
fn outer_rows(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        if matches!(node, LogicalPlan::Subquery(_)) {
            return Ok(TreeNodeRecursion::Jump);
        }
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
