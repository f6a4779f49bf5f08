//! `to_char`, `to_date`, `to_timestamp`, `to_number` and `date_format`.
//!
//! A template with a `%` is one of strftime, as DataFusion has them; one of Java's is known by its
//! minutes (`mm` behind hours or beside months), which PostgreSQL would take for months.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Date32Array, Decimal128Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit};
use datafusion::common::Result;

use super::{Entry, TIMESTAMP, Types, is_number, is_text, rows, timestamptz};
use crate::error::FunctionError;
use crate::postgres::cast_array;
use crate::postgres::format::moment::{Moment, Moments};
use crate::postgres::format::number::{self, Number};
use crate::postgres::format::read::{Read, days, read};
use crate::postgres::format::template::Template;
use crate::postgres::format::write::write;

pub(super) const ALL: [Entry; 5] = [
    Entry {
        name: "to_char",
        signature: "to_char(value, template text) -> text",
        description: "A timestamp, date, time, interval or number as text by PostgreSQL's \
                      template; by strftime's where it has a %.",
        example: "SELECT to_char(ts, 'YYYY-MM-DD HH24:MI:SS.MS'), to_char(price, 'FM9,990.00') \
                  FROM trades",
        parameters: &[],
        types: to_char_types,
        compute: to_char,
    },
    Entry {
        name: "date_format",
        signature: "date_format(value, pattern text) -> text",
        description: "A timestamp, date or time as text by Java's pattern, as in Flink; by \
                      strftime's where it has a %.",
        example: "SELECT date_format(ts, 'yyyy-MM-dd HH:mm') AS minute, count(*) FROM trades \
                  GROUP BY minute",
        parameters: &[],
        types: date_format_types,
        compute: date_format,
    },
    Entry {
        name: "to_date",
        signature: "to_date(text [, template text, …]) -> date",
        description: "A date from text by PostgreSQL's template, Java's pattern or strftime's.",
        example: "SELECT to_date('05 Mar 2024', 'DD Mon YYYY') FROM trades",
        parameters: &[],
        types: to_date_types,
        compute: to_date,
    },
    Entry {
        name: "to_timestamp",
        signature: "to_timestamp(text, template text, …) -> timestamptz; to_timestamp(seconds) -> \
                    timestamptz; to_timestamp(text) -> timestamp",
        description: "An instant from text by PostgreSQL's template, Java's pattern or \
                      strftime's, in UTC if it names no zone; or from seconds since 1970.",
        example: "SELECT to_timestamp('2024-03-05 14:05', 'YYYY-MM-DD HH24:MI') FROM trades",
        parameters: &[],
        types: to_timestamp_types,
        compute: to_timestamp,
    },
    Entry {
        name: "to_number",
        signature: "to_number(text, template text) -> numeric",
        description: "A number from text by PostgreSQL's template, with ten digits after the \
                      point.",
        example: "SELECT to_number('1,234.5', '9,999.9') FROM trades",
        parameters: &[],
        types: to_number_types,
        compute: to_number,
    },
];

/// Digits after the point of `to_number`.
const NUMBER_SCALE: i8 = 10;

/// What was made of the last text: templates are nearly always one constant.
struct Last<T>(Option<(String, T)>);

impl<T> Last<T> {
    fn get(&mut self, text: &str, make: impl FnOnce() -> Result<T>) -> Result<&T> {
        if self.0.as_ref().is_none_or(|(last, _)| last != text) {
            self.0 = Some((text.to_owned(), make()?));
        }
        match &self.0 {
            Some((_, made)) => Ok(made),
            None => datafusion::common::internal_err!("a template is none"),
        }
    }
}

fn is_time(found: &DataType) -> bool {
    use DataType as T;
    matches!(
        found,
        T::Timestamp(..) | T::Date32 | T::Time32(_) | T::Time64(_) | T::Interval(_)
    )
}

fn to_char_types(types: &[DataType]) -> Option<Types> {
    let [value, template] = types else {
        return None;
    };
    let value = match value {
        DataType::Null => TIMESTAMP,
        DataType::Float32 | DataType::Float16 => DataType::Float64,
        value if value.is_integer() && *value != DataType::UInt64 => DataType::Int64,
        value if is_time(value) || is_number(value) => value.clone(),
        _ => return None,
    };
    is_text(template).then(|| (vec![value, DataType::Utf8], DataType::Utf8))
}

