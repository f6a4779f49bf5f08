//! CSV records as payloads of a topic: one record a payload, without a header, its fields in the
//! order of the columns.
//!
//! The CSV decoder knows files; what a topic knows besides (keys, headers, partitions) is added
//! here.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Decoded, Decoder};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{RawBatch, SplitId};

use crate::options::OptionReader;

use super::csv::{self, CsvLayout};
use super::metadata::MetadataColumns;
use super::rows::reject;
use super::upsert::some_columns;

/// The option that a topic's CSV has.
pub(crate) const OPTION_KEYS: [&str; 1] = ["csv.field-delimiter"];

/// Turns records into rows.
pub(crate) struct CsvTopicDecoder {
    schema: SchemaRef,
    /// Reads the columns from payloads, which are at `places` of the schema.
    records: Box<dyn Decoder>,
    places: Vec<usize>,
    metadata: MetadataColumns,
}

impl CsvTopicDecoder {
    /// A decoder that fills `columns`.
    ///
    /// # Errors
    /// `Invalid` for a bad delimiter and for a column whose type CSV cannot fill.
    pub(crate) fn new(
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Self, ConnectorError> {
        let subject = format!("source \"{}\"", request.name);
        let mut reader = OptionReader::new(subject, &request.options);
        let layout = CsvLayout {
            header: false,
            ..CsvLayout::read(&mut reader)?
        };
        let from_payload = |place: &usize| columns.origins[*place] == ColumnOrigin::Payload;
        let places: Vec<usize> = (0..columns.origins.len()).filter(from_payload).collect();
        Ok(Self {
            schema: Arc::clone(&columns.schema),
            records: csv::decoder(request, &some_columns(columns, &places), layout)?,
            places,
            metadata: MetadataColumns::new(columns, request.options.get("topic"))?,
        })
    }

    fn assemble(&mut self, records: &RecordBatch) -> Option<RecordBatch> {
        let mut arrays = self.metadata.finish().ok()?;
        let columns = self.places.iter().zip(records.columns());
        arrays.extend(columns.map(|(place, column)| (*place, Arc::clone(column))));
        arrays.sort_unstable_by_key(|(place, _)| *place);
        let arrays = arrays.into_iter().map(|(_, array)| array).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(records.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options).ok()
    }
}

impl Decoder for CsvTopicDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        let Decoded {
            rows, mut rejects, ..
        } = self.records.decode(split, raw);
        let bad: Vec<_> = rejects.iter().map(|bad| bad.offset).collect();
        let mut bad = bad.into_iter().peekable();
        let mut kept = Vec::with_capacity(rows.num_rows());
        let mut good = 0;
        for index in 0..raw.len() {
            if bad.peek() == Some(&raw.offset(index)) {
                bad.next();
                continue;
            }
            let pushed = self.metadata.push(split, raw, index);
            kept.push(pushed.is_ok());
            match pushed {
                Ok(()) => good += 1,
                Err(reason) => {
                    self.metadata.truncate(good);
                    rejects.push(reject(split, raw, index, reason));
                }
            }
        }
        let mask = BooleanArray::from(kept);
        let records = filter_record_batch(&rows, &mask).unwrap_or(rows);
        let Some(rows) = self.assemble(&records) else {
            // A bug; but even then no payload may vanish.
            self.metadata.truncate(0);
            let reason = "the columns cannot be put together".to_owned();
            let all = (0..raw.len()).map(|index| reject(split, raw, index, reason.clone()));
            return Decoded {
                rows: RecordBatch::new_empty(Arc::clone(&self.schema)),
                rejects: all.collect(),
                ops: None,
            };
        };
        rejects.sort_by_key(|reject| reject.offset);
        Decoded {
            rows,
            rejects,
            ops: None,
        }
    }
}
