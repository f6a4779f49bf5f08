//! Keys: tombstones, columns that are in the key alone, Debezium's envelopes, CSV.

use expect_test::{Expect, expect};
use rtsap_stream::decode::Metadata;

use super::*;

fn check(request: &SourceRequest, messages: Vec<Message>, expected: Expect) {
    let mut decoder = decoder(request).unwrap();
    expected.assert_eq(&told(&decode(decoder.as_mut(), messages)).join("\n"));
}

fn columns() -> Vec<Field> {
    vec![
        field("id", "bigint not null"),
        field("name", "text not null"),
        field("price", "decimal 10 2"),
    ]
}

#[test]
fn a_tombstone_takes_the_row_of_its_key_away() {
    let messages = || {
        vec![
            message(
                Some(r#"{"id":1}"#),
                Some(r#"{"id":1,"name":"a","price":1.5}"#),
            ),
            message(Some(r#"{"id":1}"#), None),
            message(Some(r#"{"id":2}"#), Some(r#"{"id":2,"name":null}"#)),
            message(Some("oops"), None),
            message(None, None),
            message(Some(r#"{"id":3}"#), Some(r#"{"id":3,"name":"c"}"#)),
        ]
    };
    let options = [("format", "json"), ("key.format", "json")];
    check(
        &request(columns(), &[0], &options),
        messages(),
        expect![[r#"
            + 1 a 1.50
            - 1  NULL
            + 3 c NULL
            102: field "name": null, but the column is NOT NULL
            103: key: not valid JSON at byte 0: expected an object but found oops
            104: the message has no key"#]],
    );
    // Without a key's format nothing says whose end it is.
    check(
        &request(columns(), &[0], &[("format", "json")]),
        messages(),
        expect![[r#"
            + 1 a 1.50
            + 3 c NULL
            101: the payload is null (a tombstone), and no option 'key.format' says how to read its key
            102: field "name": null, but the column is NOT NULL
            103: the payload is null (a tombstone), and no option 'key.format' says how to read its key
            104: the payload is null (a tombstone), and no option 'key.format' says how to read its key"#]],
    );
    // Without a primary key there is nothing to take away.
    check(
        &request(columns(), &[], &[("format", "json")]),
        messages(),
        expect![[r#"
            + 1 a 1.50
            + 3 c NULL
            101: the payload is null (a tombstone)
            102: field "name": null, but the column is NOT NULL
            103: the payload is null (a tombstone)
            104: the payload is null (a tombstone)"#]],
    );
}

#[test]
fn a_key_may_be_a_plain_number_or_text() {
    let messages = vec![
        message(Some("7"), Some(r#"{"id":7,"name":"a"}"#)),
        message(Some("7"), None),
        message(Some("x"), None),
    ];
    let options = [
        ("connector", "upsert-kafka"),
        ("value.format", "json"),
        ("key.format", "raw"),
    ];
    check(
        &request(columns(), &[0], &options),
        messages,
        expect![[r#"
            + 7 a NULL
            - 7  NULL
            102: key: "x" is no whole number"#]],
    );
}

#[test]
fn columns_may_be_in_the_key_alone() {
    let messages = || {
        vec![
            message(Some(r#"{"id":1}"#), Some(r#"{"name":"a","price":1.5}"#)),
            message(Some(r#"{"id":null}"#), Some(r#"{"name":"b"}"#)),
            message(Some(r#"{"id":2}"#), Some(r#"{"name":1,"price":"x"}"#)),
            message(Some(r#"{"id":3}"#), None),
        ]
    };
    let apart = [
        ("format", "json"),
        ("key.format", "json"),
        ("value.fields-include", "EXCEPT_KEY"),
    ];
    check(
        &request(columns(), &[0], &apart),
        messages(),
        expect![[r#"
            + 1 a 1.50
            - 3  NULL
            101: key: field "id": null, but the column is NOT NULL
            102: field "price": cannot read "x" as DECIMAL(10,2)"#]],
    );
    let fields = [apart.as_slice(), &[("key.fields", "id")]].concat();
    check(
        &request(columns(), &[], &fields),
        messages(),
        expect![[r#"
            + 1 a 1.50
            101: key: field "id": null, but the column is NOT NULL
            102: field "price": cannot read "x" as DECIMAL(10,2)
            103: the payload is null (a tombstone), and the source has no PRIMARY KEY"#]],
    );
}

#[test]
fn metadata_can_be_the_key() {
    let mut request = request(
        vec![field("k", "text not null"), field("price", "decimal 10 2")],
        &[0],
        &[("format", "json")],
    );
    let key = ColumnOrigin::Metadata(Metadata::Key);
    request.columns.origins = vec![key, ColumnOrigin::Payload].into();
    let messages = vec![
        message(Some("a"), Some(r#"{"price":1}"#)),
        message(Some("a"), None),
        message(None, Some(r#"{"price":2}"#)),
    ];
    check(
        &request,
        messages,
        expect![[r#"
        + a 1.00
        - a NULL
        102: field "k": missing, but the column is NOT NULL"#]],
    );
}

#[test]
fn debezium_says_what_happened_to_a_row() {
    let messages = vec![
        message(
            None,
            Some(
                r#"{"before":null,"after":{"id":1,"name":"a","price":"1.50"},"op":"c","ts_ms":1}"#,
            ),
        ),
        message(
            None,
            Some(concat!(
                r#"{"schema":{"type":"struct","fields":[]},"payload":{"op":"u","#,
                r#""before":{"id":1,"name":"a"},"after":{"id":1,"name":"b","price":2}}}"#
            )),
        ),
        message(None, Some(r#"{"before":{"id":1},"after":null,"op":"d"}"#)),
        message(None, None),
        message(
            None,
            Some(r#"{"op":"r","after":{"id":2,"name":"r"},"before":null}"#),
        ),
        message(None, Some(r#"{"op":"c","after":{"id":3},"before":null}"#)),
        message(None, Some(r#"{"op":"t"}"#)),
        message(None, Some(r#"{"op":"d","before":null,"after":null}"#)),
        message(None, Some(r#"{"id":1}"#)),
        message(None, Some(r#"{"op":"c","after":{"id":"x"}}"#)),
        message(None, Some("nonsense")),
    ];
    check(
        &request(columns(), &[0], &[("format", "debezium-json")]),
        messages,
        expect![[r#"
            + 1 a 1.50
            + 1 b 2.00
            - 1  NULL
            nothing
            + 2 r NULL
            105: the row after lacks a column that is NOT NULL
            106: op "t" (truncate) cannot be applied
            107: the envelope has no row before
            108: the payload is no envelope of Debezium: it has no op
            109: field "id": cannot read "x" as BIGINT
            110: not valid JSON at byte 0: expected an object but found nonsense"#]],
    );
    let without_key = decoder(&request(columns(), &[], &[("format", "debezium-json")]));
    let error = without_key.err().unwrap();
    assert_eq!(
        error.to_string(),
        "source \"s\" with format \"debezium-json\" has no primary key"
    );
}

#[test]
fn csv_records_are_payloads() {
    let mut request = request(
        vec![
            field("id", "bigint"),
            field("name", "text"),
            field("price", "decimal 10 2"),
            field("o", "bigint"),
        ],
        &[],
        &[("format", "csv"), ("csv.field-delimiter", ";")],
    );
    let payload = ColumnOrigin::Payload;
    let offset = ColumnOrigin::Metadata(Metadata::Offset);
    request.columns.origins = vec![payload.clone(), payload.clone(), payload, offset].into();
    let messages = vec![
        message(None, Some("1;a;1.5")),
        message(None, Some("2;\"x;\"\"y\"\"\";")),
        message(None, Some("3;a")),
        message(None, Some("x;a;1")),
        message(None, None),
        message(None, Some("4;;-2.005\n")),
    ];
    check(
        &request,
        messages,
        expect![[r#"
        + 1 a 1.50 100
        + 2 x;"y" NULL 101
        + 4 NULL -2.01 105
        102: 2 fields where 3 are expected
        103: field "id": cannot read "x" as BIGINT
        104: the record is null"#]],
    );
}
