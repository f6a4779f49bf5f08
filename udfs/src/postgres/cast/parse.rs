//! Texts as values, with PostgreSQL's errors.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, PrimitiveArray,
    StringArray,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimeUnit, UInt64Type,
};
use datafusion::common::Result;

use super::interval::{Parts, read};
use super::moment::{Wanted, canonical};
use super::number::overflow;
use crate::error::FunctionError;
use crate::postgres::{invalid_text, type_name};

/// Exponents beyond this give zero or an overflow whatever the digits.
const EXPONENT_MAX: i32 = 1_000;

/// The texts of `array` as `to`.
///
/// # Errors
/// The first text that is no value of the type.
pub(super) fn texts(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let texts = array.as_string::<i32>();
    match to {
        DataType::Int8 => integers::<Int8Type>(texts, to),
        DataType::Int16 => integers::<Int16Type>(texts, to),
        DataType::Int32 => integers::<Int32Type>(texts, to),
        DataType::Int64 => integers::<Int64Type>(texts, to),
        DataType::UInt64 => integers::<UInt64Type>(texts, to),
        DataType::Float32 => {
            floats::<Float32Type>(texts, to, |value| value.is_infinite() || value == 0.0)
        }
        DataType::Float64 => {
            floats::<Float64Type>(texts, to, |value| value.is_infinite() || value == 0.0)
        }
        DataType::Decimal128(precision, scale) => {
            let values = each(texts, |text| decimal(text, *precision, *scale))?;
            let values: Decimal128Array = PrimitiveArray::<Decimal128Type>::from_iter(values);
            Ok(Arc::new(
                values.with_precision_and_scale(*precision, *scale)?,
            ))
        }
        DataType::Boolean => Ok(Arc::new(BooleanArray::from(each(texts, boolean)?))),
        DataType::Binary => {
            let values = each(texts, bytes)?;
            Ok(Arc::new(BinaryArray::from_iter(values)))
        }
        DataType::List(item) => super::array::lists(texts, item),
        DataType::Utf8 => Ok(Arc::clone(array)),
        _ => temporal(texts, to, ""),
    }
}

fn each<T>(
    texts: &StringArray,
    read: impl Fn(&str) -> Result<T, FunctionError>,
) -> Result<Vec<Option<T>>, FunctionError> {
    texts
        .iter()
        .map(|text| text.map(&read).transpose())
        .collect()
}

fn integers<T>(texts: &StringArray, to: &DataType) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: std::str::FromStr<Err = std::num::ParseIntError>,
{
    use std::num::IntErrorKind as Kind;
    let values = each(texts, |text| {
        text.trim()
            .parse::<T::Native>()
            .map_err(|error| match error.kind() {
                Kind::PosOverflow | Kind::NegOverflow => beyond(text, to),
                _ => invalid_text(&type_name(to), text),
            })
    })?;
    Ok(Arc::new(PrimitiveArray::<T>::from_iter(values)))
}

fn floats<T>(texts: &StringArray, to: &DataType, extreme: fn(T::Native) -> bool) -> Result<ArrayRef>
where
    T: ArrowPrimitiveType,
    T::Native: std::str::FromStr,
{
    let values = each(texts, |text| {
        let trimmed = text.trim();
        let value: Result<T::Native, _> = trimmed.parse();
        let value = value.map_err(|_| invalid_text(&type_name(to), text))?;
        // Digits that give infinity are too many; digits other than zeros that give zero too few.
        let mantissa = trimmed.split(['e', 'E']).next().unwrap_or_default();
        if extreme(value) && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
            return Err(beyond(text, to));
        }
        Ok(value)
    })?;
    Ok(Arc::new(PrimitiveArray::<T>::from_iter(values)))
}

fn beyond(text: &str, to: &DataType) -> FunctionError {
    let name = type_name(to);
    let message = match to {
        DataType::Float32 | DataType::Float64 => {
            format!("\"{text}\" is out of range for type {name}")
        }
        _ => format!("value \"{text}\" is out of range for type {name}"),
    };
    FunctionError::value("22003", message)
}

/// A decimal in units of its scale, halves away from zero.
///
/// # Errors
/// A text that is no number, or one with too many digits before the point.
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Result<i128, FunctionError> {
    let wrong = || invalid_text("numeric", text);
    let trimmed = text.trim();
    let (negative, unsigned) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, &trimmed[1..]),
        Some(b'+') => (false, &trimmed[1..]),
        _ => (false, trimmed),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
        if matches!(
            unsigned.to_ascii_lowercase().as_str(),
            "nan" | "infinity" | "inf"
        ) {
            let message = format!("cannot represent \"{trimmed}\" as numeric({precision},{scale})");
            return Err(FunctionError::value("0A000", message));
        }
        return Err(wrong());
    }
    let exponent = exponent.clamp(-EXPONENT_MAX, EXPONENT_MAX);
    // Digits that stand before the last one kept.
    let kept = i32::try_from(whole.len()).map_err(|_| wrong())? + exponent + i32::from(scale);
    let limit = 10_i128.pow(u32::from(precision.min(38)));
    let too_large = || overflow(precision, scale);
    let mut value: i128 = 0;
    let mut all = digits();
    for _ in 0..kept.max(0) {
        let digit = all.next().map_or(0, |digit| i128::from(digit - b'0'));
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(digit))
            .ok_or_else(too_large)?;
        if value >= limit {
            return Err(too_large());
        }
    }
    // The first digit that is not kept decides; before it stand zeros if `kept` is negative.
    let rounds_up = kept >= 0 && all.next().is_some_and(|digit| digit >= b'5');
    value += i128::from(rounds_up);
    if value >= limit {
        return Err(too_large());
    }
    Ok(if negative { -value } else { value })
}

