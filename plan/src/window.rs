//! Windows: how a point in event time maps to half-open ranges of event time.

use std::fmt;

pub mod calendar;

use calendar::CalendarWindows;

/// A family of windows over event time. All lengths in nanoseconds, all positive.
///
/// No two windows of a family end at the same time. Windows are aligned so that one of them starts
/// at `offset_nanos` since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WindowSpec {
    /// Every point is in exactly one window of `size_nanos`.
    Tumble {
        /// Length of a window.
        size_nanos: i64,
        /// Where one window starts.
        offset_nanos: i64,
    },
    /// A window of `size_nanos` starts every `slide_nanos`; a point is in ⌈size / slide⌉ of them,
    /// or in none when the slide is longer than the size.
    Hop {
        /// Length of a window.
        size_nanos: i64,
        /// Distance between two starts.
        slide_nanos: i64,
        /// Where one window starts.
        offset_nanos: i64,
    },
    /// Windows that start together every `size_nanos` and end one after the other every
    /// `step_nanos`, of which the size is a multiple: a point is in those of its period that end
    /// after it.
    Cumulate {
        /// Distance between two ends.
        step_nanos: i64,
        /// Length of the longest window, and distance between two starts.
        size_nanos: i64,
        /// Where one window starts.
        offset_nanos: i64,
    },
    /// As clocks and calendars somewhere on earth count.
    Calendar(CalendarWindows),
    /// Sessions: not known before their rows are. A point alone is one of `gap_nanos`.
    Session {
        /// From the last row to the end.
        gap_nanos: i64,
    },
}

/// 24 hours.
const DAY_NANOS: i64 = 86_400_000_000_000;

/// One window: `[start, end)` in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First point inside.
    pub start: i64,
    /// First point after.
    pub end: i64,
}

impl WindowSpec {
    /// Length of the longest window.
    pub const fn size_nanos(&self) -> i64 {
        match self {
            Self::Tumble { size_nanos, .. }
            | Self::Hop { size_nanos, .. }
            | Self::Cumulate { size_nanos, .. } => *size_nanos,
            Self::Session { gap_nanos } => *gap_nanos,
            Self::Calendar(calendar) => calendar.size_nanos(),
        }
    }

    /// Distance between two ends.
    pub const fn slide_nanos(&self) -> i64 {
        match self {
            Self::Tumble { size_nanos, .. } => *size_nanos,
            Self::Hop { slide_nanos, .. } => *slide_nanos,
            Self::Cumulate { step_nanos, .. } => *step_nanos,
            Self::Session { gap_nanos } => *gap_nanos,
            Self::Calendar(calendar) => calendar.slide_nanos(),
        }
    }

    /// Where one window starts.
    pub const fn offset_nanos(&self) -> i64 {
        match self {
            Self::Tumble { offset_nanos, .. }
            | Self::Hop { offset_nanos, .. }
            | Self::Cumulate { offset_nanos, .. } => *offset_nanos,
            Self::Session { .. } | Self::Calendar(_) => 0,
        }
    }

    /// The window that ends at `end`, where one does.
    pub fn ending_at(&self, end: i64) -> Window {
        let start = match self {
            Self::Cumulate {
                size_nanos,
                offset_nanos,
                ..
            } => {
                let inside = end.saturating_sub(1);
                inside.saturating_sub(inside.wrapping_sub(*offset_nanos).rem_euclid(*size_nanos))
            }
            Self::Calendar(calendar) => return calendar.ending_at(end),
            _ => end.saturating_sub(self.size_nanos()),
        };
        Window { start, end }
    }

    /// Length of a slice: the longest range that every window consists of whole multiples of.
    pub fn slice_nanos(&self) -> i64 {
        gcd(self.size_nanos(), self.slide_nanos())
    }

    /// The first window end after `time`.
    pub fn end_after(&self, time: i64) -> i128 {
        if let Self::Calendar(calendar) = self {
            return i128::from(calendar.end_after(time));
        }
        let time = i128::from(time);
        let aligned = i128::from(self.offset_nanos()) + i128::from(self.size_nanos());
        let slide = i128::from(self.slide_nanos());
        time + slide - (time - aligned).rem_euclid(slide)
    }

