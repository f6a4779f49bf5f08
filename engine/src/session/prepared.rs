//! Statements made ready: names resolved, types known, nothing done yet.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::logical_expr::{LogicalPlan, WriteOp};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use rtsap_catalog::object::{ObjectKind, ObjectNumber};
use rtsap_planner::statement::{
    CopyDirection, CursorSource, DeclareCursor, Name, ShowTarget, StatementKind,
    SubscribeStatement, TransactionStatement,
};

use crate::error::EngineError;
use crate::explain;
use crate::query::compatible::compatible;
use crate::query::diagnose::diagnose;
use crate::query::literals;
use crate::query::names::{names, renamed};
use crate::query::parameters;
use crate::query::told_apart::{name_inner, tell_apart};
use crate::response::CommandTag;
use crate::sequence::{existing, own_name};
use crate::session::modify::{self, Modification};
use crate::session::returning::Returning;
use crate::session::writes::table_schema;
use crate::session::{Prepared, Session, Statement, defaults};
use crate::show;
use crate::subscribe::{self, Followed};

/// What executing a statement will do.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// Run this plan at a cut.
    Read(Arc<PlannedRead>),
    /// Run this plan and write its rows into a table.
    Insert {
        /// The table's number.
        table: ObjectNumber,
        /// Its rows.
        rows: Arc<PlannedRead>,
        /// What it answers with.
        returning: Option<Box<Returning>>,
    },
    /// Run this plan and change the rows of a table that it gives.
    Modify {
        /// Its rows.
        rows: Arc<PlannedRead>,
        /// What becomes of them.
        modification: Modification,
        /// What it answers with.
        returning: Option<Box<Returning>>,
    },
    /// Follow a relation.
    Subscribe(Followed),
    /// Whatever the statement says, without a plan.
    Other,
}

impl Work {
    /// Columns of what a statement that writes answers with.
    fn answer(&self) -> Option<SchemaRef> {
        match self {
            Self::Insert { returning, .. } | Self::Modify { returning, .. } => {
                returning.as_ref().map(|returning| returning.schema())
            }
            _ => None,
        }
    }
}

/// A logical plan and the catalog version it holds for.
#[derive(Debug)]
pub(crate) struct PlannedRead {
    /// The plan.
    pub(crate) plan: LogicalPlan,
    /// Version of the catalog it was made with.
    pub(crate) version: u64,
    /// What its columns are called, where that differs from the plan.
    pub(crate) names: Option<Vec<String>>,
}

