//! Dates and times as ISO 8601 and SQL write them, turned into counts since the epoch without a
//! detour through strings or floating point.

pub mod stream;

/// A point on the calendar and the clock as written, with its distance from UTC if that was written
/// too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// Days since 1970-01-01.
    days: i64,
    /// Seconds since midnight; 86,400 for a leap second at its end.
    seconds: i64,
    /// Nanoseconds in the second, 0 to 999,999,999.
    nanoseconds: i64,
    /// Seconds east of UTC.
    pub offset_seconds: Option<i64>,
}

impl DateTime {
    /// Reads `YYYY-MM-DD`, alone or with `T` or a space and `HH:MM[:SS[.fraction]]` and `Z`, `±HH`,
    /// `±HHMM` or `±HH:MM`.
    ///
    /// The fraction has 1 to 9 digits. Second 60 is the first of the next minute, as in PostgreSQL.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let date = parse_date(text)?;
        let mut parsed = Self {
            days: date,
            seconds: 0,
            nanoseconds: 0,
            offset_seconds: None,
        };
        let rest = &text[10..];
        if rest.is_empty() {
            return Some(parsed);
        }
        if !matches!(rest[0], b'T' | b't' | b' ') {
            return None;
        }
        let time = rest.get(1..6)?;
        if time[2] != b':' {
            return None;
        }
        let (hour, minute) = (two_digits(&time[..2], 23)?, two_digits(&time[3..], 59)?);
        parsed.seconds = hour * 3_600 + minute * 60;
        let mut rest = &rest[6..];
        if rest.first() == Some(&b':') {
            parsed.seconds += two_digits(rest.get(1..3)?, 60)?;
            rest = &rest[3..];
            if rest.first() == Some(&b'.') {
                (parsed.nanoseconds, rest) = parse_fraction(&rest[1..])?;
            }
        }
        parsed.offset_seconds = match rest {
            [] => None,
            [b'Z' | b'z'] => Some(0),
            [b' ', zone @ ..] | zone => Some(parse_offset(zone)?),
        };
        Some(parsed)
    }

    /// Units of 10^-`digits` seconds since the epoch (UTC if the offset was written), rounded half
    /// up to the unit as PostgreSQL rounds; `None` if they exceed 64 bits.
    pub fn to_epoch(self, digits: u8) -> Option<i64> {
        let seconds = self.days * 86_400 + self.seconds - self.offset_seconds.unwrap_or(0);
        let units = 10_i64.checked_pow(u32::from(digits))?;
        let unit = 1_000_000_000_i64
            .checked_div(units)
            .filter(|unit| *unit > 0)?;
        let fraction = (self.nanoseconds + unit / 2) / unit;
        let epoch = i128::from(seconds) * i128::from(units) + i128::from(fraction);
        i64::try_from(epoch).ok()
    }
}

/// Days since the epoch of exactly `YYYY-MM-DD` at the start of `text`.
fn parse_date(text: &[u8]) -> Option<i64> {
    let date = text.get(..10)?;
    if date[4] != b'-' || date[7] != b'-' {
        return None;
    }
    let year = two_digits(&date[..2], 99)? * 100 + two_digits(&date[2..4], 99)?;
    let month = two_digits(&date[5..7], 12)?;
    let day = two_digits(&date[8..], 31)?;
    if year == 0 || month == 0 || day == 0 || day > month_days(year, month) {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

/// Days since the epoch of a text that is a date and nothing else.
pub fn parse_days(text: &[u8]) -> Option<i32> {
    let days = parse_date(text)?;
    (text.len() == 10)
        .then(|| i32::try_from(days).ok())
        .flatten()
}

#[inline]
fn two_digits(text: &[u8], max: i64) -> Option<i64> {
    let [tens, ones] = text else { return None };
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    let value = i64::from(tens) * 10 + i64::from(ones);
    (tens <= 9 && ones <= 9 && value <= max).then_some(value)
}

/// Nanoseconds of the 1 to 9 digits at the start of `text`, and what follows them.
fn parse_fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let (mut nanoseconds, mut digits) = (0_i64, 0);
    while let Some(digit @ b'0'..=b'9') = text.get(digits) {
        if digits == 9 {
            return None;
        }
        nanoseconds = nanoseconds * 10 + i64::from(digit - b'0');
        digits += 1;
    }
    let missing = u32::try_from(9 - digits).ok()?;
    (digits > 0).then(|| (nanoseconds * 10_i64.pow(missing), &text[digits..]))
}

/// Seconds of `±HH`, `±HHMM` or `±HH:MM`.
fn parse_offset(text: &[u8]) -> Option<i64> {
    let (sign, text) = match text {
        [b'+', rest @ ..] => (1, rest),
        [b'-', rest @ ..] => (-1, rest),
        _ => return None,
    };
    let hours = two_digits(text.get(..2)?, 23)?;
    let minutes = match &text[2..] {
        [] => 0,
        [b':', rest @ ..] | rest => two_digits(rest, 59)?,
    };
    Some(sign * (hours * 3_600 + minutes * 60))
}

const fn month_days(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Howard Hinnant's `days_from_civil`, for years from 1 on.
const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year / 400;
    let year_of_era = year - era * 400;
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests;
