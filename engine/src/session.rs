//! One client's conversation with the engine, whatever protocol it speaks.
//!
//! Text → [`Session::parse`] → [`Session::prepare`] → [`Session::execute`] → [`Response`]. A session runs one
//! statement at a time; the streams it returns live on their own and may outlast the next statement (portals).

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::scalar::ScalarValue;

use crate::cancel::CancelHandle;
use crate::error::{EngineError, Notice};
use crate::response::{CommandTag, Response};

/// What a client says about itself when it connects.
#[derive(Clone, Debug, Default)]
pub struct SessionSettings {
    /// The authenticated user.
    pub user: String,
    /// The database asked for; any name is accepted and shown as asked.
    pub database: String,
    /// What the client calls itself.
    pub application_name: String,
    /// Further session variables, as in PostgreSQL's startup packet: `DateStyle`, `TimeZone`, `options` taken apart.
    pub variables: Vec<(String, String)>,
    /// Number of this connection, shown by `pg_backend_pid()`.
    pub process_id: i32,
}

/// Whether a transaction block is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// None: each statement is its own transaction.
    Idle,
    /// `BEGIN` was executed.
    Open,
    /// A statement in the block failed; only its end is accepted.
    Failed,
}

/// One parsed statement.
#[derive(Clone, Debug)]
pub struct Statement {
    text: Arc<str>,
}

impl Statement {
    /// The statement as written, without semicolon.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// A statement with its names resolved and its types known.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Types of `$1`, `$2`, …
    pub parameter_types: Vec<DataType>,
    /// Columns of the result; `None` if the statement returns no rows (then no row description is sent).
    pub result: Option<SchemaRef>,
    /// What it will say at the end.
    pub tag: CommandTag,
    statement: Statement,
}

impl Prepared {
    /// The statement it was made from.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
}

/// One client's conversation.
pub struct Session {
    settings: SessionSettings,
}

impl Session {
    pub(crate) fn new(settings: SessionSettings) -> Self {
        Self { settings }
    }

    /// Takes `sql` apart into its statements. Empty for a text without any.
    ///
    /// # Errors
    /// The first syntax error, with its position in `sql`.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, EngineError> {
        Err(EngineError::unsupported(sql))
    }

    /// Resolves names and types. `parameter_types` are those the client declared; the others are inferred.
    ///
    /// # Errors
    /// What the planner refuses.
    pub async fn prepare(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, EngineError> {
        let _ = parameter_types;
        Err(EngineError::unsupported(statement.text()))
    }

    /// Runs it. `parameters` has one value for each of [`Prepared::parameter_types`].
    ///
    /// Cancel-safe: dropping the future cancels the statement.
    ///
    /// # Errors
    /// Whatever fails; a transaction block that is open has failed then.
    pub async fn execute(
        &mut self,
        prepared: &Prepared,
        parameters: &[ScalarValue],
    ) -> Result<Response, EngineError> {
        let _ = parameters;
        Err(EngineError::unsupported(prepared.statement.text()))
    }

    /// Whether a transaction block is open.
    pub fn transaction_status(&self) -> TransactionStatus {
        TransactionStatus::Idle
    }

    /// Says that the protocol failed to deliver a statement's answer: an open block has failed then.
    pub fn set_failed(&mut self) {}

    /// Cancels what this session runs, from anywhere.
    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle::default()
    }

    /// Notices of the statements executed since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        Vec::new()
    }

    /// The session variable `name` (any case), e.g. `server_version`, `TimeZone`, `DateStyle`, `client_encoding`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        (name == "application_name").then(|| self.settings.application_name.clone())
    }

    /// The variables a PostgreSQL server reports at the start (ParameterStatus), with their values.
    pub fn reported_parameters(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Reported variables that changed since the last call.
    pub fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}
