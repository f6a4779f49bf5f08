//! CSV records to columns: RFC 4180 with typed fields. Owns quoting, NULL and how each type is
//! spelt; a record comes whole, cut out of its file by the reader, so a quoted field may hold line
//! ends.
//!
//! An empty field without quotes is NULL, `""` is the empty text (PostgreSQL's rule).

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::array::RecordBatchOptions;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Decoded, Decoder, Metadata, Reject};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::registry::SourceRequest;
use rtsap_stream::source::{RawBatch, SplitId};

use crate::options::OptionReader;

mod cell;
mod record;

pub use cell::parse_decimal;
use cell::{Cell, ColumnBuilder};
pub use record::record_end;
use record::{FieldAt, split_fields};

/// The key under which a reader hands the header record of a file along with its records.
pub const HEADER_KEY: &str = "csv.header";

/// How the fields of a file are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CsvLayout {
    /// What stands between two fields.
    pub delimiter: u8,
    /// Whether the first record names the columns.
    pub header: bool,
}

impl CsvLayout {
    /// Reads `csv.field-delimiter` and `csv.header`.
    ///
    /// # Errors
    /// `Invalid` for a delimiter that is not one ASCII character, or is a quote or a line end.
    pub fn read(reader: &mut OptionReader<'_>) -> Result<Self, ConnectorError> {
        let header = reader.flag("csv.header")?.unwrap_or(true);
        let delimiter = match reader.text("csv.field-delimiter") {
            None => b',',
            Some("\\t") => b'\t',
            Some(text) => match text.as_bytes() {
                [byte] if byte.is_ascii() && !b"\"\r\n".contains(byte) => *byte,
                _ => {
                    return Err(reader
                        .invalid("csv.field-delimiter", &format!("cannot be \"{text}\""))
                        .with_hint("Write one ASCII character, such as ',' ';' or '\\t'."));
                }
            },
        };
        Ok(Self { delimiter, header })
    }
}

/// A decoder that fills `columns` from the records of `request`.
///
/// # Errors
/// `Invalid` for a column whose type no CSV field can have.
pub fn decoder(
    request: &SourceRequest,
    columns: &DecodeSchema,
    layout: CsvLayout,
) -> Result<Box<dyn Decoder>, ConnectorError> {
    for (field, origin) in columns.schema.fields().iter().zip(columns.origins.iter()) {
        let problem = match origin {
            ColumnOrigin::Metadata(Metadata::Key | Metadata::Headers) => {
                Some("a file has no keys and no headers".to_owned())
            }
            _ => ColumnBuilder::new(field.data_type()).err(),
        };
        if let Some(problem) = problem {
            return Err(ConnectorError::invalid(format!(
                "cannot read column \"{}\" of source \"{}\" from CSV: {problem}",
                field.name(),
                request.name
            )));
        }
    }
    let origins = request
        .columns
        .origins
        .iter()
        .zip(request.columns.schema.fields());
    let declared = origins
        .filter(|(origin, _)| **origin == ColumnOrigin::Payload)
        .map(|(_, field)| field.name().clone())
        .collect();
    Ok(Box::new(CsvDecoder {
        columns: columns.clone(),
        layout,
        declared,
        fields: Vec::new(),
    }))
}

struct CsvDecoder {
    columns: DecodeSchema,
    layout: CsvLayout,
    /// Names of the payload columns in the order of their declaration: the layout of a file without
    /// a header.
    declared: Vec<String>,
    fields: Vec<FieldAt>,
}

/// Where the columns of one file are: how many fields a record has, and the field of each column of
/// the schema.
struct FileLayout {
    field_count: usize,
    places: Vec<Option<usize>>,
}

impl CsvDecoder {
    fn file_layout(&mut self, raw: &dyn RawBatch) -> Result<FileLayout, String> {
        let names = if self.layout.header {
            self.header_names(raw)?
        } else {
            self.declared.clone()
        };
        let place = |(field, origin): (&Arc<arrow::datatypes::Field>, &ColumnOrigin)| {
            if *origin != ColumnOrigin::Payload {
                return Ok(None);
            }
            match names.iter().position(|name| name == field.name()) {
                Some(place) => Ok(Some(place)),
                None => Err(format!("the header names no field \"{}\"", field.name())),
            }
        };
        let columns = self
            .columns
            .schema
            .fields()
            .iter()
            .zip(self.columns.origins.iter());
        Ok(FileLayout {
            field_count: names.len(),
            places: columns.map(place).collect::<Result<_, _>>()?,
        })
    }

    fn header_names(&mut self, raw: &dyn RawBatch) -> Result<Vec<String>, String> {
        let headers = raw.headers(0);
        let header = headers.into_iter().find(|(key, _)| key == HEADER_KEY);
        let Some((_, Some(line))) = header else {
            return Err("the file has no header".to_owned());
        };
        split_fields(&line, self.layout.delimiter, &mut self.fields)?;
        let name = |field: &FieldAt| match field.text(&line) {
            Ok(name) => Ok(name.trim().to_owned()),
            Err(problem) => Err(format!("header: {problem}")),
        };
        self.fields.iter().map(name).collect()
    }

