//! A plan that names outer columns, computed for all their values at once: each node has those
//! values beside its rows, and does for each of them what it did for one outer row.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, JoinType};
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::functions_window::expr_fn::row_number;
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::{
    Aggregate, Distinct, DistinctOn, FetchType, Filter, Join, Limit, SkipType, Sort, SubqueryAlias,
    Union, Values, Window,
};
use datafusion::logical_expr::{
    Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, Projection, SortExpr, cast, lit,
};

use super::Dependent;
use super::domain::{Domain, join};
use crate::error::PlanError;

/// That a row has been met by one of the subquery.
const MET: &str = "__met";

/// The number of a row among those of its outer row.
const NUMBER: &str = "__row_number";

/// A plan, and what the outer columns are called in it.
type Beside = (LogicalPlan, Vec<Column>);

impl Dependent {
    /// `plan` beside the values of `domain`, whose columns come behind its own.
    ///
    /// # Errors
    /// [`crate::error::Cause::Unsupported`] for a node that outer columns do not go through.
    pub(super) fn beside(&self, plan: &LogicalPlan, domain: &Domain) -> Result<Beside> {
        if !domain.is_named(plan)? {
            return self.product(plan, domain);
        }
        match plan {
            LogicalPlan::Projection(projection) => self.projection(projection, domain),
            LogicalPlan::Filter(filter) => self.filter(filter, domain),
            LogicalPlan::SubqueryAlias(alias) => self.alias(alias, domain),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate, domain),
            // The order of rows says nothing once they are joined.
            LogicalPlan::Sort(sort) if sort.fetch.is_none() => self.beside(&sort.input, domain),
            LogicalPlan::Limit(limit) => self.limit(limit, domain),
            LogicalPlan::Window(window) => self.window(window, domain),
            LogicalPlan::Distinct(Distinct::All(input)) => {
                let (input, keys) = self.beside(input, domain)?;
                let distinct = LogicalPlan::Distinct(Distinct::All(Arc::new(input)));
                Ok((distinct, keys))
            }
            LogicalPlan::Distinct(Distinct::On(on)) => self.distinct_on(on, domain),
            LogicalPlan::Join(join) => self.join_of(join, domain),
            LogicalPlan::Union(union) => self.union(union, domain),
            LogicalPlan::Values(values) => self.beside(&selected(values)?, domain),
            other => {
                let kind = other.display().to_string();
                let kind = kind.split([':', '(']).next().unwrap_or_default();
                let what = format!("a column of the outer row below {kind} of a subquery");
                let error = PlanError::unsupported(what);
                Err(error.hint("Write a join with that relation.").into())
            }
        }
    }

    /// Each row with each value.
    fn product(&self, plan: &LogicalPlan, domain: &Domain) -> Result<Beside> {
        if domain.is_empty() {
            return Ok((plan.clone(), Vec::new()));
        }
        let (values, keys) = domain.relation(self.number())?;
        let one_row = matches!(
            plan,
            LogicalPlan::EmptyRelation(empty) if empty.produce_one_row
        );
        let product = match one_row {
            true => values,
            false => LogicalPlanBuilder::from(plan.clone())
                .cross_join(values)?
                .build()?,
        };
        Ok((product, keys))
    }

    fn projection(&self, projection: &Projection, domain: &Domain) -> Result<Beside> {
        let (input, keys) = self.beside(&projection.input, domain)?;
        let mut exprs = Vec::with_capacity(projection.expr.len() + keys.len());
        for (expr, (qualifier, field)) in projection.expr.iter().zip(projection.schema.iter()) {
            let inner = domain.inner(expr.clone(), &keys)?;
            exprs.push(match inner.transformed {
                true => inner
                    .data
                    .unalias()
                    .alias_qualified(qualifier.cloned(), field.name()),
                false => inner.data,
            });
        }
        exprs.extend(columns(&keys));
        let plan = Projection::try_new(exprs, Arc::new(input))?;
        Ok((LogicalPlan::Projection(plan), keys))
    }

    fn filter(&self, filter: &Filter, domain: &Domain) -> Result<Beside> {
        let (input, keys) = self.beside(&filter.input, domain)?;
        let predicate = domain.inner(filter.predicate.clone(), &keys)?.data;
        let plan = Filter::try_new(predicate, Arc::new(input))?;
        Ok((LogicalPlan::Filter(plan), keys))
    }

    fn alias(&self, alias: &SubqueryAlias, domain: &Domain) -> Result<Beside> {
        let (input, keys) = self.beside(&alias.input, domain)?;
        let plan = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
        let keys = keys.into_iter();
        let keys = keys.map(|key| Column::new(Some(alias.alias.clone()), key.name));
        Ok((LogicalPlan::SubqueryAlias(plan), keys.collect()))
    }

    /// Groups of each value. Without groups there is a row even for a value that no row is for.
    fn aggregate(&self, aggregate: &Aggregate, domain: &Domain) -> Result<Beside> {
        let (mut input, mut keys) = self.beside(&aggregate.input, domain)?;
        let sets = aggregate.group_expr.iter();
        if sets
            .clone()
            .any(|expr| matches!(expr, Expr::GroupingSet(_)))
        {
            let what = "a column of the outer row below GROUPING SETS of a subquery";
            return Err(PlanError::unsupported(what).into());
        }
        let each = aggregate.group_expr.is_empty() && !keys.is_empty();
        if each {
            let own: Vec<Expr> = input.schema().iter().map(Expr::from).collect();
            let met = LogicalPlanBuilder::from(input)
                .project(own.into_iter().chain([lit(true).alias(MET)]))?
                .build()?;
            let (values, all) = domain.relation(self.number())?;
            let pairs = domain.pairs(&all, &keys)?;
            input = join(values, met, JoinType::Left, pairs, Vec::new())?.build()?;
            keys = all;
        }
        let mut groups = Vec::new();
        for expr in &aggregate.group_expr {
            groups.push(domain.inner(expr.clone(), &keys)?.data);
        }
        groups.extend(columns(&keys));
        let mut calls = Vec::new();
        for expr in &aggregate.aggr_expr {
            let expr = domain.inner(expr.clone(), &keys)?.data;
            calls.push(if each { only_met(expr)? } else { expr });
        }
        let width = aggregate.group_expr.len();
        let plan = Aggregate::try_new(Arc::new(input), groups, calls)?;
        let schema = Arc::clone(&plan.schema);
        let old = aggregate.schema.iter().enumerate();
        let named = old.map(|(place, (qualifier, field))| {
            let place = if place < width {
                place
            } else {
                place + keys.len()
            };
            let new = Expr::from(schema.qualified_field(place));
            new.alias_qualified(qualifier.cloned(), field.name())
        });
        let named: Vec<Expr> = named.chain(columns(&keys)).collect();
        let plan = LogicalPlanBuilder::from(LogicalPlan::Aggregate(plan)).project(named)?;
        Ok((plan.build()?, keys))
    }

    /// `LIMIT` and `OFFSET`: as many rows of each value.
    fn limit(&self, limit: &Limit, domain: &Domain) -> Result<Beside> {
        let (SkipType::Literal(skip), FetchType::Literal(fetch)) =
            (limit.get_skip_type()?, limit.get_fetch_type()?)
        else {
            let what = "LIMIT or OFFSET with an expression in a subquery with outer columns";
            return Err(PlanError::unsupported(what).into());
        };
        let (projection, below) = match limit.input.as_ref() {
            LogicalPlan::Projection(projection) => (Some(projection), projection.input.as_ref()),
            other => (None, other),
        };
        let (projection, below, order): (_, _, &[SortExpr]) = match below {
            LogicalPlan::Sort(Sort { expr, input, .. }) => (projection, input.as_ref(), expr),
            _ => (None, limit.input.as_ref(), &[]),
        };
        let (rows, keys) = self.beside(below, domain)?;
        let mut sorted = Vec::new();
        for sort in order {
            let expr = domain.inner(sort.expr.clone(), &keys)?.data;
            sorted.push(sort.with_expr(expr));
        }
        if sorted.is_empty() {
            // Any rows of a value are the first.
            sorted.extend(columns(&keys).map(|key| key.sort(true, false)));
        }
        let number = row_number()
            .partition_by(columns(&keys).collect())
            .order_by(sorted)
            .build()?
            .alias(NUMBER);
        let all: Vec<Expr> = rows.schema().iter().map(Expr::from).collect();
        let number_of = Expr::Column(Column::new_unqualified(NUMBER));
        let mut plan = LogicalPlanBuilder::from(rows)
            .window([number.clone()])?
            .project(all.iter().cloned().chain([number]))?;
        if let Some(fetch) = fetch {
            let last = (skip as u64).saturating_add(fetch as u64);
            plan = plan.filter(number_of.clone().lt_eq(lit(last)))?;
        }
        if skip > 0 {
            plan = plan.filter(number_of.gt(lit(skip as u64)))?;
        }
        let plan = plan.project(all)?.build()?;
        let Some(projection) = projection else {
            return Ok((plan, keys));
        };
        let mut exprs = Vec::new();
        for (expr, (qualifier, field)) in projection.expr.iter().zip(projection.schema.iter()) {
            let inner = domain.inner(expr.clone(), &keys)?.data;
            exprs.push(
                inner
                    .unalias()
                    .alias_qualified(qualifier.cloned(), field.name()),
            );
        }
        exprs.extend(columns(&keys));
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok((plan, keys))
    }

    /// Windows over the rows of each value.
    fn window(&self, window: &Window, domain: &Domain) -> Result<Beside> {
        let (input, keys) = self.beside(&window.input, domain)?;
        let width = input.schema().fields().len();
        let mut exprs = Vec::new();
        for expr in &window.window_expr {
            let expr = domain.inner(expr.clone(), &keys)?.data;
            exprs.push(partitioned(expr, &keys)?);
        }
        let plan = Window::try_new(exprs, Arc::new(input))?;
        let schema = Arc::clone(&plan.schema);
        let before = window.input.schema().fields().len();
        let old = window.schema.iter().enumerate();
        let named = old.map(
            |(place, (qualifier, field))| match place.checked_sub(before) {
                None => Expr::from((qualifier, field)),
                Some(place) => {
                    let new = Expr::from(schema.qualified_field(width + place));
                    new.alias_qualified(qualifier.cloned(), field.name())
                }
            },
        );
        let named: Vec<Expr> = named.chain(columns(&keys)).collect();
        let plan = LogicalPlanBuilder::from(LogicalPlan::Window(plan)).project(named)?;
        Ok((plan.build()?, keys))
    }

    fn distinct_on(&self, on: &DistinctOn, domain: &Domain) -> Result<Beside> {
        let (input, keys) = self.beside(&on.input, domain)?;
        let inner = |expr: &Expr| domain.inner(expr.clone(), &keys).data();
        let mut exprs: Vec<Expr> = columns(&keys).collect();
        for expr in &on.on_expr {
            exprs.push(inner(expr)?);
        }
        let mut selected = Vec::new();
        for (expr, (qualifier, field)) in on.select_expr.iter().zip(on.schema.iter()) {
            let expr = inner(expr)?.unalias();
            selected.push(expr.alias_qualified(qualifier.cloned(), field.name()));
        }
        selected.extend(columns(&keys));
        let sorted = match &on.sort_expr {
            None => None,
            Some(order) => {
                let mut sorted: Vec<SortExpr> =
                    columns(&keys).map(|key| key.sort(true, false)).collect();
                for sort in order {
                    sorted.push(sort.with_expr(inner(&sort.expr)?));
                }
                Some(sorted)
            }
        };
        let plan = DistinctOn::try_new(exprs, selected, sorted, Arc::new(input))?;
        Ok((LogicalPlan::Distinct(Distinct::On(plan)), keys))
    }

    /// A join of the rows for each value. What keeps rows without a partner needs the values beside
    /// it, even if it names none.
    fn join_of(&self, join: &Join, domain: &Domain) -> Result<Beside> {
        use JoinType as J;
        let named = [domain.is_named(&join.left)?, domain.is_named(&join.right)?];
        let keeps = match join.join_type {
            J::Inner => [!named[1], false],
            J::Left | J::LeftSemi | J::LeftAnti => [true, false],
            J::Right | J::RightSemi | J::RightAnti => [false, true],
            J::Full => [true, true],
            J::LeftMark | J::RightMark => {
                let what = "a column of the outer row below a mark join";
                return Err(PlanError::unsupported(what).into());
            }
        };
        let side = |plan: &LogicalPlan, place: usize| -> Result<Beside> {
            match named[place] || keeps[place] {
                true => self.beside(plan, domain),
                false => Ok((plan.clone(), Vec::new())),
            }
        };
        let (left, left_keys) = side(&join.left, 0)?;
        let (right, right_keys) = side(&join.right, 1)?;
        let from_right = left_keys.is_empty()
            || matches!(join.join_type, J::RightSemi | J::RightAnti | J::Right);
        let keys = if from_right { &right_keys } else { &left_keys };
        let mut on = Vec::new();
        for (left, right) in &join.on {
            let left = domain.inner(left.clone(), keys)?.data;
            on.push((left, domain.inner(right.clone(), keys)?.data));
        }
        if !left_keys.is_empty() && !right_keys.is_empty() {
            on.extend(domain.pairs(&left_keys, &right_keys)?);
        }
        let filter = match &join.filter {
            Some(filter) => Some(domain.inner(filter.clone(), keys)?.data),
            None => None,
        };
        let plan = LogicalPlan::Join(Join::try_new(
            Arc::new(left),
            Arc::new(right),
            on,
            filter,
            join.join_type,
            join.join_constraint,
            join.null_equality,
            join.null_aware,
        )?);
        let mut exprs: Vec<Expr> = join.schema.iter().map(Expr::from).collect();
        let mut shown = keys.clone();
        if join.join_type == J::Full {
            let number = self.number();
            let pairs = left_keys.iter().zip(&right_keys).enumerate();
            shown = Vec::new();
            for (place, (left, right)) in pairs {
                let name = format!("__outer_{number}_{place}");
                let either = [left, right].map(|key| Expr::Column(key.clone()));
                exprs.push(coalesce(either.to_vec()).alias(&name));
                shown.push(Column::new_unqualified(name));
            }
        } else {
            exprs.extend(columns(&shown));
        }
        let plan = LogicalPlanBuilder::from(plan).project(exprs)?.build()?;
        Ok((plan, shown))
    }

    fn union(&self, union: &Union, domain: &Domain) -> Result<Beside> {
        let number = self.number();
        let width = union.schema.fields().len();
        let mut inputs = Vec::new();
        let mut shown = Vec::new();
        for input in &union.inputs {
            let (input, keys) = self.beside(input, domain)?;
            let schema = Arc::clone(input.schema());
            let mut exprs: Vec<Expr> = (0..width)
                .map(|place| {
                    let name = union.schema.field(place).name();
                    Expr::from(schema.qualified_field(place)).alias(name)
                })
                .collect();
            let names = (0..keys.len()).map(|place| format!("__outer_{number}_{place}"));
            let names: Vec<String> = names.collect();
            exprs.extend(
                columns(&keys)
                    .zip(&names)
                    .map(|(key, name)| key.alias(name)),
            );
            shown = names.into_iter().map(Column::new_unqualified).collect();
            let input = LogicalPlanBuilder::from(input).project(exprs)?.build()?;
            inputs.push(Arc::new(input));
        }
        let plan = LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?);
        let schema = Arc::clone(plan.schema());
        let old = union.schema.iter().enumerate();
        let named = old.map(|(place, (qualifier, field))| {
            let new = Expr::from(schema.qualified_field(place));
            new.alias_qualified(qualifier.cloned(), field.name())
        });
        let named: Vec<Expr> = named.chain(columns(&shown)).collect();
        let plan = LogicalPlanBuilder::from(plan).project(named)?.build()?;
        Ok((plan, shown))
    }
}

