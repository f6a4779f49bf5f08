//! What the runtime tells its caller.

use rtsap_stream::error::{ConnectorError, ErrorKind};

use crate::checkpoint::error::CheckpointError;
use crate::operator::OperatorError;
use crate::serve::ServeError;
use crate::state::StateError;

/// Why the runtime could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The process is stopping or has been stopped.
    #[error("the runtime has stopped")]
    Stopped,
    /// A newer process owns the state.
    #[error("a newer process has taken over this data directory")]
    Fenced,
    /// There is no such object, or it is not of the kind that was meant.
    #[error("object {id} is not a {wanted}")]
    NotA {
        /// The object.
        id: u64,
        /// What was meant.
        wanted: &'static str,
    },
    /// Two specifications contradict each other: a bug of the caller.
    #[error("cannot run {what}: {found}")]
    Spec {
        /// The object.
        what: String,
        /// What is wrong.
        found: String,
    },
    /// A view cannot be altered, or not now.
    #[error("cannot alter streaming view \"{view}\": {reason}")]
    Altering {
        /// Its name.
        view: String,
        /// Why not.
        reason: String,
    },
    /// The other side of a connector.
    #[error(transparent)]
    Connector(#[from] ConnectorError),
    /// Storage of checkpoints or table logs.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An operator could not be built or could not go on.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// Saved state could not be restored.
    #[error("cannot restore {what}: {source}")]
    Restore {
        /// The object.
        what: String,
        /// Why.
        #[source]
        source: StateError,
    },
    /// A served table refused changes.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// A subscriber read too slowly.
    #[error("subscription fell more than {batches} batches behind")]
    SlowSubscriber {
        /// The limit.
        batches: usize,
    },
}

impl RuntimeError {
    /// Who must act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Stopped => ErrorKind::Canceled,
            Self::Fenced => ErrorKind::Fenced,
            Self::NotA { .. } | Self::Altering { .. } => ErrorKind::Invalid,
            Self::Spec { .. } | Self::Serve(_) => ErrorKind::Internal,
            Self::Operator(OperatorError::Contract { .. }) => ErrorKind::Internal,
            Self::Operator(_) => ErrorKind::Invalid,
            Self::Connector(error) => error.kind,
            Self::Checkpoint(error) => error.kind(),
            Self::Restore { .. } => ErrorKind::Data,
            Self::SlowSubscriber { .. } => ErrorKind::Exhausted,
        }
    }
}
