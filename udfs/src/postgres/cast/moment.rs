//! Texts of dates and times in the forms that PostgreSQL takes, brought into the one that Arrow
//! reads: `2024-03-05T14:05:06.5+01:00`.

use crate::postgres::format::moment::MONTHS;
use crate::postgres::zone::Zone;

/// What a text is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Date,
    Time,
    /// A time of a day; a zone is read over.
    Timestamp,
    /// An instant; without a zone in UTC.
    Instant,
}

/// The text in Arrow's form; `None` if it is in none of PostgreSQL's that are known here. An
/// instant without a zone is one of `zone`.
pub(super) fn canonical(text: &str, wanted: Wanted, digits: usize, zone: &str) -> Option<String> {
    let text = text.trim();
    if wanted == Wanted::Time && !has_date(text) {
        let (time, zone) = time(text)?;
        return offset(zone, "2000-01-01", &time).map(|_| rounded(&time, digits).0);
    }
    let assumed = zone;
    let (date, rest) = date(text)?;
    let rest = rest.strip_prefix(['T', 't', ',']).unwrap_or(rest).trim();
    let (time, zone) = match rest {
        "" => ("00:00:00".to_owned(), ""),
        rest => time(rest)?,
    };
    // Also where the zone is read over it is one.
    let zone = match zone {
        "" => offset(assumed, &date, &time)?,
        zone => offset(zone, &date, &time)?,
    };
    let (time, carried) = rounded(&time, digits);
    let date = match carried && wanted != Wanted::Time {
        true => chrono::NaiveDate::parse_from_str(&date, "%Y-%m-%d")
            .ok()?
            .succ_opt()?
            .to_string(),
        false => date,
    };
    Some(match wanted {
        Wanted::Date => date,
        Wanted::Time => time,
        Wanted::Timestamp => format!("{date}T{time}"),
        Wanted::Instant => format!("{date}T{time}{zone}"),
    })
}

/// A time with so many digits behind the point, halves up, and whether that is on the next day.
fn rounded(time: &str, digits: usize) -> (String, bool) {
    let same = || (time.to_owned(), false);
    let Some((whole, fraction)) = time.split_once('.') else {
        return same();
    };
    let Some(next) = fraction.as_bytes().get(digits) else {
        return same();
    };
    let kept: u64 = fraction[..digits].parse().unwrap_or(0);
    let unit = 10_u64.pow(u32::try_from(digits).unwrap_or(0));
    let kept = kept + u64::from(*next >= b'5');
    if kept < unit {
        return (format!("{whole}.{kept:0digits$}"), false);
    }
    let parsed = chrono::NaiveTime::parse_from_str(whole, "%H:%M:%S");
    let Ok(parsed) = parsed else {
        return same();
    };
    let (next, days) = parsed.overflowing_add_signed(chrono::TimeDelta::seconds(1));
    (next.to_string(), days > 0)
}

fn has_date(text: &str) -> bool {
    let before = text.find(':').map_or(text, |colon| &text[..colon]);
    before.contains(['-', '/', ' ', 'T'])
}

fn digits(text: &str) -> (&str, &str) {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    text.split_at(count)
}

/// A date as `2024-03-05`, and what is behind it.
fn date(text: &str) -> Option<(String, &str)> {
    let (first, rest) = digits(text);
    let written = |year: &str, month: &str, day: &str| {
        let fits = (1..=6).contains(&year.len()) && month.len() <= 2 && day.len() <= 2;
        let year = full_year(year).filter(|_| fits)?;
        Some(format!("{year:04}-{month:0>2}-{day:0>2}"))
    };
    // 20240305
    if first.len() == 8 && !rest.starts_with(['-', '/', '.', ':']) {
        let date = written(&first[..4], &first[4..6], &first[6..])?;
        return Some((date, rest));
    }
    if first.is_empty() || rest.starts_with(' ') {
        return named(text);
    }
    let sign = rest
        .chars()
        .next()
        .filter(|sign| ['-', '/'].contains(sign))?;
    let (second, rest) = digits(&rest[1..]);
    if second.is_empty() {
        // 2024-Mar-05, 05-Mar-2024
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        let month = month(&rest[..letters])?;
        let (third, rest) = digits(rest[letters..].strip_prefix(sign)?);
        let date = match first.len() > 2 {
            true => written(first, &month, third)?,
            false => written(third, &month, first)?,
        };
        return Some((date, rest));
    }
    let (third, rest) = digits(rest.strip_prefix(sign)?);
    let date = match (first.len() > 2, third.len()) {
        (true, 1 | 2) => written(first, second, third)?,
        // Month, day, year.
        (false, 2..) => written(third, first, second)?,
        _ => return None,
    };
    Some((date, rest))
}

