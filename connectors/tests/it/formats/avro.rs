//! Avro: payloads that fastavro wrote, compared row by row with what it was given.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use rtsap_stream::error::ErrorKind;
use serde_json::Value;

use super::registry::Registry;
use super::*;

/// Made by `fixtures/avro.py`.
const FIXTURES: &str = include_str!("../../fixtures/avro.json");

fn unhex(text: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

pub struct Case {
    pub schemas: serde_json::Map<String, Value>,
    pub columns: Vec<Field>,
    pub payloads: Vec<Vec<u8>>,
    /// Cells, or the reason of the reject.
    rows: Vec<Result<Vec<String>, String>>,
}

pub fn case(name: &str) -> Case {
    let all: Vec<Value> = serde_json::from_str(FIXTURES).unwrap();
    let found = all.into_iter().find(|case| case["name"] == name).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let list = |key: &str| found[key].as_array().unwrap().clone();
    Case {
        schemas: found["schemas"].as_object().unwrap().clone(),
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
            .map(|row| match row {
                Value::String(reason) => Err(reason.clone()),
                cells => Ok(cells.as_array().unwrap().iter().map(text).collect()),
            })
            .collect(),
    }
}

pub fn messages(payloads: &[Vec<u8>]) -> Vec<Message> {
    let message = |payload: &Vec<u8>| Message {
        key: None,
        payload: Some(payload.clone()),
    };
    payloads.iter().map(message).collect()
}

pub fn compare(case: &Case, decoded: &Decoded) {
    let mut found = cells(&decoded.rows).into_iter();
    let mut rejects = decoded.rejects.iter();
    for (index, expected) in case.rows.iter().enumerate() {
        match expected {
            Ok(cells) => assert_eq!(Some(cells.clone()), found.next(), "row {index}"),
            Err(reason) => {
                let reject = rejects.next().unwrap();
                assert_eq!(
                    (reject.offset.0, &reject.reason),
                    (100 + index as u64, reason)
                );
                assert_eq!(reject.payload, case.payloads[index]);
            }
        }
    }
    assert_eq!((found.next(), rejects.next()), (None, None));
}

#[test]
fn registered_avro_is_read_as_its_writer_meant_it() {
    for name in ["every type", "evolution"] {
        let case = case(name);
        let registry = Registry::of_avro(&case.schemas);
        let options = [
            ("format", "avro-confluent"),
            ("schema-registry.url", registry.url.as_str()),
        ];
        let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
        compare(&case, &decode(decoder.as_mut(), messages(&case.payloads)));
        // Each schema is asked for once, whatever comes.
        compare(&case, &decode(decoder.as_mut(), messages(&case.payloads)));
        assert_eq!(
            registry.requests.load(Ordering::Relaxed),
            case.schemas.len()
        );
    }
}

#[test]
fn only_wanted_columns_are_decoded() {
    let case = case("every type");
    let registry = Registry::of_avro(&case.schemas);
    let options = [
        ("format", "avro-confluent"),
        ("avro-confluent.url", registry.url.as_str()),
    ];
    let request = request(case.columns.clone(), &[], &options);
    for wanted in 0..case.columns.len() {
        let columns = DecodeSchema {
            schema: Arc::new(Schema::new(vec![case.columns[wanted].clone()])),
            origins: vec![ColumnOrigin::Payload].into(),
        };
        let mut decoder = BuiltinConnectors.decoder(&request, &columns).unwrap();
        let decoded = decode(decoder.as_mut(), messages(&case.payloads));
        let expected: Vec<_> = case
            .rows
            .iter()
            .map(|row| vec![row.clone().unwrap()[wanted].clone()])
            .collect();
        assert_eq!(cells(&decoded.rows), expected);
    }
}

#[test]
fn bare_datums_have_the_schema_of_the_option() {
    let case = case("every type");
    let schema = case.schemas["1"].as_str().unwrap();
    let options = [("format", "avro"), ("avro.schema", schema)];
    let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
    let bare: Vec<Vec<u8>> = case
        .payloads
        .iter()
        .map(|framed| framed[5..].to_vec())
        .collect();
    let decoded = decode(decoder.as_mut(), messages(&bare));
    let expected: Vec<_> = case.rows.iter().map(|row| row.clone().unwrap()).collect();
    assert_eq!(cells(&decoded.rows), expected);
}

#[test]
fn every_cut_of_a_payload_is_a_reject_and_none_disturbs_its_neighbours() {
    let case = case("every type");
    let registry = Registry::of_avro(&case.schemas);
    let options = [
        ("format", "avro-confluent"),
        ("schema-registry.url", registry.url.as_str()),
    ];
    let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
    let whole = &case.payloads[0];
    let mut payloads = Vec::new();
    for cut in 0..whole.len() {
        payloads.push(whole[..cut].to_vec());
        payloads.push(whole.clone());
    }
    let mut longer = whole.clone();
    longer.push(0);
    payloads.push(longer);
    let decoded = decode(decoder.as_mut(), messages(&payloads));
    assert_eq!(decoded.rejects.len(), whole.len() + 1);
    assert_eq!(decoded.rows.num_rows(), whole.len());
    let expected = case.rows[0].clone().unwrap();
    assert!(cells(&decoded.rows).iter().all(|row| *row == expected));
}

#[test]
fn damaged_bytes_never_stop_the_batch() {
    let case = case("every type");
    let registry = Registry::of_avro(&case.schemas);
    let options = [
        ("format", "avro-confluent"),
        ("schema-registry.url", registry.url.as_str()),
    ];
    let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
    let mut state = 12345_u64;
    let mut next = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    for _ in 0..20 {
        let mut payloads = case.payloads.clone();
        for payload in &mut payloads {
            let at = 5 + next() % (payload.len() - 5);
            payload[at] ^= 1 << (next() % 8);
        }
        let decoded = decode(decoder.as_mut(), messages(&payloads));
        assert_eq!(
            decoded.rows.num_rows() + decoded.rejects.len(),
            payloads.len()
        );
    }
}

#[test]
fn a_registry_in_trouble_delays_payloads_and_an_unknown_schema_rejects_them() {
    let case = case("evolution");
    let registry = Registry::of_avro(&case.schemas);
    registry.trouble.store(503, Ordering::Relaxed);
    let options = [
        ("format", "avro-confluent"),
        ("schema-registry.url", registry.url.as_str()),
    ];
    let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
    let raw = Messages(messages(&case.payloads));
    let error = decoder.prepare(&raw).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    registry.trouble.store(0, Ordering::Relaxed);
    compare(&case, &decode(decoder.as_mut(), messages(&case.payloads)));

    let mut unknown = case.payloads[0].clone();
    unknown[4] = 99;
    let not_framed = b"{}".to_vec();
    let decoded = decode(decoder.as_mut(), messages(&[unknown, not_framed]));
    assert_eq!(
        told(&decoded),
        [
            "100: schema 99: Schema not found",
            "101: the payload begins with byte 123, not with the zero byte of a registered schema"
        ]
    );
}

#[test]
fn references_between_registered_schemas_are_followed() {
    let record = |name: &str, fields: Value| {
        let record = serde_json::json!(
            {"type": "record", "name": name, "namespace": "m", "fields": fields}
        );
        record.to_string()
    };
    let venue = record(
        "Venue",
        serde_json::json!([{"name": "mic", "type": "string"}, {"name": "lot", "type": "int"}]),
    );
    let quote = record(
        "Quote",
        serde_json::json!([{"name": "venue", "type": "m.Venue"}, {"name": "size", "type": "long"}]),
    );
    let refers = serde_json::json!([{"name": "m.Venue", "subject": "venue value", "version": 3}]);
    let answers = [
        (
            "/schemas/ids/5",
            serde_json::json!({"schema": quote, "references": refers}),
        ),
        (
            "/subjects/venue%20value/versions/3",
            serde_json::json!({"schema": venue}),
        ),
    ];
    let answers: HashMap<String, String> = answers
        .into_iter()
        .map(|(path, body)| (path.to_owned(), body.to_string()))
        .collect();
    let registry = Registry::start(answers);
    let options = [
        ("format", "avro-confluent"),
        ("schema-registry.url", registry.url.as_str()),
    ];
    let columns = vec![field("venue", "venue"), field("size", "bigint")];
    let mut decoder = decoder(&request(columns, &[], &options)).unwrap();
    let payload = [&[0, 0, 0, 0, 5][..], &[8], b"XNYS", &[200, 1], &[14]].concat();
    let decoded = decode(decoder.as_mut(), messages(&[payload]));
    assert_eq!(told(&decoded), ["+ {lot: 100, mic: XNYS} 7"]);
}

#[test]
fn wrong_options_are_refused_when_the_source_is_made() {
    let columns = || vec![field("a", "bigint")];
    let refused = |options: &[(&str, &str)]| match decoder(&request(columns(), &[], options)) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => format!("{error} / {}", error.hint.clone().unwrap_or_default()),
    };
    let told = [
        refused(&[("format", "avro")]),
        refused(&[("format", "avro"), ("avro.schema", "{\"type\":\"record\"}")]),
        refused(&[("format", "avro"), ("avro.schema", "\"long\"")]),
        refused(&[("format", "avro-confluent")]),
        refused(&[
            ("format", "avro-confluent"),
            ("schema-registry.url", "ftp://x"),
        ]),
        refused(&[("format", "avor")]),
    ];
    expect_test::expect![[r#"
        option "avro.schema" of source "s" is missing / Add 'avro.schema' = '…' to the WITH clause.
        option "avro.schema" of source "s" is no Avro schema of a record: a named type has no "name" / 
        option "avro.schema" of source "s" is no Avro schema of a record: the type is no record / 
        option "schema-registry.url" of source "s" is missing / Add 'schema-registry.url' = '…' to the WITH clause.
        option "schema-registry.url" of source "s" cannot be "ftp://x" / Write it as 'http://host:8081'.
        unknown format "avor" of source "s" / Did you mean 'avro'? Possible values: json, csv, avro, avro-confluent, protobuf, protobuf-confluent, debezium-json, raw."#]]
    .assert_eq(&told.join("\n"));
}
