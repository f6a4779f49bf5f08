//! Calls over all rows of a partition, anew whenever one of them changes.
//!
//! For rows that change, and for calls that need the rows after a row as well: any new row may be
//! before or behind any other. What changed is sent at a publish: the rows that are no longer so as
//! deletes, then those that are so now. A publish costs as many rows as the partitions that changed
//! have.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int8Array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use datafusion::physical_expr::window::WindowExpr;
use hashbrown::HashMap;
use rtsap_plan::graph::Node;
use rtsap_plan::over::PartitionOverSpec;
use rtsap_stream::change::{ChangeBatch, Op};
use rtsap_stream::time::EventTime;

use crate::state::partitions::SavedPartitions;
use crate::state::{StateError, StateReader, StateWriter};

use super::ranked::Ranked;
use super::stateless::changes;
use super::{Operator, OperatorError, Output};

/// As `EXPLAIN` shows it.
const NAME: &str = "PartitionOver";
/// The section that holds the rows.
const ROWS: &str = "rows";
/// Bytes of a kept row besides its own, and of a partition: pointers, numbers, shares of nodes.
const ENTRY_BYTES: usize = 64;

/// A partition's key as bytes.
type Key = Arc<[u8]>;

/// Rows as bytes, and how many there are of each.
type Counts = BTreeMap<Box<[u8]>, u64>;

/// The state machine of a [`PartitionOverSpec`].
pub struct PartitionOver {
    ranked: Ranked,
    calls: Vec<Arc<dyn WindowExpr>>,
    input: SchemaRef,
    schema: SchemaRef,
    /// All columns of the output.
    result_rows: RowConverter,
    partitions: HashMap<Key, Partition, ahash::RandomState>,
    /// Those that changed since the last publish, in order of their first change.
    changed: Vec<Key>,
    saved: SavedPartitions<Key>,
    bytes: usize,
}

#[derive(Default)]
struct Partition {
    /// Rows of the input, in order.
    rows: Counts,
    /// Rows of the output that were sent and not deleted since.
    sent: Counts,
    changed: bool,
}

impl Partition {
    fn add(&mut self, row: &[u8]) -> usize {
        if let Some(count) = self.rows.get_mut(row) {
            *count += 1;
            return 0;
        }
        self.rows.insert(row.into(), 1);
        row.len() + ENTRY_BYTES
    }

    /// Takes a row back; returns the bytes that are held less, or nothing if there is no such row.
    fn remove(&mut self, row: &[u8]) -> Option<usize> {
        let count = self.rows.get_mut(row)?;
        *count -= 1;
        if *count > 0 {
            return Some(0);
        }
        self.rows.remove(row);
        Some(row.len() + ENTRY_BYTES)
    }

    /// Each row as often as it is there.
    fn all(&self) -> impl Iterator<Item = &[u8]> {
        let copies = |(row, count): (_, &u64)| std::iter::repeat_n(row, *count as usize);
        self.rows.iter().flat_map(copies).map(AsRef::as_ref)
    }
}

impl PartitionOver {
    /// The operator of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Arrow`] if rows cannot be compared; [`OperatorError::Contract`] if the node
    /// contradicts itself.
    pub fn new(
        node: &Node,
        input: &SchemaRef,
        spec: &PartitionOverSpec,
    ) -> Result<Self, OperatorError> {
        let schema = Arc::clone(&node.properties.schema);
        if schema.fields().len() != input.fields().len() + spec.calls.len() {
            let found = format!("a contradictory {}", spec.text());
            return Err(OperatorError::contract(NAME, found));
        }
        let fields = schema.fields().iter();
        let fields = fields.map(|field| SortField::new(field.data_type().clone()));
        Ok(Self {
            ranked: Ranked::new(NAME, input, &spec.partition, &spec.order)?,
            calls: spec.calls.clone(),
            input: Arc::clone(input),
            result_rows: RowConverter::new(fields.collect()).map_err(OperatorError::arrow(NAME))?,
            schema,
            partitions: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            changed: Vec::new(),
            saved: SavedPartitions::default(),
            bytes: 0,
        })
    }

    fn change(&mut self, key: &[u8], row: &[u8], op: Op) -> Result<(), OperatorError> {
        if !self.partitions.contains_key(key) {
            self.bytes += key.len() + ENTRY_BYTES;
            self.partitions.insert(key.into(), Partition::default());
        }
        let Some(partition) = self.partitions.get_mut(key) else {
            return Ok(());
        };
        match op {
            Op::Insert => self.bytes += partition.add(row),
            Op::Delete => {
                let Some(less) = partition.remove(row) else {
                    let found = "a delete of a row that was not there".to_owned();
                    return Err(OperatorError::contract(NAME, found));
                };
                self.bytes = self.bytes.saturating_sub(less);
            }
        }
        if !std::mem::replace(&mut partition.changed, true) {
            let key: Key = key.into();
            self.saved.touch(&key);
            self.changed.push(key);
        }
        Ok(())
    }

