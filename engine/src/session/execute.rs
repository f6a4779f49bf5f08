//! Statements executed: one arm a kind.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::scalar::ScalarValue;
use futures::StreamExt;
use rtsap_planner::statement::{
    CopyDirection, CopyStatement, DeclareCursor, Name, StatementKind, TransactionStatement,
};
use rtsap_runtime::serve::Cut;

use crate::copy::{self, CopyIn};
use crate::cursor::Cursor;
use crate::error::{EngineError, Severity};
use crate::explain;
use crate::query::guard::Guard;
use crate::query::names::renamed;
use crate::query::parameters;
use crate::response::{BatchStream, CommandTag, Response};
use crate::session::block::Block;
use crate::session::change::change;
use crate::session::prepared::{self, PlannedRead, Work};
use crate::session::{Prepared, Session, computed, modify, returning, table_as, writes};
use crate::show;
use crate::subscribe;

/// Executes a prepared statement.
pub(super) async fn execute(
    session: &mut Session,
    prepared: &Prepared,
    parameters: &[ScalarValue],
    guard: &Guard,
) -> Result<Response, EngineError> {
    let statement = &prepared.statement;
    match (&statement.parsed.kind, &prepared.work) {
        (StatementKind::Query(_), Work::Read(planned)) => {
            let (schema, batches) = run(session, prepared, planned, parameters, guard).await?;
            Ok(Response::Rows {
                schema,
                batches,
                tag: prepared.tag,
            })
        }
        (StatementKind::Insert { table, .. }, Work::Insert { .. }) => {
            insert(session, prepared, table, parameters, guard).await
        }
        (
            StatementKind::Modify { table, .. }
            | StatementKind::Truncate { table, .. }
            | StatementKind::Insert { table, .. },
            Work::Modify { .. },
        ) => modify(session, prepared, table, parameters, guard).await,
        (StatementKind::CreateTableAs(create), Work::Read(planned)) => {
            refuse_read_only(session, "a change of definitions")?;
            refuse_in_block(session, "a change of definitions")?;
            let (schema, rows) = run(session, prepared, planned, parameters, guard).await?;
            table_as::create(session, create, &schema, rows).await
        }
        (StatementKind::Subscribe(_), Work::Subscribe(followed)) => {
            let changes = subscribe::start(&session.instance, followed).await?;
            let changes = guard.endless().watch(changes);
            Ok(Response::Changes {
                schema: followed.schema(),
                changes,
            })
        }
        (StatementKind::DeclareCursor(declare), _) => {
            declare_cursor(session, prepared, declare, parameters, guard).await
        }
        (StatementKind::Copy(copy), _) => {
            execute_copy(session, prepared, copy, parameters, guard).await
        }
        (StatementKind::Transaction(transaction), _) => {
            execute_transaction(session, transaction).await
        }
        (StatementKind::Explain(explain), _) => {
            let lines = explain::explain(session, statement, explain).await?;
            rows_of(explain::batch(&lines)?, prepared.tag)
        }
        (kind, _) => execute_plain(session, prepared, kind).await,
    }
}

async fn insert(
    session: &mut Session,
    prepared: &Prepared,
    table: &Name,
    parameters: &[ScalarValue],
    guard: &Guard,
) -> Result<Response, EngineError> {
    let Work::Insert {
        table: id,
        rows,
        returning,
    } = &prepared.work
    else {
        return Err(EngineError::internal("an INSERT without rows"));
    };
    refuse_read_only(session, "INSERT")?;
    let (_, rows) = run(session, prepared, rows, parameters, guard).await?;
    let (name, returning) = (&table.name, returning.as_deref());
    let schema = writes::table_schema(&session.instance, *id, name)?;
    let rows = writes::collected(&session.instance, &schema, name, rows).await?;
    let rows = computed::filled(&session.instance, *id, rows)?;
    let answer = returning::answer(session, prepared, returning, &rows, guard).await?;
    let count = writes::insert(session, *id, name, rows).await?;
    let tag = CommandTag::Affected("INSERT 0", count);
    Ok(returning::response(returning, answer, tag))
}

