//! Tests of `time_bucket`: alignment by hand, every unit, negative times, refusals, and a slow
//! reference.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use proptest::prelude::*;

use super::buckets::{Alignment, Buckets};
use crate::error::FunctionError;
use crate::trial::{refusal_text, rows};

fn check(call: &str, expected: &str) {
    assert_eq!(rows(&format!("SELECT {call}")), [expected], "{call}");
}

#[test]
fn minutes_hours_and_days() {
    let ts = "TIMESTAMP '2026-03-02T09:31:05.123456'";
    check(
        &format!("time_bucket('1 minute', {ts})"),
        "2026-03-02T09:31:00",
    );
    check(
        &format!("time_bucket(INTERVAL '5 minutes', {ts})"),
        "2026-03-02T09:30:00",
    );
    check(
        &format!("time_bucket('250 milliseconds', {ts})"),
        "2026-03-02T09:31:05",
    );
    check(
        &format!("time_bucket('1 day', {ts})"),
        "2026-03-02T00:00:00",
    );
    // Seven hours do not divide a day: buckets count from 2000-01-03, not from midnight.
    check(
        &format!("time_bucket('7 hours', {ts})"),
        "2026-03-02T07:00:00",
    );
    check(
        "time_bucket('2 days', TIMESTAMP '2000-01-02')",
        "2000-01-01T00:00:00",
    );
}

#[test]
fn weeks_begin_on_mondays() {
    check(
        "time_bucket('1 week', TIMESTAMP '2026-03-01T23:59:59')",
        "2026-02-23T00:00:00",
    );
    check(
        "time_bucket('1 week', TIMESTAMP '2026-03-02T00:00:00')",
        "2026-03-02T00:00:00",
    );
    check(
        "time_bucket('2 weeks', TIMESTAMP '2000-01-10')",
        "2000-01-03T00:00:00",
    );
}

#[test]
fn months_and_years_follow_the_calendar() {
    check(
        "time_bucket('1 month', TIMESTAMP '2024-02-29T23:59:59')",
        "2024-02-01T00:00:00",
    );
    check(
        "time_bucket('3 months', TIMESTAMP '2026-06-30')",
        "2026-04-01T00:00:00",
    );
    check(
        "time_bucket('1 year', TIMESTAMP '1999-12-31')",
        "1999-01-01T00:00:00",
    );
    check(
        "time_bucket('5 years', TIMESTAMP '2026-06-30')",
        "2025-01-01T00:00:00",
    );
    check(
        "time_bucket('5 months', TIMESTAMP '1999-12-31')",
        "1999-08-01T00:00:00",
    );
    check("time_bucket('1 month', DATE '1969-12-31')", "1969-12-01");
    check(
        "time_bucket('1 month', arrow_cast('2026-03-31T23:30:00-02:00', \
         'Timestamp(Microsecond, Some(\"UTC\"))'))",
        "2026-04-01T00:00:00Z",
    );
}

#[test]
fn origin_and_offset() {
    let ts = "TIMESTAMP '2026-03-02T09:31:05'";
    check(
        &format!("time_bucket('1 hour', {ts}, INTERVAL '15 minutes')"),
        "2026-03-02T09:15:00",
    );
    check(
        &format!("time_bucket('1 hour', {ts}, INTERVAL '-45 minutes')"),
        "2026-03-02T09:15:00",
    );
    check(
        &format!("time_bucket('1 week', {ts}, TIMESTAMP '2000-01-02')"),
        "2026-03-01T00:00:00",
    );
    check(
        &format!("time_bucket('1 week', {ts}, DATE '2026-03-04')"),
        "2026-02-25T00:00:00",
    );
    check(
        &format!("time_bucket('3 months', {ts}, DATE '2025-02-01')"),
        "2026-02-01T00:00:00",
    );
    check(
        &format!("time_bucket('1 year', {ts}, INTERVAL '3 months')"),
        "2025-04-01T00:00:00",
    );
    check(
        &format!("time_bucket('1 month', {ts}, INTERVAL '9 hours')"),
        "2026-03-01T09:00:00",
    );
    check(
        "time_bucket('1 month', TIMESTAMP '2026-03-01T08:59:59', INTERVAL '9 hours')",
        "2026-02-01T09:00:00",
    );
}

#[test]
fn times_before_1970_floor() {
    check(
        "time_bucket('1 minute', TIMESTAMP '1969-12-31T23:59:59.999999')",
        "1969-12-31T23:59:00",
    );
    check(
        "time_bucket('1 hour', to_timestamp_nanos(-1))",
        "1969-12-31T23:00:00",
    );
    check(
        "time_bucket('1 day', TIMESTAMP '1900-01-01T12:00:00')",
        "1900-01-01T00:00:00",
    );
}

