//! What belongs to a whole query and DataFusion takes for something else without a word: positions
//! in `DISTINCT ON (1)`, clauses behind the `UNION` of a recursive query, `count(t.*)` beside an
//! outer join, and arguments of aggregates with `FILTER`, which are computed for kept rows alone.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, DataType, Distinct, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArguments, GroupByExpr, Ident, Join, JoinOperator, ObjectNamePart,
    OrderByKind, Query, Select, SelectItem, SetExpr, SetOperator, SetQuantifier, Statement,
    TableFactor, Value, Visit, Visitor, VisitorMut, visit_expressions,
};

use super::cast_names;
use super::function_spelling::{and, arguments, call, case, number};
use super::one_row;
use super::order_names;
use super::series::names_columns;
use super::spelling::{folded, function_name};
use super::view_spelling::parsed;
use super::walk::{step, walk};
use crate::error::{Cause, PlanError};

/// Rewrites and checks every query of `statement`.
///
/// # Errors
/// For a position that no column has, and for what a recursive query cannot have.
pub fn rewrite(statement: &mut Statement) -> Result<(), PlanError> {
    walk(statement, &mut Queries)
}

struct Queries;

impl VisitorMut for Queries {
    type Break = PlanError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<PlanError> {
        cast_names::tell_apart(query);
        step(
            recursive(query)
                .and_then(|()| distinct_on(query))
                .and_then(|()| order_names::rewrite(query))
                .and_then(|()| selected_values(query)),
        )
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        plain_groups(select);
        step(whole_rows(select))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<PlanError> {
        match expr {
            Expr::Function(call) => filtered(call),
            // PostgreSQL's `float` is a double, as in the columns of a table.
            Expr::Cast { data_type, .. } if is_double(data_type) => {
                *data_type = DataType::DoublePrecision;
            }
            _ => {}
        }
        if let Some(other) = one_row::rewritten(expr) {
            *expr = other;
        }
        ControlFlow::Continue(())
    }
}

fn is_double(of: &DataType) -> bool {
    match of {
        DataType::Float(ExactNumberInfo::None) => true,
        DataType::Float(ExactNumberInfo::Precision(bits)) => *bits > 24,
        _ => false,
    }
}

/// `GROUP BY (a, b), c` as `GROUP BY a, b, c`: brackets make no row there. `GROUP BY ()` and
/// `HAVING` make one group of all rows, also without an aggregate.
fn plain_groups(select: &mut Select) {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
        return;
    };
    groups.iter_mut().for_each(sets_in_sets);
    let before = groups.len();
    let flat = std::mem::take(groups)
        .into_iter()
        .flat_map(|group| match group {
            Expr::Tuple(parts) => parts,
            group => vec![group],
        });
    *groups = flat.collect();
    let calls = visit_expressions(&select.having, |expr| match expr {
        Expr::Function(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    let bare = select.having.is_some() && calls.is_continue();
    if groups.is_empty() && (before > 0 || bare) {
        let any = Expr::BinaryOp {
            left: Box::new(call("count", vec![number(1)])),
            op: BinaryOperator::GtEq,
            right: Box::new(number(0)),
        };
        select.having = Some(match select.having.take() {
            Some(having) => and(Expr::Nested(Box::new(having)), any),
            None => any,
        });
    }
}

/// `GROUPING SETS (ROLLUP (a, b), c)` with the sets that the inner one stands for.
fn sets_in_sets(group: &mut Expr) {
    let Expr::GroupingSets(sets) = group else {
        return;
    };
    let flat = std::mem::take(sets).into_iter().flat_map(|set| {
        let inner = match set.as_slice() {
            [Expr::Function(call)] => inner_sets(call),
            _ => None,
        };
        inner.unwrap_or_else(|| vec![set])
    });
    *sets = flat.collect();
}

fn inner_sets(call: &Function) -> Option<Vec<Vec<Expr>>> {
    let all = arguments(call)?.into_iter().map(|part| match part {
        Expr::Tuple(parts) => parts,
        part => vec![part],
    });
    let all: Vec<Vec<Expr>> = all.collect();
    match function_name(call)?.as_str() {
        "rollup" => Some((0..=all.len()).rev().map(|n| all[..n].concat()).collect()),
        // As many as PostgreSQL takes.
        "cube" if all.len() <= 12 => {
            let masks = (0..1_usize << all.len()).rev();
            let chosen = masks.map(|mask| {
                let kept = all.iter().enumerate();
                let kept = kept.filter(|(place, _)| mask >> place & 1 == 1);
                kept.flat_map(|(_, parts)| parts.clone()).collect()
            });
            Some(chosen.collect())
        }
        _ => None,
    }
}

/// `sum(1 / v) FILTER (WHERE v > 0)` as `sum(CASE WHEN v > 0 THEN 1 / v END) FILTER (…)`: the
/// argument of a row that does not count is not computed, so it cannot fail.
fn filtered(call: &mut Function) {
    let (Some(filter), FunctionArguments::List(list)) = (&call.filter, &mut call.args) else {
        return;
    };
    // An order by the argument names it as it stands.
    if !list.clauses.is_empty() {
        return;
    }
    for argument in &mut list.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)) = argument else {
            continue;
        };
        let plain = matches!(argument, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
        // A constant stays one: some functions want it so.
        if plain || !names_columns(argument) {
            continue;
        }
        *argument = case(filter, argument, &Expr::value(Value::Null));
    }
}

/// Refuses `count(t.*)` where `t` may have no row: it would be counted all the same.
fn whole_rows(select: &Select) -> Result<(), PlanError> {
    let outer = |join: &Join| {
        matches!(
            join.join_operator,
            JoinOperator::Left(_)
                | JoinOperator::LeftOuter(_)
                | JoinOperator::Right(_)
                | JoinOperator::RightOuter(_)
                | JoinOperator::FullOuter(_)
        )
    };
    if !select.from.iter().any(|from| from.joins.iter().any(outer)) {
        return Ok(());
    }
    let whole = visit_expressions(&select.projection, |expr| match expr {
        Expr::Function(call) if counts_rows(call) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if whole.is_continue() {
        return Ok(());
    }
    let error = PlanError::unsupported("count of a whole row beside an outer join");
    Err(error.hint("Count a column that is never null in its rows, such as their key."))
}

fn counts_rows(call: &Function) -> bool {
    let FunctionArguments::List(list) = &call.args else {
        return false;
    };
    list.args.iter().any(|argument| {
        matches!(
            argument,
            FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_))
        )
    })
}

/// `VALUES ((SELECT 1), 2)` as `SELECT (SELECT 1) AS column1, 2 AS column2`: DataFusion computes
/// values before any subquery has run.
fn selected_values(query: &mut Query) -> Result<(), PlanError> {
    let SetExpr::Values(values) = query.body.as_ref() else {
        return Ok(());
    };
    let subquery = visit_expressions(values, |expr| match expr {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    if subquery.is_continue() {
        return Ok(());
    }
    let mut rows = Vec::with_capacity(values.rows.len());
    for row in &values.rows {
        let mut select = parsed("SELECT 1")?;
        let items = (1..).zip(row.content.iter());
        select.projection = items
            .map(|(place, expr)| SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::new(format!("column{place}")),
            })
            .collect();
        rows.push(SetExpr::Select(Box::new(select)));
    }
    let all = rows
        .into_iter()
        .reduce(|left, right| SetExpr::SetOperation {
            op: SetOperator::Union,
            set_quantifier: SetQuantifier::All,
            left: Box::new(left),
            right: Box::new(right),
        });
    if let Some(all) = all {
        *query.body = all;
    }
    Ok(())
}

/// Positions in `DISTINCT ON`, and with it in `ORDER BY`, as the columns that they mean.
fn distinct_on(query: &mut Query) -> Result<(), PlanError> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    let Some(Distinct::On(keys)) = &mut select.distinct else {
        return Ok(());
    };
    let items = &select.projection;
    for key in keys {
        if let Some(meant) = meant(key, items, "SELECT DISTINCT ON")? {
            *key = meant;
        }
    }
    let order = query.order_by.as_mut().map(|order| &mut order.kind);
    if let Some(OrderByKind::Expressions(order)) = order {
        for order in order {
            if let Some(meant) = meant(&order.expr, items, "ORDER BY")? {
                order.expr = meant;
            }
        }
    }
    Ok(())
}

/// The item that a whole number stands for; `None` if `expr` is none.
fn meant(expr: &Expr, items: &[SelectItem], clause: &str) -> Result<Option<Expr>, PlanError> {
    let Expr::Value(value) = expr else {
        return Ok(None);
    };
    let Value::Number(digits, _) = &value.value else {
        return Ok(None);
    };
    let place = digits.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
    let before = place.and_then(|place| items.get(..=place));
    let columns: Option<Vec<&Expr>> = before.and_then(|items| {
        let columns = items.iter().map(|item| match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr),
            // How many columns it stands for is not known here.
            _ => None,
        });
        columns.collect()
    });
    match columns.as_deref() {
        Some([.., last]) => Ok(Some((*last).clone())),
        _ if before.is_some() => {
            let what = format!("{clause} {digits} behind *");
            Err(PlanError::unsupported(what).hint("Write the column's name."))
        }
        _ => {
            let message = format!("{clause} position {digits} is not in select list");
            Err(PlanError::new(Cause::Expression { message }))
        }
    }
}

