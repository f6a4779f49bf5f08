//! Why the catalog refuses a change or cannot be read.

use rtsap_stream::error::ErrorKind;

use crate::name::ObjectName;
use crate::object::ObjectNumber;

/// A failure of the catalog. [`CatalogError::kind`] says who must act.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// Not a name.
    #[error("invalid object name {name:?}: {reason}")]
    BadName {
        /// As written.
        name: String,
        /// Which rule it breaks.
        reason: &'static str,
    },
    /// The name is taken.
    #[error("{noun} \"{name}\" already exists")]
    Exists {
        /// The name.
        name: ObjectName,
        /// What has it.
        noun: &'static str,
    },
    /// Nothing has this number.
    #[error("object number {id} does not exist")]
    Unknown {
        /// The number.
        id: ObjectNumber,
    },
    /// Others read what should go.
    #[error("cannot drop {noun} \"{name}\" because other objects depend on it")]
    InUse {
        /// What should go.
        name: ObjectName,
        /// What it is.
        noun: &'static str,
        /// What reads it, as `streaming view v`.
        dependents: Vec<String>,
    },
    /// A definition that contradicts the catalog: a bug of the caller.
    #[error("object number {id} contradicts the catalog: {reason}")]
    Contradiction {
        /// The definition's number.
        id: ObjectNumber,
        /// How.
        reason: &'static str,
    },
    /// Another change came first.
    #[error("catalog version {base} is no longer the latest")]
    Conflict {
        /// The version the change was meant for.
        base: u64,
    },
    /// A newer process owns the catalog.
    #[error("generation {ours} of the catalog's owner was superseded by generation {theirs}")]
    Fenced {
        /// This process's generation.
        ours: u64,
        /// The generation found.
        theirs: u64,
    },
    /// Bytes that are no catalog.
    #[error("cannot read catalog file \"{path}\"")]
    Corrupt {
        /// Where.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store failed.
    #[error("cannot {action} the catalog in the object store")]
    Store {
        /// What was attempted: `list`, `read`, `write`.
        action: &'static str,
        /// Why.
        source: Box<object_store::Error>,
    },
}

impl CatalogError {
    /// Who must act.
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::BadName { .. } | Self::Exists { .. } | Self::InUse { .. } => ErrorKind::Invalid,
            Self::Unknown { .. } => ErrorKind::Invalid,
            Self::Contradiction { .. } => ErrorKind::Internal,
            Self::Conflict { .. } | Self::Store { .. } => ErrorKind::Unavailable,
            Self::Fenced { .. } => ErrorKind::Fenced,
            Self::Corrupt { .. } => ErrorKind::Data,
        }
    }

    /// The page in `docs/errors/`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::BadName { .. } => "RT0401",
            Self::Exists { .. } => "RT0402",
            Self::Unknown { .. } => "RT0403",
            Self::InUse { .. } => "RT0404",
            Self::Contradiction { .. } => "RT0405",
            Self::Conflict { .. } => "RT0406",
            Self::Fenced { .. } => "RT0407",
            Self::Corrupt { .. } => "RT0408",
            Self::Store { .. } => "RT0409",
        }
    }

    /// What exactly, in complete sentences.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::InUse {
                name, dependents, ..
            } => {
                let lines = dependents
                    .iter()
                    .map(|what| format!("{what} depends on {name}."));
                Some(lines.collect::<Vec<_>>().join("\n"))
            }
            Self::Corrupt { source, .. } => Some(source.to_string()),
            Self::Store { source, .. } => Some(source.to_string()),
            _ => None,
        }
    }

    /// What to do, in complete sentences.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::InUse { .. } => "Use DROP ... CASCADE to drop the dependent objects too.",
            Self::Exists { .. } => "Drop it first, choose another name, or use IF NOT EXISTS.",
            Self::Conflict { .. } => "Try the statement again.",
            Self::Fenced { .. } => {
                "Another server was started on the same store. Stop one of them."
            }
            Self::Corrupt { .. } => "Restore the file from a backup of the store.",
            Self::Store { .. } => "Check that the store is reachable and writable.",
            _ => return None,
        })
    }
}
