//! Columns that are filled from what the transport knows about a payload, whatever its format.

use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Metadata};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{RawBatch, SplitId};

use super::column::{Column, Values};
use super::{sql_type, timestamp_digits};

/// The metadata columns of a schema under construction.
pub(crate) struct MetadataColumns {
    columns: Vec<MetadataColumn>,
    topic: Option<String>,
}

struct MetadataColumn {
    /// In the schema.
    index: usize,
    name: String,
    what: Metadata,
    column: Column,
}

impl MetadataColumns {
    /// The metadata columns of `columns`; `topic` is the name of what is read, if it is not the
    /// split's own.
    ///
    /// # Errors
    /// `Invalid` for a column whose type cannot hold its metadata.
    pub(crate) fn new(columns: &DecodeSchema, topic: Option<&str>) -> Result<Self, ConnectorError> {
        let mut found = Vec::new();
        for (index, origin) in columns.origins.iter().enumerate() {
            let ColumnOrigin::Metadata(what) = origin else {
                continue;
            };
            let field = columns.schema.field(index);
            let column = Column::new(field.data_type(), field.is_nullable())
                .filter(|column| fits(*what, column))
                .ok_or_else(|| wrong_type(*what, field))?;
            found.push(MetadataColumn {
                index,
                name: field.name().clone(),
                what: *what,
                column,
            });
        }
        Ok(Self {
            columns: found,
            topic: topic.map(str::to_owned),
        })
    }

    /// Appends row `row` from what `raw` says of its payload `index`. On an error some columns may
    /// have the row.
    ///
    /// # Errors
    /// The reason why the payload is a reject.
    #[inline]
    pub(crate) fn push(
        &mut self,
        split: &SplitId,
        raw: &dyn RawBatch,
        index: usize,
    ) -> Result<(), String> {
        if self.columns.is_empty() {
            Ok(())
        } else {
            self.push_all(split, raw, index)
        }
    }

