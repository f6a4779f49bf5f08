//! `generate_series(a, b [, step])` in FROM and in the list of a SELECT, as the elements of a list;
//! and elements of lists that depend on the row beside them, in reads, as lateral subqueries, as
//! views have them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Select, SelectItem, Statement, TableAlias,
    TableAliasColumnDef, TableFactor, UnaryOperator, Value, Visit, Visitor, VisitorMut,
};

use crate::error::PlanError;
use crate::logical::function_spelling::{arguments, by_position, call};
use crate::logical::view_spelling::elements;
use crate::logical::walk::{outside_subqueries, replace, walk};

/// Rewrites a statement that reads.
///
/// # Errors
/// [`crate::error::Cause::Internal`] only.
pub fn rewrite(statement: &mut Statement) -> Result<(), PlanError> {
    walk(statement, &mut Rewriter)
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = PlanError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        in_list(select);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<PlanError> {
        if is_lazy(factor) {
            name_column(factor);
            return ControlFlow::Continue(());
        }
        if let Some(unnest) = as_unnest(factor) {
            *factor = unnest;
        }
        let TableFactor::UNNEST {
            array_exprs,
            with_ordinality,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        let of_row = array_exprs.iter().any(names_columns);
        if !of_row && !*with_ordinality {
            return ControlFlow::Continue(());
        }
        let subquery = elements(factor, of_row);
        replace(factor, subquery)
    }
}

/// `SELECT generate_series(…)` as `SELECT unnest(series_list(…)) AS generate_series`.
pub(super) fn in_list(select: &mut Select) {
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let named = matches!(&expr, Expr::Function(call) if is_series(&call.name));
                outside_subqueries(expr, as_elements);
                if named {
                    let (expr, alias) = (expr.clone(), Ident::new("generate_series"));
                    *item = SelectItem::ExprWithAlias { expr, alias };
                }
            }
            SelectItem::ExprWithAlias { expr, .. } => {
                outside_subqueries(expr, as_elements);
            }
            _ => {}
        }
    }
}

/// Puts elements in the place of a call of `generate_series`.
fn as_elements(expr: &mut Expr) {
    if let Expr::Function(function) = expr
        && is_series(&function.name)
        && let Some(args) = arguments(function).filter(|args| (2..=3).contains(&args.len()))
    {
        *expr = call("unnest", vec![call("series_list", args)]);
    }
}

/// The arguments of a call of `generate_series`, and what it is called.
fn series(factor: &TableFactor) -> Option<(Vec<Expr>, bool, Option<&TableAlias>)> {
    let (name, args, ordinality, alias) = match factor {
        TableFactor::Table {
            name,
            args: Some(args),
            with_ordinality,
            alias,
            ..
        } => (name, &args.args, *with_ordinality, alias),
        TableFactor::Function {
            name,
            args,
            with_ordinality,
            alias,
            ..
        } => (name, args, *with_ordinality, alias),
        _ => return None,
    };
    if !is_series(name) || !(2..=3).contains(&args.len()) {
        return None;
    }
    Some((by_position(args)?, ordinality, alias.as_ref()))
}

fn is_series(name: &ObjectName) -> bool {
    match name.0.as_slice() {
        [.., ObjectNamePart::Identifier(name)] => {
            name.value.eq_ignore_ascii_case("generate_series")
        }
        _ => false,
    }
}

/// `generate_series(…) AS g` as `UNNEST(series_list(…)) AS g (g)`; `None` for another relation.
pub(super) fn as_unnest(factor: &TableFactor) -> Option<TableFactor> {
    let (args, with_ordinality, alias) = series(factor)?;
    let mut alias = alias.cloned().unwrap_or_else(|| named("generate_series"));
    if alias.columns.is_empty() {
        alias.columns.push(column(alias.name.clone()));
    }
    if with_ordinality && alias.columns.len() == 1 {
        alias.columns.push(column(Ident::new("ordinality")));
    }
    Some(TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: vec![call("series_list", args)],
        with_offset: false,
        with_offset_alias: None,
        with_ordinality,
    })
}

fn named(name: &str) -> TableAlias {
    TableAlias {
        explicit: true,
        name: Ident::new(name),
        columns: Vec::new(),
        at: None,
    }
}

fn column(name: Ident) -> TableAliasColumnDef {
    TableAliasColumnDef {
        name,
        data_type: None,
    }
}

/// Whether it is a series of numbers that are written down and lead from one to the other: these
/// are made while they are read, however many they are.
fn is_lazy(factor: &TableFactor) -> bool {
    let Some((args, false, _)) = series(factor) else {
        return false;
    };
    let numbers: Option<Vec<i64>> = args.iter().map(whole_number).collect();
    match numbers.as_deref() {
        Some([start, stop]) => start <= stop,
        Some([start, stop, step]) => (*step > 0 && start <= stop) || (*step < 0 && start >= stop),
        _ => false,
    }
}

fn whole_number(expr: &Expr) -> Option<i64> {
    match expr {
        Expr::UnaryOp {
            op: UnaryOperator::Minus,
            expr,
        } => whole_number(expr)?.checked_neg(),
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) => digits.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Its column is called as PostgreSQL calls it.
fn name_column(factor: &mut TableFactor) {
    if let TableFactor::Table { alias, .. } | TableFactor::Function { alias, .. } = factor {
        let alias = alias.get_or_insert_with(|| named("generate_series"));
        if alias.columns.is_empty() {
            alias.columns.push(column(alias.name.clone()));
        }
    }
}

/// Whether an expression reads columns.
fn names_columns(expr: &Expr) -> bool {
    struct Names;
    impl Visitor for Names {
        type Break = ();

        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            match expr {
                Expr::Identifier(_) | Expr::CompoundIdentifier(_) => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }
    expr.visit(&mut Names).is_break()
}
