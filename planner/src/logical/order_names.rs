//! Names in `ORDER BY` that DataFusion takes for those of the result where PostgreSQL takes them
//! for those of the rows: in an expression, as `-k` in `SELECT -k AS k … ORDER BY -k`. And
//! expressions that `SELECT DISTINCT` shows, as the columns that they are.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, Ident, OrderBy, OrderByKind, Query, Select, SelectItem, SetExpr,
    visit_expressions,
};

use super::function_spelling::number;
use super::spelling::{derived, folded, quoted, select_all};
use super::view_spelling::parsed;
use crate::error::PlanError;

/// Rewrites the order of a query.
///
/// # Errors
/// None but for a bug.
pub(super) fn rewrite(query: &mut Query) -> Result<(), PlanError> {
    let (Some(order), SetExpr::Select(select)) = (&mut query.order_by, query.body.as_mut()) else {
        return Ok(());
    };
    let OrderByKind::Expressions(keys) = &mut order.kind else {
        return Ok(());
    };
    if matches!(select.distinct, Some(Distinct::Distinct)) {
        for key in keys {
            if let Some(place) = place(&key.expr, &select.projection) {
                key.expr = number(place);
            }
        }
        return Ok(());
    }
    let misread = |key: &Expr| is_computed(key) && is_misread(key, &select.projection);
    if select.distinct.is_some() || !keys.iter().any(|key| misread(&key.expr)) {
        return Ok(());
    }
    let Some(names) = names(&select.projection) else {
        return Ok(());
    };
    let ordered = ordered(select, order, &names)?;
    **select = ordered;
    Ok(())
}

fn is_computed(key: &Expr) -> bool {
    let plain = matches!(key, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    !plain && !matches!(key, Expr::Value(_))
}

/// Which of the selected columns, counted from one, is this expression.
fn place(key: &Expr, items: &[SelectItem]) -> Option<i64> {
    if !is_computed(key) {
        return None;
    }
    for (place, item) in (1..).zip(items) {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                if expr == key {
                    return Some(place);
                }
            }
            // How many columns it stands for is not known here.
            _ => return None,
        }
    }
    None
}

/// Whether `key` names a column that is computed under its own name.
fn is_misread(key: &Expr, items: &[SelectItem]) -> bool {
    items.iter().any(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } if is_computed(expr) => {
            let name = folded(alias);
            is_named(key, &name) && is_named(expr, &name)
        }
        _ => false,
    })
}

fn is_named(expr: &Expr, wanted: &str) -> bool {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Identifier(name) if folded(name) == wanted => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}

/// The names of the result, if the query says them all.
fn names(items: &[SelectItem]) -> Option<Vec<Ident>> {
    let name = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(quoted(&folded(alias))),
        SelectItem::UnnamedExpr(Expr::Identifier(name)) => Some(quoted(&folded(name))),
        SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
            parts.last().map(|name| quoted(&folded(name)))
        }
        _ => None,
    };
    items.iter().map(name).collect()
}

/// `SELECT names FROM (SELECT …, key AS "__order_1") ORDER BY "__order_1"`.
fn ordered(select: &Select, order: &mut OrderBy, names: &[Ident]) -> Result<Select, PlanError> {
    let mut inner = select.clone();
    let OrderByKind::Expressions(keys) = &mut order.kind else {
        return Ok(inner);
    };
    for (place, key) in keys.iter_mut().enumerate() {
        if !is_computed(&key.expr) {
            continue;
        }
        let name = format!("__order_{place}");
        let shown = Expr::Identifier(quoted(&name));
        inner.projection.push(SelectItem::ExprWithAlias {
            expr: std::mem::replace(&mut key.expr, shown),
            alias: quoted(&name),
        });
    }
    let mut outer = parsed("SELECT 1 FROM t")?;
    let columns = names.iter().cloned();
    outer.projection = columns
        .map(|name| SelectItem::UnnamedExpr(Expr::Identifier(name)))
        .collect();
    let mut query = select_all(vec![Ident::new("t")])?;
    *query.body = SetExpr::Select(Box::new(inner));
    for from in &mut outer.from {
        from.relation = derived((*query).clone(), "__ordered", &[]);
    }
    Ok(outer)
}
