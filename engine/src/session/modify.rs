//! `UPDATE`, `DELETE` and `TRUNCATE`: rows of a table, found by a read and written as changes.
//!
//! A row with a key is replaced by its key; one without is deleted as it stands, as often as it was
//! found, and its successor is inserted.
//!
//! From the read to the write nobody else writes the table: other writers wait, in a transaction
//! block until it ends. So no write is lost between the two.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Distinct, Expr as SqlExpr, FromTable, Ident, ObjectName,
    SelectItem, SetExpr, Statement as SqlStatement, TableFactor, TableWithJoins, Update,
    UpdateTableFromKind,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use rtsap_catalog::object::ObjectNumber;
use rtsap_planner::statement::Name;
use rtsap_stream::change::ChangelogMode;

use crate::error::EngineError;
use crate::query::Planning;
use crate::query::diagnose::diagnose;
use crate::query::names::folded;
use crate::response::CommandTag;
use crate::session::Session;

mod conflict;
mod rows;

pub(super) use rows::{apply, found};

/// What becomes of the rows that are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Modification {
    /// They go.
    Delete,
    /// All of them go.
    Truncate,
    /// The row of their key is replaced.
    Update,
    /// They are new, or replace the row of their key: `INSERT … ON CONFLICT`.
    Merge,
}

impl Modification {
    /// The command's name.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Delete => "DELETE",
            Self::Truncate => "TRUNCATE",
            Self::Update => "UPDATE",
            Self::Merge => "INSERT … ON CONFLICT",
        }
    }

    /// What the client is told has been done to `count` rows.
    pub(crate) fn tag(self, count: u64) -> CommandTag {
        match self {
            Self::Merge => CommandTag::Affected("INSERT 0", count),
            Self::Truncate => CommandTag::Plain("TRUNCATE TABLE"),
            other => CommandTag::Affected(other.word(), count),
        }
    }
}

/// The columns of a table that can be modified, and its primary key.
pub(super) struct Target {
    /// The table's number.
    pub(super) table: ObjectNumber,
    /// Its columns.
    pub(super) schema: SchemaRef,
    /// Indices of the key's columns; empty without a key.
    pub(super) key: Vec<usize>,
}

impl Target {
    /// Whether `modification` needs the rows as they were beside what becomes of them.
    fn is_paired(&self, modification: Modification) -> bool {
        self.key.is_empty() && modification == Modification::Update
    }

    /// The columns of the query for `modification`.
    fn found(&self, modification: Modification) -> SchemaRef {
        match self.is_paired(modification) {
            true => {
                let fields = self.schema.fields().iter();
                Arc::new(Schema::new(
                    fields.clone().chain(fields).cloned().collect::<Fields>(),
                ))
            }
            false => Arc::clone(&self.schema),
        }
    }
}

/// The table called `name`, whose rows must be such as may change.
///
/// # Errors
/// `RT0201`, `RT0533`; `RT0502` for an append-only table, and for `INSERT … ON CONFLICT` without a
/// key.
pub(super) fn target(
    session: &Session,
    name: &Name,
    modification: Modification,
) -> Result<Target, EngineError> {
    let catalog = session.instance.snapshot();
    let table = super::prepared::writable(&catalog, name)?;
    let relation = catalog
        .by_id(table)
        .and_then(|object| object.relation.as_ref());
    let Some(relation) = relation else {
        return Err(EngineError::internal("a table without columns"));
    };
    let word = modification.word();
    if relation.key.is_empty() && modification == Modification::Merge {
        let what = format!("{word} of a table without a PRIMARY KEY");
        return Err(EngineError::unsupported(&what)
            .hint("Create the table with a PRIMARY KEY.")
            .at(Some(name.position)));
    }
    if relation.mode == ChangelogMode::Append {
        let what = format!("{word} of an append-only table");
        return Err(EngineError::unsupported(&what)
            .detail(
                "A table with a WATERMARK and without a PRIMARY KEY is append-only: views count on \
                 its rows staying as they are.",
            )
            .hint("Create the table with a PRIMARY KEY, or without WATERMARK and APPEND ONLY.")
            .at(Some(name.position)));
    }
    Ok(Target {
        table,
        schema: Arc::clone(&relation.schema),
        key: relation.key.clone(),
    })
}

