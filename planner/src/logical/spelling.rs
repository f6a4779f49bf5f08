//! The other spellings of windows, rewritten into the canonical one in sqlparser's tree, and names
//! for columns that have none.
//!
//! `GROUP BY k, TUMBLE(ts, i)` becomes `FROM TUMBLE(t, ts, i) GROUP BY k, window_start,
//! window_end`; `TUMBLE_START(…)` becomes `window_start`. Idempotent.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Fetch, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments,
    GroupByExpr, Ident, LimitClause, ObjectName, ObjectNamePart, Query, Select, SelectItem,
    SetExpr, Spanned, Statement, TableAlias, TableAliasColumnDef, TableFactor, TableFunctionArgs,
    Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::Span;

use super::function_spelling::number;
use super::joined_window::over_join;
use super::named_windows;
use super::window_alias::WindowAliases;
use crate::error::PlanError;
use crate::logical::walk::{step, walk};
use crate::parse::dialect::Grammar;

/// Start of the window.
pub const WINDOW_START: &str = "window_start";
/// First point after the window.
pub const WINDOW_END: &str = "window_end";
/// Last point inside the window.
pub const WINDOW_TIME: &str = "window_time";

/// The window functions.
const WINDOWS: [&str; 4] = ["tumble", "hop", "cumulate", "session"];

/// Rewrites a statement.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] for a grouped window over several relations.
pub fn rewrite(statement: &mut Statement) -> Result<(), PlanError> {
    super::function_spelling::rewrite(statement);
    walk(statement, &mut Rewriter::default())?;
    if let Statement::Query(query) = statement
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        name_columns(select);
    }
    Ok(())
}

#[derive(Default)]
struct Rewriter {
    aliases: WindowAliases,
}

impl VisitorMut for Rewriter {
    type Break = PlanError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<PlanError> {
        fetch(query);
        step(super::ties::rewrite(query))
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<PlanError> {
        named_windows::in_order(query);
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<PlanError> {
        step(show_relation(factor))
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        self.aliases.expand(select);
        step(named_windows::inherit(select).and_then(|()| group_window(select)))
    }
}

/// `FETCH FIRST n ROWS ONLY` as `LIMIT n`.
fn fetch(query: &mut Query) {
    let plain = |fetch: &Fetch| !fetch.with_ties && !fetch.percent;
    if query.fetch.as_ref().is_none_or(|fetch| !plain(fetch)) {
        return;
    }
    let offset = match &query.limit_clause {
        None => None,
        Some(LimitClause::LimitOffset {
            limit: None,
            offset,
            limit_by,
        }) if limit_by.is_empty() => offset.clone(),
        Some(_) => return,
    };
    let quantity = query.fetch.take().and_then(|fetch| fetch.quantity);
    query.limit_clause = Some(LimitClause::LimitOffset {
        limit: Some(quantity.unwrap_or_else(|| number(1))),
        offset,
        limit_by: Vec::new(),
    });
}

/// A window function, if the expression is a call of it.
pub(super) fn window_call(expr: &Expr) -> Option<&Function> {
    let Expr::Function(function) = expr else {
        return None;
    };
    let name = function_name(function)?;
    WINDOWS.contains(&name.as_str()).then_some(function)
}

/// A name as PostgreSQL reads it: in lower case, unless it is quoted.
pub(super) fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// A name that is read as it stands.
pub(super) fn quoted(name: &str) -> Ident {
    Ident::with_quote('"', name)
}

/// The name of a column, without the relation's.
pub(super) fn column_of(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    }
}

/// The queries of `WITH` in a statement, by name, with their columns called as `WITH t (a, b)`
/// lists them.
pub(super) fn named_queries(statement: &Statement) -> HashMap<String, Query> {
    let mut named = Named::default();
    let _ = Visit::visit(statement, &mut named);
    named.0
}

#[derive(Default)]
struct Named(HashMap<String, Query>);

impl Visitor for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let mut named = table.query.as_ref().clone();
            rename(&mut named, &table.alias.columns);
            self.0.insert(folded(&table.alias.name), named);
        }
        ControlFlow::Continue(())
    }
}

fn rename(query: &mut Query, names: &[TableAliasColumnDef]) {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return;
    };
    for (item, new) in select.projection.iter_mut().zip(names) {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: new.name.clone(),
            };
        }
    }
}

pub(super) fn function_name(function: &Function) -> Option<String> {
    match function.name.0.as_slice() {
        [ObjectNamePart::Identifier(name)] => Some(name.value.to_lowercase()),
        _ => None,
    }
}

