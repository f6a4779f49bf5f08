//! Between instants and what the clocks of a place show, as PostgreSQL reads them: a time that
//! clocks skip is one by the clocks before, one that comes twice is the later one.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::error::FunctionError;

/// A place, or a distance from UTC in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Place(Tz),
    Ahead(i32),
}

/// Abbreviations that PostgreSQL knows by itself, in minutes ahead of UTC.
const SHORT: [(&str, i32); 30] = [
    ("utc", 0),
    ("gmt", 0),
    ("z", 0),
    ("zulu", 0),
    ("wet", 0),
    ("west", 60),
    ("bst", 60),
    ("cet", 60),
    ("cest", 120),
    ("met", 60),
    ("eet", 120),
    ("eest", 180),
    ("msk", 180),
    ("ist", 120),
    ("hkt", 480),
    ("sgt", 480),
    ("jst", 540),
    ("kst", 540),
    ("aest", 600),
    ("aedt", 660),
    ("nzst", 720),
    ("nzdt", 780),
    ("est", -300),
    ("edt", -240),
    ("cst", -360),
    ("cdt", -300),
    ("mst", -420),
    ("mdt", -360),
    ("pst", -480),
    ("pdt", -420),
];

impl Zone {
    /// The zone of a name: one of the IANA database in any letters, an abbreviation, or hours as
    /// POSIX counts them, to the west.
    ///
    /// # Errors
    /// `22023` for another name.
    pub(crate) fn named(name: &str) -> Result<Self, FunctionError> {
        let lower = name.trim().to_ascii_lowercase();
        if let Some((_, minutes)) = SHORT.iter().find(|(short, _)| *short == lower) {
            return Ok(Self::Ahead(minutes * 60));
        }
        let exact = name.parse().ok();
        let place = exact.or_else(|| {
            let mut all = TZ_VARIANTS.iter();
            all.find(|zone| zone.name().eq_ignore_ascii_case(&lower))
                .copied()
        });
        if let Some(place) = place {
            return Ok(Self::Place(place));
        }
        posix(&lower).map(Self::Ahead).ok_or_else(|| {
            let message = format!("time zone \"{name}\" not recognized");
            FunctionError::value("22023", message)
        })
    }

    /// Seconds that clocks are ahead of UTC at an instant; `None` beyond the calendar.
    pub(crate) fn ahead(self, second: i64) -> Option<i64> {
        match self {
            Self::Ahead(seconds) => Some(i64::from(seconds)),
            Self::Place(place) => {
                let utc = DateTime::from_timestamp(second, 0)?.naive_utc();
                let ahead = place.offset_from_utc_datetime(&utc).fix();
                Some(i64::from(ahead.local_minus_utc()))
            }
        }
    }

    /// Seconds that clocks are ahead of UTC when they show `second`.
    pub(crate) fn ahead_when_shown(self, second: i64) -> Option<i64> {
        let place = match self {
            Self::Ahead(seconds) => return Some(i64::from(seconds)),
            Self::Place(place) => place,
        };
        /// No clock is put on by more than this.
        const SKIPPED_MAX_MINUTES: i64 = 26 * 60;
        let local = DateTime::from_timestamp(second, 0)?.naive_utc();
        let at = |local: &NaiveDateTime| match place.offset_from_local_datetime(local) {
            MappedLocalTime::Single(ahead) | MappedLocalTime::Ambiguous(_, ahead) => {
                Some(i64::from(ahead.fix().local_minus_utc()))
            }
            MappedLocalTime::None => None,
        };
        (0..=SKIPPED_MAX_MINUTES / 15)
            .find_map(|quarters| at(&local.checked_sub_signed(TimeDelta::minutes(quarters * 15))?))
    }
}

/// `+05:30`, `utc-3`: to the west if it is positive, in seconds to the east.
fn posix(name: &str) -> Option<i32> {
    let letters = name.bytes().take_while(u8::is_ascii_alphabetic).count();
    let rest = &name[letters..];
    let (sign, rest) = match rest.as_bytes().first()? {
        b'-' => (1, &rest[1..]),
        b'+' => (-1, &rest[1..]),
        _ if letters > 0 => (-1, rest),
        _ => return None,
    };
    let mut parts = rest.splitn(2, ':');
    let hours: i32 = parts
        .next()?
        .parse()
        .ok()
        .filter(|hours| (0..=167).contains(hours))?;
    let minutes: i32 = match parts.next() {
        Some(minutes) => minutes
            .parse()
            .ok()
            .filter(|minutes| (0..60).contains(minutes))?,
        None => 0,
    };
    Some(sign * (hours * 3_600 + minutes * 60))
}
