//! Drives a dataflow of two inputs through a random life, and keeps what an answer can be computed
//! from.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int8Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::datatypes::{Int64Type, TimestampMillisecondType};
use proptest::prelude::*;
use rtsap_plan::graph::StreamPlan;
use rtsap_plan::join::Side;
use rtsap_plan::operator::ObjectId;
use rtsap_runtime::dataflow::Dataflow;
use rtsap_stream::change::{ChangeBatch, Op};
use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use super::super::saves::Saves;
use super::plan::schema;
use super::{Pairs, add, same_key};

pub const SIDES: [Side; 2] = [Side::Left, Side::Right];
const SECOND: i64 = 1_000_000_000;

/// One row; times in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub ts: Option<i64>,
    pub k: Option<String>,
    pub v: i64,
    pub id: i64,
}

#[derive(Clone, Debug)]
pub enum Step {
    Rows(usize, Vec<Row>),
    /// The side's watermark follows its rows, this many seconds behind.
    Watermark(usize, i64),
    /// Some rows are taken back: every `n`-th one that is there.
    Retract(usize, usize),
    Publish,
    /// A cut is published and saved; the process dies and starts again from it.
    Crash,
    /// The side has gone quiet.
    Idle(usize),
}

#[derive(Clone, Debug)]
pub struct Life {
    pub steps: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq)]
pub enum Input {
    Insert,
    Delete,
}

pub fn lives() -> impl Strategy<Value = Life> {
    let key = prop_oneof![
        1 => Just(None),
        6 => prop::sample::select(vec!["a", "b", "c"]).prop_map(|k| Some(k.to_owned())),
    ];
    let row = (prop::option::weighted(0.97, -4..5_i64), key, 0..4_i64).prop_map(|(ts, k, v)| Row {
        ts,
        k,
        v,
        id: 0,
    });
    let rows = (0..2_usize, prop::collection::vec(row, 1..12));
    let step = prop_oneof![
        8 => rows.prop_map(|(side, rows)| Step::Rows(side, rows)),
        5 => (0..2_usize, 0..8_i64).prop_map(|(side, lag)| Step::Watermark(side, lag)),
        1 => (0..2_usize, 1..4_usize).prop_map(|(side, nth)| Step::Retract(side, nth)),
        1 => Just(Step::Publish),
        1 => Just(Step::Crash),
        1 => (0..2_usize).prop_map(Step::Idle),
    ];
    prop::collection::vec(step, 1..40).prop_map(number)
}

/// Lets time advance with the rows and gives them ids.
fn number(mut steps: Vec<Step>) -> Life {
    let mut seen = 0;
    for step in &mut steps {
        let Step::Rows(_, rows) = step else { continue };
        for row in rows {
            seen += 1;
            row.ts = row.ts.map(|jitter| seen / 3 + jitter);
            row.id = seen;
        }
    }
    Life { steps }
}

pub fn batch(rows: &[Row]) -> RecordBatch {
    let ts: TimestampMillisecondArray =
        rows.iter().map(|row| row.ts.map(|ts| ts * 1_000)).collect();
    let k: StringArray = rows.iter().map(|row| row.k.as_deref()).collect();
    let v: Int64Array = rows.iter().map(|row| Some(row.v)).collect();
    let id: Int64Array = rows.iter().map(|row| Some(row.id)).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(ts), Arc::new(k), Arc::new(v), Arc::new(id)];
    RecordBatch::try_new(schema(), columns).unwrap()
}

/// The first two columns of each row.
pub fn ids(batch: &RecordBatch) -> Vec<(Option<i64>, Option<i64>)> {
    let column = |index: usize| batch.column(index).as_primitive::<Int64Type>();
    let value = |column: &Int64Array, row| column.is_valid(row).then(|| column.value(row));
    let all = 0..batch.num_rows();
    all.map(|row| (value(column(0), row), value(column(1), row)))
        .collect()
}

