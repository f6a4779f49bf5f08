//! A table of groups: keys, the aggregates over each, and which groups changed since they were last
//! read and since they were last saved.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{Result, internal_err};

use super::GroupAggregate;
use super::calls::{Calls, Inputs};
use super::keys::GroupKeys;
use crate::state::marks::Marks;
use crate::state::{StateError, StateWriter};

/// Groups with their aggregates.
pub struct GroupTable {
    keys: Box<dyn GroupKeys>,
    aggregates: Vec<Box<dyn GroupAggregate>>,
    /// Which changed since they were last read, if that is remembered.
    changes: Option<Marks>,
    /// Which changed since they were last saved, if that is remembered.
    unsaved: Option<Marks>,
}

/// Groups as rows: key columns and result columns.
pub struct GroupRows {
    /// One array a key.
    pub keys: Vec<ArrayRef>,
    /// One array an aggregate.
    pub results: Vec<ArrayRef>,
    /// Number of groups.
    pub row_count: usize,
}

/// Names of the columns of a saved table.
const CHANGED: &str = "changed";

impl GroupTable {
    /// A table without groups. `tracked`: whether to remember which groups change.
    ///
    /// # Errors
    /// If an accumulator cannot be made.
    pub fn new(calls: &Calls, tracked: bool) -> Result<Self> {
        Ok(Self {
            keys: calls.new_keys()?,
            aggregates: calls.new_aggregates()?,
            changes: tracked.then(Marks::default),
            unsaved: None,
        })
    }

    /// This table, which also remembers which groups change between snapshots.
    #[must_use]
    pub fn saved(mut self) -> Self {
        self.unsaved = Some(Marks::default());
        self
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        let aggregates: usize = self
            .aggregates
            .iter()
            .map(|aggregate| aggregate.size())
            .sum();
        let marks = self.changes.iter().chain(&self.unsaved);
        self.keys.size() + aggregates + marks.map(Marks::size).sum::<usize>()
    }

    /// Writes the group of each row into `groups`, adding new groups.
    ///
    /// # Errors
    /// If keys cannot be encoded.
    pub fn intern(
        &mut self,
        calls: &Calls,
        inputs: &Inputs,
        groups: &mut Vec<usize>,
    ) -> Result<()> {
        self.keys
            .intern(inputs.keys(calls.key_count()), inputs.row_count(), groups)
    }

    /// Takes rows whose groups [`GroupTable::intern`] gave.
    ///
    /// # Errors
    /// As [`GroupAggregate::update`].
    pub fn update(&mut self, calls: &Calls, inputs: &Inputs, groups: &[usize]) -> Result<()> {
        self.mark(groups);
        calls.update(&mut self.aggregates, inputs, groups, self.keys.len())
    }

    /// Adds groups that exist without rows: `count` of them, with these keys.
    ///
    /// # Errors
    /// If an accumulator cannot be made.
    pub fn add_groups(&mut self, keys: &[ArrayRef], count: usize) -> Result<()> {
        let mut groups = Vec::new();
        self.keys.intern(keys, count, &mut groups)?;
        self.mark(&groups);
        let known = self.keys.len();
        self.aggregates
            .iter_mut()
            .try_for_each(|aggregate| aggregate.grow(known))
    }

    /// Whether `group` changed since [`GroupTable::take_changes`].
    pub fn changed(&self, group: usize) -> bool {
        self.changes.as_ref().is_some_and(|marks| marks.has(group))
    }

    /// Whether any group changed since [`GroupTable::take_changes`].
    pub fn has_changes(&self) -> bool {
        self.changes.as_ref().is_some_and(|marks| !marks.is_empty())
    }

    /// Returns the groups that changed, in order of their first change, and starts anew.
    pub fn take_changes(&mut self) -> Vec<usize> {
        self.changes.as_mut().map_or_else(Vec::new, Marks::take)
    }

