//! Startup packets as clients send them.

use bytes::Bytes;

use super::{Startup, options};

#[test]
fn options_hold_variables_in_each_of_their_spellings() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        options("-c statement_timeout=5s  -cgeqo=off --TimeZone=UTC -c a.b=x\\ y -f"),
        [
            pair("statement_timeout", "5s"),
            pair("geqo", "off"),
            pair("TimeZone", "UTC"),
            pair("a.b", "x y"),
        ]
    );
}

#[test]
fn the_database_is_called_like_the_user_unless_it_is_given() {
    let read = |packet: &'static [u8]| Startup::read(Bytes::from_static(packet)).unwrap();
    let settings = read(b"user\0ann\0\0").settings().unwrap();
    assert_eq!(
        (settings.user.as_str(), settings.database.as_str()),
        ("ann", "ann")
    );
    let settings = read(b"user\0ann\0database\0rtsap\0\0").settings().unwrap();
    assert_eq!(settings.database, "rtsap");
    assert_eq!(read(b"\0").settings().unwrap_err().sqlstate, "28000");
    assert_eq!(
        read(b"user\0a\0replication\0true\0\0")
            .settings()
            .unwrap_err()
            .sqlstate,
        "0A000"
    );
    assert!(
        Startup::read(Bytes::from_static(b"user\0ann"))
            .unwrap_err()
            .fatal
    );
}