/// Whether a statement is an `INSERT` that says what to do with a row whose key is there.
pub(super) fn is_merge(statement: &SqlStatement) -> bool {
    matches!(statement, SqlStatement::Insert(insert) if insert.on.is_some())
}

/// The query for the rows that `statement` deletes, or for the rows that it puts in the place of
/// others.
///
/// # Errors
/// `RT0502` for clauses that are known and refused, `RT0202` for an unknown column.
pub(super) fn query(
    statement: &SqlStatement,
    target: &Target,
) -> Result<SqlStatement, EngineError> {
    match statement {
        SqlStatement::Delete(delete) => deleted(delete, target),
        SqlStatement::Update(update) => updated(update, target),
        SqlStatement::Insert(insert) => conflict::merged(insert, target),
        _ => Err(EngineError::internal("neither UPDATE nor DELETE")),
    }
}

fn deleted(delete: &Delete, target: &Target) -> Result<SqlStatement, EngineError> {
    let refused = [
        (!delete.order_by.is_empty(), "DELETE … ORDER BY"),
        (delete.limit.is_some(), "DELETE … LIMIT"),
        (!delete.tables.is_empty(), "DELETE from several tables"),
    ];
    refuse(&refused)?;
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let Some(from) = from.first() else {
        return Err(EngineError::unsupported("DELETE from nothing"));
    };
    let name = called(from)?;
    let items = fields(target).map(|field| qualified(&name, field));
    let items = items.map(SelectItem::UnnamedExpr).collect();
    let others = delete.using.as_deref().unwrap_or_default();
    select(from, others, delete.selection.clone(), items, target)
}

/// What a relation of a statement is called in it.
fn called(from: &TableWithJoins) -> Result<Ident, EngineError> {
    match &from.relation {
        TableFactor::Table {
            alias: Some(alias), ..
        } => Ok(alias.name.clone()),
        TableFactor::Table { name, .. } => {
            let last = name.0.last().and_then(|part| part.as_ident());
            last.cloned()
                .ok_or_else(|| EngineError::internal("a table without a name"))
        }
        _ => Err(EngineError::unsupported("changing what is no table")),
    }
}

fn fields(target: &Target) -> impl Iterator<Item = &str> {
    target
        .schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
}

/// A column of the relation that is called `name`.
fn qualified(name: &Ident, column: &str) -> SqlExpr {
    SqlExpr::CompoundIdentifier(vec![name.clone(), Ident::with_quote('"', column)])
}

fn updated(update: &Update, target: &Target) -> Result<SqlStatement, EngineError> {
    let refused = [
        (!update.table.joins.is_empty(), "UPDATE of a join"),
        (update.limit.is_some(), "UPDATE … LIMIT"),
    ];
    refuse(&refused)?;
    let others = match &update.from {
        None => &[][..],
        Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) => from,
    };
    let name = called(&update.table)?;
    let assigned = assignments(&update.assignments, target)?;
    let items = fields(target).zip(assigned).enumerate();
    let items = items.map(|(index, (column, value))| SelectItem::ExprWithAlias {
        expr: value.unwrap_or_else(|| qualified(&name, column)),
        alias: Ident::with_quote('"', format!("set {index}")),
    });
    let before = fields(target).filter(|_| target.is_paired(Modification::Update));
    let before = before.map(|column| SelectItem::UnnamedExpr(qualified(&name, column)));
    let items = before.chain(items).collect();
    select(
        &update.table,
        others,
        update.selection.clone(),
        items,
        target,
    )
}

