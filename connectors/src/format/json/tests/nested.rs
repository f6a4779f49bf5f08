//! Objects within objects, arrays, and the columns that do not come from the payload.

use std::sync::Arc;

use arrow::datatypes::{DataType, Fields, Schema, TimeUnit};
use expect_test::expect;
use rtsap_stream::decode::{ColumnOrigin, DecodeSchema, Decoder, Metadata};
use rtsap_stream::source::SplitId;

use super::{
    Batch, JsonDecoder, TimestampFormat, check, nullable, payload_columns, required, show,
};

#[test]
fn objects_and_arrays_nest() {
    let level = Fields::from(vec![
        required("px", DataType::Decimal128(10, 2)),
        nullable("qty", DataType::Int32),
    ]);
    let levels = DataType::List(Arc::new(nullable("item", DataType::Struct(level))));
    let book = DataType::Struct(Fields::from(vec![
        nullable("bids", levels),
        nullable(
            "tags",
            DataType::List(Arc::new(required("item", DataType::Utf8))),
        ),
    ]));
    check(
        vec![nullable("book", book), nullable("n", DataType::Int64)],
        &[
            r#"{"book":{"bids":[{"px":1.5,"qty":2},{"qty":3,"px":"2"}],"tags":["a","b"]},"n":1}"#,
            r#"{"book":{"tags":[],"bids":[null,{"px":3}]},"n":2}"#,
            r#"{"book":{"bids":[{"px":1},{"px":1,"qty":"x"}]},"n":3}"#,
            r#"{"book":{"bids":[{"qty":1}]},"n":4}"#,
            r#"{"book":{"tags":["a",null]},"n":5}"#,
            r#"{"book":[],"n":6}"#,
            r#"{"book":{"bids":{}},"n":7}"#,
            r#"{"book":null,"n":8}"#,
            r#"{"book":{"bids":[{"px":9,"qty":9}],"bids":[{"px":10}]},"n":9}"#,
            r#"{"n":10}"#,
        ],
        &expect![[r#"
            {bids: [{px: 1.50, qty: 2}, {px: 2.00, qty: 3}], tags: [a, b]} | 1
            {bids: [NULL, {px: 3.00, qty: NULL}], tags: []} | 2
            NULL | 8
            {bids: [{px: 10.00, qty: NULL}], tags: NULL} | 9
            NULL | 10
            ! 102: field "book.bids[1].qty": cannot read "x" as INT
            ! 103: field "book.bids[0].px": missing, but the column is NOT NULL
            ! 104: field "book.tags[1]": null, but the column is NOT NULL
            ! 105: field "book": cannot read [] as ROW(bids ROW(px DECIMAL(10,2), qty INT)[], tags TEXT[])
            ! 106: field "book.bids": cannot read {} as ROW(px DECIMAL(10,2), qty INT)[]
        "#]],
    );
}

#[test]
fn nesting_has_a_limit() {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    check(
        vec![nullable("n", DataType::Int64)],
        &[&deep, r#"{"n":1}"#],
        &expect![[r#"
            1
            ! 100: nested more than 128 levels deep
        "#]],
    );
}

#[test]
fn metadata_comes_from_the_transport() {
    let header = Fields::from(vec![
        required("key", DataType::Utf8),
        nullable("value", DataType::Binary),
    ]);
    let headers = DataType::List(Arc::new(required("item", DataType::Struct(header))));
    let fields = vec![
        nullable("part", DataType::Int32),
        nullable("a", DataType::Int64),
        required("off", DataType::Int64),
        nullable(
            "at",
            DataType::Timestamp(TimeUnit::Millisecond, Some("+00:00".into())),
        ),
        nullable("key", DataType::Utf8),
        nullable("headers", headers),
        nullable("topic", DataType::Utf8),
    ];
    let meta = ColumnOrigin::Metadata;
    let columns = DecodeSchema {
        schema: Arc::new(Schema::new(fields)),
        origins: Arc::new([
            meta(Metadata::Partition),
            ColumnOrigin::Payload,
            meta(Metadata::Offset),
            meta(Metadata::Timestamp),
            meta(Metadata::Key),
            meta(Metadata::Headers),
            meta(Metadata::Topic),
        ]),
    };
    let mut decoder = JsonDecoder::with_timestamps(&columns, TimestampFormat::Auto).unwrap();
    let batch: Batch = [
        r#"{"a":1,"key":"not this"}"#,
        r#"{"a":2}"#,
        r#"{"a":3}"#,
        r#"{"a":4}"#,
    ]
    .into_iter()
    .collect();
    let decoded = decoder.decode(&SplitId::new("7"), &batch);
    expect![[r#"
        7 | 1 | 100 | 2023-11-14T22:13:20Z | k0 | [] | 7
        7 | 2 | 101 | 2023-11-14T22:13:20.001Z | NULL | [{key: h, value: 76}] | 7
        7 | 4 | 103 | 2023-11-14T22:13:20.003Z | k0 | [{key: h, value: 76}] | 7
        ! 102: field "key": cannot be held by TEXT: it is not UTF-8
    "#]]
    .assert_eq(&show(&decoded));
}

#[test]
fn tombstones_are_rejects_and_no_columns_still_count_rows() {
    let columns = payload_columns(Vec::new());
    let mut decoder = JsonDecoder::with_timestamps(&columns, TimestampFormat::Auto).unwrap();
    let batch = Batch(vec![
        Some(b"{}".to_vec()),
        None,
        Some(b"{\"a\":1}".to_vec()),
        Some(b"{".to_vec()),
    ]);
    let decoded = decoder.decode(&SplitId::new("0"), &batch);
    assert_eq!(decoded.rows.num_rows(), 2);
    expect![[r#"
        ! 101: the payload is null (a tombstone)
        ! 103: not valid JSON: expected a string but the payload ends at byte 1
    "#]]
    .assert_eq(&show(&decoded)[2..]);
}
