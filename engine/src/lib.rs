//! The façade: sessions, DDL sequencing and reads; knows no wire protocol.
//!
//! A protocol asks an [`Engine`] for a [`session::Session`] and passes text and values through it;
//! what comes back is a [`response::Response`] or an [`error::EngineError`].
//!
//! ```text
//! session ── prepared ─▶ query (plan) ── run at one cut ─▶ rows
//!    │                        └ namespace: public, rtsap_catalog, pg_catalog
//!    ├── execute ─▶ sequence: validate → commit to the catalog → start
//!    └── subscribe, cursor, copy, show, explain
//! ```
//!
//! Invariants: no type of pgwire, Flight, rdkafka or tonic in the public API; one writer to the
//! catalog; one statement reads one cut.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion_pg_catalog::pg_catalog::PgCatalogStaticTables;
use parking_lot::{Mutex, RwLock};
use rtsap_catalog::store::CatalogStore;
use rtsap_planner::Functions;
use rtsap_runtime::config::RuntimeConfig;
use rtsap_runtime::handle::Runtime;
use rtsap_stream::registry::ConnectorRegistry;
use rtsap_udfs::FunctionRegistry;

use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::instance::Instance;
use crate::session::{Session, SessionSettings};
use crate::status::EngineStatus;

pub mod cancel;
pub mod config;
pub mod copy;
mod cursor;
pub mod error;
mod explain;
mod instance;
mod pg_catalog;
mod query;
pub mod response;
mod sequence;
pub mod session;
mod show;
pub mod status;
mod subscribe;
mod system;
mod tabular;
mod variables;

pub use rtsap_udfs::postgres::unconstrained_numeric;

/// A running engine. Cloning shares it.
#[derive(Clone)]
pub struct Engine {
    instance: Arc<Instance>,
}

impl Engine {
    /// Starts: takes over the store, loads the catalog, plans every definition anew and resumes
    /// each where its last checkpoint left it.
    ///
    /// # Errors
    /// `Unavailable` if the store cannot be reached, `Data` if what is stored cannot be read,
    /// `Fenced` if another process takes it over at the same time.
    pub async fn start(
        config: EngineConfig,
        connectors: Arc<dyn ConnectorRegistry>,
    ) -> Result<Self, EngineError> {
        let registry = FunctionRegistry::with_builtins();
        let broken = |error: datafusion::error::DataFusionError| {
            EngineError::internal(format!("cannot set up queries: {error}"))
        };
        let statics = Arc::new(PgCatalogStaticTables::try_new().map_err(broken)?);
        let base = query::defaults::base_state(&config, &registry, &statics).map_err(broken)?;
        let store = Arc::clone(&config.store);
        let (store, catalog) = CatalogStore::open(store, config.writer.clone()).await?;
        let mut runtime = RuntimeConfig::new(Arc::clone(&config.store));
        runtime.publish_interval = config.publish_interval;
        runtime.checkpoint_interval = config.checkpoint_interval;
        runtime.view_bytes_max = config.view_bytes_max;
        runtime.check_edges = config.check_edges;
        if let Some(config::Simulated(clock)) = &config.simulated {
            runtime.clock = Arc::clone(clock);
            runtime.driven = true;
        }
        let runtime = Runtime::open(runtime).await?;
        let instance = Arc::new(Instance {
            config,
            connectors,
            functions: Functions::new(&registry),
            docs: registry.docs.clone(),
            user_functions: RwLock::new((0, Arc::from([]))),
            runtime,
            catalog: RwLock::new(catalog),
            store: tokio::sync::Mutex::new(store),
            plans: RwLock::new(HashMap::new()),
            base,
            statics,
            sessions: AtomicU64::new(0),
            temporaries: AtomicU64::new(0),
            table_locks: Mutex::default(),
        });
        sequence::boot::boot(&instance).await?;
        instance.runtime.start().await?;
        Ok(Self { instance })
    }

    /// A new conversation.
    ///
    /// # Errors
    /// `Internal` only: settings that cannot be taken over become notices.
    pub fn session(&self, settings: SessionSettings) -> Result<Session, EngineError> {
        Session::new(Arc::clone(&self.instance), settings)
    }

    /// Moves a simulated engine once; `false` once it has ended.
    pub fn turn(&self) -> bool {
        self.instance.runtime.turn()
    }

    /// Stops after a last checkpoint. Sessions get errors from then on.
    ///
    /// # Errors
    /// Why the last checkpoint could not be written; the engine has stopped anyway.
    pub async fn stop(&self) -> Result<(), EngineError> {
        Ok(self.instance.runtime.stop().await?)
    }

    /// Tables and views with their counters, in order of creation.
    pub fn view_reports(&self) -> Vec<status::ViewReport> {
        status::view_reports(&self.instance.snapshot(), &self.instance.runtime.status())
    }

    /// How it is doing.
    pub fn status(&self) -> EngineStatus {
        let runtime = self.instance.runtime.status();
        let catalog = self.instance.snapshot();
        let problem = self.instance.runtime.ended();
        EngineStatus {
            ready: problem.is_none(),
            problem,
            catalog_version: catalog.version(),
            sessions: self.instance.sessions.load(Ordering::Relaxed),
            checkpoint_epoch: runtime.checkpoint.epoch,
            troubles: status::troubles(&catalog, &runtime),
        }
    }
}
