//! The constants that follow the series of a window function: `timeperiod`, `nbdevup`, `matype`.

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit};
use datafusion::common::{Result, ScalarValue};

use crate::arguments::Call;
use crate::error::FunctionError;

/// One constant argument. NULL, or leaving it out, means its default.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parameter {
    /// The name of the argument.
    pub(crate) name: &'static str,
    /// What it may be.
    pub(crate) domain: Domain,
    /// What stands for a missing one.
    pub(crate) default: Default,
}

/// What stands for a missing parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Default {
    /// The call is refused.
    Refused,
    /// The function is another one without it; NaN stands for it.
    Absent,
    /// This value.
    Value(f64),
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Domain {
    /// An integer from the first to the second.
    Integer(i64, i64),
    /// A number from the first to the second.
    Real(f64, f64),
    /// One of these numbers, or the word beside it.
    Choice(&'static [(i64, &'static str)]),
    /// A positive length of time: seconds, or an interval without months.
    Seconds,
}

impl Parameter {
    /// Returns whether calls may leave it out.
    pub(crate) fn is_optional(&self) -> bool {
        self.default != Default::Refused
    }

    /// Returns the value of one that is left out; the least one where it must be given.
    pub(crate) fn usual(&self) -> f64 {
        match (self.default, self.domain) {
            (Default::Value(value), _) => value,
            (Default::Absent, _) => f64::NAN,
            (Default::Refused, Domain::Integer(least, _)) => least as f64,
            (Default::Refused, Domain::Real(least, _)) => least,
            (Default::Refused, Domain::Choice(values)) => values
                .first()
                .map_or(f64::NAN, |(number, _)| *number as f64),
            (Default::Refused, Domain::Seconds) => 1.0,
        }
    }

    /// Returns the part of a signature that names it, with an open bracket if it is optional.
    pub(crate) fn in_signature(&self) -> String {
        let name = self.name;
        match (self.default, self.domain) {
            (Default::Refused, Domain::Seconds) => format!(", {name} seconds | interval"),
            (Default::Refused, _) => format!(", {name}"),
            (Default::Absent, _) => format!(" [, {name}"),
            (Default::Value(value), Domain::Choice(values)) => {
                let word = values.iter().find(|(number, _)| *number as f64 == value);
                format!(" [, {name} = '{}'", word.map_or("", |(_, word)| word))
            }
            (Default::Value(value), _) => format!(" [, {name} = {value}"),
        }
    }

    /// Returns the type that an argument is coerced to.
    ///
    /// # Errors
    /// [`FunctionError::ArgumentType`].
    pub(crate) fn coerce(&self, call: Call, found: &DataType) -> Result<DataType> {
        let is_text = matches!(
            found,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        );
        match self.domain {
            Domain::Integer(..) | Domain::Choice(_) if *found == DataType::Null => {
                Ok(DataType::Int64)
            }
            Domain::Choice(_) if is_text => Ok(DataType::Utf8),
            Domain::Choice(words) if words == FLAG && *found == DataType::Boolean => {
                Ok(DataType::Boolean)
            }
            Domain::Integer(..) | Domain::Choice(_) if found.is_integer() => Ok(DataType::Int64),
            Domain::Integer(..) => call.wrong_type(self.name, "an integer", found),
            Domain::Choice(_) => call.wrong_type(self.name, "an integer or a word", found),
            Domain::Seconds if is_text || matches!(found, DataType::Interval(_)) => Ok(INTERVAL),
            Domain::Real(..) | Domain::Seconds => {
                call.number(self.name, found).map(|_| DataType::Float64)
            }
        }
    }

    /// Returns the value of a constant.
    ///
    /// # Errors
    /// [`FunctionError::OutOfRange`].
    pub(crate) fn read(&self, call: Call, value: Option<&ScalarValue>) -> Result<f64> {
        let number = match value {
            None => None,
            Some(value) if value.is_null() => None,
            Some(ScalarValue::Int64(Some(number))) => Some(*number as f64),
            Some(ScalarValue::Float64(Some(number))) => Some(*number),
            Some(ScalarValue::Utf8(Some(word))) => Some(self.word(word)),
            Some(ScalarValue::Boolean(Some(flag))) => Some(f64::from(*flag)),
            Some(ScalarValue::IntervalMonthDayNano(Some(length))) => Some(seconds(*length)),
            Some(_) => Some(f64::NAN),
        };
        match (number, self.default) {
            (None, Default::Value(value)) => Ok(value),
            (None, Default::Absent) => Ok(f64::NAN),
            (Some(number), _) if self.accepts(number) => Ok(number),
            (Some(_) | None, _) => Err(FunctionError::OutOfRange {
                function: call.function,
                argument: self.name,
                value: value.map_or_else(|| "nothing".to_owned(), written),
                range: self.range().into(),
            }
            .into()),
        }
    }

    fn word(&self, word: &str) -> f64 {
        let Domain::Choice(values) = self.domain else {
            return f64::NAN;
        };
        let known = values
            .iter()
            .find(|(_, name)| name.eq_ignore_ascii_case(word));
        known.map_or(f64::NAN, |(number, _)| *number as f64)
    }

    fn accepts(&self, value: f64) -> bool {
        match self.domain {
            Domain::Integer(least, most) => (least as f64..=most as f64).contains(&value),
            Domain::Real(least, most) => (least..=most).contains(&value),
            Domain::Choice(values) => values.iter().any(|(number, _)| *number as f64 == value),
            Domain::Seconds => (1e-6..=1e12).contains(&value),
        }
    }

    /// Returns the legal values in words.
    fn range(&self) -> String {
        match self.domain {
            Domain::Integer(least, most) => format!("an integer from {least} to {most}"),
            Domain::Real(least, most) => format!("a number from {least:e} to {most:e}"),
            Domain::Choice(values) => {
                let words: Vec<String> = values
                    .iter()
                    .map(|(number, word)| format!("{number} ({word})"))
                    .collect();
                format!("one of {}", words.join(", "))
            }
            Domain::Seconds => "seconds or an interval without months, above zero".to_owned(),
        }
    }
}

/// The words of what may be a boolean as well.
pub(super) const FLAG: &[(i64, &str)] = &[(0, "false"), (1, "true")];

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Writes a value as a person would.
fn written(value: &ScalarValue) -> String {
    match (value, value.cast_to(&DataType::Utf8)) {
        (ScalarValue::IntervalMonthDayNano(_), Ok(text)) => text.to_string(),
        _ => value.to_string(),
    }
}

/// Returns an interval in seconds; NaN for months, which have no length.
fn seconds(length: IntervalMonthDayNano) -> f64 {
    if length.months != 0 {
        return f64::NAN;
    }
    f64::from(length.days) * 86_400.0 + length.nanoseconds as f64 / 1e9
}

/// A whole number.
pub(super) const fn integer(
    name: &'static str,
    least: i64,
    most: i64,
    default: Default,
) -> Parameter {
    Parameter {
        name,
        domain: Domain::Integer(least, most),
        default,
    }
}

/// A number.
pub(super) const fn real(name: &'static str, least: f64, most: f64, default: Default) -> Parameter {
    Parameter {
        name,
        domain: Domain::Real(least, most),
        default,
    }
}
