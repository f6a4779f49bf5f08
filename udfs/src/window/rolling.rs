//! Statistics of the last rows of a partition. Each window is computed anew, so no rounding error
//! of rows long gone is left in it.

use datafusion::common::Result;

use super::definition::{
    Compute, Definition, Gaps, Input, ONE_NUMBER, Output, OutputKind, rows_of,
};
use super::parameter::{Default, Parameter, integer, real};
use super::step::{Ring, Step, Walk};

/// The functions of this subject.
pub(super) const DEFINITIONS: [Definition; 13] = [
    Definition {
        name: "zscore",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| rolling(p, zscore)),
        description: "How many standard deviations a value lies above the mean of the last rows.",
        formula: "(value - avg) / stddev_samp over the last n rows with values; null below n rows \
                  or without deviation",
        reference: "standard",
        example: "SELECT symbol, ts, zscore(price, 2) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "rolling_corr",
        alias: None,
        inputs: &[Input::number("y"), Input::number("x")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| rolling(p, |window| corr(&Pair::of(window)))),
        description: "The correlation over the last rows.",
        formula: "corr(y, x) over the last n rows with both; null below n",
        reference: "pandas rolling.corr",
        example: "SELECT symbol, ts, rolling_corr(price, size, 2) OVER (PARTITION BY symbol ORDER \
                  BY ts) FROM trades",
    },
    Definition {
        name: "rolling_cov",
        alias: None,
        inputs: &[Input::number("y"), Input::number("x")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| {
            rolling(p, |window| {
                let pair = Pair::of(window);
                pair.xy / (pair.n - 1.0)
            })
        }),
        description: "The sample covariance over the last rows.",
        formula: "covar_samp(y, x) over the last n rows with both; null below n",
        reference: "pandas rolling.cov",
        example: "SELECT symbol, ts, rolling_cov(price, size, 2) OVER (PARTITION BY symbol ORDER \
                  BY ts) FROM trades",
    },
    Definition {
        name: "rolling_beta",
        alias: None,
        inputs: &[Input::number("y"), Input::number("x")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| rolling(p, |window| Pair::of(window).slope())),
        description: "The slope of y over x in the last rows.",
        formula: "covar_samp(y, x) / var_samp(x) over the last n rows with both; null below n",
        reference: "statsmodels RollingOLS",
        example: "SELECT symbol, ts, rolling_beta(price, size, 2) OVER (PARTITION BY symbol ORDER \
                  BY ts) FROM trades",
    },
    Definition {
        name: "rolling_ols",
        alias: None,
        inputs: &[Input::number("y"), Input::number("x")],
        parameters: WINDOW,
        outputs: OLS,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(ols),
        description: "The least-squares line of y over x in the last rows, and how far the row \
                      lies off it.",
        formula: "over the last n rows with both: beta cov / var(x), alpha avg(y) - beta * avg(x), \
                  r2 the squared correlation, resid y - alpha - beta * x; null below n",
        reference: "statsmodels RollingOLS",
        example: "SELECT symbol, ts, rolling_ols(price, size, 2) OVER (PARTITION BY symbol ORDER \
                  BY ts) FROM trades",
    },
    Definition {
        name: "pair_spread_z",
        alias: None,
        inputs: &[Input::number("y"), Input::number("x")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| {
            rolling(p, |window| {
                let pair = Pair::of(window);
                pair.residual() / pair.residual_deviation()
            })
        }),
        description: "How many standard deviations y lies above its least-squares line over x: the \
                      signal of pairs trading.",
        formula: "the residual of the row over the sample standard deviation of the residuals of \
                  the last n rows",
        reference: "statsmodels RollingOLS",
        example: "SELECT symbol, ts, pair_spread_z(price, size, 3) OVER (PARTITION BY symbol ORDER \
                  BY ts) FROM trades",
    },
    Definition {
        name: "half_life",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| rolling(p, half_life)),
        description: "In how many rows half of a deviation from the mean is expected to be gone.",
        formula: "-ln(2) / ln(1 + b) with b the slope of changes over the values before them in \
                  the last n rows; null unless -1 < b < 0",
        reference: "Ornstein and Uhlenbeck 1930",
        example: "SELECT symbol, ts, half_life(price, 3) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
    },
    Definition {
        name: "hurst",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[integer("length", 8, 100_000, Default::Refused)],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| rolling(p, hurst)),
        description: "The Hurst exponent of the last rows: 0.5 for a random walk, more for a trend \
                      that goes on, less for one that turns back.",
        formula: "the slope of ln(avg((value - value t rows before)^2)) / 2 over ln(t) for t from \
                  1 to length / 4, 20 at most; null below n rows or where a value does not change",
        reference: "generalized Hurst exponent of order 2, Di Matteo 2007",
        example: "SELECT symbol, ts, hurst(price, 8) OVER (PARTITION BY symbol ORDER BY ts) FROM \
                  trades",
    },
    Definition {
        name: "autocorr",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[
            integer("lag", 1, 100_000, Default::Refused),
            integer("window", 3, 100_000, Default::Refused),
        ],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(autocorr),
        description: "The correlation of values with those some rows before.",
        formula: "corr of the last n values that have one lag rows before them inside the last n \
                  with these",
        reference: "pandas Series.autocorr",
        example: "SELECT symbol, ts, autocorr(price, 1, 3) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
    },
    Definition {
        name: "rolling_rank",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| rolling(p, rank)),
        description: "The rank of a value among the last rows, from 1 for the least.",
        formula: "1 + values below + half of the others that are equal",
        reference: "pandas rolling.rank",
        example: "SELECT symbol, ts, rolling_rank(price, 2) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
    },
    Definition {
        name: "rolling_quantile",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[LENGTH, real("quantile", 0.0, 1.0, Default::Refused)],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(quantile),
        description: "A quantile of the last rows.",
        formula: "over the last n rows, interpolated linearly; null below n",
        reference: "pandas rolling.quantile",
        example: "SELECT symbol, ts, rolling_quantile(price, 2, 0.5) OVER (PARTITION BY symbol \
                  ORDER BY ts) FROM trades",
    },
    Definition {
        name: "rolling_skew",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| rolling(p, skew)),
        description: "The skewness of the last rows.",
        formula: "the unbiased estimate g1 * sqrt(n (n - 1)) / (n - 2); null below n or without \
                  deviation",
        reference: "pandas rolling.skew",
        example: "SELECT symbol, ts, rolling_skew(price, 3) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
    },
    Definition {
        name: "rolling_kurt",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: WINDOW,
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| rolling(p, kurt)),
        description: "The excess kurtosis of the last rows.",
        formula: "the unbiased estimate ((n + 1) g2 + 6) (n - 1) / ((n - 2) (n - 3)); null below n \
                  or without deviation",
        reference: "pandas rolling.kurt",
        example: "SELECT symbol, ts, rolling_kurt(price, 4) OVER (PARTITION BY symbol ORDER BY ts) \
                  FROM trades",
    },
];