/// A dataflow that runs, and what is known of it.
pub struct Run {
    plan: StreamPlan,
    dataflow: Dataflow,
    /// Rows that were not late, in order of arrival, by side.
    pub in_time: [Vec<Row>; 2],
    /// Rows that are there now, where rows are taken back.
    pub present: [Vec<Row>; 2],
    /// Pairs of rows that met within the time that rows are kept.
    pub met: Pairs,
    /// How long rows are kept, in seconds.
    pub kept: i64,
    pub result: Pairs,
    newest: [Option<i64>; 2],
    watermarks: [Option<i64>; 2],
    idle: [bool; 2],
    time: i64,
    late: u64,
    rows: u64,
    /// What the result has promised, in nanoseconds.
    promised: i64,
    saves: Saves,
}

impl Run {
    pub fn new(plan: &StreamPlan) -> Self {
        plan.check().unwrap();
        Self {
            plan: plan.clone(),
            dataflow: Dataflow::new(plan).unwrap(),
            in_time: [vec![], vec![]],
            present: [vec![], vec![]],
            met: Pairs::new(),
            kept: 0,
            result: BTreeMap::new(),
            newest: [None; 2],
            watermarks: [None; 2],
            idle: [false; 2],
            time: i64::MIN,
            late: 0,
            rows: 0,
            promised: i64::MIN,
            saves: Saves::default(),
        }
    }

    pub fn live(&mut self, life: &Life) {
        life.steps.iter().for_each(|step| self.step(step, false));
    }

    /// `retracts` says whether rows are taken back, and time means nothing.
    pub fn step(&mut self, step: &Step, retracts: bool) {
        match step {
            Step::Rows(side, rows) => self.feed(*side, rows.clone(), Input::Insert),
            Step::Watermark(side, lag) => {
                if let Some(newest) = self.newest[*side] {
                    self.advance(*side, newest - lag);
                }
            }
            Step::Retract(side, nth) if retracts => {
                let all = self.present[*side].iter().step_by(*nth);
                let rows: Vec<Row> = all.cloned().collect();
                self.feed(*side, rows, Input::Delete);
            }
            Step::Retract(..) => {}
            Step::Publish => self.publish(),
            Step::Crash => self.crash(),
            Step::Idle(side) => {
                self.idle[*side] = true;
                self.dataflow
                    .advance(ObjectId(*side as u64), Watermark::Idle)
                    .unwrap();
                self.meet();
                self.collect();
            }
        }
    }

    pub fn feed(&mut self, side: usize, rows: Vec<Row>, input: Input) {
        let op = if input == Input::Insert { 1 } else { -1 };
        let ops = Int8Array::from(vec![op; rows.len()]);
        let changes = ChangeBatch::try_new(batch(&rows), ops).unwrap();
        self.rows += rows.len() as u64;
        self.dataflow
            .feed(ObjectId(side as u64), &changes, &Some)
            .unwrap();
        for row in rows {
            self.newest[side] = self.newest[side].max(row.ts);
            if input == Input::Delete {
                let at = self.present[side].iter().position(|other| *other == row);
                self.present[side].remove(at.unwrap());
                continue;
            }
            self.present[side].push(row.clone());
            let limit = self.time.saturating_sub(self.kept);
            if row.ts.is_none_or(|ts| ts < limit) {
                continue;
            }
            for other in &self.in_time[1 - side] {
                let fresh = other.ts.is_some_and(|ts| ts >= limit);
                if fresh && same_key(&row, other) {
                    let (left, right) = if side == 0 {
                        (&row, other)
                    } else {
                        (other, &row)
                    };
                    add(&mut self.met, Some(left.id), Some(right.id));
                }
            }
            self.in_time[side].push(row);
        }
        self.collect();
    }

    pub fn advance(&mut self, side: usize, seconds: i64) {
        let object = ObjectId(side as u64);
        // Of an input the times of promises never decrease.
        let seconds = self.watermarks[side].map_or(seconds, |before| before.max(seconds));
        let time = EventTime::from_nanos(seconds.saturating_mul(SECOND));
        self.watermarks[side] = Some(seconds);
        self.idle[side] = false;
        self.dataflow.advance(object, Watermark::At(time)).unwrap();
        self.meet();
        self.collect();
    }

