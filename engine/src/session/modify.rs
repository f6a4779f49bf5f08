//! `UPDATE`, `DELETE` and `TRUNCATE`: rows of a table with a primary key, found by a read and
//! written as changes.
//!
//! From the read to the write nobody else writes the table: other writers wait, in a transaction
//! block until it ends. So no write is lost between the two.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::Int8Array;
use arrow::datatypes::{DataType, Field, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, ident};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Distinct, Expr as SqlExpr, FromTable, Ident, SelectItem,
    SetExpr, Statement as SqlStatement, TableFactor, TableWithJoins, Update, UpdateTableFromKind,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use rtsap_catalog::object::ObjectNumber;
use rtsap_planner::statement::Name;
use rtsap_stream::change::ChangeBatch;

use crate::error::EngineError;
use crate::query::Planning;
use crate::query::diagnose::diagnose;
use crate::response::{BatchStream, CommandTag};
use crate::session::block::PendingRows;
use crate::session::{Session, writes};

mod conflict;

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
    /// Indices of the key's columns.
    pub(super) key: Vec<usize>,
}

/// The table called `name`, which must have a primary key: without one nothing tells its rows apart
/// and views on it take them as unchanging.
///
/// # Errors
/// `RT0201`, `RT0533`; `RT0502` for a table without a key.
pub(super) fn target(session: &Session, name: &Name, word: &str) -> Result<Target, EngineError> {
    let catalog = session.instance.snapshot();
    let table = super::prepared::writable(&catalog, name)?;
    let relation = catalog
        .by_id(table)
        .and_then(|object| object.relation.as_ref());
    let Some(relation) = relation else {
        return Err(EngineError::internal("a table without columns"));
    };
    if relation.key.is_empty() {
        let what = format!("{word} of a table without a PRIMARY KEY");
        return Err(EngineError::unsupported(&what)
            .detail("Views on such a table count on its rows staying as they are.")
            .hint("Create the table with a PRIMARY KEY.")
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
    let items = items.collect();
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
    for assignment in assignments {
        let AssignmentTarget::ColumnName(name) = &assignment.target else {
            return Err(EngineError::unsupported("UPDATE … SET (a, b) = (…)")
                .hint("Write one assignment for each column: SET a = …, b = …."));
        };
        let written = name.0.last().and_then(|part| part.as_ident());
        let written = written.map(|ident| match ident.quote_style {
            Some(_) => ident.value.clone(),
            None => ident.value.to_lowercase(),
        });
        let column = written.unwrap_or_default();
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
        items[index] = Some(assignment.value.clone());
    }
    Ok(items)
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
    planning: &Planning,
) -> Result<LogicalPlan, EngineError> {
    let told = |error| diagnose(error, planning.scene());
    let fields = target.schema.fields();
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
    let exprs = names
        .iter()
        .zip(fields)
        .map(|(name, field)| cast(ident(name), field.data_type().clone()).alias(field.name()));
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

/// The rows that are concerned, in the table's schema.
///
/// # Errors
/// Those of `rows`; `RT0536` for a null where none may be; `RT0527` for a key that is merged twice;
/// limits.
pub(super) async fn found(
    session: &Session,
    target: &Target,
    name: &str,
    modification: Modification,
    rows: BatchStream,
) -> Result<Vec<RecordBatch>, EngineError> {
    let batches = writes::collected(&session.instance, &target.schema, name, rows).await?;
    if modification == Modification::Merge {
        let mut merged = Merged::of(target)?;
        for batch in &batches {
            merged.check(batch)?;
        }
    }
    Ok(batches)
}

/// Writes what becomes of `rows`, or keeps it for `COMMIT`. Returns how many they are.
///
/// # Errors
/// Limits; failures to make it durable.
pub(super) async fn apply(
    session: &mut Session,
    target: &Target,
    name: &str,
    modification: Modification,
    rows: Vec<RecordBatch>,
) -> Result<u64, EngineError> {
    let count = rows.iter().map(|batch| batch.num_rows() as u64).sum();
    let changes = rows.into_iter().map(|batch| match modification {
        Modification::Update | Modification::Merge => Ok(ChangeBatch::inserts(batch)),
        Modification::Delete | Modification::Truncate => deletes(batch),
    });
    let pending = PendingRows {
        table: target.table,
        name: name.to_owned(),
        changes: changes.collect::<Result<_, _>>()?,
    };
    writes::accept_locked(session, pending).await?;
    Ok(count)
}

/// The keys that a statement has merged: each once, for the rows of one statement have no order.
struct Merged {
    key: Vec<usize>,
    rows: RowConverter,
    seen: HashSet<Box<[u8]>>,
}

impl Merged {
    fn of(target: &Target) -> Result<Self, EngineError> {
        let fields = target.key.iter();
        let fields = fields.map(|at| SortField::new(target.schema.field(*at).data_type().clone()));
        let rows = RowConverter::new(fields.collect());
        Ok(Self {
            key: target.key.clone(),
            rows: rows.map_err(|error| EngineError::internal(error.to_string()))?,
            seen: HashSet::new(),
        })
    }

    fn check(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let keys = self.key.iter().map(|at| Arc::clone(batch.column(*at)));
        let keys = self.rows.convert_columns(&keys.collect::<Vec<_>>());
        let keys = keys.map_err(|error| EngineError::internal(error.to_string()))?;
        if keys.iter().all(|key| self.seen.insert(key.data().into())) {
            return Ok(());
        }
        let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
        Err(EngineError::invalid("RT0527", message)
            .sqlstate("21000")
            .hint("Give each key once in one statement."))
    }
}

fn deletes(batch: RecordBatch) -> Result<ChangeBatch, EngineError> {
    let ops = Int8Array::from(vec![-1; batch.num_rows()]);
    ChangeBatch::try_new(batch, ops).map_err(|error| EngineError::internal(error.to_string()))
}
