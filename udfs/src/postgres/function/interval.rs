//! Lengths of time: `age`, `justify_…`, `make_interval`, `make_timestamp`, and an interval times a
//! number.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};
use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, IntervalMonthDayNanoArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::compute::{DatePart, date_part};
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, internal_err};

use super::{Entry, INTERVAL, TIMESTAMP, Types, is_number, is_text, rows, timestamptz};
use crate::error::FunctionError;
use crate::postgres::format::moment::Moment;
use crate::postgres::zone::Zone;

const DAY_NANOS: i128 = 86_400_000_000_000;

pub(super) const ALL: [Entry; 12] = [
    Entry {
        name: "isfinite",
        signature: "isfinite(date | timestamp | interval) -> boolean",
        description: "True: there are no infinite times.",
        example: "SELECT isfinite(ts) FROM trades",
        parameters: &[],
        types: |types| match types {
            [DataType::Date32 | DataType::Timestamp(..) | DataType::Interval(_)] => {
                Some((types.to_vec(), DataType::Boolean))
            }
            _ => None,
        },
        compute: |columns, _| {
            let finite = rows(columns, |_| Ok(true))?;
            Ok(Arc::new(BooleanArray::from(finite)))
        },
    },
    Entry {
        name: "age",
        signature: "age(later timestamp, earlier timestamp) -> interval",
        description: "Years, months, days and time from one timestamp to another.",
        example: "SELECT age(ts, TIMESTAMP '2001-04-10') FROM trades",
        parameters: &[],
        types: age_types,
        compute: age,
    },
    Entry {
        name: "justify_days",
        signature: "justify_days(interval) -> interval",
        description: "The same length with each 30 days as a month.",
        example: "SELECT justify_days(INTERVAL '65 days') FROM trades",
        parameters: &[],
        types: interval_types,
        compute: |columns, _| each(columns, justify_days),
    },
    Entry {
        name: "justify_hours",
        signature: "justify_hours(interval) -> interval",
        description: "The same length with each 24 hours as a day.",
        example: "SELECT justify_hours(INTERVAL '50 hours') FROM trades",
        parameters: &[],
        types: interval_types,
        compute: |columns, _| each(columns, justify_hours),
    },
    Entry {
        name: "justify_interval",
        signature: "justify_interval(interval) -> interval",
        description: "The same length with hours as days, days as months, and one sign.",
        example: "SELECT justify_interval(INTERVAL '1 month -1 hour') FROM trades",
        parameters: &[],
        types: interval_types,
        compute: |columns, _| each(columns, justify_interval),
    },
    Entry {
        name: "make_interval",
        signature: "make_interval([years, months, weeks, days, hours, mins, secs]) -> interval",
        description: "An interval of its parts.",
        example: "SELECT make_interval(0, 1, 0, 10) FROM trades",
        parameters: &[],
        types: make_interval_types,
        compute: make_interval,
    },
    Entry {
        name: "make_timestamp",
        signature: "make_timestamp(year, month, day, hour, min, sec) -> timestamp",
        description: "A timestamp of its parts.",
        example: "SELECT make_timestamp(2024, 3, 5, 14, 5, 6.5) FROM trades",
        parameters: &["year", "month", "mday", "hour", "min", "sec"],
        types: |types| {
            (types.len() == 6)
                .then(|| parts(types, TIMESTAMP))
                .flatten()
        },
        compute: make_timestamp,
    },
    Entry {
        name: "make_timestamptz",
        signature: "make_timestamptz(year, month, day, hour, min, sec [, zone text]) -> \
                    timestamptz",
        description: "The instant at which clocks show these parts, in UTC or in the zone.",
        example: "SELECT make_timestamptz(2024, 3, 5, 14, 5, 6.5, 'Europe/Berlin') FROM trades",
        parameters: &[],
        types: |types| match types {
            [parts_of @ .., zone] if types.len() == 7 && is_text(zone) => {
                let (mut types, result) = parts(parts_of, timestamptz())?;
                types.push(DataType::Utf8);
                Some((types, result))
            }
            types => (types.len() == 6)
                .then(|| parts(types, timestamptz()))
                .flatten(),
        },
        compute: make_timestamp,
    },
    Entry {
        name: "interval_mul",
        signature: "interval_mul(interval, factor) -> interval",
        description: "An interval times a number: what interval * number is planned as.",
        example: "SELECT INTERVAL '1 day' * 1.5 FROM trades",
        parameters: &[],
        types: scaled_types,
        compute: |columns, _| scaled(columns, false),
    },
    Entry {
        name: "interval_div",
        signature: "interval_div(interval, divisor) -> interval",
        description: "An interval divided by a number: what interval / number is planned as.",
        example: "SELECT INTERVAL '1 month' / 4 FROM trades",
        parameters: &[],
        types: scaled_types,
        compute: |columns, _| scaled(columns, true),
    },
    Entry {
        name: "micros_of_minute",
        signature: "micros_of_minute(time) -> bigint",
        description: "The microseconds of a time since its minute began: what extract(second …) is \
                      computed from.",
        example: "SELECT micros_of_minute(ts) FROM trades",
        parameters: &[],
        types: |types| match types {
            [DataType::Interval(_)] => Some((vec![INTERVAL], DataType::Int64)),
            [
                of @ (DataType::Timestamp(..)
                | DataType::Date32
                | DataType::Time32(_)
                | DataType::Time64(_)),
            ] => Some((vec![of.clone()], DataType::Int64)),
            _ => None,
        },
        compute: micros_of_minute,
    },
    Entry {
        name: "interval_length",
        signature: "interval_length(interval) -> numeric",
        description: "How long an interval is, in nanoseconds, with months of 30 days and days of \
                      24 hours: what intervals are compared by.",
        example: "SELECT interval_length(INTERVAL '1 month') FROM trades",
        parameters: &[],
        types: |types| match types {
            [DataType::Interval(_) | DataType::Duration(_)] => Some((vec![INTERVAL], LENGTH)),
            _ => None,
        },
        compute: length,
    },
];

