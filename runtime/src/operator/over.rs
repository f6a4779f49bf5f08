//! Calls over the rows around each row, in order of event time.
//!
//! ```text
//! rows ──▶ pending ──watermark──▶ partitions: rows kept · rows waiting · new rows ──▶ rows with calls
//! ```
//!
//! A row is *pending* until the watermark has passed its time: then all rows before it and all its
//! peers are there, and its place in its partition is final. It is sent at once, or *waits* there
//! for the rows after it that a call reads (`lead`, frames that end behind the row). Rows that were
//! sent are kept as long as a frame of a later row can reach them.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{SortColumn, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use hashbrown::HashMap;
use rtsap_plan::graph::Node;
use rtsap_plan::over::{OverFunction, OverSpec};
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::state::partitions::SavedPartitions;
use crate::state::{StateError, StateReader, StateWriter};

use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output, append_only};

mod partition;
mod running;
mod saved;

use partition::{Partition, Reach, Step};
use running::Running;

/// As `EXPLAIN` shows it.
const NAME: &str = "Over";
/// A partition of which all rows must be kept may have so many: 1,000,000 rows of 8 columns are
/// some 100 MB, and computing over them at each watermark takes milliseconds.
const HISTORY_ROWS_MAX: usize = 1_000_000;

/// A partition's key as bytes, and rows of it.
type KeyedRows = (Arc<[u8]>, RecordBatch);

/// The state machine of an [`OverSpec`].
pub struct Over {
    spec: OverSpec,
    input: SchemaRef,
    schema: SchemaRef,
    time: TimeColumn,
    partition_rows: RowConverter,
    /// Which rows stay after they have been sent.
    reach: Reach,
    /// Rows that the watermark has not passed, in order of arrival.
    pending: Vec<RecordBatch>,
    watermark: EventTime,
    partitions: HashMap<Arc<[u8]>, Partition, ahash::RandomState>,
    /// How far event time had come when forgotten partitions were last looked for.
    swept: i64,
    saved_rows: SavedPartitions<Arc<[u8]>>,
    saved_running: SavedPartitions<Arc<[u8]>>,
}

impl Over {
    /// The operator of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if a call or key cannot be served; [`OperatorError::Contract`] if
    /// the node contradicts itself.
    pub fn new(node: &Node, input: &SchemaRef, spec: &OverSpec) -> Result<Self, OperatorError> {
        let schema = Arc::clone(&node.properties.schema);
        if schema.fields().len() != input.fields().len() + spec.calls.len() {
            return Err(OperatorError::contract(
                NAME,
                format!("a schema of {} columns", schema.fields().len()),
            ));
        }
        let fields = spec
            .partition
            .iter()
            .map(|expr| Ok(SortField::new(expr.data_type(input)?)));
        let fields = fields
            .collect::<Result<Vec<_>, _>>()
            .map_err(OperatorError::compute(NAME))?;
        Running::new(&spec.calls).map_err(OperatorError::compute(NAME))?;
        Ok(Self {
            time: TimeColumn::of(NAME, input, spec.time)?,
            input: Arc::clone(input),
            schema,
            partition_rows: RowConverter::new(fields).map_err(OperatorError::arrow(NAME))?,
            reach: Reach::of(spec),
            spec: spec.clone(),
            pending: Vec::new(),
            watermark: EventTime::MIN,
            partitions: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            swept: i64::MIN,
            saved_rows: SavedPartitions::default(),
            saved_running: SavedPartitions::default(),
        })
    }

    /// The times of `rows` in nanoseconds, null where there is none.
    fn nanos(&self, rows: &RecordBatch) -> Result<Vec<Option<i64>>, OperatorError> {
        let times = self.time.read(NAME, rows)?;
        let nulls = times.nulls.as_ref();
        let valid = |row: usize| nulls.is_none_or(|nulls| nulls.is_valid(row));
        let nanos = times.values.iter().enumerate();
        let nanos =
            nanos.map(|(row, value)| valid(row).then(|| value.saturating_mul(times.unit_nanos)));
        Ok(nanos.collect())
    }

    fn evaluate(
        exprs: &[Arc<dyn PhysicalExpr>],
        rows: &RecordBatch,
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let columns = exprs
            .iter()
            .map(|expr| expr.evaluate(rows)?.into_array(rows.num_rows()));
        columns
            .collect::<Result<_, _>>()
            .map_err(OperatorError::compute(NAME))
    }

