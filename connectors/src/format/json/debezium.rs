//! Debezium's envelopes: what happened to a row of another database, with the row before and after.
//!
//! `{"op": "c", "before": null, "after": {…}}`, bare or as `payload` beside a schema. `c`, `r` and
//! `u` put the row after, `d` takes the row before away, of which only the key is needed. The null
//! payload that follows a delete says nothing new.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{filter_record_batch, interleave};
use arrow::datatypes::{Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use rtsap_stream::decode::{DecodeSchema, Decoded, Decoder, Reject};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{Offset, RawBatch, SplitId};

use crate::format::rows::reject;
use crate::format::upsert::nothing;

use super::JsonDecoder;
use super::cursor::Cursor;
use super::fault::{Fault, Parsed};

/// Turns envelopes into rows that are put or taken away.
pub(crate) struct DebeziumDecoder {
    schema: SchemaRef,
    /// Reads rows, of which only the key's columns must be there.
    rows: JsonDecoder,
}

impl DebeziumDecoder {
    /// A decoder that fills `columns`; those of the primary key are in every row.
    ///
    /// # Errors
    /// As [`JsonDecoder::new`]; `Invalid` without a primary key.
    pub(crate) fn new(
        request: &SourceRequest,
        columns: &DecodeSchema,
    ) -> Result<Self, ConnectorError> {
        if request.primary_key.is_empty() {
            let message = format!(
                "source \"{}\" with format \"debezium-json\" has no primary key",
                request.name
            );
            let hint = "Declare the key of the captured table: PRIMARY KEY (id) NOT ENFORCED.";
            return Err(ConnectorError::invalid(message).with_hint(hint));
        }
        let is_key = |name: &str| {
            let fields = request.columns.schema.fields();
            request
                .primary_key
                .iter()
                .any(|index| fields[*index].name() == name)
        };
        let fields = columns.schema.fields().iter();
        let lenient = fields.map(|field| match is_key(field.name()) {
            true => Arc::clone(field),
            false => Arc::new(field.as_ref().clone().with_nullable(true)),
        });
        let lenient = DecodeSchema {
            schema: Arc::new(Schema::new(lenient.collect::<Fields>())),
            origins: Arc::clone(&columns.origins),
        };
        Ok(Self {
            schema: Arc::clone(&columns.schema),
            rows: JsonDecoder::new(request, &lenient)?,
        })
    }

    /// `rows` in the schema of the source: a put row without a value that it must have is bad, one
    /// that is taken away may lack what is not its key.
    fn strict(
        &self,
        rows: &RecordBatch,
        ops: &[i8],
    ) -> Result<(RecordBatch, Vec<bool>), ArrowError> {
        let mut good = vec![true; rows.num_rows()];
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(rows.num_columns());
        for (field, column) in self.schema.fields().iter().zip(rows.columns()) {
            if field.is_nullable() || column.null_count() == 0 {
                columns.push(Arc::clone(column));
                continue;
            }
            let filler = nothing(field.data_type(), false)?;
            let mut picks = Vec::with_capacity(column.len());
            for row in 0..column.len() {
                let absent = column.is_null(row);
                good[row] &= !absent || ops[row] < 0;
                picks.push(if absent { (1, 0) } else { (0, row) });
            }
            columns.push(interleave(&[column.as_ref(), filler.as_ref()], &picks)?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        let schema = Arc::clone(&self.schema);
        let strict = RecordBatch::try_new_with_options(schema, columns, &options)?;
        Ok((strict, good))
    }
}

/// The rows inside of the envelopes of a batch, in the place of payloads.
struct Rows<'a> {
    raw: &'a dyn RawBatch,
    /// Index of the payload and where in it its row is.
    rows: Vec<(usize, Range<usize>)>,
}

impl RawBatch for Rows<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn payload(&self, index: usize) -> Option<&[u8]> {
        let (payload, range) = &self.rows[index];
        self.raw.payload(*payload)?.get(range.clone())
    }

    fn key(&self, index: usize) -> Option<&[u8]> {
        self.raw.key(self.rows[index].0)
    }

    fn timestamp(&self, index: usize) -> Option<i64> {
        self.raw.timestamp(self.rows[index].0)
    }

    fn offset(&self, index: usize) -> Offset {
        self.raw.offset(self.rows[index].0)
    }

    fn headers(&self, index: usize) -> Vec<(String, Option<Vec<u8>>)> {
        self.raw.headers(self.rows[index].0)
    }

    fn resume_at(&self) -> Offset {
        self.raw.resume_at()
    }
}

impl Decoder for DebeziumDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        let mut rejects: Vec<Reject> = Vec::new();
        let mut rows = Vec::with_capacity(raw.len());
        let mut ops = Vec::with_capacity(raw.len());
        for index in 0..raw.len() {
            let payload = raw.payload(index).unwrap_or_default();
            match change(payload) {
                Ok((op, range)) => {
                    rows.push((index, range));
                    ops.push(op);
                }
                Err(fault) => rejects.push(reject(split, raw, index, fault.reason(payload))),
            }
        }
        let inner = Rows { raw, rows };
        let decoded = self.rows.decode(split, &inner);
        let whole = |offset: Offset| {
            let index = (0..raw.len()).find(|index| raw.offset(*index) == offset);
            index.unwrap_or_default()
        };
        let bad: HashSet<Offset> = decoded.rejects.iter().map(|bad| bad.offset).collect();
        for bad in decoded.rejects {
            // The reject shows the whole envelope.
            rejects.push(reject(split, raw, whole(bad.offset), bad.reason));
        }
        let kept: Vec<usize> = (0..inner.len())
            .filter(|row| !bad.contains(&inner.offset(*row)))
            .collect();
        let ops: Vec<i8> = kept.iter().map(|row| ops[*row]).collect();
        let strict = self.strict(&decoded.rows, &ops).and_then(|(rows, good)| {
            for (row, _) in kept.iter().zip(&good).filter(|(_, good)| !**good) {
                let reason = "the row after lacks a column that is NOT NULL".to_owned();
                rejects.push(reject(split, raw, inner.rows[*row].0, reason));
            }
            let ops = ops.iter().zip(&good).filter(|(_, good)| **good);
            let ops: Vec<i8> = ops.map(|(op, _)| *op).collect();
            Ok((filter_record_batch(&rows, &good.into())?, ops))
        });
        let (rows, ops) = strict.unwrap_or_else(|error| {
            // A bug; but even then no payload may vanish.
            let reason = format!("cannot build the columns: {error}");
            let all = kept.iter().map(|row| inner.rows[*row].0);
            rejects.extend(all.map(|index| reject(split, raw, index, reason.clone())));
            (RecordBatch::new_empty(Arc::clone(&self.schema)), Vec::new())
        });
        rejects.sort_by_key(|reject| reject.offset);
        Decoded {
            rows,
            rejects,
            ops: Some(ops),
        }
    }
}

