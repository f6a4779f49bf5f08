//! The first rows of each partition by an order: top-N, deduplication, and `ORDER BY … LIMIT`.
//!
//! A row is kept as bytes that compare as the order does, then as its columns do, so that rows that
//! are equal in order have a fixed place whatever order they came in. Where rows only come, those
//! behind the last that shows are dropped; where rows may be taken back, all are kept.
//!
//! What changed is sent at a publish: the rows that no longer show as deletes, then those that show
//! now. A partition of a window sends its rows once when the window closes, if it is asked to.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int8Array, Int64Array, UInt32Array, UInt64Array};
use arrow::compute::{cast, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::cast::as_int64_array;
use hashbrown::HashMap;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::Emit;
use rtsap_plan::rank::TopNSpec;
use rtsap_stream::change::{ChangeBatch, Op};
use rtsap_stream::time::EventTime;

use crate::state::partitions::SavedPartitions;
use crate::state::{StateError, StateReader, StateWriter};

use super::ranked::{Encoded, Ranked};
use super::stateless::changes;
use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output};

mod partition;

use partition::{Numbered, Partition, Range};

/// As `EXPLAIN` shows it.
const NAME: &str = "TopN";
/// The section that holds how far event time has come.
const META: &str = "meta";
/// The section that holds the rows.
const ROWS: &str = "rows";
/// Bytes of a kept row besides its own, and of a partition: pointers, numbers, shares of nodes.
const ENTRY_BYTES: usize = 64;

/// A partition's key as bytes.
type Key = Arc<[u8]>;

/// The state machine of a [`TopNSpec`].
pub struct TopN {
    ranked: Ranked,
    schema: SchemaRef,
    range: Range,
    number_at: Option<usize>,
    keeps_rows: bool,
    /// Whether rows show as they change.
    changing: bool,
    closing: Option<Close>,
    partitions: HashMap<Key, Partition, ahash::RandomState>,
    /// Those that changed since the last publish, in order of their first change.
    changed: Vec<Key>,
    saved: SavedPartitions<Key>,
    bytes: usize,
}

/// When partitions are forgotten.
struct Close {
    time: TimeColumn,
    after_nanos: i64,
    /// Partitions whose column is below this are closed.
    closed: EventTime,
    /// Open partitions by the value of the column.
    open: BTreeMap<i64, Vec<Key>>,
}

impl TopN {
    /// The operator of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Compute`] if rows cannot be compared; [`OperatorError::Contract`] if the
    /// node contradicts itself.
    pub fn new(node: &Node, input: &SchemaRef, spec: &TopNSpec) -> Result<Self, OperatorError> {
        let schema = Arc::clone(&node.properties.schema);
        let width = input.fields().len() + usize::from(spec.number_at.is_some());
        if schema.fields().len() != width || spec.first == 0 || spec.last < spec.first {
            return Err(OperatorError::contract(
                NAME,
                format!("a contradictory {}", spec.text()),
            ));
        }
        let closing = match spec.closing {
            None => None,
            Some(closing) => Some(Close {
                time: TimeColumn::of(NAME, input, closing.column)?,
                after_nanos: closing.after_nanos,
                closed: EventTime::MIN,
                open: BTreeMap::new(),
            }),
        };
        Ok(Self {
            ranked: Ranked::new(NAME, input, &spec.partition, &spec.order)?,
            schema,
            range: Range {
                numbering: spec.numbering,
                first: spec.first,
                last: spec.last,
            },
            number_at: spec.number_at,
            keeps_rows: spec.keeps_rows,
            changing: spec.emit == Emit::Changes,
            closing,
            partitions: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            changed: Vec::new(),
            saved: SavedPartitions::default(),
            bytes: 0,
        })
    }

