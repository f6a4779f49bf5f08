//! Windows of whole days as a place on earth counts them: with 23 and 25 hours where clocks are
//! changed.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Tz;

use super::Window;

/// `days` days from midnight to midnight in `zone`, aligned so that one window starts `offset_days`
/// after 1970-01-01.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ZonedDays {
    /// Whole days, positive.
    pub days: i64,
    /// From 0 to below `days`.
    pub offset_days: i64,
    /// Whose midnight.
    pub zone: Tz,
}

impl ZonedDays {
    /// The window that holds `time`.
    pub fn containing(&self, time: i64) -> Window {
        let local = DateTime::from_timestamp_nanos(time).with_timezone(&self.zone);
        let day = days_since_epoch(local.date_naive());
        let start = day - (day - self.offset_days).rem_euclid(self.days);
        Window {
            start: self.midnight(start),
            end: self.midnight(start + self.days),
        }
    }

    /// The first instant of a day, in nanoseconds.
    fn midnight(&self, day: i64) -> i64 {
        let Some(date) = date(day) else {
            return if day < 0 { i64::MIN } else { i64::MAX };
        };
        let local = date.and_time(NaiveTime::MIN);
        let start = match self.zone.from_local_datetime(&local).earliest() {
            Some(start) => Some(start.to_utc()),
            // Clocks were put forward over midnight: the day begins when they were.
            None => {
                let noon = date.pred_opt().and_then(|date| date.and_hms_opt(12, 0, 0));
                let before = noon.and_then(|noon| self.zone.from_local_datetime(&noon).earliest());
                before.map(|before| {
                    let elapsed = local.signed_duration_since(before.naive_local());
                    before.to_utc() + elapsed
                })
            }
        };
        let nanos = start.and_then(|start| start.timestamp_nanos_opt());
        nanos.unwrap_or(if day < 0 { i64::MIN } else { i64::MAX })
    }
}

/// 1970-01-01.
fn epoch() -> NaiveDate {
    NaiveDate::default()
}

fn days_since_epoch(date: NaiveDate) -> i64 {
    date.signed_duration_since(epoch()).num_days()
}

fn date(day: i64) -> Option<NaiveDate> {
    let distance = Days::new(day.unsigned_abs());
    match day < 0 {
        true => epoch().checked_sub_days(distance),
        false => epoch().checked_add_days(distance),
    }
}
