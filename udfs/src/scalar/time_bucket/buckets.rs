//! Buckets of one width and alignment over times of one resolution: the arithmetic behind
//! `time_bucket`. Integers only; nothing is rounded.

use chrono_tz::Tz;
use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::Result;

use super::calendar::{first_day_of_month, month_of_day};
use super::{CALL, zone};
use crate::error::FunctionError;

const DAY_NS: i128 = 86_400_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Monday 2000-01-03T00:00:00Z: TimescaleDB's origin, so that weeks begin on Mondays.
const ORIGIN_NS: i128 = 10_959 * DAY_NS;
/// January 2000, counted in months from January of year 0.
const ORIGIN_MONTH: i64 = 2_000 * 12;

/// What the buckets are aligned to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Alignment {
    /// 2000-01-03, or 2000-01-01 for months.
    Default,
    /// An instant in nanoseconds since 1970-01-01 at which a bucket begins.
    Origin(i128),
    /// A distance by which all buckets are moved.
    Offset(IntervalMonthDayNano),
}

/// Buckets over times that count ticks since 1970-01-01.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Buckets {
    size: Size,
    data_type: DataType,
    /// Whose clocks they go by; `None` for UTC.
    zone: Option<Tz>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// All of one width.
    Ticks {
        width: i64,
        /// The start of some bucket: 0 ≤ `phase` < `width`.
        phase: i64,
    },
    /// Whole months.
    Months {
        width: i64,
        /// A month in which some bucket begins, counted from January of year 0.
        phase: i64,
        /// How far after the first of the month a bucket begins, in ticks.
        shift: i64,
        ticks_per_day: i64,
    },
}

impl Buckets {
    /// Describes buckets of `width` over times of type `data_type`.
    ///
    /// # Errors
    /// [`FunctionError::OutOfRange`] if the width is not positive or mixes months with days;
    /// [`FunctionError::Resolution`] if a bucket would begin between two ticks.
    pub(crate) fn new(
        width: IntervalMonthDayNano,
        alignment: Alignment,
        data_type: &DataType,
    ) -> Result<Self> {
        let ticks_per_day = ticks_per_day(data_type);
        let ticks = Ticks {
            ns: DAY_NS / i128::from(ticks_per_day),
            data_type,
        };
        let size = match width {
            IntervalMonthDayNano {
                months: 0,
                days,
                nanoseconds,
            } => {
                let width_ns = i128::from(days) * DAY_NS + i128::from(nanoseconds);
                fixed(width, width_ns, alignment, &ticks)?
            }
            IntervalMonthDayNano {
                months: 1..,
                days: 0,
                nanoseconds: 0,
            } => by_month(i64::from(width.months), alignment, &ticks, ticks_per_day)?,
            _ => return Err(out_of_range("width", width, POSITIVE).into()),
        };
        Ok(Self {
            size,
            data_type: data_type.clone(),
            zone: None,
        })
    }

    /// Returns the same buckets by what clocks in a zone show.
    pub(crate) fn in_zone(self, zone: Tz) -> Self {
        Self {
            zone: Some(zone),
            ..self
        }
    }

    /// Returns a reader that remembers the bucket it was in.
    pub(crate) fn cursor(&self) -> Cursor<'_> {
        Cursor {
            buckets: self,
            start: 0,
            end: 0,
        }
    }

    /// Makes the error for a bucket that begins before the first time of the type.
    pub(crate) fn out_of_range(&self) -> FunctionError {
        let (function, data_type) = (CALL.function, self.data_type.clone());
        FunctionError::Overflow {
            function,
            what: "the start of a bucket",
            data_type,
        }
    }

    /// Returns start and end of the bucket of `time`; the end saturates at the last tick.
    fn bounds(&self, time: i64) -> Option<(i64, i64)> {
        match self.zone {
            None => self.bounds_shown(time),
            Some(zone) => {
                let per_second = ticks_per_day(&self.data_type) / SECONDS_PER_DAY;
                zone::bounds(zone, per_second, time, |shown| self.bounds_shown(shown))
            }
        }
    }

    /// The same for a time as clocks show it.
    fn bounds_shown(&self, time: i64) -> Option<(i64, i64)> {
        match self.size {
            Size::Ticks { width, phase } => {
                // Both remainders lie in 0..width, so their difference cannot overflow.
                let past = (time.rem_euclid(width) - phase).rem_euclid(width);
                let start = time.checked_sub(past)?;
                Some((start, start.saturating_add(width)))
            }
            Size::Months {
                width,
                phase,
                shift,
                ticks_per_day,
            } => {
                let day = time.checked_sub(shift)?.div_euclid(ticks_per_day);
                let month = month_of_day(day);
                let first = month - (month - phase).rem_euclid(width);
                let ticks = |month: i64| {
                    first_day_of_month(month)
                        .checked_mul(ticks_per_day)?
                        .checked_add(shift)
                };
                Some((ticks(first)?, ticks(first + width).unwrap_or(i64::MAX)))
            }
        }
    }
}

/// Finds buckets of times in sequence; neighbours mostly share one, which costs no division.
pub(crate) struct Cursor<'a> {
    buckets: &'a Buckets,
    start: i64,
    end: i64,
}

