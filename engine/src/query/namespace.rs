//! The names a statement can resolve, at one version of the catalog: database → schema → table.
//!
//! `public` holds the objects of users, `rtsap_catalog` the system's own, `pg_catalog` what
//! PostgreSQL's clients look for. As in PostgreSQL, names of `pg_catalog` are found without its
//! name.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::{DataFusionError, Result};
use rtsap_catalog::name::SCHEMA;
use rtsap_catalog::object::ObjectKind;
use rtsap_catalog::snapshot::{CatalogObject, CatalogSnapshot};
use rtsap_plan::operator::ObjectId;
use rtsap_runtime::serve::Part;
use rtsap_stream::change::ChangelogMode;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::pg_catalog::PgCatalog;
use crate::pg_catalog::functions::SharedVariables;
use crate::query::peeked::{SourceTable, unreadable_source};
use crate::query::served::ServedTable;
use crate::system::SystemTables;

/// The schema of system tables.
pub(crate) const SYSTEM_SCHEMA: &str = "rtsap_catalog";

/// The only database there is, under the name that the client asked for.
#[derive(Clone, Debug)]
pub(crate) struct Database {
    name: String,
    public: Arc<Public>,
    system: Arc<SystemTables>,
    pg: Arc<PgCatalog>,
}

impl Database {
    /// The names of `catalog` in a database called `name`.
    pub(crate) fn new(
        name: &str,
        user: &str,
        variables: &SharedVariables,
        catalog: CatalogSnapshot,
        instance: &Arc<Instance>,
    ) -> Self {
        let pg = PgCatalog::new(name, user, variables, catalog.clone(), instance);
        let pg = Arc::new(pg);
        let system = SystemTables::new(catalog.clone(), Arc::clone(instance));
        let public = Public {
            catalog,
            instance: Arc::clone(instance),
            pg: Arc::clone(&pg),
        };
        Self {
            name: name.to_owned(),
            public: Arc::new(public),
            system: Arc::new(system),
            pg,
        }
    }
}

impl CatalogProviderList for Database {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == self.name).then(|| Arc::new(self.clone()) as _)
    }
}

impl CatalogProvider for Database {
    fn schema_names(&self) -> Vec<String> {
        vec![
            SCHEMA.to_owned(),
            SYSTEM_SCHEMA.to_owned(),
            "pg_catalog".to_owned(),
        ]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            SCHEMA => Some(Arc::clone(&self.public) as _),
            SYSTEM_SCHEMA => Some(Arc::clone(&self.system) as _),
            "pg_catalog" => Some(Arc::clone(&self.pg) as _),
            _ => None,
        }
    }
}

/// The schema `public`.
struct Public {
    catalog: CatalogSnapshot,
    instance: Arc<Instance>,
    pg: Arc<PgCatalog>,
}

impl std::fmt::Debug for Public {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "public at version {}", self.catalog.version())
    }
}

#[async_trait]
impl SchemaProvider for Public {
    fn table_names(&self) -> Vec<String> {
        let readable = self.catalog.objects().filter(|object| is_readable(object));
        readable.map(|object| object.def.name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if let Some(object) = self.catalog.resolve(name)
            && let ObjectKind::Source(def) = &object.def.kind
        {
            let table = SourceTable::new(&self.instance, object, def)
                .map_err(|error| DataFusionError::External(Box::new(error)))?;
            return Ok(Some(Arc::new(table)));
        }
        match resolve(&self.catalog, &self.instance, name) {
            Ok(Some(table)) => Ok(Some(Arc::new(table))),
            Ok(None) => self.pg.table(name).await,
            Err(error) => Err(DataFusionError::External(Box::new(error))),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        let object = self
            .catalog
            .resolve(name)
            .filter(|object| is_readable(object));
        Ok(object.map(|object| table_type(object)))
    }

    fn table_exist(&self, name: &str) -> bool {
        resolve(&self.catalog, &self.instance, name).is_ok_and(|table| table.is_some())
    }
}

fn is_readable(object: &CatalogObject) -> bool {
    matches!(
        object.def.kind,
        ObjectKind::Table(_) | ObjectKind::View(_) | ObjectKind::PlainView(_)
    )
}

fn table_type(object: &CatalogObject) -> TableType {
    match object.def.kind {
        ObjectKind::View(_) | ObjectKind::PlainView(_) => TableType::View,
        _ => TableType::Base,
    }
}

/// An object's name and which of its relations is meant: `v$late` is the late rows of `v`.
pub(crate) fn part_of(name: &str) -> (&str, Part) {
    for part in [Part::Late, Part::Errors] {
        let object = name
            .strip_suffix(part.name())
            .and_then(|rest| rest.strip_suffix('$'));
        if let Some(object) = object {
            return (object, part);
        }
    }
    (name, Part::Rows)
}

/// The relation called `name`, if there is one.
///
/// # Errors
/// If the object exists and cannot be read.
pub(crate) fn resolve(
    catalog: &CatalogSnapshot,
    instance: &Instance,
    name: &str,
) -> Result<Option<ServedTable>, EngineError> {
    let (object_name, part) = part_of(name);
    let Some(object) = catalog.resolve(object_name) else {
        return Ok(None);
    };
    let id = ObjectId(object.def.id);
    let schema = match (part, &object.def.kind) {
        (Part::Rows, ObjectKind::Source(_)) => return Err(unreadable_source(object_name)),
        (_, ObjectKind::Sink(_)) => return Err(unreadable_sink(object_name)),
        (Part::Rows, _) => object
            .relation
            .as_ref()
            .map(|relation| Arc::clone(&relation.schema)),
        (part, _) => {
            let snapshot = instance.runtime.cut().table(id, part);
            snapshot.map(|snapshot| Arc::clone(snapshot.schema()))
        }
    };
    let Some(schema) = schema else {
        return Ok(None);
    };
    Ok(Some(ServedTable {
        name: name.to_owned(),
        object: id,
        part,
        arrives_by: arrives_by(object).filter(|_| part == Part::Rows),
        schema,
        table_type: table_type(object),
        definition: Some(object.def.sql.clone()),
    }))
}

/// The event time of a relation whose rows only come.
fn arrives_by(object: &CatalogObject) -> Option<String> {
    let relation = object.relation.as_ref()?;
    let time = relation.schema.field(relation.event_time?);
    (relation.mode == ChangelogMode::Append).then(|| time.name().clone())
}

fn unreadable_sink(name: &str) -> EngineError {
    EngineError::invalid("RT0532", format!("cannot read sink \"{name}\""))
        .sqlstate("42809")
        .hint("Read the view that it follows: SHOW SINKS names it.")
}
