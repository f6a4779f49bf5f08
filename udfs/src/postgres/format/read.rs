//! A time from a text, by a template.

use chrono::{Datelike, NaiveDate, NaiveTime, Weekday};

use super::moment::{DAYS, MONTHS};
use super::template::{Field, Piece, Template};
use crate::error::FunctionError;

/// Day 0 of the Julian calendar in days of chrono's.
const JULIAN: i32 = 1_721_425;

/// What a text said.
#[derive(Default)]
struct Found {
    year: Option<i64>,
    /// Whether the year has fewer than four digits to it.
    before_christ: bool,
    century: Option<i64>,
    iso_year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    week: Option<(Field, i64)>,
    weekday: Option<i64>,
    julian: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    second_of_day: Option<i64>,
    twelve: bool,
    late: Option<bool>,
    zone: Option<(i64, i64)>,
}

/// A date, a time of its day, and seconds ahead of UTC if the text said so.
pub(crate) type Read = (NaiveDate, NaiveTime, Option<i64>);

/// Reads `text` by `template`.
///
/// # Errors
/// `22007`, `22008`: a text that has not this form, or says what the calendar has not.
pub(crate) fn read(template: &Template, text: &str) -> Result<Read, FunctionError> {
    let mut found = Found::default();
    let mut rest = if template.exact {
        text
    } else {
        text.trim_start()
    };
    let mut pieces = template.pieces.iter().peekable();
    while let Some(piece) = pieces.next() {
        if rest.is_empty() {
            break;
        }
        match piece {
            Piece::Text(words) if !template.exact => {
                let count = words.chars().count();
                rest = skip(rest, count);
            }
            Piece::Text(words) => rest = rest.strip_prefix(words.as_str()).unwrap_or(rest),
            Piece::Separator(_) if !template.exact => {
                let is_separator = |c: char| !c.is_alphanumeric();
                // A sign in front of a zone belongs to it.
                let zone =
                    |piece: &&Piece| matches!(piece, Piece::Field { field, .. } if is_zone(*field));
                let kept = pieces.peek().is_some_and(zone) && rest.starts_with(['+', '-']);
                if rest.starts_with(is_separator) && !kept {
                    rest = skip(rest, 1);
                }
                rest = rest.trim_start();
            }
            Piece::Separator(_) => rest = skip(rest, 1),
            Piece::Field { field, word, .. } => {
                if !template.exact {
                    rest = rest.trim_start();
                }
                let next_is_number = pieces.peek().is_some_and(
                    |piece| matches!(piece, Piece::Field { field, .. } if is_number(*field)),
                );
                let width = next_is_number.then(|| digits(*field));
                rest = take(*field, word, width, rest, &mut found)?;
            }
        }
    }
    let wrong = || {
        let message = format!("date/time field value out of range: \"{text}\"");
        FunctionError::value("22008", message)
    };
    let date = date_of(&found).ok_or_else(wrong)?;
    let time = time_of(&found, wrong)?;
    Ok((
        date,
        time,
        found
            .zone
            .map(|(hours, minutes)| hours * 3_600 + hours.signum() * minutes * 60),
    ))
}

fn skip(text: &str, count: usize) -> &str {
    text.char_indices()
        .nth(count)
        .map_or("", |(at, _)| &text[at..])
}

fn is_zone(field: Field) -> bool {
    matches!(
        field,
        Field::ZoneHours | Field::ZoneOffset | Field::ZoneDigits { .. }
    )
}

/// Whether the field is read as digits.
fn is_number(field: Field) -> bool {
    !is_zone(field)
        && !matches!(
            field,
            Field::MonthName
                | Field::MonthShort
                | Field::RomanMonth
                | Field::DayName
                | Field::DayShort
                | Field::Era
                | Field::HalfDay
                | Field::ZoneName
        )
}

/// The most digits of a field.
fn digits(field: Field) -> usize {
    match field {
        Field::Year(digits) | Field::IsoYear(digits) | Field::Fraction(digits) => digits.into(),
        Field::DayOfYear | Field::IsoDayOfYear => 3,
        Field::Weekday | Field::IsoWeekday | Field::Quarter | Field::WeekOfMonth => 1,
        Field::SecondOfDay => 5,
        Field::Julian => 7,
        Field::YearWithComma => 4,
        _ => 2,
    }
}

