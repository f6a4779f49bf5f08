//! The lengths of windows: constant intervals as nanoseconds, and what they may be.

use chrono_tz::Tz;
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::Expr as SqlExpr;
use rtsap_plan::window::WindowSpec;
use rtsap_plan::window::calendar::{CalendarWindows, Grid, Step};

use crate::duration::{months_of, nanos_of};
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

/// A constant length: whole months, or nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Of the calendar, each as long as it is.
    Months(i64),
    /// The same everywhere.
    Nanos(i64),
}

/// The lengths of a family of windows.
#[derive(Clone, Copy, Debug)]
pub struct Lengths {
    /// Of the longest window.
    pub size: Length,
    /// From the end of one window to the next.
    pub slide: Length,
    /// Where one window begins.
    pub offset: Option<Length>,
    /// Windows begin together every `size`.
    pub cumulates: bool,
}

impl Lengths {
    /// One window after the other.
    pub const fn tumbling(size: Length, offset: Option<Length>) -> Self {
        Self {
            size,
            slide: size,
            offset,
            cumulates: false,
        }
    }

    /// The windows of these lengths, by the clocks of `zone` if there is one.
    ///
    /// # Errors
    /// [`Cause::Window`] for lengths that do not go together.
    pub fn windows(self, zone: Option<Tz>) -> Result<WindowSpec, PlanError> {
        let window = match (self.size, self.slide, zone) {
            (Length::Months(size), Length::Months(slide), _) => {
                self.of_months(size, slide, zone.unwrap_or(Tz::UTC))?
            }
            (Length::Nanos(size), Length::Nanos(slide), Some(zone)) => {
                self.by_clocks(size, slide, zone)?
            }
            (Length::Nanos(size), Length::Nanos(slide), None) => self.uniform(size, slide)?,
            _ => return Err(mixed_lengths()),
        };
        check_window(window)
    }

    fn uniform(self, size_nanos: i64, slide_nanos: i64) -> Result<WindowSpec, PlanError> {
        let offset_nanos = match self.offset {
            None => 0,
            Some(Length::Nanos(offset)) => offset,
            Some(Length::Months(_)) => return Err(mixed_lengths()),
        };
        Ok(match (self.cumulates, size_nanos == slide_nanos) {
            (true, _) => WindowSpec::Cumulate {
                step_nanos: slide_nanos,
                size_nanos,
                offset_nanos,
            },
            (false, true) => WindowSpec::Tumble {
                size_nanos,
                offset_nanos,
            },
            (false, false) => WindowSpec::Hop {
                size_nanos,
                slide_nanos,
                offset_nanos,
            },
        })
    }

    fn of_months(self, size: i64, slide: i64, zone: Tz) -> Result<WindowSpec, PlanError> {
        let offset = match self.offset {
            None => 0,
            Some(Length::Months(offset)) => offset,
            Some(Length::Nanos(0)) => 0,
            Some(Length::Nanos(_)) => return Err(mixed_lengths()),
        };
        let months = positive(size, slide)?;
        let step = Step::Months {
            months,
            offset: offset.rem_euclid(months),
        };
        Ok(self.calendar(Grid { zone, step }, (size, slide, offset), months))
    }

    fn by_clocks(self, size: i64, slide: i64, zone: Tz) -> Result<WindowSpec, PlanError> {
        let offset = match self.offset {
            None => 0,
            Some(Length::Nanos(offset)) => offset,
            Some(Length::Months(_)) => return Err(mixed_lengths()),
        };
        let nanos = positive(size, slide)?;
        if DAY_NANOS % nanos != 0 && nanos % DAY_NANOS != 0 {
            let error =
                window_error("windows in a time zone are whole days, or parts that make up a day");
            return Err(
                error.hint("Write INTERVAL '1' DAY, '4' HOUR, '15' MINUTE: 24 hours divided.")
            );
        }
        // Where an hour comes twice its lines are gone through one by one.
        if nanos < SECOND_NANOS {
            let error = window_error("windows in a time zone are made of whole seconds");
            return Err(error.hint("Leave the zone out: clocks are changed by whole seconds."));
        }
        let step = Step::Span {
            nanos,
            offset_nanos: offset.rem_euclid(nanos),
        };
        Ok(self.calendar(Grid { zone, step }, (size, slide, offset), nanos))
    }

