//! Means and variances whose weights decay with age.

use datafusion::common::Result;

use super::definition::{Compute, Definition, Gaps, Input, InputKind, ONE_NUMBER};
use super::parameter::{Default, Domain, FLAG, Parameter, real};
use super::step::{Step, Walk};
use crate::distribution::normal_quantile;
use crate::error::FunctionError;

/// The functions of this subject.
pub(super) const DEFINITIONS: [Definition; 10] = [
    Definition {
        name: "ewma",
        alias: None,
        inputs: &[Input::number("value")],
        parameters: &[DECAY, KIND, ADJUST],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| Moments::start(p, "ewma", |m| m.mean_x)),
        description: "The exponentially weighted mean.",
        formula: "m = (1 - alpha) m + alpha value from the first value on, or with adjust the mean \
                  with weights (1 - alpha)^age; alpha is decay, 2 / (decay + 1) for a span, 1 / \
                  (decay + 1) for a centre of mass, 1 - 0.5^(1 / decay) for a half-life; span => \
                  20 stands for decay => 20, kind => 'span'",
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
        compute: Compute::Ours(|p| Moments::start(p, "ewm_var", |m| m.unbiased(m.xx))),
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
        compute: Compute::Ours(|p| Moments::start(p, "ewm_std", |m| m.unbiased(m.xx).sqrt())),
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
        compute: Compute::Ours(|p| Moments::start(p, "ewm_cov", |m| m.unbiased(m.xy))),
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
        compute: Compute::Ours(|p| Moments::start(p, "ewm_corr", |m| m.xy / (m.xx * m.yy).sqrt())),
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
        parameters: &[Parameter {
            name: "halflife",
            domain: Domain::Seconds,
            default: Default::Refused,
        }],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(ByTime::start),
        description: "The exponentially weighted mean of values at irregular times.",
        formula: "m = w m + (1 - w) value with w = 0.5^(time since the row before / halflife), \
                  from the first value on; halflife is an interval without months, or seconds",
        reference: "standard",
        example: "SELECT symbol, ts, ewma_time(price, ts, INTERVAL '30 seconds') OVER (PARTITION \
                  BY symbol ORDER BY ts) FROM trades",
    },
    Definition {
        name: "ewma_vol",
        alias: None,
        inputs: &[Input::number("return")],
        parameters: &[
            real("lambda", 0.0, 1.0, Default::Value(0.94)),
            real("init", 0.0, 1e9, Default::Absent),
        ],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| {
            Ok(Box::new(Variance {
                lambda: p[0],
                moment: p[1] * p[1],
                shown: Shown::Volatility,
            }))
        }),
        description: "The volatility of returns with exponential weights.",
        formula: "sqrt(v) with v = lambda v + (1 - lambda) return^2, from the square of init, the \
                  volatility before the first return, or without it from that of the first return \
                  on",
        reference: "RiskMetrics 1996",
        example: "SELECT symbol, ts, ewma_vol(price / 10 - 1) OVER (PARTITION BY symbol ORDER BY \
                  ts) FROM trades",
    },
    Definition {
        name: "ewma_var",
        alias: None,
        inputs: &[Input::number("return")],
        parameters: &[
            real("lambda", 0.0, 1.0, Default::Value(0.94)),
            real("confidence", 0.5, 0.999_999, Default::Value(0.95)),
        ],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| {
            Ok(Box::new(Variance {
                lambda: p[0],
                moment: f64::NAN,
                shown: Shown::Loss(normal_quantile(p[1])),
            }))
        }),
        description: "The value at risk of returns with exponential weights: the loss that is not \
                      exceeded with the given confidence.",
        formula: "norm_ppf(confidence) * ewma_vol(return, lambda); losses are positive",
        reference: "RiskMetrics 1996",
        example: "SELECT symbol, ts, ewma_var(price / 10 - 1, 0.94, 0.99) OVER (PARTITION BY \
                  symbol ORDER BY ts) FROM trades",
    },
    Definition {
        name: "ewma_cov",
        alias: None,
        inputs: &[Input::number("return_a"), Input::number("return_b")],
        parameters: &[real("lambda", 0.0, 1.0, Default::Value(0.94))],
        outputs: ONE_NUMBER,
        gaps: Gaps::PassedOver,
        compute: Compute::Ours(|p| {
            Ok(Box::new(Variance {
                lambda: p[0],
                moment: f64::NAN,
                shown: Shown::Moment,
            }))
        }),
        description: "The covariance of two returns with exponential weights.",
        formula: "c = lambda c + (1 - lambda) a b, from the product of the first returns on",
        reference: "RiskMetrics 1996",
        example: "SELECT symbol, ts, ewma_cov(price / 10 - 1, size / 2 - 1) OVER (PARTITION BY \
                  symbol ORDER BY ts) FROM trades",
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
        compute: Compute::Ours(Garch::start),
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
    domain: Domain::Choice(FLAG),
    default: Default::Value(0.0),
};

/// How weights decay from row to row.
#[derive(Clone, Copy, Debug)]
struct Weights {
    alpha: f64,
    adjust: bool,
}

