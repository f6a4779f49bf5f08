//! Numbers to numbers: halves of doubles go to the even neighbour, halves of decimals away from
//! zero, and what does not fit is an error.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float32Array, Float64Array, Int64Array,
    PrimitiveArray,
};
use datafusion::arrow::compute::{CastOptions, cast, cast_with_options};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int64Type,
};
use datafusion::common::Result;

use super::parse;
use crate::error::FunctionError;
use crate::postgres::{out_of_range, type_name};

/// Digits that every double keeps; PostgreSQL makes a numeric of a double from so many.
const DOUBLE_DIGITS: usize = 15;

/// The same for a float of 32 bits.
const FLOAT_DIGITS: usize = 6;

/// Doubles below this, 2^53, are exact as integers.
const EXACT_DOUBLE_MAX: u128 = 1 << 53;

/// Powers of ten up to this one are exact as doubles.
const EXACT_POWER_MAX: u8 = 22;

/// Whether a value of integer type `from` may not fit into `to`.
pub(super) fn narrows(from: &DataType, to: &DataType) -> bool {
    // The numbers of rows, which window functions count in UInt64, fit into `bigint`.
    if (from, to) == (&DataType::UInt64, &DataType::Int64) {
        return false;
    }
    match (bounds(from), bounds(to)) {
        (Some(from), Some(to)) => from.0 < to.0 || from.1 > to.1,
        _ => false,
    }
}

/// Digits that values of an integer type have at most.
pub(super) fn digits(data_type: &DataType) -> i16 {
    match data_type {
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        _ => 20,
    }
}

fn bounds(data_type: &DataType) -> Option<(i128, i128)> {
    Some(match data_type {
        DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => (i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => (0, u8::MAX.into()),
        DataType::UInt16 => (0, u16::MAX.into()),
        DataType::UInt32 => (0, u32::MAX.into()),
        DataType::UInt64 => (0, u64::MAX.into()),
        _ => return None,
    })
}

/// The numbers of `array` as `to`.
///
/// # Errors
/// A number beyond the type, in PostgreSQL's words.
pub(super) fn numbers(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match (array.data_type(), to) {
        (DataType::Float32, to) if to.is_integer() => {
            let wide = cast(array, &DataType::Float64)?;
            rounded(wide.as_primitive(), to)
        }
        (DataType::Float64, to) if to.is_integer() => rounded(array.as_primitive(), to),
        (DataType::Decimal128(_, scale), to) if to.is_integer() => {
            let unit = power(*scale)?;
            integers(array.as_primitive::<Decimal128Type>(), to, |value| {
                Some(divide(value, unit))
            })
        }
        (DataType::Float32, DataType::Decimal128(..)) => {
            let floats = array.as_primitive::<Float32Type>();
            decimals(floats, to, |value| format!("{value:.*e}", FLOAT_DIGITS - 1))
        }
        (DataType::Float64, DataType::Decimal128(..)) => {
            let floats = array.as_primitive::<Float64Type>();
            decimals(floats, to, |value| {
                format!("{value:.*e}", DOUBLE_DIGITS - 1)
            })
        }
        (DataType::Float64, DataType::Float32) => {
            let doubles = array.as_primitive::<Float64Type>();
            let floats: Float32Array = doubles.try_unary(single)?;
            Ok(Arc::new(floats))
        }
        (DataType::Decimal128(_, scale), DataType::Float64) => {
            let values = array.as_primitive::<Decimal128Type>();
            let doubles: Float64Array = values.unary(|value| double(value, *scale));
            Ok(Arc::new(doubles))
        }
        (DataType::Decimal128(_, scale), DataType::Float32) => {
            let values = array.as_primitive::<Decimal128Type>();
            let exponent = -i16::from(*scale);
            let floats: Float32Array = values.unary(|value| {
                let text = format!("{value}e{exponent}");
                text.parse().unwrap_or(f32::NAN)
            });
            Ok(Arc::new(floats))
        }
        _ => strictly(array, to),
    }
}

/// Doubles to integers: halves go to the even neighbour.
fn rounded(doubles: &Float64Array, to: &DataType) -> Result<ArrayRef> {
    integers(doubles, to, |value| {
        let whole = value.round_ties_even();
        // Beyond this no integer type has a value, and the conversion below would saturate.
        (whole.abs() < 1e30).then_some(whole as i128)
    })
}

/// `array` as integers of type `to`; `whole` gives `None` for what is certainly too large.
fn integers<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    to: &DataType,
    whole: impl Fn(T::Native) -> Option<i128>,
) -> Result<ArrayRef> {
    let Some((min, max)) = bounds(to) else {
        return Err(out_of_range(to).into());
    };
    let fits = |value| whole(value).filter(|value| (min..=max).contains(value));
    let wide: Int64Array = array.try_unary::<_, Int64Type, FunctionError>(|value| {
        let value = fits(value).ok_or_else(|| out_of_range(to))?;
        i64::try_from(value).map_err(|_| out_of_range(to))
    })?;
    strictly(&(Arc::new(wide) as ArrayRef), to)
}

