//! Values as PostgreSQL's texts.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Float32Type, Float64Type, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::Result;

use crate::postgres::unconstrained_numeric;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The values of `array` as texts.
///
/// # Errors
/// A type without a text.
pub(super) fn texts(array: &ArrayRef) -> Result<ArrayRef> {
    let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut text = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            builder.append_null();
            continue;
        }
        text.clear();
        put(array, row, &mut text)?;
        builder.append_value(&text);
    }
    Ok(Arc::new(builder.finish()))
}

fn put(array: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    match array.data_type() {
        DataType::Boolean => out.push(if array.as_boolean().value(row) {
            't'
        } else {
            'f'
        }),
        DataType::Float32 => {
            let value = array.as_primitive::<Float32Type>().value(row);
            float(&format!("{value:e}"), f64::from(value), 6, out);
        }
        DataType::Float64 => {
            let value = array.as_primitive::<Float64Type>().value(row);
            float(&format!("{value:e}"), value, 15, out);
        }
        DataType::Utf8 => out.push_str(array.as_string::<i32>().value(row)),
        DataType::Binary => {
            out.push_str("\\x");
            for byte in array.as_binary::<i32>().value(row) {
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        DataType::Interval(_) => {
            let wide = cast(
                &array.slice(row, 1),
                &DataType::Interval(IntervalUnit::MonthDayNano),
            )?;
            let value = wide.as_primitive::<IntervalMonthDayNanoType>().value(0);
            interval(value.months, value.days, value.nanoseconds, out);
        }
        DataType::List(_) => list(&array.as_list::<i32>().value(row), out)?,
        DataType::Struct(_) => record(array.as_struct().columns(), row, out)?,
        _ => plain(array, row, out)?,
    }
    Ok(())
}

/// Whatever Arrow writes nearly as PostgreSQL does: numbers, dates, times.
fn plain(array: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.6f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.6f%z"))
        .with_time_format(Some("%H:%M:%S%.6f"));
    let text = ArrayFormatter::try_new(array, &options)?
        .value(row)
        .try_to_string()?;
    let trimmed = |time: &str| time.trim_end_matches('0').trim_end_matches('.').to_owned();
    match array.data_type() {
        DataType::Timestamp(_, None) | DataType::Time32(_) | DataType::Time64(_) => {
            out.push_str(&trimmed(&text));
        }
        DataType::Timestamp(_, Some(_)) => {
            // `+0530`, `+0000`
            let (time, zone) = text.split_at(text.len().saturating_sub(5));
            out.push_str(&trimmed(time));
            match zone.strip_suffix("00") {
                Some(hours) => out.push_str(hours),
                None => {
                    let (hours, minutes) = zone.split_at(3);
                    let _ = write!(out, "{hours}:{minutes}");
                }
            }
        }
        DataType::Decimal128(precision, scale)
            if unconstrained_numeric(*precision, *scale) && text.contains('.') =>
        {
            out.push_str(&trimmed(&text));
        }
        _ => out.push_str(&text),
    }
    Ok(())
}

/// The shortest digits that read back the same; powers of ten below 1e-4 and from 10^`digits` up.
fn float(scientific: &str, value: f64, digits: i32, out: &mut String) {
    if value.is_nan() {
        return out.push_str("NaN");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "Infinity" } else { "-Infinity" });
    }
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if exponent < -4 || exponent >= digits {
        let sign = if exponent < 0 { '-' } else { '+' };
        let _ = write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
        return;
    }
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    out.push_str(sign);
    let places = exponent.unsigned_abs() as usize;
    if exponent < 0 {
        let _ = write!(out, "0.{:0<width$}{first}{rest}", "", width = places - 1);
    } else if rest.len() <= places {
        let _ = write!(out, "{first}{rest:0<places$}");
    } else {
        let (whole, fraction) = rest.split_at(places);
        let _ = write!(out, "{first}{whole}.{fraction}");
    }
}

/// `1 year 2 mons 3 days 04:05:06.5`.
fn interval(months: i32, days: i32, nanoseconds: i64, out: &mut String) {
    let mut negative = false;
    let mut empty = true;
    for (value, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if value == 0 {
            continue;
        }
        let space = if empty { "" } else { " " };
        let sign = if negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{sign}{value} {unit}{plural}");
        negative = value < 0;
        empty = false;
    }
    let us = nanoseconds.div_euclid(1_000);
    if us == 0 && !empty {
        return;
    }
    let space = if empty { "" } else { " " };
    let sign = match (us < 0, negative) {
        (true, _) => "-",
        (false, true) => "+",
        (false, false) => "",
    };
    let (us, seconds) = (us.unsigned_abs() % 1_000_000, us.unsigned_abs() / 1_000_000);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    let _ = write!(
        out,
        "{space}{sign}{hours:02}:{minutes:02}:{:02}",
        seconds % 60
    );
    if us != 0 {
        let fraction = format!("{us:06}");
        let _ = write!(out, ".{}", fraction.trim_end_matches('0'));
    }
}

fn list(elements: &ArrayRef, out: &mut String) -> Result<()> {
    let nested = matches!(elements.data_type(), DataType::List(_));
    out.push('{');
    for row in 0..elements.len() {
        if row > 0 {
            out.push(',');
        }
        if elements.is_null(row) {
            out.push_str("NULL");
            continue;
        }
        let mut text = String::new();
        put(elements, row, &mut text)?;
        let special = |c: char| c.is_ascii_whitespace() || "{},\"\\".contains(c);
        let quoted = text.is_empty() || text.eq_ignore_ascii_case("null") || text.contains(special);
        match quoted && !nested {
            true => quote(&text, "\\\"", out),
            false => out.push_str(&text),
        }
    }
    out.push('}');
    Ok(())
}

fn record(columns: &[ArrayRef], row: usize, out: &mut String) -> Result<()> {
    out.push('(');
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        if column.is_null(row) {
            continue;
        }
        let mut text = String::new();
        put(column, row, &mut text)?;
        let special = |c: char| c.is_ascii_whitespace() || "(),\"\\".contains(c);
        match text.is_empty() || text.contains(special) {
            true => quote(&text, "\"\"", out),
            false => out.push_str(&text),
        }
    }
    out.push(')');
    Ok(())
}

fn quote(text: &str, for_quote: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str(for_quote),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out.push('"');
}
