//! Why a statement cannot be planned: the cause as data, where it is, and what to do about it.
//!
//! Codes are stable and documented one by one in `docs/errors/`. No SQLSTATE here: that is the wire
//! protocol's.

use std::fmt;

use datafusion::error::DataFusionError;
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::error::ErrorKind;

/// Why a statement cannot be planned.
#[derive(Clone, Debug)]
pub struct PlanError(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    cause: Cause,
    position: Option<u32>,
    detail: Option<String>,
    hint: Option<String>,
}

/// What is wrong, by cause.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The text does not follow the grammar.
    #[error("syntax error at {}", near_text(near.as_deref()))]
    Syntax {
        /// The token as written; `None` at the end.
        near: Option<String>,
    },
    /// The grammar is known, but this version does not run it.
    #[error("{what} is not supported in this version")]
    Unsupported {
        /// The feature by name: `SESSION window`.
        what: String,
    },
    /// A clause is given twice, or contradicts another.
    #[error("conflicting or repeated clause {clause}")]
    Conflict {
        /// The clause.
        clause: String,
    },
    /// Operators above each other.
    #[error("more than {max} operators lie above each other")]
    TooDeep {
        /// How many may.
        max: usize,
    },
    /// A literal cannot be read.
    #[error("cannot read {text:?} as {wanted}")]
    Literal {
        /// As written.
        text: String,
        /// What it should be: `a duration`.
        wanted: &'static str,
    },
    /// There is no such relation.
    #[error("relation \"{name}\" does not exist")]
    UnknownRelation {
        /// The name.
        name: String,
    },
    /// There is no such column.
    #[error("column \"{name}\" does not exist")]
    UnknownColumn {
        /// The name, qualified if it was written so.
        name: String,
    },
    /// A column name fits several relations.
    #[error("column reference \"{name}\" is ambiguous")]
    AmbiguousColumn {
        /// The name.
        name: String,
    },
    /// There is no such function.
    #[error("function \"{name}\" does not exist")]
    UnknownFunction {
        /// The name.
        name: String,
    },
    /// There is no such option, or its value is not possible.
    #[error("{message}")]
    Option {
        /// `unknown option "x" of a streaming view`.
        message: String,
    },
    /// There is no such type, or a column cannot have it.
    #[error("{message}")]
    Type {
        /// `type "money" does not exist`.
        message: String,
    },
    /// Two columns have one name.
    #[error("column \"{name}\" specified more than once")]
    DuplicateColumn {
        /// The name.
        name: String,
    },
    /// A column, key or watermark of a source or table is declared wrongly.
    #[error("{message}")]
    Declaration {
        /// What is wrong.
        message: String,
    },
    /// The relation cannot be used for this.
    #[error("{message}")]
    WrongKind {
        /// `"s" is a sink, which cannot be read`.
        message: String,
    },
    /// An expression does not fit: types, arguments, grouping.
    #[error("{message}")]
    Expression {
        /// What is wrong.
        message: String,
    },
    /// A window stands on a column without watermarks.
    #[error("window over \"{column}\", which is not an event-time column")]
    NotEventTime {
        /// The column.
        column: String,
    },
    /// A window's lengths are impossible.
    #[error("{message}")]
    Window {
        /// What is wrong.
        message: String,
    },
    /// `EMIT` asks for what the view cannot give.
    #[error("{message}")]
    Emit {
        /// What is wrong.
        message: String,
    },
    /// An operator cannot read a relation whose rows change.
    #[error("{operator} cannot read {mode} input", mode = mode.name())]
    UpdatingInput {
        /// The operator or function.
        operator: String,
        /// What its input is.
        mode: ChangelogMode,
    },
    /// A function whose value depends on when it is called.
    #[error("function \"{name}\" gives another value at each call")]
    Volatile {
        /// The function.
        name: String,
    },
    /// State would grow without limit.
    #[error("{node} keeps state without limit")]
    UnboundedState {
        /// The operator.
        node: String,
    },
    /// A clause that only a read can have.
    #[error("{clause} is not allowed in a streaming view")]
    ReadOnlyClause {
        /// `ORDER BY`, `LIMIT`.
        clause: &'static str,
    },
    /// The planner contradicts itself.
    #[error("cannot plan the statement: {message}")]
    Internal {
        /// What was found.
        message: String,
    },
}

