//! Joins rows of equal keys, whenever they come: both sides are kept, and each change of one meets
//! the rows of the other.
//!
//! ```text
//! change ──▶ partners by key ──residual──▶ the same change of each pair
//!        └─▶ where rows without a partner show: those of partners that now have one, or none left
//! ```
//!
//! Each row counts its partners, so that a row without one comes and goes exactly when the first
//! partner comes and the last goes. A row that is forgotten after its time takes nothing back: what
//! it has brought forth stays.
//!
//! A lookup join keeps its right side only: a left row meets what is there when it comes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int8Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::error::DataFusionError;
use rtsap_plan::graph::Node;
use rtsap_plan::join::{JoinKind, RegularJoinSpec, Side};
use rtsap_stream::change::{ChangeBatch, Op};
use rtsap_stream::time::EventTime;

use crate::state::{StateError, StateReader, StateWriter};

use super::join::made::{Made, look_up};
use super::join::rows::{Counted, RowId, RowTable};
use super::join::{
    BATCH_ROWS, JoinKeys, NO_KEY, Pairing, dead_keys_max, punctual, report_late, restoring, saved,
};
use super::stateless::changes as paired;
use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output, append_only};

/// As `EXPLAIN` shows it.
const NAME: &str = "RegularJoin";

/// Rows that one batch of changes may make at most: some gigabytes, which nothing else would stop
/// before the memory is used up.
const MADE_ROWS_MAX: usize = 1 << 24;

/// The state machine of a [`RegularJoinSpec`].
pub struct RegularJoin {
    spec: RegularJoinSpec,
    pairing: Pairing,
    inputs: [SchemaRef; 2],
    keys: JoinKeys,
    times: [Option<TimeColumn>; 2],
    tables: [RowTable; 2],
    time: EventTime,
    promises: bool,
}

/// A batch of changes of one side while it is joined.
struct Arrived<'a> {
    side: Side,
    rows: &'a RecordBatch,
    changes: &'a ChangeBatch,
    keys: &'a [u32],
}

impl RegularJoin {
    /// The join of `node`, which is `spec`, over rows of `inputs`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if the node contradicts itself; [`OperatorError::Compute`] if
    /// its keys cannot be told apart; [`OperatorError::Arrow`] if its rows cannot.
    pub fn new(
        node: &Node,
        inputs: &[SchemaRef],
        spec: &RegularJoinSpec,
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
        let time = |port: usize, schema: &SchemaRef| {
            let kept = spec.kept[port];
            kept.map(|kept| TimeColumn::of(NAME, schema, kept.time))
                .transpose()
        };
        let residual = spec.residual.as_ref();
        Ok(Self {
            pairing: Pairing::new(NAME, inputs, residual, &spec.output, schema),
            keys: JoinKeys::new(NAME, &spec.keys, inputs)?,
            times: [time(0, left)?, time(1, right)?],
            tables: [
                RowTable::new(left).map_err(OperatorError::arrow(NAME))?,
                RowTable::new(right).map_err(OperatorError::arrow(NAME))?,
            ],
            inputs: [Arc::clone(left), Arc::clone(right)],
            time: EventTime::MIN,
            promises: node.properties.event_time.is_some(),
            spec: spec.clone(),
        })
    }

    /// Rows of `side` before this are forgotten.
    fn limit(&self, side: Side) -> EventTime {
        let other = self.spec.kept[side.other().port()];
        match (self.spec.kept[side.port()], self.time) {
            (Some(_), EventTime::MAX) if other.is_some() => EventTime::MAX,
            // This side has come to its end, the other one has none: its rows come and change.
            (Some(_), EventTime::MAX) | (None, _) => EventTime::MIN,
            (Some(kept), time) => time.minus_nanos(kept.nanos),
        }
    }

    /// The partners of the rows from `first` on, up to about a batch of them, and where those rows
    /// end. Pairs are rows of the batch and of the other table, in order.
    fn candidates(&self, arrived: &Arrived<'_>, first: usize) -> (Vec<(u32, RowId)>, usize) {
        let other = &self.tables[arrived.side.other().port()];
        let mut pairs = Vec::new();
        let mut row = first;
        while row < arrived.keys.len() && pairs.len() < BATCH_ROWS {
            let key = arrived.keys[row];
            if key != NO_KEY {
                let partners = other.of_key(key).iter();
                pairs.extend(partners.map(|partner| (row as u32, *partner)));
            }
            row += 1;
        }
        (pairs, row)
    }

