//! Joins each left row with the latest right row of its key that is not after it.
//!
//! ```text
//! left row ──late?──▶ waits ──watermark past its time──▶ last right row at or before it ──▶ out
//! right row ─late?──▶ kept until a later one of its key is before the watermark, or it is too old
//! ```
//!
//! A left row waits for the watermark of both inputs, so its partner does not depend on the order
//! of arrival. Of right rows of one key and time the last to arrive counts. The join with versions
//! of a table is the same: each row of the table is valid from its own time to that of the next. A
//! version that is deleted and has no successor is valid no more: it stays, marked, for what was
//! before it is not valid again.

use std::sync::Arc;

use arrow::array::{BooleanArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use rtsap_plan::graph::Node;
use rtsap_plan::join::{AsofJoinSpec, Side};
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::state::{StateError, StateReader, StateWriter};

use super::join::gather::Gather;
use super::join::store::{Arrived, Store};
use super::join::{
    BATCH_ROWS, JoinKeys, NO_KEY, Pairing, Place, dead_keys_max, punctual, report_late, restoring,
    saved,
};
use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output};

/// As `EXPLAIN` shows it.
const NAME: &str = "AsofJoin";

/// The state machine of an [`AsofJoinSpec`].
pub struct AsofJoin {
    spec: AsofJoinSpec,
    pairing: Pairing,
    inputs: [SchemaRef; 2],
    keys: JoinKeys,
    times: [TimeColumn; 2],
    /// Left rows that wait; right rows that may be a partner.
    stores: [Store; 2],
    /// Keys with more than one right row.
    crowded: Vec<u32>,
    /// Keys whose version of this time was deleted, and has had no successor yet.
    deleted: HashMap<u32, i64>,
    time: EventTime,
    /// Whether the watermark of the result speaks about the left time.
    promises: bool,
}

impl AsofJoin {
    /// The join of `node`, which is `spec`, over rows of `inputs`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if the node contradicts itself; [`OperatorError::Compute`] if
    /// its keys cannot be told apart.
    pub fn new(
        node: &Node,
        inputs: &[SchemaRef],
        spec: &AsofJoinSpec,
    ) -> Result<Self, OperatorError> {
        let [left, right] = inputs else {
            return Err(OperatorError::contract(
                NAME,
                format!("{} inputs", inputs.len()),
            ));
        };
        let schema = &node.properties.schema;
        if spec.output.len() != schema.fields().len() {
            return Err(OperatorError::contract(
                NAME,
                format!("the specification {spec}"),
            ));
        }
        let event_time = node.properties.event_time;
        let event_time = event_time.and_then(|index| spec.output.get(index));
        Ok(Self {
            pairing: Pairing::new(NAME, inputs, None, &spec.output, schema),
            keys: JoinKeys::new(NAME, &spec.keys, inputs)?,
            times: [
                TimeColumn::of(NAME, left, spec.times[0])?,
                TimeColumn::of(NAME, right, spec.times[1])?,
            ],
            stores: [Store::new(Arc::clone(left)), Store::new(Arc::clone(right))],
            inputs: [Arc::clone(left), Arc::clone(right)],
            crowded: Vec::new(),
            deleted: HashMap::new(),
            time: EventTime::MIN,
            promises: event_time
                .is_some_and(|time| time.side == Side::Left && time.index == spec.times[0]),
            spec: spec.clone(),
        })
    }

    /// Right rows before this are before every left row at `time`.
    fn reach(&self, time: i64) -> i64 {
        if self.spec.strict {
            time
        } else {
            time.saturating_add(1)
        }
    }

    fn partner(&self, place: Place) -> Option<Place> {
        let (time, key) = self.stores[0].time_and_key(place)?;
        let rows = self.stores[1].of_key(key).filter(|_| key != NO_KEY)?;
        let reach = self.reach(time);
        let at = rows.partition_point(|(other, _)| *other < reach);
        let (found, partner) = rows.get(at.checked_sub(1)?)?;
        let fresh = match self.spec.tolerance_nanos {
            None => true,
            Some(tolerance) => time.saturating_sub(*found) <= tolerance,
        };
        (fresh && !self.stores[1].is_marked(*partner)).then_some(*partner)
    }

