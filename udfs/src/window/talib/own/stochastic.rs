//! Where a value stands between the extremes of the last rows, and what is made of it.

use datafusion::common::{Result, internal_err};

use super::averages::{Smooth, twice};
use super::oscillators::Legs;
use super::windows::{Extreme, Mean, SIMPLE, WILDER};
use crate::window::step::{Step, Walk};

/// The extremes of the last rows.
#[derive(Debug)]
struct Range {
    high: Extreme,
    low: Extreme,
}

impl Range {
    fn new(length: usize) -> Self {
        Self {
            high: Extreme::high(length),
            low: Extreme::low(length),
        }
    }

    /// Takes a bar and returns highest and lowest, if there were enough.
    fn next(&mut self, high: f64, low: f64) -> Option<[f64; 2]> {
        let (high, low) = (self.high.next(high), self.low.next(low));
        Some([high?, low?])
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.high.walk(walk);
        self.low.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.high.heap_bytes() + self.low.heap_bytes()
    }
}

/// The place of `value` between two extremes in percent, `flat` where they are one.
fn place([highest, lowest]: [f64; 2], value: f64, flat: f64) -> f64 {
    let range = highest - lowest;
    match range.abs() <= 1e-14 * (highest.abs() + lowest.abs()) {
        true => flat,
        false => (value - lowest) / range * 100.0,
    }
}

fn bar(inputs: &[f64]) -> Result<[f64; 3]> {
    match inputs {
        &[high, low, close] => Ok([high, low, close]),
        _ => internal_err!("a place in a range needs high, low and close"),
    }
}

/// The place of the relative strength between its extremes, and an average of that.
#[derive(Debug)]
pub(super) struct StrengthPlace {
    strength: Legs,
    range: Range,
    average: Mean,
}

impl StrengthPlace {
    /// With these periods of strength, range and average and this kind of average; `None` if that
    /// has no small state.
    pub(super) fn begin(periods: [usize; 3], kind: f64) -> Option<Box<dyn Step>> {
        let [strength, range, average] = periods;
        Some(Box::new(Self {
            strength: Legs::new(strength),
            range: Range::new(range),
            average: Mean::of_kind(kind, average, SIMPLE)?,
        }))
    }
}

impl Step for StrengthPlace {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let Some(strength) = self.strength.strength(inputs[0]) else {
            return Ok(());
        };
        if let Some(extremes) = self.range.next(strength, strength) {
            let place = place(extremes, strength, 0.0);
            if let Some(average) = self.average.next(place) {
                outputs.copy_from_slice(&[place, average]);
            }
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.strength.walk(walk);
        self.range.walk(walk);
        self.average.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.range.heap_bytes() + self.average.heap_bytes()
    }
}

/// The place of the close, averaged once and twice, and how far the first leads the second.
#[derive(Debug)]
pub(super) struct Lead {
    range: Range,
    averages: [Mean; 2],
}

impl Lead {
    /// With this period of the range and periods and kinds of the averages; `None` if one of
    /// those has no small state.
    pub(super) fn begin(range: usize, averages: [(usize, f64); 2]) -> Option<Box<dyn Step>> {
        let [first, second] = averages.map(|(period, kind)| Mean::of_kind(kind, period, WILDER));
        Some(Box::new(Self {
            range: Range::new(range),
            averages: [first?, second?],
        }))
    }
}

impl Step for Lead {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let [high, low, close] = bar(inputs)?;
        let Some(extremes) = self.range.next(high, low) else {
            return Ok(());
        };
        let [first, second] = &mut self.averages;
        if let Some(k) = first.next(place(extremes, close, 0.0))
            && let Some(d) = second.next(k)
        {
            outputs.copy_from_slice(&[k, d, 3.0 * k - 2.0 * d]);
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.range.walk(walk);
        for average in &mut self.averages {
            average.walk(walk);
        }
    }

    fn heap_bytes(&self) -> usize {
        let averages = self.averages.iter().map(Mean::heap_bytes);
        self.range.heap_bytes() + averages.sum::<usize>()
    }
}

/// Blau's momentum: how far the close lies off the middle of the range, over half of the range,
/// both smoothed twice, and an average of that.
#[derive(Debug)]
pub(super) struct Momentum {
    range: Range,
    distances: [Smooth; 2],
    widths: [Smooth; 2],
    signal: Smooth,
}

impl Momentum {
    /// With these periods of range, second, first and signal average.
    pub(super) fn begin([range, fast, slow, signal]: [usize; 4]) -> Box<dyn Step> {
        let stages = || [Smooth::ema(slow), Smooth::ema(fast)];
        Box::new(Self {
            range: Range::new(range),
            distances: stages(),
            widths: stages(),
            signal: Smooth::ema(signal),
        })
    }
}

impl Step for Momentum {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let [high, low, close] = bar(inputs)?;
        let Some([highest, lowest]) = self.range.next(high, low) else {
            return Ok(());
        };
        let distance = twice(&mut self.distances, close - (highest + lowest) * 0.5);
        let width = twice(&mut self.widths, highest - lowest);
        if let (Some(distance), Some(width)) = (distance, width) {
            let half = 0.5 * width;
            let momentum = match half > 0.0 {
                true => 100.0 * distance / half,
                false => 0.0,
            };
            if let Some(signal) = self.signal.next(momentum) {
                outputs.copy_from_slice(&[momentum, signal]);
            }
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.range.walk(walk);
        for stage in self.distances.iter_mut().chain(&mut self.widths) {
            stage.walk(walk);
        }
        self.signal.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.range.heap_bytes()
    }
}

/// The place of the close, smoothed twice and brought between -1 and 1.
#[derive(Debug)]
pub(super) struct Squashed {
    range: Range,
    stages: [Smooth; 2],
}

impl Squashed {
    /// With these periods of range and averages.
    pub(super) fn begin(range: usize, average: usize) -> Box<dyn Step> {
        Box::new(Self {
            range: Range::new(range),
            stages: [Smooth::ema(average), Smooth::ema(average)],
        })
    }
}

impl Step for Squashed {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let [high, low, close] = bar(inputs)?;
        if let Some(extremes) = self.range.next(high, low) {
            let place = 0.1 * (place(extremes, close, 50.0) - 50.0);
            if let Some(smooth) = twice(&mut self.stages, place) {
                outputs[0] = (0.5 * smooth).tanh();
            }
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.range.walk(walk);
        for stage in &mut self.stages {
            stage.walk(walk);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.range.heap_bytes()
    }
}
