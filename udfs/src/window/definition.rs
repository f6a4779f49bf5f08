//! What a window function is called with and what it gives, as data: one row of a table each.
//!
//! It owns the words of signatures and documentation. It never looks at rows.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;
use ta_lib::abstract_api::FuncId;

use super::parameter::Parameter;
use super::step::Step;
use crate::arguments::Call;
use crate::registry::{FunctionDoc, FunctionKind};

/// One window function.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// The name as written in a query.
    pub(crate) name: &'static str,
    /// Another name it answers to.
    pub(crate) alias: Option<&'static str>,
    /// The series it reads, in the order of the arguments.
    pub(crate) inputs: &'static [Input],
    /// The constants that follow the series.
    pub(crate) parameters: &'static [Parameter],
    /// One output gives a column of its kind; several give a struct.
    pub(crate) outputs: &'static [Output],
    /// What happens to rows without a value.
    pub(crate) gaps: Gaps,
    /// How the outputs are computed.
    pub(crate) compute: Compute,
    /// One or two sentences.
    pub(crate) description: &'static str,
    /// The definition, with its warm-up.
    pub(crate) formula: &'static str,
    /// Whose definition it is.
    pub(crate) reference: &'static str,
    /// A query over the example tables.
    pub(crate) example: &'static str,
}

/// One series that a function reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Input {
    /// The name of the argument.
    pub(crate) name: &'static str,
    /// What the argument may be.
    pub(crate) kind: InputKind,
}

impl Input {
    /// An input of numbers.
    pub(crate) const fn number(name: &'static str) -> Self {
        Self {
            name,
            kind: InputKind::Number,
        }
    }

    /// An input that is true or false.
    pub(crate) const fn flag(name: &'static str) -> Self {
        Self {
            name,
            kind: InputKind::Flag,
        }
    }
}

/// What an input may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputKind {
    /// A number.
    Number,
    /// True or false, as 1 or 0.
    Flag,
    /// A time, in microseconds.
    Time,
    /// Anything; rows that follow each other with equal values have the same number.
    Run,
}

/// One column that a function gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    /// The name of the field, if there are several.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: OutputKind,
}

/// The only output of most functions.
pub(crate) const ONE_NUMBER: &[Output] = &[Output {
    name: "value",
    kind: OutputKind::Number,
}];

/// The only output of functions that answer yes or no.
pub(crate) const ONE_FLAG: &[Output] = &[Output {
    name: "value",
    kind: OutputKind::Flag,
}];

/// The only output of functions that count rows.
pub(crate) const ONE_INTEGER: &[Output] = &[Output {
    name: "value",
    kind: OutputKind::Integer,
}];

/// What an output holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OutputKind {
    /// Double precision.
    Number,
    /// A 32-bit integer.
    Integer,
    /// True unless the number is 0.
    Flag,
}

impl OutputKind {
    /// Returns the type of the column.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Number => DataType::Float64,
            Self::Integer => DataType::Int32,
            Self::Flag => DataType::Boolean,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Number => "double precision",
            Self::Integer => "integer",
            Self::Flag => "boolean",
        }
    }
}

/// What happens to rows with an input that is null, NaN or infinite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gaps {
    /// They are null and the function does not see them.
    PassedOver,
    /// The function sees NaN and answers for every row.
    Kept,
}

/// How outputs are computed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Compute {
    /// By TA-Lib: all outputs, or the one of this number.
    TaLib(FuncId, Option<usize>),
    /// By a function of ours that runs along, made from the parameters.
    Ours(fn(&[f64]) -> Result<Box<dyn Step>>),
    /// By a function of ours that reads rows which come later.
    Whole(fn(&Series<'_>) -> Result<Vec<Vec<f64>>>),
}

/// The rows that a function of ours sees: inputs by column, all of one length *n*.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Series<'a> {
    /// The inputs, finite unless the function keeps gaps, where NaN stands for none.
    pub(crate) inputs: &'a [&'a [f64]],
    /// The parameters in order.
    pub(crate) parameters: &'a [f64],
}

/// A definition with its signature in words.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The definition.
    pub(crate) definition: Definition,
    /// Arguments and result: `rsi(value [, timeperiod = 14]) -> double precision`.
    signature: String,
    /// The part of the signature before the arrow.
    call_end: usize,
}

impl Series<'_> {
    /// Returns how many rows there are.
    pub(crate) fn row_count(&self) -> usize {
        self.inputs.first().map_or(0, |input| input.len())
    }
}

/// Returns parameter `index` as a count of rows.
pub(crate) fn rows_of(parameters: &[f64], index: usize) -> usize {
    // Parameters are checked against a range of whole numbers.
    parameters.get(index).map_or(1, |rows| *rows as usize)
}

impl Entry {
    /// Writes the signature of a definition.
    pub(crate) fn new(definition: Definition) -> Self {
        let mut signature = format!("{}(", definition.name);
        let inputs: Vec<&str> = definition.inputs.iter().map(|input| input.name).collect();
        signature.push_str(&inputs.join(", "));
        for parameter in definition.parameters {
            signature.push_str(&parameter.in_signature());
        }
        let optional = definition.parameters.iter().filter(|p| p.is_optional());
        signature.push_str(&"]".repeat(optional.count()));
        signature.push(')');
        let call_end = signature.len();
        signature.push_str(" -> ");
        match definition.outputs {
            [only] => signature.push_str(only.kind.word()),
            several => {
                let names: Vec<&str> = several.iter().map(|output| output.name).collect();
                signature.push_str(&format!("struct({})", names.join(", ")));
            }
        }
        Self {
            definition,
            signature,
            call_end,
        }
    }

    /// Returns name and call for refusals.
    pub(crate) fn call(&'static self) -> Call {
        Call {
            function: self.definition.name,
            signature: self.signature.get(..self.call_end).unwrap_or_default(),
        }
    }

    /// Returns the documentation of each name.
    pub(crate) fn docs(&'static self) -> impl Iterator<Item = FunctionDoc> {
        let definition = &self.definition;
        let named = |name| FunctionDoc {
            name,
            kind: FunctionKind::Window,
            signature: &self.signature,
            description: definition.description,
            formula: definition.formula,
            reference: definition.reference,
            example: definition.example,
        };
        std::iter::once(definition.name)
            .chain(definition.alias)
            .map(named)
    }

    /// Returns the type of the result.
    pub(crate) fn data_type(&self) -> DataType {
        match self.definition.outputs {
            [only] => only.kind.data_type(),
            several => DataType::Struct(fields(several)),
        }
    }
}

/// Returns outputs as the fields of a struct.
pub(crate) fn fields(outputs: &[Output]) -> Fields {
    outputs
        .iter()
        .map(|output| Arc::new(Field::new(output.name, output.kind.data_type(), true)))
        .collect()
}