/// Prepares a statement.
pub(super) async fn prepare(
    session: &Session,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<Prepared, EngineError> {
    let (tag, result, work, parameter_types) = match &statement.parsed.kind {
        StatementKind::Query(query) => {
            let (read, types, schema) = read(session, statement, query, declared).await?;
            (
                CommandTag::Returned("SELECT"),
                Some(schema),
                Work::Read(Arc::new(read)),
                types,
            )
        }
        StatementKind::Insert { .. }
        | StatementKind::Modify { .. }
        | StatementKind::Truncate { .. } => {
            let (tag, work, types) = Box::pin(prepare_write(session, statement, declared)).await?;
            (tag, work.answer(), work, types)
        }
        StatementKind::CreateTableAs(create) => {
            let (read, types, _) = read(session, statement, &create.query, declared).await?;
            let tag = CommandTag::Plain("CREATE TABLE AS");
            (tag, None, Work::Read(Arc::new(read)), types)
        }
        StatementKind::Subscribe(subscribe) => {
            let followed = follow(session, subscribe)?;
            let schema = Some(followed.schema());
            (
                CommandTag::Returned("SUBSCRIBE"),
                schema,
                Work::Subscribe(followed),
                Vec::new(),
            )
        }
        StatementKind::Copy(copy) => {
            let (tag, work, types) = prepare_copy(session, statement, &copy.direction).await?;
            (tag, None, work, types)
        }
        StatementKind::DeclareCursor(declare) => {
            let (work, types) = prepare_cursor(session, statement, declare, declared).await?;
            (CommandTag::Plain("DECLARE CURSOR"), None, work, types)
        }
        StatementKind::Fetch(fetch) => {
            let schema = session.cursor(&fetch.cursor)?.schema();
            (
                CommandTag::Returned("FETCH"),
                Some(schema),
                Work::Other,
                Vec::new(),
            )
        }
        other => {
            let (tag, result) = shown(session, other)?;
            (tag, result, Work::Other, Vec::new())
        }
    };
    Ok(assemble(statement, tag, result, work, parameter_types))
}

async fn prepare_write(
    session: &Session,
    statement: &Statement,
    declared: &[Option<DataType>],
) -> Result<(CommandTag, Work, Vec<DataType>), EngineError> {
    match &statement.parsed.kind {
        StatementKind::Insert {
            table,
            statement: insert,
        } if !modify::is_merge(insert) => {
            let (work, types) = prepare_insert(session, statement, table, insert, declared).await?;
            Ok((CommandTag::Affected("INSERT 0", 0), work, types))
        }
        StatementKind::Modify {
            table,
            statement: sql,
        }
        | StatementKind::Truncate {
            table,
            statement: sql,
        }
        | StatementKind::Insert {
            table,
            statement: sql,
        } => {
            Box::pin(prepare_modification(
                session, statement, table, sql, declared,
            ))
            .await
        }
        _ => Err(EngineError::internal("a write that is none")),
    }
}

async fn prepare_cursor(
    session: &Session,
    statement: &Statement,
    declare: &DeclareCursor,
    declared: &[Option<DataType>],
) -> Result<(Work, Vec<DataType>), EngineError> {
    match &declare.source {
        CursorSource::Query(query) => {
            let (read, types, _) = read(session, statement, query, declared).await?;
            Ok((Work::Read(Arc::new(read)), types))
        }
        CursorSource::Subscribe(subscribe) => {
            Ok((Work::Subscribe(follow(session, subscribe)?), Vec::new()))
        }
    }
}

/// The answer of a statement that needs no plan: what it will say, and its columns.
fn shown(
    session: &Session,
    kind: &StatementKind,
) -> Result<(CommandTag, Option<SchemaRef>), EngineError> {
    Ok(match kind {
        StatementKind::Show(target) => {
            let schema = show::objects(&session.instance, target)?.schema();
            (CommandTag::Plain(show_tag(target)), Some(schema))
        }
        StatementKind::ShowVariable { name } => {
            let schema = show::variable(session, name)?.schema();
            (CommandTag::Plain("SHOW"), Some(schema))
        }
        StatementKind::Describe { name, extended } => {
            let schema = show::describe(&session.instance, name, *extended)?.schema();
            (CommandTag::Plain("DESCRIBE"), Some(schema))
        }
        StatementKind::Explain(_) => (CommandTag::Plain("EXPLAIN"), Some(explain::schema())),
        other => (plain_tag(other), None),
    })
}

fn assemble(
    statement: &Statement,
    tag: CommandTag,
    result: Option<SchemaRef>,
    work: Work,
    parameter_types: Vec<DataType>,
) -> Prepared {
    Prepared {
        parameter_types,
        result,
        tag,
        statement: statement.clone(),
        work,
    }
}

/// The plan of a read, the types of its parameters and its columns.
pub(super) async fn read(
    session: &Session,
    statement: &Statement,
    query: &datafusion::sql::sqlparser::ast::Statement,
    declared: &[Option<DataType>],
) -> Result<(PlannedRead, Vec<DataType>, SchemaRef), EngineError> {
    let catalog = session.instance.snapshot();
    let version = catalog.version();
    let planning = session.planning(catalog, &statement.whole);
    let names = names(query);
    let mut rewritten = compatible(statement.text(), query);
    name_inner(&mut rewritten);
    if names.is_some() {
        tell_apart(&mut rewritten);
    }
    let plan = planning.plan_read(&rewritten).await?;
    let (plan, types) =
        parameters::typed(plan, declared).map_err(|error| diagnose(error, planning.scene()))?;
    let schema = planning.columns(plan.clone())?;
    let schema = renamed(&schema, names.as_deref());
    Ok((
        PlannedRead {
            plan,
            version,
            names,
        },
        types,
        schema,
    ))
}

async fn prepare_insert(
    session: &Session,
    statement: &Statement,
    table: &Name,
    insert: &datafusion::sql::sqlparser::ast::Statement,
    declared: &[Option<DataType>],
) -> Result<(Work, Vec<DataType>), EngineError> {
    let catalog = session.instance.snapshot();
    let version = catalog.version();
    let id = writable(&catalog, table)?;
    let mut insert = insert.clone();
    if let SqlStatement::Insert(insert) = &mut insert {
        defaults::fill(insert, defaults::columns(&catalog, id))?;
    }
    let planning = session.planning(catalog, &statement.whole);
    let schema = table_schema(&session.instance, id, own_name(table)?.as_str())?;
    let returning = Box::pin(Returning::take(&mut insert, &planning)).await?;
    if let SqlStatement::Insert(insert) = &mut insert {
        // Only RETURNING can name it.
        insert.table_alias = None;
    }
    let insert = literals::exact(compatible(statement.text(), &insert), &schema)?;
    let plan = planning.plan(&insert).await?;
    let LogicalPlan::Dml(dml) = plan else {
        return Err(EngineError::unsupported("this form of INSERT"));
    };
    if !matches!(
        dml.op,
        WriteOp::Insert(datafusion::logical_expr::dml::InsertOp::Append)
    ) {
        return Err(EngineError::unsupported("INSERT OVERWRITE or REPLACE"));
    }
    let input = Arc::unwrap_or_clone(dml.input);
    let (plan, types) =
        parameters::typed(input, declared).map_err(|error| diagnose(error, planning.scene()))?;
    Ok((
        Work::Insert {
            table: id,
            rows: Arc::new(PlannedRead {
                plan,
                version,
                names: None,
            }),
            returning: returning.map(Box::new),
        },
        types,
    ))
}

async fn prepare_modification(
    session: &Session,
    statement: &Statement,
    table: &Name,
    sql: &SqlStatement,
    declared: &[Option<DataType>],
) -> Result<(CommandTag, Work, Vec<DataType>), EngineError> {
    let modification = match sql {
        _ if matches!(statement.parsed.kind, StatementKind::Truncate { .. }) => {
            Modification::Truncate
        }
        SqlStatement::Delete(_) => Modification::Delete,
        SqlStatement::Insert(_) => Modification::Merge,
        _ => Modification::Update,
    };
    let catalog = session.instance.snapshot();
    let version = catalog.version();
    let target = modify::target(session, table, modification)?;
    let mut sql = sql.clone();
    let columns = defaults::columns(&catalog, target.table);
    match &mut sql {
        SqlStatement::Insert(insert) => defaults::fill(insert, columns)?,
        SqlStatement::Update(update) => defaults::assign(update, columns)?,
        _ => {}
    }
    let planning = session.planning(catalog, &statement.whole);
    let returning = Box::pin(Returning::take(&mut sql, &planning)).await?;
    let returning = returning.map(Box::new);
    let query = modify::query(&sql, &target)?;
    let plan = planning
        .plan_read(&compatible(statement.text(), &query))
        .await?;
    let plan = match modification {
        Modification::Update | Modification::Merge => {
            modify::assigned(plan, &target, modification, &planning)?
        }
        Modification::Delete | Modification::Truncate => plan,
    };
    let (plan, types) =
        parameters::typed(plan, declared).map_err(|error| diagnose(error, planning.scene()))?;
    let rows = Arc::new(PlannedRead {
        plan,
        version,
        names: None,
    });
    let work = Work::Modify {
        rows,
        modification,
        returning,
    };
    Ok((modification.tag(0), work, types))
}

/// The number of a table that can be written.
///
/// # Errors
/// `RT0201` if there is none, `RT0533` if it is something else.
pub(crate) fn writable(
    catalog: &rtsap_catalog::snapshot::CatalogSnapshot,
    name: &Name,
) -> Result<ObjectNumber, EngineError> {
    let object = existing(catalog, name)?;
    if matches!(object.def.kind, ObjectKind::Table(_)) {
        return Ok(object.def.id);
    }
    let message = format!(
        "cannot write into {} \"{}\"",
        object.def.kind.noun(),
        own_name(name)?
    );
    Err(EngineError::invalid("RT0533", message)
        .sqlstate("42809")
        .hint("Only tables made with CREATE TABLE take rows.")
        .at(Some(name.position)))
}

async fn prepare_copy(
    session: &Session,
    statement: &Statement,
    direction: &CopyDirection,
) -> Result<(CommandTag, Work, Vec<DataType>), EngineError> {
    let tag = CommandTag::Returned("COPY");
    match direction {
        CopyDirection::QueryToStdout(query) => {
            let (read, types, _) = read(session, statement, query, &[]).await?;
            Ok((tag, Work::Read(Arc::new(read)), types))
        }
        CopyDirection::SubscribeToStdout(subscribe) => Ok((
            tag,
            Work::Subscribe(follow(session, subscribe)?),
            Vec::new(),
        )),
        CopyDirection::FromStdin { table, .. } => {
            writable(&session.instance.snapshot(), table)?;
            Ok((tag, Work::Other, Vec::new()))
        }
    }
}

fn follow(session: &Session, statement: &SubscribeStatement) -> Result<Followed, EngineError> {
    subscribe::follow(&session.instance, statement)
}

fn show_tag(target: &ShowTarget) -> &'static str {
    match target {
        ShowTarget::Create(..) => "SHOW CREATE",
        _ => "SHOW",
    }
}

