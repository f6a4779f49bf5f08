//! Aggregates whose state can be read while it fills, merged and saved, all groups of one table at
//! a time.
//!
//! Owns the contract, the choice of kernel for a call, and the rows a kernel sees. The common
//! functions have native kernels ([`count`], [`sum`], [`extreme`], [`first_last`], [`moment`]);
//! functions that the planner knows to be readable while they fill run through [`readable`], every
//! other function of DataFusion through [`foreign`]. All give exactly the type and the null of
//! DataFusion's own function.
//!
//! Float sums depend on the order of addition: the same rows in another order differ in the last
//! digits. Integer and decimal sums are exact, and fail instead of wrapping around when the result
//! leaves its type.

use arrow::array::{Array, ArrayRef, BooleanArray, Int8Array, UInt32Array};
use arrow::buffer::NullBuffer;
use arrow::compute::take_arrays;
use datafusion::common::Result;

pub mod calls;
pub mod choose;
pub mod count;
pub mod extreme;
pub mod first_last;
pub mod foreign;
pub mod kept;
pub mod keys;
pub mod moment;
pub mod native;
pub mod ordered;
pub mod readable;
pub mod sum;
pub mod table;
pub mod text;
pub mod values;

/// One aggregate call over all groups of one table.
///
/// # Contract
///
/// - `update` over any cut of the rows into batches gives the same state.
/// - `merge` of another table's `partial` counts its rows as arrived after the rows that are there.
/// - `read` and `partial` leave the state as it was; `finish` gives what `read` of all groups
///   would.
/// - A group that no row has reached holds the aggregate of no rows.
pub trait GroupAggregate: Send {
    /// Takes rows; groups are below `rows.total`.
    ///
    /// # Errors
    /// If a value cannot be computed, or rows are taken back from an aggregate that cannot do so.
    fn update(&mut self, rows: &Rows<'_>) -> Result<()>;

    /// Takes rows of partial states, as [`GroupAggregate::partial`] wrote them, for `groups` below
    /// `total`.
    ///
    /// # Errors
    /// If the states are not of this aggregate.
    fn merge(&mut self, partial: &[ArrayRef], groups: &[usize], total: usize) -> Result<()>;

    /// Makes room for groups below `total`, which hold the aggregate of no rows.
    ///
    /// # Errors
    /// If an accumulator cannot be made.
    fn grow(&mut self, total: usize) -> Result<()>;

    /// Returns the results of `groups`, in that order.
    ///
    /// # Errors
    /// If a result does not fit its type.
    fn read(&mut self, groups: &[usize]) -> Result<ArrayRef>;

    /// Returns the results of all groups and gives up the state.
    ///
    /// # Errors
    /// If a result does not fit its type.
    fn finish(&mut self, total: usize) -> Result<ArrayRef> {
        let groups: Vec<usize> = (0..total).collect();
        self.read(&groups)
    }

    /// Returns the partial state of all groups, one row a group.
    ///
    /// # Errors
    /// If a state cannot be written.
    fn partial(&mut self) -> Result<Vec<ArrayRef>>;

    /// Returns the partial states of `groups`, in that order.
    ///
    /// # Errors
    /// As [`GroupAggregate::partial`].
    fn partial_of(&mut self, groups: &[usize]) -> Result<Vec<ArrayRef>> {
        let groups = UInt32Array::from_iter_values(groups.iter().map(|group| *group as u32));
        Ok(take_arrays(&self.partial()?, &groups, None)?)
    }

    /// Bytes held.
    fn size(&self) -> usize;
}

/// The rows of one update.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// Argument columns of *n* rows each, then the columns of the call's ORDER BY.
    pub values: &'a [ArrayRef],
    /// *n* groups.
    pub groups: &'a [usize],
    /// `FILTER (WHERE …)`: only rows that are true take part.
    pub filter: Option<&'a BooleanArray>,
    /// Weight of each row, +1 or −1; absent when all are +1.
    pub ops: Option<&'a Int8Array>,
    /// Number of groups of the table.
    pub total: usize,
}

impl Rows<'_> {
    /// Calls `visit(row, group)` for each row that passes the filter and is valid in `nulls`, in
    /// order.
    #[inline]
    pub fn each(&self, nulls: Option<&NullBuffer>, mut visit: impl FnMut(usize, usize)) {
        match self.taking_part(nulls) {
            None => {
                for (row, group) in self.groups.iter().enumerate() {
                    visit(row, *group);
                }
            }
            Some(valid) => {
                for row in valid.valid_indices() {
                    visit(row, self.groups[row]);
                }
            }
        }
    }

    /// As [`Rows::each`], with the weight of the row.
    #[inline]
    pub fn each_weighted(
        &self,
        nulls: Option<&NullBuffer>,
        mut visit: impl FnMut(usize, usize, i64),
    ) {
        match self.ops {
            None => self.each(nulls, |row, group| visit(row, group, 1)),
            Some(ops) => {
                let weights = ops.values();
                self.each(nulls, |row, group| {
                    visit(row, group, i64::from(weights[row]))
                });
            }
        }
    }

    /// Which rows take part; `None` when all do.
    fn taking_part(&self, nulls: Option<&NullBuffer>) -> Option<NullBuffer> {
        let filter = self.filter.map(|filter| {
            let truth = NullBuffer::new(filter.values().clone());
            NullBuffer::union(Some(&truth), filter.nulls()).unwrap_or(truth)
        });
        NullBuffer::union(filter.as_ref(), nulls).filter(|valid| valid.null_count() > 0)
    }
}

#[cfg(test)]
mod tests;
