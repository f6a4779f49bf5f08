//! Amounts of money: exact where all that goes into them is decimals and integers.
//!
//! Digits after the point add up in products and the more of both stay in sums, so nothing is
//! rounded; what does not fit 38 digits is refused.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, i256};
use datafusion::common::Result;

use crate::argument::Argument;
use crate::arguments::Call;
use crate::error::FunctionError;

/// A decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exact {
    /// It without its point.
    digits: i256,
    /// How many digits stand after the point.
    scale: u32,
}

/// The formula of an amount; `None` if it leaves the range of 256 bits.
pub(super) type Amount = fn(&[Exact]) -> Option<Exact>;

impl Exact {
    fn new(digits: i128, scale: i8) -> Option<Self> {
        Some(Self {
            digits: i256::from_i128(digits),
            scale: u32::try_from(scale).ok()?,
        })
    }

    /// Returns the product.
    pub(super) fn times(self, other: Self) -> Option<Self> {
        Some(Self {
            digits: self.digits.checked_mul(other.digits)?,
            scale: self.scale + other.scale,
        })
    }

    /// Returns the sum.
    pub(super) fn plus(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let digits = |value: Self| {
            let shift = i256::from_i128(10).checked_pow(scale - value.scale)?;
            value.digits.checked_mul(shift)
        };
        Some(Self {
            digits: digits(self)?.checked_add(digits(other)?)?,
            scale,
        })
    }

    /// Returns the difference.
    pub(super) fn minus(self, other: Self) -> Option<Self> {
        let digits = other.digits.checked_neg()?;
        self.plus(Self { digits, ..other })
    }
}

/// Returns the decimals that arguments of these types are coerced to; `None` if they are not all
/// decimals and integers with a decimal among them.
pub(super) fn coerce(types: &[DataType]) -> Option<Vec<DataType>> {
    use DataType::{Decimal32, Decimal64, Decimal128, Null};
    let has_decimal = types
        .iter()
        .any(|found| matches!(found, Decimal32(..) | Decimal64(..) | Decimal128(..)));
    let exact = |found: &DataType| match found {
        Decimal128(..) => Some(found.clone()),
        Decimal32(precision, scale) | Decimal64(precision, scale) => {
            Some(Decimal128(*precision, *scale))
        }
        Null => Some(Decimal128(1, 0)),
        _ if found.is_integer() => Some(Decimal128(20, 0)),
        _ => None,
    };
    let exact: Option<Vec<DataType>> = types.iter().map(exact).collect();
    exact.filter(|exact| has_decimal && exact.iter().all(has_digits))
}

/// Returns whether a decimal has no negative scale, which stands for zeros before the point.
fn has_digits(found: &DataType) -> bool {
    matches!(found, DataType::Decimal128(_, 0..))
}

/// Returns the type of an amount of coerced arguments; `None` if they are floats.
///
/// # Errors
/// [`FunctionError::Overflow`] if it has more than 38 digits after the point.
pub(super) fn data_type(
    call: Call,
    amount: Amount,
    arguments: &[Argument],
    types: &[DataType],
) -> Result<Option<DataType>> {
    let most = DECIMAL128_MAX_PRECISION;
    let zeros = types.iter().map(|found| match found {
        DataType::Decimal128(_, scale) => Exact::new(0, *scale),
        _ => None,
    });
    let Some(zeros) = zeros.collect::<Option<Vec<Exact>>>() else {
        return Ok(None);
    };
    let zero = with_defaults(arguments, zeros).and_then(|zeros| amount(&zeros));
    let scale = zero.and_then(|zero| i8::try_from(zero.scale).ok());
    match scale.filter(|scale| *scale <= most.cast_signed()) {
        Some(scale) => Ok(Some(DataType::Decimal128(most, scale))),
        None => {
            let widest = DataType::Decimal128(most, most.cast_signed());
            Err(overflow(call, &widest).into())
        }
    }
}

fn overflow(call: Call, data_type: &DataType) -> FunctionError {
    FunctionError::Overflow {
        function: call.function,
        what: "the amount",
        data_type: data_type.clone(),
    }
}

/// Adds what stands for arguments that were left out: whole numbers.
fn with_defaults(arguments: &[Argument], mut given: Vec<Exact>) -> Option<Vec<Exact>> {
    for argument in arguments.iter().skip(given.len()) {
        given.push(Exact::new(argument.default? as i128, 0)?);
    }
    Some(given)
}

/// Returns the amount of every row, null where an argument is.
///
/// # Errors
/// [`FunctionError::Overflow`] if one does not fit `data_type`.
pub(super) fn rows(
    call: Call,
    amount: Amount,
    arguments: &[Argument],
    columns: &[ArrayRef],
    data_type: &DataType,
) -> Result<ArrayRef> {
    let row_count = columns.first().map_or(0, |column| column.len());
    let decimals: Vec<(&Decimal128Array, i8)> = columns
        .iter()
        .map(|column| {
            let decimals = column.as_primitive::<Decimal128Type>();
            (decimals, decimals.scale())
        })
        .collect();
    let limit = i256::from_i128(10_i128.pow(u32::from(DECIMAL128_MAX_PRECISION)));
    let mut amounts = Vec::with_capacity(row_count);
    for row in 0..row_count {
        if decimals.iter().any(|(column, _)| column.is_null(row)) {
            amounts.push(None);
            continue;
        }
        let given = decimals
            .iter()
            .map(|(column, scale)| Exact::new(column.value(row), *scale));
        let given = given.collect::<Option<Vec<Exact>>>();
        let found = given
            .and_then(|given| with_defaults(arguments, given))
            .and_then(|given| amount(&given));
        let digits = found
            .filter(|found| -limit < found.digits && found.digits < limit)
            .and_then(|found| found.digits.to_i128());
        amounts.push(Some(digits.ok_or_else(|| overflow(call, data_type))?));
    }
    let amounts = Decimal128Array::from(amounts).with_data_type(data_type.clone());
    Ok(Arc::new(amounts))
}
