//! What changed in a table, by the numbers of its keys: for state that is kept as rows with
//! numbers.

use arrow::record_batch::RecordBatch;

use super::{ServedTable, Shape};
use crate::serve::ServeError;
use crate::serve::chunk::Marks;

/// What changed since the last call of [`ServedTable::take_numbered`].
#[derive(Debug, Default)]
pub struct Numbered {
    /// Rows that are new or have new values, each with the number of its key.
    pub rows: Vec<(RecordBatch, Vec<u64>)>,
    /// Numbers of keys that are gone.
    pub gone: Vec<u64>,
}

impl ServedTable {
    /// An empty table with the key `key`, of which changes are taken by number only.
    ///
    /// # Errors
    /// As [`ServedTable::new`].
    pub fn numbered(
        schema: arrow::datatypes::SchemaRef,
        key: Vec<usize>,
    ) -> Result<Self, ServeError> {
        let mut table = Self::new(schema, Shape::Keyed(key))?;
        table.slots_gone = Some(std::collections::HashSet::new());
        Ok(table)
    }

    /// What changed since the last call, or with `all` every row. A key has its number for as long
    /// as it is there.
    ///
    /// # Errors
    /// [`ServeError::Arrow`] if a kernel refuses.
    pub fn take_numbered(&mut self, all: bool) -> Result<Numbered, ServeError> {
        let mut taken = Numbered::default();
        for (id, chunk) in &mut self.chunks {
            let marks = match all {
                true => chunk.live().clone(),
                false => chunk.live().and(&chunk.fresh),
            };
            chunk.fresh = Marks::new(chunk.rows.num_rows(), false);
            let Some(slots) = self.slot_of.get(id).filter(|_| marks.count() > 0) else {
                continue;
            };
            let marked = slots.iter().enumerate().filter(|(row, _)| marks.get(*row));
            let numbers = marked.map(|(_, slot)| u64::from(*slot)).collect();
            taken.rows.push((chunk.select(&marks)?, numbers));
        }
        if let Some(gone) = &mut self.slots_gone {
            taken.gone = gone.drain().map(u64::from).collect();
            taken.gone.sort_unstable();
        }
        Ok(taken)
    }
}
