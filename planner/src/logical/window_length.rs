//! The lengths of windows: constant intervals as nanoseconds, and what they may be.

use chrono_tz::Tz;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Expr as SqlExpr;
use rtsap_plan::window::WindowSpec;
use rtsap_plan::window::zoned::ZonedDays;

use crate::duration::nanos_of;
use crate::error::PlanError;
use crate::logical::window_tvf::window_error;

/// `TIME ZONE => 'America/New_York'`.
pub(super) fn time_zone(arg: SqlExpr) -> Result<Tz, PlanError> {
    let name = match &arg {
        SqlExpr::Value(value) => value.clone().into_string(),
        _ => None,
    };
    let zone = name.as_deref().and_then(|name| name.parse::<Tz>().ok());
    zone.ok_or_else(|| {
        let error = window_error(format!("{arg} is no time zone"));
        error.hint("Write a name of the IANA database: TIME ZONE => 'America/New_York'.")
    })
}

/// Windows of whole days in a zone, or of whole parts of a day.
///
/// # Errors
/// [`Cause::Window`] for other lengths.
pub fn zoned(zone: Tz, size: i64, offset: i64) -> Result<WindowSpec, PlanError> {
    const DAY_NANOS: i64 = 86_400_000_000_000;
    if size > 0 && DAY_NANOS % size == 0 && size < DAY_NANOS {
        return Ok(WindowSpec::Zoned(ZonedDays {
            days: 1,
            offset_days: 0,
            part_nanos: size,
            offset_nanos: offset.rem_euclid(size),
            zone,
        }));
    }
    if size <= 0 || size % DAY_NANOS != 0 || offset % DAY_NANOS != 0 {
        let error =
            window_error("windows in a time zone are whole days, or parts that make up a day");
        return Err(error.hint("Write INTERVAL '1' DAY, '4' HOUR, '15' MINUTE: 24 hours divided."));
    }
    let days = size / DAY_NANOS;
    Ok(WindowSpec::Zoned(ZonedDays {
        days,
        offset_days: (offset / DAY_NANOS).rem_euclid(days),
        part_nanos: 0,
        offset_nanos: 0,
        zone,
    }))
}

/// The nanoseconds of a constant interval; `None` as error if it is no constant interval.
pub fn constant_nanos(expr: &Expr) -> std::result::Result<i64, Option<PlanError>> {
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let value = match expr {
        Expr::Literal(value, _) => value,
        Expr::Cast(cast) => return constant_nanos(&cast.expr),
        Expr::Negative(inner) => return constant_nanos(inner).map(i64::wrapping_neg),
        _ => return Err(None),
    };
    let (months, days, nanos) = match value {
        ScalarValue::IntervalMonthDayNano(Some(value)) => {
            (value.months, value.days, value.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(value)) => {
            (0, value.days, i64::from(value.milliseconds) * 1_000_000)
        }
        ScalarValue::IntervalYearMonth(Some(months)) => (*months, 0, 0),
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            return nanos_of(text, None).map_err(Some);
        }
        _ => return Err(None),
    };
    if months != 0 {
        let error = window_error("a window cannot be months or years long");
        return Err(Some(
            error.hint("Months have no fixed length; use days, hours or less."),
        ));
    }
    let total = i64::from(days)
        .checked_mul(DAY_NANOS)
        .and_then(|days| days.checked_add(nanos));
    total.ok_or_else(|| Some(window_error("an interval of more than 292 years")))
}

/// How many windows a row may be in: each costs a row of state.
pub const WINDOWS_PER_ROW_MAX: i64 = 10_000;

/// Refuses impossible lengths and brings the offset into one period.
///
/// # Errors
/// [`Cause::Window`].
pub fn check_window(window: WindowSpec) -> Result<WindowSpec, PlanError> {
    let (size, slide) = (window.size_nanos(), window.slide_nanos());
    if size <= 0 || slide <= 0 {
        return Err(window_error(
            "a window's size and slide must be greater than zero",
        ));
    }
    if size / slide > WINDOWS_PER_ROW_MAX {
        let message = format!("each row would be in more than {WINDOWS_PER_ROW_MAX} windows");
        return Err(window_error(message).hint("The slide comes first, then the size."));
    }
    Ok(match window {
        WindowSpec::Tumble {
            size_nanos,
            offset_nanos,
        } => WindowSpec::Tumble {
            size_nanos,
            offset_nanos: offset_nanos.rem_euclid(size_nanos),
        },
        WindowSpec::Hop {
            size_nanos,
            slide_nanos,
            offset_nanos,
        } => WindowSpec::Hop {
            size_nanos,
            slide_nanos,
            offset_nanos: offset_nanos.rem_euclid(slide_nanos),
        },
        WindowSpec::Cumulate {
            step_nanos,
            size_nanos,
            offset_nanos,
        } => {
            if size_nanos % step_nanos != 0 {
                let error = window_error("the size of CUMULATE is no multiple of its step");
                return Err(error.hint("The step comes first, then the size."));
            }
            WindowSpec::Cumulate {
                step_nanos,
                size_nanos,
                offset_nanos: offset_nanos.rem_euclid(size_nanos),
            }
        }
        other @ (WindowSpec::Session { .. } | WindowSpec::Zoned(_)) => other,
    })
}
