//! Reads the arguments of calls: how many, which types they are coerced to, and the values of
//! constants. It never looks at rows.

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, Signature, Volatility};
use datafusion::physical_plan::PhysicalExpr;
use std::sync::Arc;

use crate::error::FunctionError;

/// The name of a function and how it is called, for refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    /// The function's name.
    pub(crate) function: &'static str,
    /// How it is called, such as `vwap(price, size)`.
    pub(crate) signature: &'static str,
}

/// Returns the signature of a function that coerces its arguments itself, whose calls may use
/// these names of arguments; none if they may not.
pub(crate) fn named(names: Vec<&'static str>) -> Signature {
    let unnamed = Signature::user_defined(Volatility::Immutable);
    if names.is_empty() {
        return unnamed;
    }
    unnamed
        .clone()
        .with_parameter_names(names)
        .unwrap_or(unnamed)
}

/// Returns the names of the arguments in a signature such as `vwap(price, size [, scale = 1])`:
/// the first word of each.
pub(crate) fn argument_names(signature: &'static str) -> Vec<&'static str> {
    let (_, list) = signature.split_once('(').unwrap_or_default();
    let (list, _) = list.split_once(')').unwrap_or((list, ""));
    let arguments = list.split(',');
    let words = arguments.filter_map(|argument| {
        let argument = argument.trim_matches([' ', '[', ']']);
        argument.split_whitespace().next()
    });
    words.collect()
}

impl Call {
    /// Returns a DataFusion signature with the names of the arguments.
    pub(crate) fn named(&self) -> Signature {
        named(argument_names(self.signature))
    }

    /// Checks the number of arguments.
    ///
    /// # Errors
    /// [`FunctionError::ArgumentCount`].
    pub(crate) fn count(&self, types: &[DataType], min: usize, max: usize) -> Result<()> {
        if (min..=max).contains(&types.len()) {
            return Ok(());
        }
        let Self {
            function,
            signature,
        } = *self;
        Err(FunctionError::ArgumentCount {
            function,
            signature,
            found: types.len(),
        }
        .into())
    }

    /// Makes the refusal of an argument's type.
    pub(crate) fn wrong_type<T>(
        &self,
        argument: &'static str,
        expected: &'static str,
        found: &DataType,
    ) -> Result<T> {
        let (function, found) = (self.function, found.clone());
        Err(FunctionError::ArgumentType {
            function,
            argument,
            expected,
            found,
        }
        .into())
    }

    /// Returns the type that a number is coerced to: decimals stay exact, all else is a float.
    ///
    /// # Errors
    /// [`FunctionError::ArgumentType`] if it is no number or a decimal above 38 digits.
    pub(crate) fn number(&self, argument: &'static str, found: &DataType) -> Result<DataType> {
        use DataType::{Decimal32, Decimal64, Decimal128, Float16, Float32, Float64, Null};
        match found {
            Decimal128(..) => Ok(found.clone()),
            Decimal32(precision, scale) | Decimal64(precision, scale) => {
                Ok(Decimal128(*precision, *scale))
            }
            Null | Float16 | Float32 | Float64 => Ok(Float64),
            _ if found.is_integer() => Ok(Float64),
            _ => self.wrong_type(argument, "a number of at most 38 digits", found),
        }
    }

    /// Returns the type that a size is coerced to beside a price of type `price`.
    ///
    /// Integers beside a decimal price become decimals, so that the result stays exact.
    ///
    /// # Errors
    /// [`FunctionError::ArgumentType`] if it is no number.
    pub(crate) fn size(
        &self,
        argument: &'static str,
        found: &DataType,
        price: &DataType,
    ) -> Result<DataType> {
        match (price, found) {
            (DataType::Decimal128(..), DataType::Null) => Ok(DataType::Decimal128(38, 0)),
            (DataType::Decimal128(..), _) if found.is_integer() => Ok(DataType::Decimal128(20, 0)),
            _ => match self.number(argument, found)? {
                DataType::Decimal128(..) if *price == DataType::Float64 => Ok(DataType::Float64),
                size => Ok(size),
            },
        }
    }

    /// Returns the type that a time is coerced to: timestamps stay as they are.
    ///
    /// # Errors
    /// [`FunctionError::ArgumentType`] if it is no timestamp or date.
    pub(crate) fn time(&self, argument: &'static str, found: &DataType) -> Result<DataType> {
        match found {
            DataType::Timestamp(..) => Ok(found.clone()),
            DataType::Date32 => Ok(DataType::Timestamp(TimeUnit::Second, None)),
            DataType::Date64 => Ok(DataType::Timestamp(TimeUnit::Millisecond, None)),
            DataType::Null => Ok(DataType::Timestamp(TimeUnit::Microsecond, None)),
            _ => self.wrong_type(argument, "a timestamp", found),
        }
    }

    /// Returns the value of a constant physical expression.
    ///
    /// # Errors
    /// [`FunctionError::NotConstant`] if it reads columns.
    pub(crate) fn constant(
        &self,
        argument: &'static str,
        expr: &Arc<dyn PhysicalExpr>,
    ) -> Result<ScalarValue> {
        let nothing = RecordBatch::new_empty(Arc::new(Schema::empty()));
        match expr.evaluate(&nothing) {
            Ok(ColumnarValue::Scalar(value)) => Ok(value),
            _ => Err(self.not_constant(argument).into()),
        }
    }

    /// Makes the refusal of an expression where a constant is needed.
    pub(crate) fn not_constant(&self, argument: &'static str) -> FunctionError {
        FunctionError::NotConstant {
            function: self.function,
            argument,
        }
    }
}
