//! Numbers: roots and logarithms with PostgreSQL's errors, `div`, `width_bucket`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::Result;

use super::{Entry, Types, is_number, rows};
use crate::error::FunctionError;
use crate::postgres::cast::power;

pub(super) const ALL: [Entry; 7] = [
    Entry {
        name: "sqrt",
        signature: "sqrt(x) -> double precision",
        description: "The square root; an error below zero.",
        example: "SELECT sqrt(price) FROM trades",
        parameters: &[],
        types: double,
        compute: |columns, _| {
            each(columns, |x| match x < 0.0 {
                true => Err(value(
                    "2201F",
                    "cannot take square root of a negative number",
                )),
                false => Ok(x.sqrt()),
            })
        },
    },
    Entry {
        name: "round_even",
        signature: "round_even(x) -> double precision",
        description: "The nearest whole number, of two the even one: what round(double precision) \
                      is planned as.",
        example: "SELECT round_even(price) FROM trades",
        parameters: &[],
        types: double,
        compute: |columns, _| each(columns, |x| Ok(x.round_ties_even())),
    },
    Entry {
        name: "ln",
        signature: "ln(x) -> double precision",
        description: "The natural logarithm; an error at zero and below.",
        example: "SELECT ln(price) FROM trades",
        parameters: &[],
        types: double,
        compute: |columns, _| each(columns, |x| Ok(positive(x)?.ln())),
    },
    Entry {
        name: "log10",
        signature: "log10(x) -> double precision",
        description: "The logarithm to base 10; an error at zero and below.",
        example: "SELECT log10(price) FROM trades",
        parameters: &[],
        types: double,
        compute: |columns, _| each(columns, |x| Ok(positive(x)?.log10())),
    },
    Entry {
        name: "log",
        signature: "log([base,] x) -> double precision",
        description: "The logarithm to a base, without one to base 10; an error at zero and below.",
        example: "SELECT log(price), log(2, price) FROM trades",
        parameters: &[],
        types: |types| {
            let fits = matches!(types.len(), 1 | 2) && types.iter().all(is_number);
            fits.then(|| (vec![DataType::Float64; types.len()], DataType::Float64))
        },
        compute: log,
    },
    Entry {
        name: "div",
        signature: "div(y, x) -> bigint | numeric",
        description: "The quotient without what is behind the point.",
        example: "SELECT div(7, 2) FROM trades",
        parameters: &[],
        types: div_types,
        compute: div,
    },
    Entry {
        name: "width_bucket",
        signature: "width_bucket(x, low, high, count) -> bigint",
        description: "The number of the bucket of x, of so many equally wide ones from low to \
                      high; 0 below low, count + 1 from high on.",
        example: "SELECT width_bucket(price, 0, 100, 10) AS bucket, count(*) FROM trades \
                  WHERE price < 1000 GROUP BY bucket",
        parameters: &[],
        types: |types| match types {
            [_, _, _, count] if types.iter().all(is_number) && !count.is_floating() => {
                let mut coerced = vec![DataType::Float64; 3];
                coerced.push(DataType::Int64);
                Some((coerced, DataType::Int64))
            }
            _ => None,
        },
        compute: width_bucket,
    },
];

fn value(sqlstate: &'static str, message: &str) -> FunctionError {
    FunctionError::value(sqlstate, message.to_owned())
}

fn positive(x: f64) -> Result<f64, FunctionError> {
    if x == 0.0 {
        return Err(value("2201E", "cannot take logarithm of zero"));
    }
    match x < 0.0 {
        true => Err(value("2201E", "cannot take logarithm of a negative number")),
        false => Ok(x),
    }
}

fn double(types: &[DataType]) -> Option<Types> {
    match types {
        [found] if is_number(found) => Some((vec![DataType::Float64], DataType::Float64)),
        _ => None,
    }
}

fn each(columns: &[ArrayRef], of: impl Fn(f64) -> Result<f64, FunctionError>) -> Result<ArrayRef> {
    let values = columns[0].as_primitive::<Float64Type>();
    let results = rows(columns, |row| Ok(of(values.value(row))?))?;
    Ok(Arc::new(Float64Array::from(results)))
}

