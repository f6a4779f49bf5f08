//! Spellings that only streaming views need in another form: `DISTINCT ON` as a row number,
//! `UNNEST` and `generate_series` in FROM as lateral subqueries.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Distinct, Expr, Ident, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SetExpr, Statement, TableFactor, VisitMut, VisitorMut, WindowType,
};
use datafusion::sql::sqlparser::parser::Parser;

use crate::error::PlanError;
use crate::logical::function_spelling::{ascending, call};
use crate::logical::series;
use crate::logical::walk::{outside_subqueries, replace, step, walk};
use crate::parse::dialect::Grammar;

/// Rewrites the query of a view.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for `DISTINCT ON` without an order.
pub fn rewrite(statement: &mut Statement) -> Result<(), PlanError> {
    walk(statement, &mut Rewriter)
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = PlanError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        series::in_select(select);
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<PlanError> {
        step(distinct_on(query))
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<PlanError> {
        if let Some(unnest) = series::as_unnest(factor) {
            *factor = unnest;
        }
        let subquery = elements(factor, true);
        replace(factor, subquery)
    }
}

/// `SELECT DISTINCT ON (k) … ORDER BY k, ts DESC`: the first row of each `k`, as `QUALIFY
/// ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1`.
fn distinct_on(query: &mut Query) -> Result<(), PlanError> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Ok(());
    };
    let Some(Distinct::On(keys)) = &select.distinct else {
        return Ok(());
    };
    let refused = |what: &str| {
        let error = PlanError::unsupported(what);
        error.hint("Write SELECT DISTINCT ON (symbol) … ORDER BY symbol, ts DESC.")
    };
    let limited = query.limit_clause.is_some() || query.fetch.is_some();
    let order = query.order_by.as_ref().map(|order_by| &order_by.kind);
    let order = match order {
        Some(OrderByKind::Expressions(order)) if !limited => order.as_slice(),
        _ => &[],
    };
    // As in PostgreSQL the order begins with the keys, in any sequence.
    let is_key = |order: &OrderByExpr| keys.contains(&order.expr);
    let split = order
        .iter()
        .position(|order| !is_key(order))
        .unwrap_or(order.len());
    let (_, order) = order.split_at(split);
    // Without an order any row of a key will do; the least one is the same at every replay.
    let order = match order {
        [] => match by_columns(&select.projection, keys) {
            Some(order) if !limited => order,
            _ => return Err(refused("DISTINCT ON without an order of the rows of a key")),
        },
        order => order.to_vec(),
    };
    let mut qualify = row_number_is_one()?;
    if let Expr::BinaryOp { left, .. } = &mut qualify
        && let Expr::Function(call) = left.as_mut()
        && let Some(WindowType::WindowSpec(spec)) = &mut call.over
    {
        spec.partition_by.clone_from(keys);
        spec.order_by = order;
    }
    select.qualify = Some(match select.qualify.take() {
        None => qualify,
        Some(other) => Expr::BinaryOp {
            left: Box::new(Expr::Nested(Box::new(other))),
            op: BinaryOperator::And,
            right: Box::new(qualify),
        },
    });
    select.distinct = None;
    query.order_by = None;
    Ok(())
}

/// All selected columns but the keys as an order; `None` if the query does not say which they are.
fn by_columns(items: &[SelectItem], keys: &[Expr]) -> Option<Vec<OrderByExpr>> {
    let mut columns = Vec::new();
    for item in items {
        match item {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => {
                columns.extend((!keys.contains(expr)).then(|| expr.clone()));
            }
            _ => return None,
        }
    }
    if columns.is_empty() {
        columns.extend(keys.first().cloned());
    }
    Some(columns.into_iter().map(ascending).collect())
}

fn row_number_is_one() -> Result<Expr, PlanError> {
    parsed("SELECT 1 FROM x QUALIFY row_number() OVER (PARTITION BY x ORDER BY x) = 1")
        .map(|select| select.qualify)?
        .ok_or_else(|| PlanError::internal("a QUALIFY is none"))
}

pub(super) fn parsed(sql: &str) -> Result<Select, PlanError> {
    let query = Parser::new(&Grammar)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_query());
    let query = query.map_err(|error| PlanError::internal(error.to_string()))?;
    match *query.body {
        SetExpr::Select(select) => Ok(*select),
        _ => Err(PlanError::internal("a SELECT is none")),
    }
}

/// `UNNEST(a, b) [WITH ORDINALITY] AS u (x, y)` as `[LATERAL] (SELECT unnest(a) AS x, unnest(b) AS
/// y) AS u`.
pub(super) fn elements(
    factor: &TableFactor,
    lateral: bool,
) -> Result<Option<TableFactor>, PlanError> {
    let TableFactor::UNNEST {
        alias,
        array_exprs,
        with_offset: false,
        with_ordinality,
        ..
    } = factor
    else {
        return Ok(None);
    };
    let names: Vec<Ident> = match alias {
        Some(alias) if alias.columns.is_empty() => vec![alias.name.clone()],
        Some(alias) => alias
            .columns
            .iter()
            .map(|column| column.name.clone())
            .collect(),
        None => Vec::new(),
    };
    let mut select = parsed("SELECT unnest(x)")?;
    let Some(SelectItem::UnnamedExpr(call)) = select.projection.pop() else {
        return Err(PlanError::internal("unnest is no call"));
    };
    let mut lists = array_exprs.clone();
    lists.iter_mut().for_each(built);
    if *with_ordinality && let Some(first) = lists.first().cloned() {
        let mut numbers = parsed("SELECT range(1, CAST(array_length(x) AS BIGINT) + 1)")?;
        if let Some(SelectItem::UnnamedExpr(mut expr)) = numbers.projection.pop() {
            put(&mut expr, &first);
            lists.push(expr);
        }
    }
    for (index, list) in lists.iter().enumerate() {
        let mut expr = call.clone();
        put(&mut expr, list);
        let fallback = match (index, *with_ordinality && index + 1 == lists.len()) {
            (_, true) => "ordinality".to_owned(),
            (0, _) => "unnest".to_owned(),
            (index, _) => format!("unnest_{}", index + 1),
        };
        let alias = names
            .get(index)
            .cloned()
            .unwrap_or_else(|| Ident::new(fallback));
        select
            .projection
            .push(SelectItem::ExprWithAlias { expr, alias });
    }
    let mut query = super::spelling::select_all(vec![Ident::new("x")])?;
    query.body = Box::new(SetExpr::Select(Box::new(select)));
    let alias = alias.clone().map(|mut alias| {
        alias.columns.clear();
        alias
    });
    Ok(Some(TableFactor::Derived {
        lateral,
        subquery: query,
        alias,
        sample: None,
    }))
}

/// `ARRAY[a, b]` as `make_array(a, b)`: DataFusion looks for the columns of a list that is written
/// out in its own query alone.
fn built(list: &mut Expr) {
    outside_subqueries(list, |expr| {
        if let Expr::Array(array) = expr
            && !array.elem.is_empty()
        {
            *expr = call("make_array", std::mem::take(&mut array.elem));
        }
    });
}

/// Puts `list` in place of the column `x`.
fn put(expr: &mut Expr, list: &Expr) {
    struct Put<'a>(&'a Expr);
    impl VisitorMut for Put<'_> {
        type Break = ();

        fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
            if matches!(expr, Expr::Identifier(name) if name.value == "x") {
                *expr = self.0.clone();
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(expr, &mut Put(list));
}