/// The value that is assigned to each column of the table, if one is.
///
/// # Errors
/// `RT0202` for an unknown column, `RT0206` for one that is assigned twice, `RT0502` for one of the
/// key.
pub(super) fn assignments(
    assignments: &[Assignment],
    target: &Target,
) -> Result<Vec<Option<SqlExpr>>, EngineError> {
    let mut items: Vec<Option<SqlExpr>> = vec![None; target.schema.fields().len()];
    for (name, value) in pairs(assignments)? {
        let written = name.0.last().and_then(|part| part.as_ident());
        let column = written.map(folded).unwrap_or_default();
        let Ok(index) = target.schema.index_of(&column) else {
            let message = format!("column \"{column}\" of relation does not exist");
            return Err(EngineError::invalid("RT0202", message).sqlstate("42703"));
        };
        if target.key.contains(&index) {
            let what = format!("UPDATE of the PRIMARY KEY column \"{column}\"");
            return Err(
                EngineError::unsupported(&what).hint("DELETE the row and INSERT the new one.")
            );
        }
        if items[index].is_some() {
            let message = format!("multiple assignments to same column \"{column}\"");
            return Err(EngineError::invalid("RT0206", message).sqlstate("42601"));
        }
        items[index] = Some(value.clone());
    }
    Ok(items)
}

/// Each column that is assigned, with its value.
///
/// # Errors
/// `RT0206` for more or fewer values than columns, `RT0502` for a subquery of several.
fn pairs(assignments: &[Assignment]) -> Result<Vec<(&ObjectName, &SqlExpr)>, EngineError> {
    let mut pairs = Vec::with_capacity(assignments.len());
    for assignment in assignments {
        match (&assignment.target, &assignment.value) {
            (AssignmentTarget::ColumnName(name), value) => pairs.push((name, value)),
            (AssignmentTarget::Tuple(names), SqlExpr::Tuple(values))
                if names.len() == values.len() =>
            {
                pairs.extend(names.iter().zip(values));
            }
            (AssignmentTarget::Tuple(names), SqlExpr::Tuple(values)) => {
                let (names, values) = (names.len(), values.len());
                let message = format!(
                    "number of columns does not match number of values: {names} and {values}"
                );
                return Err(EngineError::invalid("RT0206", message).sqlstate("42601"));
            }
            (AssignmentTarget::Tuple(_), _) => {
                return Err(EngineError::unsupported("UPDATE … SET (a, b) = (SELECT …)")
                    .hint("Write one assignment for each column: SET a = …, b = …."));
            }
        }
    }
    Ok(pairs)
}

fn refuse(refused: &[(bool, &str)]) -> Result<(), EngineError> {
    match refused.iter().find(|(found, _)| *found) {
        Some((_, what)) => Err(EngineError::unsupported(what)),
        None => Ok(()),
    }
}

/// `SELECT items FROM from, others WHERE selection`; one row for each key where `others` could give
/// several.
fn select(
    from: &TableWithJoins,
    others: &[TableWithJoins],
    selection: Option<SqlExpr>,
    items: Vec<SelectItem>,
    target: &Target,
) -> Result<SqlStatement, EngineError> {
    let mut statement = parsed("SELECT * FROM t")?;
    if let SqlStatement::Query(query) = &mut statement
        && let SetExpr::Select(select) = query.body.as_mut()
    {
        select.from = std::iter::once(from).chain(others).cloned().collect();
        select.selection = selection;
        select.projection = items;
        if !others.is_empty() {
            if target.key.is_empty() {
                let what = "another relation in UPDATE or DELETE of a table without a PRIMARY KEY";
                return Err(EngineError::unsupported(what)
                    .hint("Name the rows with a subquery: WHERE a IN (SELECT …)."));
            }
            let name = called(from)?;
            let columns: Vec<&str> = fields(target).collect();
            let keys = target.key.iter().map(|key| qualified(&name, columns[*key]));
            select.distinct = Some(Distinct::On(keys.collect()));
        }
    }
    Ok(statement)
}

