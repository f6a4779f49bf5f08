//! Wilder's ranges and directional movement.

use datafusion::common::{Result, internal_err};

use super::averages::Smooth;
use super::oscillators::ZERO;
use crate::window::step::{Ring, Step, Walk};

/// How far a bar reaches, the close before it included.
#[derive(Debug)]
pub(super) struct TrueRange {
    close: f64,
}

impl Default for TrueRange {
    fn default() -> Self {
        Self { close: f64::NAN }
    }
}

impl TrueRange {
    /// Takes a bar and returns its range; `None` for the first.
    pub(super) fn next(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        let before = std::mem::replace(&mut self.close, close);
        let range = (high - low)
            .max((before - high).abs())
            .max((before - low).abs());
        (!before.is_nan()).then_some(range)
    }

    /// Walks over what is remembered.
    pub(super) fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.close);
    }
}

fn bar(inputs: &[f64]) -> Result<[f64; 3]> {
    match inputs {
        &[high, low, close] => Ok([high, low, close]),
        _ => internal_err!("ranges need high, low and close"),
    }
}

/// What is shown of the average true range.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ranges {
    /// It itself.
    True,
    /// In percent of the close; 0 for a close of zero.
    Normalized,
}

/// The average true range.
#[derive(Debug)]
pub(super) struct Range {
    range: TrueRange,
    average: Smooth,
    shown: Ranges,
    period: usize,
}

impl Range {
    /// Over this many bars.
    pub(super) fn begin(period: usize, shown: Ranges) -> Box<dyn Step> {
        Box::new(Self {
            range: TrueRange::default(),
            average: Smooth::wilder(period),
            shown,
            period,
        })
    }
}

impl Step for Range {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let [high, low, close] = bar(inputs)?;
        let range = self.range.next(high, low, close);
        if let Some(average) = range.and_then(|range| self.average.next(range)) {
            outputs[0] = match self.shown {
                // TA-Lib gives the range itself for a period of one.
                Ranges::Normalized if self.period > 1 && close != 0.0 => average / close * 100.0,
                Ranges::Normalized if self.period > 1 => 0.0,
                _ => average,
            };
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.range.walk(walk);
        self.average.walk(walk);
    }
}

/// Bands that only close in on the price until it breaks through.
#[derive(Debug)]
pub(super) struct SuperTrend {
    range: TrueRange,
    average: Smooth,
    factor: f64,
    upper: f64,
    lower: f64,
    close: f64,
    is_up: bool,
}

impl SuperTrend {
    /// With this period of the range and this many ranges to a band.
    pub(super) fn begin(period: usize, factor: f64) -> Box<dyn Step> {
        Box::new(Self {
            range: TrueRange::default(),
            average: Smooth::wilder(period),
            factor,
            upper: f64::NAN,
            lower: f64::NAN,
            close: f64::NAN,
            is_up: true,
        })
    }
}

impl Step for SuperTrend {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let [high, low, close] = bar(inputs)?;
        let range = self.range.next(high, low, close);
        let Some(average) = range.and_then(|range| self.average.next(range)) else {
            return Ok(());
        };
        let (middle, width) = ((high + low) / 2.0, self.factor * average);
        let (upper, lower) = (middle + width, middle - width);
        if self.close.is_nan() {
            (self.upper, self.lower) = (upper, lower);
        } else {
            if upper < self.upper || self.close > self.upper {
                self.upper = upper;
            }
            if lower > self.lower || self.close < self.lower {
                self.lower = lower;
            }
            self.is_up = match self.is_up {
                true => close >= self.lower,
                false => close > self.upper,
            };
        }
        self.close = close;
        let shown = if self.is_up {
            [self.lower, 1.0]
        } else {
            [self.upper, -1.0]
        };
        outputs.copy_from_slice(&shown);
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.range.walk(walk);
        self.average.walk(walk);
        walk.number(&mut self.upper);
        walk.number(&mut self.lower);
        walk.number(&mut self.close);
        walk.flag(&mut self.is_up);
    }
}

/// What is shown of the directional movement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Shown {
    PlusMovement,
    MinusMovement,
    PlusIndicator,
    MinusIndicator,
    Index,
    Average,
    Rating,
}

/// Wilder's sums of the movements up and down and of the true range.
#[derive(Debug)]
pub(super) struct Directional {
    period: usize,
    shown: Shown,
    before: [f64; 3],
    /// How many results are left out at first: TA-Lib's warm-up of a period of one is longer than
    /// it has to be.
    quiet: usize,
    /// Bars with a bar before them, counted up to the warm-up's end.
    count: usize,
    plus: f64,
    minus: f64,
    range: f64,
    /// The last index that could be computed.
    index: f64,
    /// How many indices the average has, and their sum or the average.
    indices: usize,
    average: f64,
    ratings: Ring,
}

