//! The record's bytes: read back by their sink, refused by every other.

use rtsap_stream::error::ErrorKind;

use super::{Owner, Progress, decode, encode};

#[test]
fn a_record_is_read_back_by_its_own_sink_only() {
    let progress = Progress {
        generation: 3,
        epoch: 1 << 60,
    };
    let owner = Owner {
        directory: 5,
        sink: 9,
    };
    let bytes = encode("s \"1\"", owner, "t", progress);
    let wanted = (progress, Some(owner));
    assert_eq!(decode(&bytes, "p", "s \"1\"", "t").unwrap(), wanted);
    for (sink, topic) in [("s", "t"), ("s \"1\"", "u")] {
        let error = decode(&bytes, "p", sink, topic).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data);
    }
    for bytes in [
        &b"{}"[..],
        b"",
        b"\xff",
        br#"{"version":2,"sink":"s","topic":"t","generation":1,"epoch":1}"#,
        br#"{"version":1,"sink":"s","topic":"t","generation":-1,"epoch":1}"#,
        br#"{"version":1,"sink":"s","topic":"t","generation":1,"epoch":1,"owner":"x"}"#,
    ] {
        let error = decode(bytes, "p", "s", "t").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Data);
    }
}

/// Bytes that some release has written: what is persisted is read for ever.
#[test]
fn the_first_form_stays_readable() {
    let bytes = br#"{"epoch":12,"generation":2,"sink":"s","topic":"t","version":1}"#;
    let wanted = Progress {
        generation: 2,
        epoch: 12,
    };
    assert_eq!(decode(bytes, "p", "s", "t").unwrap(), (wanted, None));
}
