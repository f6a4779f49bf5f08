//! Oscillators of one series.

use datafusion::common::Result;

use super::averages::{Smooth, twice};
use crate::window::step::{Step, Walk};

/// What is shown of average gains and losses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// The share of the gains; 50 without either.
    Rsi,
    /// Their difference over their sum; 0 without either.
    Cmo,
}

/// Wilder's average in the order of operations that TA-Lib has for gains and losses.
#[derive(Clone, Debug)]
struct Leg {
    period: usize,
    /// Changes so far, at most `period`.
    count: usize,
    /// The sum of the first changes, then the average.
    value: f64,
}

impl Leg {
    fn next(&mut self, change: f64) -> Option<f64> {
        let is_full = self.count >= self.period;
        if is_full {
            self.value *= (self.period - 1) as f64;
        } else {
            self.count += 1;
        }
        self.value += change;
        if self.count < self.period {
            return None;
        }
        self.value *= 1.0 / self.period as f64;
        Some(self.value)
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.count(&mut self.count);
        walk.number(&mut self.value);
    }
}

/// Average gains and losses, and the index of their strength.
#[derive(Debug)]
pub(super) struct Legs {
    gains: Leg,
    losses: Leg,
    before: f64,
}

impl Legs {
    /// Over this many changes.
    pub(super) fn new(period: usize) -> Self {
        let leg = Leg {
            period: period.max(1),
            count: 0,
            value: 0.0,
        };
        Self {
            gains: leg.clone(),
            losses: leg,
            before: f64::NAN,
        }
    }

    /// Takes a value and returns average gain and loss, if there were enough changes.
    fn next(&mut self, value: f64) -> Option<[f64; 2]> {
        let change = value - std::mem::replace(&mut self.before, value);
        if change.is_nan() {
            return None;
        }
        let gain = self.gains.next(change.max(0.0));
        let loss = self.losses.next((-change).max(0.0));
        Some([gain?, loss?])
    }

    /// Takes a value and returns the share of the gains in percent; 50 without either.
    pub(super) fn strength(&mut self, value: f64) -> Option<f64> {
        let [gain, loss] = self.next(value)?;
        let both = gain + loss;
        Some(match both > 0.0 {
            true => 100.0 * (gain / both),
            false => 50.0,
        })
    }

    /// Walks over what is remembered.
    pub(super) fn walk(&mut self, walk: &mut Walk<'_>) {
        self.gains.walk(walk);
        self.losses.walk(walk);
        walk.number(&mut self.before);
    }
}

/// What is shown of average gains and losses.
#[derive(Debug)]
pub(super) struct Gains {
    change: Change,
    legs: Legs,
}

impl Gains {
    /// Over this many changes.
    pub(super) fn begin(period: usize, change: Change) -> Box<dyn Step> {
        let legs = Legs::new(period);
        Box::new(Self { change, legs })
    }
}

impl Step for Gains {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let shown = match self.change {
            Change::Rsi => self.legs.strength(inputs[0]),
            Change::Cmo => self.legs.next(inputs[0]).map(|[gain, loss]| {
                let both = gain + loss;
                match both > 0.0 {
                    true => 100.0 * ((gain - loss) / both),
                    false => 0.0,
                }
            }),
        };
        outputs[0] = shown.unwrap_or(f64::NAN);
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.legs.walk(walk);
    }
}

/// The difference of two exponential averages, as it is or in percent of the slow one.
#[derive(Debug)]
pub(super) struct PairOf {
    fast: Smooth,
    slow: Smooth,
    in_percent: bool,
}

impl PairOf {
    /// With these periods; the shorter one is the fast one.
    pub(super) fn begin(fast: usize, slow: usize, in_percent: bool) -> Box<dyn Step> {
        Box::new(Self {
            fast: Smooth::ema(fast.min(slow)),
            slow: Smooth::ema(fast.max(slow)),
            in_percent,
        })
    }
}

/// Below it TA-Lib takes a divisor for zero.
pub(super) const ZERO: f64 = 1e-14;

impl Step for PairOf {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let (fast, slow) = (self.fast.next(inputs[0]), self.slow.next(inputs[0]));
        if let (Some(fast), Some(slow)) = (fast, slow) {
            outputs[0] = match self.in_percent {
                false => fast - slow,
                true if slow.abs() < ZERO => 0.0,
                true => (fast - slow) / slow * 100.0,
            };
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.fast.walk(walk);
        self.slow.walk(walk);
    }
}

/// The change of an average of an average of an average, in percent.
#[derive(Debug)]
pub(super) struct Triple {
    stages: [Smooth; 3],
    before: f64,
}

impl Triple {
    /// With this period.
    pub(super) fn begin(period: usize) -> Box<dyn Step> {
        let stages = [(); 3].map(|()| Smooth::ema(period));
        let before = f64::NAN;
        Box::new(Self { stages, before })
    }
}

impl Step for Triple {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let mut value = inputs[0];
        for stage in &mut self.stages {
            match stage.next(value) {
                Some(next) => value = next,
                None => return Ok(()),
            }
        }
        let before = std::mem::replace(&mut self.before, value);
        if !before.is_nan() {
            outputs[0] = match before == 0.0 {
                true => 0.0,
                false => (value / before - 1.0) * 100.0,
            };
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        for stage in &mut self.stages {
            stage.walk(walk);
        }
        walk.number(&mut self.before);
    }
}

/// Changes over their sizes, both smoothed twice.
#[derive(Debug)]
pub(super) struct Strength {
    changes: [Smooth; 2],
    sizes: [Smooth; 2],
    before: f64,
}

impl Strength {
    /// With these periods.
    pub(super) fn begin(first: usize, second: usize) -> Box<dyn Step> {
        let stages = || [Smooth::ema(first), Smooth::ema(second)];
        Box::new(Self {
            changes: stages(),
            sizes: stages(),
            before: f64::NAN,
        })
    }
}

impl Step for Strength {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let change = inputs[0] - self.before;
        self.before = inputs[0];
        if change.is_nan() {
            return Ok(());
        }
        let changes = twice(&mut self.changes, change);
        let sizes = twice(&mut self.sizes, change.abs());
        if let (Some(changes), Some(sizes)) = (changes, sizes) {
            outputs[0] = match sizes > 0.0 {
                true => 100.0 * changes / sizes,
                false => 0.0,
            };
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        for stage in self.changes.iter_mut().chain(&mut self.sizes) {
            stage.walk(walk);
        }
        walk.number(&mut self.before);
    }
}
