//! The changes of an epoch as Kafka messages: what is key, what is value, what becomes a tombstone.

use arrow::record_batch::RecordBatch;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::sink::SinkInput;

use super::json;
use super::options::SinkOptions;
use crate::format::sql_type;
use crate::net_changes::{NetChange, RowAt, by_key};

/// Which columns a message is made of.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    input: SinkInput,
    upsert: bool,
    /// `"name":` of each column.
    names: Vec<Vec<u8>>,
    /// Columns of the message key; empty for messages without one.
    key: Vec<usize>,
}

/// One message, in buffers that are used again.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The key's bytes, if the layout has a key.
    pub key: Vec<u8>,
    /// The payload's bytes.
    pub value: Vec<u8>,
    /// Whether there is no payload: the key is gone.
    pub tombstone: bool,
}

impl Layout {
    /// The layout for the view `input`.
    ///
    /// # Errors
    /// `Invalid` for a column without a JSON form, an unknown key field, or a view without the key
    /// that upserts need.
    pub(super) fn new(input: &SinkInput, options: &SinkOptions) -> Result<Self, ConnectorError> {
        let fields = input.schema.fields();
        let unfit = fields.iter().find(|field| !json::takes(field.data_type()));
        if let Some(field) = unfit {
            return Err(ConnectorError::invalid(format!(
                "cannot write column \"{}\" of sink \"{}\": JSON has no form for {}",
                field.name(),
                input.sink,
                sql_type(field.data_type())
            ))
            .with_hint("Cast it to another type in the view."));
        }
        if options.upsert && input.key.is_empty() {
            return Err(ConnectorError::invalid(format!(
                "cannot upsert into topic \"{}\" by sink \"{}\": the view has no key",
                options.topic, input.sink
            ))
            .with_hint(
                "Group the view by a key, or use the connector 'kafka' if it only appends.",
            ));
        }
        let named = |name: &String| {
            input.schema.index_of(name).map_err(|_| {
                let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
                ConnectorError::invalid(format!(
                    "option \"key.fields\" of sink \"{}\" names a column \"{name}\" that the view \
                     does not have",
                    input.sink
                ))
                .with_hint(format!("Its columns are {}.", names.join(", ")))
            })
        };
        let key = if options.upsert {
            input.key.clone()
        } else {
            options
                .key_fields
                .iter()
                .map(named)
                .collect::<Result<_, _>>()?
        };
        let name = |name: &str| {
            let mut text = Vec::new();
            json::write_text(name, &mut text);
            text.push(b':');
            text
        };
        Ok(Self {
            names: fields.iter().map(|field| name(field.name())).collect(),
            input: input.clone(),
            upsert: options.upsert,
            key,
        })
    }

    /// Whether messages have a key.
    pub(super) fn has_key(&self) -> bool {
        !self.key.is_empty()
    }

    /// What an epoch comes to, in the order it is sent.
    ///
    /// # Errors
    /// `Internal` if the changes are not those of the view.
    pub(super) fn net(&self, changes: &[ChangeBatch]) -> Result<Vec<NetChange>, ConnectorError> {
        let other = |batch: &&ChangeBatch| {
            let found = batch.rows().schema_ref().fields();
            let wanted = self.input.schema.fields();
            let same = |(a, b): (&std::sync::Arc<_>, &std::sync::Arc<_>)| {
                let (a, b): (&arrow::datatypes::Field, &arrow::datatypes::Field) = (a, b);
                a.data_type() == b.data_type()
            };
            found.len() != wanted.len() || !found.iter().zip(wanted).all(same)
        };
        if changes.iter().any(|batch| other(&batch)) {
            return Err(self.internal("a batch has other columns than the view"));
        }
        if self.upsert {
            return Ok(by_key(changes, &self.input.key, self.input.mode)?.changes);
        }
        let takes_away = changes.iter().any(|batch| batch.ops().is_some());
        if takes_away || self.input.mode != ChangelogMode::Append {
            return Err(self.internal("an append-only view takes rows away"));
        }
        let rows = changes.iter().enumerate().flat_map(|(batch, changes)| {
            (0..changes.len()).map(move |row| NetChange {
                at: RowAt { batch, row },
                weight: 1,
            })
        });
        Ok(rows.collect())
    }

    /// Writes the message for `change` into `record`.
    ///
    /// # Errors
    /// `Data` for a value that has no JSON form.
    pub(super) fn write(
        &self,
        changes: &[ChangeBatch],
        change: &NetChange,
        record: &mut Record,
    ) -> Result<(), ConnectorError> {
        let RowAt { batch, row } = change.at;
        let rows = changes[batch].rows();
        record.key.clear();
        if self.has_key() {
            self.object(rows, row, self.key.iter().copied(), &mut record.key)?;
        }
        record.value.clear();
        record.tombstone = change.weight < 0;
        if !record.tombstone {
            self.object(rows, row, 0..self.names.len(), &mut record.value)?;
        }
        Ok(())
    }

    fn object(
        &self,
        rows: &RecordBatch,
        row: usize,
        columns: impl Iterator<Item = usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), ConnectorError> {
        let mut before = b'{';
        for column in columns {
            out.push(before);
            before = b',';
            out.extend_from_slice(&self.names[column]);
            json::write_value(rows.column(column), row, out).map_err(|problem| {
                ConnectorError::data(format!(
                    "cannot write column \"{}\" of sink \"{}\"",
                    self.input.schema.field(column).name(),
                    self.input.sink
                ))
                .with_detail(format!("In row {row}: {problem}."))
            })?;
        }
        out.push(b'}');
        Ok(())
    }

    fn internal(&self, problem: &str) -> ConnectorError {
        let message = format!(
            "cannot apply changes to sink \"{}\": {problem}",
            self.input.sink
        );
        ConnectorError::new(ErrorKind::Internal, message)
    }
}
