//! Error kinds: who must act.

/// What the receiver of an error must do. Every error in the workspace has exactly one.
///
/// Coarse and prescriptive (SlateDB RFC 7, Arroyo's `ErrorDomain`). A new kind needs an ADR:
/// SQLSTATE, gRPC status and the retry policy each match on it exhaustively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The statement, option or value is wrong. Correct it; a retry cannot succeed.
    Invalid,
    /// The role lacks a privilege or could not be authenticated.
    Denied,
    /// An outside system cannot be reached. Retried with backoff.
    Unavailable,
    /// Bytes that should be readable are not: a checkpoint, a schema, a catalog file. Never
    /// retried.
    Data,
    /// A configured limit was reached. Raise it or reduce the load.
    Exhausted,
    /// A newer process owns this state. This process must stop.
    Fenced,
    /// The client, or a shutdown, asked to stop.
    Canceled,
    /// A bug in RTSAP. The dataflow stops and reports; the process goes on.
    Internal,
}

/// A failure at the edge to another system.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ConnectorError {
    /// Who must act.
    pub kind: ErrorKind,
    /// What was attempted and on what, lowercase, no full stop:
    /// `cannot read split "orders/3" at offset 4711`.
    pub message: String,
    /// What exactly, in complete sentences.
    pub detail: Option<String>,
    /// What to do about it, in complete sentences.
    pub hint: Option<String>,
    /// Which row of the data it is about, as text for people, if that is known.
    pub row: Option<String>,
    /// What caused it.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ConnectorError {
    /// An error of `kind` that says `message`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            detail: None,
            hint: None,
            row: None,
            source: None,
        }
    }

    /// A wrong option or value.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// A system that cannot be reached.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Bytes that cannot be read.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// Adds what exactly happened.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds which row of the data it is about.
    #[must_use]
    pub fn with_row(mut self, row: impl Into<String>) -> Self {
        self.row = Some(row.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}
