//! How wide bars and deviations are, from row to row.

use datafusion::common::{Result, internal_err};

use super::averages::Smooth;
use super::wilder::TrueRange;
use super::windows::{Extreme, Sum};
use crate::window::step::{Ring, Step, Walk};

fn bar(inputs: &[f64]) -> Result<[f64; 2]> {
    match inputs {
        &[high, low] => Ok([high, low]),
        _ => internal_err!("a bar needs high and low"),
    }
}

/// The share of the deviations on rising values among all, both averaged as Wilder does.
#[derive(Debug)]
struct RisingShare {
    rows: Ring,
    rising: Smooth,
    falling: Smooth,
}

impl RisingShare {
    fn new(average: usize, deviation: usize) -> Self {
        Self {
            rows: Ring::new(deviation.max(2)),
            rising: Smooth::wilder(average),
            falling: Smooth::wilder(average),
        }
    }

    /// Takes a value and returns the share in percent, if there were enough; 50 without either.
    fn next(&mut self, value: f64) -> Option<f64> {
        let before = self.rows.back(0);
        self.rows.push(value);
        if !self.rows.is_full() {
            return None;
        }
        let (deviation, change) = (self.deviation(), value - before?);
        let share = |is_moved: bool| if is_moved { deviation } else { 0.0 };
        let rising = self.rising.next(share(change > 0.0));
        let falling = self.falling.next(share(change < 0.0));
        let (rising, falling) = (rising?, falling?);
        let both = rising + falling;
        Some(match both == 0.0 {
            true => 50.0,
            false => 100.0 * (rising / both),
        })
    }

    /// The standard deviation of the rows, computed anew: nothing of rows long gone is left.
    fn deviation(&self) -> f64 {
        let rows = self.rows.values();
        let count = rows.len() as f64;
        let mean = rows.iter().sum::<f64>() / count;
        let squares = rows.iter().map(|value| (value - mean).powi(2));
        (squares.sum::<f64>() / count).sqrt()
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.rows.walk(walk);
        self.rising.walk(walk);
        self.falling.walk(walk);
    }
}

/// The relative volatility of a series, or the mean of those of several.
#[derive(Debug)]
pub(super) struct Volatility {
    series: Vec<RisingShare>,
}

impl Volatility {
    /// Of so many series, with these periods of average and deviation.
    pub(super) fn begin(series: usize, average: usize, deviation: usize) -> Box<dyn Step> {
        let series = (0..series).map(|_| RisingShare::new(average, deviation));
        Box::new(Self {
            series: series.collect(),
        })
    }
}

impl Step for Volatility {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let (mut sum, mut count) = (0.0, 0.0);
        for (series, value) in self.series.iter_mut().zip(inputs) {
            // All have an answer at the same row.
            sum += series.next(*value).unwrap_or(f64::NAN);
            count += 1.0;
        }
        outputs[0] = sum / count;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        for series in &mut self.series {
            series.walk(walk);
        }
    }

    fn heap_bytes(&self) -> usize {
        let rows = self.series.iter().map(|series| series.rows.heap_bytes());
        rows.sum::<usize>() + self.series.capacity() * size_of::<RisingShare>()
    }
}

/// The average range over what it was some rows ago, in percent.
#[derive(Debug)]
pub(super) struct RangeChange {
    average: Smooth,
    averages: Ring,
    rows: usize,
}

impl RangeChange {
    /// With this period of the average, and over so many rows.
    pub(super) fn begin(average: usize, rows: usize) -> Box<dyn Step> {
        Box::new(Self {
            average: Smooth::ema(average),
            averages: Ring::new(rows + 1),
            rows,
        })
    }
}

impl Step for RangeChange {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let [high, low] = bar(inputs)?;
        if let Some(average) = self.average.next(high - low) {
            self.averages.push(average);
            if let Some(before) = self.averages.back(self.rows) {
                outputs[0] = match before == 0.0 {
                    true => 0.0,
                    false => 100.0 * ((average - before) / before),
                };
            }
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.average.walk(walk);
        self.averages.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.averages.heap_bytes()
    }
}

/// The sum of an average of ranges over the average of that.
#[derive(Debug)]
pub(super) struct Mass {
    average: Smooth,
    of_average: Smooth,
    sum: Sum,
}

impl Mass {
    /// With these periods of averages and sum.
    pub(super) fn begin(average: usize, sum: usize) -> Box<dyn Step> {
        Box::new(Self {
            average: Smooth::ema(average),
            of_average: Smooth::ema(average),
            sum: Sum::new(sum),
        })
    }
}

impl Step for Mass {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let [high, low] = bar(inputs)?;
        if let Some(average) = self.average.next(high - low)
            && let Some(of_average) = self.of_average.next(average)
        {
            let ratio = match of_average == 0.0 {
                true => 1.0,
                false => average / of_average,
            };
            outputs[0] = self.sum.next(ratio).unwrap_or(f64::NAN);
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.average.walk(walk);
        self.of_average.walk(walk);
        self.sum.walk(walk);
    }

    fn heap_bytes(&self) -> usize {
        self.sum.heap_bytes()
    }
}

/// Chande's and Kroll's stops: ranges away from the extremes of the last rows, and the extremes of
/// those.
#[derive(Debug)]
pub(super) struct Stops {
    range: TrueRange,
    average: Smooth,
    highs: Extreme,
    lows: Extreme,
    high_stops: Extreme,
    low_stops: Extreme,
    factor: f64,
}

impl Stops {
    /// With this period of ranges and extremes, so many ranges away, and with this period of the
    /// stops.
    pub(super) fn begin(period: usize, factor: f64, stops: usize) -> Box<dyn Step> {
        Box::new(Self {
            range: TrueRange::default(),
            average: Smooth::wilder(period),
            highs: Extreme::high(period),
            lows: Extreme::low(period),
            high_stops: Extreme::high(stops),
            low_stops: Extreme::low(stops),
            factor,
        })
    }

    fn extremes(&mut self) -> [&mut Extreme; 4] {
        [
            &mut self.highs,
            &mut self.lows,
            &mut self.high_stops,
            &mut self.low_stops,
        ]
    }
}

impl Step for Stops {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let &[high, low, close] = inputs else {
            return internal_err!("stops need high, low and close");
        };
        let (highest, lowest) = (self.highs.next(high), self.lows.next(low));
        let range = self.range.next(high, low, close);
        let Some(average) = range.and_then(|range| self.average.next(range)) else {
            return Ok(());
        };
        if let (Some(highest), Some(lowest)) = (highest, lowest) {
            let away = self.factor * average;
            let high_stop = self.high_stops.next(highest - away);
            let low_stop = self.low_stops.next(lowest + away);
            if let (Some(high_stop), Some(low_stop)) = (high_stop, low_stop) {
                outputs.copy_from_slice(&[high_stop, low_stop]);
            }
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        self.range.walk(walk);
        self.average.walk(walk);
        for extreme in self.extremes() {
            extreme.walk(walk);
        }
    }

    fn heap_bytes(&self) -> usize {
        let all = [&self.highs, &self.lows, &self.high_stops, &self.low_stops];
        all.into_iter().map(Extreme::heap_bytes).sum()
    }
}
