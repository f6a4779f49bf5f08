//! JSON objects to columns, driven by the schema: only the wanted fields are read, each straight
//! into the vector that becomes its Arrow array. A payload is one JSON object; a bad one becomes a
//! reject and leaves no trace in the rows.
//!
//! How values are read is the table in [`value`]; how the order of fields is guessed, [`object`].
//! Field names are compared exactly, case included; unknown fields are skipped by their grammar
//! alone; of a field that comes twice the last one counts.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Fields, SchemaRef};
use arrow::error::ArrowError;
use bytes::Bytes;
use rtsap_stream::decode::{DecodeSchema, Decoded, Decoder, Reject};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{RawBatch, SplitId};

use crate::options::OptionReader;

use super::column::Column;
use super::metadata::MetadataColumns;
use super::rows::PayloadColumns;

mod cursor;
pub(crate) mod debezium;
mod fault;
mod number;
mod object;
mod text;
mod value;

pub use value::TimestampFormat;

use cursor::Cursor;
use fault::{Fault, Parsed};
use object::Shape;
use value::Values;

/// The options that this format reads.
pub const OPTION_KEYS: [&str; 1] = [TIMESTAMP_FORMAT];

const TIMESTAMP_FORMAT: &str = "json.timestamp-format";

/// Turns JSON objects into rows of one schema.
pub struct JsonDecoder {
    schema: SchemaRef,
    /// The columns from the payload, and the place of each in the schema.
    columns: Vec<Column>,
    places: Vec<usize>,
    metadata: MetadataColumns,
    shape: Shape,
    values: Values,
}

impl JsonDecoder {
    /// A decoder for the payloads of the source in `request` that fills `columns`.
    ///
    /// # Errors
    /// `Invalid` for a bad option of the format and for a column whose type JSON cannot fill.
    pub fn new(request: &SourceRequest, columns: &DecodeSchema) -> Result<Self, ConnectorError> {
        let mut reader =
            OptionReader::new(format!("source \"{}\"", request.name), &request.options);
        let timestamps = reader.choice(
            TIMESTAMP_FORMAT,
            &[
                ("auto", TimestampFormat::Auto),
                ("iso", TimestampFormat::Iso),
                ("epoch-s", TimestampFormat::Epoch(0)),
                ("epoch-ms", TimestampFormat::Epoch(3)),
                ("epoch-us", TimestampFormat::Epoch(6)),
                ("epoch-ns", TimestampFormat::Epoch(9)),
            ],
        )?;
        let topic = request.options.get("topic");
        let mut decoder = Self::with_timestamps(columns, timestamps.unwrap_or_default())?;
        decoder.metadata = MetadataColumns::new(columns, topic)?;
        Ok(decoder)
    }

    /// A decoder that fills `columns` and reads timestamps in this format. Without a topic's name.
    ///
    /// # Errors
    /// `Invalid` for a column whose type JSON cannot fill.
    pub fn with_timestamps(
        columns: &DecodeSchema,
        timestamps: TimestampFormat,
    ) -> Result<Self, ConnectorError> {
        let metadata = MetadataColumns::new(columns, None)?;
        let payload = PayloadColumns::new(columns, "json")?;
        Ok(Self {
            schema: Arc::clone(&columns.schema),
            columns: payload.columns,
            places: payload.places,
            metadata,
            shape: Shape::new(&Fields::from(payload.fields)),
            values: Values {
                timestamps,
                ..Values::default()
            },
        })
    }

    /// Reads one payload into row `row`; on a fault parts of the row may be there.
    #[inline]
    fn read(&mut self, row: usize, payload: &[u8]) -> Parsed<()> {
        let mut cursor = Cursor::new(payload);
        cursor.skip_white_space();
        match cursor.peek() {
            Some(b'{') => {}
            Some(b'[') => {
                return Err(Fault::other(
                    "the payload is a JSON array; one JSON object a payload is expected",
                ));
            }
            None => return Err(Fault::other("the payload is empty")),
            Some(_) => return Err(Fault::syntax(cursor.at, "an object")),
        }
        self.shape
            .read(&mut self.columns, row, &mut cursor, &mut self.values, 0)?;
        cursor.skip_white_space();
        if cursor.at < payload.len() {
            return Err(Fault::syntax(cursor.at, "the end of the payload"));
        }
        Ok(())
    }

    /// Cuts everything behind the first `rows` rows off.
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

impl Decoder for JsonDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        self.columns
            .iter_mut()
            .for_each(|column| column.reserve(raw.len()));
        let mut rejects = Vec::new();
        let mut rows = 0;
        for index in 0..raw.len() {
            let payload = raw.payload(index);
            let read = match payload {
                Some(payload) => self
                    .read(rows, payload)
                    .map_err(|fault| fault.reason(payload)),
                None => Err("the payload is null (a tombstone)".to_owned()),
            };
            let read = read.and_then(|()| self.metadata.push(split, raw, index));
            match read {
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
                let rows = RecordBatch::new_empty(Arc::clone(&self.schema));
                Decoded {
                    rows,
                    rejects: all.collect(),
                    ops: None,
                }
            }
        }
    }
}

fn reject(split: &SplitId, raw: &dyn RawBatch, index: usize, reason: String) -> Reject {
    let payload = Bytes::copy_from_slice(raw.payload(index).unwrap_or_default());
    Reject {
        split: split.clone(),
        offset: raw.offset(index),
        reason,
        payload,
    }
}

#[cfg(test)]
mod tests;
