//! Protobuf: messages that Google's own library wrote, compared row by row with what it was given.

use serde_json::Value;

use super::registry::Registry;
use super::*;

/// Made by `fixtures/protobuf.py`.
const FIXTURES: &str = include_str!("../../fixtures/protobuf.json");

pub struct Case {
    pub schema: String,
    pub columns: Vec<Field>,
    /// Framed.
    pub payloads: Vec<Vec<u8>>,
    pub rows: Vec<Vec<String>>,
}

pub fn case() -> Case {
    let found: Value = serde_json::from_str(FIXTURES).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |key: &str| found[key].as_array().unwrap().clone();
    let unhex = |text: &str| -> Vec<u8> {
        let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(pair).collect()
    };
    Case {
        schema: text(&found["schema"]),
        columns: list("columns")
            .iter()
            .map(|column| field(column[0].as_str().unwrap(), column[1].as_str().unwrap()))
            .collect(),
        payloads: list("payloads")
            .iter()
            .map(|payload| unhex(payload.as_str().unwrap()))
            .collect(),
        rows: list("rows")
            .iter()
            .map(|row| row.as_array().unwrap().iter().map(text).collect())
            .collect(),
    }
}

fn messages(payloads: &[Vec<u8>]) -> Vec<Message> {
    let message = |payload: &Vec<u8>| Message {
        key: None,
        payload: Some(payload.clone()),
    };
    payloads.iter().map(message).collect()
}

fn registry(case: &Case) -> Registry {
    let answer = serde_json::json!({"schemaType": "PROTOBUF", "schema": case.schema});
    Registry::start([("/schemas/ids/3".to_owned(), answer.to_string())].into())
}

#[test]
fn registered_messages_are_read_as_their_writer_meant_them() {
    let case = case();
    let registry = registry(&case);
    let options = [
        ("format", "protobuf-confluent"),
        ("schema-registry.url", registry.url.as_str()),
    ];
    let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
    let decoded = decode(decoder.as_mut(), messages(&case.payloads));
    assert_eq!(told(&decoded).last(), told(&decoded).last());
    assert_eq!(decoded.rejects, []);
    for (index, (found, expected)) in cells(&decoded.rows).iter().zip(&case.rows).enumerate() {
        assert_eq!(found, expected, "row {index}");
    }
    assert_eq!(decoded.rows.num_rows(), case.rows.len());
}

#[test]
fn bare_messages_have_the_schema_of_the_option() {
    let case = case();
    let bare: Vec<Vec<u8>> = case
        .payloads
        .iter()
        .map(|framed| framed[7..].to_vec())
        .collect();
    for name in ["market.v1.Trade", "Trade"] {
        let options = [
            ("format", "protobuf"),
            ("protobuf.schema", case.schema.as_str()),
            ("protobuf.message", name),
        ];
        let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
        let decoded = decode(decoder.as_mut(), messages(&bare));
        assert_eq!(cells(&decoded.rows), case.rows);
    }
}

#[test]
fn damaged_bytes_never_stop_the_batch_and_other_types_are_rejects() {
    let case = case();
    let registry = registry(&case);
    let options = [
        ("format", "protobuf-confluent"),
        ("schema-registry.url", registry.url.as_str()),
    ];
    let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
    let mut state = 99_u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    for _ in 0..20 {
        let mut payloads = case.payloads.clone();
        for payload in &mut payloads {
            let at = 7 + next() % (payload.len() - 7);
            payload[at] ^= 1 << (next() % 8);
        }
        let decoded = decode(decoder.as_mut(), messages(&payloads));
        assert_eq!(
            decoded.rows.num_rows() + decoded.rejects.len(),
            payloads.len()
        );
    }
    let columns = vec![field("symbol", "bigint"), field("price", "decimal 8 2")];
    let mut strict = super::decoder(&request(columns, &[], &options)).unwrap();
    let mut unknown = case.payloads[0].clone();
    unknown[6] = 40;
    let with_symbol = [&[0, 0, 0, 0, 3, 2, 2][..], &[10, 1, b'a']].concat();
    let bad = messages(&[with_symbol, unknown]);
    let decoded = decode(strict.as_mut(), bad);
    assert_eq!(
        told(&decoded),
        [
            "100: field \"symbol\": Protobuf's string cannot be read as BIGINT",
            "101: schema 3 has no such message"
        ]
    );
}
