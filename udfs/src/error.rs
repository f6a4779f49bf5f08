//! Why a call of one of our functions is refused: a typed cause with a hint, carried by
//! DataFusion's error. It never describes failures of DataFusion's own functions.

use std::borrow::Cow;

use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::error::ArrowError;
use datafusion::common::DataFusionError;

/// The refusal of a function call.
///
/// It travels as [`DataFusionError::External`]; a server finds it again by walking the sources
/// (`DataFusionError::find_root`) and reads [`FunctionError::sqlstate`] and
/// [`FunctionError::hint`] from it.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FunctionError {
    /// The call has too few or too many arguments.
    #[error("cannot call {function} with {found} arguments, expected {signature}")]
    ArgumentCount {
        /// The function's name.
        function: &'static str,
        /// How it is called.
        signature: &'static str,
        /// How many arguments the call has.
        found: usize,
    },
    /// An argument has a type that the function does not take.
    #[error("cannot use {found} as argument {argument} of {function}, expected {expected}")]
    ArgumentType {
        /// The function's name.
        function: &'static str,
        /// The name of the argument in the function's signature.
        argument: &'static str,
        /// Which types the function takes.
        expected: &'static str,
        /// The type found.
        found: DataType,
    },
    /// An argument must be a constant.
    #[error("cannot use an expression as argument {argument} of {function}, expected a constant")]
    NotConstant {
        /// The function's name.
        function: &'static str,
        /// The name of the argument.
        argument: &'static str,
    },
    /// A constant argument lies outside its range.
    #[error("cannot use {value} as argument {argument} of {function}, expected {range}")]
    OutOfRange {
        /// The function's name.
        function: &'static str,
        /// The name of the argument.
        argument: &'static str,
        /// The value as written.
        value: String,
        /// The legal range in words.
        range: Cow<'static, str>,
    },
    /// A clause was written that has no meaning for the function.
    #[error("cannot use {clause} with {function}")]
    Clause {
        /// The function's name.
        function: &'static str,
        /// The clause, such as `DISTINCT`.
        clause: &'static str,
        /// What to write instead.
        hint: &'static str,
    },
    /// A bucket's start cannot be expressed in the type of the timestamps.
    #[error("cannot express {what} {value} in {data_type}")]
    Resolution {
        /// `bucket width`, `origin` or `offset`.
        what: &'static str,
        /// Its value as written.
        value: String,
        /// The type of the timestamps.
        data_type: DataType,
    },
    /// A value that PostgreSQL refuses too, in its words.
    #[error("{message}")]
    Value {
        /// PostgreSQL's SQLSTATE.
        sqlstate: &'static str,
        /// PostgreSQL's message.
        message: String,
        /// PostgreSQL's detail, if it has one.
        detail: Option<String>,
    },
    /// A result does not fit into its type.
    #[error("cannot express {what} of {function} in {data_type}")]
    Overflow {
        /// The function's name.
        function: &'static str,
        /// Which quantity, such as `volume`.
        what: &'static str,
        /// The type it does not fit into.
        data_type: DataType,
    },
}

impl FunctionError {
    /// Returns the refusal inside an error of DataFusion, however deeply wrapped.
    #[must_use]
    pub fn find(error: &DataFusionError) -> Option<&Self> {
        match error.find_root() {
            DataFusionError::External(cause) => cause.downcast_ref(),
            DataFusionError::ArrowError(cause, _) => match cause.as_ref() {
                ArrowError::ExternalError(cause) => cause.downcast_ref(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the SQLSTATE that PostgreSQL uses for this cause.
    #[must_use]
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::ArgumentCount { .. } | Self::ArgumentType { .. } => "42883",
            Self::NotConstant { .. } | Self::OutOfRange { .. } => "22023",
            Self::Resolution { .. } => "22023",
            Self::Clause { .. } => "0A000",
            Self::Overflow { .. } => "22003",
            Self::Value { sqlstate, .. } => sqlstate,
        }
    }

    /// A value that PostgreSQL refuses with `sqlstate` and `message`.
    #[must_use]
    pub fn value(sqlstate: &'static str, message: String) -> Self {
        Self::Value {
            sqlstate,
            message,
            detail: None,
        }
    }

    /// The same with more to say about a value; other causes stay as they are.
    pub(crate) fn detail(mut self, text: String) -> Self {
        if let Self::Value { detail, .. } = &mut self {
            *detail = Some(text);
        }
        self
    }

    /// Returns complete sentences that say more than the message, if there are any.
    #[must_use]
    pub fn details(&self) -> Option<&str> {
        match self {
            Self::Value { detail, .. } => detail.as_deref(),
            _ => None,
        }
    }

    /// Returns complete sentences that say what to do; none where the message says it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Value { .. } => String::new(),
            Self::ArgumentCount { signature, .. } => format!("Write {signature}."),
            Self::ArgumentType {
                argument, expected, ..
            } => {
                format!("Cast the argument {argument}: {expected} is accepted.")
            }
            Self::NotConstant { argument, .. } => {
                format!("Write a literal for {argument}; it may not differ from row to row.")
            }
            Self::OutOfRange {
                argument, range, ..
            } => format!("Choose {argument} as {range}."),
            Self::Clause { hint, .. } => (*hint).to_owned(),
            Self::Resolution { .. } => {
                "Cast the time to a type of finer resolution, such as TIMESTAMP(9).".to_owned()
            }
            Self::Overflow { .. } => {
                "Cast the arguments to DOUBLE PRECISION or to a smaller scale.".to_owned()
            }
        }
    }
}

impl From<FunctionError> for DataFusionError {
    fn from(error: FunctionError) -> Self {
        Self::External(Box::new(error))
    }
}
