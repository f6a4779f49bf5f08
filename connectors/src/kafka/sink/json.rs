//! Column values as JSON text: the reverse of the `json` format of sources, which reads back what
//! is written here without loss.
//!
//! | column | JSON |
//! |---|---|
//! | SMALLINT, INT, BIGINT, DECIMAL | numbers with all their digits |
//! | REAL, DOUBLE PRECISION | numbers that read back as the same; strings like `"-Infinity"` |
//! | BOOLEAN | `true`, `false` |
//! | TEXT | strings |
//! | BYTEA | base64 strings |
//! | DATE, TIME, TIMESTAMP | ISO 8601 strings; `Z` at the end of those with time zone |
//! | ROW | objects |
//! | array | arrays |

use std::fmt::Display;
use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use chrono::{DateTime, NaiveDate, NaiveTime};

/// 1970-01-01 in days since the beginning of chrono's calendar.
const EPOCH_DAYS: i32 = 719_163;

/// Whether JSON has a form for values of `data_type`.
pub(super) fn takes(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(..)
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Date32
        | DataType::Time64(_)
        | DataType::Timestamp(..) => true,
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::FixedSizeList(element, _) => takes(element.data_type()),
        DataType::Struct(fields) => fields.iter().all(|field| takes(field.data_type())),
        _ => false,
    }
}

/// Appends `name` as a JSON string.
pub(super) fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&text.as_bytes()[start..at]);
        out.extend_from_slice(escape);
        if escape.is_empty() {
            put(out, format_args!("\\u{byte:04x}"));
        }
        start = at + 1;
    }
    out.extend_from_slice(&text.as_bytes()[start..]);
    out.push(b'"');
}

