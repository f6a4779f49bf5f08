//! What `generate_series` in FROM is planned as: a list, of which each value becomes a row.

use std::sync::Arc;

use chrono::{DateTime, Days, Months};
use datafusion::arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Int64Array, ListArray, TimestampMicrosecondArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{
    DataType, Decimal128Type, Field, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, internal_err};

use super::{Entry, INTERVAL, TIMESTAMP, Types, is_text, rows, timestamptz};
use crate::error::FunctionError;

/// Values of one series: a list of 8 MB, far more than a view should make of one row.
const SERIES_MAX: usize = 1_000_000;

/// Values of all series of one batch of rows: half a gigabyte, and within what a list can count.
const VALUES_MAX: usize = 1 << 26;

pub(super) const ALL: [Entry; 1] = [Entry {
    name: "series_list",
    signature: "series_list(start, stop [, step]) -> list",
    description: "The values from start to stop, both included: what generate_series in FROM is \
                  planned as. Whole numbers and numerics, in steps of 1 or another one; \
                  timestamps, in steps of an interval. At most 1,000,000 values.",
    example: "SELECT series_list(TIMESTAMP '2024-01-01', ts, INTERVAL '1 year') FROM trades",
    parameters: &[],
    types,
    compute: |columns, result| lists(columns, result),
}];

fn types(types: &[DataType]) -> Option<Types> {
    let list = |item: &DataType| DataType::new_list(item.clone(), true);
    let is_exact = |t: &DataType| t.is_integer() || matches!(t, DataType::Decimal128(..));
    let is_time = |t: &DataType| matches!(t, DataType::Timestamp(..) | DataType::Date32);
    let unknown = |t: &DataType| is_text(t);
    match types {
        [from, to, DataType::Interval(_) | DataType::Utf8]
            if (is_time(from) && (is_time(to) || unknown(to)))
                || (unknown(from) && is_time(to)) =>
        {
            let plain = |t: &DataType| matches!(t, DataType::Timestamp(_, None)) || unknown(t);
            let item = match plain(from) && plain(to) {
                true => TIMESTAMP,
                false => timestamptz(),
            };
            Some((vec![item.clone(), item.clone(), INTERVAL], list(&item)))
        }
        [_, _] | [_, _, _] if types.iter().all(|t| is_exact(t) || *t == DataType::Null) => {
            let scale = types.iter().filter_map(|t| match t {
                DataType::Decimal128(_, scale) => Some(*scale),
                _ => None,
            });
            let item = match scale.max() {
                Some(scale) => DataType::Decimal128(38, scale.max(0)),
                None => DataType::Int64,
            };
            Some((vec![item.clone(); types.len()], list(&item)))
        }
        _ => None,
    }
}

fn step_of_zero() -> FunctionError {
    FunctionError::value("22023", "step size cannot equal zero".to_owned())
}

fn too_long() -> FunctionError {
    let message = format!("a series has more than {SERIES_MAX} values");
    FunctionError::value("54000", message)
}

fn lists(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let DataType::List(field) = result else {
        return internal_err!("a series is {result}");
    };
    match field.data_type() {
        DataType::Int64 => {
            let at =
                |column: usize, row: usize| columns[column].as_primitive::<Int64Type>().value(row);
            let series = rows(columns, |row| {
                let step = if columns.len() > 2 { at(2, row) } else { 1 };
                numbers(at(0, row).into(), at(1, row).into(), step.into())
            })?;
            let narrow = |value: i128| i64::try_from(value).unwrap_or(i64::MAX);
            list_of(series, field, |values| {
                Arc::new(values.into_iter().map(narrow).collect::<Int64Array>())
            })
        }
        DataType::Decimal128(_, scale) => {
            let at = |column: usize, row: usize| {
                columns[column].as_primitive::<Decimal128Type>().value(row)
            };
            let one = 10_i128.pow(u32::try_from(*scale).unwrap_or(0));
            let series = rows(columns, |row| {
                let step = if columns.len() > 2 { at(2, row) } else { one };
                numbers(at(0, row), at(1, row), step)
            })?;
            let wanted = field.data_type().clone();
            list_of(series, field, |values| {
                Arc::new(Decimal128Array::from(values).with_data_type(wanted))
            })
        }
        _ => {
            let at = |column: usize, row: usize| {
                columns[column]
                    .as_primitive::<TimestampMicrosecondType>()
                    .value(row)
            };
            let steps = columns[2].as_primitive::<IntervalMonthDayNanoType>();
            let series = rows(columns, |row| {
                times(at(0, row), at(1, row), steps.value(row))
            })?;
            let wanted = field.data_type().clone();
            list_of(series, field, |values| {
                Arc::new(TimestampMicrosecondArray::from(values).with_data_type(wanted))
            })
        }
    }
}

