//! `VALUES` as a relation: rows that are there from the start and never change.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::logical_plan::{EmptyRelation, Values};
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::OperatorSpec;
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::ChangelogMode;

use crate::error::PlanError;
use crate::streaming::{Compiler, arrow_schema, refuse};

impl Compiler<'_> {
    pub(super) fn values(&mut self, values: &Values) -> Result<NodeIndex, PlanError> {
        let schema = arrow_schema(&values.schema);
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
        for (index, field) in schema.fields().iter().enumerate() {
            let mut cells = Vec::with_capacity(values.values.len());
            for row in &values.values {
                let cell = self.constant(&row[index])?;
                let cell = cell.cast_to(field.data_type());
                cells.push(cell.map_err(|error| self.ours(&error))?);
            }
            let column = match cells.is_empty() {
                true => Ok(new_empty_array(field.data_type())),
                false => ScalarValue::iter_to_array(cells),
            };
            columns.push(column.map_err(|error| self.ours(&error))?);
        }
        let rows = RecordBatch::try_new(schema, columns);
        let rows = rows.map_err(|error| self.ours(&error.into()))?;
        Ok(self.still(rows))
    }

    /// The one row without columns of a `SELECT` without `FROM`, or no row at all.
    pub(super) fn without_relation(
        &mut self,
        empty: &EmptyRelation,
    ) -> Result<NodeIndex, PlanError> {
        let rows = match empty.produce_one_row {
            true => bare_row().map_err(|error| self.ours(&error.into()))?,
            false => RecordBatch::new_empty(arrow_schema(&empty.schema)),
        };
        Ok(self.still(rows))
    }

    fn still(&mut self, rows: RecordBatch) -> NodeIndex {
        let properties = StreamProperties {
            schema: rows.schema(),
            mode: ChangelogMode::Append,
            key: Vec::new(),
            event_time: None,
            state: StateBound::None,
        };
        self.push(OperatorSpec::Values { rows }, Vec::new(), properties)
    }

    fn constant(&self, expr: &Expr) -> Result<ScalarValue, PlanError> {
        let nothing = DFSchema::empty();
        if let Some(error) = refuse::wrong_expression(expr, &nothing) {
            return Err(error);
        }
        let one = bare_row().map_err(|error| self.ours(&error.into()))?;
        let value = self.physical(expr, &nothing)?.evaluate(&one);
        let array = value.and_then(|value| value.into_array(1));
        let found = array.and_then(|array| ScalarValue::try_from_array(&array, 0));
        found.map_err(|error| self.ours(&error))
    }
}

/// What constants are computed over.
pub(super) fn bare_row() -> Result<RecordBatch, ArrowError> {
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)
}
