//! Differences and sums of times in units, as Flink, DuckDB and MySQL spell them.

use std::sync::Arc;

use chrono::{Datelike, Months};
use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::common::Result;

use super::{Entry, TIMESTAMP, Types, is_number, is_text, rows};
use crate::error::FunctionError;

pub(super) const ALL: [Entry; 3] = [
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
