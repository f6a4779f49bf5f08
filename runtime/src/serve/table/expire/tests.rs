//! Expired rows against the simplest model, under random changes, checkpoints and restores.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::serve::table::{ServedTable, Shape};

/// Rows of a key and a time in microseconds.
fn batch(rows: &[(i64, i64)]) -> ChangeBatch {
    let keys = Int64Array::from_iter_values(rows.iter().map(|(key, _)| *key));
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|(_, time)| *time));
    let columns: [(&str, ArrayRef); 2] = [("k", Arc::new(keys)), ("ts", Arc::new(times))];
    ChangeBatch::inserts(RecordBatch::try_from_iter(columns).unwrap())
}

fn table(shape: &Shape) -> ServedTable {
    ServedTable::new(batch(&[]).rows().schema(), shape.clone()).unwrap()
}

fn rows_of(batches: &[RecordBatch]) -> Vec<(i64, i64)> {
    let mut rows = Vec::new();
    for batch in batches {
        let keys = batch.column(0).as_primitive::<Int64Type>().values();
        let times = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        rows.extend(keys.iter().copied().zip(times.values().iter().copied()));
    }
    rows.sort_unstable();
    rows
}

fn served(table: &mut ServedTable) -> Vec<(i64, i64)> {
    rows_of(table.snapshot(None).batches().unwrap())
}

fn limit(micros: i64) -> EventTime {
    EventTime::from_nanos(micros * 1_000)
}

#[test]
fn a_row_goes_once_it_is_saved_and_not_before() {
    let mut table = table(&Shape::Append);
    table.keep(&batch(&[(1, 10), (2, 20)])).unwrap();
    assert!(!table.expire(1, limit(15)).unwrap());
    assert_eq!(table.take_delta().unwrap().rows(), 2);
    assert!(table.expire(1, limit(15)).unwrap());
    assert!(!table.expire(1, limit(15)).unwrap());
    assert_eq!(served(&mut table), [(2, 20)]);
    assert!(table.take_delta().unwrap().is_empty());
}

#[test]
fn memory_follows_what_is_served() {
    let mut table = table(&Shape::Keyed(vec![0]));
    let mut most = 0;
    for step in 0..400 {
        let rows: Vec<(i64, i64)> = (0..100).map(|row| (step * 100 + row, step)).collect();
        table.keep(&batch(&rows)).unwrap();
        table.take_delta().unwrap();
        table.expire(1, limit(step - 9)).unwrap();
        assert_eq!(
            table.rows(),
            100 * usize::try_from(step.min(9) + 1).unwrap()
        );
        if step == 40 {
            most = table.bytes();
        }
    }
    let bytes = table.bytes();
    assert!(bytes <= 2 * most, "{bytes} bytes after {most}");
}

#[derive(Clone, Debug)]
enum Step {
    Rows(Vec<(i64, i64)>),
    Checkpoint,
    Expire(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let row = (0_i64..30, 0_i64..20);
    prop_oneof![
        3 => proptest::collection::vec(row, 1..20).prop_map(Step::Rows),
        2 => Just(Step::Checkpoint),
        1 => (1_i64..6).prop_map(Step::Expire),
    ]
}

proptest! {
    #[test]
    fn what_is_older_than_the_limit_and_saved_is_gone(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let shape = Shape::Keyed(vec![0]);
        let (mut table, mut restored) = (table(&shape), table(&shape));
        // By key: its time, and whether a checkpoint has it.
        let mut model: BTreeMap<i64, (i64, bool)> = BTreeMap::new();
        let (mut now, mut last) = (0, i64::MIN);
        for step in steps {
            match step {
                Step::Rows(rows) => {
                    let rows: Vec<(i64, i64)> = rows.iter().map(|(k, t)| (*k, now + t)).collect();
                    for (key, time) in &rows {
                        model.insert(*key, (*time, false));
                    }
                    table.keep(&batch(&rows)).unwrap();
                }
                Step::Checkpoint => {
                    model.values_mut().for_each(|(_, saved)| *saved = true);
                    restored.restore(&table.take_delta().unwrap()).unwrap();
                }
                Step::Expire(by) => {
                    now += by;
                    last = now;
                    model.retain(|_, (time, saved)| *time >= now || !*saved);
                    table.expire(1, limit(now)).unwrap();
                }
            }
            let expected = model.iter().map(|(key, (time, _))| (*key, *time));
            let expected: Vec<(i64, i64)> = expected.collect();
            prop_assert_eq!(served(&mut table), expected);
        }
        // What recovery brings back goes again.
        restored.restore(&table.take_delta().unwrap()).unwrap();
        restored.expire(1, limit(last.max(0))).unwrap();
        table.expire(1, limit(last.max(0))).unwrap();
        prop_assert_eq!(served(&mut restored), served(&mut table));
    }
}