fn columns(keys: &[Column]) -> impl Iterator<Item = Expr> + '_ {
    keys.iter().cloned().map(Expr::Column)
}

/// An aggregate of the rows that there are, where a value without rows has a row of nulls.
fn only_met(expr: Expr) -> Result<Expr> {
    let met = Expr::Column(Column::new_unqualified(MET)).is_true();
    let only = expr.transform_down(|expr| match expr {
        Expr::AggregateFunction(mut call) => {
            let filter = call.params.filter.take();
            call.params.filter = Some(Box::new(match filter {
                Some(filter) => filter.and(met.clone()),
                None => met.clone(),
            }));
            let call = Expr::AggregateFunction(call);
            Ok(Transformed::new(call, true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(only.data)
}

fn partitioned(expr: Expr, keys: &[Column]) -> Result<Expr> {
    let partitioned = expr.transform_down(|expr| match expr {
        Expr::WindowFunction(mut call) => {
            let WindowFunction { params, .. } = call.as_mut();
            params.partition_by.extend(columns(keys));
            let call = Expr::WindowFunction(call);
            Ok(Transformed::new(call, true, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(partitioned.data)
}

/// `VALUES (a), (b)` as `SELECT a UNION ALL SELECT b`.
fn selected(values: &Values) -> Result<LogicalPlan> {
    let mut rows = Vec::new();
    for row in &values.values {
        let columns = row.iter().zip(values.schema.fields());
        let columns = columns.map(|(value, field)| {
            cast(value.clone(), field.data_type().clone()).alias(field.name())
        });
        let columns: Vec<Expr> = columns.collect();
        let row = LogicalPlanBuilder::empty(true).project(columns)?.build()?;
        rows.push(Arc::new(row));
    }
    match rows.as_slice() {
        [row] => Ok(row.as_ref().clone()),
        _ => Ok(LogicalPlan::Union(Union::try_new_with_loose_types(rows)?)),
    }
}