/// Reads one field from the beginning of `text` and gives back the rest.
fn take<'a>(
    field: Field,
    word: &str,
    width: Option<usize>,
    text: &'a str,
    found: &mut Found,
) -> Result<&'a str, FunctionError> {
    let named = |names: &[&str]| {
        // The longest name that stands there, so that `March` is not `Mar`.
        let short = |name: &&str| name.get(..3).unwrap_or(name).to_owned();
        let begins = |name: &str| {
            let begin = text.get(..name.len());
            begin.is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        };
        let at = |name: &&str| begins(name).then_some(name.len());
        let longest = |(index, name): (usize, &&str)| {
            at(name)
                .or_else(|| begins(&short(name)).then_some(3))
                .map(|length| (index, length))
        };
        names.iter().enumerate().find_map(longest)
    };
    match field {
        Field::MonthName | Field::MonthShort => {
            let (index, length) = named(&MONTHS).ok_or_else(|| no_value(text, word, false))?;
            found.month = i64::try_from(index + 1).ok();
            return Ok(&text[length..]);
        }
        Field::DayName | Field::DayShort => {
            let (_, length) = named(&DAYS).ok_or_else(|| no_value(text, word, false))?;
            return Ok(&text[length..]);
        }
        Field::HalfDay | Field::Era => {
            let second = match text.bytes().next().map(|byte| byte.to_ascii_uppercase()) {
                Some(b'A') => false,
                Some(b'P') if field == Field::HalfDay => true,
                Some(b'B') if field == Field::Era => true,
                _ => return Err(no_value(text, word, false)),
            };
            match field {
                Field::HalfDay => {
                    found.late = Some(second);
                    found.twelve = true;
                }
                _ => found.before_christ = second,
            }
            let length = if text.as_bytes().get(1) == Some(&b'.') {
                4
            } else {
                2
            };
            return Ok(skip(text, length));
        }
        Field::ZoneHours | Field::ZoneOffset | Field::ZoneDigits { .. } => {
            return zone(text, found);
        }
        Field::ZoneName | Field::RomanMonth => {
            let message = format!("formatting field \"{word}\" is only supported in to_char");
            return Err(FunctionError::value("0A000", message));
        }
        _ => {}
    }
    number(field, word, width, text, found)
}

fn no_value(text: &str, word: &str, integer: bool) -> FunctionError {
    let end = text.find(|c: char| !c.is_alphanumeric());
    let shown = match integer {
        true => text.get(..word.len()).unwrap_or(text),
        false => &text[..end.unwrap_or(text.len())],
    };
    let message = format!("invalid value \"{shown}\" for \"{word}\"");
    let detail = match integer {
        true => "Value must be an integer.",
        false => "The given value did not match any of the allowed values for this field.",
    };
    FunctionError::value("22007", message).detail(detail.to_owned())
}

fn zone<'a>(text: &'a str, found: &mut Found) -> Result<&'a str, FunctionError> {
    if let Some(rest) = text.strip_prefix(['Z', 'z']) {
        found.zone = Some((0, 0));
        return Ok(rest);
    }
    let (sign, rest) = match text.as_bytes().first() {
        Some(b'-') => (-1, &text[1..]),
        Some(b'+') => (1, &text[1..]),
        _ => (1, text),
    };
    let two = |text: &str| text.get(..2).and_then(|two| two.parse::<i64>().ok());
    let hours = two(rest).ok_or_else(|| no_value(text, "TZH", true))?;
    let mut rest = &rest[2..];
    let after = rest.strip_prefix(':').unwrap_or(rest);
    let mut minutes = 0;
    if let Some(found) = two(after) {
        minutes = found;
        rest = &after[2..];
    }
    found.zone = Some((sign * hours, minutes));
    Ok(rest)
}

fn number<'a>(
    field: Field,
    word: &str,
    width: Option<usize>,
    text: &'a str,
    found: &mut Found,
) -> Result<&'a str, FunctionError> {
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let all = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let most = if matches!(field, Field::Fraction(_)) {
        18
    } else {
        9
    };
    let length = width.map_or(all, |width| width.min(all)).min(most);
    let value: i64 = unsigned[..length]
        .parse()
        .map_err(|_| no_value(text, word, true))?;
    let value = if negative { -value } else { value };
    let mut rest = &unsigned[length..];
    match field {
        Field::Year(digits) => found.year = Some(full_year(value, digits)),
        Field::IsoYear(digits) => found.iso_year = Some(full_year(value, digits)),
        Field::YearWithComma => {
            let low = rest.strip_prefix(',').and_then(|rest| rest.get(..3));
            let low: Option<i64> = low.and_then(|low| low.parse().ok());
            let low = low.ok_or_else(|| no_value(text, word, true))?;
            found.year = Some(value * 1_000 + low);
            rest = &rest[4..];
        }
        Field::Century => found.century = Some(value),
        Field::Month => found.month = Some(value),
        Field::Day => found.day = Some(value),
        Field::DayOfYear | Field::IsoDayOfYear => found.day_of_year = Some(value),
        Field::WeekOfMonth | Field::WeekOfYear | Field::IsoWeek => {
            found.week = Some((field, value));
        }
        // From Monday.
        Field::IsoWeekday => found.weekday = Some(value - 1),
        Field::Weekday => found.weekday = Some((value + 5).rem_euclid(7)),
        Field::Julian => found.julian = Some(value),
        Field::Hour24 => found.hour = value,
        Field::Hour12 => {
            found.hour = value;
            found.twelve = true;
        }
        Field::Minute => found.minute = value,
        Field::Second => found.second = value,
        Field::Fraction(_) => {
            let length = u32::try_from(length).unwrap_or(9);
            found.nanos = match length {
                0..=9 => value * 10_i64.pow(9 - length),
                more => value / 10_i64.pow(more - 9),
            };
        }
        Field::SecondOfDay => found.second_of_day = Some(value),
        // The quarter is read over.
        _ => {}
    }
    Ok(rest)
}

