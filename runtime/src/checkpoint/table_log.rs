//! The log of table writes: an entry is durable before its `INSERT` is acknowledged.
//!
//! One entry a write, numbered without gaps over all tables, put if absent; a checkpoint says how
//! far it contains the log, and what lies before that is deleted, but for the last such entry. So
//! whoever slept while his place was taken and deleted sees it: the entry before his is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int8Array};
use arrow::datatypes::{DataType, Field, FieldRef, Int8Type, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::failpoint;
use sha2::{Digest, Sha256};

use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::store::{Put, Store};
use crate::state::{StateError, decode, encode};

/// Where entries lie.
const PREFIX: &str = "table-log";

/// How often an unclear write is tried again.
const ATTEMPTS_MAX: usize = 3;

/// Ends the name of an entry that also takes rows away.
const WITH_OPS: &str = "/ops";

/// The column that says what a row of such an entry does.
const OPS: &str = "rtsap_op";

/// One write.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its number, from 1.
    pub number: u64,
    /// The table.
    pub table: u64,
    /// What it did to the table, in order.
    pub changes: Vec<ChangeBatch>,
}

/// The writer's end of the log.
#[derive(Debug)]
pub struct TableLog {
    store: Store,
    generation: u64,
    next: u64,
    /// The hash of the entry before `next`; `None` if it is not there, as in directories of the
    /// first release, which deleted all that a checkpoint contained.
    before: Option<String>,
}

impl TableLog {
    /// Reads the entries after number `contained` and continues behind the last.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if an entry is missing or cannot be read.
    pub async fn open(
        store: Store,
        generation: u64,
        contained: u64,
    ) -> Result<(Self, Vec<LogEntry>), CheckpointError> {
        let mut entries = Vec::new();
        let mut next = contained + 1;
        let mut before = None;
        for path in store.list(PREFIX).await? {
            let damaged = |found: String| CheckpointError::Damaged {
                path: path.clone(),
                found,
            };
            let number = path
                .rsplit('/')
                .next()
                .and_then(|name| name.parse::<u64>().ok());
            let number = number.ok_or_else(|| damaged("it has no number".to_owned()))?;
            if number < contained {
                continue;
            }
            if number != next && number != contained {
                return Err(damaged(format!("number {next} is missing before it")));
            }
            let bytes = store.find(&path).await?;
            let bytes = bytes.ok_or_else(|| damaged("it is gone".to_owned()))?;
            before = Some(hash(&bytes));
            if number > contained {
                entries.push(read_entry(number, &bytes, &path)?.entry);
                next += 1;
            }
        }
        Ok((
            Self {
                store,
                generation,
                next,
                before,
            },
            entries,
        ))
    }

    /// Makes `changes` of `table` durable and returns the entry, behind those that an older process
    /// has put there since: it had acknowledged them before it could know of this one.
    ///
    /// # Errors
    /// [`CheckpointError::Fenced`] if a newer process writes this log; [`CheckpointError::Store`]
    /// if it is unclear whether the rows were written: the next write resolves it.
    pub async fn append(
        &mut self,
        table: u64,
        changes: Vec<ChangeBatch>,
    ) -> Result<Vec<LogEntry>, CheckpointError> {
        let (rows, with_ops) = encoded(&changes).map_err(StateError::Arrow)?;
        let mut entries = Vec::new();
        loop {
            let number = self.next;
            let path = path_of(number);
            // The generation makes the bytes of two writers differ.
            let before = self.before.as_deref().unwrap_or_default();
            let name = format!("{table}/{}/{number}/{before}{with_ops}", self.generation);
            let bytes = Bytes::from(encode(&BTreeMap::from([(name, rows.clone())]))?);
            let found = self.take_place(&path, &bytes).await?;
            failpoint::pass("table_log.put_done");
            let there = found.as_ref().unwrap_or(&bytes);
            self.check_not_overtaken(number, there, found.is_none())
                .await?;
            let Some(found) = found else {
                self.step(&bytes);
                entries.push(LogEntry {
                    number,
                    table,
                    changes,
                });
                return Ok(entries);
            };
            let found_entry = read_entry(number, &found, &path)?;
            let generation = found_entry.generation;
            if generation > self.generation {
                return Err(CheckpointError::Fenced { generation });
            }
            self.step(&found);
            entries.push(found_entry.entry);
        }
    }

    /// Whether what lies at `path` is entry `number` and was put behind that with the hash
    /// `before`.
    async fn follows(
        &self,
        number: u64,
        path: &str,
        before: &str,
    ) -> Result<bool, CheckpointError> {
        if path != path_of(number) {
            return Ok(false);
        }
        let Some(bytes) = self.store.find(path).await? else {
            return Ok(false);
        };
        Ok(read_entry(number, &bytes, path)?.before == before)
    }

    fn step(&mut self, bytes: &[u8]) {
        self.next += 1;
        self.before = Some(hash(bytes));
    }