fn date_format_types(types: &[DataType]) -> Option<Types> {
    match types {
        [value, _] if is_number(value) && *value != DataType::Null => None,
        // Flink takes texts that are times.
        [DataType::Utf8, template] if is_text(template) => {
            Some((vec![TIMESTAMP, DataType::Utf8], DataType::Utf8))
        }
        types => to_char_types(types),
    }
}

fn to_char(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let [values, templates] = columns else {
        return datafusion::common::internal_err!("to_char takes two arguments");
    };
    if is_time(values.data_type()) {
        return times(columns, |text| Ok(Template::postgres(text)));
    }
    let templates = templates.as_string::<i32>();
    let mut last = Last(None);
    let texts = rows(columns, |row| {
        let text = templates.value(row);
        let template = last.get(text, || Ok(number::Template::new(text)?))?;
        let value = match values.data_type() {
            DataType::Float64 => Number::Double(values.as_primitive::<Float64Type>().value(row)),
            DataType::Decimal128(_, scale) => Number::Exact {
                units: values.as_primitive::<Decimal128Type>().value(row),
                scale: *scale,
            },
            _ => Number::Exact {
                units: i128::from(values.as_primitive::<Int64Type>().value(row)),
                scale: 0,
            },
        };
        Ok(number::write(template, value))
    })?;
    Ok(Arc::new(StringArray::from(texts)))
}

fn date_format(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    times(columns, |text| Ok(Template::java(text)?))
}

/// Times by templates.
fn times(columns: &[ArrayRef], make: impl Fn(&str) -> Result<Template>) -> Result<ArrayRef> {
    let [values, templates] = columns else {
        return datafusion::common::internal_err!("a time is written by one template");
    };
    let moments = Moments::new(values)?;
    let templates = templates.as_string::<i32>();
    let mut last = Last(None);
    let texts = rows(columns, |row| {
        let text = templates.value(row);
        let moment = moments
            .get(row)
            .ok_or_else(|| FunctionError::value("22008", "timestamp out of range".to_owned()))?;
        let mut out = String::new();
        if text.contains('%') {
            strftime(&moment, text, &mut out)?;
        } else {
            write(last.get(text, || make(text))?, &moment, &mut out)?;
        }
        Ok(out)
    })?;
    Ok(Arc::new(StringArray::from(texts)))
}

fn strftime(moment: &Moment, template: &str, out: &mut String) -> Result<(), FunctionError> {
    let wrong = || {
        let message = format!("invalid date format \"{template}\"");
        FunctionError::value("22023", message)
    };
    let small = |value: i64| u32::try_from(value).ok();
    let time = small(moment.hour)
        .zip(small(moment.minute))
        .zip(small(moment.second))
        .zip(small(moment.nanos));
    let time = time.and_then(|(((hour, minute), second), nanos)| {
        NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
    });
    let (date, time) = moment.date.zip(time).ok_or_else(wrong)?;
    let moment = date.and_time(time).and_utc();
    write!(out, "{}", moment.format(template)).map_err(|_| wrong())
}

fn to_date_types(types: &[DataType]) -> Option<Types> {
    let result = DataType::Date32;
    match types {
        [found] if is_text(found) => Some((vec![DataType::Utf8], result)),
        [found] if matches!(found, DataType::Timestamp(..) | DataType::Date32) => {
            Some((vec![found.clone()], result))
        }
        // Days since 1970.
        [found] if found.is_integer() => Some((vec![DataType::Int32], result)),
        [_, _, ..] if types.iter().all(is_text) => {
            Some((vec![DataType::Utf8; types.len()], result))
        }
        _ => None,
    }
}

fn to_date(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    if let [value] = columns {
        return cast_array(value, result);
    }
    let dates = reading(columns, |(date, ..)| Ok(days(date)))?;
    Ok(Arc::new(Date32Array::from(dates)))
}

fn to_timestamp_types(types: &[DataType]) -> Option<Types> {
    match types {
        [found] if is_text(found) => {
            // With all the digits that a text may have.
            let result = DataType::Timestamp(TimeUnit::Nanosecond, None);
            Some((vec![DataType::Utf8], result))
        }
        [found] if matches!(found, DataType::Timestamp(..)) => {
            Some((vec![found.clone()], found.clone()))
        }
        [DataType::Date32] => Some((vec![DataType::Date32], TIMESTAMP)),
        [found] if found.is_integer() => Some((vec![DataType::Int64], timestamptz())),
        [DataType::Decimal128(..)] => Some((vec![DataType::Decimal128(38, 6)], timestamptz())),
        [found] if found.is_floating() => Some((vec![DataType::Float64], timestamptz())),
        [_, _, ..] if types.iter().all(is_text) => {
            Some((vec![DataType::Utf8; types.len()], timestamptz()))
        }
        _ => None,
    }
}

