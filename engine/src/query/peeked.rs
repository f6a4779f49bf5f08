//! A look at the newest rows of a source: `SELECT … FROM source LIMIT n`.
//!
//! A source keeps no rows here; its connector is read anew, from `n` rows before the ends on. What
//! is seen is no cut and is not counted anywhere.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::Session;
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use rtsap_catalog::object::SourceDef;
use rtsap_catalog::snapshot::CatalogObject;
use rtsap_planner::bind::bind_source_def;
use rtsap_runtime::peek;
use rtsap_runtime::spec::SourceSpec;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::sequence::define;

/// Rows that a look shows at most.
const ROWS_MAX: usize = 10_000;

/// A source as a relation that can be looked at.
#[derive(Clone)]
pub(crate) struct SourceTable {
    spec: Arc<SourceSpec>,
}

/// The newest rows of a source.
struct Look {
    spec: Arc<SourceSpec>,
    rows: usize,
}

fn external(error: EngineError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

impl SourceTable {
    /// The source of `object`.
    ///
    /// # Errors
    /// What binding its definition anew says.
    pub(crate) fn new(
        instance: &Instance,
        object: &CatalogObject,
        def: &SourceDef,
    ) -> std::result::Result<Self, EngineError> {
        let bound = bind_source_def(def, &instance.functions)?;
        let name = object.def.name.as_str();
        let spec = define::source_spec(instance, name, object.def.id, bound)?;
        Ok(Self {
            spec: Arc::new(spec),
        })
    }
}

impl std::fmt::Debug for SourceTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "source \"{}\"", self.spec.name)
    }
}

impl std::fmt::Debug for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} rows of source \"{}\"", self.rows, self.spec.name)
    }
}

#[async_trait]
impl TableProvider for SourceTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.spec.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let rows = match limit {
            Some(rows) if rows <= ROWS_MAX => rows,
            _ => return Err(external(unreadable_source(&self.spec.name))),
        };
        let look = Look {
            spec: Arc::clone(&self.spec),
            rows,
        };
        let look: Arc<dyn PartitionStream> = Arc::new(look);
        let plan = StreamingTableExec::try_new(
            self.schema(),
            vec![look],
            projection,
            std::iter::empty(),
            false,
            Some(rows),
        )?;
        Ok(Arc::new(plan))
    }
}

impl PartitionStream for Look {
    fn schema(&self) -> &SchemaRef {
        &self.spec.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = look(Arc::clone(&self.spec), self.rows);
        let schema = Arc::clone(&self.spec.schema);
        let rows = futures::stream::once(rows);
        Box::pin(RecordBatchStreamAdapter::new(schema, rows))
    }
}

async fn look(spec: Arc<SourceSpec>, rows: usize) -> Result<RecordBatch> {
    let name = spec.name.clone();
    if rows == 0 {
        return Ok(RecordBatch::new_empty(Arc::clone(&spec.schema)));
    }
    let seen = peek::newest(spec, rows).await;
    let seen = seen.map_err(|error| external(error.into()))?;
    match seen.reject {
        Some(reason) if seen.rows.num_rows() == 0 => {
            let message = format!("no payload of source \"{name}\" gave a row");
            let error = EngineError::invalid("RT0532", message).sqlstate("22000");
            let error = error.detail(format!("The first of them: {reason}."));
            Err(external(error.hint(
                "Compare the columns and the format of the source with what is in the topic.",
            )))
        }
        _ => Ok(seen.rows),
    }
}

/// Why a source cannot be read as a whole.
pub(crate) fn unreadable_source(name: &str) -> EngineError {
    let message = format!("cannot read source \"{name}\" as a whole");
    EngineError::invalid("RT0532", message)
        .sqlstate("42809")
        .detail("A source is a stream outside; its rows are not kept.")
        .hint(format!(
            "Look at its newest rows with SELECT * FROM {name} LIMIT 10, without WHERE, GROUP BY \
             or ORDER BY, or create a streaming view over it: CREATE STREAMING VIEW v AS SELECT \
             ... FROM {name}. Payloads that could not be decoded are in \"{name}$errors\"."
        ))
}
