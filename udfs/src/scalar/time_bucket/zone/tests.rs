//! Buckets by the clocks of a place: by hand around changes of clocks, and the properties that hold
//! for every zone, width and time.

use chrono::{DateTime, TimeZone as _};
use chrono_tz::Tz;
use proptest::prelude::*;

use crate::trial::{refusal_text, rows};

/// The bucket of an instant in New York.
fn check(width: &str, instant: &str, rest: &str, expected: &str) {
    let call = format!(
        "time_bucket('{width}', arrow_cast('{instant}', 'Timestamp(Microsecond, \
         Some(\"+00:00\"))'), 'America/New_York'{rest})"
    );
    assert_eq!(rows(&format!("SELECT {call}")), [expected], "{call}");
}

#[test]
fn days_weeks_and_months_begin_at_midnight_there() {
    check("1 day", "2026-03-02T04:59:59Z", "", "2026-03-01T05:00:00Z");
    check("1 day", "2026-03-02T05:00:00Z", "", "2026-03-02T05:00:00Z");
    // Clocks were put forward on 2026-03-08 and back on 2026-11-01.
    check("1 day", "2026-03-09T03:59:59Z", "", "2026-03-08T05:00:00Z");
    check("1 day", "2026-11-02T04:30:00Z", "", "2026-11-01T04:00:00Z");
    check("1 week", "2026-03-09T03:00:00Z", "", "2026-03-02T05:00:00Z");
    check("1 week", "2026-03-09T04:00:00Z", "", "2026-03-09T04:00:00Z");
    check(
        "1 month",
        "2026-04-01T03:59:59Z",
        "",
        "2026-03-01T05:00:00Z",
    );
    check("1 year", "2027-01-01T04:59:59Z", "", "2026-01-01T05:00:00Z");
}

#[test]
fn hours_that_are_skipped_or_come_twice() {
    check("1 hour", "2026-03-08T06:59:59Z", "", "2026-03-08T06:00:00Z");
    check("1 hour", "2026-03-08T07:10:00Z", "", "2026-03-08T07:00:00Z");
    // The four hours from midnight are three, and five.
    check(
        "4 hours",
        "2026-03-08T07:59:59Z",
        "",
        "2026-03-08T05:00:00Z",
    );
    check(
        "4 hours",
        "2026-03-08T08:00:00Z",
        "",
        "2026-03-08T08:00:00Z",
    );
    check(
        "4 hours",
        "2026-11-01T08:59:59Z",
        "",
        "2026-11-01T04:00:00Z",
    );
    // 01:10 comes at 05:10 and at 06:10; the half-hour before the change holds the second.
    check("1 hour", "2026-11-01T06:10:00Z", "", "2026-11-01T05:00:00Z");
    check(
        "30 minutes",
        "2026-11-01T05:10:00Z",
        "",
        "2026-11-01T05:00:00Z",
    );
    check(
        "30 minutes",
        "2026-11-01T06:10:00Z",
        "",
        "2026-11-01T05:30:00Z",
    );
    check(
        "30 minutes",
        "2026-11-01T07:10:00Z",
        "",
        "2026-11-01T07:00:00Z",
    );
    check(
        "1 second",
        "2026-11-01T06:00:00Z",
        "",
        "2026-11-01T05:59:59Z",
    );
}

#[test]
fn an_origin_and_an_offset_are_what_the_clocks_there_show() {
    let nine = ", INTERVAL '9 hours 30 minutes'";
    check(
        "1 day",
        "2026-03-09T13:29:59Z",
        nine,
        "2026-03-08T13:30:00Z",
    );
    check(
        "1 day",
        "2026-03-09T13:30:00Z",
        nine,
        "2026-03-09T13:30:00Z",
    );
    let local = ", TIMESTAMP '2026-01-01T17:00:00'";
    check(
        "1 day",
        "2026-07-02T20:59:59Z",
        local,
        "2026-07-01T21:00:00Z",
    );
    let instant = ", arrow_cast('2026-01-01T22:00:00Z', 'Timestamp(Second, Some(\"UTC\"))')";
    check(
        "1 day",
        "2026-07-02T21:00:00Z",
        instant,
        "2026-07-02T21:00:00Z",
    );
    let named = ", NULL, INTERVAL '1 hour'";
    check(
        "1 day",
        "2026-07-02T05:00:00Z",
        named,
        "2026-07-02T05:00:00Z",
    );
    check(
        "1 day",
        "2026-07-02T05:00:00Z",
        ", NULL, NULL",
        "2026-07-02T04:00:00Z",
    );
}

