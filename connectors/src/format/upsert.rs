//! Rows by primary key: a payload puts the row of its key, a null payload (a tombstone) takes it
//! away. The key's columns of a tombstone come from the record's key, read by `key.format`, or from
//! metadata.
//!
//! Wraps the decoder of the format of the values; knows no format itself.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use rtsap_stream::decode::{DecodeSchema, Decoded, Decoder, Reject};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{Offset, RawBatch, SplitId};

use super::column::Column;
use super::rows::reject;

/// What a null payload means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tombstone {
    /// The end of its key's row.
    Deletes,
    /// Nothing: the payload before it has said so already.
    Nothing,
    /// A bad payload: the source has no primary key.
    Rejects,
}

/// A decoder of some of the columns.
pub(crate) struct Part {
    /// The decoder.
    pub(crate) decoder: Box<dyn Decoder>,
    /// For each of its columns the place in the whole schema.
    pub(crate) places: Vec<usize>,
}

/// Puts rows and takes them away.
pub(crate) struct UpsertDecoder {
    pub(crate) schema: SchemaRef,
    /// Reads payloads.
    pub(crate) value: Part,
    /// Reads keys, if something says how.
    pub(crate) key: Option<Part>,
    /// Whether the columns of the key are in the key alone.
    pub(crate) key_apart: bool,
    pub(crate) tombstone: Tombstone,
}

/// The columns `places` of `columns`.
pub(crate) fn some_columns(columns: &DecodeSchema, places: &[usize]) -> DecodeSchema {
    let fields = places
        .iter()
        .map(|place| Arc::clone(&columns.schema.fields()[*place]));
    let schema = arrow::datatypes::Schema::new(fields.collect::<arrow::datatypes::Fields>());
    DecodeSchema {
        schema: Arc::new(schema),
        origins: places
            .iter()
            .map(|place| columns.origins[*place].clone())
            .collect(),
    }
}

/// Some payloads of a batch, or their keys in the place of payloads.
struct Picked<'a> {
    raw: &'a dyn RawBatch,
    indices: Vec<usize>,
    keys: bool,
}

impl RawBatch for Picked<'_> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn payload(&self, index: usize) -> Option<&[u8]> {
        match self.keys {
            true => self.raw.key(self.indices[index]),
            false => self.raw.payload(self.indices[index]),
        }
    }

    fn key(&self, index: usize) -> Option<&[u8]> {
        self.raw.key(self.indices[index])
    }

    fn timestamp(&self, index: usize) -> Option<i64> {
        self.raw.timestamp(self.indices[index])
    }

    fn offset(&self, index: usize) -> Offset {
        self.raw.offset(self.indices[index])
    }

    fn headers(&self, index: usize) -> Vec<(String, Option<Vec<u8>>)> {
        self.raw.headers(self.indices[index])
    }

    fn resume_at(&self) -> Offset {
        self.raw.resume_at()
    }
}

/// Decoded rows by the index of their payload.
struct Read {
    rows: RecordBatch,
    ops: Option<Vec<i8>>,
    row_of: HashMap<usize, usize>,
    rejects: Vec<Reject>,
}

fn read(part: &mut Part, split: &SplitId, picked: &Picked<'_>) -> Read {
    let decoded = part.decoder.decode(split, picked);
    let bad: HashSet<Offset> = decoded.rejects.iter().map(|reject| reject.offset).collect();
    let good = picked
        .indices
        .iter()
        .filter(|index| !bad.contains(&picked.raw.offset(**index)));
    Read {
        row_of: good.enumerate().map(|(row, index)| (*index, row)).collect(),
        rows: decoded.rows,
        ops: decoded.ops,
        rejects: decoded.rejects,
    }
}

/// Where a row's cells come from.
#[derive(Clone, Copy)]
struct Sources {
    value: Option<usize>,
    key: Option<usize>,
    op: i8,
}

impl UpsertDecoder {
    fn keys_wanted(&self, raw: &dyn RawBatch) -> Vec<usize> {
        let tombstones = self.tombstone == Tombstone::Deletes;
        let wanted = |index: &usize| match raw.payload(*index) {
            Some(_) => self.key_apart,
            None => tombstones,
        };
        match self.key {
            Some(_) => (0..raw.len()).filter(wanted).collect(),
            None => Vec::new(),
        }
    }