    /// Takes the rows that `time` has passed out of those pending, in order.
    fn passed(&mut self, time: EventTime) -> Result<Option<RecordBatch>, OperatorError> {
        if self.pending.is_empty() {
            return Ok(None);
        }
        let rows = concat_batches(&self.input, &std::mem::take(&mut self.pending))
            .map_err(OperatorError::arrow(NAME))?;
        let nanos = self.nanos(&rows)?;
        let passes = |nanos: &Option<i64>| {
            time == EventTime::MAX || nanos.is_some_and(|nanos| nanos < time.nanos())
        };
        let (mut passed, mut stays) = (Vec::new(), Vec::new());
        for (row, nanos) in nanos.iter().enumerate() {
            if passes(nanos) {
                &mut passed
            } else {
                &mut stays
            }
            .push(row as u32);
        }
        if passed.is_empty() {
            self.pending.push(rows);
            return Ok(None);
        }
        if !stays.is_empty() {
            let stays = take_record_batch(&rows, &UInt32Array::from(stays))
                .map_err(OperatorError::arrow(NAME))?;
            self.pending.push(stays);
        }
        let rows = take_record_batch(&rows, &UInt32Array::from(passed))
            .map_err(OperatorError::arrow(NAME))?;
        self.in_order(&rows, &self.spec.order).map(Some)
    }

    /// `rows` by `order`; equal ones stay in order of arrival.
    fn in_order(
        &self,
        rows: &RecordBatch,
        order: &[PhysicalSortExpr],
    ) -> Result<RecordBatch, OperatorError> {
        let exprs: Vec<_> = order.iter().map(|order| Arc::clone(&order.expr)).collect();
        let columns = Self::evaluate(&exprs, rows)?;
        let mut sort: Vec<SortColumn> = columns
            .into_iter()
            .zip(order)
            .map(|(values, order)| SortColumn {
                values,
                options: Some(order.options),
            })
            .collect();
        // Arrow's sort is not stable; the position as last key makes it so.
        let positions: ArrayRef =
            Arc::new(UInt32Array::from_iter_values(0..rows.num_rows() as u32));
        sort.push(SortColumn {
            values: positions,
            options: None,
        });
        let sorted = lexsort_to_indices(&sort, None).map_err(OperatorError::arrow(NAME))?;
        take_record_batch(rows, &sorted).map_err(OperatorError::arrow(NAME))
    }

    /// The rows of each partition, in order of first sight; `None` stands for no rows.
    fn by_partition(&self, rows: Option<RecordBatch>) -> Result<Vec<KeyedRows>, OperatorError> {
        let Some(rows) = rows else {
            return Ok(Vec::new());
        };
        if self.spec.partition.is_empty() {
            return Ok(vec![(Arc::from(&[][..]), rows)]);
        }
        let keys = Self::evaluate(&self.spec.partition, &rows)?;
        let keys = self
            .partition_rows
            .convert_columns(&keys)
            .map_err(OperatorError::arrow(NAME))?;
        let mut places: HashMap<&[u8], usize, ahash::RandomState> =
            HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let mut found: Vec<(Arc<[u8]>, Vec<u32>)> = Vec::new();
        for row in 0..rows.num_rows() {
            let key = keys.row(row).data();
            let place = *places.entry(key).or_insert(found.len());
            if place == found.len() {
                found.push((key.into(), Vec::new()));
            }
            found[place].1.push(row as u32);
        }
        let mut out = Vec::with_capacity(found.len());
        for (key, indices) in found {
            let rows = take_record_batch(&rows, &UInt32Array::from(indices))
                .map_err(OperatorError::arrow(NAME))?;
            out.push((key, rows));
        }
        Ok(out)
    }

    /// The partitions that may send rows now though none came, each with no new rows.
    fn waiting(&self, time: EventTime) -> Vec<Arc<[u8]>> {
        if self.spec.following_nanos() == 0 && time != EventTime::MAX {
            return Vec::new();
        }
        let waiting = self
            .partitions
            .iter()
            .filter(|(_, partition)| partition.is_waiting());
        let mut keys: Vec<_> = waiting.map(|(key, _)| Arc::clone(key)).collect();
        // The order of a hash table would differ after a restore.
        keys.sort_unstable();
        keys
    }

