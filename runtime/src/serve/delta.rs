//! What changed in a served table during one epoch: the unit of recovery and, for sinks, the
//! outbox.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use rtsap_stream::change::ChangeBatch;

use crate::state::{StateError, StateReader, StateWriter};

/// Net changes of one epoch: apply the deletes, then the upserts.
///
/// In a table with a key an upsert replaces the row of its key and a delete carries the key's last
/// row; without a key both count rows.
#[derive(Clone, Debug, Default)]
pub struct Delta {
    /// Rows that are new or have new values.
    pub upserts: Vec<RecordBatch>,
    /// Rows that are gone.
    pub deletes: Vec<RecordBatch>,
}

impl Delta {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.upserts.is_empty() && self.deletes.is_empty()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.upserts
            .iter()
            .chain(&self.deletes)
            .map(RecordBatch::num_rows)
            .sum()
    }

    /// Writes it as two sections.
    pub fn write(self, out: &mut StateWriter) {
        for batch in self.upserts {
            out.put("upserts", batch);
        }
        for batch in self.deletes {
            out.put("deletes", batch);
        }
    }

    /// Reads what [`Delta::write`] wrote, checking that it has `schema`'s columns.
    ///
    /// # Errors
    /// [`StateError::Section`] if it has other columns.
    pub fn read(from: &StateReader, schema: &SchemaRef) -> Result<Self, StateError> {
        let section = |name: &str| {
            let batches = from.get(name).iter();
            batches
                .map(|rows| fitted(name, rows, schema))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(Self {
            upserts: section("upserts")?,
            deletes: section("deletes")?,
        })
    }

    /// As changes, deletes first.
    ///
    /// # Errors
    /// Never in practice; the op column is built to fit.
    pub fn changes(&self) -> Result<Vec<ChangeBatch>, StateError> {
        let mut changes = Vec::with_capacity(self.deletes.len() + self.upserts.len());
        for rows in &self.deletes {
            let ops = arrow::array::Int8Array::from(vec![-1; rows.num_rows()]);
            let batch = ChangeBatch::try_new(rows.clone(), ops)
                .map_err(|error| StateError::section("deletes", error.to_string()))?;
            changes.push(batch);
        }
        changes.extend(self.upserts.iter().cloned().map(ChangeBatch::inserts));
        Ok(changes)
    }
}

/// The rows of a saved batch under `schema`. Rows of an upsert source are nullable where a
/// tombstone came with them, also those of columns that are never null.
///
/// # Errors
/// [`StateError::Section`] if they have other columns, or nulls where none may be.
pub(crate) fn fitted(
    section: &str,
    rows: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, StateError> {
    let saved = rows.schema();
    let names = |schema: &SchemaRef| -> Vec<String> {
        let fields = schema.fields().iter();
        fields.map(|field| field.name().clone()).collect()
    };
    if names(&saved) != names(schema) {
        let found = format!("has columns {:?}", saved.fields());
        return Err(StateError::section(section, found));
    }
    let fitted = RecordBatch::try_new(Arc::clone(schema), rows.columns().to_vec());
    fitted.map_err(|error| StateError::section(section, format!("does not fit: {error}")))
}

#[cfg(test)]
mod tests;
