//! Joins rows of equal keys whose event times are within bounds of each other.
//!
//! ```text
//! row ──late?──▶ store of its side ──▶ partners in the other store ──residual──▶ pairs, at once
//! watermark ──▶ rows that no partner can join any more: those without one come out, all are
//!               forgotten
//! ```
//!
//! A row below the watermark is late. So each row in time meets all its partners in time, whichever
//! comes first, and the result does not depend on the order of arrival.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::{filter, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rtsap_plan::graph::Node;
use rtsap_plan::join::{IntervalJoinSpec, JoinKind, Side};
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
use super::{Operator, OperatorError, Output, append_only};

/// As `EXPLAIN` shows it.
const NAME: &str = "IntervalJoin";

/// The state machine of an [`IntervalJoinSpec`].
pub struct IntervalJoin {
    spec: IntervalJoinSpec,
    pairing: Pairing,
    inputs: [SchemaRef; 2],
    keys: JoinKeys,
    times: [TimeColumn; 2],
    stores: [Store; 2],
    time: EventTime,
    /// Which side's time the watermark of the result speaks about.
    event_time: Option<Side>,
}

/// A left row and a right row.
type Pair = (Place, Place);

impl IntervalJoin {
    /// The join of `node`, which is `spec`, over rows of `inputs`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if the node contradicts itself; [`OperatorError::Compute`] if
    /// its keys cannot be told apart.
    pub fn new(
        node: &Node,
        inputs: &[SchemaRef],
        spec: &IntervalJoinSpec,
    ) -> Result<Self, OperatorError> {
        let [left, right] = inputs else {
            return Err(OperatorError::contract(
                NAME,
                format!("{} inputs", inputs.len()),
            ));
        };
        let schema = &node.properties.schema;
        if spec.output.len() != schema.fields().len() || spec.lower_nanos > spec.upper_nanos {
            return Err(OperatorError::contract(
                NAME,
                format!("the specification {spec}"),
            ));
        }
        let residual = spec.residual.as_ref();
        let event_time = node.properties.event_time;
        let event_time = event_time.and_then(|index| spec.output.get(index));
        let event_time = event_time.filter(|column| {
            let time = spec.times[column.side.port()];
            column.index == time
        });
        Ok(Self {
            pairing: Pairing::new(NAME, inputs, residual, &spec.output, schema),
            keys: JoinKeys::new(NAME, &spec.keys, inputs)?,
            times: [
                TimeColumn::of(NAME, left, spec.times[0])?,
                TimeColumn::of(NAME, right, spec.times[1])?,
            ],
            stores: [Store::new(Arc::clone(left)), Store::new(Arc::clone(right))],
            inputs: [Arc::clone(left), Arc::clone(right)],
            time: EventTime::MIN,
            event_time: event_time.map(|column| column.side),
            spec: spec.clone(),
        })
    }

    fn insert(
        &mut self,
        side: Side,
        rows: RecordBatch,
        times: Vec<i64>,
        matched: Vec<bool>,
    ) -> Result<(u32, Vec<i64>, Vec<u32>), OperatorError> {
        let keys = self.keys.number(side, &rows)?;
        let arrived = Arrived {
            rows,
            times: times.clone(),
            keys: keys.clone(),
            matched,
        };
        let chunk = self.stores[side.port()].insert(arrived);
        Ok((chunk, times, keys))
    }

    /// Pairs the rows of a chunk that has just come with those of the other side.
    fn probe(
        &mut self,
        side: Side,
        chunk: u32,
        times: &[i64],
        keys: &[u32],
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let (lower, upper) = (self.spec.lower_nanos, self.spec.upper_nanos);
        let mut pairs: Vec<Pair> = Vec::new();
        for (row, (time, key)) in times.iter().zip(keys).enumerate() {
            if *key == NO_KEY {
                continue;
            }
            let own = Place {
                chunk,
                row: row as u32,
            };
            let other = &self.stores[side.other().port()];
            match side {
                Side::Left => {
                    let (first, last) = (time.saturating_sub(upper), time.saturating_sub(lower));
                    pairs.extend(other.between(*key, first, last).map(|found| (own, found)));
                }
                Side::Right => {
                    let (first, last) = (time.saturating_add(lower), time.saturating_add(upper));
                    pairs.extend(other.between(*key, first, last).map(|found| (found, own)));
                }
            }
            if pairs.len() >= BATCH_ROWS {
                self.send_pairs(std::mem::take(&mut pairs), out)?;
            }
        }
        self.send_pairs(pairs, out)
    }

    fn send_pairs(&mut self, mut pairs: Vec<Pair>, out: &mut Output) -> Result<(), OperatorError> {
        if pairs.is_empty() {
            return Ok(());
        }
        let mut kept = None;
        if let Some(residual) = &self.pairing.residual {
            let columns = self
                .all_columns(&pairs)
                .map_err(OperatorError::arrow(NAME))?;
            let mask = self.pairing.fulfilled(residual, columns.clone())?;
            let mask = match mask.null_count() {
                0 => mask,
                _ => prep_null_mask_filter(&mask),
            };
            let mut fulfilled = mask.values().iter();
            pairs.retain(|_| fulfilled.next().unwrap_or(false));
            kept = Some((columns, mask));
        }
        let mut first_matches = Vec::new();
        if self.spec.kind.keeps(Side::Left) || self.spec.kind == JoinKind::LeftSemi {
            for (left, _) in &pairs {
                if self.stores[0].mark(*left) {
                    first_matches.push(Some(*left));
                }
            }
        }
        if self.spec.kind.keeps(Side::Right) {
            for (_, right) in &pairs {
                self.stores[1].mark(*right);
            }
        }
        if self.spec.kind == JoinKind::LeftSemi {
            return self.send_side(Side::Left, &first_matches, out);
        }
        if !self.spec.kind.pairs() || pairs.is_empty() {
            return Ok(());
        }
        let columns = match kept {
            Some((columns, mask)) => self.selected_columns(&columns, &mask),
            None => self.output_columns(&pairs),
        };
        self.send(columns.map_err(OperatorError::arrow(NAME))?, out)
    }

