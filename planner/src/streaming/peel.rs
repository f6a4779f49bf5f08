//! Finds the window function under an aggregation, through the projections, filters and aliases
//! between them.
//!
//! Their expressions are rewritten to columns of the window's input, so that window and aggregation
//! become one operator however the query was written: CTE, subquery, filter, computed keys.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::Aggregate;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
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
        let Layers { above, base } = Layers::below(plan);
        let LogicalPlan::Extension(extension) = base else {
            return None;
        };
        let node = extension.node.as_any().downcast_ref::<WindowNode>()?;
        Some(Self {
            node,
            layers: above,
        })
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

/// Projections, filters and aliases above a plan.
pub(super) struct Layers<'a> {
    /// Topmost first.
    above: Vec<&'a LogicalPlan>,
    /// What is below them.
    base: &'a LogicalPlan,
}

impl<'a> Layers<'a> {
    /// Those of `plan`.
    pub fn below(plan: &'a LogicalPlan) -> Self {
        let (mut above, mut base) = (Vec::new(), plan);
        loop {
            let next = match base {
                LogicalPlan::Projection(projection) => &projection.input,
                LogicalPlan::Filter(filter) => &filter.input,
                LogicalPlan::SubqueryAlias(alias) => &alias.input,
                _ => return Self { above, base },
            };
            above.push(base);
            base = next;
        }
    }

    /// An expression over the topmost layer as one over the base.
    pub fn through(&self, expr: &Expr) -> Result<Expr> {
        substitute(expr.clone(), &self.above)
    }

    /// `aggregate`, whose input these layers are, over the base and its filters alone.
    pub fn lowered(&self, aggregate: &Aggregate) -> Result<Aggregate> {
        let mut input = LogicalPlanBuilder::from(self.base.clone());
        for (index, layer) in self.above.iter().enumerate().rev() {
            if let LogicalPlan::Filter(filter) = layer {
                let condition = substitute(filter.predicate.clone(), &self.above[index + 1..])?;
                input = input.filter(condition)?;
            }
        }
        let all = |exprs: &[Expr]| exprs.iter().map(|expr| self.through(expr)).collect();
        let (groups, aggregates): (Result<Vec<Expr>>, Result<Vec<Expr>>) =
            (all(&aggregate.group_expr), all(&aggregate.aggr_expr));
        Aggregate::try_new_with_schema(
            Arc::new(input.build()?),
            groups?,
            aggregates?,
            Arc::clone(&aggregate.schema),
        )
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
