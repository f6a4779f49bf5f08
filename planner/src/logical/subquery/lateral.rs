//! `LATERAL (SELECT …)`: a subquery of FROM that names columns of the relations before it, as a
//! join with all its rows; with `ORDER BY … LIMIT n`, with the first n rows of each key.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, JoinType, TableReference};
use datafusion::error::Result;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr_rewriter::strip_outer_reference;
use datafusion::logical_expr::logical_plan::{FetchType, Join, Sort, SubqueryAlias};
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Operator, lit,
};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;
use datafusion::optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion::optimizer::{OptimizerContext, OptimizerRule};

use super::dependent::{Dependent, outer_columns};
use super::outer_row::is_misplaced;
use crate::error::PlanError;

/// The number of a row among those of its outer row.
const NUMBER: &str = "__lateral_number";

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

/// `join` with the lateral subquery that it has, if any, as a join with all its rows.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] beside a RIGHT or FULL JOIN, and for nodes that outer
/// columns do not go through; DataFusion's.
pub(super) fn joined(join: Join, dependent: &Dependent) -> Result<Transformed<LogicalPlan>> {
    let Some((subquery, alias)) = lateral(&join.right) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    if outer_columns(subquery)?.is_empty() {
        let plain = named(subquery.clone(), alias)?;
        let right = Arc::new(plain);
        return Ok(Transformed::yes(LogicalPlan::Join(Join { right, ..join })));
    }
    if !matches!(join.join_type, JoinType::Inner | JoinType::Left) {
        let error = PlanError::unsupported("a LATERAL subquery of a RIGHT or FULL JOIN");
        return Err(error
            .hint("Write it on the right of an inner or a LEFT JOIN.")
            .into());
    }
    if let Some(exprs) = computed(subquery, &join) {
        let alias = alias.cloned();
        let exprs = exprs.into_iter().map(|expr| {
            let name = expr.schema_name().to_string();
            let bare = strip_outer_reference(expr.unalias());
            bare.alias_qualified(alias.clone(), name)
        });
        let left: Vec<Expr> = join.left.schema().iter().map(Expr::from).collect();
        let plan = LogicalPlanBuilder::from(join.left.as_ref().clone())
            .project(left.into_iter().chain(exprs))?;
        let plan = match join.filter {
            Some(filter) => plan.filter(filter)?.build()?,
            None => plan.build()?,
        };
        return Ok(Transformed::yes(plan));
    }
    let simple = match is_misplaced(subquery)? {
        true => None,
        false => plain(&join, subquery, alias)?,
    };
    let plan = match simple {
        Some(plan) => plan,
        None => dependent.lateral(&join, subquery, alias)?,
    };
    Ok(Transformed::yes(plan))
}

/// The join, if conditions are all that names the outer row.
fn plain(
    join: &Join,
    subquery: &LogicalPlan,
    alias: Option<&TableReference>,
) -> Result<Option<LogicalPlan>> {
    // The result has the columns of the join that was, no keys beside them.
    let columns: Vec<Expr> = join.schema.iter().map(Expr::from).collect();
    if !matches!(subquery, LogicalPlan::Limit(_)) {
        let rule = DecorrelateLateralJoin::new();
        let plan = LogicalPlan::Join(join.clone());
        let Ok(rewritten) = rule.rewrite(plan, &OptimizerContext::new()) else {
            return Ok(None);
        };
        let local = join.left.schema();
        let rest = outer_columns(&rewritten.data)?;
        if lateral_left(&rewritten.data)? || rest.iter().any(|column| local.has_column(column)) {
            return Ok(None);
        }
        let plan = LogicalPlanBuilder::from(rewritten.data).project(columns)?;
        return plan.build().map(Some);
    }
    let (Some(limited), Some(alias)) = (Limited::of(subquery)?, alias) else {
        return Ok(None);
    };
    let Some((rows, conditions, inner)) = limited.first_rows()? else {
        return Ok(None);
    };
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
    Ok(Some(plan))
}

/// Whether a lateral subquery is still there.
fn lateral_left(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|node| Ok(matches!(node, LogicalPlan::Subquery(_))))
}

/// The columns of `LATERAL (SELECT a.x * 2 AS y)`, which reads nothing of its own.
fn computed(subquery: &LogicalPlan, join: &Join) -> Option<Vec<Expr>> {
    let LogicalPlan::Projection(projection) = subquery else {
        return None;
    };
    let one_row = matches!(
        projection.input.as_ref(),
        LogicalPlan::EmptyRelation(empty) if empty.produce_one_row
    );
    let always = join
        .filter
        .as_ref()
        .is_none_or(|filter| *filter == lit(true));
    let kept = join.join_type == JoinType::Inner || always;
    (one_row && kept && join.on.is_empty()).then(|| projection.expr.clone())
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

/// First rows, conditions, inner columns.
type FirstRows = (LogicalPlan, Vec<Expr>, BTreeSet<Column>);

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
            _ => return Ok(None),
        };
        let (sorted, selected) = match limit.input.as_ref() {
            LogicalPlan::Projection(projection) => {
                (projection.input.as_ref(), Some(projection.expr.as_slice()))
            }
            other => (other, None),
        };
        let LogicalPlan::Sort(sort) = sorted else {
            return Ok(None);
        };
        Ok(Some(Self {
            rows: rows as u64,
            sort,
            selected,
        }))
    }

    /// The first rows of each key, the conditions that tie them to the outer row, and which of
    /// the columns in them are inner ones; `None` if other than equal columns tie them.
    fn first_rows(&self) -> Result<Option<FirstRows>> {
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
            return Ok(None);
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
        Ok(Some((plan, conditions, inner)))
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
