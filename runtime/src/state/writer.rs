//! What an operator writes its state into.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::StateError;

/// Named sections, each of batches of one schema.
pub type Sections = BTreeMap<String, Vec<RecordBatch>>;

/// The column of numbered rows that holds their numbers, behind all others.
pub(super) const NUMBER: &str = "rtsap_number";
/// In a delta: before the name of a section, rows of it that are new or have changed.
pub(super) const CHANGED: &str = "+";
/// In a delta: before the name of a section, numbers of rows of it that are gone.
pub(super) const GONE: &str = "-";
/// In a delta: before a scope, whose sections are gone unless the delta has or keeps them. It has
/// no batches.
pub(super) const SCOPE: &str = "/";
/// In a delta: before the name of a section that stays as it was. It has no batches here.
pub(super) const KEPT: &str = "=";

/// Collects the sections of one snapshot.
///
/// In a delta everything outside of the scopes that were opened stays as the snapshot before has
/// it. In a scope all is gone that is not put again, kept, or changed by rows.
#[derive(Debug, Default)]
pub struct StateWriter {
    prefix: String,
    sections: Sections,
    is_delta: bool,
    /// Whether what is written now must not build on the snapshot before.
    anew: bool,
}

impl StateWriter {
    /// A writer of what has changed since the snapshot before.
    pub fn delta() -> Self {
        Self {
            is_delta: true,
            ..Self::default()
        }
    }

    /// Whether only changes are to be written. Then what was written last can be relied on.
    pub const fn is_delta(&self) -> bool {
        self.is_delta && !self.anew
    }

    /// Whether what is written from now on stands for itself, even in a delta: because its writer
    /// has no part in the snapshot before. Returns what was set before.
    pub fn set_anew(&mut self, anew: bool) -> bool {
        std::mem::replace(&mut self.anew, anew)
    }

    /// Adds a batch to `section`, which holds nothing else than what is put into it.
    pub fn put(&mut self, section: &str, batch: RecordBatch) {
        let name = format!("{}{section}", self.prefix);
        self.sections.entry(name).or_default().push(batch);
    }

    /// Adds rows of `section` by their numbers, which name them for as long as they are there: all
    /// rows, or in a delta those that are new or have changed. They are read in order of numbers.
    ///
    /// # Errors
    /// [`StateError::Arrow`] if there is not one number a row.
    pub fn put_rows(
        &mut self,
        section: &str,
        rows: &RecordBatch,
        numbers: Vec<u64>,
    ) -> Result<(), StateError> {
        let schema = rows.schema();
        let mut fields: Vec<_> = schema.fields().iter().map(Arc::clone).collect();
        fields.push(Arc::new(Field::new(NUMBER, DataType::UInt64, false)));
        let mut columns = rows.columns().to_vec();
        columns.push(Arc::new(UInt64Array::from(numbers)));
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let mark = if self.is_delta() { CHANGED } else { "" };
        let name = format!("{mark}{}{section}", self.prefix);
        self.sections.entry(name).or_default().push(batch);
        Ok(())
    }

    /// In a delta: the rows of `section` with these numbers are gone.
    ///
    /// # Errors
    /// [`StateError::Arrow`].
    pub fn drop_rows(&mut self, section: &str, numbers: Vec<u64>) -> Result<(), StateError> {
        if numbers.is_empty() || !self.is_delta() {
            return Ok(());
        }
        let numbers: ArrayRef = Arc::new(UInt64Array::from(numbers));
        let batch = RecordBatch::try_from_iter([(NUMBER, numbers)])?;
        let name = format!("{GONE}{}{section}", self.prefix);
        self.sections.entry(name).or_default().push(batch);
        Ok(())
    }

    /// In a delta: `section` stays as it was.
    pub fn keep(&mut self, section: &str) {
        if self.is_delta() {
            let name = format!("{KEPT}{}{section}", self.prefix);
            self.sections.entry(name).or_default();
        }
    }

    /// Puts everything written from now on under `prefix` (a node's number); replaces the prefix
    /// before.
    pub fn set_prefix(&mut self, prefix: String) {
        self.prefix = prefix;
    }

    /// In a delta: sections whose names begin with `scope` are gone unless written or kept.
    pub fn open_scope(&mut self, scope: &str) {
        if self.is_delta {
            self.sections.entry(format!("{SCOPE}{scope}")).or_default();
        }
    }

    /// The sections, to be encoded off the hot thread.
    pub fn into_sections(self) -> Sections {
        self.sections
    }
}
