//! A served table against the simplest model of it, under random changes, deltas and restores.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int8Array, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use rtsap_stream::change::ChangeBatch;

use super::{ServedTable, Shape};
use crate::state::StateWriter;
use crate::state::layers::Layers;

type Model = BTreeMap<String, i64>;

fn batch(changes: &[(u8, Option<i64>)]) -> ChangeBatch {
    let keys: StringArray = changes
        .iter()
        .map(|(key, _)| Some(format!("k{key}")))
        .collect();
    let values: Int64Array = changes
        .iter()
        .map(|(_, value)| value.unwrap_or(-1))
        .collect::<Vec<_>>()
        .into();
    let ops: Int8Array = changes
        .iter()
        .map(|(_, value)| if value.is_some() { 1 } else { -1 })
        .collect::<Vec<i8>>()
        .into();
    let columns: [(&str, ArrayRef); 2] = [("k", Arc::new(keys)), ("v", Arc::new(values))];
    ChangeBatch::try_new(RecordBatch::try_from_iter(columns).unwrap(), ops).unwrap()
}

fn rows_of(batches: &[RecordBatch]) -> Vec<(String, i64)> {
    let mut rows = Vec::new();
    for batch in batches {
        let (keys, values) = (
            batch.column(0).as_string::<i32>(),
            batch.column(1).as_primitive::<Int64Type>(),
        );
        for row in 0..batch.num_rows() {
            rows.push((keys.value(row).to_owned(), values.value(row)));
        }
    }
    rows.sort();
    rows
}

fn check(table: &mut ServedTable, model: &Model) {
    let snapshot = table.snapshot(None);
    let expected: Vec<(String, i64)> = model.iter().map(|(k, v)| (k.clone(), *v)).collect();
    assert_eq!(rows_of(snapshot.batches().unwrap()), expected);
    assert_eq!(snapshot.rows(), expected.len());
    assert_eq!(table.rows(), expected.len());
}

fn empty() -> ServedTable {
    let schema = batch(&[]).rows().schema();
    ServedTable::new(schema, Shape::Keyed(vec![0])).unwrap()
}

fn change() -> impl Strategy<Value = (u8, Option<i64>)> {
    (0_u8..40, proptest::option::weighted(0.8, 0_i64..1000))
}

proptest! {
    #[test]
    fn a_keyed_table_holds_the_last_row_of_each_key(
        steps in proptest::collection::vec(
            (proptest::collection::vec(change(), 0..30), any::<bool>()),
            1..40,
        )
    ) {
        let (mut table, mut restored) = (empty(), empty());
        let (mut model, mut followed) = (Model::new(), Model::new());
        for (changes, checkpoint) in steps {
            for (key, value) in &changes {
                match value {
                    Some(value) => model.insert(format!("k{key}"), *value),
                    None => model.remove(&format!("k{key}")),
                };
            }
            // Net changes keep a follower that applies them one by one in step.
            if let Some(net) = table.apply(&batch(&changes)).unwrap() {
                let rows = net.rows();
                for row in 0..rows.num_rows() {
                    let key = rows.column(0).as_string::<i32>().value(row).to_owned();
                    let value = rows.column(1).as_primitive::<Int64Type>().value(row);
                    match net.op(row) {
                        rtsap_stream::change::Op::Insert => {
                            prop_assert_eq!(followed.insert(key, value), None);
                        }
                        rtsap_stream::change::Op::Delete => {
                            prop_assert_eq!(followed.remove(&key), Some(value));
                        }
                    }
                }
            }
            prop_assert_eq!(&followed, &model);
            check(&mut table, &model);
            if checkpoint {
                restored.restore(&table.take_delta().unwrap()).unwrap();
                check(&mut restored, &model);
            }
        }
        let mut from_base = empty();
        from_base.restore(&table.everything().unwrap()).unwrap();
        check(&mut from_base, &model);
    }

    #[test]
    fn rows_by_number_add_up_to_the_table(
        steps in proptest::collection::vec(
            (proptest::collection::vec(change(), 0..30), any::<bool>()),
            1..40,
        ),
        whole in 0_usize..40,
    ) {
        let schema = batch(&[]).rows().schema();
        let mut table = ServedTable::numbered(schema, vec![0]).unwrap();
        let mut layers = Layers::default();
        for (step, (changes, saves)) in steps.iter().enumerate() {
            table.apply(&batch(changes)).unwrap();
            if !saves {
                continue;
            }
            let taken = table.take_numbered(step == whole).unwrap();
            let mut out = StateWriter::delta();
            if step == whole {
                // A base stands for itself.
                (layers, out) = (Layers::default(), StateWriter::default());
            }
            for (rows, numbers) in taken.rows {
                out.put_rows("rows", &rows, numbers).unwrap();
            }
            out.drop_rows("rows", taken.gone).unwrap();
            layers.add(out.into_sections()).unwrap();
        }
        let taken = table.take_numbered(false).unwrap();
        let mut out = StateWriter::delta();
        for (rows, numbers) in taken.rows {
            out.put_rows("rows", &rows, numbers).unwrap();
        }
        out.drop_rows("rows", taken.gone).unwrap();
        layers.add(out.into_sections()).unwrap();
        let state = layers.finish().unwrap();
        let snapshot = table.snapshot(None);
        prop_assert_eq!(rows_of(state.get("rows")), rows_of(snapshot.batches().unwrap()));
    }
}

#[test]
fn a_multiset_counts_equal_rows_and_refuses_unknown_deletes() {
    let schema = batch(&[]).rows().schema();
    let mut table = ServedTable::new(schema, Shape::Multiset).unwrap();
    table
        .apply(&batch(&[(1, Some(5)), (1, Some(5)), (2, Some(7))]))
        .unwrap();
    let ops = Int8Array::from(vec![-1]);
    let gone = ChangeBatch::try_new(batch(&[(1, Some(5))]).rows().clone(), ops.clone()).unwrap();
    table.apply(&gone).unwrap();
    let rows = rows_of(table.snapshot(None).batches().unwrap());
    assert_eq!(rows, [("k1".to_owned(), 5), ("k2".to_owned(), 7)]);
    let unknown = ChangeBatch::try_new(batch(&[(9, Some(9))]).rows().clone(), ops).unwrap();
    assert!(table.apply(&unknown).is_err());
}

#[test]
fn chunks_stay_few_and_dead_rows_go() {
    let mut table = empty();
    for step in 0..2_000 {
        let changes: Vec<(u8, Option<i64>)> = (0..20).map(|key| (key, Some(step))).collect();
        table.apply(&batch(&changes)).unwrap();
    }
    assert_eq!(table.rows(), 20);
    assert!(table.chunks.len() <= 8, "{} chunks", table.chunks.len());
    let held: usize = table
        .chunks
        .values()
        .map(|chunk| chunk.rows.num_rows())
        .sum();
    assert!(held <= 200, "{held} rows held for 20");
}