/// What an envelope does (+1 puts, −1 takes away), and where its row is.
fn change(payload: &[u8]) -> Parsed<(i8, Range<usize>)> {
    let mut parts = Parts::read(payload, 0..payload.len())?;
    if let (None, Some(inner)) = (&parts.op, parts.payload.take()) {
        parts = Parts::read(payload, inner)?;
    }
    let word = parts.op.map(|range| &payload[range]);
    let (op, row, name) = match word {
        Some(b"\"c\"" | b"\"r\"" | b"\"u\"") => (1, parts.after, "after"),
        Some(b"\"d\"") => (-1, parts.before, "before"),
        Some(b"\"t\"") => return Err(Fault::other("op \"t\" (truncate) cannot be applied")),
        Some(_) => return Err(Fault::other("the envelope's op is none of c, r, u and d")),
        None => {
            return Err(Fault::other(
                "the payload is no envelope of Debezium: it has no op",
            ));
        }
    };
    match row {
        Some(row) if payload[row.clone()].first() == Some(&b'{') => Ok((op, row)),
        _ if name == "after" => Err(Fault::other("the envelope has no row after")),
        _ => Err(Fault::other("the envelope has no row before")),
    }
}

/// Where the parts of an envelope are.
#[derive(Default)]
struct Parts {
    op: Option<Range<usize>>,
    before: Option<Range<usize>>,
    after: Option<Range<usize>>,
    payload: Option<Range<usize>>,
}

impl Parts {
    fn read(payload: &[u8], range: Range<usize>) -> Parsed<Self> {
        let mut cursor = Cursor::new(&payload[..range.end]);
        cursor.at = range.start;
        let mut parts = Self::default();
        cursor.skip_white_space();
        cursor.expect(b'{', "an object")?;
        cursor.skip_white_space();
        if cursor.peek() == Some(b'}') {
            return Ok(parts);
        }
        loop {
            cursor.skip_white_space();
            let key = cursor.string()?;
            cursor.skip_white_space();
            cursor.expect(b':', "':'")?;
            cursor.skip_white_space();
            let start = cursor.at;
            cursor.skip_value(1)?;
            let value = Some(start..cursor.at);
            match key.raw {
                b"op" => parts.op = value,
                b"before" => parts.before = value,
                b"after" => parts.after = value,
                b"payload" => parts.payload = value,
                _ => {}
            }
            cursor.skip_white_space();
            match cursor.peek() {
                Some(b',') => cursor.at += 1,
                Some(b'}') => break,
                _ => return Err(Fault::syntax(cursor.at, "',' or '}'")),
            }
        }
        cursor.at += 1;
        cursor.skip_white_space();
        if cursor.at < range.end {
            return Err(Fault::syntax(cursor.at, "the end of the payload"));
        }
        Ok(parts)
    }
}
