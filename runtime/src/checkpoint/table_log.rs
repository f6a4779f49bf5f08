//! The log of table writes: an entry is durable before its `INSERT` is acknowledged.
//!
//! One entry a write, numbered without gaps over all tables, put if absent; a checkpoint says how
//! far it contains the log, and what lies before that is deleted.

use std::collections::BTreeMap;

use arrow::record_batch::RecordBatch;
use bytes::Bytes;

use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::store::{Put, Store};
use crate::state::{decode, encode};

/// Where entries lie.
const PREFIX: &str = "table-log";

/// How often an unclear write is tried again.
const ATTEMPTS_MAX: usize = 3;

/// One write.
#[derive(Clone, Debug)]
pub struct LogEntry {
    /// Its number, from 1.
    pub number: u64,
    /// The table.
    pub table: u64,
    /// The inserted rows.
    pub rows: Vec<RecordBatch>,
}

/// The writer's end of the log.
#[derive(Debug)]
pub struct TableLog {
    store: Store,
    generation: u64,
    next: u64,
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
            if number <= contained {
                continue;
            }
            if number != next {
                return Err(damaged(format!("entry {next} is missing before it")));
            }
            let bytes = store.find(&path).await?;
            let bytes = bytes.ok_or_else(|| damaged("it is gone".to_owned()))?;
            entries.push(read_entry(number, &bytes, &path)?);
            next += 1;
        }
        Ok((
            Self {
                store,
                generation,
                next,
            },
            entries,
        ))
    }

    /// Makes `rows` of `table` durable and returns the entry.
    ///
    /// # Errors
    /// [`CheckpointError::Fenced`] if another process writes this log; [`CheckpointError::Store`]
    /// if it is unclear whether the rows were written: the next write resolves it.
    pub async fn append(
        &mut self,
        table: u64,
        rows: Vec<RecordBatch>,
    ) -> Result<LogEntry, CheckpointError> {
        let number = self.next;
        let path = format!("{PREFIX}/{number:020}");
        // The generation makes the bytes of two writers differ.
        let name = format!("{table}/{}/{number}", self.generation);
        let bytes = Bytes::from(encode(&BTreeMap::from([(name, rows.clone())]))?);
        let mut attempt = 0;
        loop {
            attempt += 1;
            let unclear = match self.store.put_if_absent(&path, bytes.clone()).await {
                Ok(Put::Done) => break,
                Ok(Put::Exists) => None,
                Err(error) => Some(error),
            };
            match (self.store.find(&path).await?, unclear) {
                (Some(found), _) if found == bytes => break,
                (Some(_), _) => {
                    return Err(CheckpointError::Fenced {
                        generation: self.generation + 1,
                    });
                }
                (None, Some(error)) if attempt >= ATTEMPTS_MAX => return Err(error),
                (None, _) => {}
            }
        }
        self.next += 1;
        Ok(LogEntry {
            number,
            table,
            rows,
        })
    }
}

/// Deletes the entries up to number `contained`.
///
/// # Errors
/// [`CheckpointError::Store`].
pub async fn forget(store: &Store, contained: u64) -> Result<(), CheckpointError> {
    let last = format!("{PREFIX}/{contained:020}");
    let paths = store.list(PREFIX).await?;
    store
        .delete(paths.into_iter().filter(|path| *path <= last).collect())
        .await
}

fn read_entry(number: u64, bytes: &[u8], path: &str) -> Result<LogEntry, CheckpointError> {
    let damaged = || CheckpointError::Damaged {
        path: path.to_owned(),
        found: "it is not a table write".to_owned(),
    };
    let mut sections = decode(bytes)?;
    let (name, rows) = sections.pop_first().ok_or_else(damaged)?;
    let table = name
        .split('/')
        .next()
        .and_then(|id| id.parse().ok())
        .ok_or_else(damaged)?;
    Ok(LogEntry {
        number,
        table,
        rows,
    })
}
