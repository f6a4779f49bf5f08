//! Differences and sums of times in units, as Flink, DuckDB and MySQL spell them.

use std::sync::Arc;

use chrono::{Datelike, Months};
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::Result;

use super::{Entry, TIMESTAMP, Types, is_number, is_text, rows, timestamptz};
use crate::error::FunctionError;

pub(super) const ALL: [Entry; 5] = [
    Entry {
        name: "date_diff",
        signature: "date_diff(unit, from timestamp, to timestamp) -> bigint",
        description: "How many beginnings of a unit lie behind one time and not behind another, \
                      negative if the other is earlier: from 23:59 to 0:01 it is one 'day'. \
                      MICROSECOND, MILLISECOND, SECOND, MINUTE, HOUR, DAY, WEEK (from Monday), \
                      MONTH, QUARTER or YEAR; as DuckDB and Snowflake count. Whole units are \
                      timestampdiff's.",
        example: "SELECT date_diff('hour', TIMESTAMP '2024-01-01', ts) FROM trades",
        parameters: &[],
        types: difference_types,
        compute: beginnings,
    },
    Entry {
        name: "timestampdiff",
        signature: "timestampdiff(unit, earlier timestamp, later timestamp) -> bigint",
        description: "Whole units from one time to another: SECOND, MINUTE, HOUR, DAY, WEEK, \
                      MONTH, QUARTER or YEAR.",
        example: "SELECT timestampdiff('minute', TIMESTAMP '2024-01-01', ts) FROM trades",
        parameters: &[],
        types: difference_types,
        compute: difference,
    },
    Entry {
        name: "timestampadd",
        signature: "timestampadd(unit, count, ts timestamp) -> timestamp",
        description: "A time so many units later.",
        example: "SELECT timestampadd('month', 1, ts) FROM trades",
        parameters: &[],
        types: |types| match types {
            [unit, count, time] if is_text(unit) && is_number(count) && is_time(time) => {
                let time = match time {
                    DataType::Timestamp(..) => {
                        let micros = datafusion::arrow::datatypes::TimeUnit::Microsecond;
                        match time {
                            DataType::Timestamp(_, zone) => {
                                DataType::Timestamp(micros, zone.clone())
                            }
                            _ => TIMESTAMP,
                        }
                    }
                    _ => TIMESTAMP,
                };
                Some((vec![DataType::Utf8, DataType::Int64, time.clone()], time))
            }
            _ => None,
        },
        compute: sum,
    },
    Entry {
        name: "to_timestamp_ltz",
        signature: "to_timestamp_ltz(count, digits) -> timestamptz",
        description: "The instant so many units after 1970: seconds for 0 digits, milliseconds for \
                      3, microseconds for 6, nanoseconds for 9, as Flink has it. Without digits \
                      it is 3.",
        example: "SELECT to_timestamp_ltz(1704189600000, 3) FROM trades",
        parameters: &[],
        types: |types| {
            let value = |found: &DataType| match found.is_integer() || *found == DataType::Null {
                true => DataType::Int64,
                false => DataType::Float64,
            };
            match types {
                [count] if is_number(count) => Some((vec![value(count)], timestamptz())),
                [count, digits] if is_number(count) && digits.is_integer() => {
                    Some((vec![value(count), DataType::Int64], timestamptz()))
                }
                _ => None,
            }
        },
        compute: instants,
    },
    Entry {
        name: "to_timestamp_ltz_nanos",
        signature: "to_timestamp_ltz_nanos(count bigint) -> timestamptz",
        description: "The instant so many nanoseconds after 1970, exactly: what \
                      to_timestamp_ltz(count, 9) is planned as.",
        example: "SELECT to_timestamp_ltz_nanos(1704189600000000000) FROM trades",
        parameters: &[],
        types: |types| match types {
            [count] if count.is_integer() || *count == DataType::Null => {
                let nanos = DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
                Some((vec![DataType::Int64], nanos))
            }
            _ => None,
        },
        compute: |columns, result| Ok(cast(&columns[0], result)?),
    },
];

fn difference_types(types: &[DataType]) -> Option<Types> {
    match types {
        [unit, l, r] if is_text(unit) && is_time(l) && is_time(r) => {
            Some((vec![DataType::Utf8, TIMESTAMP, TIMESTAMP], DataType::Int64))
        }
        _ => None,
    }
}

fn is_time(found: &DataType) -> bool {
    matches!(found, DataType::Timestamp(..) | DataType::Date32) || is_text(found)
}

const WEEK: i64 = 7 * 86_400_000_000;

/// How long a unit is.
enum Unit {
    Micros(i64),
    Months(i32),
}

fn unit(word: &str) -> Result<Unit, FunctionError> {
    let lower = word.to_ascii_lowercase();
    let bare = lower.strip_prefix("sql_tsi_").unwrap_or(&lower);
    Ok(match bare.trim_end_matches('s') {
        "microsecond" => Unit::Micros(1),
        "millisecond" => Unit::Micros(1_000),
        "second" => Unit::Micros(1_000_000),
        "minute" => Unit::Micros(60_000_000),
        "hour" => Unit::Micros(3_600_000_000),
        "day" => Unit::Micros(86_400_000_000),
        "week" => Unit::Micros(WEEK),
        "month" => Unit::Months(1),
        "quarter" => Unit::Months(3),
        "year" => Unit::Months(12),
        _ => {
            let message = format!("unit \"{word}\" not recognized");
            return Err(FunctionError::value("22023", message));
        }
    })
}

