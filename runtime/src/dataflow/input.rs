//! Rows of an object as the leaf of a plan wants them.

use rtsap_stream::change::ChangeBatch;

use crate::operator::OperatorError;

const NAME: &str = "Input";

/// The columns at `places`, in that order.
///
/// # Errors
/// [`OperatorError`] if there is no such column.
pub(super) fn project(
    changes: &ChangeBatch,
    places: &[usize],
) -> Result<ChangeBatch, OperatorError> {
    let rows = changes.rows().project(places);
    let rows = rows.map_err(OperatorError::arrow(NAME))?;
    let Some(ops) = changes.ops() else {
        return Ok(ChangeBatch::inserts(rows));
    };
    let made = ChangeBatch::try_new(rows, ops.clone());
    made.map_err(|error| OperatorError::contract(NAME, error.to_string()))
}