    /// Keeps the pairs that fulfil the residual condition.
    fn fulfil(
        &self,
        arrived: &Arrived<'_>,
        pairs: Vec<(u32, RowId)>,
    ) -> Result<Vec<(u32, RowId)>, OperatorError> {
        let Some(residual) = self.pairing.residual.as_ref().filter(|_| !pairs.is_empty()) else {
            return Ok(pairs);
        };
        let own = UInt32Array::from_iter_values(pairs.iter().map(|(row, _)| *row));
        let own = arrived.rows.columns().iter().map(|c| take(c, &own, None));
        let own = own
            .collect::<Result<Vec<_>, _>>()
            .map_err(OperatorError::arrow(NAME))?;
        let other = &self.tables[arrived.side.other().port()];
        let other = other.columns(pairs.iter().map(|(_, id)| *id));
        let other = other.map_err(OperatorError::arrow(NAME))?;
        let columns = match arrived.side {
            Side::Left => [own, other].concat(),
            Side::Right => [other, own].concat(),
        };
        let mask = self.pairing.fulfilled(residual, columns)?;
        let fulfilled = |index: usize| mask.is_valid(index) && mask.value(index);
        let kept = pairs.into_iter().enumerate();
        Ok(kept
            .filter(|(index, _)| fulfilled(*index))
            .map(|(_, pair)| pair)
            .collect())
    }

    /// What one changed row makes of the result, and of the state.
    fn change(
        &mut self,
        arrived: &Arrived<'_>,
        row: u32,
        partners: &[(u32, RowId)],
        content: &[u8],
        time: Option<i64>,
        made: &mut Made,
    ) -> Result<(), OperatorError> {
        let (kind, side) = (self.spec.kind, arrived.side);
        let op = arrived.changes.op(row as usize);
        let sign = op as i8;
        let key = arrived.keys[row as usize];
        let [own, other] = side_tables(&mut self.tables, side);
        let met: i64 = partners
            .iter()
            .map(|(_, id)| i64::from(other.count(*id)))
            .sum();
        let mut matches = met;
        if key != NO_KEY {
            let known = own.find(content);
            matches = known.map_or(met, |id| own.matches(id));
            match (op, known) {
                (Op::Insert, _) => {
                    own.add(content, key, time, 1, met);
                }
                (Op::Delete, Some(id)) => own.take_one(id),
                (Op::Delete, None) => {
                    return Err(OperatorError::contract(
                        NAME,
                        "a delete of a row that was not there".to_owned(),
                    ));
                }
            }
        }
        if self.spec.lookup {
            return Ok(());
        }
        let alone = matches == 0;
        let shows = match kind {
            JoinKind::LeftSemi => side == Side::Left && !alone,
            _ => kind.keeps(side) && alone,
        };
        if shows {
            made.push(Some(row), None, sign, 1);
        }
        for (_, id) in partners {
            let count = other.count(*id);
            let (before, after) = other.add_matches(*id, i64::from(sign));
            let first = before == 0 && after == 1;
            let last = before == 1 && after == 0;
            let turns = first || last;
            if kind == JoinKind::LeftSemi && side == Side::Right && turns {
                made.push(None, Some(*id), sign, count);
            }
            if kind.keeps(side.other()) && first {
                made.push(None, Some(*id), -1, count);
            }
            if kind.pairs() {
                made.push(Some(row), Some(*id), sign, count);
            }
            if kind.keeps(side.other()) && last {
                made.push(None, Some(*id), 1, count);
            }
        }
        Ok(())
    }

    fn send(
        &self,
        arrived: &Arrived<'_>,
        made: Made,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        if made.ops.is_empty() {
            return Ok(());
        }
        let own_indices = UInt32Array::from(made.own);
        let table = &self.tables[arrived.side.other().port()];
        let others = table.columns(made.other.iter().flatten().copied());
        let others = others.map_err(OperatorError::arrow(NAME))?;
        let mut next = 0;
        let other_indices = made.other.iter().map(|id| {
            id.map(|_| {
                next += 1;
                next - 1
            })
        });
        let other_indices: UInt32Array = other_indices.collect();
        let columns = self.spec.output.iter().map(|column| {
            if column.side == arrived.side {
                take(arrived.rows.column(column.index), &own_indices, None)
            } else {
                take(&others[column.index], &other_indices, None)
            }
        });
        let columns: Vec<ArrayRef> = columns
            .collect::<Result<_, _>>()
            .map_err(OperatorError::arrow(NAME))?;
        let schema = Arc::clone(&self.pairing.schema);
        // Of rows without columns there is still a number.
        let count = RecordBatchOptions::new().with_row_count(Some(made.ops.len()));
        let rows = RecordBatch::try_new_with_options(schema, columns, &count);
        let rows = rows.map_err(OperatorError::arrow(NAME))?;
        out.changes
            .push(paired(NAME, rows, Some(Int8Array::from(made.ops)))?);
        Ok(())
    }

