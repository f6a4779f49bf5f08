//! A change batch is only made of rows and ops that fit.

use std::sync::Arc;

use arrow_array::{ArrayRef, Int8Array, Int64Array, RecordBatch};

use super::{ChangeBatch, ChangeBatchError, Op};

fn rows(n: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..n));
    RecordBatch::try_from_iter([("a", column)]).unwrap()
}

#[test]
fn ops_must_have_one_entry_a_row() {
    let error = ChangeBatch::try_new(rows(2), Int8Array::from(vec![1])).unwrap_err();
    assert_eq!(error, ChangeBatchError::Length { rows: 2, ops: 1 });
}

#[test]
fn ops_are_plus_or_minus_one_and_never_null() {
    let zero = ChangeBatch::try_new(rows(2), Int8Array::from(vec![1, 0])).unwrap_err();
    assert_eq!(zero, ChangeBatchError::Op { index: 1 });
    let null = ChangeBatch::try_new(rows(1), Int8Array::from(vec![None])).unwrap_err();
    assert_eq!(null, ChangeBatchError::Op { index: 0 });
}

#[test]
fn an_append_only_batch_carries_no_ops() {
    let batch = ChangeBatch::try_new(rows(2), Int8Array::from(vec![1, 1])).unwrap();
    assert!(batch.ops().is_none());
    let batch = ChangeBatch::try_new(rows(2), Int8Array::from(vec![-1, 1])).unwrap();
    assert_eq!((batch.op(0), batch.op(1)), (Op::Delete, Op::Insert));
}
