//! The log of table writes under restarts and zombies.

use std::sync::Arc;

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use object_store::memory::InMemory;
use rtsap_stream::change::ChangeBatch;

use super::{TableLog, forget, path_of};
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::store::Store;

fn store() -> Store {
    Store::new(Arc::new(InMemory::new()))
}

/// The numbers of the entries that a write came to.
async fn write(log: &mut TableLog, row: i64) -> Vec<u64> {
    let entries = log.append(7, inserts(row)).await.unwrap();
    entries.iter().map(|entry| entry.number).collect()
}

fn rows(number: i64) -> Vec<RecordBatch> {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, false)]);
    let column = Arc::new(Int64Array::from(vec![number]));
    vec![RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()]
}

fn inserts(number: i64) -> Vec<ChangeBatch> {
    rows(number).into_iter().map(ChangeBatch::inserts).collect()
}

async fn open(store: &Store, generation: u64, contained: u64) -> (TableLog, Vec<u64>) {
    let opened = TableLog::open(store.clone(), generation, contained).await;
    let (log, entries) = opened.unwrap();
    (log, entries.iter().map(|entry| entry.number).collect())
}

#[tokio::test]
async fn what_is_contained_is_forgotten_and_the_rest_read_again() {
    let store = store();
    let (mut log, entries) = open(&store, 1, 0).await;
    assert!(entries.is_empty());
    for number in 1..=5 {
        assert_eq!(write(&mut log, number).await, [number.unsigned_abs()]);
    }
    forget(&store, 3).await.unwrap();
    assert_eq!(store.list("table-log").await.unwrap().len(), 3);
    let (mut log, entries) = open(&store, 2, 3).await;
    assert_eq!(entries, [4, 5]);
    assert_eq!(write(&mut log, 6).await, [6]);
    forget(&store, 6).await.unwrap();
    let (mut log, entries) = open(&store, 3, 6).await;
    assert!(entries.is_empty());
    assert_eq!(write(&mut log, 7).await, [7]);
}

#[tokio::test]
async fn a_process_that_slept_until_its_place_was_forgotten_acknowledges_nothing() {
    for before in [0, 2] {
        let store = store();
        let (mut zombie, _) = open(&store, 1, 0).await;
        for number in 0..before {
            zombie.append(7, inserts(number)).await.unwrap();
        }
        let (mut newer, _) = open(&store, 2, 0).await;
        for number in 0..4 {
            newer.append(7, inserts(number)).await.unwrap();
        }
        let contained = u64::try_from(before).unwrap() + 3;
        forget(&store, contained).await.unwrap();
        let error = zombie.append(7, inserts(99)).await.unwrap_err();
        assert!(matches!(error, CheckpointError::Fenced { .. }), "{error}");
        // Nothing of it is left, and the other goes on.
        newer.append(7, inserts(5)).await.unwrap();
        let (_, entries) = open(&store, 3, contained).await;
        let last = u64::try_from(before).unwrap() + 5;
        assert_eq!(entries, (contained + 1..=last).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_log_whose_contained_entries_are_all_gone_is_continued() {
    let store = store();
    let (mut log, _) = open(&store, 1, 0).await;
    log.append(7, inserts(1)).await.unwrap();
    store.delete(vec![path_of(1)]).await.unwrap();
    let (mut log, _) = open(&store, 2, 1).await;
    assert_eq!(write(&mut log, 2).await, [2]);
    assert_eq!(write(&mut log, 3).await, [3]);
}

#[tokio::test]
async fn what_an_older_process_acknowledged_is_taken_over() {
    let store = store();
    let (mut older, _) = open(&store, 1, 0).await;
    write(&mut older, 1).await;
    let (mut newer, entries) = open(&store, 2, 0).await;
    assert_eq!(entries, [1]);
    // It does not know yet that it was overtaken, and nobody has written since.
    assert_eq!(write(&mut older, 2).await, [2]);
    assert_eq!(write(&mut older, 3).await, [3]);
    let taken = newer.append(7, inserts(4)).await.unwrap();
    let taken: Vec<(u64, Vec<RecordBatch>)> = taken
        .into_iter()
        .map(|entry| {
            let rows = entry.changes.iter().map(|changes| changes.rows().clone());
            (entry.number, rows.collect())
        })
        .collect();
    assert_eq!(taken, [(2, rows(2)), (3, rows(3)), (4, rows(4))]);
    let error = older.append(7, inserts(5)).await.unwrap_err();
    assert!(
        matches!(error, CheckpointError::Fenced { generation: 2 }),
        "{error}"
    );
}

#[tokio::test]
async fn a_sleeper_does_not_follow_what_another_sleeper_left() {
    let store = store();
    let (first, _) = open(&store, 1, 0).await;
    let (mut second, _) = open(&store, 2, 0).await;
    let (mut newest, _) = open(&store, 3, 0).await;
    for row in 1..=6 {
        write(&mut newest, row).await;
    }
    forget(&store, 5).await.unwrap();
    // The first is killed between its put and its look behind itself.
    let left = first
        .take_place(&path_of(1), &Bytes::from_static(b"left"))
        .await
        .unwrap();
    assert!(left.is_none());
    let error = second.append(7, inserts(9)).await.unwrap_err();
    assert!(matches!(error, CheckpointError::Fenced { .. }), "{error}");
}

#[tokio::test]
async fn the_first_entry_that_was_gone_on_from_is_not_taken_back() {
    let store = store();
    let (mut first, _) = open(&store, 1, 0).await;
    // Its put has arrived; before it looks behind itself, another process goes on from there.
    let mut same = TableLog::open(store.clone(), 1, 0).await.unwrap().0;
    write(&mut same, 1).await;
    let (mut newer, entries) = open(&store, 2, 0).await;
    assert_eq!(entries, [1]);
    assert_eq!(write(&mut newer, 2).await, [2]);
    assert_eq!(write(&mut first, 1).await, [1]);
    let error = first.append(7, inserts(3)).await.unwrap_err();
    assert!(
        matches!(error, CheckpointError::Fenced { generation: 2 }),
        "{error}"
    );
    let (_, entries) = open(&store, 3, 0).await;
    assert_eq!(entries, [1, 2]);
}
