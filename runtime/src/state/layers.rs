//! A base and the deltas behind it, put together to what a base of the last moment would hold.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::UInt64Type;
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;

use super::writer::{CHANGED, GONE, KEPT, NUMBER, SCOPE, Sections};
use super::{StateError, StateReader};

/// Rows of one batch of a section that was put together.
const BATCH_ROWS: usize = 1 << 16;

/// A batch of a section and a row of it.
type Place = (u32, u32);

/// A base, to which deltas are added in order.
#[derive(Debug, Default)]
pub struct Layers {
    sections: BTreeMap<String, Section>,
}

/// One section: the batches of the layers that it consists of.
#[derive(Debug, Default)]
struct Section {
    batches: Vec<RecordBatch>,
    /// Where each row lies in `batches`, once a delta has changed one.
    places: Option<HashMap<u64, Place, ahash::RandomState>>,
}

impl Layers {
    /// Takes a base.
    pub fn new(base: Sections) -> Self {
        let section = |(name, batches)| {
            let section = Section {
                batches,
                places: None,
            };
            (name, section)
        };
        Self {
            sections: base.into_iter().map(section).collect(),
        }
    }

    /// Adds a delta.
    ///
    /// # Errors
    /// [`StateError::Section`] if it does not fit what is there.
    pub fn add(&mut self, delta: Sections) -> Result<(), StateError> {
        self.close(&delta);
        for (marked, batches) in delta {
            if let Some(name) = marked.strip_prefix(GONE) {
                // Rows that came and went between two snapshots may be all it ever had.
                let Some(section) = self.sections.get_mut(name) else {
                    continue;
                };
                section.number(name)?;
                for batch in &batches {
                    section.forget(name, batch)?;
                }
            } else if let Some(name) = marked.strip_prefix(CHANGED) {
                let section = self.sections.entry(name.to_owned()).or_default();
                section.number(name)?;
                for batch in batches {
                    section.change(name, batch)?;
                }
            } else if !marked.starts_with(SCOPE) && !marked.starts_with(KEPT) {
                let section = Section {
                    batches,
                    places: None,
                };
                self.sections.insert(marked, section);
            }
        }
        Ok(())
    }

    /// Takes away the sections of the delta's scopes that it neither has nor keeps.
    fn close(&mut self, delta: &Sections) {
        let marks = [KEPT, CHANGED, GONE];
        let lives_on = |name: &String| {
            let mut named = marks.iter().map(|mark| format!("{mark}{name}"));
            named.any(|marked| delta.contains_key(&marked))
        };
        for scope in delta.keys().filter_map(|name| name.strip_prefix(SCOPE)) {
            let under = self.sections.range(scope.to_owned()..);
            let under = under.take_while(|(name, _)| name.starts_with(scope));
            let gone = under.map(|(name, _)| name).filter(|name| !lives_on(name));
            for name in gone.cloned().collect::<Vec<String>>() {
                self.sections.remove(&name);
            }
        }
    }

    /// What there is in the end.
    ///
    /// # Errors
    /// [`StateError::Arrow`] if rows of a section have different schemas.
    pub fn finish(self) -> Result<StateReader, StateError> {
        let mut sections = Sections::new();
        for (name, section) in self.sections {
            sections.insert(name, section.finish()?);
        }
        Ok(StateReader::new(sections))
    }
}

impl Section {
    /// Finds the place of each row, if that was not done before.
    fn number(&mut self, name: &str) -> Result<(), StateError> {
        if self.places.is_some() {
            return Ok(());
        }
        let mut places = HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        for (batch, rows) in self.batches.iter().enumerate() {
            for (row, number) in numbers(name, rows)?.iter().enumerate() {
                places.insert(*number, (batch as u32, row as u32));
            }
        }
        self.places = Some(places);
        Ok(())
    }

    fn change(&mut self, name: &str, rows: RecordBatch) -> Result<(), StateError> {
        let batch = self.batches.len();
        let places = self.places.get_or_insert_default();
        for (row, number) in numbers(name, &rows)?.iter().enumerate() {
            places.insert(*number, (batch as u32, row as u32));
        }
        self.batches.push(rows);
        Ok(())
    }

    fn forget(&mut self, name: &str, gone: &RecordBatch) -> Result<(), StateError> {
        let places = self.places.get_or_insert_default();
        for number in numbers(name, gone)? {
            places.remove(number);
        }
        Ok(())
    }

    fn finish(self) -> Result<Vec<RecordBatch>, StateError> {
        let plain = |batch: &RecordBatch| match last_is_number(batch) {
            true => batch.project(&(0..batch.num_columns() - 1).collect::<Vec<_>>()),
            false => Ok(batch.clone()),
        };
        let Some(places) = self.places else {
            return Ok(self.batches.iter().map(plain).collect::<Result<_, _>>()?);
        };
        let mut rows: Vec<(u64, Place)> = places.into_iter().collect();
        rows.sort_unstable_by_key(|(number, _)| *number);
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let mut found = Vec::with_capacity(rows.len() / BATCH_ROWS + 1);
        for rows in rows.chunks(BATCH_ROWS) {
            let places: Vec<(usize, usize)> = rows
                .iter()
                .map(|(_, (batch, row))| (*batch as usize, *row as usize))
                .collect();
            found.push(plain(&interleave_record_batch(&batches, &places)?)?);
        }
        Ok(found)
    }
}

fn last_is_number(batch: &RecordBatch) -> bool {
    let schema = batch.schema_ref();
    let last = schema.fields().last();
    last.is_some_and(|field| field.name() == NUMBER)
}

fn numbers<'a>(name: &str, rows: &'a RecordBatch) -> Result<&'a [u64], StateError> {
    let last = rows.columns().last().filter(|_| last_is_number(rows));
    let last = last.and_then(|column| column.as_primitive_opt::<UInt64Type>());
    let numbers = last.filter(|numbers| numbers.null_count() == 0);
    match numbers {
        Some(numbers) => Ok(numbers.values()),
        None => Err(StateError::section(name, "has rows without numbers")),
    }
}

#[cfg(test)]
mod tests;
