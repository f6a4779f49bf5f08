//! Per-row formulas in double precision, as tables: quotes, returns, execution, options, risk.
//!
//! A null, NaN or infinite argument gives null, as does a division by zero or a logarithm of what
//! is not above zero. Amounts of money are decimals where their arguments are.

mod amount;
mod execution;
mod option;
mod position;
mod quote;
mod returns;
mod risk;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::Result;
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use super::columnar::columnar;
use crate::argument::{self, Argument};
use crate::arguments::Call;
use crate::registry::{self, FunctionDoc, FunctionKind};
use amount::Amount;

/// The most arguments of a formula.
const ARGUMENTS_MAX: usize = 7;

/// One formula.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Formula {
    /// Name, signature and words.
    doc: FunctionDoc,
    /// What it is called with.
    arguments: &'static [Argument],
    /// What it gives.
    outputs: Outputs,
    /// Returns the values of the outputs; what is not finite means null. A missing argument that
    /// may be null is NaN.
    evaluate: fn(&[f64; ARGUMENTS_MAX]) -> [f64; 3],
    /// The same over decimals, if it is an amount of money.
    amount: Option<Amount>,
    /// The formula of calls whose first argument is a position; what it reads of it stands before
    /// its other arguments.
    of_position: Option<&'static Formula>,
}

/// What a formula gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outputs {
    /// The first value, in double precision.
    Number,
    /// The first value, as an integer of 32 bits.
    Integer,
    /// `struct(breached, utilization, level)`.
    Limit,
}

impl Outputs {
    fn data_type(self) -> DataType {
        match self {
            Self::Number => DataType::Float64,
            Self::Integer => DataType::Int32,
            Self::Limit => DataType::Struct(Fields::from(vec![
                Field::new("breached", DataType::Boolean, true),
                Field::new("utilization", DataType::Float64, true),
                Field::new("level", DataType::Int32, true),
            ])),
        }
    }
}

/// Writes the documentation of a formula; the name is what stands before the bracket.
const fn doc(
    name: &'static str,
    signature: &'static str,
    description: &'static str,
    formula: &'static str,
    reference: &'static str,
    example: &'static str,
) -> FunctionDoc {
    FunctionDoc {
        name,
        kind: FunctionKind::Scalar,
        signature,
        description,
        formula,
        reference,
        example,
    }
}

/// Makes a formula of one number.
const fn number(
    doc: FunctionDoc,
    arguments: &'static [Argument],
    evaluate: fn(&[f64; ARGUMENTS_MAX]) -> [f64; 3],
) -> Formula {
    Formula {
        doc,
        arguments,
        outputs: Outputs::Number,
        evaluate,
        amount: None,
        of_position: None,
    }
}

/// Makes the formula of an amount of money.
const fn money(
    doc: FunctionDoc,
    arguments: &'static [Argument],
    evaluate: fn(&[f64; ARGUMENTS_MAX]) -> [f64; 3],
    amount: Amount,
) -> Formula {
    Formula {
        amount: Some(amount),
        ..number(doc, arguments, evaluate)
    }
}

/// Returns the outputs of a formula with one.
fn one(value: f64) -> [f64; 3] {
    [value, f64::NAN, f64::NAN]
}

/// Returns every formula.
pub(crate) fn all() -> impl Iterator<Item = &'static Formula> {
    let tables: [&'static [Formula]; 5] = [
        &quote::FORMULAS,
        &returns::FORMULAS,
        &execution::FORMULAS,
        &option::FORMULAS,
        &risk::FORMULAS,
    ];
    tables.into_iter().flatten()
}

impl Formula {
    /// Returns the documentation.
    pub(crate) fn doc(&self) -> FunctionDoc {
        self.doc
    }

    fn call(&self) -> Call {
        Call {
            function: self.doc.name,
            signature: argument::before_arrow(self.doc.signature),
        }
    }