fn numbers(start: i128, stop: i128, step: i128) -> Result<Vec<i128>> {
    if step == 0 {
        return Err(step_of_zero().into());
    }
    let ends = |at: i128| if step > 0 { at > stop } else { at < stop };
    if !ends(start) && stop.abs_diff(start) / step.unsigned_abs() >= SERIES_MAX as u128 {
        return Err(too_long().into());
    }
    let next = |at: &i128| at.checked_add(step);
    let values = std::iter::successors(Some(start), next);
    Ok(values.take_while(|at| !ends(*at)).collect())
}

fn times(start: i64, stop: i64, step: IntervalMonthDayNano) -> Result<Vec<i64>> {
    // How PostgreSQL compares intervals: months of 30 days, days of 24 hours.
    let days = i128::from(step.months) * 30 + i128::from(step.days);
    let sign = (days * 86_400_000_000_000 + i128::from(step.nanoseconds)).signum();
    if sign == 0 {
        return Err(step_of_zero().into());
    }
    let ends = |at: i64| if sign > 0 { at > stop } else { at < stop };
    let mut values = Vec::new();
    let mut at = start;
    while !ends(at) {
        if values.len() == SERIES_MAX {
            return Err(too_long().into());
        }
        values.push(at);
        let out_of_range = || FunctionError::value("22008", "timestamp out of range".to_owned());
        let next = later(at, step).ok_or_else(out_of_range)?;
        // Months and days of other signs can stand still.
        if (sign > 0) != (next > at) {
            return Err(step_of_zero().into());
        }
        at = next;
    }
    Ok(values)
}

/// A time after months, then days, then the rest.
fn later(at: i64, step: IntervalMonthDayNano) -> Option<i64> {
    let time = DateTime::from_timestamp_micros(at)?.naive_utc();
    let months = Months::new(step.months.unsigned_abs());
    let time = match step.months < 0 {
        true => time.checked_sub_months(months)?,
        false => time.checked_add_months(months)?,
    };
    let days = Days::new(step.days.unsigned_abs().into());
    let time = match step.days < 0 {
        true => time.checked_sub_days(days)?,
        false => time.checked_add_days(days)?,
    };
    let micros = step.nanoseconds.div_euclid(1_000);
    time.and_utc().timestamp_micros().checked_add(micros)
}

/// The series as lists, null where an argument is.
fn list_of<T>(
    series: Vec<Option<Vec<T>>>,
    field: &Arc<Field>,
    values: impl FnOnce(Vec<T>) -> ArrayRef,
) -> Result<ArrayRef> {
    let lengths: Vec<usize> = series
        .iter()
        .map(|values| values.as_ref().map_or(0, Vec::len))
        .collect();
    if lengths.iter().sum::<usize>() > VALUES_MAX {
        let message = format!("series of one batch of rows have more than {VALUES_MAX} values");
        return Err(FunctionError::value("54000", message).into());
    }
    let nulls: NullBuffer = series.iter().map(Option::is_some).collect();
    let all: Vec<T> = series.into_iter().flatten().flatten().collect();
    let offsets = OffsetBuffer::from_lengths(lengths);
    let list = ListArray::try_new(Arc::clone(field), offsets, values(all), Some(nulls))?;
    Ok(Arc::new(list))
}
