//! Window functions that go on: rows in, values out, batch after batch, with a state that can be
//! saved and loaded. What a streaming view runs instead of evaluating a whole partition anew.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::common::Result;
use datafusion::logical_expr::WindowUDF;
use datafusion::physical_plan::PhysicalExpr;

use crate::window;

/// A window function in the middle of one partition.
///
/// # Contract
///
/// - The values of a row depend on the rows before it only, not on how they were cut into batches.
/// - `load(save())` on a new one gives one that goes on with the same bits.
pub trait Running: Debug + Send {
    /// Takes `row_count` rows of the function's series and returns the value of each.
    ///
    /// # Errors
    /// If a value cannot be computed, such as a sum beyond the range of its type.
    fn advance(&mut self, series: &[ArrayRef], row_count: usize) -> Result<ArrayRef>;

    /// Returns all that it remembers.
    fn save(&mut self) -> Vec<u8>;

    /// Takes what [`Running::save`] of the same function with the same constants returned.
    ///
    /// # Errors
    /// If the bytes are not of this function.
    fn load(&mut self, saved: &[u8]) -> Result<()>;

    /// Returns the bytes it holds.
    fn size(&self) -> usize;
}

/// What a call of a window function is when it runs along.
#[derive(Debug)]
pub enum Along {
    /// It goes on from row to row with a state of bounded size.
    Running {
        /// How many of the call's arguments are series; constants follow.
        series: usize,
        /// The form of what [`Running::save`] returns, from 1; raised when it changes, so that a
        /// view does not go on from a state of another form.
        layout: u32,
    },
    /// It cannot, for this reason and with this advice.
    Refused(&'static str, &'static str),
}

/// Says how a call of one of our window functions runs along; `None` for other functions.
///
/// # Errors
/// What the function refuses of its constants.
pub fn along(function: &WindowUDF, arguments: &[Arc<dyn PhysicalExpr>]) -> Option<Result<Along>> {
    window::along(function, arguments)
}

/// Begins a partition for a call that runs along.
///
/// # Errors
/// What the function refuses of its constants; an internal error for a function that does not run
/// along.
pub fn start(
    function: &WindowUDF,
    arguments: &[Arc<dyn PhysicalExpr>],
    types: &[datafusion::arrow::datatypes::DataType],
) -> Result<Box<dyn Running>> {
    window::start(function, arguments, types)
}
