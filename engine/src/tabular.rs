//! Builds a record batch from rows of any kind, one closure a column: for system tables and `SHOW`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int16Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion_pg_catalog::pg_catalog::oid_field::oid_field;

/// A batch under construction: `rows` become rows in their order.
pub(crate) struct Tabular<'a, T> {
    rows: &'a [T],
    fields: Vec<Field>,
    columns: Vec<ArrayRef>,
}

impl<'a, T> Tabular<'a, T> {
    /// A batch with one row for each of `rows` and no columns yet.
    pub(crate) fn new(rows: &'a [T]) -> Self {
        Self {
            rows,
            fields: Vec::new(),
            columns: Vec::new(),
        }
    }

    /// A text column; `None` is null.
    pub(crate) fn text(self, name: &str, value: impl Fn(&'a T) -> Option<String>) -> Self {
        let column = StringArray::from_iter(self.rows.iter().map(value));
        self.column(Field::new(name, DataType::Utf8, true), Arc::new(column))
    }

    /// A boolean column without nulls.
    pub(crate) fn boolean(self, name: &str, value: impl Fn(&'a T) -> bool) -> Self {
        let column: BooleanArray = self.rows.iter().map(|row| Some(value(row))).collect();
        self.column(Field::new(name, DataType::Boolean, false), Arc::new(column))
    }

    /// A smallint column without nulls.
    pub(crate) fn int2(self, name: &str, value: impl Fn(&'a T) -> i16) -> Self {
        let column = Int16Array::from_iter_values(self.rows.iter().map(value));
        self.column(Field::new(name, DataType::Int16, false), Arc::new(column))
    }

    /// An integer column; `None` is null.
    pub(crate) fn int4(self, name: &str, value: impl Fn(&'a T) -> Option<i32>) -> Self {
        let column = Int32Array::from_iter(self.rows.iter().map(value));
        self.column(Field::new(name, DataType::Int32, true), Arc::new(column))
    }

    /// A column of object numbers of `kind`, which PostgreSQL shows as names in the right context.
    pub(crate) fn oid(self, name: &str, kind: &str, value: impl Fn(&'a T) -> i32) -> Self {
        let column = Int32Array::from_iter_values(self.rows.iter().map(value));
        self.column(oid_field(name, kind, false), Arc::new(column))
    }

    /// A bigint column; `None` is null.
    pub(crate) fn int8(self, name: &str, value: impl Fn(&'a T) -> Option<i64>) -> Self {
        let column = Int64Array::from_iter(self.rows.iter().map(value));
        self.column(Field::new(name, DataType::Int64, true), Arc::new(column))
    }

    /// A bigint column of counts, which are never null and fit.
    pub(crate) fn count(self, name: &str, value: impl Fn(&'a T) -> u64) -> Self {
        self.int8(name, move |row| {
            Some(i64::try_from(value(row)).unwrap_or(i64::MAX))
        })
    }

    /// A double column without nulls.
    pub(crate) fn float8(self, name: &str, value: impl Fn(&'a T) -> f64) -> Self {
        let column = Float64Array::from_iter_values(self.rows.iter().map(value));
        self.column(Field::new(name, DataType::Float64, false), Arc::new(column))
    }

    /// An instant in microseconds; `None` is null.
    pub(crate) fn instant(self, name: &str, value: impl Fn(&'a T) -> Option<i64>) -> Self {
        let column = TimestampMicrosecondArray::from_iter(self.rows.iter().map(value));
        let column = column.with_timezone("UTC");
        let field = Field::new(name, arrow::array::Array::data_type(&column).clone(), true);
        self.column(field, Arc::new(column))
    }

    /// A column of `data_type` that is always null.
    pub(crate) fn null(self, name: &str, data_type: DataType) -> Self {
        let column = new_null_array(&data_type, self.rows.len());
        self.column(Field::new(name, data_type, true), column)
    }

    /// Any column.
    pub(crate) fn column(mut self, field: Field, column: ArrayRef) -> Self {
        self.fields.push(field);
        self.columns.push(column);
        self
    }

    /// The batch.
    pub(crate) fn build(self) -> Result<RecordBatch, ArrowError> {
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.len()));
        RecordBatch::try_new_with_options(
            Arc::new(Schema::new(self.fields)),
            self.columns,
            &options,
        )
    }
}