    /// Puts `bytes` at `path`, whatever answers are lost; returns what lies there if it is
    /// something else.
    async fn take_place(
        &self,
        path: &str,
        bytes: &Bytes,
    ) -> Result<Option<Bytes>, CheckpointError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            failpoint::pass("table_log.put_begun");
            let unclear = match self.store.put_if_absent(path, bytes.clone()).await {
                Ok(Put::Done) => return Ok(None),
                Ok(Put::Exists) => None,
                Err(error) => Some(error),
            };
            match (self.store.find(path).await?, unclear) {
                (Some(found), _) if found == *bytes => return Ok(None),
                (Some(found), _) => return Ok(Some(found)),
                (None, Some(error)) if attempt >= ATTEMPTS_MAX => return Err(error),
                (None, _) => {}
            }
        }
    }

    /// Fails if place `number` was free for `there` only because another process has written and
    /// forgotten it; takes back what is `ours`.
    async fn check_not_overtaken(
        &self,
        number: u64,
        there: &Bytes,
        ours: bool,
    ) -> Result<(), CheckpointError> {
        let path = path_of(number);
        let overtaken = if let Some(wanted) = &self.before {
            let found = self.store.find(&path_of(number - 1)).await?;
            found.is_none_or(|found| hash(&found) != *wanted)
        } else {
            // Nothing is there before it. Somebody may have gone on from it since.
            let later = self.store.list(PREFIX).await?;
            match later.iter().find(|later| **later > path) {
                Some(next) => !self.follows(number + 1, next, &hash(there)).await?,
                None => false,
            }
        };
        if !overtaken {
            return Ok(());
        }
        if ours {
            self.store.delete(vec![path]).await?;
        }
        Err(CheckpointError::Fenced {
            generation: self.generation + 1,
        })
    }
}

/// The rows of an entry, and how its name ends.
fn encoded(changes: &[ChangeBatch]) -> Result<(Vec<RecordBatch>, &'static str), ArrowError> {
    if changes.iter().all(|changes| changes.ops().is_none()) {
        let rows = changes.iter().map(|changes| changes.rows().clone());
        return Ok((rows.collect(), ""));
    }
    let rows = changes.iter().map(with_ops).collect::<Result<_, _>>()?;
    Ok((rows, WITH_OPS))
}

/// The rows of `changes` with one column more, behind the others: what each does.
fn with_ops(changes: &ChangeBatch) -> Result<RecordBatch, ArrowError> {
    let rows = changes.rows();
    let inserts = || Int8Array::from(vec![1; rows.num_rows()]);
    let ops = changes.ops().cloned().unwrap_or_else(inserts);
    let schema = rows.schema();
    let mut fields: Vec<FieldRef> = schema.fields().iter().map(Arc::clone).collect();
    fields.push(Arc::new(Field::new(OPS, DataType::Int8, false)));
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(ops));
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// The other way round; `None` for rows that were not made so.
fn without_ops(rows: &RecordBatch) -> Option<ChangeBatch> {
    let last = rows.num_columns().checked_sub(1)?;
    let ops = rows.column(last).as_primitive_opt::<Int8Type>()?.clone();
    let columns: Vec<usize> = (0..last).collect();
    ChangeBatch::try_new(rows.project(&columns).ok()?, ops).ok()
}

fn path_of(number: u64) -> String {
    format!("{PREFIX}/{number:020}")
}

/// Deletes the entries before number `contained`, oldest first.
///
/// # Errors
/// [`CheckpointError::Store`].
pub async fn forget(store: &Store, contained: u64) -> Result<(), CheckpointError> {
    let last = path_of(contained);
    let paths = store.list(PREFIX).await?;
    for path in paths.into_iter().filter(|path| *path < last) {
        store.delete(vec![path]).await?;
    }
    Ok(())
}

/// An entry as it lies there.
struct Found {
    entry: LogEntry,
    /// Of its writer.
    generation: u64,
    /// The hash of the entry before it, empty if its writer saw none.
    before: String,
}

fn read_entry(number: u64, bytes: &[u8], path: &str) -> Result<Found, CheckpointError> {
    let damaged = || CheckpointError::Damaged {
        path: path.to_owned(),
        found: "it is not a table write".to_owned(),
    };
    let mut sections = decode(bytes)?;
    let (name, rows) = sections.pop_first().ok_or_else(damaged)?;
    let parts: Vec<&str> = name.split('/').collect();
    let part = |index: usize| parts.get(index).and_then(|part| part.parse().ok());
    let changes = match name.ends_with(WITH_OPS) {
        true => rows
            .iter()
            .map(without_ops)
            .collect::<Option<_>>()
            .ok_or_else(damaged)?,
        false => rows.into_iter().map(ChangeBatch::inserts).collect(),
    };
    Ok(Found {
        entry: LogEntry {
            number,
            table: part(0).ok_or_else(damaged)?,
            changes,
        },
        generation: part(1).ok_or_else(damaged)?,
        // The first release wrote none.
        before: parts.get(3).copied().unwrap_or_default().to_owned(),
    })
}

/// Half of the SHA-256, enough to tell two entries apart.
fn hash(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    let half = digest.iter().take(16);
    half.map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
