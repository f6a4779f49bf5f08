//! Brings conditions to where they belong before joins are compiled: `WHERE` over an inner join
//! into the join, and conditions on one side below it, where they keep rows out of the state.
//!
//! DataFusion's own rule would also move conditions below windows, which tears a window and its
//! aggregation apart.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result};
use datafusion::logical_expr::logical_plan::{Filter, Join, Projection};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::optimizer::eliminate_cross_join::EliminateCrossJoin;
use datafusion::optimizer::{OptimizerContext, OptimizerRule};
use rtsap_plan::join::Side;

use super::condition::side_of;
use crate::logical::horizon_node::HorizonNode;
use crate::logical::join_marker::{self, Mark};
use crate::logical::scope::StreamTable;

/// The plan with conditions moved.
///
/// # Errors
/// DataFusion's, if a filter cannot be built.
pub fn into_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    let moved = plan.transform_down(|node| match node {
        LogicalPlan::Filter(filter) => over_join(filter),
        LogicalPlan::Join(join) => below_join(join),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(moved.data)
}

/// The plan with the event times of all joins named in their conditions, so that they are not
/// pruned, where rows are forgotten by them: in a view with a `state_ttl`.
///
/// # Errors
/// DataFusion's, if a node cannot be built.
pub fn kept_times(plan: LogicalPlan, state_ttl_nanos: Option<i64>) -> Result<LogicalPlan> {
    if state_ttl_nanos.is_none() {
        return Ok(plan);
    }
    let kept = plan.transform_down(|node| {
        let LogicalPlan::Join(join) = node else {
            return Ok(Transformed::no(node));
        };
        let sides = [&join.left, &join.right];
        let times = sides.into_iter().filter_map(|side| {
            let time = event_time(side)?;
            Some(Expr::from(side.schema().qualified_field(time)))
        });
        let times: Vec<Expr> = times.collect();
        let marker = join_marker::function(join_marker::TIMES);
        let Some(marker) = marker.filter(|_| !times.is_empty() && !is_marked(&join)) else {
            return Ok(Transformed::no(LogicalPlan::Join(join)));
        };
        let parts = join.filter.clone().into_iter().chain([marker.call(times)]);
        let filter = conjunction(parts);
        Ok(Transformed::yes(LogicalPlan::Join(Join { filter, ..join })))
    })?;
    Ok(kept.data)
}

fn is_marked(join: &Join) -> bool {
    join.filter.as_ref().and_then(join_marker::of).is_some()
}

/// `FROM a, b, c WHERE a.x = c.x AND b.y = c.y` in an order in which each relation is joined with
/// one that it is compared with: in the order as written, all rows of `a` and `b` would be paired.
///
/// # Errors
/// DataFusion's, if a node cannot be built.
pub fn without_products(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut marked = false;
    plan.apply_with_subqueries(|node| {
        marked |= matches!(node, LogicalPlan::Join(join) if is_marked(join));
        Ok(TreeNodeRecursion::Continue)
    })?;
    if marked {
        return Ok(plan);
    }
    let ordered = plan.transform_down_with_subqueries(|node| match &node {
        LogicalPlan::Filter(filter) if has_product(&filter.input) => {
            let ordered = EliminateCrossJoin::new().rewrite(node, &OptimizerContext::new())?;
            ordered.map_data(below_projection)
        }
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(ordered.data)
}

/// A condition over columns in another order, as one on the columns themselves.
fn below_projection(plan: LogicalPlan) -> Result<LogicalPlan> {
    let LogicalPlan::Filter(filter) = &plan else {
        return Ok(plan);
    };
    let LogicalPlan::Projection(projection) = filter.input.as_ref() else {
        return Ok(plan);
    };
    let is_column = |expr: &Expr| matches!(expr, Expr::Column(_));
    if !projection.expr.iter().all(is_column) {
        return Ok(plan);
    }
    let below = Filter::try_new(filter.predicate.clone(), Arc::clone(&projection.input))?;
    let below = Arc::new(LogicalPlan::Filter(below));
    Projection::try_new(projection.expr.clone(), below).map(LogicalPlan::Projection)
}

/// Whether inner joins pair all rows of two relations.
fn has_product(plan: &LogicalPlan) -> bool {
    let LogicalPlan::Join(join) = plan else {
        return false;
    };
    let filter = join.filter.as_ref();
    let pairs_all = join.on.is_empty() && filter.is_none_or(|filter| *filter == lit(true));
    join.join_type == JoinType::Inner
        && (pairs_all || has_product(&join.left) || has_product(&join.right))
}

/// `WHERE` over an inner join becomes part of its condition.
fn over_join(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Join(join) = filter.input.as_ref() else {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    };
    if join.join_type != JoinType::Inner || is_marked(join) {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let mut parts: Vec<Expr> = join
        .filter
        .clone()
        .into_iter()
        .flat_map(split_conjunction_owned)
        .collect();
    parts.extend(split_conjunction_owned(filter.predicate));
    let join = Join {
        filter: conjunction(parts),
        ..join.clone()
    };
    let Transformed { data, tnr, .. } = below_join(join)?;
    Ok(Transformed::new(data, true, tnr))
}

/// Conditions on one side go below the join where rows that fail them are in no result.
fn below_join(join: Join) -> Result<Transformed<LogicalPlan>> {
    let join = match with_version_time(&join) {
        Some(marked) => return Ok(Transformed::yes(LogicalPlan::Join(marked))),
        None => join,
    };
    let sinks = |side| match join.join_type {
        JoinType::Inner | JoinType::LeftSemi | JoinType::RightSemi => true,
        JoinType::Left | JoinType::LeftAnti => side == Side::Right,
        JoinType::Right | JoinType::RightAnti => side == Side::Left,
        _ => false,
    };
    if join.filter.is_none() || is_marked(&join) {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let (mut left, mut right, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for part in join
        .filter
        .clone()
        .into_iter()
        .flat_map(split_conjunction_owned)
    {
        if join_marker::keeps_times(&part) {
            rest.push(part);
            continue;
        }
        match side_of(&part, join.left.schema(), join.right.schema()) {
            Some(Side::Left) if sinks(Side::Left) => left.push(part),
            Some(Side::Right) if sinks(Side::Right) => right.push(part),
            _ => rest.push(part),
        }
    }
    let changed = !left.is_empty() || !right.is_empty();
    let join = Join {
        left: filtered(Arc::clone(&join.left), left)?,
        right: filtered(Arc::clone(&join.right), right)?,
        filter: conjunction(rest),
        ..join
    };
    let join = LogicalPlan::Join(join);
    Ok(if changed {
        Transformed::yes(join)
    } else {
        Transformed::no(join)
    })
}

/// A join with past rows with the event times that it goes by named in its condition, so that the
/// column is not pruned; `None` if it is none or has that already.
fn with_version_time(join: &Join) -> Option<Join> {
    let Some(Expr::ScalarFunction(call)) = &join.filter else {
        return None;
    };
    let marker = join.filter.as_ref().and_then(join_marker::of)?;
    let sides: &[&Arc<LogicalPlan>] = match (marker.mark, call.args.len()) {
        (Mark::Version, 2) => &[&join.right],
        (Mark::Implied { .. }, 3) => &[&join.left, &join.right],
        _ => return None,
    };
    let mut call = call.clone();
    for side in sides {
        let time = event_time(side)?;
        let field = side.schema().qualified_field(time);
        call.args.push(Expr::from(field));
    }
    Some(Join {
        filter: Some(Expr::ScalarFunction(call)),
        ..join.clone()
    })
}

/// The event-time column of a relation, through what passes it on.
pub(crate) fn event_time(plan: &LogicalPlan) -> Option<usize> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let table = scan.source.downcast_ref::<StreamTable>()?;
            let time = table.relation.event_time?;
            match &scan.projection {
                None => Some(time),
                Some(columns) => columns.iter().position(|column| *column == time),
            }
        }
        LogicalPlan::SubqueryAlias(alias) => event_time(&alias.input),
        LogicalPlan::Filter(filter) => event_time(&filter.input),
        LogicalPlan::Extension(extension) => {
            let horizon = extension.node.as_any().downcast_ref::<HorizonNode>()?;
            horizon.timestamp_index()
        }
        LogicalPlan::Projection(projection) => {
            let time = event_time(&projection.input)?;
            let passes = |expr: &Expr| match expr.clone().unalias_nested().data {
                Expr::Column(column) => {
                    projection.input.schema().maybe_index_of_column(&column) == Some(time)
                }
                _ => false,
            };
            projection.expr.iter().position(passes)
        }
        _ => None,
    }
}

fn filtered(plan: Arc<LogicalPlan>, parts: Vec<Expr>) -> Result<Arc<LogicalPlan>> {
    match conjunction(parts) {
        Some(predicate) => {
            let filter = Filter::try_new(predicate, plan)?;
            Ok(Arc::new(LogicalPlan::Filter(filter)))
        }
        None => Ok(plan),
    }
}
