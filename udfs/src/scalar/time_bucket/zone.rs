//! Buckets by the clocks of a place: between an instant and what clocks show at it.
//!
//! A bucket begins at the first instant at which clocks show its start or more, and ends where the
//! next one begins. So an hour that clocks skip leaves no hole, one that comes twice belongs to the
//! bucket of its first time, or to the last one of that hour, and later instants are never in
//! earlier buckets.

use chrono::{DateTime, Offset as _, TimeZone as _};
use chrono_tz::Tz;
use datafusion::common::Result;

use super::CALL;
use crate::error::FunctionError;

/// Returns the zone of a name.
///
/// # Errors
/// [`FunctionError::OutOfRange`] for a name that is not in the IANA database.
pub(super) fn named(name: &str) -> Result<Tz> {
    let refusal = || {
        FunctionError::OutOfRange {
            function: CALL.function,
            argument: "timezone",
            value: format!("'{name}'"),
            range: "a name of the IANA database, such as 'America/New_York'".into(),
        }
        .into()
    };
    name.parse().map_err(|_| refusal())
}

/// Returns what clocks show at an instant, both in nanoseconds since 1970-01-01.
///
/// # Errors
/// [`FunctionError::OutOfRange`] beyond the years that clocks are known for.
pub(super) fn shown_ns(zone: Tz, instant: i128) -> Result<i128> {
    let second = i64::try_from(instant.div_euclid(1_000_000_000)).ok();
    let ahead = second.and_then(|second| ahead(zone, second));
    let ahead = ahead.ok_or_else(|| FunctionError::OutOfRange {
        function: CALL.function,
        argument: "origin",
        value: format!("{instant} ns since 1970"),
        range: "an instant within 200000 years".into(),
    })?;
    Ok(instant + i128::from(ahead) * 1_000_000_000)
}

/// Returns by how many seconds clocks are ahead of UTC at an instant; `None` beyond the years that
/// they are known for.
fn ahead(zone: Tz, second: i64) -> Option<i64> {
    let utc = DateTime::from_timestamp(second, 0)?.naive_utc();
    let offset = zone.offset_from_utc_datetime(&utc).fix();
    Some(i64::from(offset.local_minus_utc()))
}

/// No clock is ever more than this many seconds from UTC, or put on by more.
const AHEAD_MAX: i64 = 26 * 3_600;

/// Returns start and end of the bucket of the instant `time`, given those of what clocks show.
/// All in ticks, of which a second has `per_second`; the end saturates at the last one.
pub(super) fn bounds(
    zone: Tz,
    per_second: i64,
    time: i64,
    shown: impl Fn(i64) -> Option<(i64, i64)>,
) -> Option<(i64, i64)> {
    let clock = Clock { zone, per_second };
    let now = clock.ahead(time)?;
    let (mut start, mut end) = shown(time.checked_add(now * per_second)?)?;
    let ends = |end: i64| clock.first(end).unwrap_or(i64::MAX);
    let over = ends(end);
    if over <= time {
        // Clocks show this for the second time: what began last did so right before they were put
        // back.
        let change = clock.change(over, time)?;
        let before = clock.ahead(over)?;
        let last = change.checked_add(before * per_second)?.checked_sub(1)?;
        (start, end) = shown(last)?;
    }
    Some((clock.first(start)?, ends(end)))
}

/// The clocks of a place.
#[derive(Clone, Copy, Debug)]
struct Clock {
    zone: Tz,
    per_second: i64,
}

impl Clock {
    fn ahead(self, time: i64) -> Option<i64> {
        ahead(self.zone, time.div_euclid(self.per_second))
    }

    /// Returns the first instant at which clocks show `shown` or more.
    fn first(self, shown: i64) -> Option<i64> {
        let ticks = |seconds: i64| seconds.checked_mul(self.per_second);
        let at = |ahead: i64| shown.checked_sub(ticks(ahead)?);
        // What clocks were ahead by before and after any change nearby.
        let (before, after) = (at(AHEAD_MAX)?, at(-AHEAD_MAX)?);
        let (earlier, later) = (self.ahead(before)?, self.ahead(after)?);
        let candidate = at(earlier)?;
        if self.ahead(candidate)? == earlier {
            return Some(candidate);
        }
        // Put on: the change itself where `shown` is skipped. Put back: `shown` was shown before.
        let candidate = at(later)?;
        if self.ahead(candidate)? == later {
            return Some(candidate);
        }
        self.change(candidate, at(earlier)?)
    }

    /// Returns the first instant after `from`, up to `to`, from which on clocks are as far ahead
    /// as at `to`. There is one change between the two.
    fn change(self, from: i64, to: i64) -> Option<i64> {
        let then = self.ahead(to)?;
        let (mut low, mut high) = (
            from.div_euclid(self.per_second),
            to.div_euclid(self.per_second),
        );
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if ahead(self.zone, middle)? == then {
                high = middle;
            } else {
                low = middle;
            }
        }
        high.checked_mul(self.per_second)
    }
}

#[cfg(test)]
mod tests;
