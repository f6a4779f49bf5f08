//! Sources whose rows are a function of split and offset: positions, pacing, turns between splits.
//! Owns the reading; makes no value itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::source::{
    Offset, Payloads, Positions, Source, SourceReader, SplitBatch, SplitId,
};

/// Paced rows become due in ticks of this length: batches of a useful size at a high rate, no
/// visible delay at a low one.
const TICK: Duration = Duration::from_millis(2);

/// Rows as a function of split and offset, with nothing remembered between them.
///
/// # Contract
///
/// The same split, offset and column give the same value at every call, in every process.
pub trait Generate: Send + Sync + 'static {
    /// How many splits the rows are dealt to.
    fn splits(&self) -> u32;

    /// How many rows `split` has, if there is an end.
    fn rows_max(&self, split: u32) -> Option<u64>;

    /// Rows a second of all splits together that reading keeps to, by the wall clock; `None` for as
    /// fast as they are read.
    fn pace(&self) -> Option<u64>;

    /// The index of the column called `name`.
    fn column(&self, name: &str) -> Option<usize>;

    /// Rows `first..first + count` of `split` with the columns `chosen`, in the types of `schema`.
    ///
    /// # Errors
    /// `Data` for a value that does not fit its column.
    fn rows(
        &self,
        split: u32,
        first: u64,
        count: u64,
        chosen: &[usize],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ConnectorError>;
}

/// The generator as a source.
pub struct GeneratorSource<G> {
    name: String,
    generator: Arc<G>,
    /// How far each split has been read by anyone: an endless generator is never further than its
    /// readers.
    reached: Arc<Vec<AtomicU64>>,
}

impl<G: Generate> GeneratorSource<G> {
    /// The source called `name`.
    pub fn new(name: &str, generator: G) -> Self {
        let reached = (0..generator.splits()).map(|_| AtomicU64::new(0)).collect();
        Self {
            name: name.to_owned(),
            generator: Arc::new(generator),
            reached: Arc::new(reached),
        }
    }

    fn splits(&self) -> impl Iterator<Item = u32> {
        0..self.generator.splits()
    }

    fn lane(&self, split: &SplitId, at: Offset) -> Result<Lane, ConnectorError> {
        let number = self
            .splits()
            .find(|number| number.to_string() == split.as_str());
        let Some(number) = number else {
            return Err(ConnectorError::data(format!(
                "cannot read split \"{}/{split}\": the generator has {} splits",
                self.name,
                self.generator.splits()
            ))
            .with_hint("The option 'splits' was changed; positions of the old splits are lost."));
        };
        let rows_max = self.generator.rows_max(number);
        if rows_max.is_some_and(|rows| at.0 > rows) {
            return Err(ConnectorError::data(format!(
                "cannot read split \"{}/{split}\" at offset {at}: it has {} rows",
                self.name,
                rows_max.unwrap_or(0)
            )));
        }
        self.reached[number as usize].fetch_max(at.0, Ordering::Relaxed);
        Ok(Lane {
            split: number,
            id: split.clone(),
            opened_at: at.0,
            next: at.0,
            rows_max,
            ended: false,
        })
    }
}

#[async_trait]
impl<G: Generate> Source for GeneratorSource<G> {
    async fn start_positions(&self) -> Result<Positions, ConnectorError> {
        let start = |split: u32| (SplitId::new(split.to_string()), Offset(0));
        Ok(self.splits().map(start).collect::<BTreeMap<_, _>>())
    }

    async fn end_positions(&self) -> Result<Positions, ConnectorError> {
        let end = |split: u32| {
            let reached = || self.reached[split as usize].load(Ordering::Relaxed);
            let end = self.generator.rows_max(split).unwrap_or_else(reached);
            (SplitId::new(split.to_string()), Offset(end))
        };
        Ok(self.splits().map(end).collect::<BTreeMap<_, _>>())
    }

    fn is_bounded(&self) -> bool {
        self.splits()
            .all(|split| self.generator.rows_max(split).is_some())
    }

    async fn open(
        &self,
        positions: &Positions,
        projection: &SchemaRef,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let chosen = projection.fields().iter().map(|field| {
            self.generator.column(field.name()).ok_or_else(|| {
                ConnectorError::new(
                    ErrorKind::Internal,
                    format!(
                        "source \"{}\" has no column \"{}\"",
                        self.name,
                        field.name()
                    ),
                )
            })
        });
        let chosen = chosen.collect::<Result<Vec<_>, _>>()?;
        let lanes = positions.iter().map(|(split, at)| self.lane(split, *at));
        Ok(Box::new(GeneratorReader {
            generator: Arc::clone(&self.generator),
            reached: Arc::clone(&self.reached),
            lanes: lanes.collect::<Result<Vec<_>, _>>()?,
            turn: 0,
            schema: Arc::clone(projection),
            chosen,
            opened: Instant::now(),
        }))
    }
}

/// One split being read.
struct Lane {
    split: u32,
    id: SplitId,
    opened_at: u64,
    next: u64,
    rows_max: Option<u64>,
    ended: bool,
}

struct GeneratorReader<G> {
    generator: Arc<G>,
    reached: Arc<Vec<AtomicU64>>,
    lanes: Vec<Lane>,
    turn: usize,
    schema: SchemaRef,
    chosen: Vec<usize>,
    opened: Instant,
}

impl<G: Generate> GeneratorReader<G> {
    /// How many rows of each split have become due since the reader was opened.
    fn due(&self) -> u64 {
        let Some(rate) = self.generator.pace() else {
            return u64::MAX;
        };
        let ticks = self.opened.elapsed().as_nanos() / TICK.as_nanos();
        let per_second = TICK.as_nanos() * u128::from(rate) * ticks / 1_000_000_000;
        let rows = per_second / u128::from(self.generator.splits());
        u64::try_from(rows).unwrap_or(u64::MAX)
    }

    fn read(
        &mut self,
        index: usize,
        due: u64,
        rows_max: usize,
    ) -> Result<Option<SplitBatch>, ConnectorError> {
        let lane = &mut self.lanes[index];
        let end = lane.rows_max.unwrap_or(u64::MAX);
        if lane.next >= end && !lane.ended {
            lane.ended = true;
            return Ok(Some(SplitBatch {
                split: lane.id.clone(),
                payloads: Payloads::Ended,
            }));
        }
        let limit = lane.opened_at.saturating_add(due).min(end);
        let count = limit.saturating_sub(lane.next).min(rows_max as u64);
        if count == 0 {
            return Ok(None);
        }
        let first = lane.next;
        let rows = self
            .generator
            .rows(lane.split, first, count, &self.chosen, &self.schema)?;
        lane.next += count;
        self.reached[lane.split as usize].fetch_max(lane.next, Ordering::Relaxed);
        let payloads = Payloads::Rows {
            rows,
            first: Offset(first),
            resume_at: Offset(lane.next),
        };
        Ok(Some(SplitBatch {
            split: lane.id.clone(),
            payloads,
        }))
    }
}

impl<G: Generate> SourceReader for GeneratorReader<G> {
    fn poll(
        &mut self,
        rows_max: usize,
        wait: Duration,
    ) -> Result<Option<SplitBatch>, ConnectorError> {
        let deadline = Instant::now() + wait;
        loop {
            let due = self.due();
            for step in 0..self.lanes.len() {
                let index = (self.turn + step) % self.lanes.len();
                if let Some(batch) = self.read(index, due, rows_max)? {
                    self.turn = (index + 1) % self.lanes.len();
                    return Ok(Some(batch));
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            std::thread::sleep(left.min(TICK));
        }
    }
}