fn log(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let [bases, values] = columns else {
        return each(columns, |x| Ok(positive(x)?.log10()));
    };
    let (bases, values) = (
        bases.as_primitive::<Float64Type>(),
        values.as_primitive::<Float64Type>(),
    );
    let results = rows(columns, |row| {
        let (base, x) = (positive(bases.value(row))?, positive(values.value(row))?);
        if base == 1.0 {
            return Err(value("22012", "division by zero").into());
        }
        Ok(x.log(base))
    })?;
    Ok(Arc::new(Float64Array::from(results)))
}

fn div_types(types: &[DataType]) -> Option<Types> {
    let whole = |t: &DataType| t.is_integer() || *t == DataType::Null;
    match types {
        [l, r] if whole(l) && whole(r) => Some((vec![DataType::Int64; 2], DataType::Int64)),
        [l, r] if [l, r].iter().all(|t| is_number(t) && !t.is_floating()) => {
            let operand = |t: &DataType| match t {
                DataType::Decimal128(..) => t.clone(),
                _ => DataType::Decimal128(19, 0),
            };
            Some((vec![operand(l), operand(r)], DataType::Decimal128(38, 0)))
        }
        _ => None,
    }
}

fn div(columns: &[ArrayRef], result: &DataType) -> Result<ArrayRef> {
    let zero = || value("22012", "division by zero");
    let scale = |column: &ArrayRef| match column.data_type() {
        DataType::Decimal128(_, scale) => Some(*scale),
        _ => None,
    };
    let (Some(left_scale), Some(right_scale)) = (scale(&columns[0]), scale(&columns[1])) else {
        let (y, x) = (
            columns[0].as_primitive::<Int64Type>(),
            columns[1].as_primitive::<Int64Type>(),
        );
        let quotients = rows(columns, |row| match x.value(row) {
            0 => Err(zero().into()),
            x => Ok(y
                .value(row)
                .checked_div(x)
                .ok_or_else(|| value("22003", "bigint out of range"))?),
        })?;
        return Ok(Arc::new(Int64Array::from(quotients)));
    };
    // Both in units of the finer scale.
    let fine = left_scale.max(right_scale);
    let (left_factor, right_factor) = (power(fine - left_scale)?, power(fine - right_scale)?);
    let (y, x) = (
        columns[0].as_primitive::<Decimal128Type>(),
        columns[1].as_primitive::<Decimal128Type>(),
    );
    let overflow = || value("22003", "numeric field overflow");
    let quotients = rows(columns, |row| {
        let y = y.value(row).checked_mul(left_factor).ok_or_else(overflow)?;
        let x = x
            .value(row)
            .checked_mul(right_factor)
            .ok_or_else(overflow)?;
        match x {
            0 => Err(zero().into()),
            x => Ok(y / x),
        }
    })?;
    Ok(Arc::new(
        Decimal128Array::from(quotients).with_data_type(result.clone()),
    ))
}

fn width_bucket(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let number = |place: usize| columns[place].as_primitive::<Float64Type>();
    let (xs, lows, highs) = (number(0), number(1), number(2));
    let counts = columns[3].as_primitive::<Int64Type>();
    let buckets = rows(columns, |row| {
        let (x, low, high) = (xs.value(row), lows.value(row), highs.value(row));
        let count = counts.value(row);
        let wrong = |message: &str| value("2201G", message);
        if count <= 0 {
            return Err(wrong("count must be greater than zero").into());
        }
        if x.is_nan() || low.is_nan() || high.is_nan() {
            return Err(wrong("operand, lower bound, and upper bound cannot be NaN").into());
        }
        if low.is_infinite() || high.is_infinite() {
            return Err(wrong("lower and upper bounds must be finite").into());
        }
        if low == high {
            return Err(wrong("lower bound cannot equal upper bound").into());
        }
        let (before, behind) = match low < high {
            true => (x < low, x >= high),
            false => (x > low, x <= high),
        };
        if before {
            return Ok(0);
        }
        if behind {
            return Ok(count
                .checked_add(1)
                .ok_or_else(|| value("22003", "bigint out of range"))?);
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "as PostgreSQL's buckets of doubles"
        )]
        let share = count as f64 * (x - low) / (high - low);
        #[expect(clippy::cast_possible_truncation, reason = "at most the count")]
        let bucket = share.floor() as i64 + 1;
        Ok(bucket.min(count))
    })?;
    Ok(Arc::new(Int64Array::from(buckets)))
}
