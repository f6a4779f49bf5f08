//! Extremes and means of the last rows, from row to row.

use super::averages::Smooth;
use crate::window::step::{Ring, Walk};

/// The highest or the lowest of the last values.
#[derive(Clone, Debug)]
pub(super) struct Extreme {
    rows: Ring,
    length: usize,
    is_high: bool,
    extreme: f64,
    /// How many rows ago it came.
    age: usize,
}

impl Extreme {
    /// The highest of so many values.
    pub(super) fn high(length: usize) -> Self {
        Self::of(length, true)
    }

    /// The lowest of so many values.
    pub(super) fn low(length: usize) -> Self {
        Self::of(length, false)
    }

    fn of(length: usize, is_high: bool) -> Self {
        let length = length.max(1);
        Self {
            rows: Ring::new(length),
            length,
            is_high,
            extreme: f64::NAN,
            age: 0,
        }
    }

    /// Takes a value and returns the extreme, if there were enough.
    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        let is_first = self.rows.values().is_empty();
        self.rows.push(value);
        self.age += 1;
        if is_first || self.reaches(value, self.extreme) {
            (self.extreme, self.age) = (value, 0);
        } else if self.age >= self.length {
            self.search();
        }
        self.rows.is_full().then_some(self.extreme)
    }

    /// Finds the extreme among the rows after it has left them.
    fn search(&mut self) {
        let rows = self.rows.values();
        let mut found = (f64::NAN, 0);
        for (place, value) in rows.iter().enumerate() {
            if place == 0 || self.reaches(*value, found.0) {
                found = (*value, place);
            }
        }
        (self.extreme, self.age) = (found.0, rows.len().saturating_sub(found.1 + 1));
    }

    fn reaches(&self, value: f64, extreme: f64) -> bool {
        match self.is_high {
            true => value >= extreme,
            false => value <= extreme,
        }
    }

    /// Walks over what is remembered.
    pub(super) fn walk(&mut self, walk: &mut Walk<'_>) {
        self.rows.walk(walk);
        walk.number(&mut self.extreme);
        walk.count(&mut self.age);
    }

    /// Returns the bytes that it owns.
    pub(super) fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes()
    }
}

/// The sum of the last values, added up in TA-Lib's order.
#[derive(Clone, Debug)]
pub(super) struct Sum {
    rows: Ring,
    /// The sum without the value that leaves next.
    rest: f64,
}

impl Sum {
    /// Of so many values.
    pub(super) fn new(length: usize) -> Self {
        Self {
            rows: Ring::new(length.max(1)),
            rest: 0.0,
        }
    }

    /// Takes a value and returns the sum, if there were enough.
    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        self.rows.push(value);
        let sum = self.rest + value;
        self.rest = sum;
        if !self.rows.is_full() {
            return None;
        }
        self.rest -= self.rows.values().first().copied().unwrap_or(0.0);
        Some(sum)
    }

    /// Walks over what is remembered.
    pub(super) fn walk(&mut self, walk: &mut Walk<'_>) {
        self.rows.walk(walk);
        walk.number(&mut self.rest);
    }

    /// Returns the bytes that it owns.
    pub(super) fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes()
    }
}

/// An average of a kind that TA-Lib numbers, as far as it has a small state.
#[derive(Clone, Debug)]
pub(super) enum Mean {
    /// The value itself.
    None,
    /// Of the last rows, with their number.
    Simple(Sum, f64),
    /// Exponential, also Wilder's.
    Smooth(Smooth),
}

impl Mean {
    /// Of the last values.
    pub(super) fn simple(period: usize) -> Self {
        let period = period.max(1);
        Self::Simple(Sum::new(period), period as f64)
    }

    /// Of TA-Lib's kind with this number; `usual` is what its default stands for.
    pub(super) fn of_kind(kind: f64, period: usize, usual: f64) -> Option<Self> {
        let kind = if kind == DEFAULT { usual } else { kind };
        Some(match kind {
            _ if period <= 1 => Self::None,
            DISABLED => Self::None,
            SIMPLE => Self::simple(period),
            super::EMA => Self::Smooth(Smooth::ema(period)),
            WILDER => Self::Smooth(Smooth::wilder(period)),
            _ => return None,
        })
    }

    /// Takes a value and returns the average, if there were enough.
    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        match self {
            Self::None => Some(value),
            Self::Simple(sum, count) => sum.next(value).map(|sum| sum / *count),
            Self::Smooth(smooth) => smooth.next(value),
        }
    }

    /// Walks over what is remembered.
    pub(super) fn walk(&mut self, walk: &mut Walk<'_>) {
        match self {
            Self::None => {}
            Self::Simple(sum, _) => sum.walk(walk),
            Self::Smooth(smooth) => smooth.walk(walk),
        }
    }

    /// Returns the bytes that it owns.
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Simple(sum, _) => sum.heap_bytes(),
            Self::None | Self::Smooth(_) => 0,
        }
    }
}

/// TA-Lib's number for the mean of the last rows among its kinds of averages.
pub(super) const SIMPLE: f64 = 0.0;
/// That for no average.
const DISABLED: f64 = 10.0;
/// That for the usual one.
const DEFAULT: f64 = 11.0;
/// That for Wilder's.
pub(super) const WILDER: f64 = 13.0;

#[cfg(test)]
mod tests {
    use super::{Extreme, Sum};

    #[test]
    fn an_extreme_is_that_of_the_last_values() {
        let values: Vec<f64> = (0..500).map(|at| f64::from(at * at % 37)).collect();
        for length in [1, 2, 7, 40] {
            let (mut high, mut low) = (Extreme::high(length), Extreme::low(length));
            let mut sum = Sum::new(length);
            for (at, value) in values.iter().enumerate() {
                let found = (high.next(*value), low.next(*value), sum.next(*value));
                let Some(first) = (at + 1).checked_sub(length) else {
                    assert_eq!(found, (None, None, None));
                    continue;
                };
                let window = &values[first..=at];
                let most = window.iter().fold(f64::MIN, |a, b| a.max(*b));
                let least = window.iter().fold(f64::MAX, |a, b| a.min(*b));
                let total: f64 = window.iter().sum();
                assert_eq!(
                    found,
                    (Some(most), Some(least), Some(total)),
                    "{at} {length}"
                );
            }
        }
    }
}
