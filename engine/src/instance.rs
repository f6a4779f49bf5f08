//! What all sessions of an engine share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use datafusion::execution::SessionState;
use datafusion_pg_catalog::pg_catalog::PgCatalogStaticTables;
use parking_lot::RwLock;
use rtsap_catalog::object::ObjectNumber;
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_catalog::store::CatalogStore;
use rtsap_plan::graph::StreamPlan;
use rtsap_planner::Functions;
use rtsap_runtime::handle::Runtime;
use rtsap_stream::registry::ConnectorRegistry;

use crate::config::EngineConfig;

/// What all sessions of an engine share.
pub(crate) struct Instance {
    /// Limits.
    pub(crate) config: EngineConfig,
    /// What sources and sinks are made of.
    pub(crate) connectors: Arc<dyn ConnectorRegistry>,
    /// What streaming views may call.
    pub(crate) functions: Functions,
    /// The running dataflows.
    pub(crate) runtime: Runtime,
    /// The latest version of the catalog.
    pub(crate) catalog: RwLock<CatalogSnapshot>,
    /// The catalog's store; whoever holds it is the one that changes definitions.
    pub(crate) store: tokio::sync::Mutex<CatalogStore>,
    /// Plans of running views, for `EXPLAIN`.
    pub(crate) plans: RwLock<HashMap<ObjectNumber, Arc<StreamPlan>>>,
    /// What every session's DataFusion state is copied from.
    pub(crate) base: SessionState,
    /// What `pg_catalog` holds that never changes.
    pub(crate) statics: Arc<PgCatalogStaticTables>,
    /// Open sessions.
    pub(crate) sessions: AtomicU64,
    /// How many temporary views were made.
    pub(crate) temporaries: AtomicU64,
}

impl Instance {
    /// The catalog as of now.
    pub(crate) fn snapshot(&self) -> CatalogSnapshot {
        self.catalog.read().clone()
    }
}