    /// The end of the slice that starts at `start`.
    pub fn slice_end(&self, start: i64) -> i64 {
        match self {
            Self::Calendar(calendar) => calendar.slice(start).end,
            _ => start.saturating_add(self.slice_nanos()),
        }
    }

    /// The start of the slice that holds `time`.
    pub fn slice_start(&self, time: i64) -> i64 {
        if let Self::Calendar(calendar) = self {
            return calendar.slice(time).start;
        }
        let slice = self.slice_nanos();
        time.saturating_sub((time - self.offset_nanos()).rem_euclid(slice))
    }

    /// The windows that hold `time`, earliest first.
    pub fn windows_of(&self, time: i64) -> impl Iterator<Item = Window> + use<> {
        let (calendar, uniform) = match self {
            Self::Calendar(calendar) => (Some(calendar.windows_of(time)), None),
            _ => (None, Some(self.uniform_windows_of(time))),
        };
        calendar
            .into_iter()
            .flatten()
            .chain(uniform.into_iter().flatten())
    }

    fn uniform_windows_of(&self, time: i64) -> impl Iterator<Item = Window> + use<> {
        let (size, slide) = (self.size_nanos(), self.slide_nanos());
        let (first_end, count) = match self {
            Self::Session { .. } | Self::Calendar(_) => (time + size, 1),
            Self::Tumble { .. } | Self::Hop { .. } => {
                let last = time - (time - self.offset_nanos()).rem_euclid(slide);
                // Starts in (time − size, time], from the first aligned start above time − size.
                let count = if time - last >= size {
                    0
                } else {
                    (size - (time - last) + slide - 1) / slide
                };
                (last + size - (count - 1) * slide, count)
            }
            Self::Cumulate { .. } => {
                let inside = (time - self.offset_nanos()).rem_euclid(size);
                let steps_over = inside / slide;
                let first_end = time - inside + (steps_over + 1) * slide;
                (first_end, size / slide - steps_over)
            }
        };
        let spec = *self;
        (0..count).map(move |index| spec.ending_at(first_end + index * slide))
    }

    /// Whether windows begin together, so that only their ends tell them apart.
    pub const fn begin_together(&self) -> bool {
        match self {
            Self::Cumulate { .. } => true,
            Self::Calendar(calendar) => calendar.cumulates,
            _ => false,
        }
    }

    /// Whether every point is in exactly one window.
    pub const fn tumbles(&self) -> bool {
        match self {
            Self::Tumble { .. } => true,
            Self::Calendar(calendar) => !calendar.cumulates && calendar.size == calendar.slide,
            _ => false,
        }
    }

    /// The end of the last window that holds `time`, or `time` itself if none does.
    pub fn last_end(&self, time: i64) -> i64 {
        self.windows_of(time)
            .last()
            .map_or(time, |window| window.end)
    }
}

impl fmt::Display for WindowSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tumble { size_nanos, .. } => write!(f, "tumble({})", Nanos(*size_nanos))?,
            Self::Hop {
                size_nanos,
                slide_nanos,
                ..
            } => {
                write!(
                    f,
                    "hop(slide {}, size {})",
                    Nanos(*slide_nanos),
                    Nanos(*size_nanos)
                )?;
            }
            Self::Cumulate {
                step_nanos,
                size_nanos,
                ..
            } => {
                let (step, size) = (Nanos(*step_nanos), Nanos(*size_nanos));
                write!(f, "cumulate(step {step}, size {size})")?;
            }
            Self::Calendar(calendar) => calendar.fmt(f)?,
            Self::Session { gap_nanos } => write!(f, "session(gap {})", Nanos(*gap_nanos))?,
        }
        match self.offset_nanos() {
            0 => Ok(()),
            offset => write!(f, " offset {}", Nanos(offset)),
        }
    }
}

/// A duration in nanoseconds, printed in the largest unit that divides it.
#[derive(Clone, Copy, Debug)]
pub struct Nanos(pub i64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str); 6] = [
            (86_400_000_000_000, "d"),
            (3_600_000_000_000, "h"),
            (60_000_000_000, "min"),
            (1_000_000_000, "s"),
            (1_000_000, "ms"),
            (1_000, "us"),
        ];
        for (nanos, unit) in UNITS {
            if self.0 != 0 && self.0 % nanos == 0 {
                return write!(f, "{}{unit}", self.0 / nanos);
            }
        }
        write!(f, "{}ns", self.0)
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests;
