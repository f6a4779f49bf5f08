//! Parquet files as rows of the declared types. Owns which casts are exact; rounds nothing.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, FieldRef, SchemaRef, TimeUnit};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Metadata};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{Offset, SplitId};
use rtsap_stream::time::nanos_per;

use super::file_error;
use crate::format::sql_type;

/// Reads the rows of one file, in order, from an offset on.
pub struct RowReader {
    path: PathBuf,
    split: SplitId,
    reader: ParquetRecordBatchReader,
    schema: SchemaRef,
    origins: Vec<ColumnOrigin>,
    /// The number of the next row.
    next: u64,
}

fn data_error(
    path: &Path,
    error: impl std::error::Error + Send + Sync + 'static,
) -> ConnectorError {
    ConnectorError::data(format!("cannot read Parquet file \"{}\"", path.display()))
        .with_detail(format!("{error}."))
        .with_source(error)
}

fn builder(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<File>, ConnectorError> {
    let file = File::open(path).map_err(|error| file_error("open", path, error))?;
    ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| data_error(path, error))
}

/// How many rows `path` has.
///
/// # Errors
/// `Data` if it is no Parquet file.
pub fn row_count(path: &Path) -> Result<u64, ConnectorError> {
    let rows = builder(path)?.metadata().file_metadata().num_rows();
    u64::try_from(rows).map_err(|error| data_error(path, error))
}

impl RowReader {
    /// Opens `path` so that the next row is number `at`, with the columns of `projection`.
    ///
    /// # Errors
    /// `Data` if the file has fewer rows, lacks a column, or has one that the declared type cannot
    /// hold exactly.
    pub fn open(
        path: &Path,
        split: &SplitId,
        at: Offset,
        columns: &DecodeSchema,
        projection: &SchemaRef,
        rows_max: usize,
    ) -> Result<Self, ConnectorError> {
        let builder = builder(path)?;
        let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
        if at.0 > rows {
            return Err(ConnectorError::data(format!(
                "cannot read file \"{}\" at row {at}: it has {rows} rows",
                path.display()
            ))
            .with_hint("The file has become shorter since it was read; files must not change."));
        }
        let origin = |field: &FieldRef| {
            let index = columns.schema.index_of(field.name()).ok();
            index.and_then(|index| columns.origins.get(index).cloned())
        };
        let origins: Vec<ColumnOrigin> = projection
            .fields()
            .iter()
            .map(|field| origin(field).unwrap_or(ColumnOrigin::Payload))
            .collect();
        let mut roots = Vec::new();
        for (field, origin) in projection.fields().iter().zip(&origins) {
            if *origin != ColumnOrigin::Payload {
                continue;
            }
            let found = builder.schema().fields().find(field.name());
            let Some((root, held)) = found else {
                return Err(ConnectorError::data(format!(
                    "cannot read file \"{}\": it has no column \"{}\"",
                    path.display(),
                    field.name()
                )));
            };
            if !is_exact(held.data_type(), field.data_type()) {
                return Err(ConnectorError::data(format!(
                    "cannot read column \"{}\" of file \"{}\" as {} without loss",
                    field.name(),
                    path.display(),
                    sql_type(field.data_type())
                ))
                .with_detail(format!("The file holds {}.", held.data_type())));
            }
            roots.push(root);
        }
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let reader = builder
            .with_projection(mask)
            .with_offset(usize::try_from(at.0).unwrap_or(usize::MAX))
            .with_batch_size(rows_max.max(1))
            .build()
            .map_err(|error| data_error(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            split: split.clone(),
            reader,
            schema: Arc::clone(projection),
            origins,
            next: at.0,
        })
    }