fn out_of_range() -> FunctionError {
    FunctionError::value("22008", "timestamp out of range".to_owned())
}

fn time_of(micros: i64) -> Result<chrono::NaiveDateTime, FunctionError> {
    chrono::DateTime::from_timestamp_micros(micros)
        .map(|time| time.naive_utc())
        .ok_or_else(out_of_range)
}

fn difference(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let units = columns[0].as_string::<i32>();
    let earlier = columns[1].as_primitive::<TimestampMicrosecondType>();
    let later = columns[2].as_primitive::<TimestampMicrosecondType>();
    let counts = rows(columns, |row| {
        let (from, to) = (earlier.value(row), later.value(row));
        match unit(units.value(row))? {
            Unit::Micros(size) => {
                let between = to.checked_sub(from).ok_or_else(out_of_range)?;
                Ok(between / size)
            }
            Unit::Months(size) => {
                let (low, high) = (time_of(from.min(to))?, time_of(from.max(to))?);
                let months = i64::from(high.year() - low.year()) * 12 + i64::from(high.month())
                    - i64::from(low.month());
                let whole = (high.day(), high.time()) >= (low.day(), low.time());
                let months = months - i64::from(!whole);
                Ok((to - from).signum() * (months / i64::from(size)))
            }
        }
    })?;
    Ok(Arc::new(Int64Array::from(counts)))
}

/// The first Monday of 1970, from which weeks are counted.
const MONDAY: i64 = 4 * 86_400_000_000;

fn beginnings(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let units = columns[0].as_string::<i32>();
    let from = columns[1].as_primitive::<TimestampMicrosecondType>();
    let to = columns[2].as_primitive::<TimestampMicrosecondType>();
    let counts = rows(columns, |row| {
        let unit = unit(units.value(row))?;
        let place = |time: i64| match unit {
            Unit::Micros(size) => {
                let start = if size == WEEK { MONDAY } else { 0 };
                let since = time.checked_sub(start).ok_or_else(out_of_range)?;
                Ok(since.div_euclid(size))
            }
            Unit::Months(size) => {
                let date = time_of(time)?;
                let months = i64::from(date.year()) * 12 + i64::from(date.month0());
                Ok::<i64, FunctionError>(months.div_euclid(size.into()))
            }
        };
        Ok(place(to.value(row))? - place(from.value(row))?)
    })?;
    Ok(Arc::new(Int64Array::from(counts)))
}

fn sum(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let units = columns[0].as_string::<i32>();
    let counts = columns[1].as_primitive::<Int64Type>();
    let times = columns[2].as_primitive::<TimestampMicrosecondType>();
    let sums = rows(columns, |row| {
        let (count, time) = (counts.value(row), times.value(row));
        let sum = match unit(units.value(row))? {
            Unit::Micros(size) => count.checked_mul(size).and_then(|by| time.checked_add(by)),
            Unit::Months(size) => {
                let months = count
                    .unsigned_abs()
                    .checked_mul(u64::from(size.unsigned_abs()));
                let months = months.and_then(|months| u32::try_from(months).ok());
                let months = Months::new(months.ok_or_else(out_of_range)?);
                let date = time_of(time)?;
                let date = match count < 0 {
                    true => date.checked_sub_months(months),
                    false => date.checked_add_months(months),
                };
                date.map(|date| date.and_utc().timestamp_micros())
            }
        };
        Ok(sum.ok_or_else(out_of_range)?)
    })?;
    let sums = TimestampMicrosecondArray::from(sums);
    Ok(Arc::new(sums.with_data_type(result.clone())))
}

/// Microseconds of a unit, and how many units are a microsecond, by the digits of a second.
fn scale_of(digits: i64) -> Result<(i64, i64), FunctionError> {
    Ok(match digits {
        0 => (1_000_000, 1),
        3 => (1_000, 1),
        6 => (1, 1),
        9 => (1, 1_000),
        _ => {
            let message = format!("precision {digits} of to_timestamp_ltz is not 0, 3, 6 or 9");
            return Err(FunctionError::value("22023", message));
        }
    })
}

fn instants(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let digits = columns
        .get(1)
        .map(|digits| digits.as_primitive::<Int64Type>());
    let scale = |row: usize| scale_of(digits.map_or(3, |digits| digits.value(row)));
    let times = match columns[0].data_type() {
        DataType::Int64 => {
            let counts = columns[0].as_primitive::<Int64Type>();
            rows(columns, |row| {
                let (factor, divisor) = scale(row)?;
                let scaled = counts.value(row).checked_mul(factor);
                Ok(scaled.ok_or_else(out_of_range)?.div_euclid(divisor))
            })?
        }
        _ => {
            let counts = columns[0].as_primitive::<Float64Type>();
            rows(columns, |row| {
                let (factor, divisor) = scale(row)?;
                #[expect(clippy::cast_precision_loss, reason = "powers of ten")]
                let micros = (counts.value(row) * factor as f64 / divisor as f64).round();
                // Beyond it a double no longer counts microseconds.
                const MICROS_MAX: f64 = 9e18;
                if !micros.is_finite() || micros.abs() > MICROS_MAX {
                    return Err(out_of_range().into());
                }
                #[expect(clippy::cast_possible_truncation, reason = "within the bound above")]
                let micros = micros as i64;
                Ok(micros)
            })?
        }
    };
    let times = TimestampMicrosecondArray::from(times);
    Ok(Arc::new(times.with_data_type(result.clone())))
}
