//! Rows of an object as the leaf of a plan wants them.

use rtsap_stream::change::ChangeBatch;

use crate::operator::OperatorError;

/// The columns at `places`, in that order.
///
/// # Errors
/// [`OperatorError`] if there is no such column.
pub(super) fn project(
    changes: &ChangeBatch,
    places: &[usize],
) -> Result<ChangeBatch, OperatorError> {
    let arrow = |source| OperatorError::Arrow {
        operator: "Input",
        source,
    };
    let rows = changes.rows().project(places).map_err(arrow)?;
    match changes.ops() {
        None => Ok(ChangeBatch::inserts(rows)),
        Some(ops) => {
            ChangeBatch::try_new(rows, ops.clone()).map_err(|error| OperatorError::Contract {
                operator: "Input",
                found: error.to_string(),
            })
        }
    }
}
