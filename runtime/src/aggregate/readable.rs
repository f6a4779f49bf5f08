//! Aggregates that the planner knows to be readable while they fill: one state for all groups, and
//! results without taking it out.

use arrow::array::ArrayRef;
use datafusion::common::{Result, exec_err};
use rtsap_plan::readable::ReadableGroups;

use super::{GroupAggregate, Rows};

/// A readable aggregate over all groups of one table.
pub struct Readable {
    groups: Box<dyn ReadableGroups>,
}

impl Readable {
    /// Over the table whose state is `groups`.
    pub const fn new(groups: Box<dyn ReadableGroups>) -> Self {
        Self { groups }
    }
}

impl GroupAggregate for Readable {
    fn update(&mut self, rows: &Rows<'_>) -> Result<()> {
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
