//! A table of groups: keys, the aggregates over each, and which groups changed since they were last
//! read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_boolean_array;
use datafusion::common::{Result, internal_err};

use super::GroupAggregate;
use super::calls::{Calls, Inputs};
use super::keys::GroupKeys;

/// Groups with their aggregates.
pub struct GroupTable {
    keys: Box<dyn GroupKeys>,
    aggregates: Vec<Box<dyn GroupAggregate>>,
    changes: Changes,
}

/// The groups that changed, in order of their first change.
#[derive(Default)]
struct Changes {
    tracked: bool,
    marked: Vec<bool>,
    groups: Vec<usize>,
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
        let changes = Changes {
            tracked,
            ..Changes::default()
        };
        Ok(Self {
            keys: calls.new_keys()?,
            aggregates: calls.new_aggregates()?,
            changes,
        })
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
        let changes = &self.changes;
        self.keys.size()
            + aggregates
            + changes.marked.capacity()
            + changes.groups.capacity() * size_of::<usize>()
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
        self.changes.mark(groups, self.keys.len());
        calls.update(&mut self.aggregates, inputs, groups, self.keys.len())
    }

    /// Adds the one group of an aggregation without keys, so that it exists without rows.
    ///
    /// # Errors
    /// If an accumulator cannot be made.
    pub fn add_global_group(&mut self) -> Result<()> {
        let mut groups = Vec::new();
        self.keys.intern(&[], 1, &mut groups)?;
        self.changes.mark(&groups, self.keys.len());
        self.aggregates
            .iter_mut()
            .try_for_each(|aggregate| aggregate.grow(1))
    }

    /// Whether `group` changed since [`GroupTable::take_changes`].
    pub fn changed(&self, group: usize) -> bool {
        self.changes.marked.get(group).is_some_and(|marked| *marked)
    }

    /// Whether any group changed since [`GroupTable::take_changes`].
    pub fn has_changes(&self) -> bool {
        !self.changes.groups.is_empty()
    }

    /// Returns the groups that changed, in order of their first change, and starts anew.
    pub fn take_changes(&mut self) -> Vec<usize> {
        let groups = std::mem::take(&mut self.changes.groups);
        for group in &groups {
            self.changes.marked[*group] = false;
        }
        groups
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
        self.changes.mark(groups, total);
        Ok(())
    }

    /// Returns keys, partial states and `extra` columns as one batch, a row a group, for a
    /// snapshot.
    ///
    /// # Errors
    /// If a state cannot be written.
    pub fn save(&mut self, extra: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
        let all: Vec<usize> = (0..self.keys.len()).collect();
        let changed = all.iter().map(|group| self.changed(*group));
        let changed: ArrayRef = Arc::new(changed.map(Some).collect::<BooleanArray>());
        let mut columns = vec![(CHANGED.to_owned(), changed)];
        for (index, key) in self.keys.read(&all)?.into_iter().enumerate() {
            columns.push((format!("key_{index}"), key));
        }
        for (index, aggregate) in self.aggregates.iter_mut().enumerate() {
            for (part, state) in aggregate.partial()?.into_iter().enumerate() {
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
        Ok(RecordBatch::try_new(
            Arc::new(Schema::new(fields)),
            columns,
        )?)
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
        let prefixed = |prefix: &str| -> Vec<ArrayRef> {
            let schema = batch.schema_ref();
            let columns = schema.fields().iter().zip(batch.columns());
            let wanted = columns.filter(|(field, _)| field.name().starts_with(prefix));
            wanted.map(|(_, column)| Arc::clone(column)).collect()
        };
        let keys = prefixed("key_");
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
            let partial = prefixed(&format!("aggregate_{index}_"));
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
        self.changes.mark(&marked, total);
        Ok(())
    }
}

impl Changes {
    fn mark(&mut self, groups: &[usize], total: usize) {
        if !self.tracked {
            return;
        }
        if self.marked.len() < total {
            self.marked.resize(total, false);
        }
        for group in groups {
            if !self.marked[*group] {
                self.marked[*group] = true;
                self.groups.push(*group);
            }
        }
    }
}
