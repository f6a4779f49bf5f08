//! Why the server cannot start or go on.

use rtsap_engine::error::EngineError;

/// Why the server cannot start or go on. Each is printed once, with its hint, before the process
/// ends with code 2.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The configuration is wrong.
    #[error("{message}")]
    Config {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {purpose}: {reason}")]
    Listen {
        /// The address.
        address: String,
        /// What for.
        purpose: &'static str,
        /// Why not.
        reason: String,
    },
    /// The engine.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// Anything the operating system refuses.
    #[error("cannot {action}: {source}")]
    Io {
        /// What was attempted.
        action: String,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
    /// The demo's own broker or generator.
    #[error("cannot run the demo: {0}")]
    Demo(String),
}

impl ServerError {
    /// What to do about it, if there is something.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Config { hint, .. } => hint.as_deref(),
            Self::Listen { .. } => Some(
                "Another process may use the port; choose one with --pg-port, --flight-port or \
                 --http-port.",
            ),
            Self::Engine(error) => error.hint.as_deref(),
            Self::Io { .. } | Self::Demo(_) => None,
        }
    }
}
