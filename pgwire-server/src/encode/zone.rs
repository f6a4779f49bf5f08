//! The session's time zone, as far as the text of instants needs it.

use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    /// Always this many seconds east of Greenwich.
    Fixed(i32),
    /// One of the tz database.
    Named(Tz),
}

impl Zone {
    /// The zone that a session calls `name`: of the tz database, or an offset like `+02:00`; UTC
    /// for anything else.
    pub(crate) fn of(name: &str) -> Self {
        if name.eq_ignore_ascii_case("utc") {
            return Self::Fixed(0);
        }
        if let Ok(zone) = name.parse::<Tz>() {
            return Self::Named(zone);
        }
        offset(name).map_or(Self::Fixed(0), Self::Fixed)
    }

    /// Seconds east of Greenwich at an instant, in microseconds since 1970.
    pub(crate) fn offset_at(&self, us: i64) -> i32 {
        match self {
            Self::Fixed(offset) => *offset,
            Self::Named(zone) => {
                // Outside of chrono's years there are no rules: the clock of Greenwich then.
                let Some(instant) = DateTime::from_timestamp_micros(us) else {
                    return 0;
                };
                zone.offset_from_utc_datetime(&instant.naive_utc())
                    .fix()
                    .local_minus_utc()
            }
        }
    }
}

fn offset(name: &str) -> Option<i32> {
    let (sign, rest) = match name.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    Some(sign * (hours.parse::<i32>().ok()? * 3_600 + minutes.parse::<i32>().ok()? * 60))
}
