//! What is read fits the table, whatever batches it was written from.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::Delta;
use crate::state::{StateReader, StateWriter, decode, encode};

fn schema(nullable: bool) -> SchemaRef {
    let fields = vec![Field::new("n", DataType::Int64, nullable)];
    Arc::new(Schema::new(fields))
}

fn reread(upserts: Vec<RecordBatch>) -> StateReader {
    let mut out = StateWriter::default();
    let delta = Delta {
        upserts,
        ..Delta::default()
    };
    delta.write(&mut out);
    let bytes = encode(&out.into_sections()).unwrap();
    StateReader::new(decode(&bytes).unwrap())
}

fn rows(nullable: bool, values: Vec<Option<i64>>) -> RecordBatch {
    let values: ArrayRef = Arc::new(Int64Array::from(values));
    RecordBatch::try_new(schema(nullable), vec![values]).unwrap()
}

#[test]
fn rows_that_came_with_a_tombstone_are_read_as_the_tables() {
    let from = reread(vec![rows(true, vec![Some(1)]), rows(false, vec![Some(2)])]);
    let read = Delta::read(&from, &schema(false)).unwrap();
    let schemas: Vec<_> = read.upserts.iter().map(RecordBatch::schema).collect();
    assert_eq!(schemas, [schema(false), schema(false)]);
}

#[test]
fn nulls_where_none_may_be_are_refused() {
    let from = reread(vec![rows(true, vec![None])]);
    let error = Delta::read(&from, &schema(false)).unwrap_err();
    assert!(error.to_string().contains("does not fit"), "{error}");
}

#[test]
fn other_columns_are_refused() {
    let from = reread(vec![rows(true, vec![Some(1)])]);
    for (name, data_type) in [("m", DataType::Int64), ("n", DataType::Utf8)] {
        let other = Schema::new(vec![Field::new(name, data_type, true)]);
        assert!(Delta::read(&from, &Arc::new(other)).is_err());
    }
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let text = RecordBatch::try_from_iter([("n", texts)]).unwrap();
    assert!(Delta::read(&reread(vec![text]), &schema(true)).is_err());
}