impl Weights {
    fn of(parameters: &[f64], function: &'static str) -> Result<Self> {
        let &[decay, kind, adjust] = parameters else {
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

/// Weighted moments of two variables (the second may be the first), as pandas' ewm has them.
#[derive(Debug)]
struct Moments {
    weights: Weights,
    shown: fn(&Moments) -> f64,
    has_begun: bool,
    mean_x: f64,
    mean_y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
    /// The sums of the weights and of their squares.
    sums: (f64, f64),
    /// The weight of what came before.
    old: f64,
}

impl Moments {
    fn start(
        parameters: &[f64],
        function: &'static str,
        shown: fn(&Moments) -> f64,
    ) -> Result<Box<dyn Step>> {
        Ok(Box::new(Self {
            weights: Weights::of(parameters, function)?,
            shown,
            has_begun: false,
            mean_x: f64::NAN,
            mean_y: f64::NAN,
            xx: 0.0,
            xy: 0.0,
            yy: 0.0,
            sums: (1.0, 1.0),
            old: 1.0,
        }))
    }

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

    fn add(&mut self, x: f64, y: f64) {
        if !self.has_begun {
            self.has_begun = true;
            (self.mean_x, self.mean_y) = (x, y);
            return;
        }
        let Weights { alpha, adjust } = self.weights;
        let (keep, new) = (1.0 - alpha, if adjust { 1.0 } else { alpha });
        self.old *= keep;
        let old = self.old;
        let total = old + new;
        let mix = |before: f64, now: f64| (old * before + new * now) / total;
        let (mean_x, mean_y) = (mix(self.mean_x, x), mix(self.mean_y, y));
        let (from_x, from_y) = (self.mean_x - mean_x, self.mean_y - mean_y);
        self.xx = mix(self.xx + from_x * from_x, (x - mean_x).powi(2));
        self.xy = mix(self.xy + from_x * from_y, (x - mean_x) * (y - mean_y));
        self.yy = mix(self.yy + from_y * from_y, (y - mean_y).powi(2));
        (self.mean_x, self.mean_y) = (mean_x, mean_y);
        self.sums = (
            self.sums.0 * keep + new,
            self.sums.1 * keep * keep + new * new,
        );
        self.old = total;
        if !adjust {
            self.sums = (self.sums.0 / total, self.sums.1 / (total * total));
            self.old = 1.0;
        }
    }
}

impl Step for Moments {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let (Some(&y), Some(&x)) = (inputs.first(), inputs.last()) else {
            return datafusion::common::internal_err!("moments have inputs");
        };
        self.add(x, y);
        outputs[0] = (self.shown)(self);
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.flag(&mut self.has_begun);
        for value in [
            &mut self.mean_x,
            &mut self.mean_y,
            &mut self.xx,
            &mut self.xy,
            &mut self.yy,
            &mut self.sums.0,
            &mut self.sums.1,
            &mut self.old,
        ] {
            walk.number(value);
        }
    }
}

/// A mean whose weights decay with the time between rows.
#[derive(Debug)]
struct ByTime {
    half_life: f64,
    mean: f64,
    before: f64,
}

impl ByTime {
    fn start(parameters: &[f64]) -> Result<Box<dyn Step>> {
        Ok(Box::new(Self {
            half_life: parameters[0] * 1e6,
            mean: f64::NAN,
            before: f64::NAN,
        }))
    }
}

impl Step for ByTime {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let (value, time) = (inputs[0], inputs[1]);
        let weight = 0.5_f64.powf((time - self.before) / self.half_life);
        self.mean = if self.before.is_nan() {
            value
        } else {
            weight * self.mean + (1.0 - weight) * value
        };
        self.before = time;
        outputs[0] = self.mean;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.mean);
        walk.number(&mut self.before);
    }
}

/// What of a second moment is shown.
#[derive(Clone, Copy, Debug)]
enum Shown {
    /// It itself.
    Moment,
    /// Its root.
    Volatility,
    /// Its root times this quantile.
    Loss(f64),
}

/// The second moment of returns (of two different ones: their covariance), as RiskMetrics has it.
#[derive(Debug)]
struct Variance {
    lambda: f64,
    moment: f64,
    shown: Shown,
}

impl Step for Variance {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        let product = inputs[0] * inputs.get(1).unwrap_or(&inputs[0]);
        self.moment = if self.moment.is_nan() {
            product
        } else {
            self.lambda * self.moment + (1.0 - self.lambda) * product
        };
        outputs[0] = match self.shown {
            Shown::Moment => self.moment,
            Shown::Volatility => self.moment.sqrt(),
            Shown::Loss(quantile) => quantile * self.moment.sqrt(),
        };
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.moment);
    }
}

/// The variance that a GARCH(1,1) model expects.
#[derive(Debug)]
struct Garch {
    omega: f64,
    alpha: f64,
    beta: f64,
    variance: f64,
}

impl Garch {
    fn start(parameters: &[f64]) -> Result<Box<dyn Step>> {
        let &[omega, alpha, beta] = parameters else {
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
        Ok(Box::new(Self {
            omega,
            alpha,
            beta,
            variance: omega / (1.0 - alpha - beta),
        }))
    }
}

impl Step for Garch {
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()> {
        outputs[0] = self.variance.sqrt();
        let change = inputs[0];
        self.variance = self.omega + self.alpha * change * change + self.beta * self.variance;
        Ok(())
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.variance);
    }
}

#[cfg(test)]
mod tests;
