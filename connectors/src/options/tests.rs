//! How options are spelt and how wrong ones are answered.

use std::time::Duration;

use rtsap_stream::registry::Options;

use super::{OptionReader, SourceOptions, parse_duration};

fn options(pairs: &[(&str, &str)]) -> Options {
    Options(
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect(),
    )
}

#[test]
fn durations_take_a_number_and_a_unit() {
    for (text, expected) in [
        ("5s", Some(Duration::from_secs(5))),
        ("500 ms", Some(Duration::from_millis(500))),
        ("1.5 min", Some(Duration::from_secs(90))),
        ("2 hours", Some(Duration::from_secs(7_200))),
        ("1 day", Some(Duration::from_secs(86_400))),
        ("0", Some(Duration::ZERO)),
        ("5", None),
        ("s", None),
        ("-5 s", None),
        ("5 parsecs", None),
        ("", None),
    ] {
        assert_eq!(parse_duration(text), expected, "{text:?}");
    }
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_name() {
    let options = options(&[("topik", "trades")]);
    let mut reader = OptionReader::new("source \"t\"", &options);
    assert_eq!(reader.text("topic"), None);
    let error = reader.finish().unwrap_err();
    assert_eq!(error.message, "unknown option \"topik\" of source \"t\"");
    assert_eq!(error.hint.as_deref(), Some("Did you mean 'topic'?"));
}

#[test]
fn a_wrong_choice_lists_the_right_ones() {
    let options = options(&[("on_error", "dead-letter")]);
    let mut reader = OptionReader::new("source \"t\"", &options);
    let error = SourceOptions::read(&mut reader).unwrap_err();
    assert_eq!(
        error.message,
        "option \"on_error\" of source \"t\" cannot be \"dead-letter\""
    );
    assert_eq!(
        error.hint.as_deref(),
        Some("Did you mean 'dead_letter'? Possible values: dead_letter, fail, drop.")
    );
}

#[test]
fn alignment_needs_group_and_drift() {
    let options = options(&[("scan.watermark.alignment.group", "market")]);
    let mut reader = OptionReader::new("source \"t\"", &options);
    let error = SourceOptions::read(&mut reader).unwrap_err();
    assert!(error.message.contains("max-drift"), "{}", error.message);
}
