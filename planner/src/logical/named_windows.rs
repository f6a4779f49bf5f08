//! Windows that begin with another one: `OVER (w ORDER BY x)` and `WINDOW b AS (a ROWS …)` have the
//! partition and the order of what they name. DataFusion does not look at that name.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, Select, SelectItem, SetExpr,
    VisitMut, VisitorMut, WindowSpec, WindowType,
};

use super::spelling::folded;
use super::walk::outside_subqueries;
use crate::error::{Cause, PlanError};

/// Puts the named windows of a query in the place of their names in its `ORDER BY`.
pub(super) fn in_order(query: &mut Query) {
    let (Some(order), SetExpr::Select(select)) = (&mut query.order_by, query.body.as_ref()) else {
        return;
    };
    outside_subqueries(order, |expr| {
        if let Expr::Function(call) = expr
            && let Some(WindowType::NamedWindow(name)) = &call.over
        {
            let wanted = folded(name);
            let mut known = select.named_window.iter();
            let found = known.find(|NamedWindowDefinition(name, _)| folded(name) == wanted);
            if let Some(NamedWindowDefinition(_, NamedWindowExpr::WindowSpec(spec))) = found {
                call.over = Some(WindowType::WindowSpec(spec.clone()));
            }
        }
    });
}

/// Gives the windows of `select` what they inherit.
///
/// # Errors
/// For a window that is not there, and for one that contradicts what it names.
pub(super) fn inherit(select: &mut Select) -> Result<(), PlanError> {
    let mut known: Vec<(String, WindowSpec)> = Vec::new();
    for NamedWindowDefinition(name, window) in &mut select.named_window {
        let spec = match &*window {
            NamedWindowExpr::NamedWindow(base) => find(&known, base)?.clone(),
            NamedWindowExpr::WindowSpec(spec) => merged(spec, &known)?,
        };
        *window = NamedWindowExpr::WindowSpec(spec.clone());
        known.push((folded(name), spec));
    }
    let mut windows = Windows { known: &known };
    let mut result = ControlFlow::Continue(());
    let items = select.projection.iter_mut().filter_map(|item| match item {
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
        _ => None,
    });
    for expr in items.chain(&mut select.qualify) {
        if result.is_continue() {
            result = expr.visit(&mut windows);
        }
    }
    match result {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(error),
    }
}

struct Windows<'a> {
    known: &'a [(String, WindowSpec)],
}

impl VisitorMut for Windows<'_> {
    type Break = PlanError;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<PlanError> {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(spec)) = &mut function.over
            && spec.window_name.is_some()
        {
            match merged(spec, self.known) {
                Ok(merged) => *spec = merged,
                Err(error) => return ControlFlow::Break(error),
            }
        }
        ControlFlow::Continue(())
    }
}

fn find<'a>(known: &'a [(String, WindowSpec)], name: &Ident) -> Result<&'a WindowSpec, PlanError> {
    let wanted = folded(name);
    let found = known.iter().find(|(known, _)| *known == wanted);
    found.map(|(_, spec)| spec).ok_or_else(|| {
        let message = format!("window \"{wanted}\" does not exist");
        PlanError::new(Cause::Expression { message })
    })
}

/// `spec` with what it inherits from the window that it names, if it names one.
fn merged(spec: &WindowSpec, known: &[(String, WindowSpec)]) -> Result<WindowSpec, PlanError> {
    let Some(name) = &spec.window_name else {
        return Ok(spec.clone());
    };
    let base = find(known, name)?;
    let refused = |what: String| Err(PlanError::new(Cause::Expression { message: what }));
    let name = folded(name);
    if !spec.partition_by.is_empty() {
        return refused(format!(
            "cannot override PARTITION BY clause of window \"{name}\""
        ));
    }
    if !base.order_by.is_empty() && !spec.order_by.is_empty() {
        return refused(format!(
            "cannot override ORDER BY clause of window \"{name}\""
        ));
    }
    if base.window_frame.is_some() {
        return refused(format!(
            "cannot copy window \"{name}\" because it has a frame clause"
        ));
    }
    let order_by = match spec.order_by.is_empty() {
        true => &base.order_by,
        false => &spec.order_by,
    };
    Ok(WindowSpec {
        window_name: None,
        partition_by: base.partition_by.clone(),
        order_by: order_by.clone(),
        window_frame: spec.window_frame.clone(),
    })
}