/// A year of two digits is one from 1970 to 2069.
fn full_year(text: &str) -> Option<u32> {
    let year: u32 = text.parse().ok()?;
    Some(match (text.len(), year) {
        (1 | 2, 0..70) => year + 2000,
        (1 | 2, _) => year + 1900,
        _ => year,
    })
}

/// `March 5, 2024`, `5 Mar 2024`.
fn named(text: &str) -> Option<(String, &str)> {
    let mut rest = text;
    let mut word = || {
        rest = rest.trim_start();
        let end = rest.find([' ', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = after.strip_prefix(',').unwrap_or(after);
        word
    };
    let (first, second, third) = (word(), word(), word());
    let (name, day) = match first.starts_with(|c: char| c.is_ascii_digit()) {
        true => (second, first),
        false => (first, second),
    };
    let month = month(name)?;
    let day: u32 = day.parse().ok()?;
    let year = full_year(third).filter(|_| third.len() >= 2)?;
    Some((format!("{year:04}-{month}-{day:02}"), rest))
}

/// The number of a month by its name or its first three letters.
fn month(name: &str) -> Option<String> {
    let is_it =
        |month: &&str| name.eq_ignore_ascii_case(month) || name.eq_ignore_ascii_case(&month[..3]);
    let index = MONTHS.iter().position(is_it)?;
    Some(format!("{:02}", index + 1))
}

/// A time as `14:05:06.5`, and the zone behind it.
fn time(text: &str) -> Option<(String, &str)> {
    let (hour, rest) = digits(text);
    let (hour, minute, mut second, mut rest) = match rest.strip_prefix(':') {
        Some(after) if (1..=2).contains(&hour.len()) => {
            let (minute, rest) = digits(after);
            match rest.strip_prefix(':') {
                Some(after) => {
                    let (second, rest) = digits(after);
                    (hour, minute, second.to_owned(), rest)
                }
                None => (hour, minute, "00".to_owned(), rest),
            }
        }
        // 140506
        None if hour.len() == 6 => (&hour[..2], &hour[2..4], hour[4..].to_owned(), rest),
        None if hour.len() == 4 => (&hour[..2], &hour[2..], "00".to_owned(), rest),
        _ => return None,
    };
    if !(1..=2).contains(&minute.len()) || !(1..=2).contains(&second.len()) {
        return None;
    }
    second = format!("{second:0>2}");
    if let Some(after) = rest.strip_prefix('.') {
        let (fraction, after) = digits(after);
        if !fraction.is_empty() {
            second = format!("{second}.{fraction}");
        }
        rest = after;
    }
    rest = rest.trim_start();
    let mut hour: u32 = hour.parse().ok()?;
    let half = rest.get(..2).map(str::to_ascii_lowercase);
    let behind = rest.get(2..).and_then(|rest| rest.chars().next());
    if let Some(half @ ("am" | "pm")) = half.as_deref()
        && behind.is_none_or(|c| !c.is_alphabetic())
    {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if half == "pm" { 12 } else { 0 };
        rest = rest[2..].trim_start();
    }
    Some((format!("{hour:02}:{minute:0>2}:{second}"), rest))
}

/// A zone as `+01:00`.
fn offset(zone: &str, date: &str, time: &str) -> Option<String> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") {
        return Some("+00:00".to_owned());
    }
    if let Some(rest) = zone.strip_prefix(['+', '-']) {
        let (hours, rest) = digits(rest);
        let (hours, minutes) = match (hours.len(), rest.strip_prefix(':')) {
            (1 | 2, Some(minutes)) if minutes.len() == 2 => (hours, minutes),
            (1 | 2, None) if rest.is_empty() => (hours, "00"),
            (4, None) if rest.is_empty() => hours.split_at(2),
            _ => return None,
        };
        return Some(format!("{}{hours:0>2}:{minutes}", &zone[..1]));
    }
    let shown = format!("{date} {}", &time[..8]);
    let shown = chrono::NaiveDateTime::parse_from_str(&shown, "%Y-%m-%d %H:%M:%S").ok()?;
    let ahead = Zone::named(zone).ok()?;
    let ahead = ahead.ahead_when_shown(shown.and_utc().timestamp())?;
    let sign = if ahead < 0 { '-' } else { '+' };
    let minutes = ahead.abs() / 60;
    Some(format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60))
}
