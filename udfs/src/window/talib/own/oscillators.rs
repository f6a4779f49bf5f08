//! Oscillators of one series.

use datafusion::common::Result;

use super::averages::Smooth;
use crate::window::step::{Step, Walk};

/// What is shown of average gains and losses.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// The share of the gains; 50 without either.
    Rsi,
    /// Their difference over their sum; 0 without either.
    Cmo,
}

/// Wilder's averages of gains and of losses.
#[derive(Debug)]
pub(super) struct Gains {
    change: Change,
    gains: Smooth,
    losses: Smooth,
    before: f64,
}

impl Gains {
    /// Over this many changes.
    pub(super) fn begin(period: usize, change: Change) -> Box<dyn Step> {
        Box::new(Self {
            change,
            gains: Smooth::wilder(period),
            losses: Smooth::wilder(period),
            before: f64::NAN,
        })
    }
}

impl Step for Gains {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let change = inputs[0] - self.before;
        self.before = inputs[0];
        if change.is_nan() {
            return Ok(());
        }
        let gains = self.gains.next(change.max(0.0));
        let losses = self.losses.next((-change).max(0.0));
        if let (Some(gains), Some(losses)) = (gains, losses) {
            let both = gains + losses;
            outputs[0] = match self.change {
                Change::Rsi if both > 0.0 => 100.0 * (gains / both),
                Change::Rsi => 50.0,
                Change::Cmo if both > 0.0 => 100.0 * ((gains - losses) / both),
                Change::Cmo => 0.0,
            };
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.gains.walk(walk);
        self.losses.walk(walk);
        walk.number(&mut self.before);
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
        let twice = |stages: &mut [Smooth; 2], value| {
            let [first, second] = stages;
            first.next(value).and_then(|once| second.next(once))
        };
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
