//! Which side of a trade: buying is +1, selling is −1, written as a number or as a word.

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;

use crate::arguments::Call;

/// Returns +1 for a buy, −1 for a sell.
pub(crate) fn side(word: &str) -> Option<f64> {
    let is = |names: [&str; 2]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if is(["B", "buy"]) {
        Some(1.0)
    } else if is(["S", "sell"]) {
        Some(-1.0)
    } else {
        None
    }
}

/// Returns the type that a side is coerced to.
///
/// # Errors
/// If it is neither text nor a number.
pub(crate) fn coerce(call: Call, name: &'static str, found: &DataType) -> Result<DataType> {
    match found {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(DataType::Utf8),
        _ => call.number(name, found).map(|_| DataType::Float64),
    }
}

/// Reads a coerced argument as numbers; a word becomes +1 or −1, an unknown one NaN.
pub(crate) fn numbers(column: &ArrayRef) -> Float64Array {
    let Some(words) = column.as_string_opt::<i32>() else {
        return column.as_primitive::<Float64Type>().clone();
    };
    let sides = words
        .iter()
        .map(|word| word.map(|word| side(word).unwrap_or(f64::NAN)));
    sides.collect()
}

/// Returns whether a number is a side.
pub(crate) fn is_side(side: f64) -> bool {
    side.abs() == 1.0
}