    fn calendar(self, grid: Grid, lengths: (i64, i64, i64), step: i64) -> WindowSpec {
        let (size, slide, offset) = lengths;
        let (size, slide) = (size / step, slide / step);
        let period = if self.cumulates { size } else { slide };
        WindowSpec::Calendar(CalendarWindows {
            grid,
            size,
            slide,
            offset: offset.div_euclid(step).rem_euclid(period),
            cumulates: self.cumulates,
        })
    }
}

const DAY_NANOS: i64 = 86_400_000_000_000;
const SECOND_NANOS: i64 = 1_000_000_000;

/// The longest length of which both are multiples.
fn positive(size: i64, slide: i64) -> Result<i64, PlanError> {
    if size <= 0 || slide <= 0 {
        return Err(too_short());
    }
    let (mut a, mut b) = (size, slide);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    Ok(a)
}

fn too_short() -> PlanError {
    window_error("a window's size and slide must be greater than zero")
}

fn mixed_lengths() -> PlanError {
    let error = window_error("a window is made of months or of days, hours and less, not of both");
    error.hint("Months have no fixed length: write all of its lengths in months and years.")
}

/// The length that a constant interval is; `None` as error if it is no constant interval.
pub fn constant_length(expr: &Expr) -> std::result::Result<Length, Option<PlanError>> {
    let value = match expr {
        Expr::Literal(value, _) => value,
        Expr::Cast(cast) => return constant_length(&cast.expr),
        Expr::Negative(inner) => {
            return constant_length(inner).map(|length| match length {
                Length::Months(months) => Length::Months(months.wrapping_neg()),
                Length::Nanos(nanos) => Length::Nanos(nanos.wrapping_neg()),
            });
        }
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
            return match months_of(text) {
                Some(months) => Ok(Length::Months(months)),
                None => nanos_of(text, None).map(Length::Nanos).map_err(Some),
            };
        }
        _ => return Err(None),
    };
    if months != 0 {
        if days != 0 || nanos != 0 {
            return Err(Some(mixed_lengths()));
        }
        return Ok(Length::Months(i64::from(months)));
    }
    let total = i64::from(days)
        .checked_mul(DAY_NANOS)
        .and_then(|days| days.checked_add(nanos));
    total
        .map(Length::Nanos)
        .ok_or_else(|| Some(window_error("an interval of more than 292 years")))
}

/// The nanoseconds of a constant interval; `None` as error if it is no constant interval.
pub fn constant_nanos(expr: &Expr) -> std::result::Result<i64, Option<PlanError>> {
    match constant_length(expr)? {
        Length::Nanos(nanos) => Ok(nanos),
        Length::Months(_) => {
            let error = window_error("this length cannot be months or years");
            Err(Some(error.hint(
                "Months have no fixed length; use days, hours or less.",
            )))
        }
    }
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
        return Err(too_short());
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
                return Err(no_multiple());
            }
            WindowSpec::Cumulate {
                step_nanos,
                size_nanos,
                offset_nanos: offset_nanos.rem_euclid(size_nanos),
            }
        }
        WindowSpec::Calendar(windows) => {
            if windows.cumulates && windows.size % windows.slide != 0 {
                return Err(no_multiple());
            }
            window
        }
        other @ WindowSpec::Session { .. } => other,
    })
}

fn no_multiple() -> PlanError {
    let error = window_error("the size of CUMULATE is no multiple of its step");
    error.hint("The step comes first, then the size.")
}