/// Appends the value of `row` of `array`, whose type [`takes`] accepts.
///
/// # Errors
/// In words, for a date beyond the calendar.
pub(super) fn write_value(array: &dyn Array, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    match array.data_type() {
        DataType::Boolean => put(out, array.as_boolean().value(row)),
        DataType::Int8 => put(out, array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => put(out, array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => put(out, array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => put(out, array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => put(out, array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => put(out, array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => put(out, array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => put(out, array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(f64::from(value), &format!("{value:?}"), out);
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(value, &format!("{value:?}"), out);
        }
        DataType::Decimal128(..) => {
            let decimals = array.as_primitive::<Decimal128Type>();
            put(out, decimals.value_as_string(row));
        }
        DataType::Utf8 => write_text(array.as_string::<i32>().value(row), out),
        DataType::LargeUtf8 => write_text(array.as_string::<i64>().value(row), out),
        DataType::Utf8View => write_text(array.as_string_view().value(row), out),
        DataType::Binary => base64(array.as_binary::<i32>().value(row), out),
        DataType::LargeBinary => base64(array.as_binary::<i64>().value(row), out),
        DataType::BinaryView => base64(array.as_binary_view().value(row), out),
        DataType::Date32 | DataType::Time64(_) | DataType::Timestamp(..) => {
            return time(array, row, out);
        }
        DataType::List(_) => return list(&array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => return list(&array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => {
            let lists: &FixedSizeListArray = array.as_fixed_size_list();
            return list(&lists.value(row), out);
        }
        DataType::Struct(_) => return object(array.as_struct(), row, out),
        other => return Err(format!("JSON has no form for {other}")),
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, value: impl Display) {
    // Writing to memory does not fail.
    let _ = write!(out, "{value}");
}

/// `text` is the shortest that reads back as the same number.
fn float(value: f64, text: &str, out: &mut Vec<u8>) {
    let text = if value.is_nan() {
        "\"NaN\""
    } else if value == f64::INFINITY {
        "\"Infinity\""
    } else if value == f64::NEG_INFINITY {
        "\"-Infinity\""
    } else {
        text
    };
    out.extend_from_slice(text.as_bytes());
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| {
            bits << 8 | group.get(at).map_or(0, |byte| usize::from(*byte))
        });
        for digit in 0..4 {
            let is_there = digit <= group.len();
            out.push(if is_there {
                DIGITS[bits >> (18 - 6 * digit) & 63]
            } else {
                b'='
            });
        }
    }
    out.push(b'"');
}

fn time(array: &dyn Array, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    let beyond = |value: i64| format!("{value} is beyond the calendar");
    match array.data_type() {
        DataType::Date32 => {
            let days = array.as_primitive::<Date32Type>().value(row);
            let date = days
                .checked_add(EPOCH_DAYS)
                .and_then(NaiveDate::from_num_days_from_ce_opt);
            let date = date.ok_or_else(|| beyond(i64::from(days)))?;
            put(out, format_args!("\"{date}\""));
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let micros = array.as_primitive::<Time64MicrosecondType>().value(row);
            let nanos = micros.checked_mul(1_000).ok_or_else(|| beyond(micros))?;
            put(
                out,
                format_args!("\"{}\"", clock(nanos)?.format("%H:%M:%S%.6f")),
            );
        }
        DataType::Time64(_) => {
            let nanos = array.as_primitive::<Time64NanosecondType>().value(row);
            put(
                out,
                format_args!("\"{}\"", clock(nanos)?.format("%H:%M:%S%.9f")),
            );
        }
        DataType::Timestamp(unit, zone) => {
            let (count, per_second, form) = match unit {
                TimeUnit::Second => (
                    array.as_primitive::<TimestampSecondType>().value(row),
                    1,
                    "%Y-%m-%dT%H:%M:%S",
                ),
                TimeUnit::Millisecond => (
                    array.as_primitive::<TimestampMillisecondType>().value(row),
                    1_000,
                    "%Y-%m-%dT%H:%M:%S%.3f",
                ),
                TimeUnit::Microsecond => (
                    array.as_primitive::<TimestampMicrosecondType>().value(row),
                    1_000_000,
                    "%Y-%m-%dT%H:%M:%S%.6f",
                ),
                TimeUnit::Nanosecond => (
                    array.as_primitive::<TimestampNanosecondType>().value(row),
                    1_000_000_000,
                    "%Y-%m-%dT%H:%M:%S%.9f",
                ),
            };
            let nanos = count.rem_euclid(per_second) * (1_000_000_000 / per_second);
            let nanos = u32::try_from(nanos).map_err(|_| beyond(count))?;
            let at = DateTime::from_timestamp(count.div_euclid(per_second), nanos);
            let at = at.ok_or_else(|| beyond(count))?;
            let zone = if zone.is_some() { "Z" } else { "" };
            put(out, format_args!("\"{}{zone}\"", at.format(form)));
        }
        other => return Err(format!("{other} is no time")),
    }
    Ok(())
}

fn clock(nanos: i64) -> Result<NaiveTime, String> {
    let seconds = u32::try_from(nanos.div_euclid(1_000_000_000)).ok();
    let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok();
    let time = seconds.zip(rest);
    time.and_then(|(seconds, rest)| NaiveTime::from_num_seconds_from_midnight_opt(seconds, rest))
        .ok_or_else(|| format!("{nanos} ns is no time of a day"))
}

fn list(elements: &ArrayRef, out: &mut Vec<u8>) -> Result<(), String> {
    out.push(b'[');
    for row in 0..elements.len() {
        if row > 0 {
            out.push(b',');
        }
        write_value(elements, row, out)?;
    }
    out.push(b']');
    Ok(())
}

fn object(fields: &StructArray, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
    out.push(b'{');
    for (index, (name, column)) in fields
        .column_names()
        .iter()
        .zip(fields.columns())
        .enumerate()
    {
        if index > 0 {
            out.push(b',');
        }
        write_text(name, out);
        out.push(b':');
        write_value(column, row, out)?;
    }
    out.push(b'}');
    Ok(())
}

#[cfg(test)]
mod tests;
