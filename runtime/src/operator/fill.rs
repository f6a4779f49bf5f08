//! Adds rows for windows in which a key has none, once event time has passed them.
//!
//! ```text
//! row of a closed window ──▶ waits ──watermark──▶ windows in order: each key's row, or a made one
//! ```
//!
//! A key has rows from its first window on. Rows on a line between two are made when the second
//! comes; all others when event time passes their window. What is kept is the last row of each key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;
use rtsap_plan::fill::{FillSpec, Filling};
use rtsap_plan::graph::Node;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::{EventTime, nanos_per};

use crate::state::{StateError, StateReader, StateWriter};

use super::join::{BATCH_ROWS, restoring, saved};
use super::{Operator, OperatorError, Output, append_only};

/// As `EXPLAIN` shows it.
const NAME: &str = "Fill";
/// The section of the last rows of all keys.
const LAST: &str = "last";
/// The section of rows whose windows event time has not passed.
const WAITING: &str = "waiting";

/// Most rows that are made at once: more are a jump of event time, not a gap in a market.
const MADE_MAX: usize = 5_000_000;

type Values = Vec<ScalarValue>;

/// The state machine of a [`FillSpec`].
pub struct Fill {
    spec: FillSpec,
    schema: SchemaRef,
    unit_nanos: i64,
    /// Keys by their order of appearance, with their last rows.
    keys: HashMap<Values, usize, ahash::RandomState>,
    last: Vec<(i64, Values)>,
    /// Rows by the starts of their windows.
    waiting: BTreeMap<i64, Vec<Values>>,
    /// Windows before this are done.
    done: EventTime,
    promises: bool,
}