    /// Returns `groups` as rows.
    ///
    /// # Errors
    /// If a result does not fit its type.
    pub fn read(&mut self, groups: &[usize]) -> Result<GroupRows> {
        let keys = self.keys.read(groups)?;
        let results = self
            .aggregates
            .iter_mut()
            .map(|aggregate| aggregate.read(groups));
        let results = results.collect::<Result<_>>()?;
        Ok(GroupRows {
            keys,
            results,
            row_count: groups.len(),
        })
    }

    /// Returns all groups as rows, in order of first sight.
    ///
    /// # Errors
    /// If a result does not fit its type.
    pub fn finish(mut self) -> Result<GroupRows> {
        let row_count = self.keys.len();
        let groups: Vec<usize> = (0..row_count).collect();
        let keys = self.keys.read(&groups)?;
        let results = self
            .aggregates
            .iter_mut()
            .map(|aggregate| aggregate.finish(row_count));
        let results = results.collect::<Result<_>>()?;
        Ok(GroupRows {
            keys,
            results,
            row_count,
        })
    }

    /// Adds all of `other`, as if its rows had arrived after those that are here. `other` stays as
    /// it is.
    ///
    /// # Errors
    /// As [`GroupAggregate::merge`].
    pub fn merge(&mut self, other: &mut Self, groups: &mut Vec<usize>) -> Result<()> {
        if other.is_empty() {
            return Ok(());
        }
        let all: Vec<usize> = (0..other.keys.len()).collect();
        let keys = other.keys.read(&all)?;
        self.keys.intern(&keys, all.len(), groups)?;
        let total = self.keys.len();
        for (ours, theirs) in self.aggregates.iter_mut().zip(&mut other.aggregates) {
            ours.merge(&theirs.partial()?, groups, total)?;
        }
        self.mark(groups);
        Ok(())
    }

    /// Keeps `groups` alone, which get the numbers from 0 in that order and count as not saved.
    ///
    /// # Errors
    /// If a state cannot be moved.
    pub fn retain(&mut self, calls: &Calls, groups: &[usize]) -> Result<()> {
        let mut kept = Self::new(calls, self.changes.is_some())?;
        kept.unsaved = self.unsaved.is_some().then(Marks::default);
        if !groups.is_empty() {
            let mut numbers = Vec::new();
            let keys = self.keys.read(groups)?;
            kept.keys.intern(&keys, groups.len(), &mut numbers)?;
            for (ours, theirs) in kept.aggregates.iter_mut().zip(&mut self.aggregates) {
                ours.merge(&theirs.partial_of(groups)?, &numbers, groups.len())?;
            }
            if let Some(unsaved) = &mut kept.unsaved {
                numbers.iter().for_each(|group| unsaved.mark(*group));
            }
            let pairs = numbers.iter().zip(groups);
            let waiting = pairs.filter(|(_, group)| self.changed(**group));
            if let Some(changes) = &mut kept.changes {
                waiting.for_each(|(number, _)| changes.mark(*number));
            }
        }
        *self = kept;
        Ok(())
    }

    fn mark(&mut self, groups: &[usize]) {
        for marks in self.changes.iter_mut().chain(&mut self.unsaved) {
            groups.iter().for_each(|group| marks.mark(*group));
        }
    }

    /// Whether any group changed since [`GroupTable::take_unsaved`].
    pub fn is_saved(&self) -> bool {
        self.unsaved.as_ref().is_some_and(Marks::is_empty)
    }

    /// Returns the groups to be saved, in order: all, or with `delta` those that changed since the
    /// last call.
    pub fn take_unsaved(&mut self, delta: bool) -> Vec<usize> {
        let mut changed = self.unsaved.as_mut().map_or_else(Vec::new, Marks::take);
        if !delta {
            return (0..self.keys.len()).collect();
        }
        changed.sort_unstable();
        changed
    }

