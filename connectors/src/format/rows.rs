//! Rows under construction from payloads of any format: columns from the payload, columns from what
//! the transport knows, and bad payloads undone. A format only reads one payload into columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{FieldRef, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Decoded, Reject};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{RawBatch, SplitId};

use super::column::Column;
use super::metadata::MetadataColumns;
use super::sql_type;

/// The columns of a schema that the payload fills, still empty.
pub(crate) struct PayloadColumns {
    pub(crate) columns: Vec<Column>,
    /// Their fields, and the place of each in the schema.
    pub(crate) fields: Vec<FieldRef>,
    pub(crate) places: Vec<usize>,
}

impl PayloadColumns {
    /// Those of `columns`; `format` is named in messages.
    ///
    /// # Errors
    /// `Invalid` for a column whose type no format can fill.
    pub(crate) fn new(columns: &DecodeSchema, format: &str) -> Result<Self, ConnectorError> {
        let (mut fields, mut built, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (place, origin) in columns.origins.iter().enumerate() {
            if *origin != ColumnOrigin::Payload {
                continue;
            }
            let field = &columns.schema.fields()[place];
            let column = Column::new(field.data_type(), field.is_nullable()).ok_or_else(|| {
                ConnectorError::invalid(format!(
                    "format \"{format}\" cannot fill column \"{}\" of type {}",
                    field.name(),
                    sql_type(field.data_type())
                ))
            })?;
            fields.push(Arc::clone(field));
            built.push(column);
            places.push(place);
        }
        Ok(Self {
            columns: built,
            fields,
            places,
        })
    }
}

/// The columns of a schema under construction.
pub(crate) struct Rows {
    schema: SchemaRef,
    /// The columns from the payload.
    pub(crate) columns: Vec<Column>,
    /// Their fields, and the place of each in the schema.
    pub(crate) fields: Vec<FieldRef>,
    places: Vec<usize>,
    metadata: MetadataColumns,
}

impl Rows {
    /// Empty columns for `columns`; `format` is named in messages, `topic` is what is read.
    ///
    /// # Errors
    /// `Invalid` for a column whose type no format can fill.
    pub(crate) fn new(
        columns: &DecodeSchema,
        format: &str,
        topic: Option<&str>,
    ) -> Result<Self, ConnectorError> {
        let metadata = MetadataColumns::new(columns, topic)?;
        let payload = PayloadColumns::new(columns, format)?;
        Ok(Self {
            schema: Arc::clone(&columns.schema),
            columns: payload.columns,
            fields: payload.fields,
            places: payload.places,
            metadata,
        })
    }

    /// The schema of the rows.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads every payload of `raw` by `read`, which appends one value to each column or says why
    /// it cannot; what it has appended until then is undone.
    pub(crate) fn decode(
        &mut self,
        split: &SplitId,
        raw: &dyn RawBatch,
        mut read: impl FnMut(&mut [Column], &[u8]) -> Result<(), String>,
    ) -> Decoded {
        let mut rejects = Vec::new();
        let mut rows = 0;
        for index in 0..raw.len() {
            let done = match raw.payload(index) {
                Some(payload) => read(&mut self.columns, payload),
                None => Err("the payload is null (a tombstone)".to_owned()),
            };
            match done.and_then(|()| self.metadata.push(split, raw, index)) {
                Ok(()) => rows += 1,
                Err(reason) => {
                    self.truncate(rows);
                    rejects.push(reject(split, raw, index, reason));
                }
            }
        }
        match self.finish(rows) {
            Ok(rows) => Decoded {
                rows,
                rejects,
                ops: None,
            },
            Err(error) => {
                // A bug; but even then no payload may vanish.
                self.truncate(0);
                let reason = format!("cannot build the columns: {error}");
                let all = (0..raw.len()).map(|index| reject(split, raw, index, reason.clone()));
                Decoded {
                    rows: RecordBatch::new_empty(Arc::clone(&self.schema)),
                    rejects: all.collect(),
                    ops: None,
                }
            }
        }
    }

    fn truncate(&mut self, rows: usize) {
        self.columns
            .iter_mut()
            .for_each(|column| column.truncate(rows));
        self.metadata.truncate(rows);
    }

    fn finish(&mut self, rows: usize) -> Result<RecordBatch, ArrowError> {
        let mut arrays: Vec<(usize, ArrayRef)> = self.metadata.finish()?;
        for (column, place) in self.columns.iter_mut().zip(&self.places) {
            arrays.push((*place, column.finish()?));
        }
        arrays.sort_unstable_by_key(|(place, _)| *place);
        let arrays = arrays.into_iter().map(|(_, array)| array).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
    }
}

/// Payload `index` of `raw` as a reject.
pub(crate) fn reject(split: &SplitId, raw: &dyn RawBatch, index: usize, reason: String) -> Reject {
    Reject {
        split: split.clone(),
        offset: raw.offset(index),
        reason,
        payload: Bytes::copy_from_slice(raw.payload(index).unwrap_or_default()),
    }
}