async fn modify(
    session: &mut Session,
    prepared: &Prepared,
    table: &Name,
    parameters: &[ScalarValue],
    guard: &Guard,
) -> Result<Response, EngineError> {
    let Work::Modify {
        rows,
        modification,
        returning,
    } = &prepared.work
    else {
        return Err(EngineError::internal("a change of rows without rows"));
    };
    let (word, returning) = (modification.word(), returning.as_deref());
    refuse_read_only(session, word)?;
    let target = modify::target(session, table, *modification)?;
    let locked = guard
        .wait(modify::lock(session, target.table, word))
        .await?;
    let (_, rows) = run(session, prepared, rows, parameters, guard).await?;
    let found = modify::found(session, &target, &table.name, *modification, rows).await?;
    let answer = returning::answer(session, prepared, returning, &found.rows, guard).await?;
    let count = modify::apply(session, &target, &table.name, *modification, found).await?;
    drop(locked);
    Ok(returning::response(
        returning,
        answer,
        modification.tag(count),
    ))
}

/// Statements that need neither plan nor guard.
async fn execute_plain(
    session: &mut Session,
    prepared: &Prepared,
    kind: &StatementKind,
) -> Result<Response, EngineError> {
    let done = Response::Done(prepared.tag);
    match kind {
        StatementKind::Show(target) => {
            rows_of(show::objects(&session.instance, target)?, prepared.tag)
        }
        StatementKind::ShowVariable { name } => {
            rows_of(show::variable(session, name)?, prepared.tag)
        }
        StatementKind::Describe { name, extended } => rows_of(
            show::describe(&session.instance, name, *extended)?,
            prepared.tag,
        ),
        StatementKind::Fetch(fetch) => {
            let cursor = session.cursor(&fetch.cursor)?;
            let batches = cursor.fetch(fetch).await?;
            Ok(Response::Rows {
                schema: cursor.schema(),
                batches,
                tag: prepared.tag,
            })
        }
        StatementKind::CloseCursor { name } => {
            session.close_cursor(name.as_deref())?;
            Ok(done)
        }
        StatementKind::Set { name, value, local } => {
            set(session, name, value.as_deref(), *local)?;
            Ok(done)
        }
        StatementKind::Reset { name: Some(name) } => {
            session.variables.lock().set(name, None, false)?;
            Ok(done)
        }
        StatementKind::Reset { name: None } => {
            session.variables.lock().reset_all();
            Ok(done)
        }
        StatementKind::Discard { what } => {
            if what == "ALL" {
                refuse_in_block(session, "DISCARD ALL")?;
                session.cursors.clear();
                session.variables.lock().reset_all();
            }
            Ok(done)
        }
        StatementKind::Flush => {
            refuse_in_block(session, "FLUSH")?;
            session.instance.runtime.flush().await?;
            Ok(done)
        }
        // Prepared statements of SQL's own PREPARE do not exist; protocols keep theirs.
        StatementKind::Deallocate { .. } | StatementKind::Unlisten => Ok(done),
        kind => {
            refuse_read_only(session, "a change of definitions")?;
            refuse_in_block(session, "a change of definitions")?;
            let outcome = change(session, &prepared.statement, kind).await?;
            session.add_notices(outcome.notices);
            Ok(Response::Done(outcome.tag))
        }
    }
}

fn refuse_read_only(session: &Session, what: &str) -> Result<(), EngineError> {
    let on = |name| session.parameter(name).as_deref() == Some("on");
    if !on("transaction_read_only") && !on("default_transaction_read_only") {
        return Ok(());
    }
    let message = format!("cannot execute {what} in a read-only transaction");
    Err(EngineError::invalid("RT0537", message).sqlstate("25006"))
}

fn refuse_in_block(session: &Session, what: &str) -> Result<(), EngineError> {
    if session.block.is_none() {
        return Ok(());
    }
    let message = format!("{what} cannot run inside a transaction block");
    Err(EngineError::invalid("RT0525", message)
        .sqlstate("25001")
        .hint("Commit first, or let the client commit by itself (autocommit)."))
}

/// The cut that a statement reads: the block's, the last publish, or the last durable checkpoint.
fn cut(session: &mut Session) -> Arc<Cut> {
    if let Some(cut) = session.block.as_ref().and_then(|block| block.cut.as_ref()) {
        return Arc::clone(cut);
    }
    let committed = session.variables.lock().reads_committed();
    let runtime = &session.instance.runtime;
    let cut = if committed {
        runtime.committed_cut()
    } else {
        runtime.cut()
    };
    if let Some(block) = &mut session.block {
        block.cut = Some(Arc::clone(&cut));
    }
    cut
}

