//! Aggregates whose state can be looked at while it fills: what the runtime needs of a function to
//! keep all groups of a table in one accumulator although readers look at them again and again.
//!
//! DataFusion's `GroupsAccumulator` gives up its state when it is asked for results. Functions that
//! can do better are found by the planner, which knows them; the runtime, which does not, sees only
//! this contract.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::Result;

/// The state of one aggregate call over all groups of a table, densely numbered from 0.
///
/// # Contract
///
/// - `update` over any cut of the rows into batches gives the same state.
/// - `merge` of another table's `partial` counts its rows as arrived after the rows that are there.
/// - `read` and `partial` leave the state as it is.
/// - A group that no row has reached holds the aggregate of no rows.
pub trait ReadableGroups: Send {
    /// Takes *n* rows: argument columns, the group of each row (below `total`), and which of them
    /// take part.
    ///
    /// # Errors
    /// If a value cannot be computed.
    fn update(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()>;

    /// Takes *n* rows of partial states, as [`ReadableGroups::partial`] wrote them, for `groups`
    /// below `total`.
    ///
    /// # Errors
    /// If the states are not of this aggregate.
    fn merge(&mut self, partial: &[ArrayRef], groups: &[usize], total: usize) -> Result<()>;

    /// Makes room for groups below `total`, which hold the aggregate of no rows.
    fn grow(&mut self, total: usize);

    /// Returns the results of `groups`, in that order.
    ///
    /// # Errors
    /// If a result does not fit its type.
    fn read(&self, groups: &[usize]) -> Result<ArrayRef>;

    /// Returns the partial state of all groups, one row a group.
    ///
    /// # Errors
    /// If a state cannot be written.
    fn partial(&self) -> Result<Vec<ArrayRef>>;

    /// Bytes held.
    fn size(&self) -> usize;
}

/// Makes the state of one call over a table without groups.
#[derive(Clone)]
pub struct MakeReadable {
    make: Make,
    retracts: bool,
}

type Make = Arc<dyn Fn() -> Result<Box<dyn ReadableGroups>> + Send + Sync>;

impl MakeReadable {
    /// Wraps what makes the state.
    pub fn new(make: impl Fn() -> Result<Box<dyn ReadableGroups>> + Send + Sync + 'static) -> Self {
        Self {
            make: Arc::new(make),
            retracts: false,
        }
    }

    /// Wraps what makes a state whose rows can be taken back: behind the argument columns
    /// [`ReadableGroups::update`] takes a column of weights (8-bit integers, +1 or −1).
    pub fn retracting(
        make: impl Fn() -> Result<Box<dyn ReadableGroups>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            make: Arc::new(make),
            retracts: true,
        }
    }

    /// Whether rows can be taken back from the state.
    #[must_use]
    pub fn retracts(&self) -> bool {
        self.retracts
    }

    /// Makes the state.
    ///
    /// # Errors
    /// If an argument of the call is out of range.
    pub fn make(&self) -> Result<Box<dyn ReadableGroups>> {
        (self.make)()
    }
}

impl fmt::Debug for MakeReadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MakeReadable")
    }
}
