//! Reader threads: poll a source, decode, compute columns, set bad rows aside. One thread an open
//! reader.
//!
//! A reader knows nothing of views; it hands decoded batches to the core over a bounded queue and
//! rings its bell.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::array::Int8Array;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use crossbeam_channel::{Receiver, Sender, bounded};
use parking_lot::Mutex;
use rtsap_stream::decode::{DecodeSchema, Decoded, Decoder, Reject};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::failpoint;
use rtsap_stream::source::{Offset, Payloads, RawBatch, SourceReader, SplitBatch, SplitId};

use crate::clock::Clock;
use crate::error::RuntimeError;
use crate::spec::{SourceColumn, SourceSpec};

mod finish;

use finish::Finisher;
pub use finish::nanos;

/// How long one poll waits: bounds the time to notice a stop.
const POLL_WAIT: Duration = Duration::from_millis(50);

/// How long a reader rests after the other side was unavailable.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Decoded rows of one split.
#[derive(Debug)]
pub struct ReadBatch {
    /// The split.
    pub split: SplitId,
    /// The rows, in the projected schema.
    pub rows: RecordBatch,
    /// What each row does: +1 puts it, −1 takes the row of its key away. `None` means all +1.
    pub ops: Option<Int8Array>,
    /// The offset of each row.
    pub offsets: RowOffsets,
    /// Payloads that gave no row.
    pub rejects: Vec<Reject>,
    /// The position after this batch.
    pub resume_at: Offset,
    /// The split will never bring more.
    pub ended: bool,
}

/// The offsets of the rows of a batch.
#[derive(Clone, Debug)]
pub enum RowOffsets {
    /// Row *i* has offset `first + i`.
    From(u64),
    /// One offset a row, growing.
    Listed(Vec<u64>),
}

impl RowOffsets {
    /// How many rows lie before `limit`.
    pub fn count_below(&self, limit: Offset, rows: usize) -> usize {
        match self {
            Self::From(first) => usize::try_from(limit.0.saturating_sub(*first))
                .unwrap_or(usize::MAX)
                .min(rows),
            Self::Listed(offsets) => offsets.partition_point(|offset| *offset < limit.0),
        }
    }

    /// The offsets from row `start` on.
    #[must_use]
    pub fn skip(&self, start: usize) -> Self {
        match self {
            Self::From(first) => Self::From(first + start as u64),
            Self::Listed(offsets) => Self::Listed(offsets[start..].to_vec()),
        }
    }
}

/// What a reader has to say.
#[derive(Debug)]
pub enum ReadEvent {
    /// Rows.
    Batch(ReadBatch),
    /// A split that the source did not have before, and its first offset.
    Found(SplitId, Offset),
    /// The other side is away; the reader tries again.
    Unavailable(String),
    /// It is back.
    Available,
    /// The reader cannot go on.
    Failed(ConnectorError),
}

/// An open reader, owned by the core. Dropping it stops the thread.
pub struct ReaderHandle {
    events: Receiver<ReadEvent>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// The reader itself, where it has no thread.
    driven: Option<Box<Mutex<ReaderTask>>>,
}

impl ReaderHandle {
    /// The next event, if one waits.
    pub fn next(&self) -> Option<ReadEvent> {
        self.poll_driven();
        self.events.try_recv().ok()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.poll_driven();
        self.events.is_empty()
    }

    /// Lets a reader without a thread read once, if what it read before has been taken.
    fn poll_driven(&self) {
        if let Some(task) = &self.driven
            && self.events.is_empty()
        {
            task.lock().turn(Duration::ZERO);
        }
    }
}

impl Drop for ReaderHandle {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Make room, so that a reader blocked on a full queue sees the stop.
        while self.events.try_recv().is_ok() {}
        if let Some(thread) = self.thread.take() {
            while !thread.is_finished() {
                while self.events.try_recv().is_ok() {}
                std::thread::yield_now();
            }
            // A reader that panicked has said so on stderr; there is nothing left to clean up.
            let _ = thread.join();
        }
    }
}

/// What a reader needs besides the source's own reader.
pub struct ReaderSetup {
    /// The source.
    pub spec: Arc<SourceSpec>,
    /// Columns of the relation to deliver, in order.
    pub projection: Vec<usize>,
    /// Rows a batch at most.
    pub batch_rows_max: usize,
    /// Batches that may wait.
    pub batches_max: usize,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rung when something waits; holds at most one ring.
    pub bell: Sender<()>,
    /// Whether the reader has no thread and reads when it is asked for an event.
    pub driven: bool,
}

