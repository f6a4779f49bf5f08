//! `ORDER BY` of a query in FROM where the query around it depends on it: below its `LIMIT`, its
//! aggregates whose result shows the order of the rows, its `row_number() OVER ()`, and at its end.
//! The standard promises nothing; PostgreSQL keeps the order, and people rely on it.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{
    Aggregate, Filter, Limit, Projection, Sort, SubqueryAlias, Window,
};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, SortExpr};

/// Aggregates whose result shows the order of the rows.
const SHOW_ORDER: [&str; 5] = [
    "array_agg",
    "first_value",
    "last_value",
    "nth_value",
    "string_agg",
];

/// Window functions that need an order and are the same whatever their frame.
const NUMBERS: [&str; 4] = ["lag", "lead", "ntile", "row_number"];

/// The plan with the orders said where they matter.
///
/// # Errors
/// DataFusion's, if a node cannot be built.
pub fn kept(plan: LogicalPlan) -> Result<LogicalPlan> {
    without_orders(said(plan)?)
}

/// The plan with the orders of queries in FROM said in the nodes above that depend on them.
fn said(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut number = 0;
    let said = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Limit(limit) => limited(limit, &mut number),
        LogicalPlan::Aggregate(aggregate) => aggregated(aggregate, &mut number),
        LogicalPlan::Window(window) => numbered(window, &mut number),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(said.data)
}

/// The plan without orders of queries in FROM: where they matter they are said again.
fn without_orders(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rest = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::SubqueryAlias(alias) => Ok(match without_order(&alias.input)? {
            Some(input) => {
                let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias)?;
                Transformed::yes(LogicalPlan::SubqueryAlias(alias))
            }
            None => Transformed::no(LogicalPlan::SubqueryAlias(alias)),
        }),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(rest.data)
}

/// The plan without the order at its end; `None` if it has none.
fn without_order(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    Ok(match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => Some(sort.input.as_ref().clone()),
        LogicalPlan::Projection(projection) => match without_order(&projection.input)? {
            Some(input) => {
                let plan = Projection::try_new(projection.expr.clone(), Arc::new(input))?;
                Some(LogicalPlan::Projection(plan))
            }
            None => None,
        },
        _ => None,
    })
}

/// The plan of a whole read, whose rows come in the order of the query that it is made of.
///
/// # Errors
/// DataFusion's, if a node cannot be built.
pub fn kept_to_the_end(plan: LogicalPlan) -> Result<LogicalPlan> {
    let plan = said(plan)?;
    let reads = matches!(
        plan,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_)
    );
    without_orders(match reads {
        true => sorted(&plan, &mut 0)?.unwrap_or(plan),
        false => plan,
    })
}

/// A plan with what it needs to be sorted, and by what, in its own columns.
struct Ordered {
    plan: LogicalPlan,
    keys: Vec<SortExpr>,
    /// Whether the order is that of a query in FROM.
    inner: bool,
}

fn limited(limit: Limit, number: &mut usize) -> Result<Transformed<LogicalPlan>> {
    Ok(match sorted(&limit.input, number)? {
        Some(input) => Transformed::yes(LogicalPlan::Limit(Limit {
            input: Arc::new(input),
            ..limit
        })),
        None => Transformed::no(LogicalPlan::Limit(limit)),
    })
}

/// `plan` sorted as a query in FROM below it is.
fn sorted(plan: &LogicalPlan, number: &mut usize) -> Result<Option<LogicalPlan>> {
    let Some(ordered) = ordered(plan, number)?.filter(|ordered| ordered.inner) else {
        return Ok(None);
    };
    let columns: Vec<Expr> = plan.schema().iter().map(Expr::from).collect();
    let plan = LogicalPlanBuilder::from(ordered.plan)
        .sort(ordered.keys)?
        .project(columns)?
        .build()?;
    Ok(Some(plan))
}

fn aggregated(aggregate: Aggregate, number: &mut usize) -> Result<Transformed<LogicalPlan>> {
    let shows = |expr: &Expr| match expr.clone().unalias() {
        Expr::AggregateFunction(call) => {
            SHOW_ORDER.contains(&call.func.name())
                && call.params.order_by.is_empty()
                && !call.params.distinct
        }
        _ => false,
    };
    let same = |aggregate| Ok(Transformed::no(LogicalPlan::Aggregate(aggregate)));
    if !aggregate.aggr_expr.iter().any(shows) {
        return same(aggregate);
    }
    let Some(found) = ordered(&aggregate.input, number)?.filter(|found| found.inner) else {
        return same(aggregate);
    };
    let calls = aggregate.aggr_expr.into_iter().map(|expr| {
        let name = expr.schema_name().to_string();
        match shows(&expr) {
            true => match expr.unalias() {
                Expr::AggregateFunction(mut call) => {
                    call.params.order_by = found.keys.clone();
                    Expr::AggregateFunction(call).alias(name)
                }
                other => other.alias(name),
            },
            false => expr,
        }
    });
    let calls = calls.collect();
    let plan = Aggregate::try_new(Arc::new(found.plan), aggregate.group_expr, calls)?;
    Ok(Transformed::yes(LogicalPlan::Aggregate(plan)))
}

