//! What a client is told when something fails: one shape for every protocol.
//!
//! `pgwire-server` maps it to SQLSTATE, `flight-server` to a gRPC status; neither is known here.

use std::fmt;

use rtsap_stream::error::ErrorKind;

mod convert;

/// A failure as a client sees it.
#[derive(Debug)]
pub struct EngineError {
    /// Who must act.
    pub kind: ErrorKind,
    /// Stable, with a page in `docs/errors/`: `RT0501`.
    pub code: &'static str,
    /// The SQLSTATE (5 characters) where PostgreSQL has one that is more precise than `kind`:
    /// `42P01`.
    pub sqlstate_hint: Option<&'static str>,
    /// Short and factual: lowercase, no full stop, no internal names.
    pub message: String,
    /// What exactly, in complete sentences.
    pub detail: Option<Box<str>>,
    /// What to do about it, in complete sentences.
    pub hint: Option<Box<str>>,
    /// Character position in the statement text, counted from 1, as PostgreSQL counts.
    pub position: Option<u32>,
    /// What caused it; for logs only.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl EngineError {
    /// An error of `kind` and `code` that says `message`.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            sqlstate_hint: None,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            source: None,
        }
    }

    /// A statement that is wrong.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    /// A statement that the language has but this version does not run.
    pub fn unsupported(what: impl fmt::Display) -> Self {
        Self::invalid("RT0502", format!("{what} is not supported")).sqlstate("0A000")
    }

    /// The client asked to stop.
    pub fn canceled() -> Self {
        Self::new(
            ErrorKind::Canceled,
            "RT0503",
            "canceling statement due to user request",
        )
        .sqlstate("57014")
    }

    /// A bug of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, "RT0500", message).sqlstate("XX000")
    }

    /// The same with the SQLSTATE that PostgreSQL would give.
    #[must_use]
    pub fn sqlstate(mut self, sqlstate: &'static str) -> Self {
        self.sqlstate_hint = Some(sqlstate);
        self
    }

    /// The same with what exactly happened.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same with what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same at a character of the text, counted from 1; `None` leaves it as it is.
    #[must_use]
    pub fn at(mut self, position: Option<u32>) -> Self {
        self.position = position.or(self.position);
        self
    }

    /// The same without a position: that of a text that nobody wrote.
    #[must_use]
    pub fn unplaced(mut self) -> Self {
        self.position = None;
        self
    }

    /// The same with its cause.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EngineError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn std::error::Error + 'static))
    }
}

/// Something a client should know though its statement succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// How serious.
    pub severity: Severity,
    /// SQLSTATE, five characters.
    pub sqlstate: &'static str,
    /// The text.
    pub message: String,
    /// What to do, in complete sentences.
    pub hint: Option<String>,
}

/// How serious a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Good to know.
    Notice,
    /// Probably not what was meant.
    Warning,
}

impl Severity {
    /// As PostgreSQL writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notice => "NOTICE",
            Self::Warning => "WARNING",
        }
    }
}
