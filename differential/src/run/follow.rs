//! Followers of views: the sum of all changes that a subscription tells.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch};
use futures::StreamExt;
use parking_lot::Mutex;
use rtsap_engine::response::{BatchStream, Response};
use tokio::task::JoinHandle;

use super::{Server, read, said};
use crate::value::{Row, row_text};

/// How often to look whether all changes have come, and for how long.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// 10 s: changes are told within a millisecond of what a SELECT shows.
const LOOKS_MAX: usize = 10_000;

/// What a follower has been told so far: how often each row is there.
#[derive(Debug, Default)]
struct Told {
    rows: HashMap<String, usize>,
    wrong: Option<String>,
}

/// A subscription under way.
#[derive(Debug)]
pub(super) struct Follower {
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Told {
    fn take(&mut self, batch: &RecordBatch) -> Result<(), String> {
        let columns: Vec<usize> = (2..batch.num_columns()).collect();
        let values = batch.project(&columns).map_err(|error| error.to_string())?;
        let ops = batch.column(1).as_string::<i32>();
        for (index, row) in read::rows(&[values])?.iter().enumerate() {
            let row = row_text(row);
            if ops.value(index) == "insert" {
                *self.rows.entry(row).or_default() += 1;
                continue;
            }
            match self.rows.get_mut(&row) {
                Some(count) if *count > 1 => *count -= 1,
                Some(_) => drop(self.rows.remove(&row)),
                None => return Err(format!("a follower was told of a delete of no row: {row}")),
            }
        }
        Ok(())
    }
}

impl Follower {
    /// Follows `view` from a snapshot on.
    pub(super) async fn start(server: &mut Server, view: &str) -> Result<Self, String> {
        let changes = changes(server, &format!("SUBSCRIBE {view}")).await?;
        let told = Arc::new(Mutex::new(Told::default()));
        let task = tokio::spawn(listen(changes, Arc::clone(&told)));
        Ok(Self { told, task })
    }

    /// Waits until what it was told is `expected`; what is wrong, if it never is.
    pub(super) async fn meets(&self, expected: &[Row]) -> Option<String> {
        let mut wanted: HashMap<String, usize> = HashMap::new();
        for row in expected {
            *wanted.entry(row_text(row)).or_default() += 1;
        }
        for _ in 0..LOOKS_MAX {
            {
                let told = self.told.lock();
                if told.wrong.is_some() {
                    return told.wrong.clone();
                }
                if told.rows == wanted {
                    return None;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let told = self.told.lock();
        let mut text =
            "the changes that a follower was told do not sum up to the view:\n".to_owned();
        for (sign, list, other) in [("-", &wanted, &told.rows), ("+", &told.rows, &wanted)] {
            for (row, count) in list {
                let more = count.saturating_sub(other.get(row).copied().unwrap_or_default());
                if more > 0 {
                    text += &format!("{sign} {more} × {row}\n");
                }
            }
        }
        Some(text)
    }
}

async fn listen(mut changes: BatchStream, told: Arc<Mutex<Told>>) {
    while let Some(batch) = changes.next().await {
        let taken = match batch {
            Ok(batch) => told.lock().take(&batch),
            Err(error) => Err(format!("a follower was told: {}", said(&error))),
        };
        if let Err(wrong) = taken {
            told.lock().wrong = Some(wrong);
            return;
        }
    }
}

async fn changes(server: &mut Server, sql: &str) -> Result<BatchStream, String> {
    let mut statements = server.session.parse(sql).map_err(|error| said(&error))?;
    let prepared = server.session.prepare(&statements.remove(0), &[]).await;
    let prepared = prepared.map_err(|error| said(&error))?;
    match server.session.execute(&prepared, &[]).await {
        Ok(Response::Changes { changes, .. }) => Ok(changes),
        Ok(_) => Err(format!("{sql} is no subscription")),
        Err(error) => Err(said(&error)),
    }
}
