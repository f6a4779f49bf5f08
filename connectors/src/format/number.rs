//! Numbers and texts of binary formats on their way into columns: ranges, scales, UTF-8.
//!
//! Errors are the words behind `cannot be read as …`; an empty one says that the types do not meet.

use arrow::datatypes::TimeUnit;

use super::column::{Bytes, Values};
use super::csv::parse_decimal;
use super::timestamp_digits;

/// Appends a whole number to a column of numbers.
///
/// # Errors
/// If it is out of the column's range, or the column takes none.
pub(crate) fn push_integer(value: i64, to: &mut Values) -> Result<(), String> {
    let beyond = |_| "out of range".to_owned();
    match to {
        Values::Int8(values) => values.push(i8::try_from(value).map_err(beyond)?),
        Values::Int16(values) => values.push(i16::try_from(value).map_err(beyond)?),
        Values::Int32(values) => values.push(i32::try_from(value).map_err(beyond)?),
        Values::Date(values) => values.push(i32::try_from(value).map_err(beyond)?),
        Values::Int64(values) | Values::Timestamp { values, .. } => values.push(value),
        Values::Float32(values) => values.push(value as f32),
        Values::Float64(values) => values.push(value as f64),
        Values::Decimal {
            values,
            precision,
            scale,
        } => values.push(rescaled_decimal(value.into(), 0, *precision, *scale)?),
        _ => return Err(String::new()),
    }
    Ok(())
}

/// Units of 10^-`digits` seconds in `unit`, rounded half up; `None` if out of range.
pub(crate) fn rescaled(value: i64, digits: u8, unit: TimeUnit) -> Option<i64> {
    let wanted = timestamp_digits(unit);
    if wanted >= digits {
        return value.checked_mul(10_i64.checked_pow(u32::from(wanted - digits))?);
    }
    let divisor = 10_i64.checked_pow(u32::from(digits - wanted))?;
    Some(value.checked_add(divisor / 2)?.div_euclid(divisor))
}

/// `unscaled` · 10^-`written` in units of the column's scale, rounded half away from zero.
///
/// # Errors
/// If it has more digits than the column.
pub(crate) fn rescaled_decimal(
    unscaled: i128,
    written: u32,
    precision: u8,
    scale: i8,
) -> Result<i128, String> {
    let beyond = || "out of range".to_owned();
    let scale = u32::try_from(scale).map_err(|_| beyond())?;
    let value = if scale >= written {
        let factor = 10_i128.checked_pow(scale - written);
        factor
            .and_then(|factor| unscaled.checked_mul(factor))
            .ok_or_else(beyond)?
    } else {
        let divisor = 10_i128.checked_pow(written - scale).ok_or_else(beyond)?;
        let (whole, rest) = (unscaled / divisor, unscaled % divisor);
        let up = rest.unsigned_abs() * 2 >= divisor.unsigned_abs();
        whole + if up { unscaled.signum() } else { 0 }
    };
    let limit = 10_u128.pow(u32::from(precision.min(38)));
    (value.unsigned_abs() < limit)
        .then_some(value)
        .ok_or_else(beyond)
}

/// A decimal of a double's shortest text, rounded half away from zero.
///
/// # Errors
/// For NaN, infinities and what has more digits than the column.
pub(crate) fn decimal_of_text(text: &str, precision: u8, scale: i8) -> Result<i128, String> {
    /// Digits of a double's text behind its point are fewer.
    const SCALE_MAX: usize = 38;
    let places = text
        .split_once('.')
        .map_or(0, |(_, fraction)| fraction.len());
    let written = u32::try_from(places.min(SCALE_MAX)).unwrap_or(0);
    let kept = match text.split_once('.') {
        Some((whole, fraction)) if places > SCALE_MAX => {
            format!("{whole}.{}", &fraction[..SCALE_MAX])
        }
        _ => text.to_owned(),
    };
    let unscaled = parse_decimal(&kept, written).ok_or("not a number in its range")?;
    rescaled_decimal(unscaled, written, precision, scale)
}

/// A number in two's complement, the highest byte first; `None` if it has more than 128 bits.
pub(crate) fn big_endian(bytes: &[u8]) -> Option<i128> {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let filler = if negative { 0xff } else { 0 };
    let surplus = bytes.len().saturating_sub(16);
    let (ahead, rest) = bytes.split_at(surplus);
    let mut all = [filler; 16];
    all[16 - rest.len()..].copy_from_slice(rest);
    let value = i128::from_be_bytes(all);
    let same_sign = surplus == 0 || (value < 0) == negative;
    (ahead.iter().all(|byte| *byte == filler) && same_sign).then_some(value)
}

/// Appends bytes.
///
/// # Errors
/// Beyond 2 GiB in one batch.
pub(crate) fn push_bytes(value: &[u8], to: &mut Bytes) -> Result<(), String> {
    to.data.extend_from_slice(value);
    match to.seal() {
        true => Ok(()),
        false => Err("more than 2 GiB in one batch".to_owned()),
    }
}

/// Appends text.
///
/// # Errors
/// If it is not UTF-8, or holds a character that PostgreSQL has not.
pub(crate) fn push_text(value: &[u8], to: &mut Bytes) -> Result<(), String> {
    if std::str::from_utf8(value).is_err() {
        return Err("it is not UTF-8".to_owned());
    }
    if value.contains(&0) {
        return Err("the character U+0000 cannot be stored".to_owned());
    }
    push_bytes(value, to)
}
