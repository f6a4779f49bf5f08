//! Rows written by `INSERT` and `COPY`: checked against the table, then written at once or at
//! `COMMIT`.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use datafusion::common::DataFusionError;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::LogicalPlan;
use futures::StreamExt;
use rtsap_catalog::object::ObjectNumber;
use rtsap_plan::operator::ObjectId;
use rtsap_runtime::serve::Part;
use rtsap_runtime::status::Health;
use rtsap_stream::change::ChangeBatch;
use rtsap_udfs::FunctionError;
use rtsap_udfs::postgres::cast_array;

use crate::error::EngineError;
use crate::instance::Instance;
use crate::query::diagnose::tidy;
use crate::query::served::ServedTable;
use crate::response::BatchStream;
use crate::session::Session;
use crate::session::block::{Block, PendingRows, too_many_bytes};

/// Writes rows that fit into a table, or keeps them for `COMMIT`. Returns how many.
///
/// # Errors
/// Limits; failures to make them durable.
pub(super) async fn insert(
    session: &mut Session,
    table: ObjectNumber,
    name: &str,
    rows: Vec<RecordBatch>,
) -> Result<u64, EngineError> {
    let rows = PendingRows {
        table,
        name: name.to_owned(),
        changes: rows.into_iter().map(ChangeBatch::inserts).collect(),
    };
    accept(session, rows).await
}

/// All of `rows` as rows of the table `name`, whose columns are `schema`.
///
/// # Errors
/// Those of `rows`; `RT0536` for a value that does not fit its column; `RT0523` for too many bytes.
pub(super) async fn collected(
    instance: &Instance,
    schema: &SchemaRef,
    name: &str,
    mut rows: BatchStream,
) -> Result<Vec<RecordBatch>, EngineError> {
    let bytes_max = instance.config.uncommitted_bytes_max;
    let mut kept = Vec::new();
    let mut bytes = 0;
    while let Some(batch) = rows.next().await {
        let batch = fitted(batch?.columns(), schema, name)?;
        bytes += batch.get_array_memory_size();
        if bytes > bytes_max {
            return Err(too_many_bytes(bytes_max));
        }
        if batch.num_rows() > 0 {
            kept.push(batch);
        }
    }
    Ok(kept)
}

/// Writes rows that fit, or keeps them for `COMMIT`. Returns how many.
///
/// # Errors
/// Limits of the block; failures to make them durable.
pub(crate) async fn accept(session: &mut Session, rows: PendingRows) -> Result<u64, EngineError> {
    let count = rows
        .changes
        .iter()
        .map(|changes| changes.len() as u64)
        .sum();
    if count == 0 {
        return Ok(0);
    }
    let bytes_max = session.instance.config.uncommitted_bytes_max;
    match &mut session.block {
        Some(block) => block.add(rows, bytes_max)?,
        None => {
            let lock = session.instance.table_lock(rows.table);
            let _shared = lock.read().await;
            write(&session.instance, rows.table, rows.changes).await?;
        }
    }
    Ok(count)
}

/// The same for a session that keeps others from writing the table.
///
/// # Errors
/// As [`accept`].
pub(super) async fn accept_locked(
    session: &mut Session,
    rows: PendingRows,
) -> Result<(), EngineError> {
    if rows.changes.is_empty() {
        return Ok(());
    }
    let bytes_max = session.instance.config.uncommitted_bytes_max;
    match &mut session.block {
        Some(block) => block.add(rows, bytes_max),
        None => write(&session.instance, rows.table, rows.changes).await,
    }
}

/// Writes what a block has kept.
///
/// # Errors
/// Failures to make it durable: nothing is written then.
pub(super) async fn commit(session: &mut Session, mut block: Block) -> Result<(), EngineError> {
    session.variables.lock().end_block();
    session.cursors.retain(|_, cursor| cursor.is_held());
    let Some(first) = block.pending.first() else {
        return Ok(());
    };
    // All of one table: `Block::add` sees to that.
    let table = first.table;
    let pending = std::mem::take(&mut block.pending);
    let changes: Vec<ChangeBatch> = pending.into_iter().flat_map(|rows| rows.changes).collect();
    let lock = session.instance.table_lock(table);
    // A lock on another table is given back first: who waits must not be waited for.
    let held = block.lock.take().filter(|(held, _)| *held == table);
    let _shared = match &held {
        Some(_) => None,
        None => Some(lock.read().await),
    };
    write(&session.instance, table, changes).await
}

/// Forgets what a block has kept, and its variables.
pub(super) fn roll_back(session: &mut Session, block: Block) {
    session.cursors.retain(|_, cursor| cursor.is_held());
    let mut before = block.into_before();
    before.end_block();
    *session.variables.lock() = before;
}

/// Writes rows to their end even if the client goes away: they may be durable already.
async fn write(
    instance: &Arc<Instance>,
    table: ObjectNumber,
    changes: Vec<ChangeBatch>,
) -> Result<(), EngineError> {
    let runtime = instance.runtime.clone();
    let written = tokio::spawn(async move { runtime.write(ObjectId(table), changes).await }).await;
    written.map_err(|error| EngineError::internal(format!("a write was lost: {error}")))??;
    Ok(())
}

