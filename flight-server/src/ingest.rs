//! Batches written into a table: bulk ingestion of Flight SQL, and DoPut to a path.

use arrow::datatypes::Schema;
use arrow_flight::sql::server::PeekableFlightDataStream;
use arrow_flight::sql::{CommandStatementIngest, TableExistsOption, TableNotExistOption};
use futures::TryStreamExt;
use rtsap_engine::Engine;
use rtsap_engine::response::{CommandTag, Response};
use tonic::Status;

use crate::error::status;
use crate::parameters::{batches, unreadable};
use crate::statement::{DATABASE, session};

/// The table that a bulk ingestion means.
///
/// # Errors
/// `UNIMPLEMENTED` for whatever is not an append to a table that exists.
pub(crate) fn target(command: &CommandStatementIngest) -> Result<Vec<String>, Status> {
    if command.temporary {
        return Err(refused("a temporary table"));
    }
    if command.transaction_id.is_some() {
        return Err(refused("a transaction"));
    }
    if command
        .catalog
        .as_ref()
        .is_some_and(|catalog| catalog != DATABASE)
    {
        return Err(Status::not_found("the catalog does not exist"));
    }
    if let Some(options) = &command.table_definition_options {
        let append = options.if_exists == TableExistsOption::Append as i32;
        if !append {
            return Err(refused("ingestion that creates or replaces its table"));
        }
        let create = options.if_not_exist == TableNotExistOption::Create as i32;
        if create {
            return Err(refused("ingestion that may create its table"));
        }
    }
    let table = command.table.clone();
    Ok(command.schema.iter().cloned().chain([table]).collect())
}

fn refused(what: &str) -> Status {
    Status::unimplemented(format!(
        "{what} is not supported\n\
         HINT: Create the table with CREATE TABLE, then ingest with mode append."
    ))
}

/// Writes all rows of `stream` into the table at `path`, all or none; returns how many.
///
/// Columns are found by their names.
///
/// # Errors
/// What the engine refuses; what is no Arrow data.
pub(crate) async fn ingest(
    engine: &Engine,
    path: &[String],
    stream: PeekableFlightDataStream,
) -> Result<i64, Status> {
    let mut batches = batches(stream);
    let Some(mut batch) = batches.try_next().await.map_err(unreadable)? else {
        return Ok(0);
    };
    let mut session = session(engine)?;
    let sql = copy_statement(path, &batch.schema());
    let statement = session.parse(&sql).map_err(status)?.pop();
    let Some(statement) = statement else {
        return Err(Status::internal("COPY is no statement"));
    };
    let prepared = session.prepare(&statement, &[]).await.map_err(status)?;
    let answer = Box::pin(session.execute(&prepared, &[])).await;
    let Response::CopyIn { mut target } = answer.map_err(status)? else {
        return Err(Status::internal("COPY takes no rows"));
    };
    loop {
        target.push(&batch).map_err(status)?;
        match batches.try_next().await.map_err(unreadable)? {
            Some(next) => batch = next,
            None => break,
        }
    }
    match target.finish(&mut session).await.map_err(status)? {
        CommandTag::Affected(_, count) => Ok(i64::try_from(count).unwrap_or(i64::MAX)),
        _ => Ok(0),
    }
}

fn copy_statement(path: &[String], schema: &Schema) -> String {
    let columns = schema.fields().iter().map(|field| quoted(field.name()));
    let columns = columns.collect::<Vec<_>>().join(", ");
    format!("COPY {} ({columns}) FROM STDIN", name(path))
}

/// The name of a relation as SQL has it, from the parts of a path.
pub(crate) fn name(path: &[String]) -> String {
    let parts = path.iter().map(|part| quoted(part));
    parts.collect::<Vec<_>>().join(".")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
