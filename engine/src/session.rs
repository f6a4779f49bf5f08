//! One client's conversation with the engine, whatever protocol it speaks.
//!
//! Text → [`Session::parse`] → [`Session::prepare`] → [`Session::execute`] → [`Response`]. A
//! session runs one statement at a time; the streams it returns live on their own and may outlast
//! the next statement (portals).

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::{DataType, SchemaRef};
use datafusion::execution::{FunctionRegistry as _, SessionState};
/// A value as statements take it: what protocols need of DataFusion, and no more.
pub use datafusion::scalar::ScalarValue;
use futures::FutureExt;
use parking_lot::Mutex;
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_planner::statement::{ParsedStatement, StatementKind, TransactionStatement};
use rtsap_runtime::dataflow::guard::words;
use rtsap_stream::error::ErrorKind;

use crate::cancel::CancelHandle;
use crate::cursor::Cursor;
use crate::error::{EngineError, Notice, Severity};
use crate::instance::Instance;
use crate::pg_catalog::functions;
use crate::query::Planning;
use crate::query::guard::Guard;
use crate::query::namespace::Database;
use crate::response::{CommandTag, Response};
use crate::session::block::Block;
use crate::session::prepared::Work;
use crate::variables::{KNOWN, Variables};

pub(crate) mod block;
pub(crate) mod change;
pub(crate) mod computed;
pub(crate) mod defaults;
pub(crate) mod execute;
pub(crate) mod modify;
mod plain_view;
pub(crate) mod prepared;
pub(crate) mod returning;
mod table_as;
pub(crate) mod writes;

/// What a client says about itself when it connects.
#[derive(Clone, Debug, Default)]
pub struct SessionSettings {
    /// The authenticated user.
    pub user: String,
    /// The database asked for; any name is accepted and shown as asked.
    pub database: String,
    /// What the client calls itself.
    pub application_name: String,
    /// Further session variables, as in PostgreSQL's startup packet: `DateStyle`, `TimeZone`,
    /// `options` taken apart.
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
    pub(crate) parsed: Arc<ParsedStatement>,
    /// The whole text it stood in: positions count from its beginning.
    pub(crate) whole: Arc<str>,
}

impl Statement {
    /// The statement as written, without semicolon.
    pub fn text(&self) -> &str {
        &self.parsed.text
    }

    /// Whether it ends a transaction block: the only statements that a failed block accepts.
    pub fn ends_block(&self) -> bool {
        use TransactionStatement::{Commit, Rollback, RollbackTo};
        let StatementKind::Transaction(statement) = &self.parsed.kind else {
            return false;
        };
        matches!(statement, Commit | Rollback | RollbackTo(_))
    }
}

/// A statement with its names resolved and its types known.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Types of `$1`, `$2`, …
    pub parameter_types: Vec<DataType>,
    /// Columns of the result; `None` if the statement returns no rows (then no row description is
    /// sent).
    pub result: Option<SchemaRef>,
    /// What it will say at the end.
    pub tag: CommandTag,
    pub(crate) statement: Statement,
    pub(crate) work: Work,
}

impl Prepared {
    /// The statement it was made from.
    pub fn statement(&self) -> &Statement {
        &self.statement
    }
}

/// One client's conversation.
pub struct Session {
    pub(crate) instance: Arc<Instance>,
    pub(crate) settings: SessionSettings,
    pub(crate) variables: Arc<Mutex<Variables>>,
    pub(crate) block: Option<Block>,
    pub(crate) cursors: HashMap<String, Cursor>,
    base: SessionState,
    cancel: CancelHandle,
    notices: Vec<Notice>,
    reported: Vec<(&'static str, String)>,
}

impl Session {
    pub(crate) fn new(
        instance: Arc<Instance>,
        settings: SessionSettings,
    ) -> Result<Self, EngineError> {
        let mut given = vec![(
            "application_name".to_owned(),
            settings.application_name.clone(),
        )];
        given.extend(settings.variables.iter().cloned());
        let (variables, refused) = Variables::new(&given);
        let variables = Arc::new(Mutex::new(variables));
        let mut base = instance.base.clone();
        base.config_mut()
            .options_mut()
            .catalog
            .default_catalog
            .clone_from(&settings.database);
        for function in functions::of_session(&instance, &settings, &variables) {
            let registered = base.register_udf(Arc::new(function));
            registered.map_err(|error| EngineError::internal(error.to_string()))?;
        }
        let settings_table = functions::show_all_settings(&variables);
        base.register_udtf("pg_show_all_settings", settings_table);
        instance.sessions.fetch_add(1, Ordering::Relaxed);
        let mut session = Self {
            instance,
            settings,
            variables,
            block: None,
            cursors: HashMap::new(),
            base,
            cancel: CancelHandle::default(),
            notices: Vec::new(),
            reported: Vec::new(),
        };
        session.reported = session.reported_parameters();
        for error in refused {
            session.notice(Severity::Warning, "01000", error.message);
        }
        Ok(session)
    }

    /// Takes `sql` apart into its statements. Empty for a text without any.
    ///
    /// # Errors
    /// The first syntax error, with its position in `sql`; `RT0505` for a text that is too long.
    pub fn parse(&self, sql: &str) -> Result<Vec<Statement>, EngineError> {
        let limit = self.instance.config.statement_bytes_max;
        if sql.len() > limit {
            let message = format!("statement of {} bytes is longer than {limit}", sql.len());
            return Err(EngineError::new(ErrorKind::Exhausted, "RT0505", message).sqlstate("54000"));
        }
        let whole: Arc<str> = sql.into();
        let statements = rtsap_planner::parse(sql)?;
        let statement = |parsed| Statement {
            parsed: Arc::new(parsed),
            whole: Arc::clone(&whole),
        };
        Ok(statements.into_iter().map(statement).collect())
    }

