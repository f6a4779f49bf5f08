//! What fails: at the start for the operator, later for a client as a gRPC status.

use std::fmt::Write as _;
use std::net::SocketAddr;

use rtsap_engine::error::EngineError;
use rtsap_stream::error::ErrorKind;
use tonic::{Code, Status};

#[cfg(test)]
mod tests;

/// Why the server cannot run.
#[derive(Debug, thiserror::Error)]
pub enum FlightServerError {
    /// Anybody could read and change everything.
    #[error(
        "cannot listen for Arrow Flight on {address}: TLS and authentication are not in this \
         version, so only loopback addresses are allowed unless insecure listening is asked for"
    )]
    Exposed {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address cannot be had.
    #[error("cannot listen for Arrow Flight on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The server cannot go on.
    #[error("cannot serve Arrow Flight: {0}")]
    Serve(#[source] tonic::transport::Error),
    /// A bug of ours.
    #[error("cannot describe the server to Arrow Flight clients: {0}")]
    Internal(#[source] arrow::error::ArrowError),
}

/// An error as a gRPC status: the code tells programs who must act, the text tells people
/// everything.
pub(crate) fn status(error: EngineError) -> Status {
    if matches!(error.kind, ErrorKind::Internal | ErrorKind::Data) {
        let cause = error.source.as_deref().map(tracing::field::display);
        tracing::error!(code = error.code, cause, "{}", error.message);
    }
    Status::new(code(&error), text(&error))
}

/// The same for a failure of Arrow's own functions on our data.
pub(crate) fn broken(error: arrow::error::ArrowError) -> Status {
    status(EngineError::internal(format!(
        "cannot encode an answer: {error}"
    )))
}

/// The same status without the position in the text.
pub(crate) fn without_position(status: Status) -> Status {
    match status.message().rsplit_once("\nPOSITION: ") {
        Some((text, _)) => Status::new(status.code(), text),
        None => status,
    }
}

fn code(error: &EngineError) -> Code {
    match (error.kind, error.sqlstate_hint.unwrap_or_default()) {
        (ErrorKind::Invalid, "42P01" | "42704" | "26000") => Code::NotFound,
        (ErrorKind::Invalid, "42P07" | "42710") => Code::AlreadyExists,
        (ErrorKind::Invalid, "0A000") => Code::Unimplemented,
        (ErrorKind::Invalid, _) => Code::InvalidArgument,
        (ErrorKind::Denied, _) => Code::PermissionDenied,
        // Whoever took over answers at the same address soon: a retry is right for both.
        (ErrorKind::Unavailable | ErrorKind::Fenced, _) => Code::Unavailable,
        (ErrorKind::Data, _) => Code::DataLoss,
        (ErrorKind::Exhausted, _) => Code::ResourceExhausted,
        (ErrorKind::Canceled, _) => Code::Cancelled,
        (ErrorKind::Internal, _) => Code::Internal,
    }
}

/// Everything a person needs, in lines, because a gRPC status has no other place for it.
fn text(error: &EngineError) -> String {
    let mut text = error.message.clone();
    // Writing into a string cannot fail.
    let _ = match error.sqlstate_hint {
        Some(sqlstate) => write!(text, " ({}, SQLSTATE {sqlstate})", error.code),
        None => write!(text, " ({})", error.code),
    };
    let position = error.position.map(|position| position.to_string());
    for (label, line) in [
        ("DETAIL", error.detail.as_deref()),
        ("HINT", error.hint.as_deref()),
        ("POSITION", position.as_deref()),
    ] {
        if let Some(line) = line {
            let _ = write!(text, "\n{label}: {line}");
        }
    }
    text
}