    /// What row each payload gives, or why none.
    fn sources(
        &self,
        raw: &dyn RawBatch,
        index: usize,
        values: &Read,
        keys: Option<&Read>,
    ) -> Result<Sources, Option<String>> {
        let key = keys.and_then(|keys| keys.row_of.get(&index).copied());
        if raw.payload(index).is_some() {
            let value = values.row_of.get(&index).copied().ok_or(None)?;
            if self.key_apart && key.is_none() {
                return Err(None);
            }
            let op = values.ops.as_ref().map_or(1, |ops| ops[value]);
            return Ok(Sources {
                value: Some(value),
                key: key.filter(|_| self.key_apart),
                op,
            });
        }
        match (self.tombstone, key) {
            (Tombstone::Nothing, _) => Ok(Sources {
                value: None,
                key: None,
                op: 0,
            }),
            (Tombstone::Rejects, _) => Err(Some(
                "the payload is null (a tombstone), and the source has no PRIMARY KEY".to_owned(),
            )),
            (Tombstone::Deletes, Some(key)) => Ok(Sources {
                value: None,
                key: Some(key),
                op: -1,
            }),
            (Tombstone::Deletes, None) if self.key.is_none() => Err(Some(
                "the payload is null (a tombstone), and no option 'key.format' says how to read \
                 its key"
                    .to_owned(),
            )),
            (Tombstone::Deletes, None) => Err(None),
        }
    }

    fn column(
        &self,
        place: usize,
        sources: &[Sources],
        values: &Read,
        keys: Option<&Read>,
    ) -> Result<ArrayRef, ArrowError> {
        let field = self.schema.field(place);
        let column_of = |part: &Part, read: &Read| {
            let column = part.places.iter().position(|of| *of == place);
            column.map(|column| Arc::clone(read.rows.column(column)))
        };
        let nothing = nothing(field.data_type(), field.is_nullable())?;
        let value = column_of(&self.value, values);
        let key = keys
            .zip(self.key.as_ref())
            .and_then(|(read, part)| column_of(part, read));
        let picks = sources
            .iter()
            .map(|from| match (&value, &key, from.value, from.key) {
                (_, Some(_), _, Some(row)) => (2, row),
                (Some(_), _, Some(row), _) => (1, row),
                _ => (0, 0),
            });
        let picks: Vec<(usize, usize)> = picks.collect();
        let value = value.unwrap_or_else(|| Arc::clone(&nothing));
        let key = key.unwrap_or_else(|| Arc::clone(&nothing));
        interleave(&[nothing.as_ref(), value.as_ref(), key.as_ref()], &picks)
    }
}

/// One null, or what stands for it in a column that has none.
pub(crate) fn nothing(
    data_type: &arrow::datatypes::DataType,
    nullable: bool,
) -> Result<ArrayRef, ArrowError> {
    match Column::new(data_type, nullable) {
        Some(mut column) => {
            column.push_null();
            column.finish()
        }
        None => Ok(new_null_array(data_type, 1)),
    }
}

impl Decoder for UpsertDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn prepare(&mut self, raw: &dyn RawBatch) -> Result<(), ConnectorError> {
        self.value.decoder.prepare(raw)?;
        let indices = self.keys_wanted(raw);
        if let Some(key) = &mut self.key {
            let keys = true;
            key.decoder.prepare(&Picked { raw, indices, keys })?;
        }
        Ok(())
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        let written = (0..raw.len()).filter(|index| raw.payload(*index).is_some());
        let picked = Picked {
            raw,
            indices: written.collect(),
            keys: false,
        };
        let mut values = read(&mut self.value, split, &picked);
        let indices = self.keys_wanted(raw);
        let picked = Picked {
            raw,
            indices,
            keys: true,
        };
        let mut keys = self.key.as_mut().map(|key| read(key, split, &picked));
        let mut rejects = std::mem::take(&mut values.rejects);
        let keyless = (0..raw.len()).filter(|index| raw.key(*index).is_none());
        let keyless: HashSet<Offset> = keyless.map(|index| raw.offset(index)).collect();
        for mut bad in keys
            .iter_mut()
            .flat_map(|keys| std::mem::take(&mut keys.rejects))
        {
            bad.reason = match keyless.contains(&bad.offset) {
                true => "the message has no key".to_owned(),
                false => format!("key: {}", bad.reason),
            };
            rejects.push(bad);
        }
        let mut sources = Vec::with_capacity(raw.len());
        for index in 0..raw.len() {
            match self.sources(raw, index, &values, keys.as_ref()) {
                Ok(from) => sources.push(from),
                Err(Some(reason)) => rejects.push(reject(split, raw, index, reason)),
                Err(None) => {}
            }
        }
        rejects.sort_by_key(|reject| reject.offset);
        rejects.dedup_by_key(|reject| reject.offset);
        let columns = (0..self.schema.fields().len())
            .map(|place| self.column(place, &sources, &values, keys.as_ref()));
        let built = columns.collect::<Result<Vec<_>, _>>().and_then(|columns| {
            let options = RecordBatchOptions::new().with_row_count(Some(sources.len()));
            RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
        });
        match built {
            Ok(rows) => Decoded {
                rows,
                rejects,
                ops: Some(sources.iter().map(|from| from.op).collect()),
            },
            Err(error) => {
                // A bug; but even then no payload may vanish.
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
}
