//! `SAMPLE BY 1m`, as QuestDB has it: windows by the event time of the relation, a row for each
//! window and each combination of the selected columns that are no aggregates.
//!
//! The parser has put `__sample(length, fill, zone, offset)` among the groups. Which column is the
//! event time only the catalog knows; in the SELECT list it stands for the start of the window, in
//! an aggregate for the row's own time.

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArgOperator, FunctionArguments, GroupByExpr, Ident,
    ObjectName, ObjectNamePart, Query, Select, SelectItem, SetExpr, Spanned, Statement,
    TableFactor, TableFunctionArgs, TableWithJoins, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use rtsap_catalog::snapshot::CatalogSnapshot;

use crate::error::{Cause, PlanError};
use crate::functions::Functions;
use crate::logical::fill_node::FILL;
use crate::logical::spelling::{
    self, WINDOW_START, column_of, folded, function_name, name_columns, named_queries, quoted,
};
use crate::logical::walk::{step, walk};

/// The function that stands for the clause among the groups.
pub const SAMPLE: &str = "__sample";

/// The window's start where the SELECT list leaves it out.
const BUCKET: &str = "__bucket";

/// Rewrites every `SAMPLE BY` of a statement.
///
/// # Errors
/// [`Cause::Unsupported`] for relations whose event time is not known, and for `*`.
pub fn rewrite(
    statement: &mut Statement,
    catalog: &CatalogSnapshot,
    functions: &Functions,
) -> Result<(), PlanError> {
    let mut sampler = Sampler {
        catalog,
        functions,
        named: named_queries(statement),
    };
    walk(statement, &mut sampler)
}

struct Sampler<'a> {
    catalog: &'a CatalogSnapshot,
    functions: &'a Functions,
    named: HashMap<String, Query>,
}

/// How deep relations are looked through for their event time.
const DEPTH_MAX: usize = 32;

impl Sampler<'_> {
    /// The name of the event-time column of a relation.
    fn event_time(&self, factor: &TableFactor, depth: usize) -> Option<String> {
        if depth > DEPTH_MAX {
            return None;
        }
        match factor {
            TableFactor::Table {
                name, args: None, ..
            } => {
                let Some(ObjectNamePart::Identifier(name)) = name.0.last() else {
                    return None;
                };
                let name = folded(name);
                if let Some(query) = self.named.get(&name) {
                    return self.of_query(query, depth + 1);
                }
                let relation = self.catalog.resolve(&name)?.relation.as_ref()?;
                let time = relation.event_time?;
                Some(relation.schema.field(time).name().clone())
            }
            TableFactor::Derived { subquery, .. } => self.of_query(subquery, depth + 1),
            _ => None,
        }
    }

    fn of_query(&self, query: &Query, depth: usize) -> Option<String> {
        let SetExpr::Select(select) = query.body.as_ref() else {
            return None;
        };
        let inner = self.event_time(&select.from.first()?.relation, depth)?;
        let is_time = |expr: &Expr| column_of(expr).is_some_and(|name| name == inner);
        select.projection.iter().find_map(|item| match item {
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => Some(inner.clone()),
            SelectItem::UnnamedExpr(expr) if is_time(expr) => Some(inner.clone()),
            SelectItem::ExprWithAlias { expr, alias } if is_time(expr) => Some(folded(alias)),
            _ => None,
        })
    }

    fn sample(&self, select: &mut Select) -> Result<(), PlanError> {
        let Some((at, words)) = clause(select)? else {
            return Ok(());
        };
        let [length, fill, zone, offset] = words;
        let [from] = select.from.as_slice() else {
            return Err(several());
        };
        if !from.joins.is_empty() {
            return Err(several());
        }
        let Some(time) = self.event_time(&from.relation, 0) else {
            let error = PlanError::unsupported("SAMPLE BY of a relation without event time");
            let hint = "Declare WATERMARK FOR the time column of the source; in a subquery, select \
                        that column.";
            return Err(error.hint(hint));
        };
        let GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
            return Ok(());
        };
        groups.remove(at);
        let given = !groups.is_empty();
        let mut columns = Vec::with_capacity(select.projection.len());
        let mut keys = Vec::new();
        for item in &mut select.projection {
            columns.push(self.item(item, &time, &mut keys)?);
        }
        let span = from_span(select);
        let GroupByExpr::Expressions(groups, _) = &mut select.group_by else {
            return Ok(());
        };
        if !given {
            groups.extend(keys);
        }
        groups.insert(0, spelling::column(WINDOW_START, span));
        let mut args = vec![unnamed(Expr::Identifier(quoted(&time)))];
        args.push(unnamed(string(&length)));
        if !offset.is_empty() {
            args.push(named("offset", &offset));
        }
        if !zone.is_empty() {
            args.push(named("time_zone", &zone));
        }
        let Some(from) = select.from.first_mut() else {
            return Ok(());
        };
        spelling::wrap(&mut from.relation, name("tumble"), args)?;
        spelling::show_relation(&mut from.relation)?;
        if !fill.is_empty() {
            filled(select, columns, &fill)?;
        }
        Ok(())
    }

    /// Brings an item of the SELECT list into its form over windows; says what it is, and which
    /// group it needs.
    fn item(
        &self,
        item: &mut SelectItem,
        time: &str,
        keys: &mut Vec<Expr>,
    ) -> Result<Column, PlanError> {
        if let SelectItem::UnnamedExpr(expr) = item
            && column_of(expr).as_deref() == Some(time)
        {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: quoted(time),
            };
        }
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
            let error = PlanError::unsupported("SELECT * with SAMPLE BY");
            return Err(error.hint("Name the columns, and aggregates of the others."));
        };
        let is_start = column_of(expr).as_deref() == Some(time);
        let mut look = Look {
            functions: self.functions,
            time,
            inside: 0,
            aggregates: false,
            columns: false,
        };
        let _ = VisitMut::visit(expr, &mut look);
        if is_start {
            return Ok(Column::Start);
        }
        if look.aggregates {
            return Ok(Column::Filled);
        }
        if look.columns {
            keys.push(expr.clone());
            return Ok(Column::Key);
        }
        Ok(Column::Filled)
    }
}

