//! Aggregates that the planner knows to be readable while they fill: one state for all groups, and
//! results without taking it out.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array};
use datafusion::common::{Result, exec_err};
use rtsap_plan::readable::{MakeReadable, ReadableGroups};

use super::{GroupAggregate, Rows};

/// A readable aggregate over all groups of one table.
pub struct Readable {
    groups: Box<dyn ReadableGroups>,
    /// Whether rows can be taken back: the state takes their weights behind the arguments.
    retracts: bool,
}

impl Readable {
    /// Over a table without groups.
    ///
    /// # Errors
    /// If an argument of the call is out of range.
    pub fn new(readable: &MakeReadable) -> Result<Self> {
        Ok(Self {
            groups: readable.make()?,
            retracts: readable.retracts(),
        })
    }
}

impl GroupAggregate for Readable {
    fn update(&mut self, rows: &Rows<'_>) -> Result<()> {
        if self.retracts {
            let weights = match rows.ops {
                Some(ops) => ops.clone(),
                None => Int8Array::from_value(1, rows.groups.len()),
            };
            let mut values = rows.values.to_vec();
            values.push(Arc::new(weights));
            return (self.groups).update(&values, rows.groups, rows.filter, rows.total);
        }
        if rows.ops.is_some() {
            return exec_err!("rows were taken back from an aggregate that cannot do so");
        }
        self.groups
            .update(rows.values, rows.groups, rows.filter, rows.total)
    }

    fn merge(&mut self, partial: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.groups.merge(partial, groups, total)
    }

    fn grow(&mut self, total: usize) -> Result<()> {
        self.groups.grow(total);
        Ok(())
    }

    fn read(&mut self, groups: &[usize]) -> Result<ArrayRef> {
        self.groups.read(groups)
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        self.groups.partial()
    }

    fn size(&self) -> usize {
        self.groups.size()
    }
}