    fn advance(
        &mut self,
        key: &Arc<[u8]>,
        new: Option<RecordBatch>,
        time: EventTime,
    ) -> Result<Option<RecordBatch>, OperatorError> {
        self.touch(key);
        if !self.partitions.contains_key(key) {
            let partition =
                Partition::new(&self.spec, &self.input).map_err(OperatorError::compute(NAME))?;
            self.partitions.insert(Arc::clone(key), partition);
        }
        let Some(partition) = self.partitions.get_mut(key) else {
            return Ok(None);
        };
        let step = Step {
            spec: &self.spec,
            schema: &self.schema,
            time: &self.time,
            reach: self.reach,
            watermark: time,
        };
        let sent = partition.advance(&step, new)?;
        let rows = partition.rows.num_rows();
        if partition.is_forgotten() {
            self.partitions.remove(key);
        } else if self.reach.all && rows > HISTORY_ROWS_MAX {
            return Err(OperatorError::Compute {
                operator: NAME,
                source: DataFusionError::ResourcesExhausted(format!(
                    "a partition has more than {HISTORY_ROWS_MAX} rows, all of which a call needs"
                )),
            });
        }
        Ok(sent)
    }

    /// Forgets partitions that no later row can reach, now and then.
    fn sweep(&mut self, time: EventTime) {
        let (
            Reach {
                rows: 0,
                nanos: Some(nanos),
                all: false,
            },
            true,
        ) = (
            self.reach,
            self.spec
                .calls
                .iter()
                .all(|call| matches!(call.function, OverFunction::Kept(_))),
        )
        else {
            return;
        };
        let due = self.swept.saturating_add(nanos.max(1));
        if time.nanos() < due && time != EventTime::MAX {
            return;
        }
        self.swept = time.nanos();
        let reach = time.nanos().saturating_sub(nanos);
        let gone = self
            .partitions
            .extract_if(|_, partition| !partition.is_waiting() && partition.last_time() < reach);
        for key in gone.map(|(key, _)| key).collect::<Vec<_>>() {
            self.touch(&key);
        }
    }

    /// Notes that the partition of `key` is not as it was saved.
    fn touch(&mut self, key: &Arc<[u8]>) {
        self.saved_rows.touch(key);
        self.saved_running.touch(key);
    }

    fn promise(&self) -> EventTime {
        if self.spec.following_rows() == 0 && self.spec.following_nanos() == 0 {
            return self.watermark;
        }
        let waiting = self
            .partitions
            .values()
            .filter_map(Partition::waiting_since);
        let first = waiting.min().map_or(EventTime::MAX, EventTime::from_nanos);
        first.min(self.watermark)
    }
}

impl Operator for Over {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        append_only(NAME, changes)?;
        let rows = changes.rows();
        let nanos = self.nanos(rows)?;
        let late = |nanos: &Option<i64>| nanos.is_none_or(|nanos| nanos < self.watermark.nanos());
        if !nanos.iter().any(late) {
            self.pending.push(rows.clone());
            return Ok(());
        }
        let (mut kept, mut gone) = (Vec::new(), Vec::new());
        for (row, nanos) in nanos.iter().enumerate() {
            if late(nanos) { &mut gone } else { &mut kept }.push(row as u32);
        }
        out.late.push(
            take_record_batch(rows, &UInt32Array::from(gone))
                .map_err(OperatorError::arrow(NAME))?,
        );
        if !kept.is_empty() {
            self.pending.push(
                take_record_batch(rows, &UInt32Array::from(kept))
                    .map_err(OperatorError::arrow(NAME))?,
            );
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        let time = match time {
            EventTime::MAX => time,
            time => time.minus_nanos(self.spec.delay_nanos),
        };
        self.watermark = time;
        let passed = self.passed(time)?;
        let mut sent = Vec::new();
        for (key, rows) in self.by_partition(passed)? {
            sent.extend(self.advance(&key, Some(rows), time)?);
        }
        for key in self.waiting(time) {
            sent.extend(self.advance(&key, None, time)?);
        }
        self.sweep(time);
        if !sent.is_empty() {
            let rows = concat_batches(&self.schema, &sent).map_err(OperatorError::arrow(NAME))?;
            // The input's columns come first, so what orders it orders this as well.
            let by_time = self.spec.order.get(..1).unwrap_or_default();
            out.changes
                .push(ChangeBatch::inserts(self.in_order(&rows, by_time)?));
        }
        Ok(self.promise())
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        self.save(out)
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        self.load(from)
    }

    fn state_bytes(&self) -> usize {
        let pending: usize = self
            .pending
            .iter()
            .map(RecordBatch::get_array_memory_size)
            .sum();
        let partitions: usize = self.partitions.values().map(Partition::size).sum();
        pending + partitions
    }
}
