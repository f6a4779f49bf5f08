//! Walks over sqlparser's tree that change it and can fail: between its `ControlFlow` and a
//! `Result`. Which nodes change, and how, each visitor says.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{VisitMut, VisitorMut};

use crate::error::PlanError;

/// Goes through `node` with `visitor`.
///
/// # Errors
/// The first one that the visitor breaks with.
pub(super) fn walk<V: VisitorMut<Break = PlanError>>(
    node: &mut impl VisitMut,
    visitor: &mut V,
) -> Result<(), PlanError> {
    match node.visit(visitor) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

/// Goes on if a step of the walk is `done`.
pub(super) fn step(done: Result<(), PlanError>) -> ControlFlow<PlanError> {
    match done {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

/// Puts `new` in `place` if there is one, and goes on.
pub(super) fn replace<T>(
    place: &mut T,
    new: Result<Option<T>, PlanError>,
) -> ControlFlow<PlanError> {
    step(new.map(|new| {
        if let Some(new) = new {
            *place = new;
        }
    }))
}
