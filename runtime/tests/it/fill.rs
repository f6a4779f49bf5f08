//! Rows for windows without rows: equal to what a loop over all windows and keys gives, however the
//! rows are cut, wherever event time stops in between, and across crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{Array, TimestampSecondArray};
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::TimestampSecondType;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, SchemaRef, TimeUnit};
use datafusion::scalar::ScalarValue;
use proptest::prelude::*;
use rtsap_plan::fill::{FillSpec, Filling};
use rtsap_plan::graph::Node;
use rtsap_plan::operator::OperatorSpec;
use rtsap_plan::window::WindowSpec;
use rtsap_runtime::operator::{Operator, Output, instantiate};
use rtsap_runtime::state::{StateReader, StateWriter, decode, encode};
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::time::EventTime;

use super::script::{SECOND, node};

const SIZE: i64 = 10;

/// Start, key, value on a line or as before, count.
type Made = (i64, String, Option<i64>, Option<i64>);

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("start", DataType::Timestamp(TimeUnit::Second, None), false),
        Field::new("k", DataType::Utf8, true),
        Field::new("v", DataType::Float64, true),
        Field::new("n", DataType::Int64, true),
    ]))
}

fn fill(value: Filling) -> Node {
    let waits = value == Filling::Linear;
    let spec = FillSpec {
        window: WindowSpec::Tumble {
            size_nanos: SIZE * SECOND,
            offset_nanos: 0,
        },
        time: 0,
        columns: vec![
            Filling::Start,
            Filling::Key,
            value,
            Filling::Value(ScalarValue::Int64(Some(0))),
        ],
    };
    let time = (!waits).then_some(0);
    node(
        OperatorSpec::Fill(spec),
        schema(),
        ChangelogMode::Append,
        time,
    )
}

fn batch(rows: &[(i64, &str, i64)]) -> ChangeBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampSecondArray::from_iter_values(
            rows.iter().map(|row| row.0 * SIZE),
        )),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(Float64Array::from_iter_values(
            rows.iter().map(|row| row.2 as f64),
        )),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|_| 1))),
    ];
    ChangeBatch::inserts(RecordBatch::try_new(schema(), columns).unwrap())
}

fn read(out: &Output, rows: &mut Vec<Made>) {
    for changes in &out.changes {
        let columns = changes.rows().columns();
        let (start, keys) = (
            columns[0].as_primitive::<TimestampSecondType>(),
            columns[1].as_string::<i32>(),
        );
        let values = columns[2].as_primitive::<Float64Type>();
        let counts = columns[3].as_primitive::<Int64Type>();
        for row in 0..changes.len() {
            // To a thousandth: lines are doubles.
            let value = values
                .is_valid(row)
                .then(|| (values.value(row) * 1000.0).round() as i64);
            rows.push((
                start.value(row) / SIZE,
                keys.value(row).to_owned(),
                value,
                counts.is_valid(row).then(|| counts.value(row)),
            ));
        }
    }
}

fn crash(operator: &mut Box<dyn Operator>, node: &Node) {
    let mut writer = StateWriter::default();
    operator.snapshot(&mut writer).unwrap();
    let sections = decode(&encode(&writer.into_sections()).unwrap()).unwrap();
    *operator = instantiate::operator(node, &[schema()]).unwrap();
    operator.restore(&StateReader::new(sections)).unwrap();
}

/// All rows before window `until`, those between two rows of a key made as `value` says.
fn answer(rows: &BTreeMap<(i64, &str), i64>, until: i64, value: &Filling) -> BTreeSet<Made> {
    let mut made = BTreeSet::new();
    let keys: BTreeSet<&str> = rows.keys().map(|(_, key)| *key).collect();
    for key in keys {
        let mut own: Vec<(i64, i64)> = Vec::new();
        for ((start, other), value) in rows {
            if other == &key && *start < until {
                own.push((*start, *value));
            }
        }
        for (index, (start, from)) in own.iter().enumerate() {
            made.insert((*start, key.to_owned(), Some(from * 1000), Some(1)));
            let next = own.get(index + 1);
            let end = match (next, value) {
                (Some((next, _)), _) => *next,
                (None, Filling::Linear) => start + 1,
                (None, _) => until,
            };
            for window in start + 1..end {
                let value = match (value, next) {
                    (Filling::Linear, Some((next, to))) => {
                        let share = (window - start) as f64 / (next - start) as f64;
                        Some(((*from as f64 + (to - from) as f64 * share) * 1000.0).round() as i64)
                    }
                    (Filling::Previous, _) => Some(from * 1000),
                    _ => None,
                };
                made.insert((window, key.to_owned(), value, Some(0)));
            }
        }
    }
    made
}

