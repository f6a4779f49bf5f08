//! Windows as clocks and calendars somewhere on earth count them: days of 23 and 25 hours where
//! clocks are changed, parts of such days, months and years.
//!
//! A grid numbers the ranges between its lines, the ticks; windows are made of whole ticks. An hour
//! that is left out when clocks are put forward is an empty tick, one that comes twice is one tick
//! of two hours.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, TimeDelta, TimeZone};
use chrono_tz::Tz;

use super::{DAY_NANOS, Nanos, Window};

/// A family of windows of whole ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CalendarWindows {
    /// The lines between which ticks lie.
    pub grid: Grid,
    /// Ticks of the longest window, positive.
    pub size: i64,
    /// Ticks from the end of one window to the next, positive.
    pub slide: i64,
    /// The tick with which one window begins.
    pub offset: i64,
    /// Windows begin together every `size` ticks.
    pub cumulates: bool,
}

/// Lines on a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Whose clocks.
    pub zone: Tz,
    /// How far lines are from each other.
    pub step: Step,
}

/// How far lines are from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A time on the clock, as if clocks were never changed.
    Span {
        /// From one line to the next, a second at least.
        nanos: i64,
        /// A line, from midnight of 1970-01-01.
        offset_nanos: i64,
    },
    /// Whole months, from midnight of a first.
    Months {
        /// From one line to the next, positive.
        months: i64,
        /// A line, from January of 1970.
        offset: i64,
    },
}

/// The longest month.
const MONTH_NANOS: i64 = 31 * DAY_NANOS;

/// How far a tick may lie from where the clock says, and the next window from this one: clocks were
/// changed by a day at most, and ticks are a second at least.
const TICKS_MAX: usize = 100_000;

impl CalendarWindows {
    /// Length of the longest window, where no clocks are changed and months are long.
    pub const fn size_nanos(&self) -> i64 {
        self.grid.step.nanos().saturating_mul(self.size)
    }

    /// Distance between two ends, likewise.
    pub const fn slide_nanos(&self) -> i64 {
        self.grid.step.nanos().saturating_mul(self.slide)
    }

    /// The window that ends at `end`, where one does.
    pub fn ending_at(&self, end: i64) -> Window {
        let last = self.grid.tick(end.saturating_sub(1));
        let first = if self.cumulates {
            self.period(last)
        } else {
            last + 1 - self.size
        };
        let start = self.grid.line(first);
        Window { start, end }
    }

    /// The first window end after `time`.
    pub fn end_after(&self, time: i64) -> i64 {
        let tick = self.grid.tick(time);
        let first = tick + 1 + (self.offset + self.size - tick - 1).rem_euclid(self.slide);
        (0..)
            .map(|index| first + index * self.slide)
            .take(TICKS_MAX)
            .find_map(|end| self.window(end))
            .map_or(i64::MAX, |window| window.end)
    }

    /// The windows that hold `time`, earliest first.
    pub fn windows_of(&self, time: i64) -> impl Iterator<Item = Window> + use<> {
        let tick = self.grid.tick(time);
        let (first, last) = if self.cumulates {
            (tick + 1, self.period(tick) + self.size)
        } else {
            let begins = tick - (tick - self.offset).rem_euclid(self.slide);
            let first = begins + self.size - tick - 1;
            // Where windows leave gaps, the last one to begin may have ended.
            (tick + 1 + first.rem_euclid(self.slide), begins + self.size)
        };
        let windows = *self;
        let count = match last < first {
            true => 0,
            false => (last - first) / self.slide + 1,
        };
        (0..count).filter_map(move |index| windows.window(first + index * windows.slide))
    }

    /// The slice that holds `time`.
    pub fn slice(&self, time: i64) -> Window {
        self.grid.range(self.grid.tick(time))
    }

    /// The tick with which the period of `tick` begins.
    const fn period(&self, tick: i64) -> i64 {
        tick - (tick - self.offset).rem_euclid(self.size)
    }

    /// The window whose last tick is before `end`. There is none where it would end, or begin, in
    /// a tick that is empty: another one ends, or begins, at that instant.
    fn window(&self, end: i64) -> Option<Window> {
        let first = match self.cumulates {
            true => self.period(end - 1),
            false => end - self.size,
        };
        let begins = self.grid.range(first);
        let ends = self.grid.range(end - 1);
        let empty = |tick: Window| tick.start >= tick.end;
        if empty(ends) || (!self.cumulates && empty(begins)) {
            return None;
        }
        Some(Window {
            start: begins.start,
            end: ends.end,
        })
    }
}

impl Grid {
    /// The tick that holds `time`.
    fn tick(&self, time: i64) -> i64 {
        let shown = DateTime::from_timestamp_nanos(time).with_timezone(&self.zone);
        let mut tick = self.step.tick(shown.naive_local());
        for _ in 0..TICKS_MAX {
            // Where clocks are put back they show a time again.
            if self.line(tick) > time {
                tick -= 1;
            } else if self.line(tick + 1) <= time {
                tick += 1;
            } else {
                break;
            }
        }
        tick
    }

