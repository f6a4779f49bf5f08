//! The generator as a source: splits, positions, pacing. Owns the arithmetic from offset to row;
//! makes no value itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::source::{
    Offset, Payloads, Positions, Source, SourceReader, SplitBatch, SplitId,
};

use super::column::{Column, Market, Rows};
use super::market::MarketGenerator;
use super::noise::{Stream, fraction, scale};
use super::options::{GeneratorOptions, Kind};

/// Paced rows become due in ticks of this length: batches of a useful size at a high rate, no
/// visible delay at a low one.
const TICK: Duration = Duration::from_millis(2);
/// Name of the stream of random numbers that decides which rows are out of order.
const DISORDER: u64 = u64::MAX - 9;

/// Rows as a function of split and offset.
pub struct Generator {
    options: GeneratorOptions,
    columns: Vec<Column>,
    market: MarketGenerator,
    disorder: Stream,
}

impl Generator {
    /// The generator of these options and columns.
    pub fn new(options: GeneratorOptions, columns: Vec<Column>) -> Self {
        Self {
            market: MarketGenerator::new(&options.market),
            disorder: Stream::new(options.market.seed, DISORDER),
            options,
            columns,
        }
    }

    /// How many rows `split` has, if there is an end.
    fn rows_max(&self, split: u32) -> Option<u64> {
        let splits = u64::from(self.options.splits);
        let share = |rows: u64| rows / splits + u64::from(rows % splits > u64::from(split));
        self.options.rows_max.map(share)
    }

    /// Event time of row `number`, in nanoseconds since the Unix epoch; saturates in the year 2262.
    fn time_ns(&self, number: u64) -> i64 {
        const SECOND_NS: u128 = 1_000_000_000;
        let passed = u128::from(number) * SECOND_NS / u128::from(self.options.rows_per_second);
        let time = self
            .options
            .start_ns
            .saturating_add(i64::try_from(passed).unwrap_or(i64::MAX));
        let bits = self.disorder.at(number);
        if self.options.disorder_ns == 0 || fraction(bits) >= self.options.disorder_share {
            return time;
        }
        let early = scale(self.disorder.at(!number), self.options.disorder_ns) + 1;
        time.saturating_sub(i64::try_from(early).unwrap_or(i64::MAX))
    }

    /// Rows `first..first + count` of `split` with the columns `chosen`.
    fn rows(
        &self,
        split: u32,
        first: u64,
        count: u64,
        chosen: &[usize],
        schema: &SchemaRef,
    ) -> Result<RecordBatch, ConnectorError> {
        let splits = u64::from(self.options.splits);
        let offsets: Vec<u64> = (first..first + count).collect();
        let numbers: Vec<u64> = offsets
            .iter()
            .map(|offset| offset * splits + u64::from(split))
            .collect();
        let times_ns: Vec<i64> = numbers.iter().map(|number| self.time_ns(*number)).collect();
        let moments = || {
            numbers
                .iter()
                .zip(&times_ns)
                .map(|(number, ns)| (*number, ns / 1_000))
        };
        let market = match self.options.kind {
            Kind::Trades => {
                Market::Trades(moments().map(|(n, us)| self.market.trade(n, us)).collect())
            }
            Kind::Quotes => {
                Market::Quotes(moments().map(|(n, us)| self.market.quote(n, us)).collect())
            }
            Kind::Fields => Market::None,
        };
        let rows = Rows {
            split,
            offsets,
            numbers,
            times_ns,
            market,
        };
        let array = |index: &usize| {
            let column = &self.columns[*index];
            column.array(&rows).map_err(|problem| {
                let name = column.field.name();
                ConnectorError::data(format!("cannot generate column \"{name}\": {problem}"))
            })
        };
        let arrays = chosen.iter().map(array).collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(count as usize));
        RecordBatch::try_new_with_options(Arc::clone(schema), arrays, &options).map_err(|error| {
            ConnectorError::new(ErrorKind::Internal, "cannot put generated columns together")
                .with_source(error)
        })
    }
}

/// The generator as a source.
pub struct GeneratorSource {
    name: String,
    generator: Arc<Generator>,
    /// How far each split has been read by anyone: an endless generator is never further than its
    /// readers.
    reached: Arc<Vec<AtomicU64>>,
}

impl GeneratorSource {
    /// The source called `name`.
    pub fn new(name: &str, generator: Generator) -> Self {
        let reached = (0..generator.options.splits)
            .map(|_| AtomicU64::new(0))
            .collect();
        Self {
            name: name.to_owned(),
            generator: Arc::new(generator),
            reached: Arc::new(reached),
        }
    }

    fn splits(&self) -> impl Iterator<Item = u32> {
        0..self.generator.options.splits
    }

    fn lane(&self, split: &SplitId, at: Offset) -> Result<Lane, ConnectorError> {
        let number = self
            .splits()
            .find(|number| number.to_string() == split.as_str());
        let Some(number) = number else {
            return Err(ConnectorError::data(format!(
                "cannot read split \"{}/{split}\": the generator has {} splits",
                self.name, self.generator.options.splits
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
impl Source for GeneratorSource {
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
        self.generator.options.rows_max.is_some()
    }

    async fn open(
        &self,
        positions: &Positions,
        projection: &SchemaRef,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        let columns = &self.generator.columns;
        let index = |name: &String| {
            columns
                .iter()
                .position(|column| column.field.name() == name)
        };
        let chosen = projection.fields().iter().map(|field| {
            index(field.name()).ok_or_else(|| {
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

struct GeneratorReader {
    generator: Arc<Generator>,
    reached: Arc<Vec<AtomicU64>>,
    lanes: Vec<Lane>,
    turn: usize,
    schema: SchemaRef,
    chosen: Vec<usize>,
    opened: Instant,
}

impl GeneratorReader {
    /// How many rows of each split have become due since the reader was opened.
    fn due(&self) -> u64 {
        if !self.generator.options.paced {
            return u64::MAX;
        }
        let ticks = self.opened.elapsed().as_nanos() / TICK.as_nanos();
        let rate = u128::from(self.generator.options.rows_per_second);
        let per_second = TICK.as_nanos() * rate * ticks / 1_000_000_000;
        let rows = per_second / u128::from(self.generator.options.splits);
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

impl SourceReader for GeneratorReader {
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

#[cfg(test)]
mod tests;
