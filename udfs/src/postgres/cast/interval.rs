//! Texts of intervals in PostgreSQL's forms: `1 day 02:03:04`, `1.5 weeks`, `1-2`, `P1Y2MT3H`,
//! `3 days ago`; and what lies between two times as an interval of days.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, DurationMicrosecondType, IntervalMonthDayNanoType, TimeUnit,
};
use datafusion::common::Result;

/// Months in a year, days in a month and seconds in a day, by which fractions go on.
const MONTHS: f64 = 12.0;
const DAYS: f64 = 30.0;
const SECONDS: f64 = 86_400.0;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Durations as intervals: whole days, and the rest.
pub(super) fn of_durations(array: &ArrayRef) -> Result<ArrayRef> {
    let micros = cast(array, &DataType::Duration(TimeUnit::Microsecond))?;
    let micros = micros.as_primitive::<DurationMicrosecondType>();
    let intervals: IntervalMonthDayNanoArray = micros.unary(|micros| {
        let days = i32::try_from(micros / DAY).unwrap_or(i32::MAX);
        IntervalMonthDayNanoType::make_value(0, days, micros % DAY * 1_000)
    });
    Ok(Arc::new(intervals))
}

/// Months, days and microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Parts {
    pub(super) months: i64,
    pub(super) days: i64,
    pub(super) micros: i128,
}

impl Parts {
    fn months(&mut self, count: f64) {
        // A part of a month that comes out of years is rounded.
        self.months += count.round_ties_even() as i64;
    }

    fn days(&mut self, count: f64) {
        self.days += count.trunc() as i64;
        self.seconds(count.fract() * SECONDS);
    }

    fn seconds(&mut self, count: f64) {
        self.micros += (count * 1e6).round_ties_even() as i128;
    }

    fn negate(&mut self) {
        self.months = -self.months;
        self.days = -self.days;
        self.micros = -self.micros;
    }

    /// `value` of `unit`; `None` for a unit that there is not.
    fn add(&mut self, value: f64, unit: &str) -> Option<()> {
        let unit = unit.to_ascii_lowercase();
        match unit.as_str() {
            "millennium" | "millennia" | "mil" | "mils" => self.years(value * 1000.0),
            "century" | "centuries" | "c" | "cent" => self.years(value * 100.0),
            "decade" | "decades" | "dec" | "decs" => self.years(value * 10.0),
            "year" | "years" | "y" | "yr" | "yrs" => self.years(value),
            "month" | "months" | "mon" | "mons" => {
                self.months += value.trunc() as i64;
                self.days(value.fract() * DAYS);
            }
            "week" | "weeks" | "w" => {
                self.days += value.trunc() as i64 * 7;
                self.days(value.fract() * 7.0);
            }
            "day" | "days" | "d" => self.days(value),
            "hour" | "hours" | "h" | "hr" | "hrs" => self.seconds(value * 3600.0),
            "minute" | "minutes" | "m" | "min" | "mins" => self.seconds(value * 60.0),
            "second" | "seconds" | "s" | "sec" | "secs" => self.seconds(value),
            "millisecond" | "milliseconds" | "ms" | "msec" | "msecs" => self.seconds(value / 1e3),
            "microsecond" | "microseconds" | "us" | "usec" | "usecs" => {
                self.micros += value.round_ties_even() as i128;
            }
            "nanosecond" | "nanoseconds" | "ns" => {
                self.micros += (value / 1e3).round_ties_even() as i128;
            }
            _ => return None,
        }
        Some(())
    }

    fn years(&mut self, count: f64) {
        self.months += count.trunc() as i64 * 12;
        self.months(count.fract() * MONTHS);
    }
}

/// The interval that a text means; `None` if it is none.
pub(super) fn read(text: &str) -> Option<Parts> {
    let text = text.trim();
    if let Some(iso) = text.strip_prefix('P') {
        return designated(iso);
    }
    let mut parts = Parts::default();
    let mut words = Words(text.trim_start_matches('@').trim_start());
    let mut any = false;
    let mut days_before = false;
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("ago") && any {
            parts.negate();
            words.0.is_empty().then_some(())?;
            break;
        }
        any = true;
        if word.contains(':') {
            clock(word, &mut parts)?;
            continue;
        }
        if let Some((years, months)) = years_and_months(word) {
            parts.months += years * 12 + months;
            continue;
        }
        let value = number(word)?;
        match words.unit() {
            Some(unit) => parts.add(value, unit)?,
            // `1 02:03:04` is of days; a number alone of seconds.
            None if words.0.contains(':') && !days_before => {
                days_before = true;
                parts.days(value);
            }
            None => parts.seconds(value),
        }
    }
    any.then_some(parts)
}