/// Runs a planned read, planned anew if the catalog has changed since.
async fn run(
    session: &mut Session,
    prepared: &Prepared,
    planned: &Arc<PlannedRead>,
    values: &[ScalarValue],
    guard: &Guard,
) -> Result<(SchemaRef, BatchStream), EngineError> {
    let catalog = session.instance.snapshot();
    if catalog.version() != planned.version {
        let declared: Vec<_> = prepared.parameter_types.iter().cloned().map(Some).collect();
        let again = Box::pin(prepared::prepare(session, &prepared.statement, &declared)).await?;
        if again.result != prepared.result {
            let message = "cached plan must not change result type";
            return Err(EngineError::invalid("RT0514", message).sqlstate("0A000"));
        }
        let (Work::Read(planned)
        | Work::Insert { rows: planned, .. }
        | Work::Modify { rows: planned, .. }) = again.work
        else {
            return Err(EngineError::internal("a read became something else"));
        };
        // Once more at most: a second change in between is caught by the names themselves.
        return run_plan(session, prepared, &planned, values, guard).await;
    }
    run_plan(session, prepared, planned, values, guard).await
}

async fn run_plan(
    session: &mut Session,
    prepared: &Prepared,
    planned: &PlannedRead,
    values: &[ScalarValue],
    guard: &Guard,
) -> Result<(SchemaRef, BatchStream), EngineError> {
    let cut = match prepared.work {
        // What is changed is what is there now.
        Work::Modify { .. } => session.instance.runtime.cut(),
        _ => cut(session),
    };
    let plan = parameters::filled(&planned.plan, &prepared.parameter_types, values)?;
    writes::refuse_own_writes(session, &plan)?;
    writes::refuse_suspended(session, &plan)?;
    let catalog = session.instance.snapshot();
    let planning = session.planning(catalog, &prepared.statement.whole);
    let (schema, rows) = planning.run(&plan, cut, guard.clone()).await?;
    let named = renamed(&schema, planned.names.as_deref());
    let target = Arc::clone(&named);
    let rows = rows.map(move |batch| batch.and_then(|batch| relabeled(&batch, &target)));
    Ok((named, rows.boxed()))
}

/// `batch` under another schema of the same types.
///
/// # Errors
/// `RT0500` if the types differ.
pub(super) fn relabeled(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, EngineError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|error| EngineError::internal(format!("rows do not fit their columns: {error}")))
}

async fn declare_cursor(
    session: &mut Session,
    prepared: &Prepared,
    declare: &DeclareCursor,
    values: &[ScalarValue],
    guard: &Guard,
) -> Result<Response, EngineError> {
    if declare.binary {
        return Err(EngineError::unsupported("a BINARY cursor")
            .hint("Ask for binary results in the protocol instead."));
    }
    if session.block.is_none() && !declare.hold {
        let message = "DECLARE CURSOR can only be used in transaction blocks";
        return Err(EngineError::invalid("RT0526", message)
            .sqlstate("25P01")
            .hint("Begin a transaction block first, or declare the cursor WITH HOLD."));
    }
    let free = Guard::endless(guard);
    let (schema, rows, endless) = match &prepared.work {
        Work::Read(planned) => {
            let (schema, rows) = run(session, prepared, planned, values, &free).await?;
            (schema, rows, false)
        }
        Work::Subscribe(followed) => {
            let rows = subscribe::start(&session.instance, followed).await?;
            (followed.schema(), rows, true)
        }
        _ => return Err(EngineError::internal("a cursor without rows")),
    };
    session.open_cursor(
        &declare.name,
        Cursor::new(schema, rows, endless, declare.hold),
    )?;
    Ok(Response::Done(prepared.tag))
}

