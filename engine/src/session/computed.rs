//! Computed columns of tables: filled in where rows are written, and given by nobody else.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use rtsap_catalog::object::{ColumnDef, ColumnKind, ObjectKind, ObjectNumber};
use rtsap_planner::bind_table_def;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::session::writes;

/// The computed columns of a table.
#[derive(Clone, Debug)]
pub(crate) struct Computed {
    /// The columns that are given.
    given: Vec<usize>,
    schema: SchemaRef,
    /// Each computed column with its expression over those that are given.
    columns: Vec<(usize, Arc<dyn PhysicalExpr>)>,
}

impl Computed {
    /// Those of `table`; `None` if it has none.
    ///
    /// # Errors
    /// An internal one for a definition that no longer binds.
    pub(crate) fn of(
        instance: &Instance,
        table: ObjectNumber,
    ) -> Result<Option<Self>, EngineError> {
        let catalog = instance.snapshot();
        let def = match catalog.by_id(table).map(|object| &object.def.kind) {
            Some(ObjectKind::Table(def)) if def.columns.iter().any(is_computed) => def,
            _ => return Ok(None),
        };
        let bound = bind_table_def(def, &instance.functions)?;
        let fields = bound.physical.iter();
        let fields = fields.map(|index| Arc::clone(&bound.relation.schema.fields()[*index]));
        Ok(Some(Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            given: bound.physical,
            columns: bound.computed,
        }))
    }

    /// Rows of the table with their computed columns, whatever stood there.
    ///
    /// # Errors
    /// `RT0536` for a value that cannot be computed.
    pub(crate) fn fill(&self, rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let given = self.given.iter().map(|at| Arc::clone(rows.column(*at)));
        let broken = |error: arrow::error::ArrowError| EngineError::internal(error.to_string());
        let given = RecordBatch::try_new(Arc::clone(&self.schema), given.collect());
        let given = given.map_err(broken)?;
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        for (at, expression) in &self.columns {
            let failed =
                |error: DataFusionError| writes::unfit(rows.schema().field(*at).name(), &error);
            let value = expression.evaluate(&given).map_err(failed)?;
            columns[*at] = value.into_array(rows.num_rows()).map_err(failed)?;
        }
        RecordBatch::try_new(rows.schema(), columns).map_err(broken)
    }
}

/// `rows` of `table` with its computed columns.
///
/// # Errors
/// As [`Computed::fill`].
pub(super) fn filled(
    instance: &Instance,
    table: ObjectNumber,
    rows: Vec<RecordBatch>,
) -> Result<Vec<RecordBatch>, EngineError> {
    match Computed::of(instance, table)? {
        Some(computed) => rows.iter().map(|rows| computed.fill(rows)).collect(),
        None => Ok(rows),
    }
}

/// Whether a column is computed from others.
pub(crate) fn is_computed(column: &ColumnDef) -> bool {
    matches!(column.kind, ColumnKind::Computed(_))
}

/// `428C9`: a value for a column that is computed.
pub(super) fn given(column: &ColumnDef) -> EngineError {
    let name = &column.name;
    let message = format!("cannot insert a non-DEFAULT value into column \"{name}\"");
    EngineError::invalid("RT0206", message)
        .sqlstate("428C9")
        .detail(format!("Column \"{name}\" is a generated column."))
        .hint("Leave it out: it is computed from the others.")
}

/// `428C9`: an assignment to a column that is computed.
pub(super) fn assigned(column: &ColumnDef) -> EngineError {
    let name = &column.name;
    let message = format!("column \"{name}\" can only be updated to DEFAULT");
    EngineError::invalid("RT0206", message)
        .sqlstate("428C9")
        .detail(format!("Column \"{name}\" is a generated column."))
}
