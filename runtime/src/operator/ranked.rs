//! Rows by partition and order, as bytes that compare as the order does, then as their columns do.
//!
//! So rows that are equal in order have a fixed place, whatever order they came in.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};

use super::OperatorError;
use crate::state::StateError;

/// The column of a saved row that says how many of it there are.
const COUNT: &str = "$count";

/// How rows of an input become bytes, and become rows again.
pub(super) struct Ranked {
    operator: &'static str,
    partition_exprs: Vec<Arc<dyn PhysicalExpr>>,
    order_exprs: Vec<Arc<dyn PhysicalExpr>>,
    partition_rows: RowConverter,
    order_rows: RowConverter,
    /// Order columns, then all columns of the input.
    full_rows: RowConverter,
    input: SchemaRef,
}

/// The encoded columns of a batch.
pub(super) struct Encoded {
    keys: Option<Rows>,
    order: Rows,
    full: Rows,
}

impl Encoded {
    /// The partition of `row`.
    pub fn key(&self, row: usize) -> &[u8] {
        self.keys.as_ref().map_or(&[], |keys| keys.row(row).data())
    }

    /// The whole `row`, its order first.
    pub fn full(&self, row: usize) -> &[u8] {
        self.full.row(row).data()
    }

    /// How many of the row's bytes say where it stands in order.
    pub fn order_bytes(&self, row: usize) -> usize {
        self.order.row(row).data().len()
    }
}

impl Ranked {
    /// Rows of `input` by `partition` and `order`.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if an expression has no type, [`OperatorError::Arrow`] if rows
    /// cannot be compared.
    pub fn new(
        operator: &'static str,
        input: &SchemaRef,
        partition: &[Arc<dyn PhysicalExpr>],
        order: &[PhysicalSortExpr],
    ) -> Result<Self, OperatorError> {
        let plain = |expr: &Arc<dyn PhysicalExpr>| Ok(SortField::new(expr.data_type(input)?));
        let keys = partition
            .iter()
            .map(plain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(OperatorError::compute(operator))?;
        let ordered = order.iter().map(|order| {
            let of = order.expr.data_type(input)?;
            Ok(SortField::new_with_options(of, order.options))
        });
        let ordered = ordered
            .collect::<Result<Vec<_>, _>>()
            .map_err(OperatorError::compute(operator))?;
        let columns = input
            .fields()
            .iter()
            .map(|field| SortField::new(field.data_type().clone()));
        let full: Vec<SortField> = ordered.iter().cloned().chain(columns).collect();
        let converter = |fields| RowConverter::new(fields).map_err(OperatorError::arrow(operator));
        Ok(Self {
            operator,
            partition_exprs: partition.to_vec(),
            order_exprs: order.iter().map(|order| Arc::clone(&order.expr)).collect(),
            partition_rows: converter(keys)?,
            order_rows: converter(ordered)?,
            full_rows: converter(full)?,
            input: Arc::clone(input),
        })
    }

    /// The bytes of `rows`.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if an expression cannot be computed for a row.
    pub fn encode(&self, rows: &RecordBatch) -> Result<Encoded, OperatorError> {
        let arrow = OperatorError::arrow(self.operator);
        let columns = |exprs: &[Arc<dyn PhysicalExpr>]| -> Result<Vec<ArrayRef>, OperatorError> {
            let columns = exprs
                .iter()
                .map(|expr| expr.evaluate(rows)?.into_array(rows.num_rows()));
            columns
                .collect::<Result<_, _>>()
                .map_err(OperatorError::compute(self.operator))
        };
        let keys = match self.partition_exprs.as_slice() {
            [] => None,
            exprs => Some(
                self.partition_rows
                    .convert_columns(&columns(exprs)?)
                    .map_err(&arrow)?,
            ),
        };
        let order = columns(&self.order_exprs)?;
        let full: Vec<ArrayRef> = order.iter().chain(rows.columns()).map(Arc::clone).collect();
        Ok(Encoded {
            keys,
            order: self.order_rows.convert_columns(&order).map_err(&arrow)?,
            full: self.full_rows.convert_columns(&full).map_err(&arrow)?,
        })
    }

    /// Input columns of whole rows.
    ///
    /// # Errors
    /// [`OperatorError::Arrow`] if the bytes are no rows.
    pub fn columns<'a>(
        &self,
        rows: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let arrow = OperatorError::arrow(self.operator);
        let parser = self.full_rows.parser();
        let rows = rows.map(|row| parser.parse(row));
        let columns = self.full_rows.convert_rows(rows).map_err(&arrow)?;
        let columns = columns.into_iter().skip(self.order_exprs.len());
        // A dictionary comes back as its values.
        let typed = columns.zip(self.input.fields()).map(|(column, field)| {
            match column.data_type() == field.data_type() {
                true => Ok(column),
                false => cast(&column, field.data_type()),
            }
        });
        typed.collect::<Result<_, _>>().map_err(arrow)
    }

    /// Whole rows, and how many there are of each, as a batch of a snapshot.
    ///
    /// # Errors
    /// [`StateError`] of `section` if the bytes are no rows.
    pub fn saved(&self, section: &str, rows: &[(&[u8], u64)]) -> Result<RecordBatch, StateError> {
        let mut columns = self
            .columns(rows.iter().map(|(row, _)| *row))
            .map_err(|error| StateError::section(section, error.to_string()))?;
        let counts = UInt64Array::from_iter_values(rows.iter().map(|(_, count)| *count));
        columns.push(Arc::new(counts));
        let mut fields: Vec<_> = self.input.fields().iter().map(Arc::clone).collect();
        fields.push(Arc::new(Field::new(COUNT, DataType::UInt64, false)));
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns,
        )?)
    }

    /// The rows of a saved batch, and how many there are of each.
    ///
    /// # Errors
    /// [`StateError`] of `section` if it has another form.
    pub fn restored(
        &self,
        section: &str,
        batch: &RecordBatch,
    ) -> Result<(RecordBatch, UInt64Array), StateError> {
        let width = self.input.fields().len();
        let counts = batch
            .columns()
            .get(width)
            .map(|column| column.as_primitive_opt::<UInt64Type>());
        let Some(Some(counts)) = counts else {
            return Err(StateError::section(section, "has no numbers"));
        };
        let rows =
            RecordBatch::try_new(Arc::clone(&self.input), batch.columns()[..width].to_vec())?;
        Ok((rows, counts.clone()))
    }
}
