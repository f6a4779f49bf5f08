//! `LATERAL (SELECT …)`: a subquery of FROM that names columns of the relations before it, as a
//! join with all its rows; with `ORDER BY … LIMIT n`, with the first n rows of each key.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, TableReference};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::logical_plan::{FetchType, Join, Sort, SubqueryAlias};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Operator, lit,
};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;
use datafusion::optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion::optimizer::{OptimizerContext, OptimizerRule};

use crate::error::PlanError;

/// The number of a row among those of its outer row.
const NUMBER: &str = "__lateral_number";

/// The plan with lateral subqueries as joins.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for a limit that no join says; DataFusion's.
pub fn to_joins(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(join) => joined(join),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rewritten.data)
}

/// A lateral subquery and its name.
fn lateral(plan: &LogicalPlan) -> Option<(&LogicalPlan, Option<&TableReference>)> {
    match plan {
        LogicalPlan::Subquery(subquery) => Some((&subquery.subquery, None)),
        LogicalPlan::SubqueryAlias(alias) => match alias.input.as_ref() {
            LogicalPlan::Subquery(subquery) => Some((&subquery.subquery, Some(&alias.alias))),
            _ => None,
        },
        _ => None,
    }
}

fn joined(join: Join) -> Result<Transformed<LogicalPlan>> {
    let Some((subquery, alias)) = lateral(&join.right) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    if subquery.all_out_ref_exprs().is_empty() {
        let plain = named(subquery.clone(), alias)?;
        let right = Arc::new(plain);
        return Ok(Transformed::yes(LogicalPlan::Join(Join { right, ..join })));
    }
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        return Err(unsupported("a LATERAL subquery of a RIGHT or FULL JOIN").into());
    }
    // The result has the columns of the join that was, no keys beside them.
    let columns: Vec<Expr> = join.schema.iter().map(Expr::from).collect();
    let Some(limited) = Limited::of(subquery)? else {
        let rule = DecorrelateLateralJoin::new();
        let rewritten = rule.rewrite(LogicalPlan::Join(join), &OptimizerContext::new())?;
        return rewritten.transform_data(|plan| {
            let plan = LogicalPlanBuilder::from(plan).project(columns)?.build()?;
            Ok(Transformed::yes(plan))
        });
    };
    let Some(alias) = alias else {
        let error = PlanError::unsupported("a LATERAL subquery without a name");
        return Err(error.hint("Write LATERAL (SELECT …) AS l.").into());
    };
    let (rows, conditions, inner) = limited.first_rows()?;
    let mut on = Vec::new();
    for condition in conditions {
        on.push(requalified(condition, &inner, alias)?);
    }
    on.extend(join.on.iter().cloned().map(|(left, right)| left.eq(right)));
    on.extend(join.filter.clone());
    let plan = LogicalPlanBuilder::from(join.left.as_ref().clone())
        .join_on(named(rows, Some(alias))?, join.join_type, on)?
        .project(columns)?
        .build()?;
    Ok(Transformed::yes(plan))
}

fn named(plan: LogicalPlan, alias: Option<&TableReference>) -> Result<LogicalPlan> {
    match alias {
        Some(alias) => {
            let alias = SubqueryAlias::try_new(Arc::new(plan), alias.clone())?;
            Ok(LogicalPlan::SubqueryAlias(alias))
        }
        None => Ok(plan),
    }
}