fn plain_tag(kind: &StatementKind) -> CommandTag {
    use TransactionStatement as T;
    CommandTag::Plain(match kind {
        StatementKind::Transaction(T::Begin) => "BEGIN",
        StatementKind::Transaction(T::Commit) => "COMMIT",
        StatementKind::Transaction(T::Rollback | T::RollbackTo(_)) => "ROLLBACK",
        StatementKind::Transaction(T::Savepoint(_)) => "SAVEPOINT",
        StatementKind::Transaction(T::Release(_)) => "RELEASE",
        StatementKind::Set { .. } => "SET",
        StatementKind::Reset { .. } => "RESET",
        StatementKind::Discard { .. } => "DISCARD ALL",
        StatementKind::Flush => "FLUSH",
        StatementKind::CreateSource(_) => "CREATE SOURCE",
        StatementKind::CreateTable(_) => "CREATE TABLE",
        StatementKind::CreateView(_) => "CREATE STREAMING VIEW",
        StatementKind::CreatePlainView(_) => "CREATE VIEW",
        StatementKind::CreateSink(_) => "CREATE SINK",
        StatementKind::CreateFunction(_) => "CREATE FUNCTION",
        StatementKind::Alter(_) => "ALTER",
        StatementKind::Drop(_) => "DROP",
        StatementKind::Comment(_) => "COMMENT",
        StatementKind::CloseCursor { .. } => "CLOSE CURSOR",
        StatementKind::Deallocate { .. } => "DEALLOCATE",
        StatementKind::Unlisten => "UNLISTEN",
        StatementKind::CreateIndex { .. } => "CREATE INDEX",
        StatementKind::DropIndex => "DROP INDEX",
        _ => "OK",
    })
}
