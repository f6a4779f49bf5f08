//! Tables outside, each with the record of its sink: transactions that are lost, and those that go
//! on when their client is gone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use async_trait::async_trait;
use rtsap_stream::change::{ChangeBatch, ChangelogMode, Op};
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::message::{Epoch, Generation};
use rtsap_stream::progress::{Move, Progress, claim, judge};
use rtsap_stream::sink::{Sink, SinkInput, SinkReport};

use super::world::{World, sleep};

/// A row as whole numbers.
pub type Cells = Vec<i64>;

/// A table outside.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub record: Option<Progress>,
    /// How often each row is there.
    pub rows: BTreeMap<Cells, i64>,
    /// A transaction whose client is gone; it holds the record.
    pub orphan: Option<Change>,
    /// Of the flaw that swaps: an epoch that was put off.
    put_off: Option<Change>,
}

/// What a transaction will do.
#[derive(Clone, Debug)]
pub struct Change {
    key: Vec<usize>,
    rows: Vec<(Op, Cells)>,
    epoch: u64,
    generation: u64,
}

impl Change {
    fn rows_into(&self, table: &mut Table, keeps_old: bool) {
        for (op, cells) in &self.rows {
            if !self.key.is_empty() && !keeps_old {
                let key = |cells: &Cells| -> Cells { self.key.iter().map(|i| cells[*i]).collect() };
                let mine = key(cells);
                table.rows.retain(|other, _| key(other) != mine);
            }
            match op {
                Op::Insert => *table.rows.entry(cells.clone()).or_default() += 1,
                Op::Delete if self.key.is_empty() => {
                    *table.rows.entry(cells.clone()).or_default() -= 1;
                }
                Op::Delete => {}
            }
        }
        table.rows.retain(|_, count| *count != 0);
    }

    fn record_into(&self, table: &mut Table) {
        table.record = Some(Progress {
            generation: self.generation,
            epoch: self.epoch,
        });
    }
}

/// One sink of one process.
pub struct SimSink {
    pub world: Arc<World>,
    pub input: SinkInput,
    pub table: String,
    pub generation: u64,
}

impl SimSink {
    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> T {
        let mut tables = self.world.tables.lock();
        work(tables.entry(self.table.clone()).or_default())
    }

    /// Time passes; the target may be away, or the record be locked.
    async fn begin(&self, what: &str) -> Result<(), ConnectorError> {
        let world = &self.world;
        let wait = Duration::from_millis(world.below(8));
        sleep(&world.clock, wait).await;
        world.note(&format!("{what} {}", self.table));
        if world.strikes(25) {
            return Err(ConnectorError::unavailable("the target is away"));
        }
        if self.with(|table| table.orphan.is_some()) {
            return Err(ConnectorError::unavailable("the record is locked"));
        }
        Ok(())
    }

    fn change(&self, epoch: Epoch, changes: &[ChangeBatch]) -> Change {
        let mut rows = Vec::new();
        for batch in changes {
            let columns = batch.rows().columns().iter();
            let columns: Vec<_> = columns
                .map(|column| cast(column, &DataType::Int64).unwrap())
                .collect();
            for row in 0..batch.len() {
                let cell =
                    |column: &arrow::array::ArrayRef| column.as_primitive::<Int64Type>().value(row);
                rows.push((batch.op(row), columns.iter().map(cell).collect()));
            }
        }
        Change {
            key: self.input.key.clone(),
            rows,
            epoch: epoch.number(),
            generation: self.generation,
        }
    }

