//! The schema `pg_catalog`: what PostgreSQL's clients look at to find out what there is.
//!
//! Relations, columns, keys and comments come from our catalog; types, functions and other
//! constants from `datafusion-pg-catalog`. Tables are kind `r`, streaming views `v` (so that `\dv`
//! lists them), sources `f`.

use std::sync::Arc;

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{
    CatalogProviderList, MemTable, MemoryCatalogProviderList, SchemaProvider,
};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::Result;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::{PG_CATALOG_TABLES, PgCatalogSchemaProvider};
use rtsap_catalog::snapshot::CatalogSnapshot;

use crate::instance::Instance;
use crate::pg_catalog::functions::SharedVariables;
use crate::pg_catalog::relations::Relations;

mod class;
mod column;
pub(crate) mod functions;
mod keys;
mod namespace;
pub(crate) mod pg_type;
pub(crate) mod proc;
pub(crate) mod relations;
mod session_functions;

/// The tables that are made here; the rest is constant.
const OWN: [&str; 20] = [
    "pg_attribute",
    "pg_class",
    "pg_constraint",
    "pg_database",
    "pg_description",
    "pg_foreign_data_wrapper",
    "pg_foreign_server",
    "pg_foreign_table",
    "pg_index",
    "pg_indexes",
    "pg_matviews",
    "pg_namespace",
    "pg_roles",
    "pg_sequences",
    "pg_settings",
    "pg_stat_activity",
    "pg_tables",
    "pg_user",
    "pg_views",
    "pg_shdescription",
];

type Constants = PgCatalogSchemaProvider<Arc<dyn CatalogProviderList>, EmptyContextProvider>;

/// The schema, at one version of the catalog.
pub(crate) struct PgCatalog {
    relations: Relations,
    variables: SharedVariables,
    constants: Result<Constants>,
    catalog: CatalogSnapshot,
    instance: Arc<Instance>,
}

impl std::fmt::Debug for PgCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("pg_catalog")
    }
}

impl PgCatalog {
    /// The schema as `user` sees it in `database`.
    pub(crate) fn new(
        database: &str,
        user: &str,
        variables: &SharedVariables,
        catalog: CatalogSnapshot,
        instance: &Arc<Instance>,
    ) -> Self {
        let nothing: Arc<dyn CatalogProviderList> = Arc::new(MemoryCatalogProviderList::new());
        let statics = Arc::clone(&instance.statics);
        let constants = PgCatalogSchemaProvider::try_new(nothing, statics, EmptyContextProvider);
        Self {
            relations: Relations::new(database, user, catalog.clone()),
            variables: Arc::clone(variables),
            constants,
            catalog,
            instance: Arc::clone(instance),
        }
    }

    fn own(&self, name: &str) -> std::result::Result<RecordBatch, ArrowError> {
        let relations = &self.relations;
        match name {
            "pg_attribute" => column::pg_attribute(relations),
            "pg_class" => class::pg_class(relations),
            "pg_constraint" => keys::pg_constraint(relations),
            "pg_database" => namespace::pg_database(relations),
            "pg_description" | "pg_shdescription" => namespace::pg_description(relations, name),
            "pg_foreign_data_wrapper" => namespace::pg_foreign_data_wrapper(),
            "pg_foreign_server" => namespace::pg_foreign_server(),
            "pg_foreign_table" => namespace::pg_foreign_table(relations),
            "pg_index" => keys::pg_index(relations),
            "pg_indexes" => keys::pg_indexes(relations),
            "pg_namespace" => namespace::pg_namespace(),
            "pg_roles" => namespace::pg_roles(relations),
            "pg_sequences" => namespace::pg_sequences(),
            "pg_settings" => namespace::pg_settings(&self.variables.lock()),
            "pg_stat_activity" => namespace::pg_stat_activity(relations),
            "pg_tables" => class::pg_tables(relations),
            "pg_user" => namespace::pg_user(relations),
            "pg_views" => class::pg_views(relations),
            _ => class::pg_matviews(),
        }
    }
}

#[async_trait]
impl SchemaProvider for PgCatalog {
    fn table_names(&self) -> Vec<String> {
        let constant = PG_CATALOG_TABLES.iter().filter(|name| !OWN.contains(name));
        OWN.iter()
            .chain(constant)
            .map(ToString::to_string)
            .collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if OWN.contains(&name) {
            let batch = self.own(name)?;
            let table = MemTable::try_new(batch.schema(), vec![vec![batch]])?;
            return Ok(Some(Arc::new(table)));
        }
        if name == "pg_proc" {
            let (schema, batches) = proc::pg_proc(&self.catalog, &self.instance)?;
            return Ok(Some(Arc::new(MemTable::try_new(schema, vec![batches])?)));
        }
        let Ok(constants) = &self.constants else {
            return Ok(None);
        };
        match constants.build_table_by_name(name)? {
            Some(table) => Ok(Some(table.try_into_table_provider()?)),
            None => Ok(None),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        OWN.contains(&name) || PG_CATALOG_TABLES.contains(&name)
    }
}
