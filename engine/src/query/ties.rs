//! Rows that are equal in the order of an `OVER`: which of them comes first.
//!
//! A streaming view takes the rows of a stream as they arrived, and those of rows that may change
//! in order of their columns. A read does the same, though DataFusion's sort leaves it open: calls
//! whose value depends on it are ordered by one thing more, the place of a row among those that
//! arrived or its columns. Calls over `RANGE` frames take all such rows together.

use std::any::Any;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::Transformed;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::expr::{Sort, WindowFunction};
use datafusion::logical_expr::logical_plan::{Projection, Window};
use datafusion::logical_expr::{
    Expr, LogicalPlan, WindowFrameUnits, WindowFunctionDefinition, ident,
};

use crate::query::served::ServedTable;

/// The column that numbers rows as they arrived, while a plan runs.
const PLACE: &str = "__place";

/// Functions that take rows that are equal in order together.
const OF_PEERS: [&str; 4] = ["cume_dist", "dense_rank", "percent_rank", "rank"];
/// Functions of DataFusion's that read a frame.
const OF_FRAMES: [&str; 3] = ["first_value", "last_value", "nth_value"];

/// The optimized `plan` with such rows in their place. Where they come as they arrived, `state`
/// reads them one after the other.
///
/// # Errors
/// An internal one, if DataFusion refuses what it planned before.
pub(crate) fn settled(plan: LogicalPlan, state: &mut SessionState) -> Result<LogicalPlan> {
    let mut as_arrived = false;
    let settled = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Window(window) if window.window_expr.iter().any(is_placed) => {
            let arrives = arrives(&window);
            as_arrived |= arrives;
            with_ties(&window, arrives).map(Transformed::yes)
        }
        other => Ok(Transformed::no(other)),
    })?;
    if as_arrived {
        // Rows of several partitions would have no order among each other.
        let options = state.config_mut().options_mut();
        options.execution.target_partitions = 1;
    }
    Ok(settled.data)
}

fn call(expr: &Expr) -> Option<&WindowFunction> {
    match expr {
        Expr::Alias(alias) => call(&alias.expr),
        Expr::WindowFunction(call) => Some(call),
        _ => None,
    }
}

/// Whether the value of a call depends on which of several equal rows comes first.
fn is_placed(expr: &Expr) -> bool {
    let Some(call) = call(expr) else {
        return false;
    };
    let of_frame = match &call.fun {
        WindowFunctionDefinition::AggregateUDF(_) => true,
        WindowFunctionDefinition::WindowUDF(function) => OF_FRAMES.contains(&function.name()),
    };
    let by_rows = call.params.window_frame.units == WindowFrameUnits::Rows;
    !call.params.order_by.is_empty()
        && (!of_frame || by_rows)
        && !OF_PEERS.contains(&call.fun.name())
}

/// Whether a streaming view would take the rows as they arrived: those of a relation whose rows
/// only come, in order of event time.
fn arrives(window: &Window) -> bool {
    let calls = window.window_expr.iter().filter_map(call);
    let mut orders = calls.map(|call| call.params.order_by.first());
    let time = orders.next().flatten().filter(|order| order.asc);
    match time.map(|order| &order.expr) {
        Some(Expr::Column(time)) => is_event_time(&window.input, &time.name),
        _ => false,
    }
}

fn is_event_time(plan: &LogicalPlan, name: &str) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => source_as_provider(&scan.source)
            .ok()
            .and_then(|provider| {
                let served = (provider.as_ref() as &dyn Any).downcast_ref::<ServedTable>()?;
                served.arrives_by.clone()
            })
            .is_some_and(|time| time == name),
        LogicalPlan::Filter(filter) => is_event_time(&filter.input, name),
        LogicalPlan::SubqueryAlias(alias) => is_event_time(&alias.input, name),
        LogicalPlan::Projection(projection) => {
            let fields = projection.schema.fields().iter();
            let place = fields.clone().position(|field| field.name() == name);
            let mut expr = place.and_then(|place| projection.expr.get(place));
            while let Some(Expr::Alias(alias)) = expr {
                expr = Some(&alias.expr);
            }
            match expr {
                Some(Expr::Column(inner)) => is_event_time(&projection.input, &inner.name),
                _ => false,
            }
        }
        _ => false,
    }
}

fn with_ties(window: &Window, arrives: bool) -> Result<LogicalPlan> {
    let mut input = Arc::clone(&window.input);
    let keys: Vec<Expr> = match arrives {
        true => {
            let place = row_number().alias(PLACE);
            let numbered = Window::try_new(vec![place], input)?;
            input = Arc::new(LogicalPlan::Window(numbered));
            vec![ident(PLACE)]
        }
        false => {
            let columns = window.input.schema().iter();
            let columns = columns.filter(|(_, field)| !field.data_type().is_nested());
            columns.map(Expr::from).collect()
        }
    };
    let keys: Vec<Sort> = keys
        .into_iter()
        .map(|expr| Sort::new(expr, true, true))
        .collect();
    let (placed, others): (Vec<Expr>, Vec<Expr>) =
        window.window_expr.iter().cloned().partition(is_placed);
    if !others.is_empty() {
        input = Arc::new(LogicalPlan::Window(Window::try_new(others, input)?));
    }
    let placed = placed.into_iter().map(|expr| ordered_by(expr, &keys));
    let placed = Window::try_new(placed.collect(), input)?;
    // The columns in their places, under their names.
    let mut columns: Vec<Expr> = window.input.schema().iter().map(Expr::from).collect();
    for expr in &window.window_expr {
        let old = expr.schema_name().to_string();
        let new = match is_placed(expr) {
            true => ordered_by(expr.clone(), &keys).schema_name().to_string(),
            false => old.clone(),
        };
        let column = Expr::Column(Column::new_unqualified(new.clone()));
        columns.push(match new == old {
            true => column,
            false => column.alias(old),
        });
    }
    let placed = Arc::new(LogicalPlan::Window(placed));
    Ok(LogicalPlan::Projection(Projection::try_new(
        columns, placed,
    )?))
}

/// The call with more that rows are ordered by.
fn ordered_by(expr: Expr, keys: &[Sort]) -> Expr {
    match expr {
        Expr::Alias(mut alias) => {
            *alias.expr = ordered_by(*alias.expr, keys);
            Expr::Alias(alias)
        }
        Expr::WindowFunction(mut call) => {
            call.params.order_by.extend(keys.iter().cloned());
            Expr::WindowFunction(call)
        }
        other => other,
    }
}
