//! `GROUP BY time_bucket('1 minute', ts)`, `date_bin(…)` and `date_trunc(…)` over event time: the
//! same windows as TUMBLE.
//!
//! Where the buckets lie is not computed here a second time: the function itself is asked for the
//! bucket of the epoch. Buckets in a time zone are the windows of that zone which begin there too.

use std::sync::Arc;

use chrono_tz::Tz;
use datafusion::arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, Schema};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, cast as cast_expr, lit};
use datafusion::physical_expr::create_physical_expr;
use rtsap_plan::window::WindowSpec;
use rtsap_stream::time::nanos_per;

use crate::error::PlanError;
use crate::logical::window_length::{check_window, constant_nanos, zoned};

/// The window of a call that puts column `time` of `schema` into buckets of fixed length; `None` if
/// `expr` is none.
///
/// # Errors
/// [`crate::error::Cause::Window`] for buckets of months or years over event time: they have no
/// fixed length.
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
    let Some(size_nanos) = size_nanos(call)? else {
        return Ok(None);
    };
    let Some(start) = bucket_of_epoch(call, schema, time, place) else {
        return Ok(None);
    };
    if let Some(zone) = time_zone(call)? {
        return zoned_window(zone, size_nanos, start).map(Some);
    }
    check_window(WindowSpec::Tumble {
        size_nanos,
        offset_nanos: start,
    })
    .map(Some)
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
fn zoned_window(zone: Tz, size_nanos: i64, start: i64) -> Result<WindowSpec, PlanError> {
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let begins = |window: &WindowSpec| window.windows_of(start).any(|found| found.start == start);
    let found = if size_nanos >= DAY_NANOS {
        let offsets = 0..size_nanos / DAY_NANOS;
        let windows = offsets.map(|days| zoned(zone, size_nanos, days * DAY_NANOS));
        windows
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .find(begins)
    } else {
        let midnight = zoned(zone, DAY_NANOS, 0)?.slice_start(start);
        Some(zoned(zone, size_nanos, start - midnight)?).filter(begins)
    };
    found.ok_or_else(|| {
        let message = "buckets of days in a time zone that do not begin at midnight there".into();
        let error = PlanError::new(crate::error::Cause::Window { message });
        error.hint("Leave out origin and offset, or group by TUMBLE with the times moved.")
    })
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
    if !["time_bucket", "date_bin", "date_trunc"].contains(&call.func.name()) {
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

fn size_nanos(call: &ScalarFunction) -> Result<Option<i64>, PlanError> {
    let Some(first) = call.args.first() else {
        return Ok(None);
    };
    if call.func.name() != "date_trunc" {
        return match constant_nanos(first) {
            Ok(nanos) => Ok(Some(nanos)),
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
    let granularity = granularity.to_lowercase();
    match granularity.as_str() {
        "microsecond" | "millisecond" | "second" | "minute" | "hour" | "day" | "week" => {
            Ok(crate::duration::unit_nanos(&granularity))
        }
        _ => {
            let message =
                format!("date_trunc('{granularity}', …) over event time has no fixed length");
            let error = PlanError::new(crate::error::Cause::Window { message });
            Err(error
                .hint("Group by day or less here, and by month in the SELECT that reads the view."))
        }
    }
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
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).ok()?;
    let value = physical.evaluate(&row).ok()?.to_array(1).ok()?;
    let DataType::Timestamp(unit, _) = value.data_type() else {
        return None;
    };
    let unit_nanos = nanos_per(*unit);
    let start = cast(&value, &DataType::Int64).ok()?;
    let start = start.as_primitive::<Int64Type>().iter().next()??;
    start.checked_mul(unit_nanos)
}
