//! Result columns of one name, which PostgreSQL allows and DataFusion does not: each expression
//! gets a name of its own, and the client is told PostgreSQL's ([`super::names`]). Columns of
//! queries in FROM have PostgreSQL's names at once, where they differ.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, OrderByKind, Query, SelectItem, SetExpr, Statement, TableFactor, Value, VisitMut,
    VisitorMut,
};

use super::names::{folded, of_expr};

/// Gives the result columns of `statement` names that differ. An `ORDER BY` that means one of those
/// renamed, by the name that the client sees, says its position instead.
pub(crate) fn tell_apart(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        of_query(query);
    }
}

/// Gives the columns of queries in FROM and in WITH the names that PostgreSQL gives them.
pub(crate) fn name_inner(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Inner);
}

struct Inner;

impl VisitorMut for Inner {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let tables = query.with.iter_mut().flat_map(|with| &mut with.cte_tables);
        tables.for_each(|table| name_columns(&mut table.query.body));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Derived { subquery, .. } = factor {
            name_columns(&mut subquery.body);
        }
        ControlFlow::Continue(())
    }
}

fn name_columns(body: &mut SetExpr) {
    let select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, .. } => return name_columns(left),
        _ => return,
    };
    let name = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => of_expr(expr),
        SelectItem::ExprWithAlias { alias, .. } => Some(folded(alias)),
        _ => None,
    };
    let names: Vec<Option<String>> = select.projection.iter().map(name).collect();
    for (item, name) in select.projection.iter_mut().zip(&names) {
        let SelectItem::UnnamedExpr(expr) = item else {
            continue;
        };
        let once = name.is_some() && names.iter().filter(|other| *other == name).count() == 1;
        let plain = matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        if let Some(name) = name.as_ref().filter(|_| once && !plain) {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::with_quote('"', name),
            };
        }
    }
}

fn of_query(query: &mut Query) {
    let renamed = of_body(&mut query.body);
    let order = query.order_by.as_mut().map(|order| &mut order.kind);
    let Some(OrderByKind::Expressions(order)) = order else {
        return;
    };
    for order in order {
        let Expr::Identifier(name) = &order.expr else {
            continue;
        };
        let name = folded(name);
        let mut meant = renamed.iter().filter(|(_, known)| *known == name);
        if let (Some((place, _)), None) = (meant.next(), meant.next()) {
            order.expr = Expr::value(Value::Number((place + 1).to_string(), false));
        }
    }
}

/// The columns of the first SELECT that have got other names: place and name before.
fn of_body(body: &mut SetExpr) -> Vec<(usize, String)> {
    match body {
        SetExpr::Select(select) => of_items(&mut select.projection),
        SetExpr::Query(query) => {
            of_query(query);
            Vec::new()
        }
        SetExpr::SetOperation { left, right, .. } => {
            let renamed = of_body(left);
            of_body(right);
            renamed
        }
        _ => Vec::new(),
    }
}

fn of_items(items: &mut [SelectItem]) -> Vec<(usize, String)> {
    let mut taken = HashSet::new();
    let mut renamed = Vec::new();
    for (place, item) in items.iter_mut().enumerate() {
        let (expr, name) = match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = of_expr(expr).unwrap_or_default();
                (expr.clone(), name)
            }
            SelectItem::ExprWithAlias { expr, alias } => (expr.clone(), folded(alias)),
            _ => continue,
        };
        // A column keeps its own name, and an alias that which it was given, once.
        let plain = match item {
            SelectItem::UnnamedExpr(expr) => {
                matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
            }
            _ => true,
        };
        if plain && taken.insert(name.clone()) {
            continue;
        }
        *item = SelectItem::ExprWithAlias {
            expr,
            alias: Ident::with_quote('"', format!("column {}", place + 1)),
        };
        renamed.push((place, name));
    }
    renamed
}