#[test]
fn the_type_of_the_time_is_kept() {
    for kind in [
        "Timestamp(Second, None)",
        "Timestamp(Millisecond, None)",
        "Timestamp(Microsecond, None)",
        "Timestamp(Nanosecond, None)",
        "Timestamp(Microsecond, Some(\"UTC\"))",
        "Timestamp(Nanosecond, Some(\"America/New_York\"))",
        "Date32",
    ] {
        let sql = format!(
            "SELECT arrow_typeof(t) = arrow_typeof(time_bucket('1 day', t)) FROM \
             (SELECT arrow_cast('2026-03-02', '{kind}') AS t)"
        );
        assert_eq!(rows(&sql), ["true"], "{kind}");
    }
}

#[test]
fn nanoseconds_are_exact() {
    check(
        "time_bucket('3 nanoseconds', to_timestamp_nanos(1772443865123456789))",
        "2026-03-02T09:31:05.123456787",
    );
    check(
        "time_bucket('1 nanosecond', to_timestamp_nanos(1772443865123456789))",
        "2026-03-02T09:31:05.123456789",
    );
}

#[test]
fn nulls_pass_through_and_columns_work() {
    let sql = "SELECT count(*), \
               count(time_bucket('1 minute', CASE WHEN symbol = 'A' THEN ts END)), \
               count(time_bucket(CAST(NULL AS INTERVAL), ts)) FROM trades";
    assert_eq!(rows(sql), ["7 4 0"]);
    let sql = "SELECT time_bucket('1 minute', ts) AS b, count(*) FROM trades GROUP BY b ORDER BY b";
    assert_eq!(
        rows(sql),
        ["2026-03-02T09:30:00 4", "2026-03-02T09:31:00 3"]
    );
}

#[test]
fn a_bucket_is_null_where_its_time_or_its_alignment_is() {
    let origin = "TIMESTAMP '2001-02-03 04:05:06'";
    let calls = [
        ("ts", "'7 minutes', ts"),
        ("ts", "'2 days', ts, INTERVAL '5 hours'"),
        ("ts", "'3 months', ts"),
        ("ts", "'1 week', ts, TIMESTAMP '2001-02-03 04:05:06'"),
        ("zoned", "'1 day', zoned, 'Europe/Berlin'"),
        (
            "zoned",
            "'1 month', zoned, 'America/New_York', INTERVAL '1 day'",
        ),
    ];
    for (time, arguments) in calls {
        let sql = format!(
            "SELECT count(*), count({time}), bool_and(({time} IS NULL) = (time_bucket({arguments}) \
             IS NULL)), bool_and(time_bucket({arguments}) <= {time}) FROM (SELECT ts, \
             arrow_cast(ts, 'Timestamp(Microsecond, Some(\"UTC\"))') AS zoned FROM (SELECT CASE \
             WHEN abs(value) % 3 > 0 THEN {origin} + value * INTERVAL '7 hours' END AS ts FROM \
             generate_series(-500, 499)))"
        );
        assert_eq!(rows(&sql), ["1000 667 true true"], "{arguments}");
    }
    for missing in ["CAST(NULL AS TIMESTAMP)", "CAST(NULL AS INTERVAL)"] {
        let sql =
            format!("SELECT time_bucket('1 hour', ts, {missing}) IS NULL FROM trades LIMIT 1");
        assert_eq!(rows(&sql), ["true"], "{missing}");
    }
}

#[test]
fn refusals() {
    let check = |call: &str, message: &str| {
        assert_eq!(refusal_text(&format!("SELECT {call} FROM trades")), message);
    };
    let positive = "expected a positive interval of either months or days and time";
    check(
        "time_bucket('0 seconds', ts)",
        &format!("cannot use 0 as argument width of time_bucket, {positive}"),
    );
    check(
        "time_bucket('-1 day', ts)",
        &format!("cannot use -1 days as argument width of time_bucket, {positive}"),
    );
    check(
        "time_bucket('1 month 1 day', ts)",
        &format!("cannot use 1 months 1 days as argument width of time_bucket, {positive}"),
    );
    check(
        "time_bucket('1 nanosecond', ts)",
        "cannot express width 1 ns in Timestamp(µs)",
    );
    check(
        "time_bucket('1 hour', CAST(ts AS DATE))",
        "cannot express width 3600000000000 ns in Date32",
    );
    check(
        "time_bucket('1 day', ts, INTERVAL '1 month')",
        "cannot use 1 months as argument offset of time_bucket, expected an interval without \
         months for buckets of days and time",
    );
    check(
        "time_bucket('1 month', ts, TIMESTAMP '2000-01-02')",
        "cannot use 946771200000000000 ns since 1970 as argument origin of time_bucket, expected \
         midnight on the first of a month for buckets of months",
    );
    check(
        "time_bucket(60, ts)",
        "cannot use Int64 as argument width of time_bucket, expected an interval",
    );
    check(
        "time_bucket('1 day', price)",
        "cannot use Float64 as argument ts of time_bucket, expected a timestamp or a date",
    );
    check(
        "time_bucket('1 day', ts, 5)",
        "cannot use Int64 as argument origin of time_bucket, expected a timestamp as origin, such \
         as TIMESTAMP '2000-01-01', or an interval as offset, such as INTERVAL '15 minutes'",
    );
    check(
        "time_bucket(ts - TIMESTAMP '2026-01-01', ts)",
        "cannot use an expression as argument width of time_bucket, expected a constant",
    );
    check(
        "time_bucket('1 day', arrow_cast(-9223372036854775808, 'Timestamp(Nanosecond, None)'))",
        "cannot express the start of a bucket of time_bucket in Timestamp(ns)",
    );
}

