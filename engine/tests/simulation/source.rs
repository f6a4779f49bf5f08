//! The topic as a source: exact offsets, batches of any size, outages, new partitions.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use rtsap_stream::error::ConnectorError;
use rtsap_stream::source::{
    Offset, Payloads, Positions, Source, SourceReader, SplitBatch, SplitId,
};

use super::world::{Row, World, sleep};

/// 2024-01-02T14:30:00Z.
pub const START_US: i64 = 1_704_205_800_000_000;

pub struct SimSource(pub Arc<World>);

fn split(partition: usize) -> SplitId {
    SplitId::new(partition.to_string())
}

impl SimSource {
    async fn answer(&self) -> Result<(), ConnectorError> {
        let wait = Duration::from_millis(self.0.below(5));
        sleep(&self.0.clock, wait).await;
        if self.0.strikes(30) {
            return Err(ConnectorError::unavailable("the broker is away"));
        }
        Ok(())
    }

    fn positions(&self, at: impl Fn(&Vec<Row>) -> u64) -> Positions {
        let topic = self.0.topic.lock();
        let partitions = topic.partitions.iter().enumerate();
        partitions
            .map(|(number, rows)| (split(number), Offset(at(rows))))
            .collect()
    }
}

#[async_trait]
impl Source for SimSource {
    async fn start_positions(&self) -> Result<Positions, ConnectorError> {
        self.answer().await?;
        Ok(self.positions(|_| 0))
    }

    async fn end_positions(&self) -> Result<Positions, ConnectorError> {
        self.answer().await?;
        Ok(self.positions(|rows| rows.len() as u64))
    }

    async fn open(
        &self,
        positions: &Positions,
        projection: &SchemaRef,
    ) -> Result<Box<dyn SourceReader>, ConnectorError> {
        self.answer().await?;
        self.0.note(&format!("open {positions:?}"));
        let flaws = self.0.flaws;
        let mut next: BTreeMap<usize, usize> = BTreeMap::new();
        for (split, offset) in positions {
            let number: usize = split.as_str().parse().unwrap();
            let mut at = usize::try_from(offset.0).unwrap();
            if at > 0 && flaws.source_skips_on_open {
                at += 1;
            }
            if at > 0 && flaws.source_repeats_on_open {
                at -= 1;
            }
            next.insert(number, at);
        }
        if flaws.source_swaps_splits && next.len() > 1 {
            let (first, second) = (next[&0], next[&1]);
            next.insert(0, second);
            next.insert(1, first);
        }
        Ok(Box::new(SimReader {
            world: Arc::clone(&self.0),
            schema: Arc::clone(projection),
            identity: self.0.topic.lock().identity.to_string(),
            reorders: flaws.source_reorders_on_open && next.values().any(|at| *at > 0),
            next,
        }))
    }
}

struct SimReader {
    world: Arc<World>,
    schema: SchemaRef,
    identity: String,
    /// Of the flaw: it gives neighbours in another order than the reader before.
    reorders: bool,
    /// Partition → the next offset.
    next: BTreeMap<usize, usize>,
}

impl SimReader {
    /// A partition that is not read yet.
    fn discover(&mut self) -> Option<SplitBatch> {
        let flaws = self.world.flaws;
        if flaws.source_hides_new_splits {
            return None;
        }
        let topic = self.world.topic.lock();
        let new = (0..topic.partitions.len()).find(|number| !self.next.contains_key(number))?;
        let first = if flaws.source_skips_new_splits {
            topic.partitions[new].len().max(1)
        } else {
            0
        };
        self.next.insert(new, first);
        let at = Offset(first as u64);
        Some(SplitBatch {
            split: split(new),
            payloads: Payloads::Found { at },
        })
    }

    fn rows(&self, rows: &[Row]) -> RecordBatch {
        let column = |name: &str| -> ArrayRef {
            let of = |field: fn(&Row) -> i64| rows.iter().map(field).collect::<Vec<_>>();
            match name {
                "id" => Arc::new(Int64Array::from(of(|row| row.id))),
                "k" => Arc::new(Int64Array::from(of(|row| row.key))),
                "v" => Arc::new(Int64Array::from(of(|row| row.value))),
                _ => {
                    let micros = of(|row| START_US + row.second * 1_000_000);
                    let times = TimestampMicrosecondArray::from(micros);
                    let field = self.schema.field_with_name(name).unwrap();
                    arrow::compute::cast(&times, field.data_type()).unwrap()
                }
            }
        };
        let columns = self
            .schema
            .fields()
            .iter()
            .map(|field| column(field.name()));
        RecordBatch::try_new(Arc::clone(&self.schema), columns.collect()).unwrap()
    }
}

impl SourceReader for SimReader {
    fn poll(
        &mut self,
        rows_max: usize,
        _wait: Duration,
    ) -> Result<Option<SplitBatch>, ConnectorError> {
        let flaws = self.world.flaws;
        if self.world.below(4) == 0
            && let Some(found) = self.discover()
        {
            return Ok(Some(found));
        }
        let partitions: Vec<usize> = self.next.keys().copied().collect();
        let number =
            partitions[usize::try_from(self.world.below(partitions.len() as u64)).unwrap()];
        if self.world.strikes(80) {
            if flaws.source_loses_on_outage {
                *self.next.get_mut(&number).unwrap() += 1;
            }
            return Err(ConnectorError::unavailable("the broker is away"));
        }
        let first = self.next[&number];
        let topic = self.world.topic.lock();
        let waiting = topic.partitions[number].get(first..).unwrap_or_default();
        let most = usize::try_from(1 + self.world.below(30)).unwrap();
        let count = waiting.len().min(rows_max).min(most);
        if count == 0 {
            return Ok(None);
        }
        let rows = match self.reorders {
            false => self.rows(&waiting[..count]),
            true => {
                let all = &topic.partitions[number];
                let other = |at: usize| all.get(at ^ 1).unwrap_or(&all[at]).clone();
                self.rows(&(first..first + count).map(other).collect::<Vec<_>>())
            }
        };
        drop(topic);
        self.next.insert(number, first + count);
        let mut resume = (first + count) as u64;
        if flaws.source_wrong_resume {
            resume -= 1;
        }
        Ok(Some(SplitBatch {
            split: split(number),
            payloads: Payloads::Rows {
                rows,
                first: Offset(first as u64),
                resume_at: Offset(resume),
            },
        }))
    }

    fn identity(&self) -> Option<String> {
        Some(self.identity.clone())
    }
}
