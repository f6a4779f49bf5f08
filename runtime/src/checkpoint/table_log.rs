//! The log of table writes: an entry is durable before its `INSERT` is acknowledged.
//!
//! One entry a write, numbered without gaps over all tables, put if absent; a checkpoint says how
//! far it contains the log, and what lies before that is deleted.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray, Int8Array};
use arrow::datatypes::{DataType, Field, FieldRef, Int8Type, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use rtsap_stream::change::ChangeBatch;

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

    /// Makes `changes` of `table` durable and returns the entry.
    ///
    /// # Errors
    /// [`CheckpointError::Fenced`] if another process writes this log; [`CheckpointError::Store`]
    /// if it is unclear whether the rows were written: the next write resolves it.
    pub async fn append(
        &mut self,
        table: u64,
        changes: Vec<ChangeBatch>,
    ) -> Result<LogEntry, CheckpointError> {
        let number = self.next;
        let path = format!("{PREFIX}/{number:020}");
        // The generation makes the bytes of two writers differ.
        let mut name = format!("{table}/{}/{number}", self.generation);
        let rows = match changes.iter().all(|changes| changes.ops().is_none()) {
            true => changes
                .iter()
                .map(|changes| changes.rows().clone())
                .collect(),
            false => {
                name.push_str(WITH_OPS);
                let rows = changes.iter().map(with_ops).collect::<Result<_, _>>();
                rows.map_err(StateError::Arrow)?
            }
        };
        let bytes = Bytes::from(encode(&BTreeMap::from([(name, rows)]))?);
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
            changes,
        })
    }
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
    let changes = match name.ends_with(WITH_OPS) {
        true => rows
            .iter()
            .map(without_ops)
            .collect::<Option<_>>()
            .ok_or_else(damaged)?,
        false => rows.into_iter().map(ChangeBatch::inserts).collect(),
    };
    Ok(LogEntry {
        number,
        table,
        changes,
    })
}