/// Refuses clauses behind a recursive query's `UNION`.
fn recursive(query: &Query) -> Result<(), PlanError> {
    let Some(with) = query.with.as_ref().filter(|with| with.recursive) else {
        return Ok(());
    };
    for table in &with.cte_tables {
        let own = &table.query;
        let name = folded(&table.alias.name);
        let what = if own.order_by.is_some() {
            "ORDER BY in a recursive query"
        } else if own.limit_clause.is_some() || own.fetch.is_some() {
            "LIMIT or OFFSET in a recursive query"
        } else {
            continue;
        };
        if matches!(own.body.as_ref(), SetExpr::SetOperation { .. }) && reads(own, &name) {
            let error = PlanError::unsupported(what);
            return Err(error.hint("Write it behind the SELECT that reads the recursive query."));
        }
    }
    Ok(())
}

/// Whether a query reads from `name`.
fn reads(query: &Query, name: &str) -> bool {
    struct Named<'a>(&'a str);
    impl Visitor for Named<'_> {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
            match factor {
                TableFactor::Table { name, .. } => match name.0.as_slice() {
                    [ObjectNamePart::Identifier(ident)] if folded(ident) == self.0 => {
                        ControlFlow::Break(())
                    }
                    _ => ControlFlow::Continue(()),
                },
                _ => ControlFlow::Continue(()),
            }
        }
    }
    query.visit(&mut Named(name)).is_break()
}
