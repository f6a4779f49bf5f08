//! `GROUP BY time_bucket('1 minute', ts)`, `date_bin(…)` and `date_trunc(…)` over event time: the
//! same windows as TUMBLE.
//!
//! Where the buckets lie is not computed here a second time: the function itself is asked for the
//! bucket of the epoch. Buckets in a time zone are the windows of that zone which begin there too.

use std::sync::Arc;

use chrono::{DateTime, Datelike};
use chrono_tz::Tz;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, cast as cast_expr, lit};
use datafusion::physical_expr::create_physical_expr;
use rtsap_plan::window::WindowSpec;
use rtsap_stream::time::nanos_per;

use crate::error::PlanError;
use crate::logical::window_length::{Length, Lengths, constant_length};
use crate::streaming::values::bare_row;

/// The functions that put times into buckets.
const FUNCTIONS: [&str; 3] = ["time_bucket", "date_bin", "date_trunc"];

/// Whether an expression puts something into buckets.
pub(super) fn is_bucket(expr: &Expr) -> bool {
    match unaliased(expr) {
        Expr::ScalarFunction(call) => FUNCTIONS.contains(&call.func.name()),
        _ => false,
    }
}

/// The window of a call that puts column `time` of `schema` into buckets; `None` if
/// `expr` is none.
///
/// # Errors
/// [`crate::error::Cause::Window`] for buckets that no window is.
pub(super) fn bucket_window(
    expr: &Expr,
    schema: &DFSchema,
    time: usize,
) -> Result<Option<WindowSpec>, PlanError> {
    let Expr::ScalarFunction(call) = unaliased(expr) else {
        return Ok(None);
    };
    let Some(place) = time_argument(call, schema, time) else {
        return Ok(None);
    };
    let Some(size) = size(call)? else {
        return Ok(None);
    };
    let Some(start) = bucket_of_epoch(call, schema, time, place) else {
        return Ok(None);
    };
    let zone = time_zone(call)?;
    let window = match (size, zone) {
        (Length::Months(months), _) => window_of_months(zone, months, start)?,
        (Length::Nanos(nanos), Some(zone)) => zoned_window(zone, nanos, start)?,
        (Length::Nanos(_), None) => {
            Lengths::tumbling(size, Some(Length::Nanos(start))).windows(None)?
        }
    };
    Ok(Some(window))
}

/// The windows of whole months one of which begins at `start`.
fn window_of_months(zone: Option<Tz>, months: i64, start: i64) -> Result<WindowSpec, PlanError> {
    let clock = zone.unwrap_or(Tz::UTC);
    let shown = DateTime::from_timestamp_nanos(start).with_timezone(&clock);
    let month = (i64::from(shown.year()) - 1970) * 12 + i64::from(shown.month0());
    let offset = Some(Length::Months(month));
    let window = Lengths::tumbling(Length::Months(months), offset).windows(zone)?;
    if window.slice_start(start) != start {
        let message = "buckets of months that do not begin with a month".into();
        let error = PlanError::new(crate::error::Cause::Window { message });
        return Err(error.hint("Leave out origin and offset."));
    }
    Ok(window)
}

/// The zone that a call of `time_bucket` names.
fn time_zone(call: &ScalarFunction) -> Result<Option<Tz>, PlanError> {
    let Some(Expr::Literal(value, _)) = call.args.get(2) else {
        return Ok(None);
    };
    let Some(Some(name)) = value
        .try_as_str()
        .filter(|_| call.func.name() == "time_bucket")
    else {
        return Ok(None);
    };
    let zone = name.parse().map_err(|_| {
        let message = format!("'{name}' is no time zone");
        PlanError::new(crate::error::Cause::Window { message })
    });
    zone.map(Some)
}

/// The windows in a zone that have a size and one of which begins at `start`.
fn zoned_window(zone: Tz, nanos: i64, start: i64) -> Result<WindowSpec, PlanError> {
    let shown = DateTime::from_timestamp_nanos(start).with_timezone(&zone);
    let shown = shown.naive_local().and_utc().timestamp_nanos_opt();
    let offset = Some(Length::Nanos(shown.unwrap_or(start)));
    let window = Lengths::tumbling(Length::Nanos(nanos), offset).windows(Some(zone))?;
    if window.slice_start(start) != start {
        let message = "buckets in a time zone that do not begin where clocks say so".into();
        let error = PlanError::new(crate::error::Cause::Window { message });
        return Err(error.hint("Leave out origin and offset."));
    }
    Ok(window)
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        _ => expr,
    }
}

/// Index of the argument that is the time column, if the call is a bucket function over it and
/// otherwise constant.
fn time_argument(call: &ScalarFunction, schema: &DFSchema, time: usize) -> Option<usize> {
    if !FUNCTIONS.contains(&call.func.name()) {
        return None;
    }
    let is_time = |arg: &Expr| match arg {
        Expr::Column(column) => schema.maybe_index_of_column(column) == Some(time),
        // The same instants in a finer unit.
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Column(column) => {
                schema.maybe_index_of_column(column) == Some(time)
                    && refines(schema.field(time).data_type(), cast.field.data_type())
            }
            _ => false,
        },
        _ => false,
    };
    let place = call.args.iter().position(is_time)?;
    let constant = |(index, arg): (usize, &Expr)| index == place || arg.column_refs().is_empty();
    (place == 1 && call.args.iter().enumerate().all(constant)).then_some(place)
}

/// Whether every time of type `from` is exactly one of type `to`.
fn refines(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Timestamp(from, zone), DataType::Timestamp(to, other)) => {
            zone.is_some() == other.is_some() && nanos_per(*from) >= nanos_per(*to)
        }
        _ => false,
    }
}

fn size(call: &ScalarFunction) -> Result<Option<Length>, PlanError> {
    let Some(first) = call.args.first() else {
        return Ok(None);
    };
    if call.func.name() != "date_trunc" {
        return match constant_length(first) {
            Ok(length) => Ok(Some(length)),
            Err(Some(error)) => Err(error),
            Err(None) => Ok(None),
        };
    }
    let Expr::Literal(value, _) = first else {
        return Ok(None);
    };
    let Some(Some(granularity)) = value.try_as_str() else {
        return Ok(None);
    };
    let nanos = crate::duration::unit_nanos(granularity).map(Length::Nanos);
    let months = || crate::duration::unit_months(granularity).map(Length::Months);
    Ok(nanos.or_else(months))
}

/// The start, in nanoseconds, of the bucket that holds the epoch.
fn bucket_of_epoch(
    call: &ScalarFunction,
    schema: &DFSchema,
    time: usize,
    place: usize,
) -> Option<i64> {
    let epoch = ScalarValue::Int64(Some(0))
        .cast_to(schema.field(time).data_type())
        .ok()?;
    let mut args = call.args.clone();
    args[place] = match &args[place] {
        Expr::Cast(finer) => cast_expr(lit(epoch), finer.field.data_type().clone()),
        _ => lit(epoch),
    };
    let expr = Expr::ScalarFunction(ScalarFunction {
        func: Arc::clone(&call.func),
        args,
    });
    let (props, planning) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let physical = create_physical_expr(&expr, &DFSchema::empty(), &props, &planning).ok()?;
    let value = physical
        .evaluate(&bare_row().ok()?)
        .ok()?
        .to_array(1)
        .ok()?;
    let DataType::Timestamp(unit, _) = value.data_type() else {
        return None;
    };
    let unit_nanos = nanos_per(*unit);
    let start = cast(&value, &DataType::Int64).ok()?;
    let start = start.as_primitive::<Int64Type>().iter().next()??;
    start.checked_mul(unit_nanos)
}
