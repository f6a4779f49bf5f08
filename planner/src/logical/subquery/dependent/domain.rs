//! The different values of outer columns that a subquery is computed for.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType, ScalarValue, TableReference};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit};

use crate::error::PlanError;

/// The outer columns that a subquery names, of one relation around it.
#[derive(Clone, Debug)]
pub(super) struct Domain {
    /// As the outer rows call them.
    outer: Vec<Column>,
    nullable: Vec<bool>,
    types: Vec<DataType>,
    /// As they are called among the values.
    names: Vec<String>,
    values: LogicalPlan,
}

impl Domain {
    /// The values of the columns of `input` that `subquery` names; their names end in `number`.
    pub(super) fn of(input: &LogicalPlan, subquery: &LogicalPlan, number: usize) -> Result<Self> {
        check_repeatable(input)?;
        let schema = input.schema();
        let mut outer = outer_columns(subquery)?;
        outer.retain(|column| schema.has_column(column));
        let mut nullable = Vec::new();
        let mut types = Vec::new();
        let mut names = Vec::new();
        for (place, column) in outer.iter().enumerate() {
            let column = Expr::Column(column.clone());
            nullable.push(column.nullable(schema)?);
            types.push(column.get_type(schema)?);
            names.push(format!("__outer_{number}_{place}"));
        }
        let exprs = outer.iter().zip(&names);
        let exprs = exprs.map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let exprs: Vec<Expr> = exprs.collect();
        let values = LogicalPlanBuilder::from(input.clone())
            .project(exprs)?
            .distinct()?
            .build()?;
        Ok(Self {
            outer,
            nullable,
            types,
            names,
            values,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outer.is_empty()
    }

    /// The values as a relation called by `number`, and its columns.
    pub(super) fn relation(&self, number: usize) -> Result<(LogicalPlan, Vec<Column>)> {
        let name = TableReference::bare(format!("__domain_{number}"));
        let plan = LogicalPlanBuilder::from(self.values.clone())
            .alias(name.clone())?
            .build()?;
        let columns = self.names.iter();
        let columns = columns.map(|column| Column::new(Some(name.clone()), column));
        Ok((plan, columns.collect()))
    }

    /// The pairs that are equal where a row is one of an outer row's.
    pub(super) fn equal(&self, keys: &[Column]) -> Result<Vec<(Expr, Expr)>> {
        self.pairs(&self.outer, keys)
    }

    /// The pairs that are equal where two rows are for the same values. A null is a value here,
    /// so it is one pair more and, beside it, some value that is the same for all nulls.
    pub(super) fn pairs(&self, left: &[Column], right: &[Column]) -> Result<Vec<(Expr, Expr)>> {
        let mut pairs = Vec::new();
        for (place, (left, right)) in left.iter().zip(right).enumerate() {
            let (left, right) = (Expr::Column(left.clone()), Expr::Column(right.clone()));
            if !self.nullable[place] {
                pairs.push((left, right));
                continue;
            }
            let some = lit(ScalarValue::new_default(&self.types[place])?);
            let filled = |column: Expr| coalesce(vec![column, some.clone()]);
            pairs.push((left.clone().is_null(), right.clone().is_null()));
            pairs.push((filled(left), filled(right)));
        }
        Ok(pairs)
    }

    /// `expr` with the outer columns of this domain as `keys`.
    pub(super) fn inner(&self, expr: Expr, keys: &[Column]) -> Result<Transformed<Expr>> {
        expr.transform_up(|expr| {
            let Expr::OuterReferenceColumn(_, column) = &expr else {
                return Ok(Transformed::no(expr));
            };
            let place = self.outer.iter().position(|outer| outer == column);
            Ok(match place.and_then(|place| keys.get(place)) {
                Some(key) => Transformed::yes(Expr::Column(key.clone())),
                None => Transformed::no(expr),
            })
        })
    }

    /// Whether `plan` names a column of this domain.
    pub(super) fn is_named(&self, plan: &LogicalPlan) -> Result<bool> {
        let found = outer_columns(plan)?;
        Ok(found.iter().any(|column| self.outer.contains(column)))
    }
}

/// A join on pairs and conditions.
pub(super) fn join(
    left: LogicalPlan,
    right: LogicalPlan,
    kind: JoinType,
    pairs: Vec<(Expr, Expr)>,
    conditions: Vec<Expr>,
) -> Result<LogicalPlanBuilder> {
    let equal = pairs.into_iter().map(|(left, right)| left.eq(right));
    let mut on: Vec<Expr> = equal.chain(conditions).collect();
    if on.is_empty() {
        on.push(lit(true));
    }
    LogicalPlanBuilder::from(left).join_on(right, kind, on)
}

/// Refuses rows that may be others when they are read again: the values would not be theirs.
fn check_repeatable(input: &LogicalPlan) -> Result<()> {
    let mut volatile = false;
    let mut unordered = false;
    input.apply(|node| {
        node.apply_expressions(|expr| {
            volatile |= expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })?;
        if let LogicalPlan::Limit(limit) = node {
            let ordered = limit
                .input
                .exists(|below| Ok(matches!(below, LogicalPlan::Sort(_))))?;
            unordered |= !ordered;
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    let (what, hint) = match (volatile, unordered) {
        (true, _) => (
            "a subquery of this form beside rows with random values",
            "Put the rows into a table before.",
        ),
        (_, true) => (
            "a subquery of this form beside rows of LIMIT without ORDER BY",
            "Write ORDER BY before LIMIT.",
        ),
        _ => return Ok(()),
    };
    Err(PlanError::unsupported(what).hint(hint).into())
}

/// The columns that `plan` names of the queries around it, in the order in which it does. Those of
/// subqueries in it are its own: the others have become joins before.
pub(in crate::logical::subquery) fn outer_columns(plan: &LogicalPlan) -> Result<Vec<Column>> {
    let mut found = Vec::new();
    plan.apply(|node| {
        node.apply_expressions(|expr| {
            collect(expr, &mut found)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

fn collect(expr: &Expr, found: &mut Vec<Column>) -> Result<()> {
    expr.apply(|expr| {
        if let Expr::OuterReferenceColumn(_, column) = expr
            && !found.contains(column)
        {
            found.push(column.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}
