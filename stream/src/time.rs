//! Two clocks that must never be compared: when something happened, and when we saw it.

use std::fmt;

use arrow_schema::TimeUnit;

/// A point in event time: nanoseconds since 1970-01-01T00:00:00Z, negative before it.
///
/// Nanoseconds because exchanges stamp in them and `TIMESTAMP(9)` must stay exact; the range ends
/// in 2262.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventTime(i64);

impl EventTime {
    /// Before every row.
    pub const MIN: Self = Self(i64::MIN);
    /// After every row: a bounded source that has ended promises this.
    pub const MAX: Self = Self(i64::MAX);

    /// The given nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Converts a timestamp in `unit`; saturates at the ends of the range.
    pub fn from_unit(value: i64, unit: TimeUnit) -> Self {
        Self(value.saturating_mul(nanos_per(unit)))
    }

    /// The same point in `unit`, rounded down.
    pub fn to_unit(self, unit: TimeUnit) -> i64 {
        self.0.div_euclid(nanos_per(unit))
    }

    /// This point moved earlier by `nanos`; saturates.
    pub const fn minus_nanos(self, nanos: i64) -> Self {
        Self(self.0.saturating_sub(nanos))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}ns", self.0)
    }
}

/// Nanoseconds in one `unit`.
pub const fn nanos_per(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// A point on this machine's wall clock, in microseconds since the Unix epoch. Read through a clock
/// only.
///
/// No conversion to [`EventTime`] exists; [`WallTime::as_event_time`] names the mixing where it is
/// meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(i64);

impl WallTime {
    /// The given microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This wall time read as an event time, for the future-skew guard and for lag figures.
    pub const fn as_event_time(self) -> EventTime {
        EventTime(self.0.saturating_mul(1_000))
    }
}