    /// Event time of the join: the lesser of both, as far as it has ever come.
    fn meet(&mut self) {
        let known = |side: usize| {
            if self.idle[side] {
                Some(None)
            } else {
                self.watermarks[side].map(Some)
            }
        };
        let (Some(left), Some(right)) = (known(0), known(1)) else {
            return;
        };
        if let Some(least) = left.into_iter().chain(right).min() {
            self.time = self.time.max(least);
        }
    }

    fn publish(&mut self) {
        self.dataflow.publish().unwrap();
        self.collect();
        let Self {
            saves, dataflow, ..
        } = self;
        saves.write(|writer| dataflow.snapshot("", writer).unwrap());
    }

    fn crash(&mut self) {
        self.publish();
        let sections = self.saves.restart();
        let ledger = self.dataflow.ledger();
        self.dataflow = Dataflow::new(&self.plan).unwrap();
        self.dataflow.restore_ledger(ledger);
        self.dataflow.restore(&sections).unwrap();
        // One side after the other: what it has promised, then that it is quiet.
        let idle = std::mem::take(&mut self.idle);
        for (side, idle) in idle.into_iter().enumerate() {
            let object = ObjectId(side as u64);
            if let Some(seconds) = self.watermarks[side] {
                let time = EventTime::from_nanos(seconds.saturating_mul(SECOND));
                self.dataflow.advance(object, Watermark::At(time)).unwrap();
                self.meet();
            }
            if idle {
                self.idle[side] = true;
                self.dataflow.advance(object, Watermark::Idle).unwrap();
                self.meet();
            }
        }
        self.collect();
    }

    pub fn end(&mut self) {
        for side in [0, 1] {
            self.idle[side] = false;
            self.watermarks[side] = Some(i64::MAX);
            self.dataflow
                .advance(ObjectId(side as u64), Watermark::At(EventTime::MAX))
                .unwrap();
        }
        self.publish();
    }

    pub fn state_bytes(&self) -> usize {
        self.dataflow.state_bytes()
    }

    pub fn check_ledger(&self) {
        let ledger = self.dataflow.ledger();
        assert_eq!(ledger.rows_in, self.rows);
        assert_eq!(ledger.late, self.late);
        assert!(ledger.balances(), "{ledger:?}");
        let in_time: usize = self.in_time.iter().map(Vec::len).sum();
        if self.present.iter().map(Vec::len).sum::<usize>() as u64 == self.rows && self.late > 0 {
            assert_eq!(in_time as u64 + self.late, self.rows);
        }
    }

    fn check_promise(&self, rows: &RecordBatch) {
        let Some(column) = self.plan.output().unwrap().event_time else {
            return;
        };
        let times = rows
            .column(column)
            .as_primitive::<TimestampMillisecondType>();
        for time in times {
            let time = time.unwrap() * 1_000_000;
            assert!(time >= self.promised, "{time} after {}", self.promised);
        }
    }

    /// Takes what has come out; nothing may be below what was promised before.
    fn collect(&mut self) {
        let results = self.dataflow.take_results();
        self.late += results
            .late
            .iter()
            .map(|rows| rows.num_rows() as u64)
            .sum::<u64>();
        for changes in results.changes {
            let rows = changes.rows();
            self.check_promise(rows);
            let pairs: Vec<(Option<i64>, Option<i64>)> = if rows.num_columns() == 4 {
                ids(rows)
            } else {
                let column = rows.column(0).as_primitive::<Int64Type>();
                column.iter().map(|id| (id, None)).collect()
            };
            for (row, (left, right)) in pairs.into_iter().enumerate() {
                let sign = if changes.op(row) == Op::Insert { 1 } else { -1 };
                let count = self.result.entry((left, right)).or_default();
                *count += sign;
                assert!(
                    *count >= 0,
                    "a delete of {left:?} {right:?}, which is not there"
                );
            }
            self.result.retain(|_, count| *count != 0);
        }
        if let Some(time) = self.dataflow.watermark() {
            self.promised = self.promised.max(time.nanos());
        }
    }
}
