//! Functions that add up from a partition's first bar: volumes, swings, Heikin-Ashi, stops.

use datafusion::common::{Result, internal_err};

use crate::window::step::{Step, Walk};

/// What is added up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Total {
    /// Volume of rising less that of falling closes, from the first volume on.
    OnBalance,
    /// Volume by the place of the close in its bar.
    Accumulation,
    /// The difference of two averages of that, with these periods.
    Oscillator(usize, usize),
    /// Returns of closes on falling volume, from 1000 on.
    Negative,
    /// Returns of closes on rising volume, from 1000 on.
    Positive,
    /// Volume times return.
    PriceVolume,
    /// Closes less true lows or highs.
    Williams,
    /// Wilder's swings with this limit.
    Swing(f64),
    /// Values.
    Sum,
    /// Typical prices by volume.
    Average,
}

/// A total and the bar before.
#[derive(Debug)]
pub(super) struct Totals {
    total: Total,
    has_begun: bool,
    /// The total; for the average price the products.
    sum: f64,
    /// Close and volume of the bar before; for swings close and body; for the average price the
    /// volumes and the last average.
    before: [f64; 2],
    /// The two averages of the oscillator.
    averages: [f64; 2],
    /// Bars so far, up to the oscillator's warm-up.
    count: usize,
}

impl Totals {
    /// An empty one.
    pub(super) fn begin(total: Total) -> Box<dyn Step> {
        let sum = match total {
            Total::Negative | Total::Positive => 1000.0,
            _ => 0.0,
        };
        Box::new(Self {
            total,
            has_begun: false,
            sum,
            before: [0.0; 2],
            averages: [0.0; 2],
            count: 0,
        })
    }

    /// A close and a volume.
    fn close(&mut self, close: f64, volume: f64) {
        let [close_before, volume_before] = std::mem::replace(&mut self.before, [close, volume]);
        if !self.has_begun {
            if matches!(self.total, Total::OnBalance) {
                self.sum = volume;
            }
            return;
        }
        let change = close - close_before;
        match self.total {
            Total::OnBalance if change > 0.0 => self.sum += volume,
            Total::OnBalance if change < 0.0 => self.sum -= volume,
            Total::PriceVolume if close_before != 0.0 => {
                self.sum += change / close_before * volume;
            }
            Total::Negative if volume < volume_before => self.compound(change, close_before),
            Total::Positive if volume > volume_before => self.compound(change, close_before),
            _ => {}
        }
    }

    /// Adds a return to an index, which stays where it would leave the range of numbers.
    fn compound(&mut self, change: f64, before: f64) {
        let next = self.sum + change / before * self.sum;
        if before != 0.0 && next.is_finite() {
            self.sum = next;
        }
    }

    /// A bar with volume, by the place of the close between low and high.
    fn place(&mut self, high: f64, low: f64, close: f64, volume: f64) {
        let range = high - low;
        if range > 0.0 {
            self.sum += (close - low - (high - close)) / range * volume;
        }
    }

    fn oscillator(&mut self, fast: usize, slow: usize) -> f64 {
        for (average, period) in self.averages.iter_mut().zip([fast, slow]) {
            let keep = (period.max(1) - 1) as f64 / (period + 1) as f64;
            *average = match self.has_begun {
                true => keep.mul_add(*average, (1.0 - keep) * self.sum),
                false => self.sum,
            };
        }
        let [fast_now, slow_now] = self.averages;
        self.count = (self.count + 1).min(fast.max(slow));
        if self.count < fast.max(slow) {
            return f64::NAN;
        }
        fast_now - slow_now
    }

    fn williams(&mut self, high: f64, low: f64, close: f64) {
        let [before, _] = std::mem::replace(&mut self.before, [close, 0.0]);
        if self.has_begun && close > before {
            self.sum += close - low.min(before);
        } else if self.has_begun && close < before {
            self.sum += close - high.max(before);
        }
    }

    fn swing(&mut self, [open, high, low, close]: [f64; 4], limit: f64) {
        let body = close - open;
        let [before, body_before] = std::mem::replace(&mut self.before, [close, body]);
        if !self.has_begun {
            return;
        }
        let moved = close - before + 0.5 * body + 0.25 * body_before;
        let (up, down) = ((high - before).abs(), (low - before).abs());
        let span = (up - 0.5 * down)
            .max(down - 0.5 * up)
            .max((high - low).abs());
        let span = span + 0.25 * body_before.abs();
        if span != 0.0 {
            self.sum += 50.0 * (moved / span) * (up.max(down) / limit);
        }
    }

    fn average(&mut self, price: f64, volume: f64) -> f64 {
        self.sum += price * volume;
        let [volumes, last] = &mut self.before;
        *volumes += volume;
        if *volumes > 0.0 {
            *last = self.sum / *volumes;
        }
        *last
    }
}