impl Fill {
    /// The operator of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if the node contradicts itself.
    pub fn new(node: &Node, input: &SchemaRef, spec: &FillSpec) -> Result<Self, OperatorError> {
        let schema = Arc::clone(&node.properties.schema);
        let fits = spec.columns.len() == schema.fields().len()
            && input.fields().len() == schema.fields().len()
            && spec.columns.get(spec.time) == Some(&Filling::Start);
        let unit = match input.fields().get(spec.time).map(|field| field.data_type()) {
            Some(arrow::datatypes::DataType::Timestamp(unit, _)) if fits => *unit,
            _ => {
                return Err(OperatorError::contract(
                    NAME,
                    format!("the specification {spec}"),
                ));
            }
        };
        Ok(Self {
            spec: spec.clone(),
            schema,
            unit_nanos: nanos_per(unit),
            keys: HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4)),
            last: Vec::new(),
            waiting: BTreeMap::new(),
            done: EventTime::MIN,
            promises: node.properties.event_time.is_some(),
        })
    }

    fn start_of(&self, row: &[ScalarValue]) -> Result<i64, OperatorError> {
        let start = match row.get(self.spec.time) {
            Some(
                ScalarValue::TimestampSecond(Some(time), _)
                | ScalarValue::TimestampMillisecond(Some(time), _)
                | ScalarValue::TimestampMicrosecond(Some(time), _)
                | ScalarValue::TimestampNanosecond(Some(time), _),
            ) => time.checked_mul(self.unit_nanos),
            _ => None,
        };
        start.ok_or_else(|| OperatorError::contract(NAME, "a window without a start".to_owned()))
    }

    fn key_of(&self, row: &[ScalarValue]) -> Values {
        let columns = self.spec.columns.iter().zip(row);
        let keys = columns.filter(|(column, _)| **column == Filling::Key);
        keys.map(|(_, value)| value.clone()).collect()
    }

    /// The number of a row's key, and whether it is new.
    fn number(&mut self, row: &[ScalarValue], start: i64) -> (usize, bool) {
        let key = self.key_of(row);
        if let Some(number) = self.keys.get(&key) {
            return (*number, false);
        }
        let number = self.last.len();
        self.keys.insert(key, number);
        self.last.push((start, row.to_vec()));
        (number, true)
    }

    fn at(&self, start: i64) -> Result<ScalarValue, OperatorError> {
        let of = self.schema.field(self.spec.time).data_type();
        ScalarValue::Int64(Some(start.div_euclid(self.unit_nanos)))
            .cast_to(of)
            .map_err(OperatorError::compute(NAME))
    }

    /// The row that is made after `before` for the window at `start`; `next` is the row that comes
    /// later, where it is known.
    fn made(
        &self,
        before: &(i64, Values),
        start: i64,
        next: Option<&(i64, Values)>,
    ) -> Result<Values, OperatorError> {
        let mut row = Vec::with_capacity(self.spec.columns.len());
        for (index, column) in self.spec.columns.iter().enumerate() {
            row.push(match column {
                Filling::Start => self.at(start)?,
                Filling::Key | Filling::Previous => before.1[index].clone(),
                Filling::Value(value) => value.clone(),
                Filling::Linear => {
                    let to = next.map(|(time, row)| (*time, &row[index]));
                    between((before.0, &before.1[index]), to, start)
                }
            });
        }
        Ok(row)
    }

    /// Rows for the windows after the last row of key `number` and before `end`.
    fn fill_up(
        &self,
        number: usize,
        end: i64,
        next: Option<&(i64, Values)>,
        rows: &mut Vec<Values>,
    ) -> Result<(), OperatorError> {
        let before = &self.last[number];
        let mut start = self.spec.window.slice_end(before.0);
        while start < end {
            if rows.len() >= MADE_MAX {
                let found = format!("a gap of more than {MADE_MAX} windows to fill");
                return Err(OperatorError::contract(NAME, found));
            }
            rows.push(self.made(before, start, next)?);
            let following = self.spec.window.slice_end(start);
            if following <= start {
                break;
            }
            start = following;
        }
        Ok(())
    }

    /// The windows before `until`, in order of time, then of keys.
    fn pass(&mut self, until: i64) -> Result<Vec<Values>, OperatorError> {
        let open = self.waiting.split_off(&until);
        let passed = std::mem::replace(&mut self.waiting, open);
        let mut rows = Vec::new();
        let latest = passed.keys().next_back().copied();
        for (start, arrived) in passed {
            for row in arrived {
                let (number, new) = self.number(&row, start);
                if !new {
                    let next = (start, row.clone());
                    self.fill_up(number, start, Some(&next), &mut rows)?;
                }
                rows.push(row.clone());
                self.last[number] = (start, row);
            }
        }
        if !self.spec.waits() {
            // At the end of all sources the last window is the last that has rows.
            let end = match until {
                i64::MAX => latest.map_or(i64::MIN, |latest| self.spec.window.slice_end(latest)),
                until => until,
            };
            for number in 0..self.last.len() {
                let filled = rows.len();
                self.fill_up(number, end, None, &mut rows)?;
                if let Some(row) = rows.get(filled..).and_then(<[Values]>::last) {
                    // Its values are those of the last real row: only its time moves on.
                    let start = self.start_of(row)?;
                    self.last[number].0 = start;
                }
            }
        }
        let time = self.spec.time;
        rows.sort_by(|a, b| {
            a[time]
                .partial_cmp(&b[time])
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        Ok(rows)
    }

    fn batch(&self, rows: &[Values]) -> Result<RecordBatch, DataFusionError> {
        let fields = self.schema.fields().iter().enumerate();
        let columns = fields.map(|(index, field)| {
            if rows.is_empty() {
                return Ok(arrow::array::new_empty_array(field.data_type()));
            }
            ScalarValue::iter_to_array(rows.iter().map(|row| row[index].clone()))
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, DataFusionError>>()?;
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    fn take(&mut self, rows: &RecordBatch) -> Result<(), OperatorError> {
        for row in 0..rows.num_rows() {
            let values = rows.columns().iter();
            let values = values.map(|column| ScalarValue::try_from_array(column, row));
            let values = values
                .collect::<Result<Values, _>>()
                .map_err(OperatorError::compute(NAME))?;
            let start = self.start_of(&values)?;
            self.waiting.entry(start).or_default().push(values);
        }
        Ok(())
    }
}

/// The value at `time` on the line between two points; null where one of them is.
fn between(
    (first, from): (i64, &ScalarValue),
    to: Option<(i64, &ScalarValue)>,
    time: i64,
) -> ScalarValue {
    let number = |value: &ScalarValue| match value {
        ScalarValue::Float64(value) => *value,
        _ => None,
    };
    let line = to.and_then(|(last, to)| Some((number(from)?, number(to)?, last)));
    ScalarValue::Float64(line.map(|(from, to, last)| {
        let share = (time - first) as f64 / (last - first) as f64;
        from + (to - from) * share
    }))
}

impl Operator for Fill {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        _out: &mut Output,
    ) -> Result<(), OperatorError> {
        append_only(NAME, changes)?;
        self.take(changes.rows())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        if time > self.done {
            self.done = time;
            let rows = self.pass(time.nanos())?;
            for rows in rows.chunks(BATCH_ROWS) {
                let batch = self.batch(rows).map_err(OperatorError::compute(NAME))?;
                out.changes.push(ChangeBatch::inserts(batch));
            }
        }
        Ok(match self.promises {
            true => self.done,
            false => EventTime::MIN,
        })
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        saved::put_time(self.done, out)?;
        let last: Vec<Values> = self.last.iter().map(|(_, row)| row.clone()).collect();
        let starts = self.last.iter().map(|(start, _)| *start);
        let starts: ArrayRef = Arc::new(arrow::array::Int64Array::from_iter_values(starts));
        out.put(LAST, self.batch(&last)?);
        out.put("starts", RecordBatch::try_from_iter([("start", starts)])?);
        let waiting: Vec<Values> = self.waiting.values().flatten().cloned().collect();
        out.put(WAITING, self.batch(&waiting)?);
        Ok(())
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        self.done = saved::time(from)?;
        self.keys.clear();
        self.last.clear();
        self.waiting.clear();
        for rows in from.get(LAST) {
            for row in 0..rows.num_rows() {
                let values = rows.columns().iter();
                let values = values.map(|column| ScalarValue::try_from_array(column, row));
                let values = values.collect::<Result<Values, _>>()?;
                self.number(&values, 0);
            }
        }
        let mut number = 0;
        for starts in from.get("starts") {
            let starts = datafusion::common::cast::as_int64_array(starts.column(0))?;
            for start in starts.values() {
                if let Some(last) = self.last.get_mut(number) {
                    last.0 = *start;
                }
                number += 1;
            }
        }
        if number != self.last.len() {
            return Err(StateError::section(LAST, "has another number of keys"));
        }
        for rows in from.get(WAITING) {
            self.take(rows).map_err(restoring)?;
        }
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let bytes = |row: &Values| row.iter().map(ScalarValue::size).sum::<usize>();
        let last = self.last.iter().map(|(_, row)| 2 * bytes(row));
        let waiting = self.waiting.values().flatten().map(bytes);
        last.chain(waiting).sum()
    }
}