/// Unique beginnings of true, false, yes, no, on, off, and 1 and 0.
fn boolean(text: &str) -> Result<bool, FunctionError> {
    let lower = text.trim().to_ascii_lowercase();
    let begins = |word: &str| !lower.is_empty() && word.starts_with(&lower);
    if begins("true") || begins("yes") || lower == "on" || lower == "1" {
        return Ok(true);
    }
    let off = lower.len() > 1 && begins("off");
    if begins("false") || begins("no") || off || lower == "0" {
        return Ok(false);
    }
    Err(invalid_text("boolean", text))
}

/// `\x` and pairs of digits, or PostgreSQL's older notation with backslashes.
fn bytes(text: &str) -> Result<Vec<u8>, FunctionError> {
    if let Some(digits) = text.strip_prefix("\\x") {
        return hexadecimal(digits);
    }
    let wrong = || FunctionError::value("22P02", "invalid input syntax for type bytea".to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        match rest {
            [b'\\', after @ ..] => {
                bytes.push(b'\\');
                rest = after;
            }
            [
                a @ b'0'..=b'3',
                b @ b'0'..=b'7',
                c @ b'0'..=b'7',
                after @ ..,
            ] => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            _ => return Err(wrong()),
        }
    }
    Ok(bytes)
}

fn hexadecimal(text: &str) -> Result<Vec<u8>, FunctionError> {
    let mut digits = Vec::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_ascii_whitespace()) {
        let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digits.push(digit.ok_or_else(|| {
            FunctionError::value("22023", format!("invalid hexadecimal digit: \"{c}\""))
        })?);
    }
    if digits.len() % 2 == 1 {
        let message = "invalid hexadecimal data: odd number of digits".to_owned();
        return Err(FunctionError::value("22023", message));
    }
    Ok(digits
        .chunks(2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect())
}

/// A time without the UTC offset behind it, which PostgreSQL reads over.
fn without_zone(text: &str) -> &str {
    let Some(colon) = text.find(':') else {
        return text;
    };
    let zone = text[colon..].find(['Z', 'z', '+', '-']);
    zone.map_or(text, |at| text[..colon + at].trim_end())
}

/// An interval in the words that Arrow reads: `1 day 02:03:04` is `1 days 7384.000000 seconds`.
/// What is none stays as it is.
#[must_use]
pub fn interval_words(text: &str) -> String {
    let Some(Parts {
        months,
        days,
        micros,
    }) = read(text)
    else {
        return text.to_owned();
    };
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let mut words = Vec::new();
    if months != 0 {
        words.push(format!("{months} months"));
    }
    if days != 0 {
        words.push(format!("{days} days"));
    }
    if seconds != 0 || micros != 0 || words.is_empty() {
        words.push(format!("{sign}{seconds}.{micros:06} seconds"));
    }
    words.join(" ")
}

/// Instants; those without a zone are of `zone`.
///
/// # Errors
/// The first text that is none.
pub(crate) fn instants(texts: &StringArray, zone: &str) -> Result<ArrayRef> {
    let to = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    temporal(texts, &to, zone)
}

/// Dates, times and intervals: Arrow reads them, and what it cannot read is told.
fn temporal<'a>(texts: &'a StringArray, to: &DataType, zone: &str) -> Result<ArrayRef> {
    let wanted = match to {
        DataType::Date32 => Wanted::Date,
        DataType::Timestamp(_, None) => Wanted::Timestamp,
        DataType::Timestamp(_, Some(_)) => Wanted::Instant,
        _ => Wanted::Time,
    };
    let digits = match to {
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => {
            match unit {
                TimeUnit::Second => 0,
                TimeUnit::Millisecond => 3,
                TimeUnit::Microsecond => 6,
                // A time of a day is shown in microseconds.
                TimeUnit::Nanosecond if wanted == Wanted::Time => 6,
                TimeUnit::Nanosecond => 9,
            }
        }
        _ => 9,
    };
    let bare = |text: &'a str| match to {
        DataType::Interval(_) => Cow::Owned(interval_words(text.trim())),
        // What is in no form known here Arrow may know, or refuse.
        _ => match canonical(text, wanted, digits, zone) {
            Some(text) => Cow::Owned(text),
            // Arrow takes any digits for a time.
            None if wanted == Wanted::Time => Cow::Borrowed("no time"),
            None if wanted == Wanted::Instant => Cow::Borrowed(text.trim()),
            None => Cow::Borrowed(without_zone(text.trim())),
        },
    };
    let trimmed: StringArray = texts.iter().map(|text| text.map(bare)).collect();
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    if let Ok(values) = cast_with_options(&trimmed, to, &strict) {
        return Ok(values);
    }
    // Which one it was: the first that is null now and was not.
    let read = cast(&trimmed, to)?;
    let bad = (0..texts.len()).find(|row| texts.is_valid(*row) && read.is_null(*row));
    let text = bad.map_or("", |row| texts.value(row));
    // A date that looks like one but is not in the calendar is out of range.
    let like_date = text
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_digit())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || b"-:. T+Z".contains(&byte));
    let is_date = like_date && !matches!(to, DataType::Interval(_));
    Err(match is_date {
        true => {
            let message = format!("date/time field value out of range: \"{text}\"");
            FunctionError::value("22008", message)
        }
        false => {
            let message = format!(
                "invalid input syntax for type {}: \"{text}\"",
                type_name(to)
            );
            FunctionError::value("22007", message)
        }
    }
    .into())
}