    /// Remembers the versions that `changes` delete, but those that have a successor there.
    fn delete(&mut self, changes: &ChangeBatch) -> Result<(), OperatorError> {
        let rows = of_sign(changes, -1)?;
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let found = punctual(NAME, &self.times[1], &rows, EventTime::MIN)?;
        let keys = self.keys.number(Side::Right, &found.rows)?;
        let keys = keys.into_iter().zip(found.times);
        self.deleted.extend(keys.filter(|(key, _)| *key != NO_KEY));
        Ok(())
    }

    /// Ends the versions that were deleted and have had no successor.
    fn end_deleted(&mut self) {
        for (key, time) in std::mem::take(&mut self.deleted) {
            let store = &mut self.stores[1];
            let last = store.of_key(key).and_then(|rows| rows.back().copied());
            if let Some((found, place)) = last
                && found == time
            {
                store.mark(place);
            }
        }
    }

    /// Sends the left rows that have waited long enough.
    fn release(&mut self, out: &mut Output) -> Result<(), OperatorError> {
        let limit = match (self.time, self.spec.strict) {
            // No right row before this time will come, and only those count.
            (time, true) => time.nanos().saturating_add(1),
            (time, false) => time.nanos(),
        };
        let waited = self.stores[0].expire(limit);
        for waited in waited.chunks(BATCH_ROWS) {
            let mut left = Vec::with_capacity(waited.len());
            let mut right = Vec::with_capacity(waited.len());
            for (place, _) in waited {
                let partner = self.partner(*place);
                if partner.is_some() || self.spec.outer {
                    left.push(Some(*place));
                    right.push(partner);
                }
            }
            if !left.is_empty() {
                out.changes.push(
                    self.rows(&left, &right)
                        .map_err(OperatorError::arrow(NAME))?,
                );
            }
        }
        self.stores[0].free();
        Ok(())
    }

    fn rows(
        &self,
        left: &[Option<Place>],
        right: &[Option<Place>],
    ) -> Result<ChangeBatch, ArrowError> {
        let [left_rows, right_rows] = &self.stores;
        let left_gather = Gather::new(left.iter().copied(), |chunk| left_rows.rows_of(chunk))?;
        let gather = Gather::new(right.iter().copied(), |chunk| right_rows.rows_of(chunk))?;
        let fields = self.pairing.schema.fields();
        let columns =
            self.spec
                .output
                .iter()
                .zip(fields)
                .map(|(column, field)| match column.side {
                    Side::Left => left_gather.column(column.index, field.data_type()),
                    Side::Right if right.iter().all(Option::is_none) => {
                        Ok(new_null_array(field.data_type(), right.len()))
                    }
                    Side::Right => gather.column(column.index, field.data_type()),
                });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let rows = RecordBatch::try_new(Arc::clone(&self.pairing.schema), columns)?;
        Ok(ChangeBatch::inserts(rows))
    }

    /// Forgets right rows that no left row can want any more.
    fn prune(&mut self) {
        // Every left row to come is at the watermark or after it.
        let limit = self.reach(self.time.nanos());
        let store = &mut self.stores[1];
        self.crowded.retain(|key| {
            store.supersede(*key, limit);
            store.of_key(*key).is_some_and(|rows| rows.len() > 1)
        });
        if let Some(tolerance) = self.spec.tolerance_nanos {
            store.expire(self.time.nanos().saturating_sub(tolerance));
        }
        store.free();
    }

    fn insert(
        &mut self,
        side: Side,
        rows: RecordBatch,
        times: Vec<i64>,
        matched: Vec<bool>,
    ) -> Result<(), OperatorError> {
        let keys = self.keys.number(side, &rows)?;
        if side == Side::Right {
            for key in &keys {
                self.deleted.remove(key);
            }
            let store = &self.stores[1];
            let known =
                |key: &u32| *key != NO_KEY && store.of_key(*key).is_none_or(|rows| rows.len() <= 1);
            self.crowded.extend(keys.iter().copied().filter(known));
            self.crowded.sort_unstable();
            self.crowded.dedup();
        }
        self.stores[side.port()].insert(Arrived {
            rows,
            times,
            keys,
            matched,
        });
        Ok(())
    }

