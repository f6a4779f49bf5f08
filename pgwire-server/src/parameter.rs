//! Parameters of prepared statements: bytes of the wire as values of the engine.
//!
//! What comes as text stays text where the engine's own cast reads it as PostgreSQL does; the rest
//! is read here.

use std::sync::Arc;

use arrow::array::types::IntervalMonthDayNano;
use arrow::datatypes::{DataType, IntervalMonthDayNanoType};
use bytes::Buf;
use rtsap_engine::session::ScalarValue;

use crate::encode::Format;
use crate::encode::calendar::{DAY_US, EPOCH_DAYS};
use crate::error::Failure;
use crate::oid;

mod array;
mod numeric;

/// Reads a value of type `wire` that will be used as `wanted`; `None` is null.
///
/// # Errors
/// `22P02` or `22P03` for bytes that are no value of the type, `22021` for text that is not UTF-8.
pub(crate) fn read(
    wire: u32,
    wanted: &DataType,
    format: Format,
    bytes: Option<&[u8]>,
) -> Result<ScalarValue, Failure> {
    match (bytes, format) {
        (None, _) => ScalarValue::try_new_null(wanted).map_err(|error| {
            Failure::new("0A000", format!("cannot pass null as {wanted}: {error}"))
        }),
        (Some(bytes), Format::Text) => {
            let value = text(wire, as_utf8(bytes)?)?;
            check_scale(&value, wanted)?;
            Ok(value)
        }
        (Some(bytes), Format::Binary) => {
            let value = binary(wire, bytes)?;
            check_scale(&value, wanted)?;
            Ok(value)
        }
    }
}

/// Refuses digits that the type of a decimal would round away.
fn check_scale(value: &ScalarValue, wanted: &DataType) -> Result<(), Failure> {
    let (ScalarValue::Utf8(Some(text)), DataType::Decimal128(_, scale)) = (value, wanted) else {
        return Ok(());
    };
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let significant = fraction.trim_end_matches('0').len();
    if significant > usize::try_from(*scale).unwrap_or(0) {
        let message =
            format!("numeric parameter {text} has more than {scale} digits after the point");
        return Err(Failure::new("22003", message).hint("Round it before passing it."));
    }
    Ok(())
}

fn as_utf8(bytes: &[u8]) -> Result<&str, Failure> {
    std::str::from_utf8(bytes)
        .map_err(|_| Failure::new("22021", "invalid byte sequence for encoding \"UTF8\""))
}

/// Reads a value from text.
pub(crate) fn text(wire: u32, text: &str) -> Result<ScalarValue, Failure> {
    if let Some(element) = oid::element_of(wire) {
        return array::from_text(element, text);
    }
    let trimmed = text.trim();
    Ok(match wire {
        oid::BYTEA => ScalarValue::Binary(Some(bytea(text)?)),
        oid::BOOL => ScalarValue::Boolean(Some(boolean(trimmed)?)),
        oid::OID | oid::INT8 => ScalarValue::Int64(Some(parsed("bigint", trimmed)?)),
        oid::INT4 => ScalarValue::Int32(Some(parsed("integer", trimmed)?)),
        oid::INT2 => ScalarValue::Int16(Some(parsed("smallint", trimmed)?)),
        oid::FLOAT8 => ScalarValue::Float64(Some(parsed("double precision", trimmed)?)),
        oid::FLOAT4 => ScalarValue::Float32(Some(parsed("real", trimmed)?)),
        oid::NUMERIC
        | oid::DATE
        | oid::TIME
        | oid::TIMESTAMP
        | oid::TIMESTAMPTZ
        | oid::INTERVAL => ScalarValue::Utf8(Some(trimmed.to_owned())),
        _ => ScalarValue::Utf8(Some(text.to_owned())),
    })
}

fn parsed<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| bad_text(name, text))
}

fn bad_text(name: &str, text: &str) -> Failure {
    Failure::new(
        "22P02",
        format!("invalid input syntax for type {name}: \"{text}\""),
    )
}

/// PostgreSQL's spellings, and every beginning of the words that is unambiguous.
fn boolean(text: &str) -> Result<bool, Failure> {
    let lower = text.to_ascii_lowercase();
    let begins = |word: &str| !lower.is_empty() && word.starts_with(&lower);
    if begins("true") || begins("yes") || lower == "on" || lower == "1" {
        return Ok(true);
    }
    let off = lower == "of" || lower == "off" || lower == "0";
    if begins("false") || begins("no") || off {
        Ok(false)
    } else {
        Err(bad_text("boolean", text))
    }
}

/// `\x` and hexadecimal digits, or the older form with octal escapes.
pub(crate) fn bytea(text: &str) -> Result<Vec<u8>, Failure> {
    let bad = || bad_text("bytea", text);
    if let Some(digits) = text.strip_prefix("\\x") {
        let nibbles = digits.bytes().filter(|byte| !byte.is_ascii_whitespace());
        let nibbles: Option<Vec<u32>> = nibbles.map(|byte| char::from(byte).to_digit(16)).collect();
        let nibbles = nibbles
            .filter(|nibbles| nibbles.len().is_multiple_of(2))
            .ok_or_else(bad)?;
        let byte = |pair: &[u32]| u8::try_from(pair[0] * 16 + pair[1]).map_err(|_| bad());
        return nibbles.chunks_exact(2).map(byte).collect();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
        } else if let Some(after) = rest.strip_prefix(b"\\") {
            bytes.push(b'\\');
            rest = after;
        } else {
            let octal = rest
                .get(..3)
                .and_then(|digits| std::str::from_utf8(digits).ok());
            let byte = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok());
            bytes.push(byte.ok_or_else(bad)?);
            rest = &rest[3..];
        }
    }
    Ok(bytes)
}

