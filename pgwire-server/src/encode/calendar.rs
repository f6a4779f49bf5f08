//! Days, times and intervals as PostgreSQL writes them in ISO style. Pure arithmetic on the
//! proleptic Gregorian calendar.

use std::fmt::Write;

use bytes::BytesMut;

/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary dates begin.
pub(crate) const EPOCH_DAYS: i32 = 10_957;

/// Year (astronomical: 0 is 1 BC), month and day of `days` since 1970-01-01.
///
/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms".
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Writes a day; returns whether it is before Christ, which is written at the very end.
fn put_day(days: i64, out: &mut BytesMut) -> bool {
    let (year, month, day) = civil(days);
    let before_christ = year <= 0;
    let year = if before_christ { 1 - year } else { year };
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
    before_christ
}

/// Writes `days` since 1970-01-01: `2024-01-02`.
pub(crate) fn put_date(days: i32, out: &mut BytesMut) {
    if put_day(i64::from(days), out) {
        out.extend_from_slice(b" BC");
    }
}

/// Writes microseconds of a day: `03:04:05.5`.
pub(crate) fn put_time(us: i64, out: &mut BytesMut) {
    let seconds = us.div_euclid(1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let _ = write!(out, "{hour:02}:{minute:02}:{second:02}");
    put_fraction(us.rem_euclid(1_000_000), out);
}

/// Writes microseconds of a second without the zeros at the end.
fn put_fraction(us: i64, out: &mut BytesMut) {
    if us == 0 {
        return;
    }
    let _ = write!(out, ".{us:06}");
    while out.last() == Some(&b'0') {
        out.truncate(out.len() - 1);
    }
}

/// Writes microseconds since 1970, seen `offset` seconds east of Greenwich:
/// `2024-01-02 03:04:05.5`, and with an offset its hours: `+00`.
pub(crate) fn put_timestamp(us: i64, offset: Option<i32>, out: &mut BytesMut) {
    // In 128 bits: the ends of the range stay in it with any offset.
    let local = i128::from(us) + i128::from(offset.unwrap_or(0)) * 1_000_000;
    let (day, time) = (
        local.div_euclid(DAY_US.into()),
        local.rem_euclid(DAY_US.into()),
    );
    // Both fit: a day has fewer microseconds than an i64, and an i64 of microseconds has few days.
    let before_christ = put_day(i64::try_from(day).unwrap_or_default(), out);
    out.extend_from_slice(b" ");
    put_time(i64::try_from(time).unwrap_or_default(), out);
    if let Some(offset) = offset {
        put_offset(offset, out);
    }
    if before_christ {
        out.extend_from_slice(b" BC");
    }
}

fn put_offset(offset: i32, out: &mut BytesMut) {
    let sign = if offset < 0 { '-' } else { '+' };
    let seconds = offset.unsigned_abs();
    let _ = write!(out, "{sign}{:02}", seconds / 3_600);
    if !seconds.is_multiple_of(3_600) {
        let _ = write!(out, ":{:02}", seconds / 60 % 60);
    }
    if !seconds.is_multiple_of(60) {
        let _ = write!(out, ":{:02}", seconds % 60);
    }
}

/// Writes an interval in the style `postgres`: `1 year 2 mons 3 days 04:05:06.5`.
pub(crate) fn put_interval(months: i32, days: i32, nanoseconds: i64, out: &mut BytesMut) {
    let us = nanoseconds.div_euclid(1_000);
    let mut parts = Parts {
        empty: true,
        negative: false,
    };
    parts.put(months / 12, "year", out);
    parts.put(months % 12, "mon", out);
    parts.put(days, "day", out);
    if us == 0 && !parts.empty {
        return;
    }
    if !parts.empty {
        out.extend_from_slice(b" ");
    }
    if us < 0 {
        out.extend_from_slice(b"-");
    } else if parts.negative {
        out.extend_from_slice(b"+");
    }
    let us = us.unsigned_abs();
    let seconds = us / 1_000_000;
    let _ = write!(
        out,
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    );
    put_fraction(i64::try_from(us % 1_000_000).unwrap_or_default(), out);
}

/// The parts of an interval before its time.
struct Parts {
    empty: bool,
    negative: bool,
}

impl Parts {
    /// PostgreSQL's rule: a positive part after a negative one has a sign.
    fn put(&mut self, value: i32, unit: &str, out: &mut BytesMut) {
        if value == 0 {
            return;
        }
        let space = if self.empty { "" } else { " " };
        let sign = if self.negative && value > 0 { "+" } else { "" };
        let plural = if value == 1 { "" } else { "s" };
        let _ = write!(out, "{space}{sign}{value} {unit}{plural}");
        self.negative = value < 0;
        self.empty = false;
    }
}