/// Words: numbers, units, clock times.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// A number with its sign, or what stands up to the next blank if it is none.
    fn next(&mut self) -> Option<&'a str> {
        self.0 = self.0.trim_start();
        if self.0.is_empty() {
            return None;
        }
        let end = self.0.find(|c: char| c.is_ascii_whitespace());
        let word = &self.0[..end.unwrap_or(self.0.len())];
        // `1day`: the unit is a word of its own.
        let letter = word.find(|c: char| c.is_ascii_alphabetic());
        let cut = match letter {
            Some(at) if at > 0 && !is_exponent(word, at) => at,
            _ => word.len(),
        };
        self.0 = &self.0[cut..];
        Some(&word[..cut])
    }

    fn unit(&mut self) -> Option<&'a str> {
        let rest = self.0.trim_start();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic());
        let unit = &rest[..end.unwrap_or(rest.len())];
        if unit.is_empty() || unit.eq_ignore_ascii_case("ago") {
            return None;
        }
        self.0 = &rest[unit.len()..];
        Some(unit)
    }
}

/// Whether the letter at `at` stands between the digits of a number.
fn is_exponent(word: &str, at: usize) -> bool {
    let rest = &word[at..];
    let digits = rest.strip_prefix(['e', 'E']);
    let digits = digits.map(|rest| rest.strip_prefix(['+', '-']).unwrap_or(rest));
    digits.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn number(word: &str) -> Option<f64> {
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E');
    let digits = word.bytes().any(|byte| byte.is_ascii_digit());
    let value: f64 = word.parse().ok()?;
    (digits && word.chars().all(plain) && value.abs() < 1e15).then_some(value)
}

/// `1-2`: years and months.
fn years_and_months(word: &str) -> Option<(i64, i64)> {
    let (sign, unsigned) = signed(word);
    let (years, months) = unsigned.split_once('-')?;
    let (years, months): (u32, u32) = (years.parse().ok()?, months.parse().ok()?);
    (months < 12).then(|| (sign * i64::from(years), sign * i64::from(months)))
}

fn signed(word: &str) -> (i64, &str) {
    match word.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    }
}

/// `02:03`, `02:03:04.5`; `02:03.5` is of minutes and seconds.
fn clock(word: &str, parts: &mut Parts) -> Option<()> {
    let (sign, unsigned) = signed(word);
    let fields: Vec<&str> = unsigned.split(':').collect();
    let (h, m, s) = match fields.as_slice() {
        [m, s] if s.contains('.') => ("0", *m, *s),
        [h, m] => (*h, *m, "0"),
        [h, m, s] => (*h, *m, *s),
        _ => return None,
    };
    let whole = |text: &str| text.parse::<u32>().ok().map(i128::from);
    let seconds: f64 = s.parse().ok().filter(|s: &f64| (0.0..=60.0).contains(s))?;
    let minutes = whole(m).filter(|m| *m < 60)?;
    let micros = (whole(h)? * 3600 + minutes * 60) * 1_000_000;
    let micros = micros + (seconds * 1e6).round_ties_even() as i128;
    parts.micros += i128::from(sign) * micros;
    Some(())
}

/// ISO 8601 behind the `P`: `1Y2M3DT4H5M6S`, `2W`.
fn designated(text: &str) -> Option<Parts> {
    let (date, time) = text.split_once('T').unwrap_or((text, ""));
    let mut parts = Parts::default();
    let units = [
        (
            date,
            &[('Y', "y"), ('M', "mon"), ('W', "w"), ('D', "d")][..],
        ),
        (time, &[('H', "h"), ('M', "m"), ('S', "s")][..]),
    ];
    for (mut rest, units) in units {
        while !rest.is_empty() {
            let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
            let value = number(&rest[..end])?;
            let letter = rest[end..].chars().next()?;
            let (_, unit) = units.iter().find(|(known, _)| *known == letter)?;
            parts.add(value, unit)?;
            rest = &rest[end + 1..];
        }
    }
    (!text.is_empty()).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_read_as_postgresql_reads_them() {
        // Months, days, microseconds: `SELECT '…'::interval` of PostgreSQL 15.
        let hour = 3_600_000_000;
        let cases = [
            ("1 day 02:03:04", (0, 1, 2 * hour + 184_000_000)),
            ("1.5 weeks", (0, 10, 12 * hour)),
            ("10.333 years", (124, 0, 0)),
            ("0.05 year", (1, 0, 0)),
            ("0.005 decade", (1, 0, 0)),
            ("0.05 month", (0, 1, 12 * hour)),
            ("1-2", (14, 0, 0)),
            ("-1-2", (-14, 0, 0)),
            ("1 2:03:04", (0, 1, 2 * hour + 184_000_000)),
            ("1 day ago", (0, -1, 0)),
            ("2h30m", (0, 0, 2 * hour + hour / 2)),
            ("-1:30", (0, 0, -hour - hour / 2)),
            ("31.123456789", (0, 0, 31_123_457)),
            ("P1Y2M3DT4H", (14, 3, 4 * hour)),
            ("P2W", (0, 14, 0)),
            ("1 mon -1 day", (1, -1, 0)),
            ("@ 3 mins", (0, 0, hour / 20)),
            ("1.5 days", (0, 1, 12 * hour)),
        ];
        for (text, (months, days, micros)) in cases {
            let expected = Parts {
                months,
                days,
                micros,
            };
            assert_eq!(read(text), Some(expected), "{text}");
        }
        for text in ["", "foo", "1 fortnight", "ago", "1:2:3:4", "P", "1 day x"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