    /// Writes keys, partial states and `extra` columns of `groups`, a row a group, into `section`.
    ///
    /// # Errors
    /// If a state cannot be written.
    pub fn save(
        &mut self,
        groups: &[usize],
        extra: Vec<(&str, ArrayRef)>,
        section: &str,
        out: &mut StateWriter,
    ) -> std::result::Result<(), StateError> {
        let changed = groups.iter().map(|group| Some(self.changed(*group)));
        let changed: ArrayRef = Arc::new(changed.collect::<BooleanArray>());
        let mut columns = vec![(CHANGED.to_owned(), changed)];
        for (index, key) in self.keys.read(groups)?.into_iter().enumerate() {
            columns.push((format!("key_{index}"), key));
        }
        let all = groups.len() == self.keys.len();
        for (index, aggregate) in self.aggregates.iter_mut().enumerate() {
            let partial = match all {
                true => aggregate.partial()?,
                false => aggregate.partial_of(groups)?,
            };
            for (part, state) in partial.into_iter().enumerate() {
                columns.push((format!("aggregate_{index}_{part}"), state));
            }
        }
        columns.extend(
            extra
                .into_iter()
                .map(|(name, column)| (name.to_owned(), column)),
        );
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, column)| Field::new(name, column.data_type().clone(), true))
            .collect();
        let columns = columns.into_iter().map(|(_, column)| column).collect();
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        // That a group waits to be read is part of what is saved, and will no longer be so.
        if let Some(unsaved) = &mut self.unsaved {
            let waiting = groups.iter().filter(|group| {
                self.changes
                    .as_ref()
                    .is_some_and(|marks| marks.has(**group))
            });
            waiting.for_each(|group| unsaved.mark(*group));
        }
        out.put_rows(section, &rows, groups.iter().map(|g| *g as u64).collect())
    }

    /// Takes the groups of a batch that [`GroupTable::save`] wrote; they come after those that are
    /// here.
    ///
    /// # Errors
    /// If the batch is not of such a table.
    pub fn load(&mut self, calls: &Calls, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let keys = saved_keys(batch);
        if keys.len() != calls.key_count() {
            return internal_err!("state has {} key columns", keys.len());
        }
        let before = self.keys.len();
        let mut groups = Vec::new();
        self.keys.intern(&keys, batch.num_rows(), &mut groups)?;
        let total = self.keys.len();
        if total != before + batch.num_rows() {
            return internal_err!("state has a key twice");
        }
        for (index, aggregate) in self.aggregates.iter_mut().enumerate() {
            let partial = columns_named(batch, &format!("aggregate_{index}_"));
            if partial.is_empty() {
                return internal_err!("state has no columns for aggregate {index}");
            }
            aggregate.merge(&partial, &groups, total)?;
        }
        let Some(changed) = batch.column_by_name(CHANGED) else {
            return internal_err!("state has no column {CHANGED:?}");
        };
        let changed = as_boolean_array(changed)?;
        let marked = groups
            .iter()
            .enumerate()
            .filter(|(row, _)| changed.value(*row));
        let marked: Vec<usize> = marked.map(|(_, group)| *group).collect();
        if let Some(changes) = &mut self.changes {
            marked.iter().for_each(|group| changes.mark(*group));
        }
        if let Some(unsaved) = &mut self.unsaved {
            groups.iter().for_each(|group| unsaved.mark(*group));
        }
        Ok(())
    }
}

/// The keys in a batch that [`GroupTable::save`] wrote.
pub fn saved_keys(batch: &RecordBatch) -> Vec<ArrayRef> {
    columns_named(batch, "key_")
}

/// The columns whose names begin so.
fn columns_named(batch: &RecordBatch, prefix: &str) -> Vec<ArrayRef> {
    let schema = batch.schema_ref();
    let columns = schema.fields().iter().zip(batch.columns());
    let wanted = columns.filter(|(field, _)| field.name().starts_with(prefix));
    wanted.map(|(_, column)| Arc::clone(column)).collect()
}