fn micros_of_minute(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    if let Some(intervals) = columns[0].as_primitive_opt::<IntervalMonthDayNanoType>() {
        let micros = intervals
            .iter()
            .map(|interval| Some(interval?.nanoseconds % 60_000_000_000 / 1_000));
        return Ok(Arc::new(micros.collect::<Int64Array>()));
    }
    let part = |part: DatePart| date_part(columns[0].as_ref(), part);
    let (seconds, nanos) = (part(DatePart::Second)?, part(DatePart::Nanosecond)?);
    let seconds = seconds.as_primitive::<Int32Type>().iter();
    let nanos = nanos.as_primitive::<Int32Type>().iter();
    let micros = seconds.zip(nanos).map(|(seconds, nanos)| {
        let (seconds, nanos) = (i64::from(seconds?), i64::from(nanos?));
        Some(seconds * 1_000_000 + nanos / 1_000)
    });
    Ok(Arc::new(micros.collect::<Int64Array>()))
}

/// Nanoseconds of every interval that there is.
const LENGTH: DataType = DataType::Decimal128(38, 0);

fn length(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let intervals = columns[0].as_primitive::<IntervalMonthDayNanoType>();
    let lengths = intervals.iter().map(|interval| {
        interval.map(|interval| {
            let days = i128::from(interval.months) * 30 + i128::from(interval.days);
            days * DAY_NANOS + i128::from(interval.nanoseconds)
        })
    });
    let lengths: Decimal128Array = lengths.collect();
    Ok(Arc::new(lengths.with_data_type(LENGTH)))
}

fn out_of_range(what: &str) -> FunctionError {
    FunctionError::value("22008", format!("{what} out of range"))
}

fn age_types(types: &[DataType]) -> Option<Types> {
    let is_time =
        |t: &DataType| matches!(t, DataType::Timestamp(..) | DataType::Date32) || is_text(t);
    let [later, earlier] = types else {
        return None;
    };
    (is_time(later) && is_time(earlier)).then(|| (vec![TIMESTAMP, TIMESTAMP], INTERVAL))
}

fn age(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let later = columns[0].as_primitive::<TimestampMicrosecondType>();
    let earlier = columns[1].as_primitive::<TimestampMicrosecondType>();
    let ages = rows(columns, |row| {
        let age = between(later.value(row), earlier.value(row));
        Ok(age.ok_or_else(|| out_of_range("timestamp"))?)
    })?;
    Ok(Arc::new(IntervalMonthDayNanoArray::from(ages)))
}

/// The difference field by field; days are borrowed from the month of the earlier time.
fn between(later: i64, earlier: i64) -> Option<IntervalMonthDayNano> {
    if later < earlier {
        let age = between(earlier, later)?;
        return Some(IntervalMonthDayNano::new(
            -age.months,
            -age.days,
            -age.nanoseconds,
        ));
    }
    let (later, earlier) = (
        Moment::at(i128::from(later) * 1_000, false)?,
        Moment::at(i128::from(earlier) * 1_000, false)?,
    );
    let of_day = |m: &Moment| ((m.hour * 60 + m.minute) * 60 + m.second) * 1_000_000_000 + m.nanos;
    let mut nanos = of_day(&later) - of_day(&earlier);
    let mut days = later.day - earlier.day;
    let mut months = (later.year - earlier.year) * 12 + later.month - earlier.month;
    if nanos < 0 {
        nanos += 86_400_000_000_000;
        days -= 1;
    }
    if days < 0 {
        let date = earlier.date?;
        days += i64::from(date.num_days_in_month());
        months -= 1;
    }
    let small = |value: i64| i32::try_from(value).ok();
    Some(IntervalMonthDayNano::new(
        small(months)?,
        small(days)?,
        nanos,
    ))
}