    /// The transaction, by whatever protocol the flaws leave.
    async fn transact(&self, change: Change) -> Result<(), ConnectorError> {
        let (world, flaws) = (&self.world, self.world.flaws);
        let lost = || ConnectorError::unavailable("the answer to COMMIT was lost");
        if flaws.target_swaps_epochs && world.below(6) == 0 {
            self.with(|table| {
                change.record_into(table);
                table.put_off = Some(change);
            });
            return Ok(());
        }
        if flaws.target_answers_early && world.below(12) == 0 {
            // It meant to.
            return Ok(());
        }
        if flaws.target_rows_before_record {
            self.with(|table| change.rows_into(table, false));
            sleep(&world.clock, Duration::from_millis(2)).await;
            if world.strikes(10) {
                return Err(lost());
            }
            self.with(|table| change.record_into(table));
            return Ok(());
        }
        if world.strikes(20) {
            // The client is gone; the server has yet to decide.
            self.with(|table| table.orphan = Some(change));
            return Err(lost());
        }
        self.with(|table| {
            change.rows_into(table, flaws.target_keeps_old_rows);
            if flaws.target_forgets_half && change.rows.len() > 3 {
                let last = change.rows.last().map(|(_, cells)| cells.clone());
                table.rows.remove(&last.unwrap());
            }
            if let Some(late) = table.put_off.take() {
                late.rows_into(table, false);
            }
            if !flaws.target_keeps_no_record {
                change.record_into(table);
            }
        });
        if world.strikes(20) {
            return Err(lost());
        }
        Ok(())
    }
}

#[async_trait]
impl Sink for SimSink {
    fn accepts(&self) -> ChangelogMode {
        ChangelogMode::Retract
    }

    async fn fence(
        &mut self,
        generation: Generation,
        expected: Option<Epoch>,
    ) -> Result<SinkReport, ConnectorError> {
        self.begin("fence").await?;
        self.generation = generation.number();
        let flaws = self.world.flaws;
        let known = self.with(|table| table.record);
        let claimed = claim(&self.input.sink, generation, known, expected);
        let applied = match claimed {
            Err(error) if error.kind == ErrorKind::Fenced && flaws.target_ignores_generation => {
                Epoch::new(known.map_or(0, |known| known.epoch))
            }
            Err(_) if flaws.target_keeps_no_record => expected.unwrap_or(Epoch::ZERO),
            claimed => claimed?,
        };
        let applied = if flaws.target_starts_over {
            expected.unwrap_or(Epoch::ZERO)
        } else {
            applied
        };
        self.with(|table| {
            table.record = Some(Progress {
                generation: generation.number(),
                epoch: applied.number(),
            });
        });
        if self.world.strikes(25) {
            return Err(ConnectorError::unavailable("the answer was lost"));
        }
        Ok(SinkReport {
            target: "a simulated table".to_owned(),
            applied,
        })
    }

    async fn apply(
        &mut self,
        epoch: Epoch,
        previous: Epoch,
        changes: &[ChangeBatch],
    ) -> Result<(), ConnectorError> {
        self.begin("apply").await?;
        let flaws = self.world.flaws;
        let mut known = self.with(|table| table.record);
        if flaws.target_ignores_generation
            && let Some(known) = &mut known
        {
            known.generation = self.generation;
        }
        let generation = Generation::new(self.generation);
        let judged = judge(&self.input.sink, generation, known, previous, epoch);
        let judged = match judged {
            Err(error) if error.kind == ErrorKind::Data && flaws.target_ignores_gaps => Move::Apply,
            Err(_) | Ok(_) if flaws.target_keeps_no_record => Move::Apply,
            judged => judged?,
        };
        if judged == Move::AlreadyApplied {
            return Ok(());
        }
        self.transact(self.change(epoch, changes)).await
    }
}

impl World {
    /// Transactions without a client end, sooner or later, one way or the other.
    pub fn end_orphans(&self) {
        let mut tables = self.tables.lock();
        for table in tables.values_mut() {
            if table.orphan.is_none() || self.below(10) > 2 && !*self.calm.lock() {
                continue;
            }
            let Some(change) = table.orphan.take() else {
                continue;
            };
            if self.below(2) == 0 {
                change.rows_into(table, false);
                change.record_into(table);
            }
        }
    }
}
