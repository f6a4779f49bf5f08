//! Differences of averages of what is itself an oscillator.

use datafusion::common::{Result, internal_err};

use super::averages::{Smooth, twice};
use super::oscillators::Legs;
use super::windows::Mean;
use crate::window::step::{Step, Walk};

/// Relative strength smoothed twice, less the mean of that.
#[derive(Debug)]
pub(super) struct Derivative {
    strength: Legs,
    stages: [Smooth; 2],
    mean: Mean,
}

impl Derivative {
    /// With these periods of strength, averages and mean.
    pub(super) fn begin([strength, first, second, mean]: [usize; 4]) -> Box<dyn Step> {
        Box::new(Self {
            strength: Legs::new(strength),
            stages: [Smooth::ema(first), Smooth::ema(second)],
            mean: Mean::simple(mean),
        })
    }
}

impl Step for Derivative {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let strength = self.strength.strength(inputs[0]);
        let smooth = strength.and_then(|strength| twice(&mut self.stages, strength));
        if let Some(smooth) = smooth
            && let Some(mean) = self.mean.next(smooth)
        {
            outputs[0] = smooth - mean;
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.strength.walk(walk);
        for stage in &mut self.stages {
            stage.walk(walk);
        }
        self.mean.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.mean.heap_bytes()
    }
}

/// How far the typical price lies off its average, over the average of that distance, smoothed,
/// and a mean of that.
#[derive(Debug)]
pub(super) struct Waves {
    average: Smooth,
    distance: Smooth,
    smooth: Smooth,
    mean: Mean,
    /// The price before and its average, which is NaN before the first.
    before: [f64; 2],
}

impl Waves {
    /// With these periods of channel, average and mean.
    pub(super) fn begin([channel, average, mean]: [usize; 3]) -> Box<dyn Step> {
        Box::new(Self {
            average: Smooth::ema(channel),
            distance: Smooth::ema(channel),
            smooth: Smooth::ema(average),
            mean: Mean::simple(mean),
            before: [f64::NAN; 2],
        })
    }
}

impl Step for Waves {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let &[high, low, close] = inputs else {
            return internal_err!("waves need high, low and close");
        };
        let price = (high + low + close) / 3.0;
        let Some(average) = self.average.next(price) else {
            return Ok(());
        };
        // An average that no longer moves stands off the price by rounding only.
        let before = std::mem::replace(&mut self.before, [price, average]);
        let off = match before == [price, average] {
            true => 0.0,
            false => price - average,
        };
        let Some(distance) = self.distance.next(off.abs()) else {
            return Ok(());
        };
        let unit = 0.015 * distance;
        let index = if unit > 0.0 { off / unit } else { 0.0 };
        if let Some(wave) = self.smooth.next(index)
            && let Some(mean) = self.mean.next(wave)
        {
            outputs.copy_from_slice(&[wave, mean]);
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.average.walk(walk);
        self.distance.walk(walk);
        self.smooth.walk(walk);
        self.mean.walk(walk);
        walk.numbers(&mut self.before);
    }

    fn heap_bytes(&self) -> usize {
        self.mean.heap_bytes()
    }
}
