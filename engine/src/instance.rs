//! What all sessions of an engine share.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use datafusion::execution::SessionState;
use datafusion::logical_expr::ScalarUDF;
use datafusion_pg_catalog::pg_catalog::PgCatalogStaticTables;
use parking_lot::{Mutex, RwLock};
use rtsap_catalog::object::ObjectNumber;
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_catalog::store::CatalogStore;
use rtsap_plan::graph::StreamPlan;
use rtsap_planner::{Functions, user_functions};
use rtsap_runtime::handle::Runtime;
use rtsap_stream::registry::ConnectorRegistry;
use rtsap_udfs::FunctionDoc;

use crate::config::EngineConfig;

/// What all sessions of an engine share.
pub(crate) struct Instance {
    /// Limits.
    pub(crate) config: EngineConfig,
    /// What sources and sinks are made of.
    pub(crate) connectors: Arc<dyn ConnectorRegistry>,
    /// What streaming views may call.
    pub(crate) functions: Functions,
    /// What our functions are, sorted by name.
    pub(crate) docs: Vec<FunctionDoc>,
    /// The functions that users made, compiled at a version of the catalog.
    pub(crate) user_functions: RwLock<(u64, Arc<[Arc<ScalarUDF>]>)>,
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
    /// Who writes which table: writers of rows share it, one that changes rows it has read does
    /// not.
    pub(crate) table_locks: Mutex<HashMap<ObjectNumber, Arc<tokio::sync::RwLock<()>>>>,
}

impl Instance {
    /// The lock of a table's writers.
    pub(crate) fn table_lock(&self, table: ObjectNumber) -> Arc<tokio::sync::RwLock<()>> {
        Arc::clone(self.table_locks.lock().entry(table).or_default())
    }

    /// The catalog as of now.
    pub(crate) fn snapshot(&self) -> CatalogSnapshot {
        self.catalog.read().clone()
    }

    /// The functions that users made, for reads.
    pub(crate) fn user_functions(&self, catalog: &CatalogSnapshot) -> Arc<[Arc<ScalarUDF>]> {
        let known = self.user_functions.read();
        if known.0 == catalog.version() {
            return Arc::clone(&known.1);
        }
        drop(known);
        let made = user_functions(catalog, &self.functions).unwrap_or_else(|error| {
            // They were compiled when they were made, so this is a bug; statements that call them
            // fail.
            tracing::error!(%error, "cannot compile the functions of users");
            Vec::new()
        });
        let made: Arc<[Arc<ScalarUDF>]> = made.into();
        *self.user_functions.write() = (catalog.version(), Arc::clone(&made));
        made
    }
}
