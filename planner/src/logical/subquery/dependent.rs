//! Subqueries that name the outer row anywhere, as joins (Neumann and Kemper, "Unnesting Arbitrary
//! Queries", 2015): the subquery is computed once for each different value of the outer columns,
//! beside those values, and joined with the outer rows by them.
//!
//! Only for what DataFusion's own rules cannot do, or do wrongly: they pull conditions out of the
//! subquery, which costs less.

mod domain;
mod single;
mod unnest;

use std::cell::Cell;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, JoinType, TableReference};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::logical_plan::check_subquery_expr;
use datafusion::logical_expr::logical_plan::{Filter, Join, SubqueryAlias};
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Subquery};
use datafusion::optimizer::decorrelate::PullUpCorrelatedExpr;

use self::domain::Domain;
pub(super) use self::domain::outer_columns;
use self::single::one_row;
pub(crate) use self::single::{ONE_ROW, has_one_row};
use super::outer_row;

/// What the value of a subquery is called.
const VALUE: &str = "__value";

/// Makes joins, each with names of its own.
#[derive(Debug, Default)]
pub(super) struct Dependent {
    names: Cell<usize>,
}

impl Dependent {
    fn number(&self) -> usize {
        let number = self.names.get();
        self.names.set(number + 1);
        number
    }

    /// `node` with those of its subqueries joined that DataFusion would refuse. Its inputs and the
    /// subqueries in them have been looked at before.
    ///
    /// # Errors
    /// [`crate::error::Cause::Unsupported`] for a node that no such join goes through.
    pub(super) fn joined(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        match node {
            LogicalPlan::Filter(filter) => self.filtered(filter),
            LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Sort(_) => {
                self.valued(node)
            }
            other => Ok(Transformed::no(other)),
        }
    }

    /// A join with a lateral subquery; `alias` is the subquery's name.
    pub(super) fn lateral(
        &self,
        join: &Join,
        subquery: &LogicalPlan,
        alias: Option<&TableReference>,
    ) -> Result<LogicalPlan> {
        let columns: Vec<Expr> = join.schema.iter().map(Expr::from).collect();
        let domain = Domain::of(&join.left, subquery, self.number())?;
        let (rows, mut keys) = self.beside(subquery, &domain)?;
        let mut on: Vec<Expr> = join.on.iter().cloned().map(|(l, r)| l.eq(r)).collect();
        on.extend(join.filter.clone());
        let rows = match alias {
            Some(alias) => {
                for key in &mut keys {
                    *key = Column::new(Some(alias.clone()), key.name.clone());
                }
                LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(rows), alias.clone())?)
            }
            None => rows,
        };
        let pairs = domain.equal(&keys)?;
        domain::join(join.left.as_ref().clone(), rows, join.join_type, pairs, on)?
            .project(columns)?
            .build()
    }

    fn filtered(&self, filter: Filter) -> Result<Transformed<LogicalPlan>> {
        let input = filter.input.as_ref();
        let columns: Vec<Expr> = input.schema().iter().map(Expr::from).collect();
        let whole = LogicalPlan::Filter(filter.clone());
        let mut joined = input.clone();
        let mut conditions = Vec::new();
        let mut changed = false;
        for part in split_conjunction_owned(filter.predicate.clone()) {
            if let Some((subquery, value, kind)) = tested(&part)
                && needed(&whole, &part, subquery)?
            {
                joined = self.tested(input, joined, subquery, value, kind)?;
                changed = true;
                continue;
            }
            let (part, beside) = self.values(part, &whole, joined)?;
            changed |= part.transformed;
            joined = beside;
            conditions.push(part.data);
        }
        if !changed {
            return Ok(Transformed::no(whole));
        }
        let plan = LogicalPlanBuilder::from(joined);
        let plan = match conjunction(conditions) {
            Some(predicate) => plan.filter(predicate)?,
            None => plan,
        };
        Ok(Transformed::yes(plan.project(columns)?.build()?))
    }

    /// The rows of `joined` for which the subquery has a row, or has none, equal to `value`.
    fn tested(
        &self,
        input: &LogicalPlan,
        joined: LogicalPlan,
        subquery: &Subquery,
        value: Option<&Expr>,
        kind: JoinType,
    ) -> Result<LogicalPlan> {
        let (domain, rows, found) = self.rows(input, &subquery.subquery)?;
        let mut on = Vec::new();
        on.extend(value.map(|value| value.clone().eq(found)));
        let keys = domain.equal(&rows.keys)?;
        domain::join(joined, rows.plan, kind, keys, on)?.build()
    }

    /// Subqueries among the expressions of `node`, as columns of its input.
    fn valued(&self, node: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let Some(input) = node.inputs().first().map(|input| (*input).clone()) else {
            return Ok(Transformed::no(node));
        };
        let mut joined = input.clone();
        let mut changed = false;
        let mut exprs = Vec::new();
        for expr in node.expressions() {
            let (expr, beside) = self.values(expr, &node, joined)?;
            changed |= expr.transformed;
            joined = beside;
            exprs.push(expr.data);
        }
        if !changed {
            return Ok(Transformed::no(node));
        }
        let schema = Arc::clone(node.schema());
        let new = node.with_new_exprs(exprs, vec![joined])?;
        let sorts = matches!(new, LogicalPlan::Sort(_));
        let names = new.schema().iter().zip(schema.iter()).map(|(new, old)| {
            let (qualifier, field) = old;
            match sorts {
                true => Expr::from(old),
                false => Expr::from(new).alias_qualified(qualifier.cloned(), field.name()),
            }
        });
        let names: Vec<Expr> = names.collect();
        let named = LogicalPlanBuilder::from(new).project(names)?.build()?;
        Ok(Transformed::yes(named))
    }

    /// `expr` with the values of its subqueries as columns, and `joined` with those columns.
    fn values(
        &self,
        expr: Expr,
        node: &LogicalPlan,
        joined: LogicalPlan,
    ) -> Result<(Transformed<Expr>, LogicalPlan)> {
        let Some(input) = node.inputs().first().copied() else {
            return Ok((Transformed::no(expr), joined));
        };
        let mut joined = Some(joined);
        let expr = expr.transform_down(|expr| {
            let Expr::ScalarSubquery(subquery) = &expr else {
                return Ok(Transformed::no(expr));
            };
            if !needed(node, &expr, subquery)? {
                return Ok(Transformed::new(expr, false, TreeNodeRecursion::Jump));
            }
            let single = has_one_row(&subquery.subquery);
            let (domain, mut rows, mut value) = self.rows(input, &subquery.subquery)?;
            if !single {
                (rows, value) = one_row(rows, value, self.number())?;
            }
            let keys = domain.equal(&rows.keys)?;
            if let Some(before) = joined.take() {
                let beside = domain::join(before, rows.plan, JoinType::Left, keys, Vec::new())?;
                joined = Some(beside.build()?);
            }
            Ok(Transformed::new(value, true, TreeNodeRecursion::Jump))
        })?;
        Ok((expr, joined.unwrap_or_else(|| input.clone())))
    }

    /// The rows of a subquery beside the values of the columns of `input` that it names, and its
    /// first column.
    fn rows(&self, input: &LogicalPlan, subquery: &LogicalPlan) -> Result<(Domain, Rows, Expr)> {
        let domain = Domain::of(input, subquery, self.number())?;
        let (plan, keys) = self.beside(subquery, &domain)?;
        let name = TableReference::bare(format!("__subquery_{}", self.number()));
        let value = Expr::from(plan.schema().qualified_field(0)).alias(VALUE);
        let columns = keys.iter().cloned().map(Expr::Column);
        let plan = LogicalPlanBuilder::from(plan)
            .project(std::iter::once(value).chain(columns))?
            .alias(name.clone())?
            .build()?;
        let keys = keys.into_iter();
        let keys = keys.map(|key| Column::new(Some(name.clone()), key.name));
        let rows = Rows {
            plan,
            keys: keys.collect(),
        };
        let value = Expr::Column(Column::new(Some(name), VALUE));
        Ok((domain, rows, value))
    }
}

