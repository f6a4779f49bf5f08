//! Layers hold what a base of the last moment would.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;

use super::Layers;
use crate::state::{Sections, StateReader, StateWriter};

fn batch(values: &[i64]) -> RecordBatch {
    let values: ArrayRef = Arc::new(Int64Array::from(values.to_vec()));
    RecordBatch::try_from_iter([("value", values)]).unwrap()
}

fn values(reader: &StateReader, section: &str) -> Vec<i64> {
    let columns = reader.get(section).iter().map(|batch| {
        assert_eq!(batch.num_columns(), 1, "numbers are not for operators");
        batch
            .column(0)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    });
    columns.flatten().collect()
}

/// A base with numbered rows 1, 3 and 5 and a whole section under node 0, and one under node 1.
fn base() -> Sections {
    let mut out = StateWriter::default();
    out.set_prefix("9/0/".to_owned());
    out.put("meta", batch(&[1]));
    out.put_rows("rows", &batch(&[10, 30, 50]), vec![1, 3, 5])
        .unwrap();
    out.set_prefix("9/1/".to_owned());
    out.put("meta", batch(&[7]));
    out.into_sections()
}

fn after(write: impl FnOnce(&mut StateWriter)) -> StateReader {
    let mut out = StateWriter::delta();
    write(&mut out);
    let mut layers = Layers::new(base());
    layers.add(out.into_sections()).unwrap();
    layers.finish().unwrap()
}

#[test]
fn a_base_alone_is_read_without_its_numbers() {
    let read = Layers::new(base()).finish().unwrap();
    assert_eq!(values(&read, "9/0/rows"), [10, 30, 50]);
    assert_eq!(values(&read, "9/1/meta"), [7]);
}

#[test]
fn rows_change_come_and_go_by_their_numbers() {
    let read = after(|out| {
        out.open_scope("9/0/");
        out.set_prefix("9/0/".to_owned());
        out.put("meta", batch(&[2]));
        out.put_rows("rows", &batch(&[40, 11]), vec![4, 1]).unwrap();
        out.drop_rows("rows", vec![5, 6]).unwrap();
    });
    assert_eq!(values(&read, "9/0/rows"), [11, 30, 40]);
    assert_eq!(values(&read, "9/0/meta"), [2]);
    assert_eq!(values(&read, "9/1/meta"), [7]);
}

#[test]
fn what_a_scope_does_not_name_is_gone() {
    let read = after(|out| {
        out.open_scope("9/0/");
        out.set_prefix("9/0/".to_owned());
        out.keep("rows");
    });
    assert_eq!(values(&read, "9/0/rows"), [10, 30, 50]);
    assert!(read.get("9/0/meta").is_empty());
    assert_eq!(values(&read, "9/1/meta"), [7]);
}

#[test]
fn a_writer_without_a_part_in_the_base_replaces_all_rows() {
    let read = after(|out| {
        out.open_scope("9/0/");
        out.set_prefix("9/0/".to_owned());
        assert!(!out.set_anew(true));
        assert!(!out.is_delta());
        out.keep("meta");
        out.put_rows("rows", &batch(&[60]), vec![1]).unwrap();
    });
    assert_eq!(values(&read, "9/0/rows"), [60]);
    assert!(read.get("9/0/meta").is_empty());
}

#[test]
fn deltas_follow_each_other() {
    let mut layers = Layers::new(base());
    for (number, value) in [(2, 20), (2, 21), (5, 51)] {
        let mut out = StateWriter::delta();
        out.open_scope("9/0/");
        out.set_prefix("9/0/".to_owned());
        out.put_rows("rows", &batch(&[value]), vec![number])
            .unwrap();
        out.drop_rows("rows", vec![1]).unwrap();
        layers.add(out.into_sections()).unwrap();
    }
    let read = layers.finish().unwrap();
    assert_eq!(values(&read, "9/0/rows"), [21, 30, 51]);
}

#[test]
fn rows_without_numbers_cannot_be_changed() {
    let mut out = StateWriter::delta();
    out.set_prefix("9/1/".to_owned());
    out.put_rows("meta", &batch(&[1]), vec![1]).unwrap();
    let mut layers = Layers::new(base());
    let error = layers.add(out.into_sections()).unwrap_err();
    assert!(error.to_string().contains("without numbers"), "{error}");
}
