//! Windows of whole days as a place on earth counts them, with 23 and 25 hours where clocks are
//! changed; and of parts of such days.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
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
    /// The length of a part of a day, of which 24 hours are a multiple; 0 for whole days.
    pub part_nanos: i64,
    /// From 0 to below `part_nanos`: where parts begin, from midnight.
    pub offset_nanos: i64,
    /// Whose midnight.
    pub zone: Tz,
}

impl ZonedDays {
    /// The window that holds `time`.
    pub fn containing(&self, time: i64) -> Window {
        let local = DateTime::from_timestamp_nanos(time).with_timezone(&self.zone);
        if self.part_nanos > 0 {
            return self.part_containing(time, local.naive_local());
        }
        let day = days_since_epoch(local.date_naive());
        let start = day - (day - self.offset_days).rem_euclid(self.days);
        Window {
            start: self.midnight(start),
            end: self.midnight(start + self.days),
        }
    }

    /// Length of a window, where no clocks are changed.
    pub const fn size_nanos(&self) -> i64 {
        if self.part_nanos > 0 {
            return self.part_nanos;
        }
        self.days.saturating_mul(super::DAY_NANOS)
    }

    /// The part of a day that holds `time`, which is `local` there. A part ends where the next one
    /// begins: hours that come twice belong to one.
    fn part_containing(&self, time: i64, local: NaiveDateTime) -> Window {
        let since = local.signed_duration_since(local.date().and_time(NaiveTime::MIN));
        let since = since.num_nanoseconds().unwrap_or(0) - self.offset_nanos;
        let first = local - TimeDelta::nanoseconds(since.rem_euclid(self.part_nanos));
        let part = TimeDelta::nanoseconds(self.part_nanos);
        let (mut begin, mut end) = (first, first + part);
        for _ in 0..PARTS_MAX {
            if self.instant(begin) > time {
                (begin, end) = (begin - part, begin);
            } else if self.instant(end) <= time {
                (begin, end) = (end, end + part);
            } else {
                break;
            }
        }
        Window {
            start: self.instant(begin),
            end: self.instant(end),
        }
    }

    /// The first instant at which clocks show `local` or more, in nanoseconds.
    fn instant(&self, local: NaiveDateTime) -> i64 {
        /// No clock was ever put forward by more than a day.
        const MINUTES_MAX: i64 = 24 * 60;
        let shown = (0..=MINUTES_MAX).find_map(|minutes| {
            let local = local + TimeDelta::minutes(minutes);
            self.zone.from_local_datetime(&local).earliest()
        });
        let nanos = shown.and_then(|shown| shown.timestamp_nanos_opt());
        nanos.unwrap_or(if local.date() < epoch() {
            i64::MIN
        } else {
            i64::MAX
        })
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

/// How far a part may lie from where the clock says: more than a day of seconds is the end of time.
const PARTS_MAX: usize = 100_000;

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
