//! Which options of a Kafka source are taken, and how the others are refused.

use rtsap_stream::registry::Options;

use super::{KafkaOptions, StartupMode};

fn read(extra: &[(&str, &str)]) -> Result<KafkaOptions, String> {
    let mut options = Options::default();
    for (key, value) in [
        ("connector", "kafka"),
        ("topic", "trades"),
        ("properties.bootstrap.servers", "localhost:9092"),
        ("format", "json"),
    ]
    .iter()
    .chain(extra)
    {
        options.0.insert((*key).to_owned(), (*value).to_owned());
    }
    KafkaOptions::read("t", &options, &["json.timestamp-format"]).map_err(|error| {
        format!(
            "{} | {}",
            error.message,
            error.hint.or(error.detail).unwrap_or_default()
        )
    })
}

#[test]
fn startup_modes() {
    let mode = |extra: &[(&str, &str)]| read(extra).map(|options| options.startup);
    assert_eq!(mode(&[]), Ok(StartupMode::Earliest));
    assert_eq!(
        mode(&[("scan.startup.mode", "latest-offset")]),
        Ok(StartupMode::Latest)
    );
    assert_eq!(
        mode(&[
            ("scan.startup.mode", "timestamp"),
            ("scan.startup.timestamp-millis", "17")
        ]),
        Ok(StartupMode::Timestamp(17))
    );
    assert_eq!(
        mode(&[
            ("scan.startup.mode", "specific-offsets"),
            (
                "scan.startup.specific-offsets",
                "partition:0,offset:42; partition:1, offset:300"
            ),
        ]),
        Ok(StartupMode::Offsets(vec![(0, 42), (1, 300)]))
    );
}

#[test]
fn refusals() {
    for (extra, expected) in [
        (
            &[("topik", "x")][..],
            "unknown option \"topik\" of source \"t\" | Did you mean 'topic'?",
        ),
        (
            &[("scan.startup.mode", "earliest")][..],
            "option \"scan.startup.mode\" of source \"t\" cannot be \"earliest\" | Possible \
             values: earliest-offset, latest-offset, timestamp, specific-offsets.",
        ),
        (
            &[("scan.startup.mode", "timestamp")][..],
            "option \"scan.startup.timestamp-millis\" of source \"t\" is missing | Add \
             'scan.startup.timestamp-millis' = '…' to the WITH clause.",
        ),
        (
            &[("scan.startup.timestamp-millis", "5")][..],
            "option \"scan.startup.timestamp-millis\" of source \"t\" is only used with \
             'scan.startup.mode' = 'timestamp' | ",
        ),
        (
            &[
                ("scan.startup.mode", "specific-offsets"),
                (
                    "scan.startup.specific-offsets",
                    "partition:0,offset:1;partition:0,offset:2",
                ),
            ][..],
            "option \"scan.startup.specific-offsets\" of source \"t\" cannot be \
             \"partition:0,offset:1;partition:0,offset:2\" | Write it as \
             'partition:0,offset:42;partition:1,offset:300'.",
        ),
        (
            &[("properties.enable.auto.commit", "true")][..],
            "option \"properties.enable.auto.commit\" of source \"t\" cannot be set | Offsets \
             live in checkpoints, so RTSAP itself decides where reading starts.",
        ),
        (
            &[("properties.no.such.thing", "1")][..],
            "option \"properties.no.such.thing\" of source \"t\" is not accepted by the Kafka \
             client | The names of librdkafka's CONFIGURATION.md are accepted.",
        ),
        (
            &[("on_error", "ignore")][..],
            "option \"on_error\" of source \"t\" cannot be \"ignore\" | Possible values: \
             dead_letter, fail, drop.",
        ),
        (
            &[("scan.watermark.idle-timeout", "soon")][..],
            "option \"scan.watermark.idle-timeout\" of source \"t\" cannot be \"soon\": a length \
             of time is expected | Write a number and a unit, such as '500 ms', '5 s' or '1 min'.",
        ),
    ] {
        assert_eq!(read(extra).err().as_deref(), Some(expected), "{extra:?}");
    }
}
