//! Formats with the schemas of a real registry, at `RTSAP_TEST_REGISTRY` where one is given: the
//! fixtures' schemas are registered as a producer would, and their payloads carry its numbers.

use serde_json::{Value, json};

use super::*;

/// A client of the registry, with names of its own in it.
struct Client {
    url: String,
    unique: String,
    tokio: tokio::runtime::Runtime,
}

impl Client {
    fn new() -> Option<Self> {
        let Ok(url) = std::env::var("RTSAP_TEST_REGISTRY") else {
            println!("SKIPPED: RTSAP_TEST_REGISTRY is not set");
            return None;
        };
        // As the server does; another test may have done it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        Some(Self {
            url,
            unique: format!("{}-{}", std::process::id(), now.as_nanos()),
            tokio: runtime.unwrap(),
        })
    }

    fn subject(&self, name: &str) -> String {
        format!("{name}-{}", self.unique)
    }

    /// Registers a schema under a subject; its number.
    fn register(&self, subject: &str, schema: &Value) -> u32 {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let answer = self.tokio.block_on(async {
            let request = reqwest::Client::new().post(url);
            let request = request.header("content-type", "application/vnd.schemaregistry.v1+json");
            let answer = request.body(schema.to_string()).send().await.unwrap();
            answer.text().await.unwrap()
        });
        let answer: Value = serde_json::from_str(&answer).unwrap();
        u32::try_from(answer["id"].as_u64().unwrap_or_else(|| panic!("{answer}"))).unwrap()
    }
}

/// A payload of a registered schema as of another number.
fn renumbered(payload: &[u8], number: u32) -> Vec<u8> {
    [&[0][..], &number.to_be_bytes(), &payload[5..]].concat()
}

#[test]
fn avro_of_a_real_registry_is_read_as_its_writer_meant_it() {
    let Some(client) = Client::new() else { return };
    for (place, name) in ["every type", "evolution"].into_iter().enumerate() {
        let mut case = avro::case(name);
        let mut numbers = BTreeMap::new();
        for (number, schema) in &case.schemas {
            let subject = client.subject(&format!("avro-{place}-{number}"));
            let registered = client.register(&subject, &json!({"schema": schema}));
            numbers.insert(number.parse::<u32>().unwrap(), registered);
        }
        for payload in &mut case.payloads {
            let number = u32::from_be_bytes(payload[1..5].try_into().unwrap());
            *payload = renumbered(payload, numbers[&number]);
        }
        let options = [
            ("format", "avro-confluent"),
            ("schema-registry.url", client.url.as_str()),
        ];
        let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
        let messages = avro::messages(&case.payloads);
        avro::compare(&case, &decode(decoder.as_mut(), messages));
    }
}

#[test]
fn protobuf_of_a_real_registry_is_read_as_its_writer_meant_it() {
    let Some(client) = Client::new() else { return };
    let case = protobuf::case();
    let schema = json!({"schemaType": "PROTOBUF", "schema": case.schema});
    let number = client.register(&client.subject("protobuf"), &schema);
    let options = [
        ("format", "protobuf-confluent"),
        ("schema-registry.url", client.url.as_str()),
    ];
    let mut decoder = decoder(&request(case.columns.clone(), &[], &options)).unwrap();
    let payloads = case.payloads.iter();
    let payloads: Vec<_> = payloads
        .map(|payload| renumbered(payload, number))
        .collect();
    let decoded = decode(decoder.as_mut(), avro::messages(&payloads));
    assert_eq!(decoded.rejects, []);
    assert_eq!(cells(&decoded.rows), case.rows);
}

#[test]
fn references_in_a_real_registry_are_followed() {
    let Some(client) = Client::new() else { return };
    let venue = json!({"type": "record", "name": "Venue", "namespace": "m", "fields": [
        {"name": "mic", "type": "string"}, {"name": "lot", "type": "int"},
    ]});
    let quote = json!({"type": "record", "name": "Quote", "namespace": "m", "fields": [
        {"name": "venue", "type": "m.Venue"}, {"name": "size", "type": "long"},
    ]});
    let inner = client.subject("venue");
    client.register(&inner, &json!({"schema": venue.to_string()}));
    let refers = json!([{"name": "m.Venue", "subject": inner, "version": 1}]);
    let outer = json!({"schema": quote.to_string(), "references": refers});
    let number = client.register(&client.subject("quote"), &outer);
    let options = [
        ("format", "avro-confluent"),
        ("schema-registry.url", client.url.as_str()),
    ];
    let columns = vec![field("venue", "venue"), field("size", "bigint")];
    let mut decoder = decoder(&request(columns, &[], &options)).unwrap();
    let datum = [&[8][..], b"XNYS", &[200, 1], &[14]].concat();
    let payload = [&[0][..], &number.to_be_bytes(), &datum].concat();
    let unknown = [&[0][..], &9_999_999_u32.to_be_bytes(), &datum].concat();
    let decoded = decode(decoder.as_mut(), avro::messages(&[payload, unknown]));
    assert_eq!(told(&decoded)[0], "+ {lot: 100, mic: XNYS} 7");
    let rejected = &told(&decoded)[1];
    assert!(rejected.starts_with("101: "), "{rejected}");
    assert!(rejected.contains("9999999"), "{rejected}");
}