fn buckets(months: i32, days: i32, nanoseconds: i64, unit: TimeUnit) -> Buckets {
    let width = IntervalMonthDayNano::new(months, days, nanoseconds);
    Buckets::new(width, Alignment::Default, &DataType::Timestamp(unit, None)).unwrap()
}

#[test]
fn a_time_at_either_end_of_the_range() {
    let hours = buckets(0, 0, 3_600_000_000_000, TimeUnit::Nanosecond);
    let last = hours.cursor().start_of(i64::MAX).unwrap();
    assert!(i64::MAX - last < 3_600_000_000_000 && last % 3_600_000_000_000 == 0);
    assert_eq!(hours.cursor().start_of(i64::MIN), None);
    assert!(
        buckets(1, 0, 0, TimeUnit::Nanosecond)
            .cursor()
            .start_of(i64::MAX)
            .is_some()
    );
    assert_eq!(
        buckets(1, 0, 0, TimeUnit::Second)
            .cursor()
            .start_of(i64::MIN),
        None
    );
}

#[test]
fn a_width_beyond_the_range_is_refused() {
    let width = IntervalMonthDayNano::new(0, i32::MAX, 0);
    let data_type = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let error = Buckets::new(width, Alignment::Default, &data_type).unwrap_err();
    let datafusion::common::DataFusionError::External(cause) = error else {
        panic!()
    };
    assert!(matches!(
        cause.downcast_ref(),
        Some(FunctionError::OutOfRange { .. })
    ));
}

proptest! {
    /// The bucket holds its time, begins on the grid of the origin, and does not depend on which
    /// times were asked for before.
    #[test]
    fn fixed_buckets_contain_their_time(
        times in prop::collection::vec(
            -4_000_000_000_000_000_000..4_000_000_000_000_000_000_i64,
            1..40,
        ),
        near in prop::collection::vec(-3_000_000_000_i64..3_000_000_000, 1..40),
        width in prop_oneof![1..5_000_000_000_i64, Just(604_800_000_000_000)],
    ) {
        const ORIGIN: i128 = 946_857_600_000_000_000;
        let buckets = buckets(0, 0, width, TimeUnit::Nanosecond);
        let mut cursor = buckets.cursor();
        for time in times.iter().chain(&near).copied() {
            let start = cursor.start_of(time).unwrap();
            prop_assert!(start <= time && i128::from(time) < i128::from(start) + i128::from(width));
            prop_assert_eq!((i128::from(start) - ORIGIN).rem_euclid(i128::from(width)), 0);
        }
    }

    #[test]
    fn months_equal_arrows_calendar(
        seconds in -60_000_000_000..60_000_000_000_i64,
        width in 1..30_i32,
    ) {
        use datafusion::arrow::array::{AsArray, TimestampSecondArray};
        use datafusion::arrow::compute::{DatePart, date_part};
        use datafusion::arrow::datatypes::Int32Type;
        let start = buckets(width, 0, 0, TimeUnit::Second).cursor().start_of(seconds).unwrap();
        let times = TimestampSecondArray::from(vec![seconds, start]);
        let part = |part| Arc::clone(&date_part(&times, part).unwrap());
        let (years, months) = (part(DatePart::Year), part(DatePart::Month));
        let days = part(DatePart::Day);
        let month = |row: usize| {
            years.as_primitive::<Int32Type>().value(row) * 12
                + months.as_primitive::<Int32Type>().value(row) - 1
        };
        prop_assert_eq!(days.as_primitive::<Int32Type>().value(1), 1);
        prop_assert_eq!(start.rem_euclid(86_400), 0);
        prop_assert_eq!((month(1) - 24_000).rem_euclid(width), 0);
        prop_assert!((0..width).contains(&(month(0) - month(1))));
    }
}