async fn execute_copy(
    session: &mut Session,
    prepared: &Prepared,
    copy: &CopyStatement,
    values: &[ScalarValue],
    guard: &Guard,
) -> Result<Response, EngineError> {
    let options = copy::options(copy);
    match (&copy.direction, &prepared.work) {
        (CopyDirection::FromStdin { table, columns }, _) => {
            refuse_read_only(session, "COPY FROM")?;
            let target = CopyIn::new(session, table, columns, options)?;
            Ok(Response::CopyIn { target })
        }
        (_, Work::Read(planned)) => {
            let (schema, batches) = run(session, prepared, planned, values, guard).await?;
            Ok(Response::CopyOut {
                schema,
                batches,
                options,
                tag: prepared.tag,
            })
        }
        (_, Work::Subscribe(followed)) => {
            let changes = subscribe::start(&session.instance, followed).await?;
            let batches = guard.endless().watch(changes);
            Ok(Response::CopyOut {
                schema: followed.schema(),
                batches,
                options,
                tag: prepared.tag,
            })
        }
        _ => Err(EngineError::internal("a COPY without rows")),
    }
}

async fn execute_transaction(
    session: &mut Session,
    statement: &TransactionStatement,
) -> Result<Response, EngineError> {
    use TransactionStatement as T;
    let plain = |tag| Ok(Response::Done(CommandTag::Plain(tag)));
    match statement {
        T::Begin => {
            if session.block.is_some() {
                let message = "there is already a transaction in progress";
                session.notice(Severity::Warning, "25001", message);
            } else {
                session.block = Some(Block::new(session.variables.lock().clone()));
            }
            plain("BEGIN")
        }
        T::Commit => match session.block.take() {
            None => {
                session.notice(
                    Severity::Warning,
                    "25P01",
                    "there is no transaction in progress",
                );
                plain("COMMIT")
            }
            Some(block) if block.failed => {
                writes::roll_back(session, block);
                plain("ROLLBACK")
            }
            Some(block) => {
                writes::commit(session, block).await?;
                plain("COMMIT")
            }
        },
        T::Rollback => {
            match session.block.take() {
                Some(block) => writes::roll_back(session, block),
                None => {
                    let message = "there is no transaction in progress";
                    session.notice(Severity::Warning, "25P01", message);
                }
            }
            plain("ROLLBACK")
        }
        T::Savepoint(name) => {
            let now = session.variables.lock().clone();
            open_block(session, "SAVEPOINT")?.savepoint(name, &now)?;
            plain("SAVEPOINT")
        }
        T::Release(name) => {
            open_block(session, "RELEASE SAVEPOINT")?.release(name)?;
            plain("RELEASE")
        }
        T::RollbackTo(name) => {
            let variables = open_block(session, "ROLLBACK TO SAVEPOINT")?.rollback_to(name)?;
            *session.variables.lock() = variables;
            plain("ROLLBACK")
        }
    }
}

fn open_block<'a>(session: &'a mut Session, what: &str) -> Result<&'a mut Block, EngineError> {
    session.block.as_mut().ok_or_else(|| {
        let message = format!("{what} can only be used in transaction blocks");
        EngineError::invalid("RT0526", message).sqlstate("25P01")
    })
}

fn set(
    session: &mut Session,
    name: &str,
    value: Option<&str>,
    local: bool,
) -> Result<(), EngineError> {
    if local && session.block.is_none() {
        let message = "SET LOCAL can only be used in transaction blocks";
        session.notice(Severity::Warning, "25P01", message);
        return Ok(());
    }
    if name == "transaction" {
        return set_transaction(session, value.unwrap_or_default());
    }
    session.variables.lock().set(name, value, local)
}

/// `SET TRANSACTION` and `SET SESSION CHARACTERISTICS`. Of the modes only READ ONLY has an effect:
/// a block always reads one cut.
fn set_transaction(session: &mut Session, modes: &str) -> Result<(), EngineError> {
    let local = session.block.is_some();
    let value = match (modes.contains("read only"), modes.contains("read write")) {
        (true, _) => "on",
        (_, true) => "off",
        _ => return Ok(()),
    };
    session
        .variables
        .lock()
        .set("transaction_read_only", Some(value), local)
}

fn rows_of(batch: RecordBatch, tag: CommandTag) -> Result<Response, EngineError> {
    let schema = batch.schema();
    let batches = futures::stream::once(async move { Ok(batch) }).boxed();
    Ok(Response::Rows {
        schema,
        batches,
        tag,
    })
}
