//! Values as PostgreSQL writes them, read from Arrow arrays one cell at a time.
//!
//! Written apart from the protocol's own encoder, so that each checks the other.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// The value in `row`; a null is `NULL`.
///
/// # Errors
/// A type without a text form.
pub(crate) fn of(column: &dyn Array, row: usize) -> Result<String, ArrowError> {
    if column.is_null(row) {
        return Ok("NULL".to_owned());
    }
    match column.data_type() {
        DataType::Null => Ok("NULL".to_owned()),
        DataType::Boolean => {
            let value = column.as_boolean().value(row);
            Ok(if value { "t" } else { "f" }.to_owned())
        }
        DataType::Float32 => {
            let value = column.as_primitive::<Float32Type>().value(row);
            Ok(float(&format!("{value:e}"), &value.to_string(), 6))
        }
        DataType::Float64 => {
            let value = column.as_primitive::<Float64Type>().value(row);
            Ok(float(&format!("{value:e}"), &value.to_string(), 15))
        }
        DataType::List(_) => list(column.as_list::<i32>().value(row).as_ref()),
        DataType::Struct(_) => {
            let columns = column.as_struct().columns().iter();
            let values: Result<Vec<_>, _> = columns.map(|column| part(column, row)).collect();
            Ok(format!("({})", values?.join(",")))
        }
        _ => other(column, row),
    }
}

/// A part of a composite value: its nulls are empty.
fn part(column: &dyn Array, row: usize) -> Result<String, ArrowError> {
    if column.is_null(row) {
        return Ok(String::new());
    }
    let text = of(column, row)?;
    let plain = !text.is_empty() && !text.contains([' ', ',', '(', ')', '"', '\\']);
    Ok(if plain { text } else { format!("\"{text}\"") })
}

fn list(values: &dyn Array) -> Result<String, ArrowError> {
    let values: Result<Vec<_>, _> = (0..values.len()).map(|row| of(values, row)).collect();
    Ok(format!("{{{}}}", values?.join(",")))
}

/// The shortest digits that give the value back, in powers of ten where PostgreSQL writes them so.
fn float(scientific: &str, plain: &str, digits: i32) -> String {
    match plain {
        "inf" => return "Infinity".to_owned(),
        "-inf" => return "-Infinity".to_owned(),
        _ => {}
    }
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return plain.to_owned();
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..digits).contains(&exponent) {
        return plain.to_owned();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Times without the zeros at their end, and what Arrow writes as PostgreSQL does.
fn other(column: &dyn Array, row: usize) -> Result<String, ArrowError> {
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.9f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.9f%z"))
        .with_time_format(Some("%H:%M:%S%.9f"));
    let text = ArrayFormatter::try_new(column, &options)?
        .value(row)
        .try_to_string()?;
    Ok(match column.data_type() {
        DataType::Timestamp(_, None) | DataType::Time32(_) | DataType::Time64(_) => trimmed(&text),
        DataType::Timestamp(_, Some(_)) => {
            let (time, zone) = text.split_at(text.len().saturating_sub(5));
            let zone = zone.strip_suffix("00").unwrap_or(zone);
            format!("{}{zone}", trimmed(time))
        }
        DataType::Binary => format!("\\x{text}"),
        // `numeric` without brackets, and the product of two.
        DataType::Decimal128(38, 10 | 20) if text.contains('.') => trimmed(&text),
        _ => text,
    })
}

fn trimmed(time: &str) -> String {
    time.trim_end_matches('0').trim_end_matches('.').to_owned()
}