    fn add(
        &mut self,
        encoded: &Encoded,
        row: usize,
        op: Op,
        time: i64,
    ) -> Result<(), OperatorError> {
        let (key, bytes) = (encoded.key(row), encoded.full(row));
        if !self.partitions.contains_key(key) {
            let key: Key = key.into();
            self.bytes += key.len() + ENTRY_BYTES;
            if let Some(closing) = &mut self.closing {
                closing.open.entry(time).or_default().push(Arc::clone(&key));
            }
            self.partitions.insert(key, Partition::default());
        }
        let Some(partition) = self.partitions.get_mut(key) else {
            return Ok(());
        };
        if op == Op::Insert {
            if !self.keeps_rows && partition.is_beyond(bytes, self.range) {
                return Ok(());
            }
            let more = partition.add(bytes, encoded.order_bytes(row), 1);
            self.bytes += more + if more > 0 { ENTRY_BYTES } else { 0 };
            if !self.keeps_rows {
                self.bytes = self.bytes.saturating_sub(partition.prune(self.range));
            }
        } else {
            let Some(less) = partition.remove(bytes) else {
                return Err(OperatorError::contract(
                    NAME,
                    "a delete of a row that was not there".to_owned(),
                ));
            };
            self.bytes = self.bytes.saturating_sub(less);
        }
        if !std::mem::replace(&mut partition.changed, true) {
            let key: Key = key.into();
            self.saved.touch(&key);
            self.changed.push(key);
        }
        Ok(())
    }

    /// Sends what changed of the partitions of `keys`.
    fn send(&mut self, keys: &[Key], out: &mut Output) -> Result<(), OperatorError> {
        let (mut gone, mut come) = (Vec::new(), Vec::new());
        for key in keys {
            let Some(partition) = self.partitions.get_mut(key) else {
                continue;
            };
            partition.changed = false;
            let shown = partition.shown(self.range);
            partition.replace_sent(shown, self.number_at.is_some(), &mut gone, &mut come);
            if partition.is_empty() && self.closing.is_none() {
                self.partitions.remove(key);
                self.bytes = self.bytes.saturating_sub(key.len() + ENTRY_BYTES);
            }
        }
        if gone.is_empty() && come.is_empty() {
            return Ok(());
        }
        let ops = std::iter::repeat_n(-1, gone.len()).chain(std::iter::repeat_n(1, come.len()));
        let ops = Int8Array::from(ops.collect::<Vec<i8>>());
        gone.append(&mut come);
        let rows = self.rows(&gone)?;
        out.changes.push(changes(NAME, rows, Some(ops))?);
        Ok(())
    }

    /// Rows that show, as a batch of the output.
    fn rows(&self, rows: &[Numbered]) -> Result<RecordBatch, OperatorError> {
        let mut columns = self
            .ranked
            .columns(rows.iter().map(|(row, _)| row.as_ref()))?;
        if let Some(at) = self.number_at {
            let numbers = UInt64Array::from_iter_values(rows.iter().map(|(_, number)| *number));
            let wanted = self.schema.field(at).data_type();
            columns.insert(
                at,
                cast(&numbers, wanted).map_err(OperatorError::arrow(NAME))?,
            );
        }
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(OperatorError::arrow(NAME))
    }

    /// Forgets the partitions that event time has passed, sending what was not sent.
    fn close(&mut self, time: EventTime, out: &mut Output) -> Result<(), OperatorError> {
        let Some(closing) = &mut self.closing else {
            return Ok(());
        };
        let closed = match time {
            EventTime::MAX => EventTime::MAX,
            time => time.minus_nanos(closing.after_nanos),
        };
        closing.closed = closing.closed.max(closed);
        let mut keys = Vec::new();
        while let Some(first) = closing.open.first_entry() {
            if *first.key() >= closing.closed.nanos() {
                break;
            }
            keys.extend(first.remove());
        }
        self.send(&keys, out)?;
        for key in &keys {
            if let Some(partition) = self.partitions.remove(key) {
                self.saved.touch(key);
                let held = partition.rows().count() * ENTRY_BYTES + partition.row_bytes();
                self.bytes = self.bytes.saturating_sub(held + key.len() + ENTRY_BYTES);
            }
        }
        if self.partitions.is_empty() {
            self.bytes = 0;
        }
        Ok(())
    }

    /// The closing time of each row, and the rows that are too late.
    fn times(&self, rows: &RecordBatch) -> Result<(Vec<i64>, Vec<u32>), OperatorError> {
        let Some(closing) = &self.closing else {
            return Ok((vec![0; rows.num_rows()], Vec::new()));
        };
        let times = closing.time.read(NAME, rows)?;
        let (mut values, mut late) = (Vec::with_capacity(rows.num_rows()), Vec::new());
        for row in 0..rows.num_rows() {
            let valid = times.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            let nanos = times.values[row].saturating_mul(times.unit_nanos);
            if !valid || nanos < closing.closed.nanos() {
                late.push(row as u32);
            }
            values.push(nanos);
        }
        Ok((values, late))
    }
}

