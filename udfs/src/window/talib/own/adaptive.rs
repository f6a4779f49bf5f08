//! Averages that adapt or run ahead, and what is measured against an exponential average.

use datafusion::common::{Result, internal_err};

use super::averages::Smooth;
use crate::window::step::{Ring, Step, Walk};

/// Kaufman's average: the straighter the way of the price, the faster it follows.
#[derive(Debug)]
pub(super) struct Adaptive {
    rows: Ring,
    average: f64,
}

impl Adaptive {
    /// Over this many changes.
    pub(super) fn begin(period: usize) -> Box<dyn Step> {
        Box::new(Self {
            rows: Ring::new(period + 1),
            average: f64::NAN,
        })
    }
}

impl Step for Adaptive {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let value = inputs[0];
        if !self.rows.is_full() {
            // It begins at the value before the first result.
            self.average = self.rows.back(0).unwrap_or(value);
        }
        self.rows.push(value);
        if !self.rows.is_full() {
            return Ok(());
        }
        let rows = self.rows.values();
        let way: f64 = rows.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
        let distance = value - rows[0];
        let efficiency = match way <= 0.0 || way <= distance {
            true => 1.0,
            false => (distance / way).abs().min(1.0),
        };
        let (slow, fast) = (2.0 / 31.0, 2.0 / 3.0);
        let weight = (efficiency * (fast - slow) + slow).powi(2);
        self.average += (value - self.average) * weight;
        outputs[0] = self.average;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.rows.walk(walk);
        walk.number(&mut self.average);
    }

    fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes()
    }
}

/// An exponential average of values moved by what they changed over half of the period.
#[derive(Debug)]
pub(super) struct ZeroLag {
    rows: Ring,
    lag: usize,
    average: Smooth,
}

impl ZeroLag {
    /// With this period.
    pub(super) fn begin(period: usize) -> Box<dyn Step> {
        let lag = period.saturating_sub(1) / 2;
        Box::new(Self {
            rows: Ring::new(lag + 1),
            lag,
            average: Smooth::ema(period),
        })
    }
}

impl Step for ZeroLag {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        self.rows.push(inputs[0]);
        let before = self.rows.back(self.lag);
        let moved = before.map(|before| 2.0 * inputs[0] - before);
        if let Some(average) = moved.and_then(|moved| self.average.next(moved)) {
            outputs[0] = average;
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.rows.walk(walk);
        self.average.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.rows.heap_bytes()
    }
}

/// Elder's force: changes times volume, smoothed.
#[derive(Debug)]
pub(super) struct Force {
    before: f64,
    average: Smooth,
}

impl Force {
    /// With this period.
    pub(super) fn begin(period: usize) -> Box<dyn Step> {
        Box::new(Self {
            before: f64::NAN,
            average: Smooth::ema(period),
        })
    }
}

impl Step for Force {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let &[close, volume] = inputs else {
            return internal_err!("force needs close and volume");
        };
        let change = close - std::mem::replace(&mut self.before, close);
        if !change.is_nan()
            && let Some(average) = self.average.next(change * volume)
        {
            outputs[0] = average;
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.before);
        self.average.walk(walk);
    }
}

/// Elder's rays: how far high and low reach beyond an average of the close.
#[derive(Debug)]
pub(super) struct Rays {
    average: Smooth,
}

impl Rays {
    /// With this period.
    pub(super) fn begin(period: usize) -> Box<dyn Step> {
        let average = Smooth::ema(period);
        Box::new(Self { average })
    }
}

impl Step for Rays {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let &[high, low, close] = inputs else {
            return internal_err!("rays need high, low and close");
        };
        if let Some(average) = self.average.next(close) {
            outputs.copy_from_slice(&[high - average, low - average]);
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.average.walk(walk);
    }
}