impl Step for Totals {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let shown = match (self.total, inputs) {
            (Total::Sum, &[value]) => {
                self.sum += value;
                self.sum
            }
            (Total::Accumulation, &[high, low, close, volume]) => {
                self.place(high, low, close, volume);
                self.sum
            }
            (Total::Oscillator(fast, slow), &[high, low, close, volume]) => {
                self.place(high, low, close, volume);
                self.oscillator(fast, slow)
            }
            (Total::Williams, &[high, low, close]) => {
                self.williams(high, low, close);
                self.sum
            }
            (Total::Swing(limit), &[open, high, low, close]) => {
                self.swing([open, high, low, close], limit);
                self.sum
            }
            (Total::Average, &[high, low, close, volume]) => {
                self.average((high + low + close) / 3.0, volume)
            }
            (_, &[close, volume]) => {
                self.close(close, volume);
                self.sum
            }
            _ => return internal_err!("a total of {} inputs", inputs.len()),
        };
        self.has_begun = true;
        outputs[0] = shown;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.flag(&mut self.has_begun);
        walk.number(&mut self.sum);
        walk.numbers(&mut self.before);
        walk.numbers(&mut self.averages);
        walk.count(&mut self.count);
    }
}

/// Heikin-Ashi bars.
#[derive(Debug)]
pub(super) struct Heikin {
    has_begun: bool,
    open: f64,
    close: f64,
}

impl Heikin {
    /// Before the first bar.
    pub(super) fn begin() -> Box<dyn Step> {
        Box::new(Self {
            has_begun: false,
            open: 0.0,
            close: 0.0,
        })
    }
}

impl Step for Heikin {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let &[open, high, low, close] = inputs else {
            return internal_err!("a bar has four prices");
        };
        self.open = match self.has_begun {
            true => (self.open + self.close) / 2.0,
            false => (open + close) / 2.0,
        };
        self.close = (open + high + low + close) / 4.0;
        self.has_begun = true;
        let high = high.max(self.open).max(self.close);
        let low = low.min(self.open).min(self.close);
        outputs.copy_from_slice(&[self.open, high, low, self.close]);
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.flag(&mut self.has_begun);
        walk.number(&mut self.open);
        walk.number(&mut self.close);
    }
}

/// Wilder's parabolic stop.
#[derive(Debug)]
pub(super) struct Sar {
    step: f64,
    most: f64,
    /// Bars so far, at most two.
    count: usize,
    high: f64,
    low: f64,
    is_long: bool,
    extreme: f64,
    stop: f64,
    factor: f64,
}

impl Sar {
    /// With this acceleration and its maximum.
    pub(super) fn begin(step: f64, most: f64) -> Box<dyn Step> {
        let step = step.min(most);
        Box::new(Self {
            step,
            most,
            count: 0,
            high: f64::NAN,
            low: f64::NAN,
            is_long: true,
            extreme: 0.0,
            stop: 0.0,
            factor: step,
        })
    }

    /// Turns to the other side and returns the stop of this bar.
    fn turn(&mut self, high: f64, low: f64, highs: f64, lows: f64) -> f64 {
        self.is_long = !self.is_long;
        let shown = self.bounded(self.extreme, highs, lows);
        self.factor = self.step;
        self.extreme = if self.is_long { high } else { low };
        let next = self.factor.mul_add(self.extreme - shown, shown);
        self.stop = self.bounded(next, highs, lows);
        shown
    }

    /// A stop is never inside of the last two bars.
    fn bounded(&self, stop: f64, highs: f64, lows: f64) -> f64 {
        match self.is_long {
            true => stop.min(lows),
            false => stop.max(highs),
        }
    }

    fn second(&mut self, high: f64, low: f64) {
        let (up, down) = (high - self.high, self.low - low);
        self.is_long = !(down > up && down > 0.0);
        (self.extreme, self.stop) = match self.is_long {
            true => (high, self.low),
            false => (low, self.high),
        };
        // TA-Lib takes the second bar as its own predecessor.
        (self.high, self.low) = (high, low);
    }
}

impl Step for Sar {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let &[high, low] = inputs else {
            return internal_err!("stops need high and low");
        };
        match self.count {
            0 => {
                self.count = 1;
                (self.high, self.low) = (high, low);
                return Ok(());
            }
            1 => {
                self.count = 2;
                self.second(high, low);
            }
            _ => {}
        }
        let (highs, lows) = (self.high.max(high), self.low.min(low));
        (self.high, self.low) = (high, low);
        let is_broken = match self.is_long {
            true => low <= self.stop,
            false => high >= self.stop,
        };
        if is_broken {
            outputs[0] = self.turn(high, low, highs, lows);
            return Ok(());
        }
        outputs[0] = self.stop;
        let goes_on = match self.is_long {
            true => high > self.extreme,
            false => low < self.extreme,
        };
        if goes_on {
            self.extreme = if self.is_long { high } else { low };
            self.factor = (self.factor + self.step).min(self.most);
        }
        let next = self.factor.mul_add(self.extreme - self.stop, self.stop);
        self.stop = self.bounded(next, highs, lows);
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.count(&mut self.count);
        walk.flag(&mut self.is_long);
        for value in [
            &mut self.high,
            &mut self.low,
            &mut self.extreme,
            &mut self.stop,
            &mut self.factor,
        ] {
            walk.number(value);
        }
    }
}