fn group_window(select: &mut Select) -> Result<(), PlanError> {
    let GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
        return Ok(());
    };
    let Some(at) = groups.iter().position(|group| window_call(group).is_some()) else {
        return Ok(());
    };
    let call = match groups.remove(at) {
        Expr::Function(call) => call,
        other => {
            groups.insert(at, other);
            return Ok(());
        }
    };
    if groups.iter().any(|group| window_call(group).is_some()) {
        let error = PlanError::unsupported("GROUP BY with two windows");
        return Err(error.hint("Write one view for each window."));
    }
    let from = match select.from.as_mut_slice() {
        [from] if from.joins.is_empty() => from,
        _ => return over_join(select, at, &call),
    };
    let name = call.name.clone();
    let FunctionArguments::List(list) = call.args else {
        return Ok(());
    };
    let mut args = list.args;
    if function_name_is(&name, "session") {
        let groups = groups
            .iter()
            .map(|group| selected(group, &select.projection));
        args.extend(partition_of(&groups.collect::<Vec<_>>())?);
    }
    wrap(&mut from.relation, name, args)?;
    show_relation(&mut from.relation)?;
    let span = call.name.span();
    let mut accessors = Accessors { used: Vec::new() };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let _ = VisitMut::visit(expr, &mut accessors);
        }
    }
    if let Some(having) = &mut select.having {
        let _ = VisitMut::visit(having, &mut accessors);
    }
    // One bound always, so that each window is a group; the others only where they are used.
    let bounds = [WINDOW_START, WINDOW_END, WINDOW_TIME];
    let used = bounds.iter().filter(|bound| accessors.used.contains(bound));
    let mut used: Vec<&str> = used.copied().collect();
    if used.is_empty() {
        used.push(WINDOW_START);
    }
    for bound in used.into_iter().rev() {
        groups.insert(at, column(bound, span));
    }
    Ok(())
}

fn function_name_is(name: &ObjectName, wanted: &str) -> bool {
    name.to_string().eq_ignore_ascii_case(wanted)
}

/// What a number among the groups stands for.
fn selected(group: &Expr, items: &[SelectItem]) -> Expr {
    let place = match group {
        Expr::Value(value) => value.to_string().parse::<usize>().ok(),
        _ => None,
    };
    match place.and_then(|place| items.get(place.checked_sub(1)?)) {
        Some(SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) => {
            expr.clone()
        }
        _ => group.clone(),
    }
}

/// In `GROUP BY k, SESSION(ts, gap)` each `k` has sessions of its own.
fn partition_of(groups: &[Expr]) -> Result<Option<FunctionArg>, PlanError> {
    let columns = groups.iter().map(|group| match group {
        Expr::Identifier(name) => Ok(Expr::Identifier(name.clone())),
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(name) => Ok(Expr::Identifier(name.clone())),
            None => Err(session_key(group)),
        },
        _ => Err(session_key(group)),
    });
    let columns = columns.collect::<Result<Vec<Expr>, _>>()?;
    if columns.is_empty() {
        return Ok(None);
    }
    Ok(Some(FunctionArg::Named {
        name: Ident::new("partition_by"),
        arg: FunctionArgExpr::Expr(Expr::Tuple(columns)),
        operator: FunctionArgOperator::RightArrow,
    }))
}

fn session_key(group: &Expr) -> PlanError {
    let error = PlanError::unsupported(format!("GROUP BY SESSION(…) with {group}"));
    error.hint(
        "Group by columns, or write FROM SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), \
         INTERVAL '…').",
    )
}

pub(super) fn several_relations() -> PlanError {
    let what = "GROUP BY with such a window over several relations";
    let error = PlanError::unsupported(what);
    error.hint(
        "Write GROUP BY TUMBLE(t.ts, INTERVAL '…') without an offset, or the window in FROM: \
         HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '…', INTERVAL '…').",
    )
}

pub(super) fn column(name: &str, span: Span) -> Expr {
    Expr::Identifier(Ident {
        span,
        ..Ident::new(name)
    })
}

/// `t AS a` becomes `TUMBLE(t, …) AS a`.
pub(super) fn wrap(
    factor: &mut TableFactor,
    name: ObjectName,
    rest: Vec<FunctionArg>,
) -> Result<(), PlanError> {
    let (data, alias) = match factor {
        TableFactor::Table {
            name,
            alias,
            args: None,
            ..
        } => {
            let parts = name.0.iter().filter_map(|part| part.as_ident().cloned());
            (Expr::CompoundIdentifier(parts.collect()), alias.take())
        }
        TableFactor::Derived {
            subquery, alias, ..
        } => (Expr::Subquery(subquery.clone()), alias.take()),
        _ => return Err(several_relations()),
    };
    let mut args = vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(data))];
    args.extend(rest.into_iter().map(|arg| match (&alias, arg) {
        // The alias names the windowed relation; inside of the call only the column's own name is
        // known.
        (
            Some(_),
            FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(mut parts))),
        ) => {
            let column = parts
                .pop()
                .map_or(Expr::CompoundIdentifier(Vec::new()), Expr::Identifier);
            FunctionArg::Unnamed(FunctionArgExpr::Expr(column))
        }
        (_, arg) => arg,
    }));
    *factor = TableFactor::Table {
        name,
        alias,
        args: Some(TableFunctionArgs {
            args,
            settings: None,
        }),
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    };
    Ok(())
}

