//! Exponential averages, and what is made of several of them.

use datafusion::common::{Result, internal_err};

use super::wilder::TrueRange;
use crate::window::step::{Step, Walk};

/// An exponential average that begins with the mean of its first rows.
#[derive(Clone, Debug)]
pub(super) struct Smooth {
    period: usize,
    /// How much of the average stays.
    keep: f64,
    /// How much of the new value comes.
    take: f64,
    /// Rows so far, at most `period`.
    count: usize,
    /// The sum of the first rows, then the average.
    value: f64,
}

impl Smooth {
    /// With the weight 2 / (period + 1) of the new value.
    pub(super) fn ema(period: usize) -> Self {
        let period = period.max(1);
        Self::kept(period, (period - 1) as f64 / (period + 1) as f64)
    }

    /// With Wilder's weight 1 / period of the new value.
    pub(super) fn wilder(period: usize) -> Self {
        let period = period.max(1);
        Self::kept(period, (period - 1) as f64 / period as f64)
    }

    /// With this weight of the old value.
    pub(super) fn kept(period: usize, keep: f64) -> Self {
        let take = 1.0 - keep;
        Self {
            period,
            // Together they are one to the last bit, or what does not move would drift.
            keep: if keep < 0.5 { 1.0 - take } else { keep },
            take,
            count: 0,
            value: 0.0,
        }
    }

    /// Takes a value and returns the average, if there were enough.
    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        if self.count >= self.period {
            self.value = self.keep.mul_add(self.value, self.take * value);
            return Some(self.value);
        }
        self.count += 1;
        self.value += value;
        if self.count < self.period {
            return None;
        }
        self.value /= self.period as f64;
        Some(self.value)
    }

    /// Walks over what is remembered.
    pub(super) fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.count(&mut self.count);
        walk.number(&mut self.value);
    }
}

/// Takes a value through two averages.
pub(super) fn twice([first, second]: &mut [Smooth; 2], value: f64) -> Option<f64> {
    first.next(value).and_then(|once| second.next(once))
}

/// What is shown of averages of averages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blend {
    /// The last.
    Last,
    /// 2 a - aa.
    Double,
    /// 3 a - 3 aa + aaa.
    Triple,
    /// Tillson's six, with this factor.
    Tillson(f64),
}

/// Averages of averages.
#[derive(Debug)]
pub(super) struct Averages {
    stages: Vec<Smooth>,
    blend: Blend,
}

impl Averages {
    /// `count` exponential averages, each of the one before.
    pub(super) fn ema(count: usize, period: usize, blend: Blend) -> Box<dyn Step> {
        let stages = vec![Smooth::ema(period); count];
        Box::new(Self { stages, blend })
    }

    /// Wilder's average.
    pub(super) fn wilder(period: usize) -> Box<dyn Step> {
        let stages = vec![Smooth::wilder(period)];
        let blend = Blend::Last;
        Box::new(Self { stages, blend })
    }
}

impl Step for Averages {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let mut values = [0.0; 6];
        let mut value = inputs[0];
        for (stage, kept) in self.stages.iter_mut().zip(&mut values) {
            match stage.next(value) {
                Some(next) => (value, *kept) = (next, next),
                None => return Ok(()),
            }
        }
        let [a, aa, aaa, a4, a5, a6] = values;
        outputs[0] = match self.blend {
            Blend::Last => a,
            Blend::Double => 2.0 * a - aa,
            Blend::Triple => aaa + (3.0 * a - 3.0 * aa),
            Blend::Tillson(v) => {
                let (squared, cubed) = (v * v, v * v * v);
                let c2 = 3.0 * (squared + cubed);
                let c3 = -6.0 * squared - 3.0 * (v + cubed);
                let c4 = 1.0 + 3.0 * v + cubed + 3.0 * squared;
                -cubed * a6 + c2 * a5 + c3 * a4 + c4 * aaa
            }
        };
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        for stage in &mut self.stages {
            stage.walk(walk);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.stages.capacity() * size_of::<Smooth>()
    }
}

/// The difference of two exponential averages and the average of that. The fast one begins as
/// late as the slow one.
#[derive(Debug)]
pub(super) struct Macd {
    /// How many rows the fast average leaves out at first.
    late: usize,
    seen: usize,
    fast: Smooth,
    slow: Smooth,
    signal: Smooth,
}

impl Macd {
    /// With these periods; the shorter one is the fast one.
    pub(super) fn begin(fast: usize, slow: usize, signal: usize) -> Box<dyn Step> {
        let (fast, slow) = (fast.min(slow), fast.max(slow));
        Box::new(Self {
            late: slow - fast,
            seen: 0,
            fast: Smooth::ema(fast),
            slow: Smooth::ema(slow),
            signal: Smooth::ema(signal),
        })
    }

    /// With 12 and 26 rows and their weights as rounded in the original.
    pub(super) fn fixed(signal: usize) -> Box<dyn Step> {
        Box::new(Self {
            late: 14,
            seen: 0,
            fast: Smooth::kept(12, 1.0 - 0.15),
            slow: Smooth::kept(26, 1.0 - 0.075),
            signal: Smooth::ema(signal),
        })
    }
}

impl Step for Macd {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let slow = self.slow.next(inputs[0]);
        let fast = match self.seen < self.late {
            true => None,
            false => self.fast.next(inputs[0]),
        };
        self.seen = (self.seen + 1).min(self.late);
        let (Some(fast), Some(slow)) = (fast, slow) else {
            return Ok(());
        };
        let line = fast - slow;
        if let Some(signal) = self.signal.next(line) {
            outputs.copy_from_slice(&[line, signal, line - signal]);
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.count(&mut self.seen);
        self.fast.walk(walk);
        self.slow.walk(walk);
        self.signal.walk(walk);
    }
}

/// Bands around the average of the typical price, as far away as the average true range. Each
/// part begins so late that both are there at the same row.
#[derive(Debug)]
pub(super) struct Keltner {
    late: (usize, usize),
    seen: usize,
    middle: Smooth,
    range: TrueRange,
    average: Smooth,
    factor: f64,
}

impl Keltner {
    /// With these periods of the average and of the range.
    pub(super) fn begin(average: usize, range: usize, factor: f64) -> Box<dyn Step> {
        let (middle_begins, range_begins) = (average.max(1) - 1, range.max(1));
        let both = middle_begins.max(range_begins);
        Box::new(Self {
            late: (both - middle_begins, both - range_begins),
            seen: 0,
            middle: Smooth::ema(average),
            range: TrueRange::default(),
            average: Smooth::wilder(range),
            factor,
        })
    }
}

impl Step for Keltner {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let &[high, low, close] = inputs else {
            return internal_err!("bands need high, low and close");
        };
        let (middle_late, range_late) = self.late;
        let mut middle = None;
        if self.seen >= middle_late {
            middle = self.middle.next((high + low + close) / 3.0);
        }
        let mut range = None;
        if self.seen >= range_late {
            let now = self.range.next(high, low, close);
            range = now.and_then(|now| self.average.next(now));
        }
        self.seen = (self.seen + 1).min(middle_late.max(range_late));
        if let (Some(middle), Some(range)) = (middle, range) {
            let width = range * self.factor;
            outputs.copy_from_slice(&[middle + width, middle, middle - width]);
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.count(&mut self.seen);
        self.middle.walk(walk);
        self.range.walk(walk);
        self.average.walk(walk);
    }
}
