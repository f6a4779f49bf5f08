//! Subqueries as joins: `WHERE EXISTS (SELECT …)` and `x IN (SELECT …)` as semi and anti joins,
//! `(SELECT max(x) …)` as a value as an outer join with its one row.

use datafusion::common::JoinType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{
    BinaryExpr, Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit,
};
use datafusion::optimizer::decorrelate_predicate_subquery::DecorrelatePredicateSubquery;
use datafusion::optimizer::scalar_subquery_to_join::ScalarSubqueryToJoin;
use datafusion::optimizer::{Optimizer, OptimizerContext};

use std::sync::Arc;

use crate::error::PlanError;
use crate::logical::subquery::{ONE_ROW, has_one_row};
use crate::logical::{refine, scope, subquery};

/// The plan with subqueries as joins; as it was if there are none.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for subqueries that no join says; DataFusion's.
pub fn to_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    if !has_subquery(&plan)? {
        return Ok(plan);
    }
    let plan = subquery::plain(plan)?;
    check_single_rows(&plan)?;
    let optimizer = Optimizer::with_rules(vec![
        Arc::new(DecorrelatePredicateSubquery::new()),
        Arc::new(ScalarSubqueryToJoin::new()),
    ]);
    let mut options = scope::options();
    let joins = &mut options.optimizer;
    joins.enable_physical_uncorrelated_scalar_subquery = false;
    let context = OptimizerContext::new_with_config_options(Arc::new(options))
        .without_query_execution_start_time()
        .with_skip_failing_rules(false);
    let joined = optimizer.optimize(refine(plan)?, &context, |_, _| {})?;
    if has_subquery(&joined)? {
        let error = PlanError::unsupported("this subquery in a streaming view");
        let hint = "Write a join, or WHERE EXISTS (SELECT 1 FROM … WHERE a.k = b.k); for the first \
                    rows of each key ROW_NUMBER() OVER (PARTITION BY k ORDER BY x) in a subquery \
                    of FROM.";
        return Err(error.hint(hint).into());
    }
    let known = joined.transform_up(|node| match node {
        LogicalPlan::Join(join) if join.null_aware => not_in(join).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(known.data)
}

fn has_subquery(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        found |= matches!(node, LogicalPlan::Subquery(_));
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found |= matches!(
                    expr,
                    Expr::InSubquery(_)
                        | Expr::Exists(_)
                        | Expr::SetComparison(_)
                        | Expr::ScalarSubquery(_)
                );
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

/// A subquery as a value has one row at most; which only some have for certain.
fn check_single_rows(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| match expr {
                // A correlated one is an aggregate: DataFusion has seen to that.
                Expr::ScalarSubquery(Subquery {
                    subquery,
                    outer_ref_columns,
                    ..
                }) if outer_ref_columns.is_empty() && !has_one_row(subquery) => {
                    Err(several_rows().into())
                }
                Expr::ScalarFunction(call) if call.func.name() == ONE_ROW => {
                    Err(several_rows().into())
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

fn several_rows() -> PlanError {
    let error = PlanError::unsupported("a subquery as a value that may give several rows");
    error.hint(
        "Write an aggregate: (SELECT max(x) FROM …), or (SELECT x FROM … ORDER BY … LIMIT 1).",
    )
}

/// `x NOT IN (SELECT y …)`: true where no `y` equals `x`, and either there is no `y` at all or
/// neither `x` nor any `y` is null. The join sees to the first; the counts of rows and of values
/// tell the rest.
fn not_in(join: Join) -> Result<LogicalPlan> {
    let pairs = join.on.iter().cloned();
    let parts = join
        .filter
        .clone()
        .into_iter()
        .flat_map(split_conjunction_owned)
        .filter_map(|part| match part {
            Expr::BinaryExpr(BinaryExpr {
                left,
                op: Operator::Eq,
                right,
            }) => Some((*left, *right)),
            _ => None,
        });
    let mut pairs: Vec<(Expr, Expr)> = pairs.chain(parts).collect();
    let conditions = join.on.len()
        + join
            .filter
            .clone()
            .map_or(0, |filter| split_conjunction_owned(filter).len());
    let (Some((value, among)), 1) = (pairs.pop(), conditions) else {
        let error = PlanError::unsupported("NOT IN with a subquery that names the outer row");
        let hint = "Write NOT EXISTS (SELECT 1 FROM … WHERE …), which takes no null for unknown.";
        return Err(error.hint(hint).into());
    };
    let counts = "__not_in";
    let rows = count(lit(1_i64)).alias("__rows");
    let values = count(among).alias("__values");
    let counted = LogicalPlanBuilder::from(join.right.as_ref().clone())
        .aggregate(Vec::<Expr>::new(), [rows, values])?
        .alias(counts)?
        .build()?;
    let column = |name: &str| Expr::Column(datafusion::common::Column::new(Some(counts), name));
    let none = column("__rows").eq(lit(0_i64));
    let known = value
        .is_not_null()
        .and(column("__rows").eq(column("__values")));
    let visible: Vec<Expr> = join.left.schema().iter().map(Expr::from).collect();
    let plain = LogicalPlan::Join(Join {
        null_aware: false,
        ..join
    });
    LogicalPlanBuilder::from(plain)
        .join_on(counted, JoinType::Inner, [none.or(known)])?
        .project(visible)?
        .build()
}