fn interval_types(types: &[DataType]) -> Option<Types> {
    match types {
        [DataType::Interval(_) | DataType::Utf8 | DataType::Null] => {
            Some((vec![INTERVAL], INTERVAL))
        }
        _ => None,
    }
}

fn each(
    columns: &[ArrayRef],
    of: fn(IntervalMonthDayNano) -> Option<IntervalMonthDayNano>,
) -> Result<ArrayRef> {
    let intervals = columns[0].as_primitive::<IntervalMonthDayNanoType>();
    let values = rows(columns, |row| {
        Ok(of(intervals.value(row)).ok_or_else(|| out_of_range("interval"))?)
    })?;
    Ok(Arc::new(IntervalMonthDayNanoArray::from(values)))
}

/// With units of the second as units of the first, both of one sign.
fn justified(big: i64, small: i128, of: i128) -> Option<(i64, i128)> {
    let whole = small / of;
    let mut big = big.checked_add(i64::try_from(whole).ok()?)?;
    let mut small = small - whole * of;
    if big > 0 && small < 0 {
        small += of;
        big -= 1;
    } else if big < 0 && small > 0 {
        small -= of;
        big += 1;
    }
    Some((big, small))
}

fn interval(months: i64, days: i64, nanos: i128) -> Option<IntervalMonthDayNano> {
    Some(IntervalMonthDayNano::new(
        i32::try_from(months).ok()?,
        i32::try_from(days).ok()?,
        i64::try_from(nanos).ok()?,
    ))
}

fn justify_days(value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let (months, days) = justified(value.months.into(), value.days.into(), 30)?;
    interval(months, i64::try_from(days).ok()?, value.nanoseconds.into())
}

fn justify_hours(value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let (days, nanos) = justified(value.days.into(), value.nanoseconds.into(), DAY_NANOS)?;
    interval(value.months.into(), days, nanos)
}

fn justify_interval(value: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let whole = i128::from(value.nanoseconds) / DAY_NANOS;
    let nanos = i128::from(value.nanoseconds) - whole * DAY_NANOS;
    let days = i128::from(value.days) + whole;
    let months = i128::from(value.months) + days / 30;
    let days = days % 30;
    let (mut months, mut days, mut nanos) = (months, days, nanos);
    if months > 0 && (days < 0 || (days == 0 && nanos < 0)) {
        days += 30;
        months -= 1;
    } else if months < 0 && (days > 0 || (days == 0 && nanos > 0)) {
        days -= 30;
        months += 1;
    }
    if days > 0 && nanos < 0 {
        nanos += DAY_NANOS;
        days -= 1;
    } else if days < 0 && nanos > 0 {
        nanos -= DAY_NANOS;
        days += 1;
    }
    interval(
        i64::try_from(months).ok()?,
        i64::try_from(days).ok()?,
        nanos,
    )
}

fn make_interval_types(types: &[DataType]) -> Option<Types> {
    let fits = !types.is_empty() && types.len() <= 7 && types.iter().all(is_number);
    fits.then(|| {
        let mut coerced = vec![DataType::Int64; types.len()];
        if let Some(seconds) = coerced.get_mut(6) {
            *seconds = DataType::Float64;
        }
        (coerced, INTERVAL)
    })
}

fn make_interval(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let values = rows(columns, |row| {
        let part = |place: usize| match columns.get(place) {
            Some(column) => i128::from(column.as_primitive::<Int64Type>().value(row)),
            None => 0,
        };
        let seconds = columns.get(6).map_or(0.0, |column| {
            column.as_primitive::<Float64Type>().value(row)
        });
        #[expect(clippy::cast_possible_truncation, reason = "a float's cast saturates")]
        let seconds = (seconds * 1e6).round() as i128 * 1_000;
        let months = part(0) * 12 + part(1);
        let days = part(2) * 7 + part(3);
        let nanos = (part(4) * 60 + part(5)) * 60_000_000_000 + seconds;
        let value = i64::try_from(months)
            .ok()
            .zip(i64::try_from(days).ok())
            .and_then(|(months, days)| interval(months, days, nanos));
        Ok(value.ok_or_else(|| out_of_range("interval"))?)
    })?;
    Ok(Arc::new(IntervalMonthDayNanoArray::from(values)))
}