fn check(rows: Vec<(i64, usize, i64)>, cuts: Vec<usize>, crashes: Vec<bool>, value: &Filling) {
    const KEYS: [&str; 3] = ["a", "b", "c"];
    let rows: BTreeMap<(i64, &str), i64> = rows
        .into_iter()
        .map(|(start, key, value)| ((start, KEYS[key]), value))
        .collect();
    let node = fill(value.clone());
    let mut operator = instantiate::operator(&node, &[schema()]).unwrap();
    let mut found = Vec::new();
    // Rows come in order of time, as windows close; cuts say how many at once.
    let all: Vec<(i64, &str, i64)> = rows.iter().map(|((s, k), v)| (*s, *k, *v)).collect();
    let mut at = 0;
    let mut until = i64::MIN;
    for (cut, dies) in cuts.iter().zip(&crashes) {
        let end = (at + cut).min(all.len());
        let mut out = Output::default();
        if end > at {
            operator
                .on_changes(0, &batch(&all[at..end]), &mut out)
                .unwrap();
        }
        // What has not come may be of the window of the next row.
        if let Some((next, ..)) = all.get(end) {
            until = *next;
            let time = EventTime::from_nanos(next * SIZE * SECOND);
            operator.on_watermark(time, &mut out).unwrap();
        }
        read(&out, &mut found);
        at = end;
        if *dies {
            crash(&mut operator, &node);
        }
    }
    let expected = answer(&rows, until, value);
    let unique: BTreeSet<Made> = found.iter().cloned().collect();
    assert_eq!(unique.len(), found.len(), "a row comes once");
    assert_eq!(unique, expected);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn every_window_that_has_passed_has_a_row_of_each_key(
        rows in prop::collection::vec((-5..40_i64, 0..3_usize, -20..20_i64), 1..60),
        cuts in prop::collection::vec(0..9_usize, 1..20),
        crashes in prop::collection::vec(any::<bool>(), 20),
        which in 0..3_usize,
    ) {
        let value = [
            Filling::Previous,
            Filling::Value(ScalarValue::Float64(None)),
            Filling::Linear,
        ];
        check(rows, cuts, crashes, &value[which]);
    }
}

#[test]
fn a_jump_of_event_time_is_an_error_and_not_a_flood() {
    let node = fill(Filling::Previous);
    let mut operator = instantiate::operator(&node, &[schema()]).unwrap();
    let mut out = Output::default();
    operator
        .on_changes(0, &batch(&[(0, "a", 1)]), &mut out)
        .unwrap();
    let far = EventTime::from_nanos(6_000_000 * SIZE * SECOND);
    let error = operator.on_watermark(far, &mut out).unwrap_err();
    assert!(error.to_string().contains("windows to fill"), "{error}");
}

#[test]
fn at_the_end_of_all_sources_nothing_is_made_for_ever() {
    let node = fill(Filling::Previous);
    let mut operator = instantiate::operator(&node, &[schema()]).unwrap();
    let mut out = Output::default();
    operator
        .on_changes(0, &batch(&[(0, "a", 1), (3, "b", 2)]), &mut out)
        .unwrap();
    operator.on_watermark(EventTime::MAX, &mut out).unwrap();
    let mut rows = Vec::new();
    read(&out, &mut rows);
    let starts: Vec<(i64, &str)> = rows.iter().map(|row| (row.0, row.1.as_str())).collect();
    assert_eq!(starts, [(0, "a"), (1, "a"), (2, "a"), (3, "b"), (3, "a")]);
}