    /// Resolves names and types. `parameter_types` are those the client declared; the others are
    /// inferred.
    ///
    /// # Errors
    /// What the planner refuses; in a failed transaction block everything but its end.
    pub async fn prepare(
        &self,
        statement: &Statement,
        parameter_types: &[Option<DataType>],
    ) -> Result<Prepared, EngineError> {
        self.check_block(statement)?;
        caught(Box::pin(prepared::prepare(
            self,
            statement,
            parameter_types,
        )))
        .await
    }

    /// Runs it. `parameters` has one value for each of [`Prepared::parameter_types`].
    ///
    /// Cancel-safe: dropping the future cancels a read; a change that has begun is finished.
    ///
    /// # Errors
    /// Whatever fails; a transaction block that is open has failed then.
    pub async fn execute(
        &mut self,
        prepared: &Prepared,
        parameters: &[ScalarValue],
    ) -> Result<Response, EngineError> {
        self.check_block(&prepared.statement)?;
        let timeout = self.variables.lock().statement_timeout();
        let guard = Guard::new(self.cancel.begin(), timeout);
        let work = Box::pin(execute::execute(self, prepared, parameters, &guard));
        let result = guard.wait(caught(work)).await;
        if result.is_err() {
            self.set_failed();
        }
        result
    }

    /// Whether a transaction block is open.
    pub fn transaction_status(&self) -> TransactionStatus {
        self.block
            .as_ref()
            .map_or(TransactionStatus::Idle, Block::status)
    }

    /// Says that the protocol failed to deliver a statement's answer: an open block has failed
    /// then.
    pub fn set_failed(&mut self) {
        if let Some(block) = &mut self.block {
            block.failed = true;
        }
    }

    /// Cancels what this session runs, from anywhere.
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Notices of the statements executed since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// The session variable `name` (any case), e.g. `server_version`, `TimeZone`, `DateStyle`,
    /// `client_encoding`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        if name.eq_ignore_ascii_case("session_authorization") {
            return Some(self.settings.user.clone());
        }
        self.variables.lock().get(name)
    }

    /// The variables a PostgreSQL server reports at the start (ParameterStatus), with their values.
    pub fn reported_parameters(&self) -> Vec<(&'static str, String)> {
        let reported = KNOWN.iter().filter(|known| known.reported);
        reported
            .map(|known| (known.name, self.parameter(known.name).unwrap_or_default()))
            .collect()
    }

    /// Reported variables that changed since the last call.
    pub fn take_parameter_changes(&mut self) -> Vec<(&'static str, String)> {
        let now = self.reported_parameters();
        let changed = now
            .iter()
            .filter(|entry| !self.reported.contains(entry))
            .cloned()
            .collect();
        self.reported = now;
        changed
    }

    /// Who is connected, and to what.
    pub fn settings(&self) -> &SessionSettings {
        &self.settings
    }

    /// Adds a notice.
    pub(crate) fn notice(
        &mut self,
        severity: Severity,
        sqlstate: &'static str,
        message: impl Into<String>,
    ) {
        let message = message.into();
        self.notices.push(Notice {
            severity,
            sqlstate,
            message,
            hint: None,
        });
    }

    /// Adds notices.
    pub(crate) fn add_notices(&mut self, notices: Vec<Notice>) {
        self.notices.extend(notices);
    }

    /// What a statement is planned with: the names of `catalog`, this session's functions and time
    /// zone.
    pub(crate) fn planning(&self, catalog: CatalogSnapshot, whole: &Arc<str>) -> Planning {
        let mut state = self.base.clone();
        let (database, user) = (&self.settings.database, &self.settings.user);
        let names = Database::new(
            database,
            user,
            &self.variables,
            catalog.clone(),
            &self.instance,
        );
        state.register_catalog_list(Arc::new(names));
        for function in self.instance.user_functions(&catalog).iter() {
            // It replaces what has the name, and nothing else refuses it.
            let _replaced = state.register_udf(Arc::clone(function));
        }
        let zone = self
            .parameter("TimeZone")
            .unwrap_or_else(|| "UTC".to_owned());
        state.config_mut().options_mut().execution.time_zone = Some(zone);
        Planning {
            state,
            catalog,
            text: Arc::clone(whole),
        }
    }

    /// Refuses everything but the end of a block that has failed.
    fn check_block(&self, statement: &Statement) -> Result<(), EngineError> {
        let failed = self.block.as_ref().is_some_and(|block| block.failed);
        if !failed || statement.ends_block() {
            return Ok(());
        }
        let message =
            "current transaction is aborted, commands ignored until end of transaction block";
        Err(EngineError::invalid("RT0521", message).sqlstate("25P02"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.instance.sessions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The result of `work`; a panic in it, which is a bug, fails the statement and not the session.
async fn caught<T>(work: impl Future<Output = Result<T, EngineError>>) -> Result<T, EngineError> {
    let result = AssertUnwindSafe(work).catch_unwind().await;
    result.unwrap_or_else(|panic| {
        let text = words(panic.as_ref());
        tracing::error!(text, "a statement ended by a bug");
        let error = EngineError::internal("the statement met a bug of the server");
        Err(error.detail(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_fails_its_statement_and_says_what_it_said() {
        let result = caught::<()>(async { panic!("index out of bounds") }).await;
        let error = result.unwrap_err();
        let shown = format!("{error:?}");
        assert!(shown.contains("met a bug of the server"), "{shown}");
        assert!(shown.contains("index out of bounds"), "{shown}");
    }
}