impl VisitorMut for Sampler<'_> {
    type Break = PlanError;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        step(self.sample(select))
    }
}

/// What an item of the SELECT list is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Column {
    Start,
    Key,
    Filled,
}

/// Looks at an expression, and puts the window's start in place of the event time outside of
/// aggregates.
struct Look<'a> {
    functions: &'a Functions,
    time: &'a str,
    inside: usize,
    aggregates: bool,
    columns: bool,
}

impl Look<'_> {
    fn aggregates(&self, expr: &Expr) -> bool {
        let Expr::Function(function) = expr else {
            return false;
        };
        let known = function_name(function)
            .is_some_and(|name| self.functions.aggregate.contains_key(&name));
        known && function.over.is_none()
    }
}

impl VisitorMut for Look<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.aggregates(expr) {
            self.inside += 1;
            self.aggregates = true;
            by_time(expr, self.time);
        }
        if self.inside > 0 {
            return ControlFlow::Continue(());
        }
        match column_of(expr) {
            Some(name) if name == self.time => {
                *expr = spelling::column(WINDOW_START, expr.span());
            }
            Some(_) => self.columns = true,
            None => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.aggregates(expr) {
            self.inside = self.inside.saturating_sub(1);
        }
        ControlFlow::Continue(())
    }
}

/// `first(x)` and `last(x)` are those by event time.
fn by_time(expr: &mut Expr, time: &str) {
    let Expr::Function(function) = expr else {
        return;
    };
    let ends =
        function_name(function).is_some_and(|name| ["first", "last"].contains(&name.as_str()));
    if let FunctionArguments::List(list) = &mut function.args
        && ends
        && list.args.len() == 1
    {
        list.args.push(unnamed(Expr::Identifier(quoted(time))));
    }
}

/// Where the clause stands among the groups, and its words.
fn clause(select: &Select) -> Result<Option<(usize, [String; 4])>, PlanError> {
    let GroupByExpr::Expressions(groups, _) = &select.group_by else {
        return Ok(None);
    };
    for (at, group) in groups.iter().enumerate() {
        let Expr::Function(function) = group else {
            continue;
        };
        if function_name(function).as_deref() != Some(SAMPLE) {
            continue;
        }
        let mut words = Vec::new();
        let _ = Visit::visit(group, &mut Texts(&mut words));
        return match <[String; 4]>::try_from(words) {
            Ok(words) => Ok(Some((at, words))),
            Err(_) => Err(PlanError::internal("SAMPLE BY of other words")),
        };
    }
    Ok(None)
}

