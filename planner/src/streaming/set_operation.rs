//! `EXCEPT` and `INTERSECT`, with and without `ALL`: counts of each row by side.
//!
//! DataFusion makes anti and semi joins of them, which know no multiplicities. Here both sides are
//! put together, each row with a mark of its side, and counted: which rows are in the result
//! follows from the two counts, and stays right when rows of either side go.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, JoinType, NullEquality, Result};
use datafusion::functions_aggregate::expr_fn::sum;
use datafusion::functions_nested::range::range_udf;
use datafusion::logical_expr::logical_plan::{Distinct, Join};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, col, lit, when};

/// How many rows of the left side, and of the right one, are equal to a row.
const COUNTS: [&str; 2] = ["__left_rows", "__right_rows"];

/// How often a row is in the result, as a list of that length.
const COPIES: &str = "__copies";

/// The plan with set operations as counts.
///
/// # Errors
/// DataFusion's, if a node cannot be built.
pub fn to_counts(plan: LogicalPlan) -> Result<LogicalPlan> {
    let counted = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) if is_set_operation(&join) => counted(join).map(Transformed::yes),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(counted.data)
}

/// Only set operations take nulls as equal in a plan as written.
fn is_set_operation(join: &Join) -> bool {
    join.null_equality == NullEquality::NullEqualsNull
        && join.filter.is_none()
        && matches!(join.join_type, JoinType::LeftAnti | JoinType::LeftSemi)
}

fn counted(join: Join) -> Result<LogicalPlan> {
    let schema = std::sync::Arc::clone(join.left.schema());
    let except = join.join_type == JoinType::LeftAnti;
    let (left, all) = match join.left.as_ref() {
        // Of distinct rows ALL means nothing more.
        LogicalPlan::Distinct(Distinct::All(rows)) => (rows.as_ref(), false),
        rows => (rows, true),
    };
    let left = marked(left, [1, 0])?;
    let right = marked(join.right.as_ref(), [0, 1])?;
    let width = schema.fields().len();
    let counts = COUNTS.map(|name| sum(col(name)).alias(name));
    let counted = LogicalPlanBuilder::from(left)
        .union(right)?
        .aggregate((0..width).map(|index| col(column(index))), counts)?;
    let [left, right] = COUNTS.map(col);
    let kept = match (except, all) {
        (true, false) => left
            .clone()
            .gt(lit(0_i64))
            .and(right.clone().eq(lit(0_i64))),
        (true, true) => left.clone().gt(right.clone()),
        (false, _) => left
            .clone()
            .gt(lit(0_i64))
            .and(right.clone().gt(lit(0_i64))),
    };
    let mut result = counted.filter(kept)?;
    if all {
        let times = match except {
            true => left - right,
            false => when(left.clone().lt(right.clone()), left).otherwise(right)?,
        };
        let mut exprs: Vec<Expr> = (0..width).map(|index| col(column(index))).collect();
        exprs.push(range_udf().call(vec![times]).alias(COPIES));
        result = result.project(exprs)?.unnest_column(COPIES)?;
    }
    result.project(names(&schema))?.build()
}

/// The columns by their places, and the marks of the side.
fn marked(rows: &LogicalPlan, marks: [i64; 2]) -> Result<LogicalPlan> {
    let columns = rows.schema().iter().enumerate();
    let mut exprs: Vec<Expr> = columns
        .map(|(index, field)| Expr::from(field).alias(column(index)))
        .collect();
    for (name, mark) in COUNTS.iter().zip(marks) {
        exprs.push(lit(mark).alias(*name));
    }
    LogicalPlanBuilder::from(rows.clone())
        .project(exprs)?
        .build()
}

/// The columns under the names of the left side.
fn names(schema: &DFSchema) -> Vec<Expr> {
    let named = schema
        .iter()
        .enumerate()
        .map(|(index, (qualifier, field))| {
            col(column(index)).alias_qualified(qualifier.cloned(), field.name())
        });
    named.collect()
}

fn column(index: usize) -> String {
    format!("__column_{index}")
}
