//! A served relation as a DataFusion table: rows of the cut that the running statement was given.
//!
//! A plan holds no rows, so a prepared statement sees a new cut each time it runs.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::datasource::memory::{DataSourceExec, MemorySourceConfig};
use datafusion::datasource::{TableProvider, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use rtsap_plan::operator::ObjectId;
use rtsap_runtime::serve::{Cut, Part};

use crate::error::EngineError;

/// Rows below which a read is not split into partitions: starting a task costs more than scanning
/// these.
const PARTITION_ROWS_MIN: usize = 65_536;

/// What a running statement reads, put into its session's extensions.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The one cut that all relations of the statement are read at.
    pub(crate) cut: Arc<Cut>,
}

/// A relation by identity; its rows come from the [`Reading`] of the statement.
#[derive(Debug)]
pub(crate) struct ServedTable {
    /// Its name, for messages.
    pub(crate) name: String,
    /// The object.
    pub(crate) object: ObjectId,
    /// Which of its relations.
    pub(crate) part: Part,
    /// Columns and types.
    pub(crate) schema: SchemaRef,
    /// The event time of rows that only come, and lie as they arrived.
    pub(crate) arrives_by: Option<String>,
    /// What `information_schema` calls it.
    pub(crate) table_type: TableType,
    /// The statement that made it.
    pub(crate) definition: Option<String>,
}

#[async_trait]
impl TableProvider for ServedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        self.table_type
    }

    fn get_table_definition(&self) -> Option<&str> {
        self.definition.as_deref()
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Some(reading) = state.config().get_extension::<Reading>() else {
            return Err(DataFusionError::Internal(
                "a statement without a cut".to_owned(),
            ));
        };
        let batches = match reading.cut.table(self.object, self.part) {
            Some(snapshot) => snapshot.batches().map_err(external)?.to_vec(),
            None if self.part == Part::Rows => return Err(external(self.too_young())),
            None => Vec::new(),
        };
        let partitions = split(batches, state.config().target_partitions());
        let source = MemorySourceConfig::try_new(&partitions, self.schema(), projection.cloned())?;
        Ok(DataSourceExec::from_data_source(source.with_limit(limit)))
    }
}

impl ServedTable {
    fn too_young(&self) -> EngineError {
        let message = format!(
            "\"{}\" did not exist at the cut that this statement reads",
            self.name
        );
        EngineError::invalid("RT0531", message).sqlstate("55000").hint(
            "End the transaction block, or wait for the next checkpoint if rtsap.read_consistency \
             is 'committed'.",
        )
    }
}

fn external(error: impl std::error::Error + Send + Sync + 'static) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Distributes batches over at most `partitions_max` partitions of about equal rows.
pub(crate) fn split(batches: Vec<RecordBatch>, partitions_max: usize) -> Vec<Vec<RecordBatch>> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let wanted = (rows / PARTITION_ROWS_MIN)
        .clamp(1, partitions_max.max(1))
        .min(batches.len().max(1));
    if wanted == 1 {
        return vec![batches];
    }
    let mut partitions: Vec<(usize, Vec<RecordBatch>)> = vec![(0, Vec::new()); wanted];
    for batch in batches {
        if let Some(smallest) = partitions.iter_mut().min_by_key(|(rows, _)| *rows) {
            smallest.0 += batch.num_rows();
            smallest.1.push(batch);
        }
    }
    partitions.into_iter().map(|(_, batches)| batches).collect()
}
