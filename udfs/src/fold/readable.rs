//! The grouped accumulator of a fold with its type hidden, so that who runs a table that is read
//! while it fills can find out that it may look without taking.

use std::any::Any;
use std::fmt::Debug;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::{Fold, Grouped};

/// A grouped accumulator that can be looked at while it fills.
pub trait ReadGroups: GroupsAccumulator + Debug {
    /// Makes room for groups below `total`, which hold the aggregate of no rows.
    fn grow(&mut self, total: usize);

    /// Returns the results of `groups`, in that order, and leaves the states as they are.
    ///
    /// # Errors
    /// If a result does not fit its type.
    fn read(&self, groups: &[usize]) -> Result<ArrayRef>;

    /// Returns the partial states of all groups, one row a group, and leaves them as they are.
    ///
    /// # Errors
    /// If a state cannot be written.
    fn partial(&self) -> Result<Vec<ArrayRef>>;

    /// Returns an accumulator without rows for the same aggregate over rows that change, if its
    /// rows can be taken back: behind the arguments it takes a column of weights, +1 for a row that
    /// comes and −1 for one that goes.
    fn retracting(&self) -> Option<Box<dyn ReadGroups>>;
}

/// The accumulator of all groups of one of our aggregates.
#[derive(Debug)]
pub struct FoldGroups(Box<dyn ReadGroups>);

impl FoldGroups {
    pub(super) fn new(groups: Box<dyn ReadGroups>) -> Self {
        Self(groups)
    }

    /// Returns what `accumulator` is if it is one of our aggregates.
    #[must_use]
    pub fn of(accumulator: Box<dyn GroupsAccumulator>) -> Option<Box<dyn ReadGroups>> {
        let accumulator: Box<dyn Any> = accumulator;
        let groups: Box<Self> = accumulator.downcast().ok()?;
        Some(groups.0)
    }
}

impl<F: Fold> ReadGroups for Grouped<F> {
    fn grow(&mut self, total: usize) {
        Self::grow(self, total);
    }

    fn read(&self, groups: &[usize]) -> Result<ArrayRef> {
        let states: Vec<F::State> = groups
            .iter()
            .map(|group| self.states[*group].clone())
            .collect();
        self.fold.evaluate(&states)
    }

    fn partial(&self) -> Result<Vec<ArrayRef>> {
        self.fold.state(&self.states)
    }

    fn retracting(&self) -> Option<Box<dyn ReadGroups>> {
        Some(self.fold.reversible()?.into_readable())
    }
}

impl GroupsAccumulator for FoldGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.0
            .update_batch(values, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.0.merge_batch(values, group_indices, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.0.evaluate(emit_to)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.0.state(emit_to)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.0.convert_to_state(values, opt_filter)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[cfg(test)]
mod tests;
