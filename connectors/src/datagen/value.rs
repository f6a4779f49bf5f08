//! Generated values as Arrow arrays of the declared types, exactly or not at all.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    PrimitiveArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use arrow::array::{LargeStringArray, StringArray, StringViewArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use rtsap_stream::time::EventTime;

use super::text::push_timestamp_us;
use crate::format::sql_type;

/// The values of one column, before the declared type is known to matter.
#[derive(Clone, Debug)]
pub enum Values<'v> {
    /// Exact numbers: each divided by ten to the given power.
    Scaled(Vec<i128>, u32),
    /// Inexact numbers.
    Fractions(Vec<f64>),
    /// Words.
    Words(Vec<&'v str>),
    /// Texts made for the occasion.
    Texts(Vec<String>),
    /// Nanoseconds since the Unix epoch.
    Times(Vec<i64>),
    /// Truth values.
    Flags(Vec<bool>),
}

/// `values` as an array of `data_type`.
///
/// # Errors
/// In words, if the type cannot hold them exactly.
pub fn array(values: &Values<'_>, data_type: &DataType) -> Result<ArrayRef, String> {
    match values {
        Values::Scaled(numbers, scale) => scaled(numbers, *scale, data_type),
        Values::Fractions(numbers) => match data_type {
            DataType::Float64 => Ok(Arc::new(Float64Array::from(numbers.clone()))),
            DataType::Float32 => Ok(Arc::new(
                numbers
                    .iter()
                    .map(|n| Some(*n as f32))
                    .collect::<Float32Array>(),
            )),
            _ => refuse("fractions", data_type),
        },
        Values::Words(words) => texts(words.iter().copied(), data_type),
        Values::Texts(words) => texts(words.iter().map(String::as_str), data_type),
        Values::Times(times) => timestamps(times, data_type),
        Values::Flags(flags) => match data_type {
            DataType::Boolean => Ok(Arc::new(BooleanArray::from(flags.clone()))),
            _ => refuse("truth values", data_type),
        },
    }
}

fn refuse(what: &str, data_type: &DataType) -> Result<ArrayRef, String> {
    Err(format!("{} cannot hold {what}", sql_type(data_type)))
}

fn scaled(numbers: &[i128], scale: u32, data_type: &DataType) -> Result<ArrayRef, String> {
    let divisor = 10_f64.powi(scale as i32);
    match data_type {
        DataType::Int8 if scale == 0 => integers::<Int8Type>(numbers),
        DataType::Int16 if scale == 0 => integers::<Int16Type>(numbers),
        DataType::Int32 if scale == 0 => integers::<Int32Type>(numbers),
        DataType::Int64 if scale == 0 => integers::<Int64Type>(numbers),
        DataType::UInt8 if scale == 0 => integers::<UInt8Type>(numbers),
        DataType::UInt16 if scale == 0 => integers::<UInt16Type>(numbers),
        DataType::UInt32 if scale == 0 => integers::<UInt32Type>(numbers),
        DataType::UInt64 if scale == 0 => integers::<UInt64Type>(numbers),
        DataType::Float64 => {
            let numbers = numbers.iter().map(|n| Some(*n as f64 / divisor));
            Ok(Arc::new(numbers.collect::<Float64Array>()))
        }
        DataType::Float32 => {
            let numbers = numbers.iter().map(|n| Some((*n as f64 / divisor) as f32));
            Ok(Arc::new(numbers.collect::<Float32Array>()))
        }
        DataType::Decimal128(precision, to) => decimals(numbers, scale, *precision, *to),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let numbers: Vec<String> = numbers.iter().map(|n| decimal_text(*n, scale)).collect();
            texts(numbers.iter().map(String::as_str), data_type)
        }
        _ if scale > 0 => refuse("numbers with decimals", data_type),
        _ => refuse("numbers", data_type),
    }
}

