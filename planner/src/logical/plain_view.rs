//! Views in queries: where one is named, its query comes to stand as a subquery of that name.
//!
//! The text of a view means what it meant where the view was made: names that `WITH` gives around
//! the place that names the view are not seen in it. What is wrong in it is wrong at that place.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, SelectItem, SetExpr, Spanned, Statement,
    TableAlias, TableAliasColumnDef, TableFactor, Value, ValueWithSpan, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;
use rtsap_catalog::name::SCHEMA;
use rtsap_catalog::object::{ObjectKind, ObjectNumber, PlainViewDef};
use rtsap_catalog::snapshot::CatalogSnapshot;

use crate::error::PlanError;
use crate::logical::spelling::{folded, function_name, quoted};
use crate::logical::walk::{step, walk};
use crate::parse::lexeme::{Lexeme, lexemes, position_of};

/// How deep views may stand in views: deeper than people stack them, shallow enough for the stack.
const DEPTH_MAX: usize = 32;

/// How many views a query may come to hold, those in views counted each time: a view that names
/// another twice doubles what that one names.
const VIEWS_MAX: usize = 256;

/// How the text of a view becomes a statement.
pub type Read<'a> = dyn Fn(&str, &[Lexeme]) -> Result<Statement, PlanError> + 'a;

/// What a statement was found to name.
#[derive(Debug, Default)]
pub struct Found {
    /// The views that were put in place, those in other views included.
    pub views: BTreeSet<ObjectNumber>,
    /// The relations and functions of users that the statement itself names.
    pub named: BTreeSet<ObjectNumber>,
    /// A parameter of the statement itself.
    pub parameter: Option<String>,
}

/// Puts the query of each view that `statement` names in its place. `text` is what the places in
/// `statement` count in.
///
/// # Errors
/// What `read` refuses of a view's text; [`crate::error::Cause::Unsupported`] for too many views.
pub fn inline(
    statement: &mut Statement,
    text: &str,
    catalog: &CatalogSnapshot,
    read: &Read<'_>,
) -> Result<Found, PlanError> {
    let found = RefCell::default();
    let mut inliner = Inliner {
        catalog,
        read,
        text,
        found: &found,
        count: &Cell::new(0),
        depth: 0,
        scopes: Vec::new(),
        hidden: BTreeSet::new(),
    };
    walk(statement, &mut inliner)?;
    Ok(found.into_inner())
}

/// The names that one `WITH` gives.
struct Scope {
    names: Vec<String>,
    recursive: bool,
    /// How many of its queries have been gone through: a query sees those before it.
    done: usize,
}

impl Scope {
    fn of(query: &Query) -> Self {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        Self {
            names: tables.map(|table| folded(&table.alias.name)).collect(),
            recursive: query.with.as_ref().is_some_and(|with| with.recursive),
            done: 0,
        }
    }

    fn visible(&self) -> &[String] {
        let own = usize::from(self.recursive);
        &self.names[..(self.done + own).min(self.names.len())]
    }
}

struct Inliner<'a> {
    catalog: &'a CatalogSnapshot,
    read: &'a Read<'a>,
    text: &'a str,
    found: &'a RefCell<Found>,
    count: &'a Cell<usize>,
    depth: usize,
    scopes: Vec<Scope>,
    /// Names of `WITH` around the place that names the view whose text this is.
    hidden: BTreeSet<String>,
}

