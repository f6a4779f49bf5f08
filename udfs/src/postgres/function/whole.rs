//! Numbers without what is behind the point: those of numerics have no digits there.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use datafusion::arrow::datatypes::{
    DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Float64Type, Int64Type,
};
use datafusion::common::Result;

use super::{Entry, Types, is_number, rows};
use crate::postgres::cast::power;

pub(super) const ALL: [Entry; 3] = [
    Entry {
        name: "ceil",
        signature: "ceil(x) -> double precision | numeric",
        description: "The nearest whole number that is not below x; of a numeric one without \
                      digits behind the point.",
        example: "SELECT ceil(price) FROM trades",
        parameters: &[],
        types: whole,
        compute: |columns, result| each(columns, result, Way::Up),
    },
    Entry {
        name: "floor",
        signature: "floor(x) -> double precision | numeric",
        description: "The nearest whole number that is not above x; of a numeric one without \
                      digits behind the point.",
        example: "SELECT floor(price) FROM trades",
        parameters: &[],
        types: whole,
        compute: |columns, result| each(columns, result, Way::Down),
    },
    Entry {
        name: "trunc",
        signature: "trunc(x [, digits bigint]) -> double precision | numeric",
        description: "x without what is behind the point, or behind so many digits after it.",
        example: "SELECT trunc(price), trunc(price, 1) FROM trades",
        parameters: &[],
        types: |types| match types {
            [_] => whole(types),
            [x, digits] if is_number(x) && (digits.is_integer() || *digits == DataType::Null) => {
                let value = match x {
                    DataType::Decimal128(..) => x.clone(),
                    _ => DataType::Float64,
                };
                Some((vec![value.clone(), DataType::Int64], value))
            }
            _ => None,
        },
        compute: |columns, result| match columns {
            [_] => each(columns, result, Way::ToZero),
            _ => to_digits(columns, result),
        },
    },
];

/// Which whole number is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
    ToZero,
}

fn whole(types: &[DataType]) -> Option<Types> {
    match types {
        [DataType::Decimal128(precision, scale)] => {
            // Rounding up may need a digit more.
            let digits = i16::from(*precision) - i16::from(*scale) + 1;
            let digits = u8::try_from(digits.max(1)).unwrap_or(DECIMAL128_MAX_PRECISION);
            let result = DataType::Decimal128(digits.min(DECIMAL128_MAX_PRECISION), 0);
            Some((types.to_vec(), result))
        }
        [found] if is_number(found) => Some((vec![DataType::Float64], DataType::Float64)),
        _ => None,
    }
}

fn each(columns: &[ArrayRef], result: &DataType, way: Way) -> Result<ArrayRef> {
    if let DataType::Decimal128(_, scale) = columns[0].data_type() {
        let unit = power(*scale)?;
        let values = columns[0].as_primitive::<Decimal128Type>();
        let found = rows(columns, |row| {
            let value = values.value(row);
            Ok(match way {
                Way::Up => -(-value).div_euclid(unit),
                Way::Down => value.div_euclid(unit),
                Way::ToZero => value / unit,
            })
        })?;
        let found = Decimal128Array::from(found).with_data_type(result.clone());
        return Ok(Arc::new(found));
    }
    let values = columns[0].as_primitive::<Float64Type>();
    let found = rows(columns, |row| {
        let value = values.value(row);
        Ok(match way {
            Way::Up => value.ceil(),
            Way::Down => value.floor(),
            Way::ToZero => value.trunc(),
        })
    })?;
    Ok(Arc::new(Float64Array::from(found)))
}

fn to_digits(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let digits = columns[1].as_primitive::<Int64Type>();
    if let DataType::Decimal128(_, scale) = result {
        let values = columns[0].as_primitive::<Decimal128Type>();
        let found = rows(columns, |row| {
            let dropped = i64::from(*scale).saturating_sub(digits.value(row));
            let value = values.value(row);
            Ok(match i8::try_from(dropped) {
                Ok(..=0) => value,
                Ok(dropped @ ..=38) => {
                    let unit = power(dropped)?;
                    value - value % unit
                }
                _ if dropped < 0 => value,
                _ => 0,
            })
        })?;
        let found = Decimal128Array::from(found).with_data_type(result.clone());
        return Ok(Arc::new(found));
    }
    let values = columns[0].as_primitive::<Float64Type>();
    let found = rows(columns, |row| {
        let digits = i32::try_from(digits.value(row).clamp(-400, 400)).unwrap_or(0);
        let (value, factor) = (values.value(row), 10_f64.powi(digits));
        let scaled = value * factor;
        Ok(match scaled.is_finite() && factor > 0.0 {
            true => scaled.trunc() / factor,
            false if digits > 0 || !value.is_finite() => value,
            false => 0.0,
        })
    })?;
    Ok(Arc::new(Float64Array::from(found)))
}