impl Directional {
    /// Over this many bars.
    pub(super) fn begin(period: usize, shown: Shown) -> Box<dyn Step> {
        let quiet = match (period, shown) {
            (1, Shown::Index) => 1,
            (1, Shown::Rating) => 2,
            _ => 0,
        };
        Box::new(Self {
            period,
            shown,
            before: [f64::NAN; 3],
            quiet,
            count: 0,
            plus: 0.0,
            minus: 0.0,
            range: 0.0,
            index: 0.0,
            indices: 0,
            average: 0.0,
            ratings: Ring::new(period),
        })
    }

    /// Movements up and down and the true range of a bar; `None` for the first.
    fn movement(&mut self, [high, low, close]: [f64; 3]) -> Option<[f64; 3]> {
        let [high_before, low_before, close_before] =
            std::mem::replace(&mut self.before, [high, low, close]);
        if high_before.is_nan() {
            return None;
        }
        let (up, down) = (high - high_before, low_before - low);
        let plus = if up > down && up > 0.0 { up } else { 0.0 };
        let minus = if down > up && down > 0.0 { down } else { 0.0 };
        let range = (high - low)
            .max((high - close_before).abs())
            .max((low - close_before).abs());
        Some([plus, minus, range])
    }

    /// What a period of one shows: nothing is smoothed.
    fn unsmoothed(&self, [plus, minus, range]: [f64; 3]) -> f64 {
        let share = |movement: f64| if range > 0.0 { movement / range } else { 0.0 };
        match self.shown {
            Shown::PlusMovement => plus,
            Shown::MinusMovement => minus,
            Shown::PlusIndicator => share(plus),
            Shown::MinusIndicator => share(minus),
            _ => f64::NAN,
        }
    }

    /// The index of a bar whose sums are there; `None` where it would divide by zero.
    fn index(&self) -> Option<f64> {
        let plus = 100.0 * (self.plus / self.range);
        let minus = 100.0 * (self.minus / self.range);
        let both = plus + minus;
        let known = self.range > 0.0 && both.abs() >= ZERO;
        known.then(|| 100.0 * ((minus - plus).abs() / both))
    }

    /// The average of the indices, once there are enough.
    fn averaged(&mut self, index: Option<f64>) -> Option<f64> {
        let period = self.period as f64;
        if self.indices >= self.period {
            if let Some(index) = index {
                self.average -= (self.average - index) / period;
            }
            return Some(self.average);
        }
        // A bar without an index counts as one of zero.
        self.indices += 1;
        self.average += index.unwrap_or(0.0);
        if self.indices < self.period {
            return None;
        }
        self.average /= period;
        Some(self.average)
    }

    fn value(&mut self) -> Option<f64> {
        let share = |movement: f64, range: f64| match range > 0.0 {
            true => 100.0 * (movement / range),
            false => 0.0,
        };
        match self.shown {
            Shown::PlusMovement => Some(self.plus),
            Shown::MinusMovement => Some(self.minus),
            Shown::PlusIndicator => Some(share(self.plus, self.range)),
            Shown::MinusIndicator => Some(share(self.minus, self.range)),
            Shown::Index => {
                self.index = self.index().unwrap_or(self.index);
                Some(self.index)
            }
            Shown::Average => {
                let index = self.index();
                self.averaged(index)
            }
            Shown::Rating => {
                let index = self.index();
                let average = self.averaged(index)?;
                self.ratings.push(average);
                let before = self.ratings.back(self.period - 1)?;
                Some((average + before) / 2.0)
            }
        }
    }
}

impl Step for Directional {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let bar = match inputs {
            // The movements alone do not read the close.
            &[high, low] => [high, low, 0.0],
            _ => bar(inputs)?,
        };
        let Some([plus, minus, range]) = self.movement(bar) else {
            return Ok(());
        };
        if self.period <= 1 && !matches!(self.shown, Shown::Index | Shown::Average | Shown::Rating)
        {
            outputs[0] = self.unsmoothed([plus, minus, range]);
            return Ok(());
        }
        let movements = matches!(self.shown, Shown::PlusMovement | Shown::MinusMovement);
        let first = self.period.saturating_sub(1);
        if self.count < first {
            self.count += 1;
            self.plus += plus;
            self.minus += minus;
            self.range += range;
            // The sums of movements are shown as soon as they are full.
            if movements && self.count == first {
                outputs[0] = self.value().unwrap_or(f64::NAN);
            }
            return Ok(());
        }
        let period = self.period as f64;
        self.plus += plus - self.plus / period;
        self.minus += minus - self.minus / period;
        self.range += range - self.range / period;
        let value = self.value();
        match (value, self.quiet) {
            (Some(value), 0) => outputs[0] = value,
            (Some(_), _) => self.quiet -= 1,
            (None, _) => {}
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.numbers(&mut self.before);
        walk.count(&mut self.quiet);
        walk.count(&mut self.count);
        for value in [
            &mut self.plus,
            &mut self.minus,
            &mut self.range,
            &mut self.index,
            &mut self.average,
        ] {
            walk.number(value);
        }
        walk.count(&mut self.indices);
        self.ratings.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.ratings.heap_bytes()
    }
}