fn decimals<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    to: &DataType,
    text: impl Fn(T::Native) -> String,
) -> Result<ArrayRef> {
    let DataType::Decimal128(precision, scale) = to else {
        return Err(out_of_range(to).into());
    };
    let exact: Decimal128Array = array.try_unary::<_, Decimal128Type, FunctionError>(|value| {
        parse::decimal(&text(value), *precision, *scale)
    })?;
    Ok(Arc::new(
        exact.with_precision_and_scale(*precision, *scale)?,
    ))
}

/// The nearest float of 32 bits.
fn single(value: f64) -> Result<f32, FunctionError> {
    let near = value as f32;
    let why = match near {
        _ if near.is_infinite() && value.is_finite() => "overflow",
        0.0 if value != 0.0 => "underflow",
        _ => return Ok(near),
    };
    let message = format!("value out of range: {why}");
    Err(FunctionError::value("22003", message))
}

/// The nearest double of `value` with `scale` digits after the point.
fn double(value: i128, scale: i8) -> f64 {
    let small = value.unsigned_abs() < EXACT_DOUBLE_MAX;
    match u8::try_from(scale) {
        // One division of exact numbers is rounded once.
        Ok(places) if small && places <= EXACT_POWER_MAX => {
            value as f64 / 10_f64.powi(places.into())
        }
        _ => {
            let exponent = -i16::from(scale);
            format!("{value}e{exponent}").parse().unwrap_or(f64::NAN)
        }
    }
}

/// Ten to `scale`.
pub(crate) fn power(scale: i8) -> Result<i128, FunctionError> {
    let places = u32::try_from(scale).ok();
    let power = places.and_then(|places| 10_i128.checked_pow(places));
    power.ok_or_else(|| out_of_range(&DataType::Decimal128(38, 0)))
}

/// The quotient, halves away from zero.
pub(crate) fn divide(value: i128, unit: i128) -> i128 {
    let (quotient, rest) = (value / unit, value % unit);
    if rest.unsigned_abs() >= unit.unsigned_abs() - rest.unsigned_abs() && rest != 0 {
        return quotient + value.signum() * unit.signum();
    }
    quotient
}

/// Arrow's own cast, which rounds decimals as PostgreSQL does; its errors in other words.
fn strictly(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let cast = cast_with_options(array, to, &options);
    cast.map_err(|_| match to {
        DataType::Decimal128(precision, scale) => overflow(*precision, *scale).into(),
        _ if bounds(to).is_some() => out_of_range(to).into(),
        _ => {
            let from = type_name(array.data_type());
            let message = format!("cannot cast type {from} to {}", type_name(to));
            FunctionError::value("42846", message).into()
        }
    })
}

/// `numeric field overflow`, with the range.
pub(super) fn overflow(precision: u8, scale: i8) -> FunctionError {
    let digits = i16::from(precision) - i16::from(scale);
    let bound = match digits {
        0 => "1".to_owned(),
        digits => format!("10^{digits}"),
    };
    out_of_range(&DataType::Decimal128(precision, scale)).detail(format!(
        "A field with precision {precision}, scale {scale} must round to an absolute value less \
         than {bound}."
    ))
}
