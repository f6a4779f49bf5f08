//! A time taken apart: what a template writes.

use chrono::{DateTime, Datelike, NaiveDate, Timelike};
use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::{Result, internal_err};

const NANOS: i64 = 1_000_000_000;

/// Names of months.
pub(crate) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Names of days, from Sunday.
pub(crate) const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

/// A time of a day, or a length of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) nanos: i64,
    /// `None` for a length of time.
    pub(crate) date: Option<NaiveDate>,
    /// Whether it is an instant; they are shown in UTC.
    pub(crate) zoned: bool,
}

impl Moment {
    /// The instant so many nanoseconds after 1970; `None` beyond the calendar.
    pub(crate) fn at(nanos: i128, zoned: bool) -> Option<Self> {
        let second = i64::try_from(nanos.div_euclid(i128::from(NANOS))).ok()?;
        let time = DateTime::from_timestamp(second, 0)?.naive_utc();
        Some(Self {
            year: i64::from(time.year()),
            month: i64::from(time.month()),
            day: i64::from(time.day()),
            hour: i64::from(time.hour()),
            minute: i64::from(time.minute()),
            second: i64::from(time.second()),
            nanos: i64::try_from(nanos.rem_euclid(i128::from(NANOS))).ok()?,
            date: Some(time.date()),
            zoned,
        })
    }

    /// A length of time.
    pub(crate) fn of_interval(value: IntervalMonthDayNano) -> Self {
        let seconds = value.nanoseconds / NANOS;
        Self {
            year: i64::from(value.months) / 12,
            month: i64::from(value.months) % 12,
            day: i64::from(value.days),
            hour: seconds / 3_600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            nanos: value.nanoseconds % NANOS,
            date: None,
            zoned: false,
        }
    }
}

/// Times of any type, read row by row.
pub(crate) enum Moments {
    Counts {
        counts: ArrayRef,
        nanos: i128,
        zoned: bool,
    },
    Intervals(ArrayRef),
}

impl Moments {
    /// The times in `array`: timestamps, dates, times of a day, intervals.
    pub(crate) fn new(array: &ArrayRef) -> Result<Self> {
        use DataType as T;
        if let T::Interval(_) = array.data_type() {
            return Ok(Self::Intervals(cast(
                array,
                &super::super::function::INTERVAL,
            )?));
        }
        let (unit, zoned) = match array.data_type() {
            T::Date32 => (TimeUnit::Second, false),
            T::Timestamp(unit, zone) => (*unit, zone.is_some()),
            T::Time32(unit) | T::Time64(unit) => (*unit, false),
            other => return internal_err!("a time is {other}"),
        };
        let (counts, nanos) = match array.data_type() {
            T::Date32 => (
                cast(&cast(array, &T::Int32)?, &T::Int64)?,
                86_400_000_000_000,
            ),
            T::Time32(_) => (cast(&cast(array, &T::Int32)?, &T::Int64)?, per_unit(unit)),
            _ => (cast(array, &T::Int64)?, per_unit(unit)),
        };
        Ok(Self::Counts {
            counts,
            nanos,
            zoned,
        })
    }

    /// The time of a row that is not null; `None` beyond the calendar.
    pub(crate) fn get(&self, row: usize) -> Option<Moment> {
        match self {
            Self::Counts {
                counts,
                nanos,
                zoned,
            } => {
                let count = counts.as_primitive::<Int64Type>().value(row);
                Moment::at(i128::from(count) * nanos, *zoned)
            }
            Self::Intervals(values) => {
                let value = values.as_primitive::<IntervalMonthDayNanoType>().value(row);
                Some(Moment::of_interval(value))
            }
        }
    }
}

/// Nanoseconds of a unit.
pub(crate) fn per_unit(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}