    /// The next rows with the number of the first; `None` at the end of the file.
    ///
    /// # Errors
    /// `Data` if the file is damaged, or a value does not fit its declared type.
    pub fn batch(&mut self) -> Result<Option<(RecordBatch, Offset)>, ConnectorError> {
        let Some(batch) = self.reader.next() else {
            return Ok(None);
        };
        let batch = batch.map_err(|error| data_error(&self.path, error))?;
        let rows = batch.num_rows();
        let columns = self.schema.fields().iter().zip(&self.origins);
        let arrays = columns
            .map(|(field, origin)| self.column(field, origin, &batch))
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| data_error(&self.path, error))?;
        let first = self.next;
        self.next += rows as u64;
        Ok(Some((batch, Offset(first))))
    }

    fn column(
        &self,
        field: &FieldRef,
        origin: &ColumnOrigin,
        batch: &RecordBatch,
    ) -> Result<ArrayRef, ConnectorError> {
        let rows = batch.num_rows();
        let held: ArrayRef = match origin {
            ColumnOrigin::Metadata(Metadata::Offset) => {
                let first = i64::try_from(self.next).unwrap_or(i64::MAX);
                Arc::new(Int64Array::from_iter_values((first..).take(rows)))
            }
            ColumnOrigin::Metadata(_) => Arc::new(StringArray::from_iter_values(
                std::iter::repeat_n(self.split.as_str(), rows),
            )),
            ColumnOrigin::Payload => match batch.column_by_name(field.name()) {
                Some(array) => Arc::clone(array),
                None => {
                    return Err(ConnectorError::data(format!(
                        "cannot read file \"{}\": it has no column \"{}\"",
                        self.path.display(),
                        field.name()
                    )));
                }
            },
        };
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let array = cast_with_options(&held, field.data_type(), &options);
        let array = array.map_err(|error| data_error(&self.path, error))?;
        if array.null_count() > 0 && !field.is_nullable() {
            return Err(ConnectorError::data(format!(
                "cannot read column \"{}\" of file \"{}\": it is declared NOT NULL and holds nulls",
                field.name(),
                self.path.display()
            )));
        }
        Ok(array)
    }
}

/// Whether every value of `from` that `to` can hold at all is held exactly; what overflows is an
/// error of the cast.
fn is_exact(from: &DataType, to: &DataType) -> bool {
    use DataType as T;
    let text = |t: &T| matches!(t, T::Utf8 | T::LargeUtf8 | T::Utf8View);
    let bytes = |t: &T| {
        matches!(
            t,
            T::Binary | T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_)
        )
    };
    match (from, to) {
        _ if from == to => true,
        (T::Dictionary(_, value), _) => is_exact(value, to),
        _ if text(from) && text(to) => true,
        _ if bytes(from) && bytes(to) => true,
        (from, to) if from.is_integer() && to.is_integer() => true,
        (from, T::Decimal128(_, 0..)) if from.is_integer() => true,
        (T::Int8 | T::Int16 | T::UInt8 | T::UInt16, T::Float32 | T::Float64) => true,
        (T::Int32 | T::UInt32 | T::Float32, T::Float64) => true,
        (T::Float16, T::Float32 | T::Float64) => true,
        (
            T::Decimal32(_, a) | T::Decimal64(_, a) | T::Decimal128(_, a) | T::Decimal256(_, a),
            T::Decimal128(_, b),
        ) => a <= b,
        (T::Timestamp(a, zone_a), T::Timestamp(b, zone_b)) => {
            let utc = |zone: &Option<Arc<str>>| {
                zone.as_deref()
                    .is_none_or(|zone| ["UTC", "+00:00", "Z"].contains(&zone))
            };
            let same_zone = zone_a.is_some() == zone_b.is_some() || (utc(zone_a) && utc(zone_b));
            same_zone && nanos_per(*a) >= nanos_per(*b)
        }
        (T::Date32, T::Timestamp(unit, None)) => *unit != TimeUnit::Nanosecond,
        (T::List(a) | T::LargeList(a), T::List(b) | T::LargeList(b)) => {
            is_exact(a.data_type(), b.data_type())
        }
        _ => false,
    }
}
