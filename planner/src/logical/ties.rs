//! `ORDER BY … FETCH FIRST n ROWS WITH TIES`: the rows whose rank is at most `n`, as `QUALIFY
//! rank() OVER (ORDER BY …) <= n`.

use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, OrderByExpr, OrderByKind, Query, Select, SelectItem, SetExpr, Value,
    WindowType,
};

use super::function_spelling::number;
use super::spelling::folded;
use super::view_spelling::parsed;
use crate::error::PlanError;

/// Rewrites a query that ends so.
///
/// # Errors
/// [`crate::error::Cause::Expression`] without an order,
/// [`crate::error::Cause::Unsupported`] for a query that has more than a SELECT and an order.
pub(super) fn rewrite(query: &mut Query) -> Result<(), PlanError> {
    let Some(fetch) = query.fetch.as_ref().filter(|fetch| fetch.with_ties) else {
        return Ok(());
    };
    let refused = |what: &str| {
        let error = PlanError::unsupported(format!("FETCH FIRST … WITH TIES {what}"));
        error.hint("Put the query into a subquery: SELECT * FROM (…) ORDER BY … FETCH FIRST ….")
    };
    if fetch.percent {
        return Err(refused("of a share of the rows"));
    }
    let quantity = fetch.quantity.clone().unwrap_or_else(|| number(1));
    let is_empty = |limit: &LimitClause| {
        matches!(limit, LimitClause::LimitOffset { limit: None, offset: None, limit_by }
            if limit_by.is_empty())
    };
    if query
        .limit_clause
        .as_ref()
        .is_some_and(|limit| !is_empty(limit))
    {
        return Err(refused("with OFFSET or LIMIT"));
    }
    let order = match query.order_by.as_ref().map(|order_by| &order_by.kind) {
        Some(OrderByKind::Expressions(order)) => order.clone(),
        Some(OrderByKind::All(_)) => return Err(refused("with ORDER BY ALL")),
        None => {
            let error =
                PlanError::expression("WITH TIES cannot be specified without ORDER BY clause");
            return Err(error.hint("Write ORDER BY before FETCH FIRST."));
        }
    };
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(refused("of several queries"));
    };
    if select.distinct.is_some() || select.qualify.is_some() {
        return Err(refused("with DISTINCT or QUALIFY"));
    }
    let order = order.iter().map(|order| resolved(order, select));
    let order = order.collect();
    select.qualify = Some(ranked(order, quantity)?);
    query.fetch = None;
    query.limit_clause = None;
    Ok(())
}

/// An order by a place or a name of the result as one by its expression.
fn resolved(order: &OrderByExpr, select: &Select) -> OrderByExpr {
    let item = match &order.expr {
        Expr::Value(value) => match &value.value {
            Value::Number(place, _) => {
                let place: Option<usize> = place.parse().ok();
                place.and_then(|place| select.projection.get(place.checked_sub(1)?))
            }
            _ => None,
        },
        Expr::Identifier(name) => select.projection.iter().find(|item| {
            matches!(item, SelectItem::ExprWithAlias { alias, .. } if folded(alias) == folded(name))
        }),
        _ => None,
    };
    let expr = match item {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            expr.clone()
        }
        _ => order.expr.clone(),
    };
    OrderByExpr {
        expr,
        ..order.clone()
    }
}

fn ranked(order: Vec<OrderByExpr>, quantity: Expr) -> Result<Expr, PlanError> {
    let select = parsed("SELECT 1 FROM x QUALIFY rank() OVER (ORDER BY x) <= 1")?;
    let mut qualify = select.qualify;
    if let Some(Expr::BinaryOp { left, right, .. }) = &mut qualify
        && let Expr::Function(call) = left.as_mut()
        && let Some(WindowType::WindowSpec(spec)) = &mut call.over
    {
        spec.order_by = order;
        **right = quantity;
    }
    qualify.ok_or_else(|| PlanError::internal("a QUALIFY is none"))
}
