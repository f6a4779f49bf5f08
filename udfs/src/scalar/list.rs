//! Functions of lists in one row: levels of an order book, weights and covariances of a portfolio.
//!
//! A list with a null, NaN or infinite element, or of another length than it must have, gives
//! null.

mod book;
mod portfolio;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Float64Builder, ListBuilder,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use super::columnar::columnar;
use crate::argument::before_arrow;
use crate::arguments::{Call, named};
use crate::registry::{self, FunctionDoc, FunctionKind};

/// One function.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListFunction {
    /// Name, signature and words.
    doc: FunctionDoc,
    /// What it is called with; arguments from `required` on may be left out.
    arguments: &'static [(&'static str, Kind)],
    /// How many arguments it needs.
    required: usize,
    /// What it gives.
    result: Kind,
    /// Returns the result for values of the arguments in order, each as a list; a number is a
    /// list of one, a matrix its rows one after the other. `None` means null.
    evaluate: fn(&[Vec<f64>]) -> Option<Vec<f64>>,
}

/// What an argument or a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A number.
    Number,
    /// A list of numbers.
    List,
    /// A list of lists of numbers.
    Matrix,
}

impl Kind {
    fn data_type(self) -> DataType {
        let list = |of: DataType| DataType::List(Arc::new(Field::new_list_field(of, true)));
        match self {
            Self::Number => DataType::Float64,
            Self::List => list(DataType::Float64),
            Self::Matrix => list(list(DataType::Float64)),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Number => "a number of at most 38 digits",
            Self::List => "a list of numbers",
            Self::Matrix => "a list of lists of numbers",
        }
    }

    fn accepts(self, found: &DataType) -> bool {
        let element = match found {
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _) => Some(field.data_type()),
            _ => None,
        };
        match self {
            _ if found.is_null() => true,
            Self::Number => found.is_numeric(),
            Self::List => element.is_some_and(|kind| Self::Number.accepts(kind)),
            Self::Matrix => element.is_some_and(|kind| Self::List.accepts(kind)),
        }
    }
}

/// Returns every function.
pub(crate) fn all() -> impl Iterator<Item = &'static ListFunction> {
    book::FUNCTIONS.iter().chain(&portfolio::FUNCTIONS)
}

impl ListFunction {
    /// Returns the documentation.
    pub(crate) fn doc(&self) -> FunctionDoc {
        self.doc
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let call = Call {
            function: self.doc.name,
            signature: before_arrow(self.doc.signature),
        };
        call.count(types, self.required, self.arguments.len())?;
        let pairs = self.arguments.iter().zip(types);
        pairs
            .map(|((name, kind), found)| {
                if kind.accepts(found) {
                    Ok(kind.data_type())
                } else {
                    call.wrong_type(name, kind.words(), found)
                }
            })
            .collect()
    }
}

/// Makes the scalar function.
pub(crate) fn function(definition: &'static ListFunction) -> Arc<ScalarUDF> {
    let names = definition.arguments.iter().map(|(name, _)| *name);
    Arc::new(ScalarUDF::new_from_impl(Function {
        definition,
        signature: named(names.collect()),
    }))
}

#[derive(Debug)]
struct Function {
    definition: &'static ListFunction,
    signature: Signature,
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.definition.doc.name
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Scalar)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `return_type` repeats it with its type.
        let coerced = self.definition.coerce(types);
        Ok(coerced.unwrap_or_else(|_| types.to_vec()))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.definition.coerce(types)?;
        Ok(self.definition.result.data_type())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        columnar(&args, |columns, row_count| {
            let definition = self.definition;
            let columns = columns.iter().zip(definition.arguments);
            let columns: Vec<ArrayRef> = columns
                .map(|(column, (_, kind))| Ok(cast(column, &kind.data_type())?))
                .collect::<Result<_>>()?;
            let results = (0..row_count).map(|row| {
                let values: Option<Vec<Vec<f64>>> =
                    columns.iter().map(|column| values(column, row)).collect();
                let result = (definition.evaluate)(&values?)?;
                result
                    .iter()
                    .all(|value| value.is_finite())
                    .then_some(result)
            });
            let result: ArrayRef = if definition.result == Kind::Number {
                let numbers = results.map(|result| result?.first().copied());
                Arc::new(numbers.collect::<Float64Array>())
            } else {
                let mut builder = ListBuilder::new(Float64Builder::new());
                for result in results {
                    builder.append_option(result.map(|values| values.into_iter().map(Some)));
                }
                Arc::new(builder.finish())
            };
            Ok(result)
        })
    }
}

/// Returns the numbers of a row, those of nested lists one after the other; `None` if any is
/// missing.
fn values(column: &ArrayRef, row: usize) -> Option<Vec<f64>> {
    if column.is_null(row) {
        return None;
    }
    if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
        return Some(vec![numbers.value(row)]).filter(|values| values[0].is_finite());
    }
    let elements = column.as_list_opt::<i32>()?.value(row);
    if let Some(numbers) = elements.as_primitive_opt::<Float64Type>() {
        // The usual case: all numbers of the list at once.
        let finite = numbers.values().iter().all(|value| value.is_finite());
        return (numbers.null_count() == 0 && finite).then(|| numbers.values().to_vec());
    }
    let mut all = Vec::new();
    for index in 0..elements.len() {
        all.extend(values(&elements, index)?);
    }
    Some(all)
}

#[cfg(test)]
mod tests;
