//! Rows replay exactly from any offset, each event once, in whatever groups and splits.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema};
use rtsap_stream::registry::{Options, SourceRequest};

use super::*;
use crate::nexmark::{check, generator};

fn request(columns: &[(&str, DataType)], options: &[(&str, &str)]) -> SourceRequest {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, of)| Field::new(*name, of.clone(), true))
        .collect();
    let options = [("connector", "nexmark")].iter().chain(options);
    let options = options.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    SourceRequest {
        name: "n".to_owned(),
        columns: DecodeSchema {
            schema: Arc::new(Schema::new(fields)),
            origins: vec![ColumnOrigin::Payload; columns.len()].into(),
        },
        primary_key: Vec::new(),
        options: Options(options.collect::<BTreeMap<_, _>>()),
    }
}

fn bids(options: &[(&str, &str)]) -> (NexmarkRows, SchemaRef) {
    let time = DataType::Timestamp(TimeUnit::Microsecond, None);
    let columns = [
        ("auction", DataType::Int64),
        ("dateTime", time),
        ("channel", DataType::Utf8),
    ];
    let options = [&[("table.type", "bid")], options].concat();
    let request = request(&columns, &options);
    (
        generator(&request).unwrap(),
        Arc::clone(&request.columns.schema),
    )
}

/// The times of a split's rows.
fn times(rows: &NexmarkRows, schema: &SchemaRef, split: u32) -> Vec<i64> {
    let count = rows.rows_max(split).unwrap();
    let batch = rows.rows(split, 0, count, &[0, 1, 2], schema).unwrap();
    let times = cast(batch.column(1), &DataType::Int64).unwrap();
    times.as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn rows_are_the_same_from_any_offset() {
    let (rows, schema) = bids(&[("number-of-events", "500"), ("splits", "2")]);
    let whole = rows.rows(1, 0, 200, &[0, 1, 2], &schema).unwrap();
    for (first, count) in [(0, 7), (50, 100), (199, 1)] {
        let part = rows.rows(1, first, count, &[0, 1, 2], &schema).unwrap();
        assert_eq!(part, whole.slice(first as usize, count as usize));
    }
}

#[test]
fn every_event_comes_once_in_whatever_order() {
    let (ordered, schema) = bids(&[("number-of-events", "5000")]);
    let wanted = times(&ordered, &schema, 0);
    assert_eq!(wanted.len(), 4_600);
    assert!(wanted.is_sorted());
    for (group, splits) in [("1", 3), ("10", 1), ("100", 2), ("953", 1), ("1000000", 4)] {
        let count = splits.to_string();
        let options = [
            ("number-of-events", "5000"),
            ("out-of-order-group-size", group),
            ("splits", count.as_str()),
        ];
        let (rows, schema) = bids(&options);
        let all = (0..splits).flat_map(|split| times(&rows, &schema, split));
        let mut found: Vec<i64> = all.collect();
        assert_eq!(found == wanted, group == "1" && splits == 1);
        found.sort_unstable();
        assert_eq!(found, wanted, "groups of {group}, {splits} splits");
    }
}

#[test]
fn wrong_columns_and_options_are_refused_with_a_hint() {
    let refusal = |columns: &[(&str, DataType)], options: &[(&str, &str)]| {
        let error = check(&request(columns, options)).unwrap_err();
        format!("{} | {}", error.message, error.hint.unwrap_or_default())
    };
    let id = [("id", DataType::Int64)];
    assert_eq!(
        refusal(&id, &[]),
        "option \"table.type\" of source \"n\" is missing | Add 'table.type' = '…' to the WITH \
         clause."
    );
    assert_eq!(
        refusal(&[("auctions", DataType::Int64)], &[("table.type", "bid")]),
        "source \"n\" has no field for column \"auctions\" | Did you mean \"auction\"?"
    );
    assert_eq!(
        refusal(&[("price", DataType::Boolean)], &[("table.type", "sale")]),
        "option \"table.type\" of source \"n\" cannot be \"sale\" | Possible values: person, \
         auction, bid."
    );
    assert!(check(&request(&id, &[("nexmark.table.type", "Person")])).is_ok());
}