    /// Returns the types that arguments of `types` are coerced to.
    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let Some((inner, opened)) = position::form(self, types)? {
            // The position stays one; its parts are cast when they are read.
            let rest = inner.coerce(&opened)?.split_off(position::READ.len());
            return Ok([&types[..1], &rest].concat());
        }
        let floats = argument::coerce(self.call(), self.arguments, types)?;
        let exact = self.amount.and_then(|_| amount::coerce(types));
        Ok(exact.unwrap_or(floats))
    }

    /// Returns the type of the result for coerced arguments.
    fn data_type(&self, types: &[DataType]) -> Result<DataType> {
        if let Some((inner, opened)) = position::form(self, types)? {
            return inner.data_type(&inner.coerce(&opened)?);
        }
        let exact = self
            .amount
            .map(|exact| amount::data_type(self.call(), exact, self.arguments, types));
        let exact = exact.transpose()?.flatten();
        Ok(exact.unwrap_or_else(|| self.outputs.data_type()))
    }

    /// Returns the outputs of every row, each with nulls where there is none.
    fn rows(&self, columns: &[Float64Array], row_count: usize) -> [Vec<Option<f64>>; 3] {
        let mut outputs = [(); 3].map(|()| Vec::with_capacity(row_count));
        for row in 0..row_count {
            let results = self
                .row(columns, row)
                .map(|values| (self.evaluate)(&values));
            for (index, output) in outputs.iter_mut().enumerate() {
                let value = results.map(|results| results[index]);
                output.push(value.filter(|value| value.is_finite()));
            }
        }
        outputs
    }

    /// Returns the arguments of a row; `None` if one is missing that must be there.
    fn row(&self, columns: &[Float64Array], row: usize) -> Option<[f64; ARGUMENTS_MAX]> {
        let mut values = [f64::NAN; ARGUMENTS_MAX];
        for (index, argument) in self.arguments.iter().enumerate() {
            let given = match columns.get(index) {
                Some(column) => column.is_valid(row).then(|| column.value(row)),
                None => argument.default,
            };
            values[index] = match given.filter(|value| value.is_finite()) {
                None if argument.may_be_null => f64::NAN,
                given => given?,
            };
        }
        Some(values)
    }

    fn assemble(&self, outputs: [Vec<Option<f64>>; 3]) -> Result<ArrayRef> {
        let integers = |values: Vec<Option<f64>>| -> ArrayRef {
            // Integers of formulas are signs and levels.
            let values = values
                .into_iter()
                .map(|value| value.map(|value| value as i32));
            Arc::new(values.collect::<Int32Array>())
        };
        let [first, second, third] = outputs;
        Ok(match self.outputs {
            Outputs::Number => Arc::new(Float64Array::from(first)),
            Outputs::Integer => integers(first),
            Outputs::Limit => {
                let nulls = NullBuffer::from_iter(second.iter().map(Option::is_some));
                let breached = first
                    .into_iter()
                    .map(|value| value.map(|value| value != 0.0));
                let columns: Vec<ArrayRef> = vec![
                    Arc::new(breached.collect::<BooleanArray>()),
                    Arc::new(Float64Array::from(second)),
                    integers(third),
                ];
                let DataType::Struct(fields) = self.outputs.data_type() else {
                    return datafusion::common::internal_err!("a limit is a struct");
                };
                Arc::new(StructArray::try_new(fields, columns, Some(nulls))?)
            }
        })
    }
}

/// Makes the scalar function of a formula.
pub(crate) fn function(formula: &'static Formula) -> Arc<ScalarUDF> {
    let signature = argument::signature(formula.arguments);
    Arc::new(ScalarUDF::new_from_impl(FormulaFunction {
        formula,
        signature,
    }))
}

#[derive(Debug)]
struct FormulaFunction {
    formula: &'static Formula,
    signature: Signature,
}

impl PartialEq for FormulaFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for FormulaFunction {}

impl Hash for FormulaFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl ScalarUDFImpl for FormulaFunction {
    fn name(&self) -> &str {
        self.formula.doc.name
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Scalar)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `return_type` repeats it with its type.
        let coerced = self.formula.coerce(types);
        Ok(coerced.unwrap_or_else(|_| types.to_vec()))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.formula.data_type(&self.formula.coerce(types)?)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let formula = self.formula;
        argument::check_words(formula.call(), formula.arguments, args.scalar_arguments)?;
        let types: Vec<DataType> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let data_type = self.return_type(&types)?;
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let data_type = args.return_type().clone();
        columnar(&args, |columns, row_count| {
            let opened = position::opened(self.formula, columns)?;
            let (formula, columns) = match &opened {
                Some((inner, columns)) => (*inner, columns.as_slice()),
                None => (self.formula, columns),
            };
            if let (Some(exact), DataType::Decimal128(..)) = (formula.amount, &data_type) {
                let (call, arguments) = (formula.call(), formula.arguments);
                return amount::rows(call, exact, arguments, columns, &data_type);
            }
            let numbers = columns
                .iter()
                .zip(formula.arguments)
                .map(|(column, argument)| argument.numbers(formula.call(), column));
            let numbers: Vec<Float64Array> = numbers.collect::<Result<_>>()?;
            formula.assemble(formula.rows(&numbers, row_count))
        })
    }
}

#[cfg(test)]
mod tests;