/// How many rows a window has.
const LENGTH: Parameter = integer("length", 2, 100_000, Default::Refused);

/// The parameters of most functions.
const WINDOW: &[Parameter] = &[LENGTH];

/// A line through the rows.
const OLS: &[Output] = &[field("alpha"), field("beta"), field("r2"), field("resid")];

const fn field(name: &'static str) -> Output {
    Output {
        name,
        kind: OutputKind::Number,
    }
}

/// Numbers from each full window, which has one slice per input.
type Value = Box<dyn Fn(&[&[f64]], &mut [f64]) + Send + Sync>;

/// The last rows of each input, and what is computed of them.
struct Rolling {
    rings: Vec<Ring>,
    length: usize,
    value: Value,
}

impl std::fmt::Debug for Rolling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rolling").field(&self.rings).finish()
    }
}

impl Step for Rolling {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        if self.rings.is_empty() {
            self.rings = vec![Ring::new(self.length); inputs.len()];
        }
        for (ring, input) in self.rings.iter_mut().zip(inputs) {
            ring.push(*input);
        }
        if self.rings.iter().all(Ring::is_full) {
            match self.rings.as_slice() {
                [only] => (self.value)(&[only.values()], outputs),
                [first, second, ..] => (self.value)(&[first.values(), second.values()], outputs),
                [] => {}
            }
        }
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        let mut inputs = self.rings.len();
        walk.count(&mut inputs);
        self.rings.resize(inputs.min(2), Ring::new(self.length));
        for ring in &mut self.rings {
            ring.walk(walk);
        }
    }

    fn heap_bytes(&self) -> usize {
        self.rings.iter().map(Ring::heap_bytes).sum()
    }
}

