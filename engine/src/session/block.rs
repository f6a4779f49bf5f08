//! A transaction block: the cut it reads, and the rows it will write when it commits.

use std::sync::Arc;

use rtsap_catalog::object::ObjectNumber;
use rtsap_runtime::serve::Cut;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::error::ErrorKind;
use tokio::sync::OwnedRwLockWriteGuard;

use crate::error::EngineError;
use crate::session::TransactionStatus;
use crate::variables::Variables;

/// Savepoints a block may have.
const SAVEPOINTS_MAX: usize = 1_024;

/// Rows of one `INSERT` or `COPY` that wait for `COMMIT`.
#[derive(Clone, Debug)]
pub(crate) struct PendingRows {
    /// The table's number.
    pub(crate) table: ObjectNumber,
    /// Its name.
    pub(crate) name: String,
    /// What they do to it, in the table's schema.
    pub(crate) changes: Vec<ChangeBatch>,
}

/// An open transaction block.
#[derive(Debug)]
pub(crate) struct Block {
    /// The cut that the block's first read took; all later ones take it too.
    pub(crate) cut: Option<Arc<Cut>>,
    /// What `COMMIT` writes.
    pub(crate) pending: Vec<PendingRows>,
    /// Keeps others from writing the table that an `UPDATE` or `DELETE` of the block has read.
    pub(crate) lock: Option<(ObjectNumber, OwnedRwLockWriteGuard<()>)>,
    /// Whether a statement failed.
    pub(crate) failed: bool,
    before: Variables,
    savepoints: Vec<(String, usize, Variables)>,
}

impl Block {
    /// A block that begins with these variables.
    pub(crate) fn new(before: Variables) -> Self {
        Self {
            cut: None,
            pending: Vec::new(),
            lock: None,
            failed: false,
            before,
            savepoints: Vec::new(),
        }
    }

    /// As the protocol reports it.
    pub(crate) fn status(&self) -> TransactionStatus {
        if self.failed {
            TransactionStatus::Failed
        } else {
            TransactionStatus::Open
        }
    }

    /// The variables to go back to on `ROLLBACK`.
    pub(crate) fn into_before(self) -> Variables {
        self.before
    }

    /// Takes rows for `COMMIT`.
    ///
    /// # Errors
    /// `RT0522` for a second table: two tables cannot be written in one step. `RT0523` beyond
    /// `bytes_max`.
    pub(crate) fn add(&mut self, rows: PendingRows, bytes_max: usize) -> Result<(), EngineError> {
        if let Some(other) = self.pending.iter().find(|other| other.table != rows.table) {
            let message = format!(
                "cannot write \"{}\" in a transaction that has written \"{}\"",
                rows.name, other.name
            );
            return Err(EngineError::invalid("RT0522", message)
                .sqlstate("0A000")
                .hint("Commit between the two tables."));
        }
        let bytes: usize = self
            .pending
            .iter()
            .chain([&rows])
            .flat_map(|pending| &pending.changes)
            .map(|changes| changes.rows().get_array_memory_size())
            .sum();
        if bytes > bytes_max {
            return Err(too_many_bytes(bytes_max));
        }
        self.pending.push(rows);
        Ok(())
    }

    /// `SAVEPOINT name`.
    ///
    /// # Errors
    /// `RT0523` if there are too many.
    pub(crate) fn savepoint(&mut self, name: &str, now: &Variables) -> Result<(), EngineError> {
        if self.savepoints.len() >= SAVEPOINTS_MAX {
            let message = format!("more than {SAVEPOINTS_MAX} savepoints");
            return Err(EngineError::new(ErrorKind::Exhausted, "RT0523", message).sqlstate("53400"));
        }
        self.savepoints
            .push((name.to_owned(), self.pending.len(), now.clone()));
        Ok(())
    }

    /// `RELEASE name`.
    ///
    /// # Errors
    /// `RT0524` if there is no such savepoint.
    pub(crate) fn release(&mut self, name: &str) -> Result<(), EngineError> {
        let index = self.find(name)?;
        self.savepoints.truncate(index);
        Ok(())
    }

    /// `ROLLBACK TO name`: returns the variables to go back to.
    ///
    /// # Errors
    /// `RT0524` if there is no such savepoint.
    pub(crate) fn rollback_to(&mut self, name: &str) -> Result<Variables, EngineError> {
        let index = self.find(name)?;
        self.savepoints.truncate(index + 1);
        let Some((_, pending, variables)) = self.savepoints.last() else {
            return Err(EngineError::internal("a savepoint vanished"));
        };
        self.pending.truncate(*pending);
        self.failed = false;
        Ok(variables.clone())
    }

    fn find(&self, name: &str) -> Result<usize, EngineError> {
        self.savepoints
            .iter()
            .rposition(|(other, ..)| other == name)
            .ok_or_else(|| {
                let message = format!("savepoint \"{name}\" does not exist");
                EngineError::invalid("RT0524", message).sqlstate("3B001")
            })
    }
}

/// More rows wait for their commit than the limit allows.
pub(crate) fn too_many_bytes(bytes_max: usize) -> EngineError {
    let message = format!("more than {bytes_max} bytes wait for their commit");
    EngineError::new(ErrorKind::Exhausted, "RT0523", message)
        .sqlstate("53400")
        .hint("Write in smaller pieces, or raise the server's limit of uncommitted bytes.")
}
