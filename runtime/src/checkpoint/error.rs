//! Failures of checkpoint storage.

use rtsap_stream::error::ErrorKind;

use crate::state::StateError;

/// Why a checkpoint cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The object store failed.
    #[error("cannot {action} checkpoint object {path:?}: {source}")]
    Store {
        /// What was attempted.
        action: &'static str,
        /// On which object.
        path: String,
        /// The store's words.
        #[source]
        source: object_store::Error,
    },
    /// An object is not what its manifest says.
    #[error("checkpoint object {path:?} is damaged: {found}")]
    Damaged {
        /// Which.
        path: String,
        /// What is wrong.
        found: String,
    },
    /// The chain does not hang together.
    #[error("checkpoint chain is broken at {path:?}: {found}")]
    Chain {
        /// Which manifest.
        path: String,
        /// What is wrong.
        found: String,
    },
    /// A newer process has appended to the chain.
    #[error("a newer process (generation {generation}) has taken over")]
    Fenced {
        /// Its generation.
        generation: u64,
    },
    /// Operator state cannot be encoded.
    #[error(transparent)]
    State(#[from] StateError),
}

impl CheckpointError {
    /// Who must act.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Store { .. } => ErrorKind::Unavailable,
            Self::Damaged { .. } | Self::Chain { .. } => ErrorKind::Data,
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::State(_) => ErrorKind::Internal,
        }
    }
}
