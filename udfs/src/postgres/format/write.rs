//! A time by a template.

use std::fmt::Write;

use chrono::{Datelike, NaiveDate};

use super::moment::{DAYS, MONTHS, Moment};
use super::template::{Field, Letters, Piece, Template};
use crate::error::FunctionError;

const ROMAN: [&str; 12] = [
    "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII",
];

/// Day 0 of the Julian calendar in days of chrono's.
const JULIAN: i64 = 1_721_425;

/// How one field is written.
struct Style {
    letters: Letters,
    dotted: bool,
    bare: bool,
    width: usize,
    ordinal: Option<Letters>,
}

/// Writes `moment` by `template`.
///
/// # Errors
/// `22007` for a part that a length of time has not.
pub(crate) fn write(
    template: &Template,
    moment: &Moment,
    out: &mut String,
) -> Result<(), FunctionError> {
    for piece in &template.pieces {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Separator(sign) => out.push(*sign),
            Piece::Field {
                field,
                letters,
                dotted,
                bare,
                width,
                ordinal,
                ..
            } => {
                let style = Style {
                    letters: *letters,
                    dotted: *dotted,
                    bare: *bare,
                    width: *width,
                    ordinal: *ordinal,
                };
                put(*field, &style, moment, out)?;
            }
        }
    }
    Ok(())
}

fn put(
    field: Field,
    style: &Style,
    moment: &Moment,
    out: &mut String,
) -> Result<(), FunctionError> {
    if let Some((number, width)) = number(field, moment)? {
        digits(number, width, style, out);
        return Ok(());
    }
    match field {
        Field::YearWithComma => {
            let year = shown_year(moment);
            let _ = write!(out, "{},{:03}", year / 1_000, year % 1_000);
        }
        Field::Era => half(moment.year <= 0, ["AD", "A.D.", "BC", "B.C."], style, out),
        Field::HalfDay => {
            let late = moment.hour.rem_euclid(24) >= 12;
            half(late, ["AM", "A.M.", "PM", "P.M."], style, out);
        }
        Field::MonthName | Field::MonthShort | Field::RomanMonth => {
            let month = usize::try_from(moment.month).unwrap_or_default();
            let Some(index) = month.checked_sub(1).filter(|index| *index < 12) else {
                return Ok(());
            };
            match field {
                Field::MonthName => filled(MONTHS[index], 9, style, out),
                Field::MonthShort => filled(&MONTHS[index][..3], 0, style, out),
                _ => filled(ROMAN[index], 4, style, out),
            }
        }
        Field::DayName | Field::DayShort => {
            let day = of_date(moment.date)?.weekday().num_days_from_sunday();
            let name = DAYS[day as usize];
            match field {
                Field::DayName => filled(name, 9, style, out),
                _ => filled(&name[..3], 0, style, out),
            }
        }
        Field::Fraction(digits) => {
            let scale = 10_i64.pow(9 - u32::from(digits.min(9)));
            let width = usize::from(digits.min(9));
            let _ = write!(out, "{:0width$}", (moment.nanos / scale).abs());
        }
        _ => {
            of_date(moment.date)?;
            zone(field, style, moment, out);
        }
    }
    Ok(())
}

fn digits(number: i64, width: usize, style: &Style, out: &mut String) {
    let width = match (style.width, style.bare) {
        (0, true) => 0,
        (0, false) => width,
        (width, _) => width,
    };
    // The sign of a length of time stands before all its digits.
    let width = width + usize::from(number < 0 && width > 0);
    let start = out.len();
    let _ = write!(out, "{number:0width$}");
    if let Some(letters) = style.ordinal {
        let ending = ordinal(&out[start..]);
        out.push_str(&lettered(ending, letters));
    }
}

/// One of two words, with periods or without.
fn half(second: bool, words: [&str; 4], style: &Style, out: &mut String) {
    let word = words[usize::from(second) * 2 + usize::from(style.dotted)];
    out.push_str(&lettered(word, style.letters));
}

/// A name with blanks up to a width.
fn filled(name: &str, width: usize, style: &Style, out: &mut String) {
    let name = lettered(name, style.letters);
    let width = if style.bare { 0 } else { width };
    let _ = write!(out, "{name:<width$}");
}