/// The one query of a text.
pub(super) fn parsed(text: &str) -> Result<SqlStatement, EngineError> {
    let parsed = Parser::parse_sql(&PostgreSqlDialect {}, text);
    let parsed = parsed.map_err(|error| EngineError::internal(error.to_string()))?;
    match <[SqlStatement; 1]>::try_from(parsed) {
        Ok([statement @ SqlStatement::Query(_)]) => Ok(statement),
        _ => Err(EngineError::internal("a query became something else")),
    }
}

/// `plan` with its columns in the types of the table's, parameters that are assigned included.
///
/// # Errors
/// A value that no cast brings into its column.
pub(super) fn assigned(
    plan: LogicalPlan,
    target: &Target,
    modification: Modification,
    planning: &Planning,
) -> Result<LogicalPlan, EngineError> {
    let told = |error| diagnose(error, planning.scene());
    let found = target.found(modification);
    let fields = found.fields();
    let plan = match plan {
        LogicalPlan::Projection(projection) => {
            let mut types = fields.iter().map(|field| field.data_type().clone());
            let typed = LogicalPlan::Projection(projection).map_expressions(|expr| {
                let wanted = types.next().unwrap_or(DataType::Null);
                Ok(parameter(expr, &wanted))
            });
            let typed = typed.and_then(|plan| plan.map_data(LogicalPlan::recompute_schema));
            typed.map_err(told)?.data
        }
        other => other,
    };
    let names: Vec<String> = plan
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let exprs = names.iter().zip(fields).enumerate();
    let exprs = exprs.map(|(index, (name, field))| {
        let value = cast(ident(name), field.data_type().clone());
        match index < target.schema.fields().len() {
            true => value.alias(field.name()),
            false => value.alias(format!("set {}", field.name())),
        }
    });
    let exprs: Vec<Expr> = exprs.collect();
    let built = LogicalPlanBuilder::from(plan).project(exprs);
    built.and_then(LogicalPlanBuilder::build).map_err(told)
}

/// A parameter that is assigned as it is has its column's type.
fn parameter(expr: Expr, wanted: &DataType) -> Transformed<Expr> {
    let typed = |inner: Expr| match inner {
        Expr::Placeholder(Placeholder { id, field: None }) => {
            let field = Some(Arc::new(Field::new(&id, wanted.clone(), true)));
            Transformed::yes(Expr::Placeholder(Placeholder { id, field }))
        }
        other => Transformed::no(other),
    };
    match expr {
        Expr::Alias(mut alias) => {
            let inner = typed(*alias.expr);
            alias.expr = Box::new(inner.data);
            match inner.transformed {
                true => Transformed::yes(Expr::Alias(alias)),
                false => Transformed::no(Expr::Alias(alias)),
            }
        }
        other => typed(other),
    }
}

/// Keeps everybody else from writing `table`: to the end of the block, if there is one.
///
/// # Errors
/// `RT0527` if the block has rows waiting for its commit, which a read would not see; `RT0522` if
/// it keeps others from another table.
pub(super) async fn lock(
    session: &mut Session,
    table: ObjectNumber,
    word: &str,
) -> Result<Option<tokio::sync::OwnedRwLockWriteGuard<()>>, EngineError> {
    let lock = session.instance.table_lock(table);
    let Some(block) = &mut session.block else {
        return Ok(Some(lock.write_owned().await));
    };
    if !block.pending.is_empty() {
        let message = format!("cannot {word} in a transaction that has written already");
        return Err(EngineError::invalid("RT0527", message)
            .sqlstate("0A000")
            .detail("Rows become visible when their transaction commits.")
            .hint("Commit first."));
    }
    match &block.lock {
        Some((held, _)) if *held == table => {}
        // Who waits for a second table may be waited for.
        Some(_) => {
            let message = format!("cannot {word} two tables in one transaction");
            return Err(EngineError::invalid("RT0522", message)
                .sqlstate("0A000")
                .hint("Commit between the two tables."));
        }
        None => block.lock = Some((table, lock.write_owned().await)),
    }
    Ok(None)
}
