//! Durations are read exactly or refused.

use super::nanos_of;

#[test]
fn durations_are_read() {
    let read = |text, unit| nanos_of(text, unit).map_err(|error| error.to_string());
    assert_eq!(read("2", Some("SECOND")), Ok(2_000_000_000));
    assert_eq!(read("1 minute 30 seconds", None), Ok(90_000_000_000));
    assert_eq!(read("500ms", None), Ok(500_000_000));
    assert_eq!(read("0.25", Some("second")), Ok(250_000_000));
    assert_eq!(read("00:00:05.5", None), Ok(5_500_000_000));
    assert_eq!(read("-5 s", None), Ok(-5_000_000_000));
    assert_eq!(read("1 day", None), Ok(86_400_000_000_000));
}

#[test]
fn what_has_no_fixed_length_is_refused() {
    for text in [
        "1 month",
        "2 years",
        "",
        "soon",
        "1 fortnight",
        "-",
        "1e400 days",
    ] {
        assert!(nanos_of(text, None).is_err(), "{text}");
    }
    let error = nanos_of("1", Some("MONTH")).unwrap_err();
    assert!(error.hint_text().is_some());
}