/// The zone, which is UTC.
fn zone(field: Field, style: &Style, moment: &Moment, out: &mut String) {
    match field {
        Field::ZoneName if moment.zoned => out.push_str(&lettered("UTC", style.letters)),
        Field::ZoneOffset if style.width > 0 => out.push('Z'),
        Field::ZoneHours | Field::ZoneOffset => out.push_str("+00"),
        Field::ZoneMinutes => out.push_str("00"),
        Field::ZoneDigits { z: true, .. } => out.push('Z'),
        Field::ZoneDigits { colon: true, .. } => out.push_str("+00:00"),
        Field::ZoneDigits { .. } => out.push_str("+0000"),
        _ => {}
    }
}

/// The number of a field, and its usual digits; `None` for a field that is no number.
fn number(field: Field, moment: &Moment) -> Result<Option<(i64, usize)>, FunctionError> {
    let iso = || of_date(moment.date).map(|date| date.iso_week());
    let day_of_year = || match moment.date {
        Some(date) => i64::from(date.ordinal()),
        // As PostgreSQL counts lengths of time.
        None => moment.year * 360 + moment.month * 30 + moment.day,
    };
    let cut = |year: i64, digits: u8| match digits {
        4.. => year,
        digits => year % 10_i64.pow(u32::from(digits)),
    };
    Ok(Some(match field {
        Field::Year(digits) => (cut(shown_year(moment), digits), usize::from(digits)),
        Field::IsoYear(digits) => (cut(i64::from(iso()?.year()), digits), usize::from(digits)),
        Field::Century => {
            let year = moment.year;
            let century = match moment.date {
                None => year / 100,
                Some(_) if year > 0 => (year - 1) / 100 + 1,
                Some(_) => year / 100 - 1,
            };
            (century, 2)
        }
        Field::Quarter if moment.month > 0 => ((moment.month - 1) / 3 + 1, 1),
        Field::Month => (moment.month, 2),
        Field::Day => (moment.day, 2),
        Field::DayOfYear => (day_of_year(), 3),
        Field::IsoDayOfYear => {
            let date = of_date(moment.date)?;
            let day = i64::from(date.iso_week().week0()) * 7;
            (
                day + i64::from(date.weekday().num_days_from_monday()) + 1,
                3,
            )
        }
        Field::Weekday => {
            let day = of_date(moment.date)?.weekday().num_days_from_sunday();
            (i64::from(day) + 1, 1)
        }
        Field::IsoWeekday => {
            let day = of_date(moment.date)?.weekday().num_days_from_monday();
            (i64::from(day) + 1, 1)
        }
        Field::WeekOfMonth => ((moment.day - 1) / 7 + 1, 1),
        Field::WeekOfYear => ((day_of_year() - 1) / 7 + 1, 2),
        Field::IsoWeek => (i64::from(iso()?.week()), 2),
        Field::Julian => {
            let date = of_date(moment.date)?;
            (i64::from(date.num_days_from_ce()) + JULIAN, 1)
        }
        Field::Hour24 => (moment.hour, 2),
        Field::Hour12 => match moment.hour % 12 {
            0 => (12, 2),
            hour => (hour, 2),
        },
        Field::Minute => (moment.minute, 2),
        Field::Second => (moment.second, 2),
        Field::SecondOfDay => (moment.hour * 3_600 + moment.minute * 60 + moment.second, 1),
        _ => return Ok(None),
    }))
}

/// The year as it is written beside its era.
fn shown_year(moment: &Moment) -> i64 {
    match moment.date {
        Some(_) if moment.year <= 0 => 1 - moment.year,
        _ => moment.year,
    }
}

fn of_date(date: Option<NaiveDate>) -> Result<NaiveDate, FunctionError> {
    date.ok_or_else(|| {
        let message = "invalid format specification for an interval value".to_owned();
        FunctionError::value("22007", message)
            .detail("Intervals are not tied to specific calendar dates.".to_owned())
    })
}

/// `st` of `1`.
pub(crate) fn ordinal(digits: &str) -> &'static str {
    let mut last = digits.bytes().rev();
    let (last, before) = (last.next(), last.next());
    match (before, last) {
        (Some(b'1'), _) => "th",
        (_, Some(b'1')) => "st",
        (_, Some(b'2')) => "nd",
        (_, Some(b'3')) => "rd",
        _ => "th",
    }
}

fn lettered(name: &str, letters: Letters) -> String {
    match letters {
        Letters::Upper => name.to_uppercase(),
        Letters::Lower => name.to_lowercase(),
        Letters::Capital => name.to_owned(),
    }
}