fn integers<T: ArrowPrimitiveType>(numbers: &[i128]) -> Result<ArrayRef, String>
where
    T::Native: TryFrom<i128>,
{
    let fit = |number: &i128| {
        T::Native::try_from(*number)
            .map_err(|_| format!("{} cannot hold {number}", sql_type(&T::DATA_TYPE)))
    };
    let values = numbers.iter().map(fit).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(PrimitiveArray::<T>::from_iter_values(values)))
}

fn decimals(numbers: &[i128], scale: u32, precision: u8, to: i8) -> Result<ArrayRef, String> {
    let type_name = format!("DECIMAL({precision},{to})");
    let more = i32::from(to) - scale as i32;
    let Ok(more) = u32::try_from(more) else {
        return Err(format!("{type_name} cannot hold {scale} decimals"));
    };
    let grow = |number: &i128| {
        10_i128
            .checked_pow(more)
            .and_then(|factor| number.checked_mul(factor))
            .ok_or_else(|| format!("{type_name} cannot hold {}", decimal_text(*number, scale)))
    };
    let values = numbers.iter().map(grow).collect::<Result<Vec<_>, _>>()?;
    let array = Decimal128Array::from_iter_values(values)
        .with_precision_and_scale(precision, to)
        .map_err(|error| error.to_string())?;
    array
        .validate_decimal_precision(precision)
        .map_err(|_| format!("{type_name} is too narrow for the numbers of this column"))?;
    Ok(Arc::new(array))
}

fn decimal_text(number: i128, scale: u32) -> String {
    if scale == 0 {
        return number.to_string();
    }
    let factor = 10_u128.saturating_pow(scale);
    let sign = if number < 0 { "-" } else { "" };
    let digits = number.unsigned_abs();
    format!(
        "{sign}{}.{:0width$}",
        digits / factor,
        digits % factor,
        width = scale as usize
    )
}

fn texts<'t>(
    words: impl Iterator<Item = &'t str>,
    data_type: &DataType,
) -> Result<ArrayRef, String> {
    match data_type {
        DataType::Utf8 => Ok(Arc::new(StringArray::from_iter_values(words))),
        DataType::LargeUtf8 => Ok(Arc::new(LargeStringArray::from_iter_values(words))),
        DataType::Utf8View => Ok(Arc::new(StringViewArray::from_iter_values(words))),
        _ => refuse("text", data_type),
    }
}

fn timestamps(times: &[i64], data_type: &DataType) -> Result<ArrayRef, String> {
    let in_unit = |unit| {
        times
            .iter()
            .map(move |time| EventTime::from_nanos(*time).to_unit(unit))
    };
    match data_type {
        DataType::Timestamp(TimeUnit::Second, zone) => Ok(Arc::new(
            TimestampSecondArray::from_iter_values(in_unit(TimeUnit::Second))
                .with_timezone_opt(zone.clone()),
        )),
        DataType::Timestamp(unit @ TimeUnit::Millisecond, zone) => Ok(Arc::new(
            TimestampMillisecondArray::from_iter_values(in_unit(*unit))
                .with_timezone_opt(zone.clone()),
        )),
        DataType::Timestamp(unit @ TimeUnit::Microsecond, zone) => Ok(Arc::new(
            TimestampMicrosecondArray::from_iter_values(in_unit(*unit))
                .with_timezone_opt(zone.clone()),
        )),
        DataType::Timestamp(unit @ TimeUnit::Nanosecond, zone) => Ok(Arc::new(
            TimestampNanosecondArray::from_iter_values(in_unit(*unit))
                .with_timezone_opt(zone.clone()),
        )),
        DataType::Date32 => {
            const DAY_S: i64 = 86_400;
            let days = in_unit(TimeUnit::Second).map(|second| second.div_euclid(DAY_S) as i32);
            Ok(Arc::new(Date32Array::from_iter_values(days)))
        }
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let text = |time_us: i64| {
                let mut out = Vec::with_capacity(27);
                push_timestamp_us(time_us, &mut out);
                String::from_utf8_lossy(&out).into_owned()
            };
            let words: Vec<String> = in_unit(TimeUnit::Microsecond).map(text).collect();
            texts(words.iter().map(String::as_str), data_type)
        }
        _ => refuse("timestamps", data_type),
    }
}