fn to_timestamp(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let out_of_range = || FunctionError::value("22008", "timestamp out of range".to_owned());
    let micros = match columns {
        [values] => match values.data_type() {
            DataType::Int64 => {
                let seconds = values.as_primitive::<Int64Type>();
                rows(columns, |row| {
                    let micros = seconds.value(row).checked_mul(1_000_000);
                    Ok(micros.ok_or_else(out_of_range)?)
                })?
            }
            DataType::Decimal128(..) => {
                let micros = values.as_primitive::<Decimal128Type>();
                rows(columns, |row| {
                    Ok(i64::try_from(micros.value(row)).map_err(|_| out_of_range())?)
                })?
            }
            DataType::Float64 => {
                let seconds = values.as_primitive::<Float64Type>();
                rows(columns, |row| {
                    let micros = (seconds.value(row) * 1e6).round();
                    #[expect(clippy::cast_possible_truncation, reason = "it is checked")]
                    match micros.abs() < 9e18 {
                        true => Ok(micros as i64),
                        false => Err(out_of_range().into()),
                    }
                })?
            }
            _ => return cast_array(values, result),
        },
        _ => reading(columns, |(date, time, ahead)| {
            let local = date.and_time(time).and_utc().timestamp_micros();
            let ahead = ahead.unwrap_or(0).checked_mul(1_000_000);
            let utc = ahead.and_then(|ahead| local.checked_sub(ahead));
            utc.ok_or_else(out_of_range)
        })?,
    };
    let times = TimestampMicrosecondArray::from(micros);
    Ok(cast(&times.with_timezone("UTC"), result)?)
}

/// Texts read by the first of their templates that fits.
fn reading<T>(
    columns: &[ArrayRef],
    make: impl Fn(Read) -> Result<T, FunctionError>,
) -> Result<Vec<Option<T>>> {
    let texts = columns[0].as_string::<i32>();
    let mut last: Vec<Last<Template>> = columns.iter().map(|_| Last(None)).collect();
    rows(columns, |row| {
        let mut refused = None;
        for (column, last) in columns.iter().zip(&mut last).skip(1) {
            let template = column.as_string::<i32>().value(row);
            let found = match template.contains('%') {
                true => strptime(texts.value(row), template),
                false => {
                    let template = last.get(template, || match Template::is_java(template) {
                        true => Ok(Template::java(template)?),
                        false => Ok(Template::postgres(template)),
                    })?;
                    read(template, texts.value(row))
                }
            };
            match found {
                Ok(found) => return Ok(make(found)?),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        Err(refused
            .unwrap_or_else(|| crate::postgres::invalid_text("timestamp", texts.value(row)))
            .into())
    })
}

fn strptime(text: &str, template: &str) -> Result<Read, FunctionError> {
    if let Ok(time) = chrono::DateTime::parse_from_str(text, template) {
        let ahead = i64::from(time.offset().local_minus_utc());
        let local = time.naive_local();
        return Ok((local.date(), local.time(), Some(ahead)));
    }
    if let Ok(time) = NaiveDateTime::parse_from_str(text, template) {
        return Ok((time.date(), time.time(), None));
    }
    match NaiveDate::parse_from_str(text, template) {
        Ok(date) => Ok((date, NaiveTime::MIN, None)),
        Err(error) => {
            let message = format!("invalid value \"{text}\" for the format \"{template}\"");
            Err(FunctionError::value("22007", message).detail(format!("It says: {error}.")))
        }
    }
}

fn to_number_types(types: &[DataType]) -> Option<Types> {
    let [text, template] = types else {
        return None;
    };
    (is_text(text) && is_text(template)).then(|| {
        let result = DataType::Decimal128(38, NUMBER_SCALE);
        (vec![DataType::Utf8, DataType::Utf8], result)
    })
}

fn to_number(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let (texts, templates) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut last = Last(None);
    let values = rows(columns, |row| {
        let text = templates.value(row);
        let template = last.get(text, || Ok(number::Template::new(text)?))?;
        let scale = NUMBER_SCALE.unsigned_abs().into();
        Ok(number::read(template, texts.value(row), scale)?)
    })?;
    let values = Decimal128Array::from(values);
    Ok(Arc::new(values.with_data_type(result.clone())))
}