impl Cursor<'_> {
    /// Returns the start of the bucket of `time`; `None` if no tick can express it.
    pub(crate) fn start_of(&mut self, time: i64) -> Option<i64> {
        if time < self.start || time >= self.end {
            (self.start, self.end) = self.buckets.bounds(time)?;
        }
        Some(self.start)
    }
}

const POSITIVE: &str = "a positive interval of either months or days and time";

fn fixed(
    width: IntervalMonthDayNano,
    width_ns: i128,
    alignment: Alignment,
    ticks: &Ticks<'_>,
) -> Result<Size> {
    if width_ns <= 0 {
        return Err(out_of_range("width", width, POSITIVE).into());
    }
    let width_ticks = ticks
        .exactly(width_ns)
        .ok_or_else(|| ticks.refuse("width", width))?;
    let width_ticks = i64::try_from(width_ticks)
        .map_err(|_| out_of_range("width", width, "an interval within the range of the times"))?;
    let origin = match alignment {
        Alignment::Default => ticks.exactly(ORIGIN_NS),
        Alignment::Origin(origin) => ticks.exactly(origin),
        Alignment::Offset(offset) => {
            if offset.months != 0 {
                let range = "an interval without months for buckets of days and time";
                return Err(out_of_range("offset", offset, range).into());
            }
            ticks.exactly(ORIGIN_NS + length_ns(offset))
        }
    };
    let origin = origin.ok_or_else(|| ticks.refuse_alignment(alignment))?;
    // A remainder modulo a 64-bit width fits 64 bits.
    let phase = origin.rem_euclid(i128::from(width_ticks)) as i64;
    Ok(Size::Ticks {
        width: width_ticks,
        phase,
    })
}

fn by_month(
    width: i64,
    alignment: Alignment,
    ticks: &Ticks<'_>,
    ticks_per_day: i64,
) -> Result<Size> {
    let (phase, shift_ns) = match alignment {
        Alignment::Default => (ORIGIN_MONTH, 0),
        Alignment::Offset(offset) => (ORIGIN_MONTH + i64::from(offset.months), length_ns(offset)),
        Alignment::Origin(origin) => {
            let day = origin.div_euclid(DAY_NS) as i64;
            let month = month_of_day(day);
            if first_day_of_month(month) != day || origin.rem_euclid(DAY_NS) != 0 {
                let (function, argument) = (CALL.function, "origin");
                let value = format!("{origin} ns since 1970");
                let range = "midnight on the first of a month for buckets of months";
                return Err(FunctionError::OutOfRange {
                    function,
                    argument,
                    value,
                    range: range.into(),
                }
                .into());
            }
            (month, 0)
        }
    };
    let shift = ticks
        .exactly(shift_ns)
        .and_then(|shift| i64::try_from(shift).ok());
    let shift = shift.ok_or_else(|| ticks.refuse_alignment(alignment))?;
    Ok(Size::Months {
        width,
        phase,
        shift,
        ticks_per_day,
    })
}

fn length_ns(interval: IntervalMonthDayNano) -> i128 {
    i128::from(interval.days) * DAY_NS + i128::from(interval.nanoseconds)
}

fn out_of_range(
    argument: &'static str,
    value: IntervalMonthDayNano,
    range: &'static str,
) -> FunctionError {
    let value = spelled(value);
    FunctionError::OutOfRange {
        function: CALL.function,
        argument,
        value,
        range: range.into(),
    }
}

/// Writes an interval as a person would read it.
fn spelled(interval: IntervalMonthDayNano) -> String {
    let IntervalMonthDayNano {
        months,
        days,
        nanoseconds,
    } = interval;
    let parts = [
        (months != 0).then(|| format!("{months} months")),
        (days != 0).then(|| format!("{days} days")),
        (nanoseconds != 0).then(|| format!("{nanoseconds} ns")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        "0".to_owned()
    } else {
        parts.join(" ")
    }
}

fn ticks_per_day(data_type: &DataType) -> i64 {
    match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 86_400,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 86_400_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 86_400_000_000,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 86_400_000_000_000,
        _ => 1,
    }
}

/// The resolution of the times.
struct Ticks<'a> {
    /// Nanoseconds of a tick.
    ns: i128,
    data_type: &'a DataType,
}

impl Ticks<'_> {
    /// Returns a duration in ticks if it is a whole number of them.
    fn exactly(&self, duration_ns: i128) -> Option<i128> {
        (duration_ns % self.ns == 0).then(|| duration_ns / self.ns)
    }

    fn refuse(&self, what: &'static str, value: IntervalMonthDayNano) -> FunctionError {
        let (value, data_type) = (spelled(value), self.data_type.clone());
        FunctionError::Resolution {
            what,
            value,
            data_type,
        }
    }

    fn refuse_alignment(&self, alignment: Alignment) -> FunctionError {
        match alignment {
            Alignment::Offset(offset) => self.refuse("offset", offset),
            Alignment::Default => self.refuse("origin", IntervalMonthDayNano::ZERO),
            Alignment::Origin(origin) => {
                let (value, data_type) = (format!("{origin} ns"), self.data_type.clone());
                FunctionError::Resolution {
                    what: "origin",
                    value,
                    data_type,
                }
            }
        }
    }
}
