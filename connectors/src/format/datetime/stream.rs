//! Timestamps that come one after another: those of a stream are of the same day and written alike,
//! so the day is looked up once and the rest is read by position.

use super::DateTime;

/// `YYYY-MM-DD`
const DATE_BYTES: usize = 10;
/// `YYYY-MM-DDTHH:MM:SS`
const SECOND_BYTES: usize = 19;
/// The powers of ten up to a second's nanoseconds.
const POW10: [i64; 10] = [
    1,
    10,
    100,
    1_000,
    10_000,
    100_000,
    1_000_000,
    10_000_000,
    100_000_000,
    1_000_000_000,
];

/// The day of the last timestamp.
#[derive(Clone, Debug, Default)]
pub struct LastDay {
    text: [u8; DATE_BYTES],
    /// Seconds from the epoch to its midnight, if there was one.
    seconds: Option<i64>,
}

impl LastDay {
    /// Reads `YYYY-MM-DDTHH:MM:SS[.fraction]Z` of the day that was read last as units of
    /// 10^-`digits` seconds since the epoch. `None` if it is written otherwise, of another day, or
    /// has more digits than fit: [`DateTime`] reads it.
    #[inline]
    pub fn read(&self, text: &[u8], digits: u8) -> Option<i64> {
        let midnight = self.seconds?;
        let (head, tail) = text.split_first_chunk::<SECOND_BYTES>()?;
        if head[..DATE_BYTES] != self.text || !matches!(head[10], b'T' | b' ') {
            return None;
        }
        if head[13] != b':' || head[16] != b':' {
            return None;
        }
        let hour = pair(head[11], head[12], 23)?;
        let minute = pair(head[14], head[15], 59)?;
        let second = pair(head[17], head[18], 59)?;
        let (fraction, fraction_digits) = match tail {
            [b'Z'] => (0, 0),
            [b'.', fraction @ .., b'Z'] => (number(fraction)?, fraction.len()),
            _ => return None,
        };
        // A longer fraction would have to be rounded.
        let scale = POW10.get(usize::from(digits).checked_sub(fraction_digits)?)?;
        let seconds = midnight + hour * 3_600 + minute * 60 + second;
        let units = seconds.checked_mul(*POW10.get(usize::from(digits))?)?;
        units.checked_add(fraction * scale)
    }

    /// Remembers the day of `text`, which `parsed` was read from.
    pub fn remember(&mut self, text: &[u8], parsed: &DateTime) {
        if let Some(date) = text.first_chunk::<DATE_BYTES>() {
            self.text = *date;
            self.seconds = Some(parsed.days * 86_400);
        }
    }
}

#[inline]
fn pair(tens: u8, ones: u8, max: i64) -> Option<i64> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    let value = i64::from(tens) * 10 + i64::from(ones);
    (tens <= 9 && ones <= 9 && value <= max).then_some(value)
}

/// One to nine digits as a number.
#[inline]
fn number(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    let mut number = 0;
    let mut above = false;
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        above |= digit > 9;
        number = number * 10 + i64::from(digit);
    }
    (!above).then_some(number)
}