    fn put_back(
        &mut self,
        side: Side,
        rows: RecordBatch,
        matched: Vec<bool>,
    ) -> Result<(), OperatorError> {
        let times = punctual(NAME, &self.times[side.port()], &rows, EventTime::MIN)?.times;
        if times.len() != rows.num_rows() {
            return Err(OperatorError::contract(
                NAME,
                "stored rows without a time".to_owned(),
            ));
        }
        self.insert(side, rows, times, matched)
    }

    /// Puts rows together anew where they lie scattered, and forgets keys without rows.
    fn tidy(&mut self) -> Result<(), OperatorError> {
        let live: usize = self.stores.iter().map(Store::live_keys).sum();
        let rows: usize = self.stores.iter().map(Store::row_count).sum();
        let dead = self.keys.count().saturating_sub(live);
        if dead <= dead_keys_max(rows) && !self.stores.iter().any(Store::is_scattered) {
            return Ok(());
        }
        let [left, right] = &self.stores;
        let left = left.everything().map_err(OperatorError::arrow(NAME))?;
        let right = right.everything().map_err(OperatorError::arrow(NAME))?;
        self.keys.clear()?;
        self.crowded.clear();
        self.stores.iter_mut().for_each(Store::clear);
        for (side, batches) in [(Side::Left, left), (Side::Right, right)] {
            for (rows, matched) in batches {
                self.put_back(side, rows, matched)?;
            }
        }
        Ok(())
    }
}

/// The rows of `changes` that come (1) or go (−1).
fn of_sign(changes: &ChangeBatch, sign: i8) -> Result<RecordBatch, OperatorError> {
    let Some(ops) = changes.ops() else {
        let rows = if sign > 0 { changes.len() } else { 0 };
        return Ok(changes.rows().slice(0, rows));
    };
    let mask = BooleanArray::from_iter(ops.values().iter().map(|op| Some(*op == sign)));
    filter_record_batch(changes.rows(), &mask).map_err(OperatorError::arrow(NAME))
}

impl Operator for AsofJoin {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let versions = port == 1 && self.spec.versions;
        if changes.ops().is_some() && !versions {
            return Err(OperatorError::contract(
                NAME,
                "a delete on an append-only edge".to_owned(),
            ));
        }
        let side = if port == 0 { Side::Left } else { Side::Right };
        if versions {
            self.delete(changes)?;
        }
        let rows = of_sign(changes, 1)?;
        let arrived = punctual(NAME, &self.times[port], &rows, self.time)?;
        report_late(arrived.late, out);
        if arrived.rows.num_rows() == 0 {
            return Ok(());
        }
        self.insert(side, arrived.rows, arrived.times, Vec::new())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        self.end_deleted();
        if time > self.time {
            self.time = time;
            self.release(out)?;
            self.prune();
            self.tidy()?;
        }
        Ok(if self.promises {
            self.time
        } else {
            EventTime::MIN
        })
    }

    fn on_publish(&mut self, _out: &mut Output) -> Result<(), OperatorError> {
        self.end_deleted();
        Ok(())
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        saved::put_time(self.time, out)?;
        for (store, section) in self.stores.iter_mut().zip(saved::ROWS) {
            saved::put_store(section, store, out)?;
        }
        Ok(())
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        self.time = saved::time(from)?;
        self.crowded.clear();
        self.deleted.clear();
        self.stores.iter_mut().for_each(Store::clear);
        for side in [Side::Left, Side::Right] {
            let port = side.port();
            for (rows, matched) in saved::rows(from, saved::ROWS[port], &self.inputs[port])? {
                self.put_back(side, rows, matched).map_err(restoring)?;
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.keys.size() + self.stores.iter().map(Store::bytes).sum::<usize>()
    }
}