    /// The output columns of pairs out of all their columns.
    fn selected_columns(
        &self,
        columns: &[ArrayRef],
        mask: &BooleanArray,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let left = self.inputs[0].fields().len();
        let selected = self.spec.output.iter().map(|column| {
            let index = match column.side {
                Side::Left => column.index,
                Side::Right => left + column.index,
            };
            filter(&columns[index], mask)
        });
        selected.collect()
    }

    fn all_columns(&self, pairs: &[Pair]) -> Result<Vec<ArrayRef>, ArrowError> {
        let left = self.gather(Side::Left, pairs.iter().map(|(left, _)| Some(*left)))?;
        let right = self.gather(Side::Right, pairs.iter().map(|(_, right)| Some(*right)))?;
        let mut columns = Vec::with_capacity(self.pairing.both.fields().len());
        for (gather, input) in [left, right].iter().zip(&self.inputs) {
            for (index, field) in input.fields().iter().enumerate() {
                columns.push(gather.column(index, field.data_type())?);
            }
        }
        Ok(columns)
    }

    fn output_columns(&self, pairs: &[Pair]) -> Result<Vec<ArrayRef>, ArrowError> {
        let left = self.gather(Side::Left, pairs.iter().map(|(left, _)| Some(*left)))?;
        let right = self.gather(Side::Right, pairs.iter().map(|(_, right)| Some(*right)))?;
        let fields = self.pairing.schema.fields();
        let columns = self.spec.output.iter().zip(fields).map(|(column, field)| {
            let gather = match column.side {
                Side::Left => &left,
                Side::Right => &right,
            };
            gather.column(column.index, field.data_type())
        });
        columns.collect()
    }

    fn gather(
        &self,
        side: Side,
        places: impl Iterator<Item = Option<Place>>,
    ) -> Result<Gather<'_>, ArrowError> {
        let store = &self.stores[side.port()];
        Gather::new(places, |chunk| store.rows_of(chunk))
    }

    /// Rows of one side beside nulls of the other.
    fn send_side(
        &self,
        side: Side,
        places: &[Option<Place>],
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        for places in places.chunks(BATCH_ROWS) {
            let gather = self
                .gather(side, places.iter().copied())
                .map_err(OperatorError::arrow(NAME))?;
            let fields = self.pairing.schema.fields();
            let columns = self.spec.output.iter().zip(fields).map(|(column, field)| {
                if column.side == side {
                    gather.column(column.index, field.data_type())
                } else {
                    Ok(arrow::array::new_null_array(
                        field.data_type(),
                        places.len(),
                    ))
                }
            });
            let columns = columns
                .collect::<Result<Vec<_>, _>>()
                .map_err(OperatorError::arrow(NAME))?;
            self.send(columns, out)?;
        }
        Ok(())
    }

    fn send(&self, columns: Vec<ArrayRef>, out: &mut Output) -> Result<(), OperatorError> {
        let schema = Arc::clone(&self.pairing.schema);
        let rows = RecordBatch::try_new(schema, columns).map_err(OperatorError::arrow(NAME))?;
        out.changes.push(ChangeBatch::inserts(rows));
        Ok(())
    }

    /// Forgets rows that no partner can join any more; sends those that should have had one.
    fn expire(&mut self, side: Side, out: &mut Output) -> Result<(), OperatorError> {
        let limit = match self.time {
            EventTime::MAX => i64::MAX,
            time => time.nanos().saturating_sub(self.spec.reach_nanos(side)),
        };
        let expired = self.stores[side.port()].expire(limit);
        if self.spec.kind.keeps(side) {
            let alone = expired.iter().filter(|(_, matched)| !matched);
            let places: Vec<Option<Place>> = alone.map(|(place, _)| Some(*place)).collect();
            self.send_side(side, &places, out)?;
        }
        self.stores[side.port()].free();
        Ok(())
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
        self.stores.iter_mut().for_each(Store::clear);
        for (side, batches) in [(Side::Left, left), (Side::Right, right)] {
            for (rows, matched) in batches {
                self.put_back(side, rows, matched)?;
            }
        }
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
        self.insert(side, rows, times, matched)?;
        Ok(())
    }

    fn promise(&self) -> EventTime {
        match (self.event_time, self.time) {
            (None, _) => EventTime::MIN,
            (_, EventTime::MAX) => EventTime::MAX,
            (Some(side), time) => time.minus_nanos(self.spec.reach_nanos(side).max(0)),
        }
    }
}

impl Operator for IntervalJoin {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        append_only(NAME, changes)?;
        let side = if port == 0 { Side::Left } else { Side::Right };
        let arrived = punctual(NAME, &self.times[port], changes.rows(), self.time)?;
        if !self.spec.drops_late[port] {
            report_late(arrived.late, out);
        }
        if arrived.rows.num_rows() == 0 {
            return Ok(());
        }
        let (chunk, times, keys) = self.insert(side, arrived.rows, arrived.times, Vec::new())?;
        self.probe(side, chunk, &times, &keys, out)
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        if time > self.time {
            self.time = time;
            self.expire(Side::Left, out)?;
            self.expire(Side::Right, out)?;
            self.tidy()?;
        }
        Ok(self.promise())
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
