//! Walks over sqlparser's tree that change it and can fail: between its `ControlFlow` and a
//! `Result`. Which nodes change, and how, each visitor says.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, Query, VisitMut, VisitorMut};

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

/// Changes the expressions of `node` from the inside out, but not those in its subqueries, where
/// names and lists are others.
pub(super) fn outside_subqueries(node: &mut impl VisitMut, change: impl FnMut(&mut Expr)) {
    let _: ControlFlow<()> = node.visit(&mut Outside { depth: 0, change });
}

struct Outside<F> {
    depth: usize,
    change: F,
}

impl<F: FnMut(&mut Expr)> VisitorMut for Outside<F> {
    type Break = ();

    fn pre_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.depth == 0 {
            (self.change)(expr);
        }
        ControlFlow::Continue(())
    }
}