#[test]
fn names_and_nulls() {
    let sql = "SELECT time_bucket('1 day', t, timezone => 'Asia/Tokyo'), \
               time_bucket('1 day', t, CAST(NULL AS VARCHAR)) IS NULL FROM \
               (SELECT arrow_cast('2026-03-02T16:00:00Z', 'Timestamp(Second, Some(\"UTC\"))') AS t)";
    assert_eq!(rows(sql), ["2026-03-02T15:00:00Z true"]);
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    let instant = "arrow_cast(ts, 'Timestamp(Microsecond, Some(\"UTC\"))')";
    check(
        "time_bucket('1 day', ts, 'UTC')",
        "cannot use Timestamp(µs) as argument ts of time_bucket, expected a timestamp with time \
         zone",
    );
    check(
        &format!("time_bucket('1 day', {instant}, 'Mars/Olympus')"),
        "cannot use 'Mars/Olympus' as argument timezone of time_bucket, expected a name of the \
         IANA database, such as 'America/New_York'",
    );
    check(
        &format!(
            "time_bucket('1 day', {instant}, 'UTC', TIMESTAMP '2000-01-01', INTERVAL '1 hour')"
        ),
        "cannot use an origin and an offset as argument offset of time_bucket, expected one of \
         the two",
    );
    check(
        &format!("time_bucket('1 day', {instant}, INTERVAL '1 hour', INTERVAL '1 hour')"),
        "cannot call time_bucket with 4 arguments, expected time_bucket(width, ts [, timezone] \
         [, origin | offset])",
    );
    check(
        &format!("time_bucket('1 day', {instant}, symbol)"),
        "cannot use an expression as argument origin of time_bucket, expected a constant",
    );
}

/// What clocks show at a second, in seconds since 1970-01-01.
fn shown(zone: Tz, second: i64) -> i64 {
    let utc = DateTime::from_timestamp(second, 0).unwrap();
    utc.with_timezone(&zone).naive_local().and_utc().timestamp()
}

const WIDTHS: [i64; 8] = [60, 900, 1_800, 3_600, 14_400, 25_200, 86_400, 604_800];

const ZONES: [Tz; 8] = [
    Tz::UTC,
    Tz::America__New_York,
    Tz::America__Sao_Paulo,
    Tz::Europe__Lisbon,
    Tz::Asia__Kolkata,
    Tz::Australia__Lord_Howe,
    Tz::Pacific__Apia,
    Tz::Africa__Monrovia,
];

proptest! {
    /// Where clocks run on evenly for two days around, the bucket is that of what they show; and
    /// anywhere it holds its time, is its own bucket, and comes no earlier than those before it.
    #[test]
    fn buckets_are_those_of_what_clocks_show(
        zone in prop::sample::select(&ZONES[..]),
        second in -1_500_000_000..2_000_000_000_i64,
        width in prop::sample::select(&WIDTHS[..]),
        steps in prop::collection::vec(0..7_200_i64, 0..40),
    ) {
        // A Monday.
        const ORIGIN: i64 = 10_959 * 86_400;
        let floor = |time: i64| {
            let start = time - (time - ORIGIN).rem_euclid(width);
            Some((start, start + width))
        };
        let bucket = |time: i64| super::bounds(zone, 1, time, floor).unwrap();
        let (mut time, mut before) = (second, i64::MIN);
        for step in steps {
            time += step;
            let (start, end) = bucket(time);
            prop_assert!(start <= time && time < end && before <= start, "{zone} {time}");
            prop_assert_eq!(bucket(start), (start, end));
            prop_assert_eq!(bucket(end - 1), (start, end));
            before = start;
            let even = |back: i64| shown(zone, time + back) - shown(zone, time) == back;
            let long = width + 90_000;
            if (-20..=20).all(|part| even(long * part / 20)) {
                let there = shown(zone, time);
                let (first, _) = floor(there).unwrap();
                prop_assert_eq!(start, time - (there - first));
                let local = DateTime::from_timestamp(first, 0).unwrap().naive_utc();
                let instant = zone.from_local_datetime(&local).single().unwrap();
                prop_assert_eq!(start, instant.timestamp());
            }
        }
    }
}