/// The physical columns that `projection` of the relation needs: the schema to open and decode
/// with.
///
/// Computed columns may look at any physical column, so they need all of those their expressions
/// name.
pub fn physical_columns(spec: &SourceSpec, projection: &[usize]) -> Vec<usize> {
    let mut needed: Vec<usize> = Vec::new();
    for column in projection {
        match &spec.columns[*column] {
            SourceColumn::Physical(index) => needed.push(*index),
            SourceColumn::Computed(expr) => {
                let columns = datafusion::physical_expr::utils::collect_columns(expr);
                needed.extend(columns.iter().map(|column| column.index()));
            }
        }
    }
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// The decode schema of `columns` of the source.
pub fn decode_schema(spec: &SourceSpec, columns: &[usize]) -> DecodeSchema {
    let fields = columns
        .iter()
        .map(|index| Arc::clone(&spec.physical.schema.fields()[*index]));
    let schema: SchemaRef = Arc::new(arrow::datatypes::Schema::new(
        fields.collect::<arrow::datatypes::Fields>(),
    ));
    let origins = columns
        .iter()
        .map(|index| spec.physical.origins[*index].clone())
        .collect();
    DecodeSchema { schema, origins }
}

/// Starts the thread that reads `reader`.
///
/// # Errors
/// [`RuntimeError::Spec`] if no thread can be started.
pub fn start(
    setup: ReaderSetup,
    reader: Box<dyn SourceReader>,
) -> Result<ReaderHandle, RuntimeError> {
    let (events_in, events) = bounded(setup.batches_max);
    let stop = Arc::new(AtomicBool::new(false));
    let physical = physical_columns(&setup.spec, &setup.projection);
    let columns = decode_schema(&setup.spec, &physical);
    let finisher = Finisher::new(&setup, &physical, &columns);
    let name = format!("read {}", setup.spec.name);
    let is_driven = setup.driven;
    let mut task = ReaderTask {
        setup,
        reader,
        columns,
        decoder: None,
        finisher,
        events: events_in,
        stop: Arc::clone(&stop),
        away: false,
        ended: false,
    };
    let mut handle = ReaderHandle {
        events,
        stop,
        thread: None,
        driven: None,
    };
    if is_driven {
        handle.driven = Some(Box::new(Mutex::new(task)));
        return Ok(handle);
    }
    let thread = std::thread::Builder::new().name(name.clone());
    let thread = thread.spawn(move || task.run());
    handle.thread = Some(thread.map_err(|error| RuntimeError::Spec {
        what: name,
        found: format!("no thread: {error}"),
    })?);
    Ok(handle)
}

/// Puts an event into the queue and rings; false if nobody reads it any more.
fn send(events: &Sender<ReadEvent>, bell: &Sender<()>, event: ReadEvent) -> bool {
    let sent = events.send(event).is_ok();
    failpoint::pass("reader.handed_over");
    // A full bell has been rung already.
    let _ = bell.try_send(());
    sent
}

struct ReaderTask {
    setup: ReaderSetup,
    reader: Box<dyn SourceReader>,
    columns: DecodeSchema,
    /// Made when the first payload comes: a source that makes rows itself has none.
    decoder: Option<Box<dyn Decoder>>,
    finisher: Finisher,
    events: Sender<ReadEvent>,
    stop: Arc<AtomicBool>,
    /// The other side was unavailable at the last poll.
    away: bool,
    /// It cannot go on, or nobody listens.
    ended: bool,
}

impl ReaderTask {
    fn run(&mut self) {
        while !self.stop.load(Ordering::Acquire) && !self.ended {
            if self.turn(POLL_WAIT) {
                std::thread::sleep(RETRY_WAIT);
            }
        }
    }

    /// Polls once and hands on what came; whether to rest before the next time.
    fn turn(&mut self, wait: Duration) -> bool {
        if self.ended {
            return false;
        }
        let event = match self.reader.poll(self.setup.batch_rows_max, wait) {
            Ok(None) if self.away => ReadEvent::Available,
            Ok(None) => return false,
            Ok(Some(batch)) => {
                failpoint::pass("reader.polled");
                self.decode(batch).unwrap_or_else(ReadEvent::Failed)
            }
            Err(error) if error.kind == ErrorKind::Unavailable => {
                ReadEvent::Unavailable(error.to_string())
            }
            Err(error) => ReadEvent::Failed(error),
        };
        failpoint::pass("reader.decoded");
        let resting = matches!(event, ReadEvent::Unavailable(_));
        self.ended = matches!(event, ReadEvent::Failed(_));
        let kept_back = resting && self.away;
        if !kept_back && !self.send(event) {
            self.ended = true;
        }
        self.away = resting;
        resting
    }

    fn send(&self, event: ReadEvent) -> bool {
        send(&self.events, &self.setup.bell, event)
    }

    /// Lets `decoder` fetch what it needs, for as long as that is away: rows wait, none is lost.
    fn prepare(
        decoder: &mut Box<dyn Decoder>,
        raw: &dyn RawBatch,
        events: &Sender<ReadEvent>,
        setup: &ReaderSetup,
        stop: &AtomicBool,
    ) -> Result<(), ConnectorError> {
        let mut told = false;
        loop {
            match decoder.prepare(raw) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind != ErrorKind::Unavailable => return Err(error),
                Err(error) => {
                    if !told {
                        let event = ReadEvent::Unavailable(error.to_string());
                        told = send(events, &setup.bell, event);
                    }
                    if stop.load(Ordering::Acquire) {
                        return Err(error);
                    }
                    std::thread::sleep(RETRY_WAIT);
                }
            }
        }
    }

    fn decode(&mut self, batch: SplitBatch) -> Result<ReadEvent, ConnectorError> {
        let SplitBatch { split, payloads } = batch;
        Ok(ReadEvent::Batch(match payloads {
            Payloads::Found { at } => return Ok(ReadEvent::Found(split, at)),
            Payloads::Ended => self.finisher.ended(split),
            Payloads::Rows {
                rows,
                first,
                resume_at,
            } => {
                let offsets = RowOffsets::From(first.0);
                let decoded = Decoded {
                    rows,
                    rejects: Vec::new(),
                    ops: None,
                };
                self.finisher
                    .finish(split, decoded, offsets, resume_at, None)
            }
            Payloads::Raw(raw) => {
                let decoder = match &mut self.decoder {
                    Some(decoder) => decoder,
                    none => none.insert((self.setup.spec.decoder)(&self.columns)?),
                };
                Self::prepare(decoder, raw.as_ref(), &self.events, &self.setup, &self.stop)?;
                let decoded = decoder.decode(&split, raw.as_ref());
                let offsets = finish::offsets(raw.as_ref(), &decoded.rejects);
                let resume_at = raw.resume_at();
                let raw = Some(raw.as_ref() as &dyn RawBatch);
                self.finisher
                    .finish(split, decoded, offsets, resume_at, raw)
            }
        }))
    }
}
