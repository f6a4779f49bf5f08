//! Cursors: rows of a query or a subscription, fetched piece by piece.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use rtsap_planner::statement::FetchStatement;
use rtsap_stream::error::ErrorKind;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::error::EngineError;
use crate::response::BatchStream;
use crate::session::Session;

/// An open cursor. Cloning shares its position.
#[derive(Clone)]
pub(crate) struct Cursor {
    schema: SchemaRef,
    rows: Arc<Mutex<Rows>>,
    /// Whether rows come for ever.
    endless: bool,
    hold: bool,
}

/// What is still to be fetched.
struct Rows {
    stream: BatchStream,
    rest: Option<RecordBatch>,
    ended: bool,
}

impl Cursor {
    /// A cursor on `stream`.
    pub(crate) fn new(schema: SchemaRef, stream: BatchStream, endless: bool, hold: bool) -> Self {
        let rows = Arc::new(Mutex::new(Rows {
            stream,
            rest: None,
            ended: false,
        }));
        Self {
            schema,
            rows,
            endless,
            hold,
        }
    }

    /// Its columns.
    pub(crate) fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether it outlives its transaction block.
    pub(crate) fn is_held(&self) -> bool {
        self.hold
    }

    /// The next rows, at most as many as asked for.
    ///
    /// From a subscription: waits for the first rows, at most for the timeout if there is one, and
    /// then takes what is there. From a query: waits for all of them.
    ///
    /// # Errors
    /// `RT0528` for all rows of a subscription without a timeout, which would never end.
    pub(crate) async fn fetch(&self, fetch: &FetchStatement) -> Result<BatchStream, EngineError> {
        if self.endless && fetch.count.is_none() && fetch.timeout_ms.is_none() {
            let message = "FETCH ALL from a subscription would never end";
            return Err(EngineError::invalid("RT0528", message)
                .sqlstate("0A000")
                .hint("Give a number of rows, or WITH (timeout = '1s')."));
        }
        let timeout = fetch.timeout_ms.map(Duration::from_millis);
        let state = Fetching {
            rows: Arc::clone(&self.rows),
            left: fetch.count.unwrap_or(u64::MAX),
            deadline: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            endless: self.endless,
            taken: false,
        };
        Ok(futures::stream::unfold(Some(state), Fetching::step).boxed())
    }
}

/// One FETCH under way.
struct Fetching {
    rows: Arc<Mutex<Rows>>,
    left: u64,
    deadline: Option<Instant>,
    endless: bool,
    taken: bool,
}

impl Fetching {
    async fn step(state: Option<Self>) -> Option<(Result<RecordBatch, EngineError>, Option<Self>)> {
        let mut this = state?;
        if this.left == 0 {
            return None;
        }
        match this.next().await {
            Ok(None) => None,
            Ok(Some(batch)) => Some((Ok(batch), Some(this))),
            Err(error) => Some((Err(error), None)),
        }
    }

    async fn next(&mut self) -> Result<Option<RecordBatch>, EngineError> {
        let rows = Arc::clone(&self.rows);
        let mut rows = rows.lock().await;
        let batch = match rows.rest.take() {
            Some(rest) => Some(rest),
            None if rows.ended => None,
            None => self.wait(&mut rows).await?,
        };
        let Some(batch) = batch else { return Ok(None) };
        let take = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(batch.num_rows());
        if take < batch.num_rows() {
            rows.rest = Some(batch.slice(take, batch.num_rows() - take));
        }
        self.left -= take as u64;
        self.taken = true;
        Ok(Some(batch.slice(0, take)))
    }

    /// The next batch with rows, or none if the rows have ended or it is time to stop waiting.
    async fn wait(&self, rows: &mut Rows) -> Result<Option<RecordBatch>, EngineError> {
        let patience = match (self.endless, self.taken, self.deadline) {
            // Something was there: take what is ready without waiting for more.
            (true, true, _) => Some(Instant::now()),
            (_, _, deadline) => deadline,
        };
        loop {
            let next = rows.stream.next();
            let batch = match patience {
                None => next.await,
                Some(deadline) => match tokio::time::timeout_at(deadline, next).await {
                    Ok(batch) => batch,
                    Err(_) => return Ok(None),
                },
            };
            match batch.transpose() {
                Ok(None) => {
                    rows.ended = true;
                    return Ok(None);
                }
                Ok(Some(batch)) if batch.num_rows() == 0 => {}
                Ok(Some(batch)) => return Ok(Some(batch)),
                Err(error) => {
                    rows.ended = true;
                    return Err(error);
                }
            }
        }
    }
}

impl Session {
    /// The cursor called `name`.
    ///
    /// # Errors
    /// `RT0529` if there is none.
    pub(crate) fn cursor(&self, name: &str) -> Result<Cursor, EngineError> {
        self.cursors.get(name).cloned().ok_or_else(|| {
            let message = format!("cursor \"{name}\" does not exist");
            EngineError::invalid("RT0529", message).sqlstate("34000")
        })
    }

    /// Opens a cursor.
    ///
    /// # Errors
    /// `RT0530` if the name is taken or there are too many.
    pub(crate) fn open_cursor(&mut self, name: &str, cursor: Cursor) -> Result<(), EngineError> {
        if self.cursors.contains_key(name) {
            let message = format!("cursor \"{name}\" already exists");
            return Err(EngineError::invalid("RT0530", message).sqlstate("42P03"));
        }
        let limit = self.instance.config.cursors_max;
        if self.cursors.len() >= limit {
            let message = format!("more than {limit} open cursors");
            return Err(EngineError::new(ErrorKind::Exhausted, "RT0530", message)
                .sqlstate("53400")
                .hint("Close some with CLOSE."));
        }
        self.cursors.insert(name.to_owned(), cursor);
        Ok(())
    }

    /// Closes a cursor, or all.
    ///
    /// # Errors
    /// `RT0529` if there is none of that name.
    pub(crate) fn close_cursor(&mut self, name: Option<&str>) -> Result<(), EngineError> {
        match name {
            None => self.cursors.clear(),
            Some(name) => {
                self.cursor(name)?;
                self.cursors.remove(name);
            }
        }
        Ok(())
    }
}