/// The columns of a table.
///
/// # Errors
/// `RT0201` if it was dropped meanwhile.
pub(crate) fn table_schema(
    instance: &Instance,
    table: ObjectNumber,
    name: &str,
) -> Result<SchemaRef, EngineError> {
    let catalog = instance.snapshot();
    let relation = catalog
        .by_id(table)
        .and_then(|object| object.relation.as_ref());
    relation
        .map(|relation| Arc::clone(&relation.schema))
        .ok_or_else(|| {
            let message = format!("relation \"{name}\" does not exist");
            EngineError::invalid("RT0201", message).sqlstate("42P01")
        })
}

/// `columns` as a batch in the types of `schema`, nulls checked. Columns are matched by their
/// order.
///
/// # Errors
/// `RT0536` for a value that does not fit or a null where none may be.
pub(crate) fn fitted(
    given: &[ArrayRef],
    schema: &SchemaRef,
    table: &str,
) -> Result<RecordBatch, EngineError> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for (field, column) in schema.fields().iter().zip(given) {
        let column = cast_array(column, field.data_type());
        let column = column.map_err(|error| unfit(field.name(), &error))?;
        if !field.is_nullable() && column.null_count() > 0 {
            let message = format!(
                "null value in column \"{}\" of relation \"{table}\" violates not-null constraint",
                field.name()
            );
            return Err(EngineError::invalid("RT0536", message).sqlstate("23502"));
        }
        columns.push(column);
    }
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(|error| {
        EngineError::invalid("RT0536", format!("cannot write into \"{table}\": {error}"))
            .sqlstate("22000")
    })
}

/// `RT0536` for a value that the column `name` cannot have.
pub(super) fn unfit(name: &str, error: &DataFusionError) -> EngineError {
    if let Some(refusal) = FunctionError::find(error) {
        let detail = format!("It is a value of column \"{name}\".");
        return EngineError::invalid("RT0536", refusal.to_string())
            .sqlstate(refusal.sqlstate())
            .detail(detail);
    }
    if let DataFusionError::ArrowError(error, _) = error.find_root()
        && matches!(**error, ArrowError::DivideByZero)
    {
        return EngineError::invalid("RT0536", "division by zero".to_owned())
            .sqlstate("22012")
            .detail(format!("It is a value of column \"{name}\"."));
    }
    let why = tidy(&error.to_string());
    let message = format!("cannot write column \"{name}\": {why}");
    EngineError::invalid("RT0536", message).sqlstate("22P02")
}

/// Refuses to read a table that the open block has written: its rows are not there before `COMMIT`.
///
/// # Errors
/// `RT0527`.
pub(super) fn refuse_own_writes(session: &Session, plan: &LogicalPlan) -> Result<(), EngineError> {
    let Some(block) = session
        .block
        .as_ref()
        .filter(|block| !block.pending.is_empty())
    else {
        return Ok(());
    };
    let written: BTreeSet<ObjectNumber> = block.pending.iter().map(|rows| rows.table).collect();
    let mut tables = read_tables(plan)?.into_iter();
    let Some(read) = tables.find(|read| written.contains(&read.object.0)) else {
        return Ok(());
    };
    let name = read.name;
    let message = format!("cannot read table \"{name}\" in the transaction that has written it");
    Err(EngineError::invalid("RT0527", message)
        .sqlstate("0A000")
        .detail("Rows become visible when their transaction commits.")
        .hint("Commit first."))
}

/// Refuses to read a view that has stopped: its rows would look like an answer of now.
///
/// # Errors
/// `RT0544` with the reason.
pub(super) fn refuse_suspended(session: &Session, plan: &LogicalPlan) -> Result<(), EngineError> {
    let runtime = &session.instance.runtime;
    for read in read_tables(plan)? {
        if read.part == Part::Rows
            && let Some(Health::Suspended { reason }) = runtime.view_health(read.object)
        {
            let message = format!("streaming view \"{}\" is suspended", read.name);
            return Err(EngineError::invalid("RT0544", message)
                .sqlstate("55000")
                .detail(reason)
                .hint("Its rows are as old as its failure. Drop it and create it anew."));
        }
    }
    Ok(())
}

struct ReadTable {
    name: String,
    object: ObjectId,
    part: Part,
}

/// The served relations that `plan` scans.
fn read_tables(plan: &LogicalPlan) -> Result<Vec<ReadTable>, EngineError> {
    let mut found = Vec::new();
    let visited = plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Ok(provider) = source_as_provider(&scan.source)
            && let Some(served) =
                (provider.as_ref() as &dyn std::any::Any).downcast_ref::<ServedTable>()
        {
            found.push(ReadTable {
                name: served.name.clone(),
                object: served.object,
                part: served.part,
            });
        }
        Ok(TreeNodeRecursion::Continue)
    });
    visited.map_err(|error| EngineError::internal(error.to_string()))?;
    Ok(found)
}
