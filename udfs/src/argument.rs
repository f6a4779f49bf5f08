//! What formulas are called with: numbers, sides of trades, and words that choose a variant.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Signature;
use datafusion::physical_plan::PhysicalExpr;
use std::sync::Arc;

use crate::arguments::{self, Call};
use crate::error::FunctionError;
use crate::side;

/// One argument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Argument {
    /// The name of the argument.
    pub(crate) name: &'static str,
    /// What it may be.
    pub(crate) kind: Kind,
    /// What stands for it if the call leaves it out; `None` if the call may not.
    pub(crate) default: Option<f64>,
    /// Whether the formula has an answer without it.
    pub(crate) may_be_null: bool,
}

/// What an argument may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// A number.
    Number,
    /// A number between the two, in words.
    Between(f64, f64, &'static str),
    /// `'B'`, `'buy'` or 1, `'S'`, `'sell'` or −1; anything else has no value.
    Side,
    /// One of these words, each standing for a number; others are refused.
    Word(&'static [(&'static str, f64)], &'static str),
}

/// A number that must be there.
pub(crate) const fn number(name: &'static str) -> Argument {
    Argument {
        name,
        kind: Kind::Number,
        default: None,
        may_be_null: false,
    }
}

/// A number that may be null.
pub(crate) const fn maybe(name: &'static str) -> Argument {
    Argument {
        may_be_null: true,
        ..number(name)
    }
}

/// A number that may be left out.
pub(crate) const fn optional(name: &'static str, default: f64) -> Argument {
    Argument {
        default: Some(default),
        ..number(name)
    }
}

/// A positive number that may be left out.
pub(crate) const fn factor(name: &'static str, default: f64) -> Argument {
    Argument {
        kind: Kind::Between(0.0, f64::MAX, "a positive number"),
        ..optional(name, default)
    }
}

/// How many periods a year has.
pub(crate) const ANNUALIZATION: Argument = factor("annualization", 252.0);

/// The side of a trade.
pub(crate) const SIDE: Argument = Argument {
    kind: Kind::Side,
    ..number("side")
};

impl Argument {
    fn coerce(&self, call: Call, found: &DataType) -> Result<DataType> {
        let is_text = matches!(
            found,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
        );
        match self.kind {
            Kind::Number | Kind::Between(..) => {
                call.number(self.name, found).map(|_| DataType::Float64)
            }
            Kind::Side => side::coerce(call, self.name, found),
            Kind::Word(..) if is_text => Ok(DataType::Utf8),
            Kind::Word(_, words) => call.wrong_type(self.name, words, found),
        }
    }

    /// Reads a coerced column as numbers.
    ///
    /// # Errors
    /// [`FunctionError::OutOfRange`] for an unknown word.
    pub(crate) fn numbers(&self, call: Call, column: &ArrayRef) -> Result<Float64Array> {
        match self.kind {
            Kind::Side => return Ok(side::numbers(column)),
            Kind::Word(..) => {
                if let Some(words) = column.as_string_opt::<i32>() {
                    let numbers = words
                        .iter()
                        .map(|word| word.map(|word| self.word(call, word)).transpose());
                    return numbers.collect();
                }
            }
            Kind::Number | Kind::Between(..) => {
                if let Some(numbers) = column.as_primitive_opt::<Float64Type>() {
                    return Ok(numbers.clone());
                }
            }
        }
        internal_err!("{} got {}", call.function, column.data_type())
    }

    /// Returns the value of a constant argument; null or none means its default.
    ///
    /// # Errors
    /// [`FunctionError::OutOfRange`].
    pub(crate) fn constant(&self, call: Call, value: Option<&ScalarValue>) -> Result<f64> {
        let given = value.filter(|value| !value.is_null());
        let (number, range) = match (given, self.kind) {
            (None, _) => (self.default, "a value"),
            (Some(ScalarValue::Utf8(Some(word))), Kind::Word(..)) => {
                return self.word(call, word);
            }
            (Some(ScalarValue::Float64(number)), Kind::Between(least, most, range)) => (
                number.filter(|number| least < *number && *number < most),
                range,
            ),
            (Some(ScalarValue::Float64(number)), _) => (
                number.filter(|number| number.is_finite()),
                "a finite number",
            ),
            (Some(_), _) => (None, "a value of its type"),
        };
        number.ok_or_else(|| {
            FunctionError::OutOfRange {
                function: call.function,
                argument: self.name,
                value: value.map_or_else(|| "nothing".to_owned(), ToString::to_string),
                range: range.into(),
            }
            .into()
        })
    }

    fn word(&self, call: Call, word: &str) -> Result<f64> {
        let Kind::Word(words, range) = self.kind else {
            return internal_err!("{} takes no word", call.function);
        };
        let known = words
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word));
        let refusal = || {
            FunctionError::OutOfRange {
                function: call.function,
                argument: self.name,
                value: format!("'{word}'"),
                range: range.into(),
            }
            .into()
        };
        known.map(|(_, number)| *number).ok_or_else(refusal)
    }
}

/// Returns the types that arguments of `types` are coerced to.
///
/// # Errors
/// [`FunctionError`] if the call does not fit.
pub(crate) fn coerce(
    call: Call,
    arguments: &[Argument],
    types: &[DataType],
) -> Result<Vec<DataType>> {
    let required = arguments.iter().filter(|a| a.default.is_none()).count();
    call.count(types, required, arguments.len())?;
    let pairs = arguments.iter().zip(types);
    pairs
        .map(|(argument, found)| argument.coerce(call, found))
        .collect()
}

/// Refuses unknown words at planning rather than at the first row.
///
/// # Errors
/// [`FunctionError::OutOfRange`].
pub(crate) fn check_words(
    call: Call,
    arguments: &[Argument],
    values: &[Option<&ScalarValue>],
) -> Result<()> {
    for (argument, value) in arguments.iter().zip(values) {
        let text = value.and_then(|value| value.try_as_str()).flatten();
        if let (Kind::Word(..), Some(text)) = (argument.kind, text) {
            argument.word(call, text)?;
        }
    }
    Ok(())
}

/// Reads the constants of a call: `constants` are its last arguments, of which `exprs` are given.
///
/// # Errors
/// [`FunctionError::NotConstant`] and [`FunctionError::OutOfRange`].
pub(crate) fn constants(
    call: Call,
    constants: &[Argument],
    exprs: Option<&[Arc<dyn PhysicalExpr>]>,
) -> Result<Vec<f64>> {
    let read = |(index, argument): (usize, &Argument)| {
        let expr = exprs.and_then(|exprs| exprs.get(index));
        let value = expr
            .map(|expr| call.constant(argument.name, expr))
            .transpose()?;
        argument.constant(call, value.as_ref())
    };
    if exprs.is_none() {
        // The call is being planned: its constants are not known, nor needed.
        return Ok(constants
            .iter()
            .map(|argument| argument.default.unwrap_or(0.0))
            .collect());
    }
    constants.iter().enumerate().map(read).collect()
}

/// Returns the names of arguments and of the constants that follow them.
pub(crate) fn names(arguments: &[Argument], constants: &[Argument]) -> Vec<&'static str> {
    let all = arguments.iter().chain(constants);
    all.map(|argument| argument.name).collect()
}

/// Returns a signature with the names of the arguments.
pub(crate) fn signature(arguments: &[Argument]) -> Signature {
    arguments::named(names(arguments, &[]))
}

/// Returns the call in `call -> result`.
pub(crate) fn before_arrow(signature: &'static str) -> &'static str {
    signature
        .split_once(" -> ")
        .map_or(signature, |(call, _)| call)
}
