//! `GROUP BY TUMBLE(o.ts, INTERVAL '1' MINUTE)` over joined relations: a time bucket, which goes by
//! the event time that the join passes on.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, GroupByExpr, Ident, Select, SelectItem, VisitMut, VisitorMut,
};

use super::function_spelling::{arguments, call};
use super::spelling::{function_name, several_relations};
use crate::error::PlanError;

/// Puts a bucket in the place of `window`, which was taken from the groups of `select` at `at`, and
/// of `TUMBLE_START` and `TUMBLE_END`.
///
/// # Errors
/// For another window than TUMBLE, for one with an offset, and for its last time.
pub(super) fn over_join(
    select: &mut Select,
    at: usize,
    window: &Function,
) -> Result<(), PlanError> {
    let arguments = arguments(window).unwrap_or_default();
    let [time, length] = arguments.as_slice() else {
        return Err(several_relations());
    };
    if function_name(window).as_deref() != Some("tumble") {
        return Err(several_relations());
    }
    let start = call("time_bucket", vec![length.clone(), time.clone()]);
    let end = Expr::Nested(Box::new(Expr::BinaryOp {
        left: Box::new(start.clone()),
        op: BinaryOperator::Plus,
        right: Box::new(length.clone()),
    }));
    let mut bounds = Bounds { start, end };
    let mut replaced = ControlFlow::Continue(());
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(Expr::Function(function)) = &*item
            && let Some(name) = function_name(function).filter(|name| is_bound(name))
        {
            *item = SelectItem::ExprWithAlias {
                expr: Expr::Function(function.clone()),
                alias: Ident::new(name),
            };
        }
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
            && replaced.is_continue()
        {
            replaced = expr.visit(&mut bounds);
        }
    }
    if let Some(having) = &mut select.having
        && replaced.is_continue()
    {
        replaced = having.visit(&mut bounds);
    }
    if replaced.is_break() {
        return Err(several_relations());
    }
    if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
        groups.insert(at, bounds.start);
    }
    Ok(())
}

fn is_bound(name: &str) -> bool {
    ["tumble_start", "tumble_end", "tumble_rowtime"].contains(&name)
}

/// What the bounds of the window are.
struct Bounds {
    start: Expr,
    end: Expr,
}

impl VisitorMut for Bounds {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = &*expr {
            match function_name(function).as_deref() {
                Some("tumble_start") => *expr = self.start.clone(),
                Some("tumble_end") => *expr = self.end.clone(),
                Some("tumble_rowtime") => return ControlFlow::Break(()),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }
}