    fn parse<'r>(
        &mut self,
        split: &'r SplitId,
        raw: &'r dyn RawBatch,
        index: usize,
        layout: &FileLayout,
        builders: &[ColumnBuilder],
        cells: &mut Vec<Cell<'r>>,
    ) -> Result<(), String> {
        let line = raw
            .payload(index)
            .ok_or_else(|| "the record is null".to_owned())?;
        split_fields(line, self.layout.delimiter, &mut self.fields)?;
        if self.fields.len() != layout.field_count {
            return Err(format!(
                "{} fields where {} are expected",
                self.fields.len(),
                layout.field_count
            ));
        }
        cells.clear();
        for (column, builder) in builders.iter().enumerate() {
            let field = self.columns.schema.field(column);
            let cell = match &self.columns.origins[column] {
                ColumnOrigin::Metadata(what) => {
                    let text = metadata(*what, split, raw, index);
                    builder.parse(text, false).map(Cell::into_owned)
                }
                ColumnOrigin::Payload => {
                    let place = layout.places[column].unwrap_or(0);
                    let at = self.fields[place];
                    at.text(line)
                        .and_then(|text| builder.parse(text, at.quoted))
                }
            };
            let cell = cell.map_err(|problem| format!("field \"{}\": {problem}", field.name()))?;
            if cell.is_null() && !field.is_nullable() {
                return Err(format!("field \"{}\" is null", field.name()));
            }
            cells.push(cell);
        }
        Ok(())
    }

    fn finish(&self, rows: usize, builders: Vec<ColumnBuilder>) -> Option<RecordBatch> {
        let arrays = builders
            .into_iter()
            .map(ColumnBuilder::finish)
            .collect::<Result<Vec<_>, _>>();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let schema = Arc::clone(&self.columns.schema);
        RecordBatch::try_new_with_options(schema, arrays.ok()?, &options).ok()
    }
}

/// What the reader knows, as text: it then takes the same road into the column as a field.
fn metadata<'r>(
    what: Metadata,
    split: &'r SplitId,
    raw: &dyn RawBatch,
    index: usize,
) -> Cow<'r, str> {
    match what {
        Metadata::Offset => Cow::Owned(raw.offset(index).to_string()),
        Metadata::Timestamp => {
            let time = raw
                .timestamp(index)
                .and_then(chrono::DateTime::from_timestamp_micros);
            Cow::Owned(time.map(|time| time.to_rfc3339()).unwrap_or_default())
        }
        Metadata::Partition | Metadata::Topic | Metadata::Key | Metadata::Headers => {
            Cow::Borrowed(split.as_str())
        }
    }
}

impl Decoder for CsvDecoder {
    fn schema(&self) -> &SchemaRef {
        &self.columns.schema
    }

    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded {
        let mut rejects = Vec::new();
        let mut reject = |index: usize, reason: String| {
            rejects.push(Reject {
                split: split.clone(),
                offset: raw.offset(index),
                reason,
                payload: Bytes::copy_from_slice(raw.payload(index).unwrap_or_default()),
            });
        };
        let fields = self.columns.schema.fields();
        let builders: Result<Vec<_>, _> = fields
            .iter()
            .map(|field| ColumnBuilder::new(field.data_type()))
            .collect();
        let layout = if raw.is_empty() {
            Err(String::new())
        } else {
            self.file_layout(raw)
        };
        let (Ok(mut builders), Ok(layout)) = (builders, &layout) else {
            let reason = layout
                .err()
                .unwrap_or_else(|| "no such column type".to_owned());
            (0..raw.len()).for_each(|index| reject(index, reason.clone()));
            return Decoded {
                rows: RecordBatch::new_empty(Arc::clone(self.schema())),
                rejects,
                ops: None,
            };
        };
        let mut cells = Vec::with_capacity(builders.len());
        let mut good: Vec<usize> = Vec::with_capacity(raw.len());
        for index in 0..raw.len() {
            match self.parse(split, raw, index, layout, &builders, &mut cells) {
                Ok(()) => {
                    builders
                        .iter_mut()
                        .zip(cells.drain(..))
                        .for_each(|(b, cell)| b.push(cell));
                    good.push(index);
                }
                Err(reason) => reject(index, reason),
            }
        }
        match self.finish(good.len(), builders) {
            Some(rows) => Decoded {
                rows,
                rejects,
                ops: None,
            },
            None => {
                // Every cell was checked against its type; if Arrow disagrees, no row may be lost.
                let reason = "the columns cannot be put together".to_owned();
                good.into_iter()
                    .for_each(|index| reject(index, reason.clone()));
                rejects.sort_by_key(|reject| reject.offset);
                Decoded {
                    rows: RecordBatch::new_empty(Arc::clone(self.schema())),
                    rejects,
                    ops: None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