fn numbered(window: Window, number: &mut usize) -> Result<Transformed<LogicalPlan>> {
    let unordered = |expr: &Expr| match expr.clone().unalias() {
        Expr::WindowFunction(call) => {
            NUMBERS.contains(&call.fun.name()) && call.params.order_by.is_empty()
        }
        _ => false,
    };
    let same = |window| Ok(Transformed::no(LogicalPlan::Window(window)));
    if !window.window_expr.iter().any(unordered) {
        return same(window);
    }
    let Some(found) = ordered(&window.input, number)?.filter(|found| found.inner) else {
        return same(window);
    };
    let exprs = window.window_expr.into_iter().map(|expr| {
        let name = expr.schema_name().to_string();
        match unordered(&expr) {
            true => match expr.unalias() {
                Expr::WindowFunction(mut call) => {
                    call.params.order_by = found.keys.clone();
                    Expr::WindowFunction(call).alias(name)
                }
                other => other.alias(name),
            },
            false => expr,
        }
    });
    let exprs = exprs.collect();
    let plan = Window::try_new(exprs, Arc::new(found.plan))?;
    let columns: Vec<Expr> = window.schema.iter().map(Expr::from).collect();
    let plan = LogicalPlanBuilder::from(LogicalPlan::Window(plan)).project(columns)?;
    Ok(Transformed::yes(plan.build()?))
}

/// How the rows of `plan` are sorted, if a query says it; columns of the order that are not shown
/// come behind the others.
fn ordered(plan: &LogicalPlan, number: &mut usize) -> Result<Option<Ordered>> {
    Ok(match plan {
        LogicalPlan::Sort(sort) => Some(of_sort(sort, number)?),
        LogicalPlan::Projection(projection) => match ordered(&projection.input, number)? {
            Some(found) => Some(projected(projection, found, number)?),
            None => None,
        },
        LogicalPlan::SubqueryAlias(alias) => match ordered(&alias.input, number)? {
            Some(found) => Some(aliased(alias, found)?),
            None => None,
        },
        LogicalPlan::Filter(filter) => match ordered(&filter.input, number)? {
            Some(found) => {
                let predicate = filter.predicate.clone();
                let plan = Filter::try_new(predicate, Arc::new(found.plan))?;
                let plan = LogicalPlan::Filter(plan);
                Some(Ordered { plan, ..found })
            }
            None => None,
        },
        LogicalPlan::Limit(limit) => match ordered(&limit.input, number)? {
            Some(found) => {
                let sorted = LogicalPlanBuilder::from(found.plan).sort(found.keys.clone())?;
                let plan = LogicalPlan::Limit(Limit {
                    input: Arc::new(sorted.build()?),
                    ..limit.clone()
                });
                Some(Ordered { plan, ..found })
            }
            None => None,
        },
        _ => None,
    })
}

fn of_sort(sort: &Sort, number: &mut usize) -> Result<Ordered> {
    let mut shown: Vec<Expr> = sort.input.schema().iter().map(Expr::from).collect();
    let width = shown.len();
    let keys = sort.expr.iter().map(|key| match &key.expr {
        Expr::Column(_) => key.clone(),
        computed => key.with_expr(hidden(computed, &mut shown, number)),
    });
    let keys: Vec<SortExpr> = keys.collect();
    // Whoever asks sorts anew.
    let mut plan = LogicalPlanBuilder::from(sort.input.as_ref().clone());
    if shown.len() > width {
        plan = plan.project(shown)?;
    }
    Ok(Ordered {
        plan: plan.build()?,
        keys,
        inner: false,
    })
}

/// `expr` as a column more among `shown`.
fn hidden(expr: &Expr, shown: &mut Vec<Expr>, number: &mut usize) -> Expr {
    let name = format!("__inner_order_{number}");
    *number += 1;
    shown.push(expr.clone().alias(&name));
    Expr::Column(Column::new_unqualified(name))
}

fn projected(projection: &Projection, found: Ordered, number: &mut usize) -> Result<Ordered> {
    let mut shown = projection.expr.clone();
    let mut keys = Vec::new();
    for key in &found.keys {
        let place = projection
            .expr
            .iter()
            .position(|expr| bare(expr) == &key.expr);
        let column = match place {
            Some(place) => Expr::from(projection.schema.qualified_field(place)),
            None => hidden(&key.expr, &mut shown, number),
        };
        keys.push(key.with_expr(column));
    }
    let plan = Projection::try_new(shown, Arc::new(found.plan))?;
    Ok(Ordered {
        plan: LogicalPlan::Projection(plan),
        keys,
        inner: found.inner,
    })
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => bare(&alias.expr),
        other => other,
    }
}

fn aliased(alias: &SubqueryAlias, found: Ordered) -> Result<Ordered> {
    let plan = SubqueryAlias::try_new(Arc::new(found.plan), alias.alias.clone())?;
    let keys = found.keys.iter().map(|key| match &key.expr {
        Expr::Column(column) => {
            let column = Column::new(Some(alias.alias.clone()), &column.name);
            key.with_expr(Expr::Column(column))
        }
        _ => key.clone(),
    });
    Ok(Ordered {
        plan: LogicalPlan::SubqueryAlias(plan),
        keys: keys.collect(),
        inner: true,
    })
}