    fn push_all(
        &mut self,
        split: &SplitId,
        raw: &dyn RawBatch,
        index: usize,
    ) -> Result<(), String> {
        for MetadataColumn {
            name, what, column, ..
        } in &mut self.columns
        {
            match push(column, *what, split, raw, index, self.topic.as_deref()) {
                Ok(true) => {}
                Ok(false) if column.nullable => column.push_null(),
                Ok(false) => {
                    return Err(format!(
                        "field \"{name}\": missing, but the column is NOT NULL"
                    ));
                }
                Err(why) => {
                    let sql_type = sql_type(&column.data_type);
                    return Err(format!(
                        "field \"{name}\": cannot be held by {sql_type}: {why}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Cuts everything behind the first `rows` rows off.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.columns
            .iter_mut()
            .for_each(|metadata| metadata.column.truncate(rows));
    }

    /// The columns so far, with their place in the schema, in order.
    ///
    /// # Errors
    /// As [`Column::finish`].
    pub(crate) fn finish(&mut self) -> Result<Vec<(usize, ArrayRef)>, ArrowError> {
        let columns = self.columns.iter_mut();
        columns
            .map(|metadata| Ok((metadata.index, metadata.column.finish()?)))
            .collect()
    }
}

fn fits(what: Metadata, column: &Column) -> bool {
    match (what, &column.values) {
        (Metadata::Partition, Values::Int32(_) | Values::Int64(_) | Values::Text(_))
        | (Metadata::Offset, Values::Int64(_))
        | (Metadata::Timestamp, Values::Timestamp { .. })
        | (Metadata::Key, Values::Text(_) | Values::Binary(_))
        | (Metadata::Topic, Values::Text(_)) => true,
        (Metadata::Headers, Values::List { column, .. }) => match &column.values {
            Values::Struct { columns, .. } => {
                let [name, value] = columns.as_slice() else {
                    return false;
                };
                matches!(name.values, Values::Text(_))
                    && matches!(value.values, Values::Binary(_) | Values::Text(_))
            }
            _ => false,
        },
        _ => false,
    }
}

fn wrong_type(what: Metadata, field: &Field) -> ConnectorError {
    let (name, wanted) = match what {
        Metadata::Partition => ("partition", "INT"),
        Metadata::Offset => ("offset", "BIGINT"),
        Metadata::Timestamp => ("timestamp", "TIMESTAMP(3) WITH TIME ZONE"),
        Metadata::Key => ("key", "BYTEA or TEXT"),
        Metadata::Topic => ("topic", "TEXT"),
        Metadata::Headers => ("headers", "ROW(key TEXT, value BYTEA)[]"),
    };
    ConnectorError::invalid(format!(
        "metadata \"{name}\" cannot fill column \"{}\" of type {}",
        field.name(),
        sql_type(field.data_type())
    ))
    .with_hint(format!("Declare the column as {wanted}."))
}

/// Appends the value; false if there is none.
fn push(
    column: &mut Column,
    what: Metadata,
    split: &SplitId,
    raw: &dyn RawBatch,
    index: usize,
    topic: Option<&str>,
) -> Result<bool, &'static str> {
    match what {
        Metadata::Partition => match &mut column.values {
            Values::Int32(values) => {
                values.push(
                    split
                        .as_str()
                        .parse()
                        .map_err(|_| "the split has no number")?,
                );
            }
            Values::Int64(values) => {
                values.push(
                    split
                        .as_str()
                        .parse()
                        .map_err(|_| "the split has no number")?,
                );
            }
            _ => push_bytes(column, split.as_str().as_bytes())?,
        },
        Metadata::Offset => {
            if let Values::Int64(values) = &mut column.values {
                values.push(i64::try_from(raw.offset(index).0).map_err(|_| "out of range")?);
            }
        }
        Metadata::Timestamp => {
            let Some(us) = raw.timestamp(index) else {
                return Ok(false);
            };
            if let Values::Timestamp { values, unit, .. } = &mut column.values {
                let digits = timestamp_digits(*unit);
                let scaled = match digits {
                    0 => Some(us.div_euclid(1_000_000)),
                    3 => Some(us.div_euclid(1_000)),
                    6 => Some(us),
                    _ => us.checked_mul(1_000),
                };
                values.push(scaled.ok_or("out of range")?);
            }
        }
        Metadata::Key => {
            let Some(key) = raw.key(index) else {
                return Ok(false);
            };
            push_bytes(column, key)?;
        }
        Metadata::Topic => push_bytes(column, topic.unwrap_or(split.as_str()).as_bytes())?,
        Metadata::Headers => push_headers(column, &raw.headers(index))?,
    }
    column.pushed();
    Ok(true)
}

fn push_bytes(column: &mut Column, value: &[u8]) -> Result<(), &'static str> {
    let bytes = match &mut column.values {
        Values::Text(bytes) => {
            if std::str::from_utf8(value).is_err() {
                return Err("it is not UTF-8");
            }
            if value.contains(&0) {
                return Err("the character U+0000 cannot be stored");
            }
            bytes
        }
        Values::Binary(bytes) => bytes,
        _ => return Err("it is bytes"),
    };
    bytes.data.extend_from_slice(value);
    if bytes.seal() {
        Ok(())
    } else {
        Err("more than 2 GiB in one batch")
    }
}

fn push_headers(
    column: &mut Column,
    headers: &[(String, Option<Vec<u8>>)],
) -> Result<(), &'static str> {
    let Values::List {
        offsets,
        column: rows,
        ..
    } = &mut column.values
    else {
        return Ok(());
    };
    for (name, value) in headers {
        if let Values::Struct { columns, .. } = &mut rows.values
            && let [names, values] = columns.as_mut_slice()
        {
            push_bytes(names, name.as_bytes())?;
            names.pushed();
            match value {
                Some(value) => {
                    push_bytes(values, value)?;
                    values.pushed();
                }
                None if values.nullable => values.push_null(),
                None => return Err("a header has no value"),
            }
        }
        rows.pushed();
    }
    offsets.push(i32::try_from(rows.len()).map_err(|_| "too many headers in one batch")?);
    Ok(())
}
