//! Lengths of time: `INTERVAL '2' SECOND`, `'1 minute 30 seconds'`, `'1s'`, all to nanoseconds.
//!
//! Calendar units (months, years) have no fixed length and are errors here.

use crate::error::{Cause, PlanError};

/// The nanoseconds of a text such as `2`, `1 minute 30 seconds`, `500ms`, `00:00:05.5`. A number
/// without a unit is in `unit`, or in seconds.
///
/// # Errors
/// [`Cause::Literal`] if it cannot be read or does not fit; with a hint if it has a calendar unit.
pub fn nanos_of(text: &str, unit: Option<&str>) -> Result<i64, PlanError> {
    let wrong = || {
        let wanted = "a duration";
        PlanError::new(Cause::Literal {
            text: text.to_owned(),
            wanted,
        })
    };
    let trimmed = text.trim();
    if let Some(nanos) = clock_nanos(trimmed) {
        return Ok(nanos);
    }
    let mut rest = trimmed;
    let mut total = 0i128;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+'));
        let (number, tail) = rest.split_at(digits.unwrap_or(rest.len()));
        let tail = tail.trim_start();
        let letters = tail
            .find(|c: char| !c.is_alphabetic() && c != 'µ')
            .unwrap_or(tail.len());
        let (word, tail) = tail.split_at(letters);
        let word = if word.is_empty() {
            unit.unwrap_or("s")
        } else {
            word
        };
        let unit_nanos = unit_nanos(word).ok_or_else(|| calendar_hint(word, wrong()))?;
        total += fixed(number, unit_nanos).ok_or_else(wrong)?;
        rest = tail.trim_start_matches([' ', ',']);
        parts += 1;
    }
    if parts == 0 {
        return Err(wrong());
    }
    i64::try_from(total).map_err(|_| wrong())
}

/// The months of a text of whole months, quarters and years, such as `1 month`, `1y 6mon`.
pub fn months_of(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+'))?;
        let (number, tail) = rest.split_at(digits);
        let tail = tail.trim_start();
        let letters = tail.find(|c: char| !c.is_alphabetic());
        let (word, tail) = tail.split_at(letters.unwrap_or(tail.len()));
        let months = number
            .parse::<i64>()
            .ok()?
            .checked_mul(unit_months(word)?)?;
        total = total.checked_add(months)?;
        rest = tail.trim_start_matches([' ', ',']);
    }
    Some(total)
}

/// The months of one unit of the calendar.
pub fn unit_months(word: &str) -> Option<i64> {
    Some(match word.to_lowercase().as_str() {
        "mon" | "mons" | "month" | "months" => 1,
        "quarter" | "quarters" => 3,
        "y" | "year" | "years" => 12,
        _ => return None,
    })
}

fn calendar_hint(word: &str, error: PlanError) -> PlanError {
    if unit_months(word).is_some() {
        return error.hint("Months and years have no fixed length; use days, hours or less.");
    }
    error
}

/// `number` units of `unit` nanoseconds; decimals are cut after the nanosecond.
fn fixed(number: &str, unit: i64) -> Option<i128> {
    let (negative, digits) = match number.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let whole: i128 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let mut total = whole.checked_mul(i128::from(unit))?;
    if !fraction.is_empty() {
        // 18 digits: more than a nanosecond of a week can show, and no overflow below.
        let fraction = &fraction[..fraction.len().min(18)];
        let scale = 10i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        total += fraction.parse::<i128>().ok()? * i128::from(unit) / scale;
    }
    Some(if negative { -total } else { total })
}

/// `HH:MM[:SS[.fff]]`.
fn clock_nanos(text: &str) -> Option<i64> {
    let mut parts = text.split(':');
    let (hours, minutes) = (parts.next()?, parts.next()?);
    let seconds = parts.next().unwrap_or("0");
    let negative = hours.starts_with('-');
    let hours = hours.trim_start_matches(['-', '+']);
    let whole = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then_some(());
    whole(hours)?;
    whole(minutes)?;
    let total = fixed(hours, 3_600_000_000_000)?
        + fixed(minutes, 60_000_000_000)?
        + fixed(seconds, 1_000_000_000)?;
    parts.next().is_none().then_some(())?;
    i64::try_from(if negative { -total } else { total }).ok()
}

/// The nanoseconds of one unit of fixed length.
pub fn unit_nanos(word: &str) -> Option<i64> {
    Some(match word.to_lowercase().as_str() {
        "ns" | "nanosecond" | "nanoseconds" => 1,
        "us" | "µs" | "microsecond" | "microseconds" => 1_000,
        "ms" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        "w" | "week" | "weeks" => 604_800_000_000_000,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