    /// The rows of a partition with what the calls say of them.
    fn computed(&self, partition: &Partition) -> Result<RecordBatch, OperatorError> {
        let columns = self.ranked.columns(partition.all())?;
        let rows = RecordBatch::try_new(Arc::clone(&self.input), columns)
            .map_err(OperatorError::arrow(NAME))?;
        if rows.num_rows() == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let mut columns = rows.columns().to_vec();
        for (call, field) in self
            .calls
            .iter()
            .zip(&self.schema.fields()[columns.len()..])
        {
            let values = call.evaluate(&rows).map_err(OperatorError::compute(NAME))?;
            columns.push(cast(&values, field.data_type()).map_err(OperatorError::arrow(NAME))?);
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(OperatorError::arrow(NAME))
    }

    /// Computes the partition of `key` anew; returns the rows of the output that are no longer
    /// there, and those that are new.
    fn replace(&mut self, key: &Key) -> Result<Option<[RecordBatch; 2]>, OperatorError> {
        let Some(mut partition) = self.partitions.remove(key) else {
            return Ok(None);
        };
        partition.changed = false;
        let computed = self.computed(&partition)?;
        let rows = self
            .result_rows
            .convert_columns(computed.columns())
            .map_err(OperatorError::arrow(NAME))?;
        let mut now = Counts::new();
        for row in &rows {
            *now.entry(row.data().into()).or_default() += 1;
        }
        let before = std::mem::take(&mut partition.sent);
        let gone = self.results(surplus(&before, &now))?;
        let come = self.results(surplus(&now, &before))?;
        self.bytes = (self.bytes + held(&now)).saturating_sub(held(&before));
        if partition.rows.is_empty() {
            self.bytes = self.bytes.saturating_sub(key.len() + ENTRY_BYTES);
        } else {
            partition.sent = now;
            self.partitions.insert(Arc::clone(key), partition);
        }
        Ok(Some([gone, come]))
    }

    /// Rows of the output as a batch.
    fn results(&self, rows: Vec<&[u8]>) -> Result<RecordBatch, OperatorError> {
        let arrow = OperatorError::arrow(NAME);
        let parser = self.result_rows.parser();
        let rows = rows.into_iter().map(|row| parser.parse(row));
        let columns = self.result_rows.convert_rows(rows).map_err(&arrow)?;
        let typed = columns.iter().zip(self.schema.fields());
        let typed = typed.map(|(column, field)| cast(column, field.data_type()));
        let typed = typed
            .collect::<Result<Vec<ArrayRef>, _>>()
            .map_err(&arrow)?;
        RecordBatch::try_new(Arc::clone(&self.schema), typed).map_err(arrow)
    }
}

fn held(rows: &Counts) -> usize {
    rows.keys().map(|row| row.len() + ENTRY_BYTES).sum()
}

/// The rows of which there are more in `these` than in `those`, as often as there are more.
fn surplus<'a>(these: &'a Counts, those: &Counts) -> Vec<&'a [u8]> {
    let more = these.iter().flat_map(|(row, count)| {
        let less = those.get(row).copied().unwrap_or(0);
        std::iter::repeat_n(row.as_ref(), count.saturating_sub(less) as usize)
    });
    more.collect()
}

impl Operator for PartitionOver {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        _out: &mut Output,
    ) -> Result<(), OperatorError> {
        let encoded = self.ranked.encode(changes.rows())?;
        for row in 0..changes.len() {
            self.change(encoded.key(row), encoded.full(row), changes.op(row))?;
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        _time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        Ok(EventTime::MIN)
    }

    fn on_publish(&mut self, out: &mut Output) -> Result<(), OperatorError> {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for key in std::mem::take(&mut self.changed) {
            if let Some([before, now]) = self.replace(&key)? {
                gone.push(before);
                come.push(now);
            }
        }
        let count = |rows: &[RecordBatch]| rows.iter().map(RecordBatch::num_rows).sum::<usize>();
        let (fewer, more) = (count(&gone), count(&come));
        if fewer + more == 0 {
            return Ok(());
        }
        let ops = std::iter::repeat_n(-1, fewer).chain(std::iter::repeat_n(1, more));
        let ops = Int8Array::from(ops.collect::<Vec<i8>>());
        gone.append(&mut come);
        let rows = concat_batches(&self.schema, &gone).map_err(OperatorError::arrow(NAME))?;
        out.changes.push(changes(NAME, rows, Some(ops))?);
        Ok(())
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        let keys = self.saved.begin(ROWS, out)?;
        let keys = keys.unwrap_or_else(|| self.partitions.keys().map(Arc::clone).collect());
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for key in &keys {
            let before = rows.len();
            let of_key = self.partitions.get(key).into_iter();
            let of_key = of_key.flat_map(|partition| &partition.rows);
            rows.extend(of_key.map(|(row, count)| (row.as_ref(), *count)));
            numbers.extend(self.saved.number(key, rows.len() - before));
        }
        out.put_rows(ROWS, &self.ranked.saved(ROWS, &rows)?, numbers)
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        self.partitions.clear();
        (self.changed, self.bytes) = (Vec::new(), 0);
        let again = |error: OperatorError| StateError::section(ROWS, error.to_string());
        for batch in from.get(ROWS) {
            let (rows, counts) = self.ranked.restored(ROWS, batch)?;
            let encoded = self.ranked.encode(&rows).map_err(again)?;
            for row in 0..rows.num_rows() {
                for _ in 0..counts.value(row) {
                    self.change(encoded.key(row), encoded.full(row), Op::Insert)
                        .map_err(again)?;
                }
            }
        }
        // What is saved right after a publish has been sent.
        for key in std::mem::take(&mut self.changed) {
            self.replace(&key).map_err(again)?;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.bytes
    }
}