/// Reads a value from its binary form.
fn binary(wire: u32, mut bytes: &[u8]) -> Result<ScalarValue, Failure> {
    if let Some(element) = oid::element_of(wire) {
        return array::from_binary(element, bytes);
    }
    let value = match wire {
        oid::DATE => date(&mut bytes)?,
        oid::TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(instant(&mut bytes)?), None),
        oid::TIMESTAMPTZ => {
            let zone = Some(Arc::from("UTC"));
            ScalarValue::TimestampMicrosecond(Some(instant(&mut bytes)?), zone)
        }
        oid::INTERVAL => interval(&mut bytes)?,
        oid::NUMERIC => ScalarValue::Utf8(Some(numeric::text(&mut bytes)?)),
        oid::RECORD => return Err(Failure::new("0A000", "records cannot be parameters")),
        oid::UUID => ScalarValue::Utf8(Some(uuid(std::mem::take(&mut bytes))?)),
        oid::BYTEA => ScalarValue::Binary(Some(std::mem::take(&mut bytes).to_vec())),
        _ => match fixed(wire, &mut bytes) {
            Some(value) => value.map_err(|_| bad_binary())?,
            None => {
                if wire == oid::JSONB && bytes.try_get_u8().ok() != Some(1) {
                    return Err(bad_binary());
                }
                let text = as_utf8(std::mem::take(&mut bytes))?;
                ScalarValue::Utf8(Some(text.to_owned()))
            }
        },
    };
    if bytes.is_empty() {
        Ok(value)
    } else {
        Err(bad_binary())
    }
}

/// Reads a value whose bytes are the number itself; `None` for other types.
fn fixed(wire: u32, bytes: &mut &[u8]) -> Option<Result<ScalarValue, bytes::TryGetError>> {
    Some(match wire {
        oid::BOOL => bytes
            .try_get_u8()
            .map(|byte| ScalarValue::Boolean(Some(byte != 0))),
        oid::INT2 => bytes
            .try_get_i16()
            .map(|value| ScalarValue::Int16(Some(value))),
        oid::INT4 => bytes
            .try_get_i32()
            .map(|value| ScalarValue::Int32(Some(value))),
        oid::INT8 => bytes
            .try_get_i64()
            .map(|value| ScalarValue::Int64(Some(value))),
        oid::OID | oid::REGCLASS => bytes
            .try_get_u32()
            .map(|value| ScalarValue::Int64(Some(value.into()))),
        oid::FLOAT4 => bytes
            .try_get_f32()
            .map(|value| ScalarValue::Float32(Some(value))),
        oid::FLOAT8 => bytes
            .try_get_f64()
            .map(|value| ScalarValue::Float64(Some(value))),
        oid::TIME => bytes
            .try_get_i64()
            .map(|us| ScalarValue::Time64Microsecond(Some(us))),
        _ => return None,
    })
}

fn bad_binary() -> Failure {
    Failure::new("22P03", "incorrect binary data format in bind parameter")
}

fn date(bytes: &mut &[u8]) -> Result<ScalarValue, Failure> {
    let days = bytes.try_get_i32().map_err(|_| bad_binary())?;
    let out_of_range = || Failure::new("22008", "date out of range");
    if matches!(days, i32::MIN | i32::MAX) {
        return Err(Failure::new("0A000", "infinite dates are not supported"));
    }
    Ok(ScalarValue::Date32(Some(
        days.checked_add(EPOCH_DAYS).ok_or_else(out_of_range)?,
    )))
}

fn instant(bytes: &mut &[u8]) -> Result<i64, Failure> {
    let us = bytes.try_get_i64().map_err(|_| bad_binary())?;
    if matches!(us, i64::MIN | i64::MAX) {
        return Err(Failure::new(
            "0A000",
            "infinite timestamps are not supported",
        ));
    }
    us.checked_add(i64::from(EPOCH_DAYS) * DAY_US)
        .ok_or_else(|| Failure::new("22008", "timestamp out of range"))
}

fn interval(bytes: &mut &[u8]) -> Result<ScalarValue, Failure> {
    let mut read = || -> Option<(i64, i32, i32)> {
        Some((
            bytes.try_get_i64().ok()?,
            bytes.try_get_i32().ok()?,
            bytes.try_get_i32().ok()?,
        ))
    };
    let (us, days, months) = read().ok_or_else(bad_binary)?;
    let nanoseconds = us.checked_mul(1_000);
    let nanoseconds = nanoseconds.ok_or_else(|| Failure::new("22008", "interval out of range"))?;
    let value: IntervalMonthDayNano =
        IntervalMonthDayNanoType::make_value(months, days, nanoseconds);
    Ok(ScalarValue::IntervalMonthDayNano(Some(value)))
}

fn uuid(bytes: &[u8]) -> Result<String, Failure> {
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| bad_binary())?;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ];
    Ok(parts.join("-"))
}

#[cfg(test)]
mod tests;