fn requalified(expr: Expr, inner: &BTreeSet<Column>, alias: &TableReference) -> Result<Expr> {
    let moved = expr.transform_up(|expr| match expr {
        Expr::Column(column) if inner.contains(&column) => {
            let column = Column::new(Some(alias.clone()), column.name);
            Ok(Transformed::yes(Expr::Column(column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(moved.data)
}

/// `SELECT … ORDER BY … LIMIT n`.
struct Limited<'a> {
    rows: u64,
    sort: &'a Sort,
    /// What is selected of the sorted rows; all of them if `None`.
    selected: Option<&'a [Expr]>,
}

impl<'a> Limited<'a> {
    fn of(plan: &'a LogicalPlan) -> Result<Option<Self>> {
        let LogicalPlan::Limit(limit) = plan else {
            return Ok(None);
        };
        let rows = match limit.get_fetch_type()? {
            FetchType::Literal(Some(rows)) if limit.skip.is_none() => rows,
            _ => return Err(unsupported("OFFSET in a LATERAL subquery").into()),
        };
        let (sorted, selected) = match limit.input.as_ref() {
            LogicalPlan::Projection(projection) => {
                (projection.input.as_ref(), Some(projection.expr.as_slice()))
            }
            other => (other, None),
        };
        let LogicalPlan::Sort(sort) = sorted else {
            let hint = "Write ORDER BY before LIMIT: without it any rows are the first.";
            let error = PlanError::unsupported("LIMIT without ORDER BY in a LATERAL subquery");
            return Err(error.hint(hint).into());
        };
        Ok(Some(Self {
            rows: rows as u64,
            sort,
            selected,
        }))
    }

    /// The first rows of each key, the conditions that tie them to the outer row, and which of
    /// the columns in them are inner ones.
    fn first_rows(&self) -> Result<(LogicalPlan, Vec<Expr>, BTreeSet<Column>)> {
        let mut pull_up = PullUpCorrelatedExpr::new();
        let input = self.sort.input.as_ref().clone();
        let rows = input.rewrite(&mut pull_up)?.data;
        let conditions = pull_up.join_filters;
        let inner: BTreeSet<Column> = pull_up
            .correlated_subquery_cols_map
            .into_values()
            .flatten()
            .collect();
        // Behind a name of its own a column has that name.
        let keys: Vec<Expr> = inner
            .iter()
            .filter(|column| rows.schema().has_column(column))
            .cloned()
            .map(Expr::Column)
            .collect();
        let equal = |condition: &Expr| is_equality(condition, &inner);
        if !pull_up.can_pull_up || keys.is_empty() || !conditions.iter().all(equal) {
            let what = "LIMIT in a LATERAL subquery that is not tied by equal columns";
            return Err(unsupported(what).into());
        }
        let number = row_number()
            .partition_by(keys.clone())
            .order_by(self.sort.expr.clone())
            .build()?
            .alias(NUMBER);
        let mut selected: Vec<Expr> = match self.selected {
            Some(exprs) => exprs.to_vec(),
            None => self.sort.input.schema().iter().map(Expr::from).collect(),
        };
        for key in keys {
            if !selected.contains(&key) {
                selected.push(key);
            }
        }
        let all: Vec<Expr> = rows.schema().iter().map(Expr::from).collect();
        let first = Expr::Column(Column::new_unqualified(NUMBER)).lt_eq(lit(self.rows));
        let plan = LogicalPlanBuilder::from(rows)
            .window([number.clone()])?
            .project(all.into_iter().chain([number]))?
            .filter(first)?
            .project(selected)?
            .build()?;
        Ok((plan, conditions, inner))
    }
}

/// Whether the condition is `inner = outer`, with a column on the inner side.
fn is_equality(condition: &Expr, inner: &BTreeSet<Column>) -> bool {
    let Expr::BinaryExpr(BinaryExpr {
        left,
        op: Operator::Eq,
        right,
    }) = condition
    else {
        return false;
    };
    let is_inner = |expr: &Expr| matches!(expr, Expr::Column(column) if inner.contains(column));
    let is_outer = |expr: &Expr| {
        expr.column_refs()
            .iter()
            .all(|column| !inner.contains(*column))
    };
    (is_inner(left) && is_outer(right)) || (is_outer(left) && is_inner(right))
}

fn unsupported(what: &'static str) -> PlanError {
    PlanError::unsupported(what).hint(
        "Write a join with SELECT … FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY x) \
         AS rn FROM …) WHERE rn <= n.",
    )
}
