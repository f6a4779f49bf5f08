//! Sessions by hand: holidays, early closes, lunch breaks, clocks that change, sessions that open
//! the evening before. `tests/oracle` compares the calendars with Python's.

use super::sessions::Calendar;
use crate::trial::{refusal_text, rows};

fn asked(call: &str) -> String {
    rows(&format!("SELECT coalesce(CAST({call} AS VARCHAR), '-')")).swap_remove(0)
}

#[test]
fn every_text_is_read() {
    for name in Calendar::names().trim_start_matches("one of ").split(", ") {
        let calendar = Calendar::find(name).unwrap();
        let middle = 1_300_000_000;
        assert!(calendar.session_at(middle).is_some(), "{name}");
    }
}

#[test]
fn sessions_by_hand() {
    let date = |ts: &str, exchange: &str| {
        asked(&format!(
            "session_date(CAST('{ts}' AS TIMESTAMP(6)), '{exchange}')"
        ))
    };
    // New York opens at 14:30 UTC in winter and at 13:30 in summer.
    assert_eq!(date("2026-03-02T14:30:00", "XNYS"), "2026-03-02");
    assert_eq!(date("2026-03-02T21:00:00", "XNYS"), "2026-03-03");
    assert_eq!(date("2026-07-03T15:00:00", "XNYS"), "2026-07-06");
    // The futures session of Tuesday opens on Monday evening in Chicago.
    assert_eq!(date("2026-03-02T23:30:00", "CMES"), "2026-03-03");
    assert_eq!(date("1999-06-01T15:00:00", "XNYS"), "-");
    assert_eq!(date("2031-06-01T15:00:00", "XNYS"), "-");
    let open = |ts: &str, exchange: &str| {
        asked(&format!(
            "is_trading_time(CAST('{ts}' AS TIMESTAMP(6)), '{exchange}')"
        ))
    };
    assert_eq!(open("2026-03-02T14:29:59.999999", "XNYS"), "false");
    assert_eq!(open("2026-03-02T14:30:00", "xnas"), "true");
    assert_eq!(open("2026-03-09T13:30:00", "XNYS"), "true");
    // The day after Thanksgiving closes at 13:00 in New York.
    assert_eq!(open("2026-11-27T17:59:59", "XNYS"), "true");
    assert_eq!(open("2026-11-27T18:00:00", "XNYS"), "false");
    // Tokyo has lunch from 11:30 to 12:30.
    assert_eq!(open("2026-03-02T02:29:59", "XTKS"), "true");
    assert_eq!(open("2026-03-02T03:00:00", "XTKS"), "false");
    assert_eq!(open("2026-03-02T03:30:00", "XTKS"), "true");
    assert_eq!(
        asked("next_session_open(CAST('2026-03-06T21:30:00Z' AS TIMESTAMP(6)), 'XNYS')"),
        "2026-03-09T13:30:00"
    );
    assert_eq!(asked("is_trading_time(NULL, 'XNYS')"), "-");
}

#[test]
fn an_unknown_exchange_is_refused() {
    let message = refusal_text("SELECT session_date(ts, 'XXXX') FROM trades");
    assert!(
        message.starts_with(
            "cannot use XXXX as argument exchange of session_date, expected one of CMES"
        )
    );
}