struct Texts<'a>(&'a mut Vec<String>);

impl Visitor for Texts<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr {
            self.0.extend(value.clone().into_string());
        }
        ControlFlow::Continue(())
    }
}

/// `SELECT the columns FROM __fill((the SELECT), what each column holds …)`.
fn filled(select: &mut Select, mut columns: Vec<Column>, fill: &str) -> Result<(), PlanError> {
    name_columns(select);
    if !columns.contains(&Column::Start) {
        select.projection.push(SelectItem::ExprWithAlias {
            expr: spelling::column(WINDOW_START, from_span(select)),
            alias: Ident::new(BUCKET),
        });
        columns.push(Column::Start);
    }
    let fills: Vec<&str> = fill.split(',').collect();
    let wanted = columns.iter().filter(|column| **column == Column::Filled);
    let wanted = wanted.count();
    if fills.len() > 1 && fills.len() != wanted {
        let message = format!("FILL has {} values for {wanted} aggregates", fills.len());
        let error = PlanError::new(Cause::Expression { message });
        return Err(error.hint("Write one for all, or one for each."));
    }
    let mut next = fills.iter().cycle();
    let mut args = Vec::with_capacity(columns.len() + 1);
    for column in &columns {
        let word = match column {
            Column::Start => "start",
            Column::Key => "key",
            Column::Filled => next.next().copied().unwrap_or("null"),
        };
        args.push(unnamed(string(word)));
    }
    let visible = visible(select)?;
    let query = spelling::select_all(vec![Ident::new("x")])?;
    let mut inner = query.clone();
    inner.body = Box::new(SetExpr::Select(Box::new(select.clone())));
    args.insert(0, unnamed(Expr::Subquery(inner)));
    let SetExpr::Select(mut outer) = *query.body else {
        return Err(PlanError::internal("a SELECT is none"));
    };
    outer.projection = visible;
    outer.from = vec![TableWithJoins {
        relation: TableFactor::Table {
            name: name(FILL),
            alias: None,
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
        },
        joins: Vec::new(),
    }];
    *select = *outer;
    Ok(())
}

/// The columns of a SELECT by name, without the one that was added.
fn visible(select: &Select) -> Result<Vec<SelectItem>, PlanError> {
    let mut items = Vec::with_capacity(select.projection.len());
    for item in &select.projection {
        let name = match item {
            SelectItem::ExprWithAlias { alias, .. } if alias.value == BUCKET => continue,
            SelectItem::ExprWithAlias { alias, .. } => alias.clone(),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.clone(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => match parts.last() {
                Some(name) => name.clone(),
                None => return Err(unnamed_item(item)),
            },
            other => return Err(unnamed_item(other)),
        };
        items.push(SelectItem::UnnamedExpr(Expr::Identifier(name)));
    }
    Ok(items)
}

fn unnamed_item(item: &SelectItem) -> PlanError {
    let error = PlanError::unsupported(format!("{item} without a name beside FILL"));
    error.hint("Write AS and a name after it.")
}

fn several() -> PlanError {
    let error = PlanError::unsupported("SAMPLE BY over several relations");
    error.hint("Join in a subquery: FROM (SELECT … FROM a JOIN b …) SAMPLE BY 1m.")
}

fn from_span(select: &Select) -> datafusion::sql::sqlparser::tokenizer::Span {
    let first = select.from.first();
    first.map_or_else(datafusion::sql::sqlparser::tokenizer::Span::empty, |from| {
        from.relation.span()
    })
}

fn name(name: &str) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(Ident::new(name))])
}

fn unnamed(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn named(name: &str, value: &str) -> FunctionArg {
    FunctionArg::Named {
        name: Ident::new(name),
        arg: FunctionArgExpr::Expr(string(value)),
        operator: FunctionArgOperator::RightArrow,
    }
}

fn string(text: &str) -> Expr {
    Expr::Value(Value::SingleQuotedString(text.to_owned()).into())
}