impl Inliner<'_> {
    fn is_visible(&self, name: &str) -> bool {
        let mut names = self.scopes.iter().flat_map(Scope::visible);
        names.any(|visible| visible == name)
    }

    /// The name of one of our relations, or one that may be.
    fn own(&self, name: &ObjectName) -> Option<String> {
        let mut parts = name.0.iter().rev().map(|part| match part {
            ObjectNamePart::Identifier(part) => Some(folded(part)),
            ObjectNamePart::Function(_) => None,
        });
        let own = parts.next()??;
        match parts.next() {
            Some(schema) => (schema? == SCHEMA).then_some(own),
            None => (!self.is_visible(&own)).then_some(own),
        }
    }

    fn table(&mut self, factor: &mut TableFactor) -> Result<(), PlanError> {
        let TableFactor::Table {
            name, args: None, ..
        } = &*factor
        else {
            return Ok(());
        };
        let Some(own) = self.own(name) else {
            return Ok(());
        };
        let stem = own.strip_suffix("$late").or(own.strip_suffix("$errors"));
        let object = self.catalog.resolve(stem.unwrap_or(&own));
        if let Some(object) = object
            && self.depth == 0
        {
            self.found.borrow_mut().named.insert(object.def.id);
        }
        match object.map(|object| (object.def.id, &object.def.kind)) {
            Some((id, ObjectKind::PlainView(view))) if stem.is_none() => {
                self.found.borrow_mut().views.insert(id);
                self.replace(factor, view)
            }
            found => {
                self.qualify(factor, &own, found.is_some());
                Ok(())
            }
        }
    }

    /// Keeps a name in a view's text from meaning a query of `WITH` around the view.
    fn qualify(&self, factor: &mut TableFactor, own: &str, is_ours: bool) {
        let TableFactor::Table { name, .. } = factor else {
            return;
        };
        if name.0.len() == 1 && self.hidden.contains(own) {
            let schema = if is_ours { SCHEMA } else { "pg_catalog" };
            name.0
                .insert(0, ObjectNamePart::Identifier(Ident::new(schema)));
        }
    }

    /// Puts the query of `view` in the place of its name.
    fn replace(&self, factor: &mut TableFactor, view: &PlainViewDef) -> Result<(), PlanError> {
        let TableFactor::Table {
            name,
            alias,
            version,
            sample,
            ..
        } = factor
        else {
            return Ok(());
        };
        let span = name.span();
        let at = |error: PlanError| match span.start.line {
            0 => error,
            line => error.moved(position_of(self.text, line, span.start.column)),
        };
        if version.is_some() {
            return Err(at(PlanError::unsupported("a version of a view")));
        }
        let mut query = self.query(view, span).map_err(at)?;
        let given = name_columns(&mut query, view);
        let last = name.0.last().and_then(|part| part.as_ident()).cloned();
        let called = last.unwrap_or_else(|| Ident::new("view"));
        let alias = named(alias.take(), called, view, given);
        *factor = TableFactor::Derived {
            lateral: false,
            subquery: query,
            alias: Some(alias),
            sample: sample.take(),
        };
        Ok(())
    }

    /// The query of `view`, all of it at `span`, with the views that it names in their places.
    fn query(&self, view: &PlainViewDef, span: Span) -> Result<Box<Query>, PlanError> {
        self.count.set(self.count.get() + 1);
        if self.depth >= DEPTH_MAX || self.count.get() > VIEWS_MAX {
            let what = match self.depth >= DEPTH_MAX {
                true => format!("views in views deeper than {DEPTH_MAX} levels"),
                false => format!("more than {VIEWS_MAX} views in one query"),
            };
            let error = PlanError::unsupported(what);
            return Err(error.hint("Keep the rows of one of them: CREATE STREAMING VIEW."));
        }
        let mut tokens = lexemes(&view.query)?;
        for token in &mut tokens {
            token.token.span = span;
        }
        let Statement::Query(mut query) = (self.read)(&view.query, &tokens)? else {
            return Err(PlanError::internal("the query of a view is none"));
        };
        let around = self.scopes.iter().flat_map(Scope::visible).cloned();
        let mut inner = Inliner {
            depth: self.depth + 1,
            scopes: Vec::new(),
            hidden: self.hidden.iter().cloned().chain(around).collect(),
            ..*self
        };
        walk(&mut query, &mut inner)?;
        Ok(query)
    }
}

impl VisitorMut for Inliner<'_> {
    type Break = PlanError;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<PlanError> {
        self.scopes.push(Scope::of(query));
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _query: &mut Query) -> ControlFlow<PlanError> {
        self.scopes.pop();
        // The queries of WITH are gone through first, in their order.
        if let Some(around) = self.scopes.last_mut() {
            around.done = (around.done + 1).min(around.names.len());
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<PlanError> {
        step(self.table(factor))
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<PlanError> {
        if let Expr::Function(function) = expr
            && self.depth == 0
            && let Some(called) = function_name(function)
            && let Some(function) = self.catalog.function(&called)
        {
            self.found.borrow_mut().named.insert(function.def.id);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<PlanError> {
        if let Value::Placeholder(name) = &value.value
            && self.depth == 0
        {
            self.found.borrow_mut().parameter = Some(name.clone());
        }
        ControlFlow::Continue(())
    }
}

/// Gives the columns of a view's query their names where they have others. Returns whether they
/// must be named from outside.
fn name_columns(query: &mut Query, view: &PlainViewDef) -> bool {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return true;
    };
    let items = &mut select.projection;
    let is_plain = |item: &SelectItem| match item {
        SelectItem::UnnamedExpr(expr) => column_name(expr).is_some(),
        SelectItem::ExprWithAlias { .. } | SelectItem::Wildcard(_) => true,
        SelectItem::QualifiedWildcard(..) => true,
        SelectItem::ExprWithAliases { .. } => false,
    };
    let single = |item: &SelectItem| {
        let unnamed = matches!(item, SelectItem::UnnamedExpr(_));
        unnamed || matches!(item, SelectItem::ExprWithAlias { .. })
    };
    if view.renamed || !items.iter().all(single) || items.len() != view.columns.len() {
        return view.renamed || !items.iter().all(is_plain);
    }
    for (item, column) in items.iter_mut().zip(&view.columns) {
        if let SelectItem::UnnamedExpr(expr) = item
            && column_name(expr).as_deref() != Some(column.name.as_str())
        {
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias: quoted(&column.name),
            };
        }
    }
    false
}

/// The name of an expression that is a column.
fn column_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(name) => Some(folded(name)),
        Expr::CompoundIdentifier(parts) => parts.last().map(folded),
        _ => None,
    }
}

/// What the subquery of a view is called, with the names of its columns if they are `given` by it
/// or by the one who names the view, who may leave out the last.
fn named(alias: Option<TableAlias>, called: Ident, view: &PlainViewDef, given: bool) -> TableAlias {
    let mut alias = alias.unwrap_or(TableAlias {
        explicit: true,
        name: called,
        columns: Vec::new(),
        at: None,
    });
    if given || !alias.columns.is_empty() {
        let rest = view.columns.iter().skip(alias.columns.len());
        let rest = rest.map(|column| TableAliasColumnDef {
            name: quoted(&column.name),
            data_type: None,
        });
        alias.columns.extend(rest);
    }
    alias
}
