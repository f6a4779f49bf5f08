//! What besides rows moves through a dataflow: promises about time, and the numbers of checkpoints.

use std::fmt;

use crate::time::EventTime;

/// A promise about one edge.
///
/// On an edge the times of `At` never decrease. Which rows below it count as late is the business
/// of the operator that would have needed them (`late_policy`); none vanishes uncounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watermark {
    /// No row sent after this is expected to have an event time below the given one.
    At(EventTime),
    /// Nothing is expected for now: leave this edge out of the minimum until its next row.
    Idle,
}

/// The number of a checkpoint: 1 for the first, then +1. 0 stands for "before the first".
///
/// Rows taken by steps after checkpoint *n*−1 and up to checkpoint *n* belong to epoch *n*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Before the first checkpoint.
    pub const ZERO: Self = Self(0);

    /// The epoch with the given number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The epoch after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number of a writer's life: each start of a process on a state takes the next one, which
/// fences all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// The generation with the given number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
