//! Which options of a Kafka sink are taken, and how the others are refused.

use rtsap_stream::registry::Options;

use super::SinkOptions;

fn read_as(sink: &str, extra: &[(&str, &str)]) -> Result<SinkOptions, String> {
    let mut options = Options::default();
    for (key, value) in [
        ("connector", "kafka"),
        ("topic", "candles"),
        ("properties.bootstrap.servers", "localhost:9092"),
        ("format", "json"),
    ]
    .iter()
    .chain(extra)
    {
        options.0.insert((*key).to_owned(), (*value).to_owned());
    }
    options.0.retain(|_, value| !value.is_empty());
    SinkOptions::read("sink \"s\"", sink, &options).map_err(|error| {
        format!(
            "{} | {}",
            error.message,
            error.hint.or(error.detail).unwrap_or_default()
        )
    })
}

fn read(extra: &[(&str, &str)]) -> Result<SinkOptions, String> {
    read_as("s", extra)
}

#[test]
fn defaults_create_topics_and_name_the_record_by_sink_and_topic() {
    let options = read(&[]).unwrap();
    assert!(options.create && options.headers && !options.upsert);
    assert!(options.key_fields.is_empty());
    let name = options.progress_topic.clone();
    assert!(name.starts_with("__rtsap-progress-s-"), "{name}");
    assert_eq!(read(&[]).unwrap().progress_topic, name);
    for other in [
        read_as("t", &[]),
        read(&[("topic", "candles2")]),
        read_as("s s", &[]),
        read_as("s-s", &[]),
    ] {
        assert_ne!(other.unwrap().progress_topic, name);
    }
    let strange = read_as("séance \"1\"", &[]).unwrap().progress_topic;
    assert!(
        strange.starts_with("__rtsap-progress-s-ance--1--"),
        "{strange}"
    );
    assert!(read(&[("connector", "upsert-kafka")]).unwrap().upsert);
}

#[test]
fn keys_are_column_names() {
    let keys = read(&[("key.fields", "symbol; venue")]).unwrap().key_fields;
    assert_eq!(keys, ["symbol", "venue"]);
}

#[test]
fn wrong_options_are_refused_with_a_hint() {
    let cases: &[(&[(&str, &str)], &str)] = &[
        (
            &[("topic", "")],
            "option \"topic\" of sink \"s\" is missing | Add 'topic' = '…' to",
        ),
        (
            &[("topci", "x")],
            "unknown option \"topci\" of sink \"s\" | Did you mean 'topic'?",
        ),
        (
            &[("format", "")],
            "option \"format\" of sink \"s\" is missing | Add 'format' = 'json'",
        ),
        (
            &[("format", "avro")],
            "option \"format\" of sink \"s\" cannot be \"avro\" | Possible",
        ),
        (
            &[("key.format", "raw")],
            "option \"key.format\" of sink \"s\" cannot be \"raw\"",
        ),
        (
            &[("partitions", "0")],
            "option \"partitions\" of sink \"s\" must be at least 1",
        ),
        (
            &[("key.fields", "a;;b")],
            "option \"key.fields\" of sink \"s\" cannot be \"a;;b\"",
        ),
        (
            &[("connector", "upsert-kafka"), ("key.fields", "a")],
            "option \"key.fields\" of sink \"s\" cannot be set | The key of an upserted message",
        ),
        (
            &[("properties.transactional.id", "x")],
            "option \"properties.transactional.id\" of sink \"s\" cannot be set | An epoch is",
        ),
        (
            &[("properties.acks", "1")],
            "option \"properties.acks\" of sink \"s\" cannot be set",
        ),
        (
            &[("properties.linger", "1")],
            "option \"properties.linger\" of sink \"s\" is not accepted by the Kafka client",
        ),
        (
            &[("progress.topic", "a b")],
            "option \"progress.topic\" of sink \"s\" cannot be \"a b\"",
        ),
        (
            &[("progress.topic", "candles")],
            "option \"progress.topic\" of sink \"s\" cannot be the sink's own topic",
        ),
        (
            &[("properties.bootstrap.servers", "")],
            "option \"properties.bootstrap.servers\" of sink \"s\" is missing",
        ),
    ];
    for (extra, wanted) in cases {
        let refusal = read(extra).unwrap_err();
        assert!(refusal.starts_with(wanted), "{refusal}\n{wanted}");
    }
}