/// Computes one number from each window of as many rows as the first parameter says.
fn rolling(parameters: &[f64], value: fn(&[&[f64]]) -> f64) -> Result<Box<dyn Step>> {
    let value = move |window: &[&[f64]], outputs: &mut [f64]| outputs[0] = value(window);
    windows(rows_of(parameters, 0), Box::new(value))
}

/// Computes numbers from each window of `length` rows; none before there are so many.
fn windows(length: usize, value: Value) -> Result<Box<dyn Step>> {
    Ok(Box::new(Rolling {
        rings: Vec::new(),
        length,
        value,
    }))
}

/// The first input of a window.
fn only<'a>(window: &[&'a [f64]]) -> &'a [f64] {
    window.first().copied().unwrap_or_default()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Returns Σ(x − mean)^power.
fn central(values: &[f64], power: i32) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean).powi(power)).sum()
}

fn zscore(window: &[&[f64]]) -> f64 {
    let values = only(window);
    let deviation = (central(values, 2) / (values.len() - 1) as f64).sqrt();
    let last = values.last().copied().unwrap_or(f64::NAN);
    // Equal values may leave a deviation of rounding errors, which would be no signal.
    if deviation > 1e-14 * last.abs() {
        (last - mean(values)) / deviation
    } else {
        f64::NAN
    }
}

/// Sums of deviations of the rows (y, x) of a window.
struct Pair<'a> {
    y: &'a [f64],
    x: &'a [f64],
    n: f64,
    mean_y: f64,
    mean_x: f64,
    yy: f64,
    xy: f64,
    xx: f64,
}

