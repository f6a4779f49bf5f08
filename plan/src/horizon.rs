//! Rows at several distances from their times.

use std::fmt;

use crate::window::Nanos;

/// Each row once for each distance: the input's columns, then the distance in microseconds and the
/// row's time moved by it, which is the result's event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HorizonSpec {
    /// Index of the event-time column in the input.
    pub time: usize,
    /// The distances, at least one.
    pub offsets_nanos: Vec<i64>,
}

impl fmt::Display for HorizonSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offsets = self.offsets_nanos.iter();
        let offsets: Vec<String> = offsets.map(|offset| Nanos(*offset).to_string()).collect();
        write!(f, "@{} by [{}]", self.time, offsets.join(", "))
    }
}
