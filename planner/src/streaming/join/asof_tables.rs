//! ASOF joins of rows that change: which row is the latest is asked anew whenever one of them does.
//!
//! ```text
//! left ⋈ distinct rows of the right side, on keys and t.ts >= q.ts ──▶ rank by q.ts, descending, of
//! each left row ──▶ the first
//! ```
//!
//! Both sides are kept, so this is for tables and views; rows of streams are joined by event time.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Column, DFSchema, JoinType, Result, ScalarValue};
use datafusion::functions_window::expr_fn::rank;
use datafusion::logical_expr::expr::Sort;
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Operator, binary_expr, lit,
};
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::join::Side;
use rtsap_plan::operator::Emit;
use rtsap_stream::change::ChangelogMode;

use super::Joined;
use super::condition::side_of;
use crate::error::PlanError;
use crate::logical::join_marker::{Mark, Marker};
use crate::streaming::Compiler;

/// The number that picks the row.
const NUMBER: &str = "__asof_rank";

/// `left.ts >= right.ts`, turned so that the left side stands first.
struct Comparison {
    left: Expr,
    op: Operator,
    right: Expr,
}

impl Compiler<'_> {
    /// Whether an ASOF join is one of tables: at least one side cannot be joined by event time, and
    /// all rows of both are kept anyway.
    pub(super) fn joins_tables(&self, sides: [NodeIndex; 2], mark: Mark) -> bool {
        let modes = sides.map(|side| self.properties(side).mode);
        let timed = sides
            .iter()
            .all(|side| self.properties(*side).event_time.is_some());
        let by_time =
            timed && modes[0] == ChangelogMode::Append && modes[1] != ChangelogMode::Retract;
        let kept = |side: &NodeIndex| {
            self.is_bounded(*side) || self.properties(*side).mode != ChangelogMode::Append
        };
        mark == Mark::Asof && !by_time && sides.iter().all(kept)
    }

    pub(super) fn asof_of_tables(
        &mut self,
        join: &Join,
        joined: &Joined<'_>,
        marker: &Marker<'_>,
    ) -> Result<NodeIndex, PlanError> {
        let comparison = comparison(joined).ok_or_else(|| {
            let error = PlanError::unsupported("an ASOF JOIN without one comparison t.x >= q.x");
            let hint = "Write ON t.symbol = q.symbol AND t.x >= q.x, and nothing else.";
            self.at_word(error.hint(hint), "JOIN")
        })?;
        let tolerance_nanos = match marker.argument {
            Some(argument) => Some(self.tolerance(argument)?),
            None => None,
        };
        let plan = ranked(join, joined, &comparison, tolerance_nanos);
        let plan = plan.map_err(|error| self.ours(&error))?;
        self.node(&plan, Emit::Changes)
    }
}

fn comparison(joined: &Joined<'_>) -> Option<Comparison> {
    let [Expr::BinaryExpr(BinaryExpr { left, op, right })] = joined.conditions.rest.as_slice()
    else {
        return None;
    };
    let [on_left, on_right] = [Side::Left, Side::Right].map(|side| joined.schema(side));
    let sides = (
        side_of(left, on_left, on_right)?,
        side_of(right, on_left, on_right)?,
    );
    let turned = match sides {
        (Side::Left, Side::Right) => false,
        (Side::Right, Side::Left) => true,
        _ => return None,
    };
    let compares = matches!(
        op,
        Operator::Gt | Operator::GtEq | Operator::Lt | Operator::LtEq
    );
    let (left, right) = (left.as_ref().clone(), right.as_ref().clone());
    match turned {
        _ if !compares => None,
        false => Some(Comparison {
            left,
            op: *op,
            right,
        }),
        true => Some(Comparison {
            left: right,
            op: op.swap()?,
            right: left,
        }),
    }
}

fn ranked(
    join: &Join,
    joined: &Joined<'_>,
    comparison: &Comparison,
    tolerance_nanos: Option<i64>,
) -> Result<LogicalPlan> {
    let [left, right] = joined.plans;
    let all = |schema: &DFSchema| -> Vec<Expr> {
        schema
            .iter()
            .map(|field| Expr::Column(Column::from(field)))
            .collect()
    };
    let (left_columns, right_columns) = (all(left.schema()), all(right.schema()));
    let distinct = LogicalPlanBuilder::from(right.clone())
        .aggregate(right_columns.clone(), Vec::<Expr>::new())?
        .build()?;
    let Comparison {
        left: time,
        op,
        right: other,
    } = comparison;
    let mut filter = vec![binary_expr(time.clone(), *op, other.clone())];
    let before = matches!(op, Operator::Gt | Operator::GtEq);
    if let Some(nanos) = tolerance_nanos {
        let reach = lit(ScalarValue::new_interval_mdn(0, 0, nanos));
        let (early, late) = match before {
            true => (other, time),
            false => (time, other),
        };
        let reached = binary_expr(early.clone(), Operator::Plus, reach);
        filter.push(binary_expr(late.clone(), Operator::LtEq, reached));
    }
    let joined = LogicalPlan::Join(Join::try_new(
        Arc::clone(&join.left),
        Arc::new(distinct),
        joined.conditions.equal.clone(),
        conjunction(filter),
        match join.join_type {
            JoinType::Left => JoinType::Left,
            _ => JoinType::Inner,
        },
        join.join_constraint,
        join.null_equality,
        false,
    )?);
    // Of rows that are as late as each other, the first by its other columns.
    let mut order = vec![Sort::new(other.clone(), !before, false)];
    let comparable = |(expr, field): (&Expr, &FieldRef)| {
        let nested = matches!(
            field.data_type(),
            DataType::List(_) | DataType::Struct(_) | DataType::Map(..)
        );
        (!nested).then(|| Sort::new(expr.clone(), true, false))
    };
    let rest = right_columns.iter().zip(right.schema().fields());
    order.extend(rest.filter_map(comparable));
    let number = rank()
        .partition_by(left_columns.clone())
        .order_by(order)
        .build()?
        .alias(NUMBER);
    LogicalPlanBuilder::from(joined)
        .window(vec![number])?
        .filter(Expr::Column(Column::from_name(NUMBER)).lt_eq(lit(1_u64)))?
        .project(left_columns.into_iter().chain(right_columns))?
        .build()
}
