//! Prepared statements: what a handle stands for, and how many there may be.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rtsap_engine::Engine;
use rtsap_engine::response::CommandTag;
use rtsap_engine::session::ScalarValue;
use rtsap_engine::session::{Prepared, Session, TransactionStatus};
use tonic::Status;
use uuid::Uuid;

use crate::error::{status, without_position};
use crate::placeholders::numbered;
use crate::statement::{self, Rows};

/// Statements that may be open at once. Clients that vanish never close theirs: the one unused for
/// longest goes.
const STATEMENTS_MAX: usize = 4_096;

/// A statement that a client has prepared, with its own session.
pub(crate) struct PreparedStatement {
    session: Session,
    prepared: Prepared,
    bound: Vec<Vec<ScalarValue>>,
}

/// A statement shared by the calls that use it; they take turns.
pub(crate) type Shared = Arc<tokio::sync::Mutex<PreparedStatement>>;

impl PreparedStatement {
    /// Prepares the only statement of `sql`, in which parameters are written `$1` or `?`.
    ///
    /// # Errors
    /// As [`statement::prepare`].
    pub(crate) async fn new(engine: &Engine, sql: &str) -> Result<Self, Status> {
        let session = statement::session(engine)?;
        let text = numbered(sql);
        let prepared = statement::prepare(&session, &text).await;
        let prepared = prepared.map_err(|status| match text {
            Cow::Borrowed(_) => status,
            // It would count in a text that the client has not written.
            Cow::Owned(_) => without_position(status),
        })?;
        Ok(Self {
            session,
            prepared,
            bound: Vec::new(),
        })
    }

    /// What the engine knows of it.
    pub(crate) fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Keeps the values for the next executions.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a wrong number of values.
    pub(crate) fn bind(&mut self, rows: Vec<Vec<ScalarValue>>) -> Result<(), Status> {
        let wanted = self.prepared.parameter_types.len();
        if let Some(row) = rows.iter().find(|row| row.len() != wanted) {
            return Err(Status::invalid_argument(format!(
                "{} parameters given, but the statement has {wanted}",
                row.len()
            )));
        }
        self.bound = rows;
        Ok(())
    }

    /// Runs it once as a query with the values bound.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for several rows of values; what the engine refuses.
    pub(crate) async fn query(&mut self) -> Result<Rows, Status> {
        self.close_block().await?;
        let values = match self.bound.as_slice() {
            [] => &[],
            [values] => values.as_slice(),
            rows => {
                return Err(Status::invalid_argument(format!(
                    "cannot run a query with {} rows of parameters at once\n\
                     HINT: Bind one row at a time.",
                    rows.len()
                )));
            }
        };
        let outcome = statement::execute(&mut self.session, &self.prepared, values).await?;
        Ok(outcome.into_rows())
    }

    /// Runs it for each row of values bound, all or none; returns how many rows it changed.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it returns rows; what the engine refuses.
    pub(crate) async fn update(&mut self) -> Result<i64, Status> {
        self.close_block().await?;
        match self.bound.as_slice() {
            [] => statement::change(&mut self.session, &self.prepared, &[]).await,
            [values] => statement::change(&mut self.session, &self.prepared, values).await,
            _ => self.update_all().await,
        }
    }

    /// One transaction for all rows: they are durable together, and waited for once.
    async fn update_all(&mut self) -> Result<i64, Status> {
        if !matches!(self.prepared.tag, CommandTag::Affected(..)) {
            let message = "cannot run this statement for several rows of parameters";
            return Err(Status::invalid_argument(message));
        }
        self.control("BEGIN").await?;
        let mut changed = 0_i64;
        for values in &self.bound {
            let one = statement::change(&mut self.session, &self.prepared, values).await;
            match one {
                Ok(count) => changed = changed.saturating_add(count),
                Err(status) => {
                    self.control("ROLLBACK").await?;
                    return Err(status);
                }
            }
        }
        self.control("COMMIT").await?;
        Ok(changed)
    }

    /// Ends the block of a call that was cancelled half-way, so that its rows do not come with the
    /// next ones.
    async fn close_block(&mut self) -> Result<(), Status> {
        if self.session.transaction_status() == TransactionStatus::Idle {
            return Ok(());
        }
        self.control("ROLLBACK").await
    }

    async fn control(&mut self, sql: &str) -> Result<(), Status> {
        for statement in self.session.parse(sql).map_err(status)? {
            let prepared = self.session.prepare(&statement, &[]).await;
            let prepared = prepared.map_err(status)?;
            let done = Box::pin(self.session.execute(&prepared, &[])).await;
            done.map_err(status)?;
        }
        Ok(())
    }
}

/// All prepared statements of the server.
#[derive(Default)]
pub(crate) struct PreparedStatements {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    by_handle: HashMap<Bytes, Entry>,
    uses: u64,
}

struct Entry {
    statement: Shared,
    last_use: u64,
}

impl PreparedStatements {
    /// Keeps `statement`; returns its handle.
    pub(crate) fn insert(&self, statement: PreparedStatement) -> Bytes {
        let handle = Bytes::from(Uuid::new_v4().to_string());
        let mut open = self.open.lock();
        if open.by_handle.len() >= STATEMENTS_MAX {
            let oldest = open
                .by_handle
                .iter()
                .min_by_key(|(_, entry)| entry.last_use);
            if let Some(oldest) = oldest.map(|(handle, _)| handle.clone()) {
                open.by_handle.remove(&oldest);
            }
        }
        open.uses += 1;
        let entry = Entry {
            statement: Arc::new(tokio::sync::Mutex::new(statement)),
            last_use: open.uses,
        };
        open.by_handle.insert(handle.clone(), entry);
        handle
    }

    /// The statement behind `handle`.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is none: closed, or pushed out by many newer ones.
    pub(crate) fn get(&self, handle: &Bytes) -> Result<Shared, Status> {
        let mut open = self.open.lock();
        open.uses += 1;
        let uses = open.uses;
        let Some(entry) = open.by_handle.get_mut(handle) else {
            let message = "the prepared statement does not exist\nHINT: Prepare it again.";
            return Err(Status::not_found(message));
        };
        entry.last_use = uses;
        Ok(Arc::clone(&entry.statement))
    }

    /// Forgets the statement. Nothing happens if there is none.
    pub(crate) fn remove(&self, handle: &Bytes) {
        self.open.lock().by_handle.remove(handle);
    }
}
