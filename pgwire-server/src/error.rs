//! Failures as PostgreSQL clients see them: severity, SQLSTATE, message, detail, hint, position.
//!
//! Owns the mapping from the engine's error kinds to SQLSTATE. A cause is logged, never sent.

use std::net::SocketAddr;

use pgwire::messages::response::{ErrorResponse, NoticeResponse};
use rtsap_engine::error::{EngineError, Notice};
use rtsap_stream::error::ErrorKind;

/// Why the server cannot listen or go on listening.
#[derive(Debug, thiserror::Error)]
pub enum PgServerError {
    /// An address that others can reach, without any way to know who they are.
    #[error(
        "cannot listen on {address}: TLS and authentication are not in this version, so only \
         loopback addresses are served unless insecure_listen is set"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The system gives no random bytes for cancel keys.
    #[error("cannot draw random cancel keys")]
    Random,
}

/// What a client is told when something fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// Whether the connection ends with it.
    pub(crate) fatal: bool,
    /// Five characters.
    pub(crate) sqlstate: &'static str,
    /// The text.
    pub(crate) message: String,
    /// What exactly.
    pub(crate) detail: Option<Box<str>>,
    /// What to do.
    pub(crate) hint: Option<Box<str>>,
    /// Character of the statement, counted from 1.
    pub(crate) position: Option<u32>,
    /// Where in the input: a line of a COPY.
    pub(crate) context: Option<Box<str>>,
    /// The engine's stable code, sent where PostgreSQL sends the name of its routine.
    pub(crate) code: Option<&'static str>,
}

impl Failure {
    /// An error with `sqlstate` that says `message`.
    pub(crate) fn new(sqlstate: &'static str, message: impl Into<String>) -> Self {
        Self {
            fatal: false,
            sqlstate,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            context: None,
            code: None,
        }
    }

    /// The client broke the protocol.
    pub(crate) fn protocol(message: impl Into<String>) -> Self {
        Self::new("08P01", message)
    }

    /// The statement was cancelled.
    pub(crate) fn canceled() -> Self {
        Self::new("57014", "canceling statement due to user request")
    }

    /// The server shuts down.
    pub(crate) fn shutdown() -> Self {
        Self::new(
            "57P01",
            "terminating connection due to administrator command",
        )
        .fatal()
    }

    /// The same as the end of the connection.
    #[must_use]
    pub(crate) fn fatal(mut self) -> Self {
        self.fatal = true;
        self
    }

    /// The same with what to do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with where in the input.
    #[must_use]
    pub(crate) fn context(mut self, context: impl Into<Box<str>>) -> Self {
        self.context = Some(context.into());
        self
    }

    /// The message that tells a client.
    pub(crate) fn response(&self) -> ErrorResponse {
        let severity = if self.fatal { "FATAL" } else { "ERROR" };
        let mut fields = vec![
            (b'S', severity.to_owned()),
            (b'V', severity.to_owned()),
            (b'C', self.sqlstate.to_owned()),
            (b'M', without_nul(&self.message)),
        ];
        let mut optional = |tag: u8, value: Option<&str>| {
            fields.extend(value.map(|value| (tag, without_nul(value))));
        };
        optional(b'D', self.detail.as_deref());
        optional(b'H', self.hint.as_deref());
        optional(
            b'P',
            self.position
                .map(|position| position.to_string())
                .as_deref(),
        );
        optional(b'W', self.context.as_deref());
        optional(b'R', self.code);
        ErrorResponse::new(fields)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        if let Some(source) = &error.source {
            tracing::debug!(code = error.code, %source, "statement failed");
        }
        let sqlstate = error
            .sqlstate_hint
            .unwrap_or_else(|| sqlstate_of(error.kind));
        Self {
            fatal: error.kind == ErrorKind::Fenced,
            sqlstate,
            message: error.message,
            detail: error.detail,
            hint: error.hint,
            position: error.position,
            context: None,
            code: Some(error.code),
        }
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::new("XX000", format!("cannot encode a result: {error}"))
    }
}

/// The SQLSTATE of errors that have none of their own.
fn sqlstate_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "42000",
        ErrorKind::Denied => "42501",
        // Not class 08: clients take that for the end of their own connection.
        ErrorKind::Unavailable => "HV00N",
        ErrorKind::Data => "XX001",
        ErrorKind::Exhausted => "53400",
        ErrorKind::Fenced => "57P01",
        ErrorKind::Canceled => "57014",
        ErrorKind::Internal => "XX000",
    }
}

/// The message that tells of `notice`.
pub(crate) fn notice_response(notice: &Notice) -> NoticeResponse {
    let severity = notice.severity.name().to_owned();
    let mut fields = vec![
        (b'S', severity.clone()),
        (b'V', severity),
        (b'C', notice.sqlstate.to_owned()),
        (b'M', without_nul(&notice.message)),
    ];
    fields.extend(notice.hint.as_deref().map(|hint| (b'H', without_nul(hint))));
    NoticeResponse::new(fields)
}

/// Strings on the wire end at a zero byte: one inside would cut the message and confuse the client.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