    fn join_batch(
        &mut self,
        side: Side,
        changes: &ChangeBatch,
        times: Option<&[i64]>,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let rows = changes.rows();
        let keys = self.keys.number(side, rows)?;
        let contents = self.tables[side.port()]
            .contents(rows)
            .map_err(OperatorError::arrow(NAME))?;
        let arrived = Arrived {
            side,
            rows,
            changes,
            keys: &keys,
        };
        let (mut first, mut made_rows) = (0, 0);
        while first < rows.num_rows() {
            let (pairs, end) = self.candidates(&arrived, first);
            let pairs = self.fulfil(&arrived, pairs)?;
            let mut made = Made::default();
            let mut at = 0;
            for row in first..end {
                let start = at;
                while pairs.get(at).is_some_and(|(own, _)| *own as usize == row) {
                    at += 1;
                }
                if self.spec.lookup && side == Side::Left {
                    let partners = &pairs[start..at];
                    look_up(
                        self.spec.kind,
                        row as u32,
                        partners,
                        &self.tables[1],
                        &mut made,
                    );
                    continue;
                }
                let content = contents.row(row);
                let time = times.map(|times| times[row]);
                let partners = &pairs[start..at];
                self.change(
                    &arrived,
                    row as u32,
                    partners,
                    content.data(),
                    time,
                    &mut made,
                )?;
            }
            made_rows += made.ops.len();
            if made_rows > MADE_ROWS_MAX {
                return Err(too_many_rows());
            }
            self.send(&arrived, made, out)?;
            first = end;
        }
        Ok(())
    }

    /// Forgets keys without rows.
    fn tidy(&mut self) -> Result<(), OperatorError> {
        let live: usize = self.tables.iter().map(RowTable::live_keys).sum();
        let rows: usize = self.tables.iter().map(RowTable::row_count).sum();
        if self.keys.count().saturating_sub(live) <= dead_keys_max(rows) {
            return Ok(());
        }
        let [left, right] = &self.tables;
        let left = left
            .everything(BATCH_ROWS)
            .map_err(OperatorError::arrow(NAME))?;
        let right = right
            .everything(BATCH_ROWS)
            .map_err(OperatorError::arrow(NAME))?;
        self.clear()?;
        for (side, batches) in [(Side::Left, left), (Side::Right, right)] {
            for counted in batches {
                self.put_back(side, &counted)?;
            }
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<(), OperatorError> {
        self.keys.clear()?;
        for (table, schema) in self.tables.iter_mut().zip(&self.inputs) {
            *table = RowTable::new(schema).map_err(OperatorError::arrow(NAME))?;
        }
        Ok(())
    }

    fn put_back(&mut self, side: Side, counted: &Counted) -> Result<(), OperatorError> {
        let times = match &self.times[side.port()] {
            None => None,
            Some(time) => Some(punctual(NAME, time, &counted.rows, EventTime::MIN)?.times),
        };
        let keys = self.keys.number(side, &counted.rows)?;
        let table = &mut self.tables[side.port()];
        let contents = table
            .contents(&counted.rows)
            .map_err(OperatorError::arrow(NAME))?;
        for (row, content) in contents.iter().enumerate() {
            let time = times.as_ref().and_then(|times| times.get(row)).copied();
            let (count, matches) = (counted.counts[row], counted.matches[row]);
            table.add(content.data(), keys[row], time, count, matches);
        }
        Ok(())
    }
}

fn too_many_rows() -> OperatorError {
    let found = format!("changes at one time give more than {MADE_ROWS_MAX} joined rows");
    OperatorError::compute(NAME)(DataFusionError::ResourcesExhausted(found))
}

fn side_tables(tables: &mut [RowTable; 2], side: Side) -> [&mut RowTable; 2] {
    let [left, right] = tables;
    match side {
        Side::Left => [left, right],
        Side::Right => [right, left],
    }
}

impl Operator for RegularJoin {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let side = if port == 0 { Side::Left } else { Side::Right };
        if self.spec.lookup && side == Side::Left {
            append_only(NAME, changes)?;
        }
        let Some(time) = &self.times[port] else {
            return self.join_batch(side, changes, None, out);
        };
        append_only(NAME, changes)?;
        let arrived = punctual(NAME, time, changes.rows(), self.limit(side))?;
        report_late(arrived.late, out);
        if arrived.rows.num_rows() == 0 {
            return Ok(());
        }
        let changes = ChangeBatch::inserts(arrived.rows);
        self.join_batch(side, &changes, Some(&arrived.times), out)
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        if time > self.time {
            self.time = time;
            for side in [Side::Left, Side::Right] {
                let limit = self.limit(side);
                self.tables[side.port()].expire(limit.nanos());
            }
            self.tidy()?;
        }
        Ok(match self.promises {
            // Nothing is held back.
            true if self.spec.lookup => time,
            true => self.limit(Side::Left),
            false => EventTime::MIN,
        })
    }

    fn on_publish(&mut self, _out: &mut Output) -> Result<(), OperatorError> {
        self.tidy()
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        saved::put_time(self.time, out)?;
        for (table, section) in self.tables.iter_mut().zip(saved::ROWS) {
            saved::put_table(section, table, out)?;
        }
        Ok(())
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        self.time = saved::time(from)?;
        self.clear().map_err(restoring)?;
        for side in [Side::Left, Side::Right] {
            let port = side.port();
            for counted in saved::counted(from, saved::ROWS[port], &self.inputs[port])? {
                self.put_back(side, &counted).map_err(restoring)?;
            }
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.keys.size() + self.tables.iter().map(RowTable::bytes).sum::<usize>()
    }
}
