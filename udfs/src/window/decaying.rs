//! Means and variances whose weights decay with age.

use datafusion::common::Result;

use super::definition::{Compute, Definition, Gaps, Input, InputKind, ONE_NUMBER, Series};
use super::parameter::{Default, Domain, Parameter, real};
use crate::error::FunctionError;

/// The functions of this subject.
pub(super) const DEFINITIONS: [Definition; 8] = [
    Definition {
        name: "ewma",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[DECAY, KIND, ADJUST],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            Ok(vec![moments(series, Weights::of(series, "ewma")?, |m| {
                m.mean_x
            })])
        }),
        description: "The exponentially weighted mean.",
        formula: "m = (1 - alpha) m + alpha value from the first value on, or with adjust the mean \
                  with weights (1 - alpha)^age; alpha is decay, 2 / (decay + 1) for a span, 1 / \
                  (decay + 1) for a centre of mass, 1 - 0.5^(1 / decay) for a half-life",
        reference: "pandas ewm.mean",
        example: "SELECT symbol, ts, ewma(price, 20, 'span') OVER (PARTITION BY symbol ORDER BY \
                  ts) FROM trades",
    },
    Definition {
        name: "ewm_var",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[DECAY, KIND, ADJUST],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            Ok(vec![moments(
                series,
                Weights::of(series, "ewm_var")?,
                |m| m.unbiased(m.xx),
            )])
        }),
        description: "The exponentially weighted variance.",
        formula: "the variance with the weights of ewma, without bias; null on the first row",
        reference: "pandas ewm.var",
        example: "SELECT symbol, ts, ewm_var(price, 20, 'span') OVER (PARTITION BY symbol ORDER BY \
                  ts) FROM trades",
    },
    Definition {
        name: "ewm_std",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[DECAY, KIND, ADJUST],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            Ok(vec![moments(
                series,
                Weights::of(series, "ewm_std")?,
                |m| m.unbiased(m.xx).sqrt(),
            )])
        }),
        description: "The exponentially weighted standard deviation.",
        formula: "sqrt(ewm_var(value))",
        reference: "pandas ewm.std",
        example: "SELECT symbol, ts, ewm_std(price, 20, 'span') OVER (PARTITION BY symbol ORDER BY \
                  ts) FROM trades",
    },
    Definition {
        name: "ewm_cov",
        alias: None,
        inputs: &[Input::number("y"), Input::number("x")],
        parameters: &[DECAY, KIND, ADJUST],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            Ok(vec![moments(
                series,
                Weights::of(series, "ewm_cov")?,
                |m| m.unbiased(m.xy),
            )])
        }),
        description: "The exponentially weighted covariance.",
        formula: "the covariance with the weights of ewma, without bias; null on the first row",
        reference: "pandas ewm.cov",
        example: "SELECT symbol, ts, ewm_cov(price, size, 20, 'span') OVER (PARTITION BY symbol \
                  ORDER BY ts) FROM trades",
    },
    Definition {
        name: "ewm_corr",
        alias: None,
        inputs: &[Input::number("y"), Input::number("x")],
        parameters: &[DECAY, KIND, ADJUST],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            Ok(vec![moments(
                series,
                Weights::of(series, "ewm_corr")?,
                |m| m.xy / (m.xx * m.yy).sqrt(),
            )])
        }),
        description: "The exponentially weighted correlation.",
        formula: "ewm_cov(y, x) / sqrt(ewm_var(y) * ewm_var(x))",
        reference: "pandas ewm.corr",
        example: "SELECT symbol, ts, ewm_corr(price, size, 20, 'span') OVER (PARTITION BY symbol \
                  ORDER BY ts) FROM trades",
    },
    Definition {
        name: "ewma_time",
        alias: None,
        inputs: &[
            Input::number("value"),
            Input {
                name: "ts",
                kind: InputKind::Time,
            },
        ],
        parameters: &[real("halflife_seconds", 1e-6, 1e12, Default::Refused)],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(by_time),
        description: "The exponentially weighted mean of values at irregular times.",
        formula: "m = w m + (1 - w) value with w = 0.5^(seconds since the row before / \
                  halflife_seconds), from the first value on",
        reference: "standard",
        example: "SELECT symbol, ts, ewma_time(price, ts, 30) OVER (PARTITION BY symbol ORDER BY \
                  ts) FROM trades",
    },
    Definition {
        name: "ewma_vol",
        alias: None,
        inputs: &[Input::number("return")],
        parameters: &[real("lambda", 0.0, 1.0, Default::Value(0.94))],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|series| {
            let lambda = series.parameters[0];
            Ok(vec![variance(series, |v, r| {
                lambda * v + (1.0 - lambda) * r * r
            })])
        }),
        description: "The volatility of returns with exponential weights.",
        formula: "sqrt(v) with v = lambda v + (1 - lambda) return^2, from the square of the first \
                  return on",
        reference: "RiskMetrics 1996",
        example: "SELECT symbol, ts, ewma_vol(price / 10 - 1) OVER (PARTITION BY symbol ORDER BY \
                  ts) FROM trades",
    },
    Definition {
        name: "garch11_vol",
        alias: None,
        inputs: &[Input::number("return")],
        parameters: &[
            real("omega", 0.0, 1e9, Default::Refused),
            real("alpha", 0.0, 1.0, Default::Refused),
            real("beta", 0.0, 1.0, Default::Refused),
        ],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(garch),
        description: "The volatility that a GARCH(1,1) model with given coefficients expects for \
                      the row, from the rows before.",
        formula: "sqrt(v) with v = omega + alpha return^2 + beta v of the row before, from omega / \
                  (1 - alpha - beta) on; alpha + beta must be below 1",
        reference: "Bollerslev 1986",
        example: "SELECT symbol, ts, garch11_vol(price / 10 - 1, 0.00001, 0.1, 0.85) OVER \
                  (PARTITION BY symbol ORDER BY ts) FROM trades",
    },
];