/// Five whole numbers and seconds.
fn parts(types: &[DataType], result: DataType) -> Option<Types> {
    types.iter().all(is_number).then(|| {
        let mut coerced = vec![DataType::Int64; 5];
        coerced.push(DataType::Float64);
        (coerced, result)
    })
}

fn make_timestamp(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    if columns.len() < 6 {
        return internal_err!("a timestamp of {} parts", columns.len());
    }
    let times = rows(columns, |row| {
        let part = |place: usize| columns[place].as_primitive::<Int64Type>().value(row);
        let second = columns[5].as_primitive::<Float64Type>().value(row);
        let zone = match columns.get(6) {
            Some(names) => Zone::named(names.as_string::<i32>().value(row))?,
            None => Zone::Ahead(0),
        };
        let small = |value: i64| u32::try_from(value).ok();
        let date = || {
            // A year before the first counts from it.
            let year = if part(0) < 0 { part(0) + 1 } else { part(0) };
            let year = i32::try_from(year).ok().filter(|_| part(0) != 0)?;
            NaiveDate::from_ymd_opt(year, small(part(1))?, small(part(2))?)
        };
        let date = date().ok_or_else(|| {
            let text = format!("{}-{:02}-{:02}", part(0), part(1), part(2));
            FunctionError::value("22008", format!("date field value out of range: {text}"))
        })?;
        let (hour, minute) = (part(3), part(4));
        let fits = (0..24).contains(&hour) && (0..60).contains(&minute);
        if !fits || !(0.0..=60.0).contains(&second) {
            let text = format!("{hour}:{minute:02}:{second:02}");
            let message = format!("time field value out of range: {text}");
            return Err(FunctionError::value("22008", message).into());
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 60 seconds")]
        let of_minute = (second * 1e6).round() as i64;
        let shown = date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp();
        let shown = shown + (hour * 60 + minute) * 60;
        let ahead = zone.ahead_when_shown(shown + of_minute / 1_000_000);
        let time = ahead.and_then(|ahead| {
            (shown - ahead)
                .checked_mul(1_000_000)?
                .checked_add(of_minute)
        });
        Ok(time.ok_or_else(|| out_of_range("timestamp"))?)
    })?;
    let times = TimestampMicrosecondArray::from(times);
    Ok(Arc::new(times.with_data_type(result.clone())))
}

fn scaled_types(types: &[DataType]) -> Option<Types> {
    match types {
        [DataType::Interval(_), factor] if is_number(factor) => {
            Some((vec![INTERVAL, DataType::Float64], INTERVAL))
        }
        _ => None,
    }
}

fn scaled(columns: &[ArrayRef], divides: bool) -> Result<ArrayRef> {
    let intervals = columns[0].as_primitive::<IntervalMonthDayNanoType>();
    let factors = columns[1].as_primitive::<Float64Type>();
    let values = rows(columns, |row| {
        let factor = factors.value(row);
        if divides && factor == 0.0 {
            return Err(FunctionError::value("22012", "division by zero".to_owned()).into());
        }
        let value = times(intervals.value(row), |part| {
            if divides {
                part / factor
            } else {
                part * factor
            }
        });
        Ok(value.ok_or_else(|| out_of_range("interval"))?)
    })?;
    Ok(Arc::new(IntervalMonthDayNanoArray::from(values)))
}

/// What is left of a month becomes days of which it has 30, what is left of a day its time.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit is refused"
)]
fn times(value: IntervalMonthDayNano, of: impl Fn(f64) -> f64) -> Option<IntervalMonthDayNano> {
    const DAY_SECONDS: f64 = 86_400.0;
    let micros = |value: f64| (value * 1e6).round() / 1e6;
    let (months, days) = (of(f64::from(value.months)), of(f64::from(value.days)));
    let fits = |value: f64| value.abs() < f64::from(i32::MAX);
    if !fits(months) || !fits(days) {
        return None;
    }
    let (mut whole_days, month_days) = (days.trunc(), micros((months - months.trunc()) * 30.0));
    let mut seconds = micros((days - whole_days + month_days - month_days.trunc()) * DAY_SECONDS);
    if seconds.abs() >= DAY_SECONDS {
        let carried = (seconds / DAY_SECONDS).trunc();
        whole_days += carried;
        seconds -= carried * DAY_SECONDS;
    }
    whole_days += month_days.trunc();
    #[expect(clippy::cast_precision_loss, reason = "as PostgreSQL does it")]
    let own = of(value.nanoseconds as f64 / 1e3);
    let micros = (own + seconds * 1e6).round();
    if micros.abs() > 9e15 {
        return None;
    }
    interval(
        months.trunc() as i64,
        whole_days as i64,
        micros as i128 * 1_000,
    )
}