impl Operator for TopN {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        if changes.is_empty() {
            return Ok(());
        }
        if changes.ops().is_some() && !self.keeps_rows {
            return Err(OperatorError::contract(
                NAME,
                "a delete on an append-only edge".to_owned(),
            ));
        }
        let rows = changes.rows();
        let (times, late) = self.times(rows)?;
        if !late.is_empty() {
            if self.keeps_rows {
                return Err(OperatorError::contract(
                    NAME,
                    "a change of a closed window".to_owned(),
                ));
            }
            let late = UInt32Array::from(late.clone());
            out.late
                .push(take_record_batch(rows, &late).map_err(OperatorError::arrow(NAME))?);
        }
        let encoded = self.ranked.encode(rows)?;
        let mut late = late.into_iter().peekable();
        for (row, time) in times.iter().enumerate() {
            if late.next_if_eq(&(row as u32)).is_none() {
                self.add(&encoded, row, changes.op(row), *time)?;
            }
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        self.close(time, out)?;
        Ok(self
            .closing
            .as_ref()
            .map_or(EventTime::MIN, |closing| closing.closed))
    }

    fn on_publish(&mut self, out: &mut Output) -> Result<(), OperatorError> {
        if !self.changing {
            self.changed.clear();
            self.partitions
                .values_mut()
                .for_each(|partition| partition.changed = false);
            return Ok(());
        }
        let changed = std::mem::take(&mut self.changed);
        self.send(&changed, out)
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        let closed = self
            .closing
            .as_ref()
            .map_or(EventTime::MIN, |closing| closing.closed);
        let closed: ArrayRef = Arc::new(Int64Array::from(vec![closed.nanos()]));
        let schema = Schema::new(vec![Field::new("closed", DataType::Int64, false)]);
        out.put(META, RecordBatch::try_new(Arc::new(schema), vec![closed])?);
        let keys = self.saved.begin(ROWS, out)?;
        let keys = keys.unwrap_or_else(|| self.partitions.keys().map(Arc::clone).collect());
        let (mut rows, mut numbers) = (Vec::new(), Vec::new());
        for key in &keys {
            let before = rows.len();
            rows.extend(
                self.partitions
                    .get(key)
                    .into_iter()
                    .flat_map(Partition::rows),
            );
            numbers.extend(self.saved.number(key, rows.len() - before));
        }
        out.put_rows(ROWS, &self.ranked.saved(ROWS, &rows)?, numbers)
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        let [meta] = from.get(META) else {
            return Err(StateError::section(META, "is not there"));
        };
        let closed = meta
            .column_by_name("closed")
            .filter(|column| column.len() == 1);
        let closed =
            as_int64_array(closed.ok_or_else(|| StateError::section(META, "has another form"))?)?;
        if let Some(closing) = &mut self.closing {
            closing.closed = EventTime::from_nanos(closed.value(0));
            closing.open.clear();
        }
        (self.partitions, self.bytes) = (HashMap::with_hasher(self.partitions.hasher().clone()), 0);
        let again = |error: OperatorError| StateError::section(ROWS, error.to_string());
        for batch in from.get(ROWS) {
            let (rows, counts) = self.ranked.restored(ROWS, batch)?;
            let (times, _) = self.times(&rows).map_err(again)?;
            let encoded = self.ranked.encode(&rows).map_err(again)?;
            for (row, time) in times.iter().enumerate() {
                for _ in 0..counts.value(row) {
                    self.add(&encoded, row, Op::Insert, *time).map_err(again)?;
                }
            }
        }
        // What shows of the rows that were saved right after a publish has been sent.
        for key in std::mem::take(&mut self.changed) {
            let (range, changing) = (self.range, self.changing);
            let Some(partition) = self.partitions.get_mut(&key) else {
                continue;
            };
            partition.changed = false;
            if changing {
                let shown = partition.shown(range);
                partition.replace_sent(shown, true, &mut Vec::new(), &mut Vec::new());
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.bytes
    }
}
