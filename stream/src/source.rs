//! Streams outside RTSAP that can be read again from a position.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use async_trait::async_trait;

use crate::error::ConnectorError;

/// The name of one split of a source: for Kafka the partition number, for files the path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SplitId(Arc<str>);

impl SplitId {
    /// The split called `name`.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SplitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A position in a split: the number of the next payload to read. Kafka's offset, a file's row, a
/// generator's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset(pub u64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The positions of all splits of one source: split → next payload to read.
pub type Positions = BTreeMap<SplitId, Offset>;

/// A stream outside RTSAP that can be read again from a position.
///
/// # Contract
///
/// Reading a split twice from the same [`Offset`] yields the same payloads in the same order.
/// Recovery rests on this; a system that cannot promise it must be written to one that can first.
#[async_trait]
pub trait Source: Send + Sync {
    /// The splits that exist now and where a reading from scratch starts in each, by the source's
    /// start mode.
    ///
    /// # Errors
    /// `Unavailable` if the system cannot be reached, `Invalid` if the topic or path does not
    /// exist.
    async fn start_positions(&self) -> Result<Positions, ConnectorError>;

    /// The ends of the splits as of now (the next offset that will be written), for lag, backfill
    /// and progress.
    ///
    /// # Errors
    /// As [`Source::start_positions`].
    async fn end_positions(&self) -> Result<Positions, ConnectorError>;

    /// Whether the source ends: once every split has been read up to its end, the reader reports
    /// `Ended` for it.
    fn is_bounded(&self) -> bool {
        false
    }

    /// Opens a reader on the given splits, each so that the next payload read is the one at its
    /// offset. Splits that came since are found by the reader ([`Payloads::Found`]) and read from
    /// their beginning, whatever the start mode: nothing of them was ever skipped.
    ///
    /// `projection` names the physical columns that are needed (see
    /// [`crate::decode::DecodeSchema`]); a source that yields raw payloads ignores it.
    ///
    /// # Errors
    /// `Unavailable` if the system cannot be reached; `Data` if an offset no longer exists there.
    async fn open(
        &self,
        positions: &Positions,
        projection: &SchemaRef,
    ) -> Result<Box<dyn SourceReader>, ConnectorError>;
}

/// Reads the splits of a source, each in order, on a thread of its own.
pub trait SourceReader: Send {
    /// Waits up to `wait` for something to read, then returns what has arrived for one split, at
    /// most `rows_max` payloads. `None` when nothing arrived in time.
    ///
    /// A reader takes turns between its splits so that none starves.
    ///
    /// # Errors
    /// `Unavailable` for an outage that the client library has not bridged (the caller retries by
    /// calling again); any other kind ends the source: `Data` for offsets that vanished (retention,
    /// a recreated topic).
    fn poll(
        &mut self,
        rows_max: usize,
        wait: Duration,
    ) -> Result<Option<SplitBatch>, ConnectorError>;

    /// What tells the stream being read from another that later bears its name: the id of a Kafka
    /// topic, asked when the reader was opened. It is kept with the positions, which mean nothing
    /// in another stream; `None` if nothing tells.
    fn identity(&self) -> Option<String> {
        None
    }
}

/// What one call to [`SourceReader::poll`] brought.
pub struct SplitBatch {
    /// The split all of it belongs to.
    pub split: SplitId,
    /// The payloads.
    pub payloads: Payloads,
}

/// Payloads as a reader delivers them.
pub enum Payloads {
    /// Undecoded bytes, still in the client library's buffers.
    Raw(Box<dyn RawBatch + Send>),
    /// Rows that the source itself makes (generator, Parquet), in the projected schema, from
    /// `first` on, one offset a row.
    Rows {
        /// The rows, in the order of the projection given to [`Source::open`].
        rows: RecordBatch,
        /// The offset of the first row.
        first: Offset,
        /// The position after the last row.
        resume_at: Offset,
    },
    /// The split is new and is read from `at` on. This comes before anything else of it.
    Found {
        /// Its first offset.
        at: Offset,
    },
    /// The split is read to its end and will never bring more.
    Ended,
}

/// Undecoded payloads of one split, in order: nothing is copied before decoding.
///
/// Dropping it gives the buffers back. *n* payloads, keys and broker timestamps by index; a null
/// payload is a Kafka tombstone.
pub trait RawBatch {
    /// Number of payloads.
    fn len(&self) -> usize;
    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The bytes of payload `index`.
    fn payload(&self, index: usize) -> Option<&[u8]>;
    /// The bytes of its key.
    fn key(&self, index: usize) -> Option<&[u8]>;
    /// Its broker timestamp in microseconds since the epoch (Kafka gives milliseconds), if it has
    /// one.
    fn timestamp(&self, index: usize) -> Option<i64>;
    /// Its offset.
    fn offset(&self, index: usize) -> Offset;
    /// Its headers, in order.
    fn headers(&self, _index: usize) -> Vec<(String, Option<Vec<u8>>)> {
        Vec::new()
    }
    /// The position after the last payload here. This, not the last offset plus one, goes into the
    /// checkpoint: compacted and transactional topics have gaps.
    fn resume_at(&self) -> Offset;
}
