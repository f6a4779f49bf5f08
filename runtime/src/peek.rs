//! A look at the newest rows of a source, beside the dataflows: nothing is counted, set aside or
//! remembered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::BooleanArray;
use arrow::compute::{concat_batches, filter_record_batch, sort_to_indices, take_record_batch};
use arrow::record_batch::RecordBatch;
use crossbeam_channel::{Receiver, bounded};
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{Offset, Positions, SplitId};

use crate::clock::{Clock, SystemClock};
use crate::error::RuntimeError;
use crate::reader::{
    self, ReadBatch, ReadEvent, ReaderHandle, ReaderSetup, decode_schema, physical_columns,
};
use crate::spec::SourceSpec;

/// How long to read at most; also how long to wait for rows of a source that has none yet.
const PATIENCE: Duration = Duration::from_secs(2);

/// Payloads a batch.
const BATCH_ROWS_MAX: usize = 1_024;

/// Batches that may wait.
const BATCHES_MAX: usize = 8;

/// What was seen.
#[derive(Debug)]
pub struct Seen {
    /// The rows: by event time if the source has one, otherwise split by split as they came.
    pub rows: RecordBatch,
    /// Why the first payload that gave no row gave none, if there was one.
    pub reject: Option<String>,
}

/// The newest rows of a source, at most `rows_max`. A source that has none between its start and
/// its end is waited for, 2 s at most.
///
/// # Errors
/// What its connector says when it cannot be reached or read.
pub async fn newest(spec: Arc<SourceSpec>, rows_max: usize) -> Result<Seen, RuntimeError> {
    let starts = spec.source.start_positions().await?;
    let ends = spec.source.end_positions().await?;
    let begin = |(split, start): (SplitId, Offset)| {
        let end = ends.get(&split).map_or(start.0, |end| end.0);
        let first = end.saturating_sub(rows_max as u64).max(start.0);
        (split, Offset(first))
    };
    let positions: Positions = starts.into_iter().map(begin).collect();
    // A split is over where its end was; if there is nothing anywhere, what comes next is shown.
    let empty = positions
        .iter()
        .all(|(split, first)| ends.get(split).is_none_or(|end| end <= first));
    let wanted: BTreeMap<SplitId, Offset> = match empty {
        true => BTreeMap::new(),
        false => ends
            .into_iter()
            .filter(|(split, end)| positions.get(split).is_some_and(|first| first < end))
            .collect(),
    };
    let open: BTreeSet<SplitId> = positions.keys().cloned().collect();
    let projection: Vec<usize> = (0..spec.columns.len()).collect();
    let schema = decode_schema(&spec, &physical_columns(&spec, &projection)).schema;
    let source = spec.source.open(&positions, &schema).await?;
    let clock = Arc::new(SystemClock::default());
    let (bell_in, bell) = bounded(1);
    let setup = ReaderSetup {
        spec: Arc::clone(&spec),
        projection,
        batch_rows_max: BATCH_ROWS_MAX,
        batches_max: BATCHES_MAX,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        bell: bell_in,
        driven: false,
    };
    let reader = reader::start(setup, source)?;
    let read = tokio::task::spawn_blocking(move || {
        let mut peek = Peek {
            wanted,
            open,
            rows_max,
            batches: Vec::new(),
            rows: 0,
            reject: None,
        };
        peek.read(&reader, &bell, &clock, empty)?;
        Ok::<_, ConnectorError>(peek)
    });
    let peek = read.await.map_err(|error| RuntimeError::Spec {
        what: spec.name.clone(),
        found: format!("a look at it that did not end: {error}"),
    })??;
    peek.seen(&spec)
}

struct Peek {
    /// Splits that are not read to their end, and that end.
    wanted: BTreeMap<SplitId, Offset>,
    /// Splits that may bring more.
    open: BTreeSet<SplitId>,
    rows_max: usize,
    batches: Vec<RecordBatch>,
    rows: usize,
    reject: Option<String>,
}

impl Peek {
    /// Reads until every split is at its end, or, of a source that is `empty`, until there are
    /// enough rows.
    fn read(
        &mut self,
        reader: &ReaderHandle,
        bell: &Receiver<()>,
        clock: &SystemClock,
        empty: bool,
    ) -> Result<(), ConnectorError> {
        let deadline = clock.elapsed() + PATIENCE;
        loop {
            let done = match empty {
                true => self.rows >= self.rows_max || self.open.is_empty(),
                false => self.wanted.is_empty(),
            };
            let left = deadline.saturating_sub(clock.elapsed());
            if done || left.is_zero() {
                return Ok(());
            }
            match reader.next() {
                Some(ReadEvent::Batch(batch)) => self.take(batch),
                Some(ReadEvent::Failed(error)) => return Err(error),
                Some(ReadEvent::Unavailable(reason)) => {
                    return Err(ConnectorError::unavailable(reason));
                }
                Some(ReadEvent::Found(..) | ReadEvent::Available) => {}
                // Whether it rang or the time is over shows at the next turn.
                None => {
                    let _ = bell.recv_timeout(left);
                }
            }
        }
    }

    fn take(&mut self, batch: ReadBatch) {
        if batch.ended {
            self.open.remove(&batch.split);
        }
        let over = |end: &Offset| batch.ended || batch.resume_at >= *end;
        if self.wanted.get(&batch.split).is_some_and(over) {
            self.wanted.remove(&batch.split);
        }
        if self.reject.is_none() {
            self.reject = batch.rejects.first().map(|reject| reject.reason.clone());
        }
        let rows = match &batch.ops {
            None => Ok(batch.rows),
            Some(ops) => {
                let put: BooleanArray = ops.iter().map(|op| Some(op != Some(-1))).collect();
                filter_record_batch(&batch.rows, &put)
            }
        };
        match rows {
            Ok(rows) if rows.num_rows() > 0 => {
                self.rows += rows.num_rows();
                self.batches.push(rows);
            }
            Ok(_) => {}
            Err(error) => self.reject = Some(error.to_string()),
        }
    }

    fn seen(self, spec: &SourceSpec) -> Result<Seen, RuntimeError> {
        let broken = |error: arrow::error::ArrowError| RuntimeError::Spec {
            what: spec.name.clone(),
            found: error.to_string(),
        };
        let mut rows = concat_batches(&spec.schema, &self.batches).map_err(broken)?;
        if let Some(time) = spec.event_time {
            let order = sort_to_indices(rows.column(time.column), None, None).map_err(broken)?;
            rows = take_record_batch(&rows, &order).map_err(broken)?;
        }
        let over = rows.num_rows().saturating_sub(self.rows_max);
        let rows = rows.slice(over, rows.num_rows() - over);
        Ok(Seen {
            rows,
            reject: self.reject,
        })
    }
}
