//! The schema `rtsap_catalog`: what the system says of itself, as tables.
//!
//! Rows are made when a statement scans a table, from the catalog it was planned against and the
//! runtime's last report.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, Session};
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use rtsap_catalog::object::ObjectKind;
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_plan::operator::ObjectId;
use rtsap_runtime::serve::Part;

use crate::instance::Instance;
use crate::query::served::Reading;

pub(crate) mod rows;

/// The system tables, in alphabetical order.
pub(crate) const TABLES: [&str; 9] = [
    "checkpoints",
    "errors",
    "functions",
    "ledger",
    "settings",
    "sinks",
    "sources",
    "tables",
    "views",
];

/// The schema `rtsap_catalog`.
pub(crate) struct SystemTables {
    catalog: CatalogSnapshot,
    instance: Arc<Instance>,
}

impl std::fmt::Debug for SystemTables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("rtsap_catalog")
    }
}

impl SystemTables {
    /// The tables at one version of the catalog.
    pub(crate) fn new(catalog: CatalogSnapshot, instance: Arc<Instance>) -> Self {
        Self { catalog, instance }
    }
}

#[async_trait]
impl SchemaProvider for SystemTables {
    fn table_names(&self) -> Vec<String> {
        TABLES.iter().map(ToString::to_string).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let Some(name) = TABLES.iter().find(|table| **table == name) else {
            return Ok(None);
        };
        let instance = Arc::clone(&self.instance);
        let schema = match *name {
            "errors" => errors_schema(),
            name => rows::rows(name, &self.catalog, &instance)?.schema(),
        };
        Ok(Some(Arc::new(SystemTable {
            name,
            schema,
            catalog: self.catalog.clone(),
            instance,
        })))
    }

    fn table_exist(&self, name: &str) -> bool {
        TABLES.contains(&name)
    }
}

/// One system table.
struct SystemTable {
    name: &'static str,
    schema: SchemaRef,
    catalog: CatalogSnapshot,
    instance: Arc<Instance>,
}

impl std::fmt::Debug for SystemTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rtsap_catalog.{}", self.name)
    }
}

#[async_trait]
impl TableProvider for SystemTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::View
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let batches = match self.name {
            "errors" => self.errors(state.config().get_extension::<Reading>().as_deref())?,
            name => vec![rows::rows(name, &self.catalog, &self.instance)?],
        };
        let source = MemorySourceConfig::try_new(&[batches], self.schema(), projection.cloned())?;
        Ok(DataSourceExec::from_data_source(source.with_limit(limit)))
    }
}

/// `<source>$errors` of all sources, the source's name first.
fn errors_schema() -> SchemaRef {
    let utc = Some(Arc::from("UTC"));
    Arc::new(Schema::new(vec![
        Field::new("source", DataType::Utf8, false),
        Field::new("split", DataType::Utf8, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("payload", DataType::Binary, false),
        Field::new(
            "seen_at",
            DataType::Timestamp(TimeUnit::Microsecond, utc),
            false,
        ),
    ]))
}

impl SystemTable {
    fn errors(&self, reading: Option<&Reading>) -> Result<Vec<RecordBatch>> {
        let Some(reading) = reading else {
            return Ok(Vec::new());
        };
        let mut all = Vec::new();
        for object in self.catalog.objects() {
            if !matches!(object.def.kind, ObjectKind::Source(_)) {
                continue;
            }
            let snapshot = reading.cut.table(ObjectId(object.def.id), Part::Errors);
            let Some(snapshot) = snapshot else { continue };
            let batches = snapshot
                .batches()
                .map_err(|e| DataFusionError::External(Box::new(e)))?;
            for batch in batches {
                let names = std::iter::repeat_n(object.def.name.as_str(), batch.num_rows());
                let mut columns: Vec<ArrayRef> =
                    vec![Arc::new(StringArray::from_iter_values(names))];
                columns.extend_from_slice(batch.columns());
                all.push(RecordBatch::try_new(self.schema(), columns)?);
            }
        }
        Ok(all)
    }
}
