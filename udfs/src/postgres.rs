//! What PostgreSQL computes otherwise than DataFusion: casts with its rounding and its errors,
//! integers that do not wrap, quotients, averages and sums of decimals, sums of `bigint`, operators
//! on JSON.
//!
//! ```text
//! mixed       a rule over a plan or an expression, before types are coerced: decimals beside doubles
//! semantics   one rule over a plan or an expression: casts and integer arithmetic replaced
//! operators   the planner of `/` over decimals and of `->`, `->>`, `#>`, `#>>`
//! function/   functions that DataFusion lacks or computes otherwise; format/ their templates
//! zone        clocks of places; session_zone the rule of those of the session
//! cast/       texts to values, values to texts, numbers to numbers
//! ```
//!
//! Owns the rules of values; names of types in messages are PostgreSQL's. Never looks at a catalog.

mod arithmetic;
mod avg;
mod cast;
mod exact;
mod format;
pub(crate) mod function;
mod json;
mod mixed;
mod moving;
mod numeric;
mod operators;
mod semantics;
mod session_zone;
mod sum;
mod type_names;
mod untyped;
mod zone;

pub use avg::avg;
pub use cast::interval_words;
pub use mixed::MixedOperands;
pub use numeric::unconstrained_numeric;
pub(crate) use operators::PostgresOperators;
pub use semantics::{Arithmetic, PostgresSemantics};
pub use session_zone::SessionZone;
pub use sum::sum;
pub use type_names::PostgresTypes;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::compute::{CastOptions, cast_with_options};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::error::FunctionError;

/// The values of `array` as `to`, cast as PostgreSQL casts.
///
/// # Errors
/// A value that the type does not have, in PostgreSQL's words.
pub fn cast_array(array: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    if cast::differs(array.data_type(), to) {
        return cast::convert(array, &cast::Target::Type(to.clone()));
    }
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(array, to, &strict)?)
}

/// `22P02`: a text that is no value of the type.
pub(crate) fn invalid_text(type_name: &str, text: &str) -> FunctionError {
    FunctionError::value(
        "22P02",
        format!("invalid input syntax for type {type_name}: \"{text}\""),
    )
}

/// `22003`: a number beyond its type.
pub(crate) fn out_of_range(data_type: &DataType) -> FunctionError {
    let message = match data_type {
        DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric field overflow".to_owned(),
        other => format!("{} out of range", type_name(other)),
    };
    FunctionError::value("22003", message)
}

/// What PostgreSQL calls a type in its messages.
pub(crate) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 | DataType::UInt8 | DataType::Int16 => "smallint",
        DataType::UInt16 | DataType::Int32 => "integer",
        DataType::UInt32 | DataType::Int64 | DataType::UInt64 => "bigint",
        DataType::Float32 => "real",
        DataType::Float64 => "double precision",
        DataType::Decimal128(..) | DataType::Decimal256(..) => "numeric",
        DataType::Date32 => "date",
        DataType::Time32(_) | DataType::Time64(_) => "time",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::Timestamp(_, Some(_)) => "timestamp with time zone",
        DataType::Interval(_) => "interval",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytea",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
        DataType::List(item) => return format!("{}[]", type_name(item.data_type())),
        other => return other.to_string(),
    }
    .to_owned()
}