/// How fast weights decay, in the measure of `kind`.
const DECAY: Parameter = real("decay", 1e-12, 1e9, Default::Refused);

/// What `decay` measures.
const KIND: Parameter = Parameter {
    name: "kind",
    domain: Domain::Choice(&[(0, "alpha"), (1, "span"), (2, "halflife"), (3, "com")]),
    default: Default::Value(0.0),
};

/// Whether the first rows have their share of the weights only.
const ADJUST: Parameter = Parameter {
    name: "adjust",
    domain: Domain::Choice(&[(0, "false"), (1, "true")]),
    default: Default::Value(0.0),
};

/// How weights decay from row to row.
#[derive(Clone, Copy)]
struct Weights {
    alpha: f64,
    adjust: bool,
}

impl Weights {
    fn of(series: &Series<'_>, function: &'static str) -> Result<Self> {
        let &[decay, kind, adjust] = series.parameters else {
            return datafusion::common::internal_err!("{function} has three parameters");
        };
        let alpha = match kind as i64 {
            0 => decay,
            1 => 2.0 / (decay + 1.0),
            2 => 1.0 - 0.5_f64.powf(1.0 / decay),
            _ => 1.0 / (decay + 1.0),
        };
        if alpha > 0.0 && alpha <= 1.0 {
            let adjust = adjust != 0.0;
            return Ok(Self { alpha, adjust });
        }
        Err(FunctionError::OutOfRange {
            function,
            argument: "decay",
            value: decay.to_string(),
            range: "an alpha above 0 and at most 1, or a span of at least 1".into(),
        }
        .into())
    }
}

/// Weighted moments of two variables (the second may be the first).
struct Moments {
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
    /// The sums of the weights and of their squares.
    sums: (f64, f64),
}

