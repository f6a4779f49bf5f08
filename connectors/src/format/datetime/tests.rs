//! Dates and times of every shape, against chrono where it reads them too.

use chrono::DateTime as Chrono;
use proptest::prelude::*;

use super::stream::LastDay;
use super::{DateTime, parse_days};

fn epoch(text: &str, digits: u8) -> Option<i64> {
    DateTime::parse(text.as_bytes()).and_then(|parsed| parsed.to_epoch(digits))
}

#[test]
fn iso_8601_in_its_usual_spellings() {
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", Some(0)),
        ("2024-01-02T03:04:05.123456Z", Some(1_704_164_645_123_456)),
        ("2024-01-02 03:04:05.123456", Some(1_704_164_645_123_456)),
        (
            "2024-01-02T03:04:05.123456789Z",
            Some(1_704_164_645_123_457),
        ),
        ("2024-01-02T05:04:05+02:00", Some(1_704_164_645_000_000)),
        ("2024-01-02T05:04:05+0200", Some(1_704_164_645_000_000)),
        ("2024-01-01 22:04:05 -05", Some(1_704_164_645_000_000)),
        ("2024-01-02T03:04Z", Some(1_704_164_640_000_000)),
        ("2024-01-02", Some(1_704_153_600_000_000)),
        ("1969-12-31T23:59:59.5Z", Some(-500_000)),
        ("2016-12-31T23:59:60Z", Some(1_483_228_800_000_000)),
        ("0001-01-01T00:00:00Z", Some(-62_135_596_800_000_000)),
        (
            "9999-12-31T23:59:59.9999995Z",
            Some(253_402_300_800_000_000),
        ),
        ("2000-02-29T00:00:00Z", Some(951_782_400_000_000)),
        ("1900-02-29T00:00:00Z", None),
        ("2023-02-29", None),
        ("2024-13-01", None),
        ("2024-00-01", None),
        ("2024-01-32", None),
        ("2024-01-02T24:00:00Z", None),
        ("2024-01-02T03:60:00Z", None),
        ("2024-01-02T03:04:05.Z", None),
        ("2024-01-02T03:04:05.1234567890Z", None),
        ("2024-01-02T03:04:05+2", None),
        ("2024-01-02T03:04:05 UTC", None),
        ("2024-01-02T", None),
        ("2024-1-2", None),
        ("20240102", None),
        ("tomorrow", None),
        ("", None),
    ] {
        assert_eq!(epoch(text, 6), expected, "{text:?}");
    }
}

#[test]
fn fractions_round_to_the_unit() {
    assert_eq!(epoch("1970-01-01T00:00:00.0005Z", 3), Some(1));
    assert_eq!(epoch("1970-01-01T00:00:00.000499999Z", 3), Some(0));
    assert_eq!(epoch("1970-01-01T00:00:00.5Z", 0), Some(1));
    assert_eq!(
        epoch("1970-01-01T00:00:00.999999999Z", 9),
        Some(999_999_999)
    );
    assert_eq!(epoch("2262-04-11T23:47:16.854775807Z", 9), Some(i64::MAX));
    assert_eq!(epoch("2262-04-11T23:47:16.854775808Z", 9), None);
}

#[test]
fn dates_stand_alone() {
    assert_eq!(parse_days(b"1970-01-01"), Some(0));
    assert_eq!(parse_days(b"1969-12-31"), Some(-1));
    assert_eq!(parse_days(b"2024-02-29"), Some(19_782));
    assert_eq!(parse_days(b"2024-02-29T00:00"), None);
}

proptest! {
    #[test]
    fn any_instant_survives_its_text(us in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
        let text = Chrono::from_timestamp_micros(us).unwrap().to_rfc3339();
        prop_assert_eq!(epoch(&text, 6), Some(us), "{}", text);
    }
}

/// What is read by position, the day known, is what is read from scratch; what is not is left.
#[test]
fn a_timestamp_of_the_last_day_reads_alike() {
    let first = "2024-01-02T03:04:05.123456Z";
    let mut last_day = LastDay::default();
    assert_eq!(last_day.read(first.as_bytes(), 6), None);
    let parsed = DateTime::parse(first.as_bytes()).unwrap();
    last_day.remember(first.as_bytes(), &parsed);
    for (text, by_position) in [
        (first, true),
        ("2024-01-02 23:59:59Z", true),
        ("2024-01-02T00:00:00.1Z", true),
        ("2024-01-02T00:00:00.000000001Z", false),
        ("2024-01-02T23:59:60Z", false),
        ("2024-01-03T03:04:05.123456Z", false),
        ("2024-01-02T03:04:05.123456", false),
        ("2024-01-02T03:04:05.123456+01:00", false),
        ("2024-01-02T24:00:00Z", false),
        ("2024-01-02T03:60:00Z", false),
        ("2024-01-02T03:04:61Z", false),
        ("2024-01-02T03:04:05.Z", false),
        ("2024-01-02T03:04:05.12a456Z", false),
        ("2024-01-02T03-04-05Z", false),
        ("2024-01-02T0a:04:05Z", false),
        ("2024-01-02", false),
    ] {
        let found = last_day.read(text.as_bytes(), 6);
        let expected = by_position.then(|| epoch(text, 6)).flatten();
        assert_eq!(found, expected, "{text:?}");
        assert!(!by_position || found.is_some(), "{text:?}");
    }
    // Beyond the range of nanoseconds in 64 bits.
    let far = "9999-12-31T00:00:00Z";
    last_day.remember(far.as_bytes(), &DateTime::parse(far.as_bytes()).unwrap());
    assert_eq!(last_day.read(far.as_bytes(), 9), None);
}