    fn range(&self, tick: i64) -> Window {
        let (start, end) = (self.line(tick), self.line(tick + 1));
        Window { start, end }
    }

    /// The line at which `tick` begins: the first instant at which clocks show that or more.
    fn line(&self, tick: i64) -> i64 {
        let end_of_time = if tick < 0 { i64::MIN } else { i64::MAX };
        let shown = self.step.shown(tick);
        let instant = shown.and_then(|shown| first_instant(&self.zone, shown));
        instant.unwrap_or(end_of_time)
    }
}

impl Step {
    /// The distance of lines where no clocks are changed and months are long.
    const fn nanos(self) -> i64 {
        match self {
            Self::Span { nanos, .. } => nanos,
            Self::Months { months, .. } => months.saturating_mul(MONTH_NANOS),
        }
    }

    /// The tick whose lines are around `shown` on the clock.
    fn tick(self, shown: NaiveDateTime) -> i64 {
        match self {
            Self::Span {
                nanos,
                offset_nanos,
            } => {
                let since = shown.and_utc().signed_duration_since(DateTime::UNIX_EPOCH);
                let since = since
                    .num_nanoseconds()
                    .unwrap_or(if since < TimeDelta::zero() {
                        i64::MIN
                    } else {
                        i64::MAX
                    });
                since.saturating_sub(offset_nanos).div_euclid(nanos)
            }
            Self::Months { months, offset } => {
                let month = (i64::from(shown.year()) - 1970) * 12 + i64::from(shown.month0());
                (month - offset).div_euclid(months)
            }
        }
    }

    /// What clocks show at the line at which `tick` begins.
    fn shown(self, tick: i64) -> Option<NaiveDateTime> {
        match self {
            Self::Span {
                nanos,
                offset_nanos,
            } => {
                let since = tick.checked_mul(nanos)?.checked_add(offset_nanos)?;
                Some(DateTime::from_timestamp_nanos(since).naive_utc())
            }
            Self::Months { months, offset } => {
                let month = tick.checked_mul(months)?.checked_add(offset)?;
                let year = i32::try_from(month.div_euclid(12) + 1970).ok()?;
                let month0 = u32::try_from(month.rem_euclid(12)).ok()?;
                let first = NaiveDate::from_ymd_opt(year, month0 + 1, 1)?;
                first.and_hms_opt(0, 0, 0)
            }
        }
    }
}

/// The first instant at which clocks of `zone` show `shown` or more, in nanoseconds.
fn first_instant(zone: &Tz, shown: NaiveDateTime) -> Option<i64> {
    if let Some(instant) = zone.from_local_datetime(&shown).earliest() {
        return instant.timestamp_nanos_opt();
    }
    // Clocks were put forward over it, at a whole second between a day before and a day after.
    let guess = shown.and_utc().timestamp();
    let shows = |second: i64| {
        let utc = DateTime::from_timestamp(second, 0)?.naive_utc();
        Some(zone.from_utc_datetime(&utc).naive_local() >= shown)
    };
    const REACH: i64 = 2 * 86_400;
    let (mut before, mut after) = (guess - REACH, guess + REACH);
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if shows(middle)? {
            after = middle;
        } else {
            before = middle;
        }
    }
    DateTime::from_timestamp(after, 0)?.timestamp_nanos_opt()
}

impl fmt::Display for CalendarWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ticks = |ticks: i64| Ticks(self.grid.step, ticks);
        if self.cumulates {
            write!(
                f,
                "cumulate(step {}, size {}",
                ticks(self.slide),
                ticks(self.size)
            )?;
        } else if self.slide == self.size {
            write!(f, "tumble({}", ticks(self.size))?;
        } else {
            write!(
                f,
                "hop(slide {}, size {}",
                ticks(self.slide),
                ticks(self.size)
            )?;
        }
        write!(f, " in {}", self.grid.zone)?;
        let lines = match self.grid.step {
            Step::Span { offset_nanos, .. } => offset_nanos,
            Step::Months { offset, .. } => offset,
        };
        if lines != 0 || self.offset != 0 {
            f.write_str(", offset ")?;
            match self.grid.step {
                Step::Span { nanos, .. } => write!(f, "{}", Nanos(lines + self.offset * nanos))?,
                Step::Months { months, .. } => write!(f, "{}mon", lines + self.offset * months)?,
            }
        }
        f.write_str(")")
    }
}

struct Ticks(Step, i64);

impl fmt::Display for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Step::Span { nanos, .. } => Nanos(nanos * self.1).fmt(f),
            Step::Months { months, .. } => match months * self.1 {
                years if years % 12 == 0 => write!(f, "{}y", years / 12),
                months => write!(f, "{months}mon"),
            },
        }
    }
}

#[cfg(test)]
mod tests;