impl<'a> Pair<'a> {
    fn of(window: &[&'a [f64]]) -> Self {
        let (y, x) = match window {
            [y, x] => (*y, *x),
            _ => (&[][..], &[][..]),
        };
        let (mean_y, mean_x) = (mean(y), mean(x));
        let products = y.iter().zip(x).map(|(y, x)| (y - mean_y) * (x - mean_x));
        Self {
            y,
            x,
            n: y.len() as f64,
            mean_y,
            mean_x,
            yy: central(y, 2),
            xy: products.sum(),
            xx: central(x, 2),
        }
    }

    fn slope(&self) -> f64 {
        self.xy / self.xx
    }

    fn intercept(&self) -> f64 {
        self.mean_y - self.slope() * self.mean_x
    }

    /// How far the last row lies off the line.
    fn residual(&self) -> f64 {
        match (self.y.last(), self.x.last()) {
            (Some(y), Some(x)) => (y - self.mean_y) - self.slope() * (x - self.mean_x),
            _ => f64::NAN,
        }
    }

    /// The sample standard deviation of all residuals, NaN if only rounding errors are left.
    fn residual_deviation(&self) -> f64 {
        let squares: f64 = (self.y.iter().zip(self.x))
            .map(|(y, x)| ((y - self.mean_y) - self.slope() * (x - self.mean_x)).powi(2))
            .sum();
        let squares = if squares > 1e-24 * self.yy {
            squares
        } else {
            f64::NAN
        };
        (squares / (self.n - 1.0)).sqrt()
    }
}

fn corr(pair: &Pair<'_>) -> f64 {
    pair.xy / (pair.xx.sqrt() * pair.yy.sqrt())
}

fn ols(parameters: &[f64]) -> Result<Box<dyn Step>> {
    let value = |window: &[&[f64]], outputs: &mut [f64]| {
        let pair = Pair::of(window);
        let line = [
            pair.intercept(),
            pair.slope(),
            corr(&pair).powi(2),
            pair.residual(),
        ];
        outputs.copy_from_slice(&line);
    };
    windows(rows_of(parameters, 0), Box::new(value))
}

fn half_life(window: &[&[f64]]) -> f64 {
    let values = only(window);
    let before = &values[..values.len() - 1];
    let changes: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let slope = Pair::of(&[&changes, before]).slope();
    if -1.0 < slope && slope < 0.0 {
        -std::f64::consts::LN_2 / slope.ln_1p()
    } else {
        f64::NAN
    }
}

/// The longest lag that tells about persistence.
const HURST_LAG_MAX: usize = 20;

fn hurst(window: &[&[f64]]) -> f64 {
    let values = only(window);
    let lags = 1..=(values.len() / 4).min(HURST_LAG_MAX);
    let spread = |lag: usize| {
        let changes = values.iter().zip(&values[lag..]);
        let squares = changes.map(|(before, now)| (now - before).powi(2));
        (squares.sum::<f64>() / (values.len() - lag) as f64).ln() / 2.0
    };
    let spreads: Vec<f64> = lags.clone().map(spread).collect();
    let lags: Vec<f64> = lags.map(|lag| (lag as f64).ln()).collect();
    Pair::of(&[&spreads, &lags]).slope()
}

fn autocorr(parameters: &[f64]) -> Result<Box<dyn Step>> {
    let lag = rows_of(parameters, 0);
    let value = move |window: &[&[f64]], outputs: &mut [f64]| {
        let values = only(window);
        let later = values.get(lag..).unwrap_or_default();
        if later.len() >= 2 {
            outputs[0] = corr(&Pair::of(&[later, &values[..later.len()]]));
        }
    };
    windows(rows_of(parameters, 1), Box::new(value))
}

fn rank(window: &[&[f64]]) -> f64 {
    let values = only(window);
    let last = values.last().copied().unwrap_or(f64::NAN);
    let below = values.iter().filter(|value| **value < last).count();
    let equal = values.iter().filter(|value| **value == last).count();
    below as f64 + (equal as f64 + 1.0) / 2.0
}

fn quantile(parameters: &[f64]) -> Result<Box<dyn Step>> {
    let p = parameters[1];
    let value = move |window: &[&[f64]], outputs: &mut [f64]| {
        let mut sorted = only(window).to_vec();
        sorted.sort_by(f64::total_cmp);
        let place = p * (sorted.len() - 1) as f64;
        let (below, above) = (
            sorted[place.floor() as usize],
            sorted[place.ceil() as usize],
        );
        outputs[0] = below + (above - below) * place.fract();
    };
    windows(rows_of(parameters, 0), Box::new(value))
}

fn skew(window: &[&[f64]]) -> f64 {
    let values = only(window);
    let n = values.len() as f64;
    let g = central(values, 3) / n / (central(values, 2) / n).powf(1.5);
    g * (n * (n - 1.0)).sqrt() / (n - 2.0)
}

fn kurt(window: &[&[f64]]) -> f64 {
    let values = only(window);
    let n = values.len() as f64;
    let g = central(values, 4) / n / (central(values, 2) / n).powi(2) - 3.0;
    ((n + 1.0) * g + 6.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0))
}

#[cfg(test)]
mod tests;
