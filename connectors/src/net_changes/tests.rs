//! The net effect equals that of applying the changes one by one, however they are cut into
//! batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{Int8Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use proptest::prelude::*;

use super::*;

/// Changes (op, key, value) cut into batches of `size`.
fn batches(changes: &[(Op, i64, i64)], size: usize) -> Vec<ChangeBatch> {
    let fields = vec![
        Field::new("k", DataType::Int64, true),
        Field::new("v", DataType::Int64, true),
    ];
    let schema = Arc::new(Schema::new(fields));
    let batch = |changes: &[(Op, i64, i64)]| {
        let keys = Int64Array::from_iter_values(changes.iter().map(|change| change.1));
        let values = Int64Array::from_iter_values(changes.iter().map(|change| change.2));
        let rows =
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(keys), Arc::new(values)]);
        let ops = Int8Array::from_iter_values(changes.iter().map(|change| change.0 as i8));
        ChangeBatch::try_new(rows.unwrap(), ops).unwrap()
    };
    changes.chunks(size).map(batch).collect()
}

fn value(batches: &[ChangeBatch], at: RowAt, column: usize) -> i64 {
    batches[at.batch]
        .rows()
        .column(column)
        .as_primitive::<Int64Type>()
        .value(at.row)
}

proptest! {
    #[test]
    fn by_key_equals_one_by_one(
        updates in proptest::collection::vec((0..6_i64, proptest::option::of(0..9_i64)), 0..40),
        existing in proptest::collection::btree_map(0..6_i64, 0..9_i64, 0..6),
        size in 1..9_usize,
    ) {
        let mut table = existing.clone();
        let mut changes = Vec::new();
        for (key, to) in updates {
            if let Some(old) = table.remove(&key) {
                changes.push((Op::Delete, key, old));
            }
            if let Some(to) = to {
                changes.push((Op::Insert, key, to));
                table.insert(key, to);
            }
        }
        let batches = batches(&changes, size);
        let net = by_key(&batches, &[0], ChangelogMode::Retract).unwrap();
        let mut found: BTreeMap<i64, i64> = existing;
        let mut certain = 0;
        for change in &net.changes {
            let key = value(&batches, change.at, 0);
            if change.weight > 0 {
                found.insert(key, value(&batches, change.at, 1));
            } else {
                certain += u64::from(found.remove(&key).is_some());
            }
        }
        prop_assert_eq!(found, table);
        prop_assert_eq!(certain, net.deletes_certain);
        prop_assert_eq!(net.deletes(), net.deletes_certain);
    }

    #[test]
    fn by_row_equals_the_sum_of_weights(
        changes in proptest::collection::vec((any::<bool>(), 0..4_i64, 0..3_i64), 0..40),
        size in 1..9_usize,
    ) {
        let op = |insert: bool| if insert { Op::Insert } else { Op::Delete };
        let changes: Vec<_> = changes.into_iter().map(|(i, k, v)| (op(i), k, v)).collect();
        let mut expected: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for (op, key, value) in &changes {
            *expected.entry((*key, *value)).or_default() += *op as i64;
        }
        expected.retain(|_, weight| *weight != 0);
        let batches = batches(&changes, size);
        let mut found: BTreeMap<(i64, i64), i64> = BTreeMap::new();
        for change in by_row(&batches).unwrap().changes {
            let row = (value(&batches, change.at, 0), value(&batches, change.at, 1));
            *found.entry(row).or_default() += change.weight;
        }
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn an_upsert_changelog_may_delete_what_was_there_before() {
    let batches = batches(&[(Op::Insert, 1, 1), (Op::Delete, 1, 1)], 1);
    let upsert = by_key(&batches, &[0], ChangelogMode::Upsert).unwrap();
    assert_eq!((upsert.deletes(), upsert.deletes_certain), (1, 0));
    let retract = by_key(&batches, &[0], ChangelogMode::Retract).unwrap();
    assert_eq!(retract, NetChanges::default());
}
