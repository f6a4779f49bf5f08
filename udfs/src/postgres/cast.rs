//! `CAST` as PostgreSQL does it, for the pairs of types where DataFusion does otherwise.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray, new_null_array};
use datafusion::arrow::compute::{cast, concat};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use crate::postgres::{type_name, unconstrained_numeric};

mod array;
mod interval;
mod moment;
mod number;
mod parse;
mod uuid;
mod write;

pub(crate) use array::elements;
pub(crate) use number::{divide, power};
pub(crate) use parse::instants;
pub use parse::interval_words;

/// What a value is cast to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A type that Arrow has.
    Type(DataType),
    /// A text that is a UUID, in its canonical spelling.
    Uuid,
    /// A text that is JSON.
    Json,
    /// A text of so many characters at most, or with `padded` of just so many: `varchar(n)` and
    /// `char(n)`.
    Chars {
        /// How many.
        count: usize,
        /// Whether blanks follow what is shorter.
        padded: bool,
    },
}

impl Target {
    fn data_type(&self) -> DataType {
        match self {
            Self::Type(data_type) => data_type.clone(),
            Self::Uuid | Self::Json | Self::Chars { .. } => DataType::Utf8,
        }
    }
}

/// What becomes of a value that the type does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Otherwise {
    /// `CAST`: an error.
    Fails,
    /// `TRY_CAST`: null.
    IsNull,
}

/// `expr` cast to `target`.
pub(crate) fn cast_expr(expr: Expr, target: Target, otherwise: Otherwise) -> Expr {
    ScalarUDF::new_from_impl(PgCast::new(target, otherwise)).call(vec![expr])
}

/// Returns whether DataFusion's own cast differs from PostgreSQL's for some value.
pub(crate) fn differs(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    if from == to {
        return false;
    }
    let is_text = |t: &DataType| matches!(t, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    if is_text(from) {
        return to.is_integer()
            || to.is_floating()
            || matches!(
                to,
                T::Decimal128(..)
                    | T::Boolean
                    | T::Date32
                    | T::Time32(_)
                    | T::Time64(_)
                    | T::Timestamp(..)
                    | T::Interval(_)
                    | T::Binary
                    | T::List(_)
            );
    }
    if is_text(to) {
        return from.is_floating()
            || matches!(
                from,
                T::Timestamp(..)
                    | T::Time32(_)
                    | T::Time64(_)
                    | T::Interval(_)
                    | T::Binary
                    | T::List(_)
                    | T::Struct(_)
            )
            || matches!(from, T::Decimal128(p, s) if unconstrained_numeric(*p, *s));
    }
    match (from, to) {
        (T::Float32 | T::Float64 | T::Decimal128(..), to) if to.is_integer() => true,
        (from, to) if from.is_integer() && to.is_integer() => number::narrows(from, to),
        (T::Float32 | T::Float64, T::Decimal128(..)) => true,
        (T::Float64, T::Float32) => true,
        (T::Duration(_), T::Interval(_)) => true,
        (T::Decimal128(..), T::Float32 | T::Float64) => true,
        (T::Decimal128(p, s), T::Decimal128(to_p, to_s)) => {
            to_s < s || i16::from(*to_p) - i16::from(*to_s) < i16::from(*p) - i16::from(*s)
        }
        (from, T::Decimal128(p, s)) if from.is_integer() => {
            i16::from(*p) - i16::from(*s) < number::digits(from)
        }
        (T::List(from), T::List(to)) => differs(from.data_type(), to.data_type()),
        _ => false,
    }
}

/// The values of `array` as `target`.
///
/// # Errors
/// A value that the type does not have, in PostgreSQL's words.
pub(crate) fn convert(array: &ArrayRef, target: &Target) -> Result<ArrayRef> {
    use DataType as T;
    let to = match target {
        Target::Type(to) => to,
        Target::Uuid => return uuid::uuids(array),
        Target::Json => return uuid::jsons(array),
        Target::Chars { count, padded } => {
            let texts = match array.data_type() {
                T::Utf8 => Arc::clone(array),
                _ => convert(array, &Target::Type(T::Utf8))?,
            };
            return Ok(chars(&texts, *count, *padded));
        }
    };
    match (array.data_type(), to) {
        (T::LargeUtf8 | T::Utf8View, _) => convert(&cast(array, &T::Utf8)?, target),
        (T::Utf8, _) => parse::texts(array, to),
        (_, T::LargeUtf8 | T::Utf8View) => Ok(cast(&write::texts(array)?, to)?),
        (_, T::Utf8) => write::texts(array),
        (T::List(_), T::List(item)) => {
            let list = array.as_list::<i32>();
            let values = convert(list.values(), &Target::Type(item.data_type().clone()))?;
            let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
            Ok(Arc::new(ListArray::try_new(
                Arc::clone(item),
                offsets,
                values,
                nulls,
            )?))
        }
        (T::Duration(_), T::Interval(_)) => interval::of_durations(array),
        _ => number::numbers(array, to),
    }
}

/// The first `count` characters, and blanks up to there if `padded`.
fn chars(texts: &ArrayRef, count: usize, padded: bool) -> ArrayRef {
    let cut = |text: &str| -> String {
        let mut cut: String = text.chars().take(count).collect();
        if padded {
            let missing = count.saturating_sub(cut.chars().count());
            cut.extend(std::iter::repeat_n(' ', missing));
        }
        cut
    };
    let texts = texts.as_string::<i32>().iter();
    Arc::new(texts.map(|text| text.map(cut)).collect::<StringArray>())
}

/// The same with nulls for values that the type does not have.
fn convert_or_null(array: &ArrayRef, target: &Target) -> Result<ArrayRef> {
    if let Ok(all) = convert(array, target) {
        return Ok(all);
    }
    let nothing = new_null_array(&target.data_type(), 1);
    let one = |row| convert(&array.slice(row, 1), target).unwrap_or_else(|_| Arc::clone(&nothing));
    let each: Vec<ArrayRef> = (0..array.len()).map(one).collect();
    let each: Vec<&dyn Array> = each.iter().map(AsRef::as_ref).collect();
    Ok(concat(&each)?)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PgCast {
    target: Target,
    otherwise: Otherwise,
    name: String,
    signature: Signature,
}

impl PgCast {
    fn new(target: Target, otherwise: Otherwise) -> Self {
        let name = match &target {
            Target::Type(DataType::Decimal128(p, s)) => format!("to_numeric({p},{s})"),
            Target::Type(other) => format!("to_{}", type_name(other).replace(' ', "_")),
            Target::Uuid => "to_uuid".to_owned(),
            Target::Json => "to_json".to_owned(),
            Target::Chars { count, padded } => {
                let name = if *padded { "char" } else { "varchar" };
                format!("to_{name}({count})")
            }
        };
        let name = match otherwise {
            Otherwise::Fails => name,
            Otherwise::IsNull => format!("try_{name}"),
        };
        Self {
            target,
            otherwise,
            name,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for PgCast {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(self.target.data_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = self.otherwise == Otherwise::IsNull
            || args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(
            self.name(),
            self.target.data_type(),
            nullable,
        )))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let convert = match self.otherwise {
            Otherwise::Fails => convert,
            Otherwise::IsNull => convert_or_null,
        };
        match &args.args[0] {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(convert(array, &self.target)?)),
            ColumnarValue::Scalar(value) => {
                let cast = convert(&value.to_array()?, &self.target)?;
                let value = ScalarValue::try_from_array(&cast, 0)?;
                Ok(ColumnarValue::Scalar(value))
            }
        }
    }
}

#[cfg(test)]
mod tests;