impl Moments {
    /// Takes away the bias of a weighted variance; NaN on the first row.
    fn unbiased(&self, moment: f64) -> f64 {
        let (sum, squares) = self.sums;
        let rest = sum * sum - squares;
        if rest > 0.0 {
            moment * sum * sum / rest
        } else {
            f64::NAN
        }
    }
}

/// Computes one number from the moments at each row, as pandas' ewm does.
fn moments(series: &Series<'_>, weights: Weights, value: fn(&Moments) -> f64) -> Vec<f64> {
    let keep = 1.0 - weights.alpha;
    let new = if weights.adjust { 1.0 } else { weights.alpha };
    let (Some(ys), Some(xs)) = (series.inputs.first(), series.inputs.last()) else {
        return Vec::new();
    };
    let mut m = Moments {
        mean_x: xs.first().copied().unwrap_or(f64::NAN),
        mean_y: ys.first().copied().unwrap_or(f64::NAN),
        xx: 0.0,
        xy: 0.0,
        yy: 0.0,
        sums: (1.0, 1.0),
    };
    let mut old = 1.0;
    let mut values = Vec::with_capacity(xs.len());
    for (row, (&x, &y)) in xs.iter().zip(ys).enumerate() {
        if row > 0 {
            old *= keep;
            let total = old + new;
            let mix = |before: f64, now: f64| (old * before + new * now) / total;
            let (mean_x, mean_y) = (mix(m.mean_x, x), mix(m.mean_y, y));
            let (from_x, from_y) = (m.mean_x - mean_x, m.mean_y - mean_y);
            m.xx = mix(m.xx + from_x * from_x, (x - mean_x).powi(2));
            m.xy = mix(m.xy + from_x * from_y, (x - mean_x) * (y - mean_y));
            m.yy = mix(m.yy + from_y * from_y, (y - mean_y).powi(2));
            (m.mean_x, m.mean_y) = (mean_x, mean_y);
            m.sums = (m.sums.0 * keep + new, m.sums.1 * keep * keep + new * new);
            old = total;
            if !weights.adjust {
                m.sums = (m.sums.0 / total, m.sums.1 / (total * total));
                old = 1.0;
            }
        }
        values.push(value(&m));
    }
    values
}

fn by_time(series: &Series<'_>) -> Result<Vec<Vec<f64>>> {
    let half_life = series.parameters[0] * 1e6;
    let (mut mean, mut before) = (f64::NAN, f64::NAN);
    let rows = series.inputs[0].iter().zip(&series.inputs[1]);
    let means = rows.map(|(&value, &time)| {
        let weight = 0.5_f64.powf((time - before) / half_life);
        mean = if before.is_nan() {
            value
        } else {
            weight * mean + (1.0 - weight) * value
        };
        before = time;
        mean
    });
    Ok(vec![means.collect()])
}

fn variance(series: &Series<'_>, next: impl Fn(f64, f64) -> f64) -> Vec<f64> {
    let mut variance = None;
    let roots = series.inputs[0].iter().map(|&change| {
        let now = variance.map_or(change * change, |variance| next(variance, change));
        variance = Some(now);
        now.sqrt()
    });
    roots.collect()
}

fn garch(series: &Series<'_>) -> Result<Vec<Vec<f64>>> {
    let &[omega, alpha, beta] = series.parameters else {
        return datafusion::common::internal_err!("garch11_vol has three parameters");
    };
    if alpha + beta >= 1.0 {
        return Err(FunctionError::OutOfRange {
            function: "garch11_vol",
            argument: "beta",
            value: beta.to_string(),
            range: "a number below 1 - alpha".into(),
        }
        .into());
    }
    let mut variance = omega / (1.0 - alpha - beta);
    let roots = series.inputs[0].iter().map(|change| {
        let expected = variance.sqrt();
        variance = omega + alpha * change * change + beta * variance;
        expected
    });
    Ok(vec![roots.collect()])
}

#[cfg(test)]
mod tests;
