//! One statement from text to its answer. Owns what Flight refuses, because nothing lives from one
//! call to the next.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt};
use rtsap_engine::Engine;
use rtsap_engine::response::{BatchStream, CommandTag, Response};
use rtsap_engine::session::ScalarValue;
use rtsap_engine::session::{Prepared, Session, SessionSettings, Statement};
use tonic::Status;

use crate::error::status;
use crate::stream::wire_schema;

/// The user that everybody is while there is no authentication.
const USER: &str = "rtsap";
/// The database, which Flight SQL calls the catalog.
pub(crate) const DATABASE: &str = "rtsap";

/// Rows on their way to a client.
pub(crate) struct Rows {
    /// Their columns as announced.
    pub(crate) schema: SchemaRef,
    /// The rows.
    pub(crate) batches: BatchStream,
    /// Whether they never end.
    pub(crate) live: bool,
}

/// What a statement came to.
pub(crate) enum Outcome {
    /// Rows.
    Rows(Rows),
    /// It is done and changed so many rows.
    Done(i64),
}

impl Outcome {
    /// The rows; a statement without any has an answer of no columns and no rows.
    pub(crate) fn into_rows(self) -> Rows {
        match self {
            Self::Rows(rows) => rows,
            Self::Done(_) => Rows {
                schema: Arc::new(Schema::empty()),
                batches: futures::stream::empty().boxed(),
                live: false,
            },
        }
    }
}

/// A new conversation with the engine.
pub(crate) fn session(engine: &Engine) -> Result<Session, Status> {
    let settings = SessionSettings {
        user: USER.to_owned(),
        database: DATABASE.to_owned(),
        application_name: "Arrow Flight".to_owned(),
        ..SessionSettings::default()
    };
    engine.session(settings).map_err(status)
}

/// Prepares the only statement of `sql`.
///
/// # Errors
/// What the engine refuses; a text without or with several statements; a statement that needs a
/// lasting session.
pub(crate) async fn prepare(session: &Session, sql: &str) -> Result<Prepared, Status> {
    let mut statements = session.parse(sql).map_err(status)?;
    if statements.len() > 1 {
        return Err(Status::invalid_argument(format!(
            "cannot run {} statements in one call\nHINT: Send them one by one.",
            statements.len()
        )));
    }
    let Some(statement) = statements.pop() else {
        return Err(Status::invalid_argument("the text holds no statement"));
    };
    prepare_statement(session, &statement).await
}

async fn prepare_statement(session: &Session, statement: &Statement) -> Result<Prepared, Status> {
    let prepared = session.prepare(statement, &[]).await.map_err(status)?;
    refuse_stateful(prepared.tag)?;
    Ok(prepared)
}

/// Refuses what would be forgotten as soon as this call ends.
fn refuse_stateful(tag: CommandTag) -> Result<(), Status> {
    let words = match tag {
        CommandTag::Plain(words) | CommandTag::Returned(words) | CommandTag::Affected(words, _) => {
            words
        }
    };
    let hint = match words {
        "BEGIN" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
            "Every statement is its own transaction over Flight; switch the client to autocommit."
        }
        "SET" | "RESET" | "DISCARD ALL" => {
            "Every statement has its own session over Flight; say it in the statement, \
             such as AT TIME ZONE."
        }
        "DECLARE CURSOR" | "FETCH" | "CLOSE CURSOR" => {
            "Results are streamed over Flight: run the query or the SUBSCRIBE itself."
        }
        "COPY" => {
            "Over Flight a query gives Arrow batches, and DoPut ingests them into a table \
             (adbc_ingest with mode append)."
        }
        _ => return Ok(()),
    };
    let message = format!("{words} is not supported over Arrow Flight\nHINT: {hint}");
    Err(Status::unimplemented(message))
}

/// The columns that `prepared` will answer with, as they go over the wire; none if it has no rows.
pub(crate) fn announced(prepared: &Prepared) -> SchemaRef {
    match &prepared.result {
        Some(schema) => wire_schema(schema),
        None => Arc::new(Schema::empty()),
    }
}

/// Executes with one value for each parameter.
pub(crate) async fn execute(
    session: &mut Session,
    prepared: &Prepared,
    values: &[ScalarValue],
) -> Result<Outcome, Status> {
    let wanted = prepared.parameter_types.len();
    if values.len() != wanted {
        return Err(Status::invalid_argument(format!(
            "{} parameters given, but the statement has {wanted}",
            values.len()
        )));
    }
    let answer = Box::pin(session.execute(prepared, values)).await;
    let rows = |schema: SchemaRef, batches, live| {
        let announced = prepared.result.as_ref().unwrap_or(&schema);
        Outcome::Rows(Rows {
            schema: wire_schema(announced),
            batches,
            live,
        })
    };
    match answer.map_err(status)? {
        Response::Rows {
            schema, batches, ..
        } => Ok(rows(schema, batches, false)),
        Response::Changes { schema, changes } => Ok(rows(schema, changes, true)),
        Response::Done(CommandTag::Affected(_, count)) => {
            Ok(Outcome::Done(i64::try_from(count).unwrap_or(i64::MAX)))
        }
        Response::Done(_) | Response::Empty => Ok(Outcome::Done(0)),
        Response::CopyIn { .. } | Response::CopyOut { .. } => Err(Status::unimplemented(
            "COPY is not supported over Arrow Flight",
        )),
    }
}

/// Executes the only statement of `sql`.
pub(crate) async fn query(engine: &Engine, sql: &str) -> Result<Rows, Status> {
    let mut session = session(engine)?;
    let prepared = prepare(&session, sql).await?;
    let outcome = execute(&mut session, &prepared, &[]).await?;
    Ok(outcome.into_rows())
}

/// Executes statements that answer without rows, one after the other; returns how many rows they
/// changed.
///
/// # Errors
/// Those of the first that fails: what was before it stays done.
pub(crate) async fn update(engine: &Engine, sql: &str) -> Result<i64, Status> {
    let mut session = session(engine)?;
    let statements = session.parse(sql).map_err(status)?;
    if statements.is_empty() {
        return Err(Status::invalid_argument("the text holds no statement"));
    }
    let mut changed = 0_i64;
    for statement in &statements {
        let prepared = prepare_statement(&session, statement).await?;
        changed = changed.saturating_add(change(&mut session, &prepared, &[]).await?);
    }
    Ok(changed)
}

/// Executes what must answer without rows; returns how many it changed.
pub(crate) async fn change(
    session: &mut Session,
    prepared: &Prepared,
    values: &[ScalarValue],
) -> Result<i64, Status> {
    if prepared.result.is_some() {
        let message = "the statement returns rows and cannot be run as an update\n\
                       HINT: Run it as a query.";
        return Err(Status::invalid_argument(message));
    }
    match execute(session, prepared, values).await? {
        Outcome::Done(count) => Ok(count),
        Outcome::Rows(_) => Err(Status::internal("an update answered with rows")),
    }
}

/// All rows of a query over the catalog: few by nature.
pub(crate) async fn catalog_rows(
    session: &mut Session,
    sql: &str,
    values: &[ScalarValue],
) -> Result<Vec<RecordBatch>, Status> {
    let prepared = prepare(session, sql).await?;
    let rows = execute(session, &prepared, values).await?.into_rows();
    rows.batches.map_err(status).try_collect().await
}
