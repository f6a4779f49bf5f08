//! `generate_series(a, b [, step])` and other functions that give rows, in FROM and in the list of
//! a SELECT, as the elements of lists; and elements of lists that depend on the row beside them, in
//! reads, as lateral subqueries, as views have them.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, Select, SelectItem, Statement, TableAlias, TableAliasColumnDef,
    TableFactor, UnaryOperator, Value, Visit, Visitor, VisitorMut,
};

use crate::error::PlanError;
use crate::logical::function_spelling::{arguments, by_position, call};
use crate::logical::set_returning;
use crate::logical::view_spelling::elements;
use crate::logical::walk::{outside_subqueries, replace, walk};

const SERIES: &str = "generate_series";

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
        in_select(select);
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
            alias,
            ..
        } = factor
        else {
            return ControlFlow::Continue(());
        };
        // The elements of one list are called as the relation is.
        if let (Some(alias), [_]) = (alias, array_exprs.as_slice())
            && alias.columns.is_empty()
        {
            alias.columns.push(column(alias.name.clone()));
        }
        let of_row = array_exprs.iter().any(names_columns);
        if !of_row && !*with_ordinality {
            return ControlFlow::Continue(());
        }
        let subquery = elements(factor, of_row);
        replace(factor, subquery)
    }
}

/// `SELECT generate_series(…)` as `SELECT unnest(series_list(…)) AS generate_series`, and likewise
/// the other functions that give rows of one column.
pub(super) fn in_select(select: &mut Select) {
    set_returning::spell_whole_rows(select);
    for item in &mut select.projection {
        match item {
            SelectItem::UnnamedExpr(expr) => {
                let name = match &expr {
                    Expr::Function(call) => set_returning::name_of(&call.name),
                    _ => None,
                };
                outside_subqueries(expr, as_elements);
                if let Some(name) = name {
                    let (expr, alias) = (expr.clone(), Ident::new(name));
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

/// Puts elements in the place of a call that gives rows.
fn as_elements(expr: &mut Expr) {
    if let Expr::Function(function) = expr
        && let Some(args) = arguments(function)
        && let Some(rows) = set_returning::rows_of(&function.name, &args)
        && let [list] = rows.lists.as_slice()
    {
        *expr = call("unnest", vec![list.clone()]);
    }
}

/// A call in FROM of a function that gives rows.
struct Called<'a> {
    name: &'a ObjectName,
    args: Vec<Expr>,
    ordinality: bool,
    alias: Option<&'a TableAlias>,
}

fn called(factor: &TableFactor) -> Option<Called<'_>> {
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
    set_returning::name_of(name)?;
    Some(Called {
        name,
        args: by_position(args)?,
        ordinality,
        alias: alias.as_ref(),
    })
}

/// `generate_series(…) AS g` as `UNNEST(series_list(…)) AS g (g)`; `None` for another relation.
pub(super) fn as_unnest(factor: &TableFactor) -> Option<TableFactor> {
    if let TableFactor::Function {
        name,
        args,
        with_ordinality,
        alias,
        ..
    } = factor
        && name.to_string().eq_ignore_ascii_case("unnest")
    {
        return Some(TableFactor::UNNEST {
            alias: alias.clone(),
            array_exprs: by_position(args)?,
            with_offset: false,
            with_offset_alias: None,
            with_ordinality: *with_ordinality,
        });
    }
    let called = called(factor)?;
    let with_ordinality = called.ordinality;
    let rows = set_returning::rows_of(called.name, &called.args)?;
    let name = set_returning::name_of(called.name)?;
    let mut alias = called.alias.cloned().unwrap_or_else(|| named(name));
    if alias.columns.is_empty() && rows.columns.is_empty() {
        alias.columns.push(column(alias.name.clone()));
    }
    let more = rows.columns.iter().skip(alias.columns.len());
    alias
        .columns
        .extend(more.map(|name| column(Ident::new(*name))));
    if with_ordinality && alias.columns.len() == rows.lists.len() {
        alias.columns.push(column(Ident::new("ordinality")));
    }
    Some(TableFactor::UNNEST {
        alias: Some(alias),
        array_exprs: rows.lists,
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
    let Some(called) = called(factor).filter(|called| !called.ordinality) else {
        return false;
    };
    if set_returning::name_of(called.name) != Some(SERIES) || !(2..=3).contains(&called.args.len())
    {
        return false;
    }
    let numbers: Option<Vec<i64>> = called.args.iter().map(whole_number).collect();
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
        let alias = alias.get_or_insert_with(|| named(SERIES));
        if alias.columns.is_empty() {
            alias.columns.push(column(alias.name.clone()));
        }
    }
}

/// Whether an expression reads columns.
pub(super) fn names_columns(expr: &Expr) -> bool {
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
