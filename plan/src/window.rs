//! Windows: how a point in event time maps to half-open ranges of event time.

use std::fmt;

/// A family of windows over event time. All lengths in nanoseconds, all positive.
///
/// Windows are aligned so that one of them starts at `offset_nanos` since the Unix epoch.
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
}

/// One window: `[start, end)` in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// First point inside.
    pub start: i64,
    /// First point after.
    pub end: i64,
}

impl WindowSpec {
    /// Length of every window.
    pub const fn size_nanos(&self) -> i64 {
        match self {
            Self::Tumble { size_nanos, .. } | Self::Hop { size_nanos, .. } => *size_nanos,
        }
    }

    /// Distance between two starts.
    pub const fn slide_nanos(&self) -> i64 {
        match self {
            Self::Tumble { size_nanos, .. } => *size_nanos,
            Self::Hop { slide_nanos, .. } => *slide_nanos,
        }
    }

    /// Where one window starts.
    pub const fn offset_nanos(&self) -> i64 {
        match self {
            Self::Tumble { offset_nanos, .. } | Self::Hop { offset_nanos, .. } => *offset_nanos,
        }
    }

    /// Length of a slice: the longest range that every window consists of whole multiples of.
    pub fn slice_nanos(&self) -> i64 {
        gcd(self.size_nanos(), self.slide_nanos())
    }

    /// The start of the slice that holds `time`.
    pub fn slice_start(&self, time: i64) -> i64 {
        let slice = self.slice_nanos();
        time.saturating_sub((time - self.offset_nanos()).rem_euclid(slice))
    }

    /// The windows that hold `time`, earliest first.
    pub fn windows_of(&self, time: i64) -> impl Iterator<Item = Window> + use<> {
        let (size, slide) = (self.size_nanos(), self.slide_nanos());
        let last = time - (time - self.offset_nanos()).rem_euclid(slide);
        // Starts in (time − size, time], i.e. from the first aligned start above time − size.
        let count = if time - last >= size {
            0
        } else {
            (size - (time - last) + slide - 1) / slide
        };
        (0..count).rev().map(move |back| {
            let start = last - back * slide;
            Window {
                start,
                end: start + size,
            }
        })
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