/// The rows of a subquery beside the values of the outer columns that they are for.
struct Rows {
    plan: LogicalPlan,
    keys: Vec<Column>,
}

/// A subquery that is a condition, what is compared with its rows, and the join that it is.
fn tested(part: &Expr) -> Option<(&Subquery, Option<&Expr>, JoinType)> {
    let kind = |negated: bool| match negated {
        true => JoinType::LeftAnti,
        false => JoinType::LeftSemi,
    };
    match part {
        Expr::Exists(Exists { subquery, negated }) => Some((subquery, None, kind(*negated))),
        Expr::Not(inner) => match inner.as_ref() {
            Expr::Exists(Exists { subquery, negated }) => Some((subquery, None, kind(!*negated))),
            _ => None,
        },
        Expr::InSubquery(InSubquery {
            expr,
            subquery,
            negated: false,
        }) => Some((subquery, Some(expr), JoinType::LeftSemi)),
        _ => None,
    }
}

/// Whether DataFusion's rules cannot take what names the outer row out of a subquery of `node`.
fn needed(node: &LogicalPlan, expr: &Expr, subquery: &Subquery) -> Result<bool> {
    let plan = subquery.subquery.as_ref();
    let outer = outer_columns(plan)?;
    if outer.is_empty() {
        return Ok(false);
    }
    let schema = local_schema(node)?;
    if !outer.iter().all(|column| schema.has_column(column)) {
        return Ok(true);
    }
    if outer_row::is_misplaced(plan)? || check_subquery_expr(node, plan, expr).is_err() {
        return Ok(true);
    }
    let exists = matches!(expr, Expr::Exists(_) | Expr::Not(_));
    let scalar = matches!(expr, Expr::ScalarSubquery(_));
    let mut pull_up = PullUpCorrelatedExpr::new()
        .with_need_handle_count_bug(scalar)
        .with_exists_sub_query(exists);
    let Ok(rest) = plan.clone().rewrite(&mut pull_up) else {
        return Ok(true);
    };
    Ok(!pull_up.can_pull_up || !outer_columns(&rest.data)?.is_empty())
}

fn local_schema(node: &LogicalPlan) -> Result<DFSchema> {
    let mut schema = DFSchema::empty();
    for input in node.inputs() {
        schema.merge(input.schema());
    }
    Ok(schema)
}
