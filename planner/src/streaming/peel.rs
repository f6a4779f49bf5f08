//! Finds the window function under an aggregation, through the projections, filters and aliases
//! between them.
//!
//! Their expressions are rewritten to columns of the window's input, so that window and aggregation
//! become one operator however the query was written: CTE, subquery, filter, computed keys.

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, LogicalPlan};
use rtsap_plan::window::WindowSpec;

use crate::logical::window_node::WindowNode;

/// A window function and what stands above it.
pub(super) struct Peeled<'a> {
    /// The window function.
    pub node: &'a WindowNode,
    /// What stands above it, topmost first.
    layers: Vec<&'a LogicalPlan>,
}

impl<'a> Peeled<'a> {
    /// Looks for a window function below `plan`.
    pub fn find(plan: &'a LogicalPlan) -> Option<Self> {
        let mut layers = Vec::new();
        let mut at = plan;
        loop {
            at = match at {
                LogicalPlan::Projection(projection) => {
                    layers.push(at);
                    &projection.input
                }
                LogicalPlan::Filter(filter) => {
                    layers.push(at);
                    &filter.input
                }
                LogicalPlan::SubqueryAlias(alias) => {
                    layers.push(at);
                    &alias.input
                }
                LogicalPlan::Extension(extension) => {
                    let node = extension.node.as_any().downcast_ref::<WindowNode>()?;
                    return Some(Self { node, layers });
                }
                _ => return None,
            };
        }
    }

    /// Whether it gives sessions.
    pub fn is_session(&self) -> bool {
        matches!(self.node.window(), WindowSpec::Session { .. })
    }

    /// An expression over the topmost layer as one over the window function's columns.
    pub fn through(&self, expr: &Expr) -> Result<Expr> {
        substitute(expr.clone(), &self.layers)
    }

    /// All filters, as conditions over the window function's columns, one a conjunct.
    pub fn filters(&self) -> Result<Vec<Expr>> {
        let mut conditions = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            if let LogicalPlan::Filter(filter) = layer {
                let condition = substitute(filter.predicate.clone(), &self.layers[index + 1..])?;
                conditions.extend(split_conjunction_owned(condition));
            }
        }
        // The lowest filter is written first and checked first.
        conditions.reverse();
        Ok(conditions)
    }

    /// Whether an expression names one of the window's own columns.
    pub fn names_window(node: &WindowNode, expr: &Expr) -> bool {
        let mut found = false;
        // The closure never fails.
        let _ = expr.apply(|expr| {
            if let Expr::Column(column) = expr
                && node.window_column(column).is_some()
            {
                found = true;
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        found
    }
}

/// `expr` over the topmost of `layers` as one over what is below them all.
///
/// # Errors
/// If a column is not there, which would be a bug.
pub(super) fn substitute(mut expr: Expr, layers: &[&LogicalPlan]) -> Result<Expr> {
    for layer in layers {
        expr = match layer {
            LogicalPlan::Projection(projection) => replace(expr, |column| {
                let index = projection.schema.index_of_column(column)?;
                Ok(projection.expr[index].clone().unalias_nested().data)
            })?,
            LogicalPlan::SubqueryAlias(alias) => replace(expr, |column| {
                let index = alias.schema.index_of_column(column)?;
                Ok(Expr::from(alias.input.schema().qualified_field(index)))
            })?,
            _ => expr,
        };
    }
    Ok(expr)
}

fn replace(expr: Expr, by: impl Fn(&Column) -> Result<Expr>) -> Result<Expr> {
    let replaced = expr.transform_up(|expr| match &expr {
        Expr::Column(column) => Ok(Transformed::yes(by(column)?)),
        _ => Ok(Transformed::no(expr)),
    })?;
    Ok(replaced.data)
}