/// A year that a template has with fewer than four digits is the one nearest to 2020.
fn full_year(year: i64, digits: u8) -> i64 {
    match year {
        year if digits >= 4 => year,
        0..=69 => year + 2_000,
        70..=99 => year + 1_900,
        100..=519 => year + 2_000,
        520..=999 => year + 1_000,
        other => other,
    }
}

fn date_of(found: &Found) -> Option<NaiveDate> {
    let small = |value: i64| u32::try_from(value).ok();
    if let Some(day) = found.julian {
        let day = i32::try_from(day).ok()?.checked_sub(JULIAN)?;
        return NaiveDate::from_num_days_from_ce_opt(day);
    }
    let year = match (found.year, found.century) {
        (Some(year), Some(century)) if year < 100 => Some((century - 1) * 100 + year),
        (Some(year), _) => Some(year),
        (None, Some(century)) => Some((century - 1) * 100 + 1),
        (None, None) => None,
    };
    let year = match (year, found.before_christ) {
        (Some(year), true) => Some(1 - year),
        (Some(year), false) if year < 0 => Some(year + 1),
        (year, _) => year,
    };
    let number = |year: i64| i32::try_from(year).ok();
    if let Some((Field::IsoWeek, week)) = found.week
        && let Some(iso) = found.iso_year.or(year)
    {
        let monday = NaiveDate::from_isoywd_opt(number(iso)?, small(week)?, Weekday::Mon)?;
        let ahead = u64::try_from(found.weekday.unwrap_or(0)).ok()?;
        return monday.checked_add_days(chrono::Days::new(ahead));
    }
    // Without a year it is the one before the first.
    let year = year.or(found.iso_year).unwrap_or(0);
    if let Some(day) = found.day_of_year {
        return NaiveDate::from_yo_opt(number(year)?, small(day)?);
    }
    if let Some((Field::WeekOfYear, week)) = found.week {
        return NaiveDate::from_yo_opt(number(year)?, small((week - 1) * 7 + 1)?);
    }
    let day = match found.week {
        Some((Field::WeekOfMonth, week)) => (week - 1) * 7 + 1,
        _ => found.day.unwrap_or(1),
    };
    NaiveDate::from_ymd_opt(number(year)?, small(found.month.unwrap_or(1))?, small(day)?)
}

fn time_of(found: &Found, wrong: impl Fn() -> FunctionError) -> Result<NaiveTime, FunctionError> {
    let mut hour = found.hour;
    if found.twelve {
        if !(1..=12).contains(&hour) && found.second_of_day.is_none() {
            let message = format!("hour \"{hour}\" is invalid for the 12-hour clock");
            let error = FunctionError::value("22007", message);
            return Err(
                error.detail("Use the 24-hour clock, or give an hour between 1 and 12.".to_owned())
            );
        }
        hour = match (found.late, hour) {
            (Some(true), 1..12) => hour + 12,
            (Some(false), 12) => 0,
            (_, hour) => hour,
        };
    }
    let (hour, minute, second) = match found.second_of_day {
        Some(all) => (all / 3_600, all / 60 % 60, all % 60),
        None => (hour, found.minute, found.second),
    };
    let small = |value: i64| u32::try_from(value).ok();
    let time = small(hour)
        .zip(small(minute))
        .zip(small(second))
        .zip(small(found.nanos));
    let time = time.and_then(|(((hour, minute), second), nanos)| {
        NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
    });
    time.ok_or_else(wrong)
}

/// Days since 1970 of a date.
pub(crate) fn days(date: NaiveDate) -> i32 {
    /// Chrono's number of 1970-01-01.
    const EPOCH: i32 = 719_163;
    date.num_days_from_ce() - EPOCH
}