/// `TUMBLE(t, …)` becomes `TUMBLE((SELECT * FROM t), …)`: sessions look relations up before they
/// plan, and they look where relations stand, not among arguments.
pub(super) fn show_relation(factor: &mut TableFactor) -> Result<(), PlanError> {
    let TableFactor::Table {
        name,
        args: Some(args),
        ..
    } = factor
    else {
        return Ok(());
    };
    let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else {
        return Ok(());
    };
    if !WINDOWS.contains(&name.value.to_lowercase().as_str()) {
        return Ok(());
    }
    let is_data = |arg: &FunctionArg| match arg {
        FunctionArg::Named { name, .. } => name.value.eq_ignore_ascii_case("data"),
        FunctionArg::ExprNamed { name, .. } => name.to_string().eq_ignore_ascii_case("data"),
        FunctionArg::Unnamed(_) => false,
    };
    let data = args.args.iter().position(is_data).unwrap_or(0);
    let arg = match args.args.get_mut(data) {
        Some(
            FunctionArg::Named { arg, .. }
            | FunctionArg::ExprNamed { arg, .. }
            | FunctionArg::Unnamed(arg),
        ) => arg,
        None => return Ok(()),
    };
    let parts = match arg {
        FunctionArgExpr::Expr(Expr::Identifier(part)) => vec![part.clone()],
        FunctionArgExpr::Expr(Expr::CompoundIdentifier(parts)) => parts.clone(),
        _ => return Ok(()),
    };
    *arg = FunctionArgExpr::Expr(Expr::Subquery(select_all(parts)?));
    Ok(())
}

/// `(query) AS name (columns)`.
pub(super) fn derived(query: Query, name: &str, columns: &[&str]) -> TableFactor {
    let columns = columns.iter().map(|column| TableAliasColumnDef {
        name: Ident::new(*column),
        data_type: None,
    });
    TableFactor::Derived {
        lateral: false,
        subquery: Box::new(query),
        alias: Some(TableAlias {
            explicit: true,
            name: Ident::new(name),
            columns: columns.collect(),
            at: None,
        }),
        sample: None,
    }
}

/// `SELECT * FROM name`.
pub(super) fn select_all(parts: Vec<Ident>) -> Result<Box<Query>, PlanError> {
    let parsed = Parser::new(&Grammar)
        .try_with_sql("SELECT * FROM x")
        .and_then(|mut parser| parser.parse_query());
    let mut query = parsed.map_err(|error| PlanError::internal(error.to_string()))?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let TableFactor::Table { name, .. } = &mut from.relation
    {
        *name = ObjectName(parts.into_iter().map(ObjectNamePart::Identifier).collect());
    }
    Ok(query)
}

/// `TUMBLE_START(…)` and its kin to the window's columns.
struct Accessors {
    used: Vec<&'static str>,
}

impl VisitorMut for Accessors {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr {
            let bounds = [WINDOW_START, WINDOW_END, WINDOW_TIME];
            let bound = bounds
                .into_iter()
                .find(|bound| name.value.eq_ignore_ascii_case(bound));
            self.used.extend(bound);
        }
        let Expr::Function(function) = expr else {
            return ControlFlow::Continue(());
        };
        let target = match function_name(function).as_deref() {
            Some("tumble_start" | "hop_start" | "cumulate_start" | "session_start") => WINDOW_START,
            Some("tumble_end" | "hop_end" | "cumulate_end" | "session_end") => WINDOW_END,
            Some("tumble_rowtime" | "hop_rowtime" | "cumulate_rowtime" | "session_rowtime") => {
                WINDOW_TIME
            }
            _ => return ControlFlow::Continue(()),
        };
        *expr = column(target, function.name.span());
        self.used.push(target);
        ControlFlow::Continue(())
    }
}

/// Calls without a name get the function's, as in PostgreSQL, where that is not ambiguous.
pub(super) fn name_columns(select: &mut Select) {
    let mut taken: Vec<String> = Vec::new();
    for item in &select.projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => {
                taken.push(name.value.to_lowercase())
            }
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                taken.extend(parts.last().map(|name| name.value.to_lowercase()));
            }
            SelectItem::UnnamedExpr(Expr::Function(function)) => {
                taken.extend(function_name(function));
            }
            SelectItem::ExprWithAlias { alias, .. } => taken.push(alias.value.to_lowercase()),
            _ => {}
        }
    }
    for item in &mut select.projection {
        let SelectItem::UnnamedExpr(expr @ Expr::Function(_)) = &*item else {
            continue;
        };
        let Expr::Function(function) = expr else {
            continue;
        };
        let Some(name) = function_name(function) else {
            continue;
        };
        if taken.iter().filter(|other| **other == name).count() == 1 {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: Ident::new(name),
            };
        }
    }
}