impl PlanError {
    /// An error of this cause, without position, detail or hint.
    pub fn new(cause: Cause) -> Self {
        Self(Box::new(Parts {
            cause,
            position: None,
            detail: None,
            hint: None,
        }))
    }

    /// The grammar is known, but this version does not run it.
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(Cause::Unsupported { what: what.into() })
    }

    /// An expression that does not fit.
    pub fn expression(message: impl Into<String>) -> Self {
        Self::new(Cause::Expression {
            message: message.into(),
        })
    }

    /// A wrong declaration in a source or table.
    pub fn declaration(message: impl Into<String>) -> Self {
        Self::new(Cause::Declaration {
            message: message.into(),
        })
    }

    /// A contradiction inside the planner.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Cause::Internal {
            message: message.into(),
        })
    }

    /// The same error at a character of the text, counted from 1, unless it already has a position.
    #[must_use]
    pub fn at(mut self, position: u32) -> Self {
        self.0.position.get_or_insert(position);
        self
    }

    /// The same error at a character of another text, counted from 1.
    #[must_use]
    pub fn moved(mut self, position: u32) -> Self {
        self.0.position = Some(position);
        self
    }

    /// The same error with a hint: full sentences that say what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same error with a hint, if there is one.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.0.hint = hint.or(self.0.hint);
        self
    }

    /// The same error with a detail: full sentences that say what exactly.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// The same error for a text that begins `characters` later in a longer one.
    #[must_use]
    pub fn shifted(mut self, characters: u32) -> Self {
        self.0.position = self.0.position.map(|position| position + characters);
        self
    }

    /// What is wrong.
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// Where: a character of the text that was given, counted from 1.
    pub fn position(&self) -> Option<u32> {
        self.0.position
    }

    /// What exactly, in full sentences.
    pub fn detail_text(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// What to do, in full sentences.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Who must act: always the statement's author, except for a bug of the planner.
    pub fn kind(&self) -> ErrorKind {
        match self.0.cause {
            Cause::Internal { .. } => ErrorKind::Internal,
            _ => ErrorKind::Invalid,
        }
    }

    /// The stable code, documented in `docs/errors/<code>.md`.
    pub fn code(&self) -> &'static str {
        match self.0.cause {
            Cause::Syntax { .. } => "RT0101",
            Cause::Unsupported { .. } => "RT0102",
            Cause::Conflict { .. } => "RT0103",
            Cause::TooDeep { .. } => "RT0505",
            Cause::Literal { .. } => "RT0104",
            Cause::UnknownRelation { .. } => "RT0201",
            Cause::UnknownColumn { .. } => "RT0202",
            Cause::UnknownFunction { .. } => "RT0203",
            Cause::Option { .. } => "RT0204",
            Cause::Type { .. } => "RT0205",
            Cause::DuplicateColumn { .. } => "RT0206",
            Cause::Declaration { .. } => "RT0207",
            Cause::WrongKind { .. } => "RT0208",
            Cause::Expression { .. } => "RT0209",
            Cause::AmbiguousColumn { .. } => "RT0210",
            Cause::NotEventTime { .. } => "RT0301",
            Cause::Window { .. } => "RT0302",
            Cause::Emit { .. } => "RT0303",
            Cause::UpdatingInput { .. } => "RT0304",
            Cause::Volatile { .. } => "RT0306",
            Cause::UnboundedState { .. } => "RT0307",
            Cause::ReadOnlyClause { .. } => "RT0308",
            Cause::Internal { .. } => "RT0399",
        }
    }
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.cause.fmt(f)
    }
}

impl std::error::Error for PlanError {}

fn near_text(near: Option<&str>) -> String {
    near.map_or_else(
        || "end of input".to_owned(),
        |near| format!("or near \"{near}\""),
    )
}

/// Carries one of our errors through DataFusion.
impl From<PlanError> for DataFusionError {
    fn from(error: PlanError) -> Self {
        Self::External(Box::new(error))
    }
}

/// The hint that names the nearest of `known`, if one is near.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest_name(name, known).map(|near| format!("Did you mean \"{near}\"?"))
}

/// The nearest of `known`, if one is near.
pub fn nearest_name<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Sorted, so that the answer does not depend on the order of a hash map.
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    rtsap_catalog::snapshot::nearest(&name.to_lowercase(), known)
}

#[cfg(test)]
mod tests;
