//! Quantiles of returns: value at risk, expected shortfall, tails; and how concentrated values are.

use super::{Sample, Time, doc};
use crate::argument::{Argument, Kind, factor, number, optional};
use crate::distribution::{normal_density, normal_quantile, student_density, student_quantile};

/// How the distribution of returns is estimated.
const METHOD: Argument = Argument {
    kind: Kind::Word(
        &[
            ("historical", 0.0),
            ("normal", 1.0),
            ("cornish_fisher", 2.0),
            ("student_t", 3.0),
        ],
        "'historical', 'normal', 'cornish_fisher' or 'student_t'",
    ),
    ..optional("method", 0.0)
};

/// The probability that losses stay below the result.
const CONFIDENCE: Argument = Argument {
    kind: Kind::Between(0.0, 1.0, "a number between 0 and 1"),
    ..optional("confidence", 0.95)
};

/// Over how many periods a loss is meant.
const HORIZON: Argument = factor("horizon", 1.0);

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Sample; 4] = [
    Sample {
        doc: doc(
            "value_at_risk",
            "value_at_risk(return [, confidence = 0.95 [, method = 'historical' \
             [, horizon = 1]]]) -> double precision",
            "The loss that is exceeded with probability 1 - confidence; a loss is positive.",
            "historical: minus the quantile at 1 - confidence, interpolated linearly; normal: \
             -(mean + z * stddev_samp) with z = norm_ppf(1 - confidence); cornish_fisher: the same \
             with z + (z^2-1)s/6 + (z^3-3z)k/24 - (2z^3-5z)s^2/36 for skewness s and excess \
             kurtosis k over n; student_t: location and scale of a t distribution with \
             4 + 6/k degrees of freedom, normal unless k > 0; times sqrt(horizon)",
            "RiskMetrics 1996, Cornish and Fisher 1938",
            "SELECT value_at_risk(price / 10 - 1, 0.99, 'normal') FROM trades",
        ),
        arguments: &[number("return")],
        time: Time::None,
        constants: &[CONFIDENCE, METHOD, HORIZON],
        evaluate: |values, constants| scaled(value_at_risk(values, constants), constants),
    },
    Sample {
        doc: doc(
            "expected_shortfall",
            "expected_shortfall(return [, confidence = 0.95 [, method = 'historical' \
             [, horizon = 1]]]) -> double precision",
            "The mean loss beyond value_at_risk; a loss is positive.",
            "historical: minus the mean of the floor((n - 1) * (1 - confidence)) + 1 least \
             returns; normal: -(mean - stddev_samp * pdf(z) / (1 - confidence)); cornish_fisher: \
             the mean of its quantile below 1 - confidence; student_t: that of the t distribution \
             of value_at_risk; times sqrt(horizon)",
            "empyrical conditional_value_at_risk, Acerbi and Tasche 2002",
            "SELECT expected_shortfall(price / 10 - 1, 0.9) FROM trades",
        ),
        arguments: &[number("return")],
        time: Time::None,
        constants: &[CONFIDENCE, METHOD, HORIZON],
        evaluate: |values, constants| scaled(expected_shortfall(values, constants), constants),
    },
    Sample {
        doc: doc(
            "tail_ratio",
            "tail_ratio(return) -> double precision",
            "The right tail of returns over the left one.",
            "|quantile(0.95)| / |quantile(0.05)|, interpolated linearly",
            "empyrical",
            "SELECT tail_ratio(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        time: Time::None,
        constants: &[],
        evaluate: |values, _| {
            let sorted = sorted(values);
            quantile(&sorted, 0.95).abs() / quantile(&sorted, 0.05).abs()
        },
    },
    Sample {
        doc: doc(
            "concentration",
            "concentration(market_value [, largest = 1]) -> double precision",
            "The share of the largest positions in the gross exposure.",
            "the sum of the largest |market_value| over the sum of all",
            "standard",
            "SELECT concentration(price * size, 2) FROM trades",
        ),
        arguments: &[number("market_value")],
        time: Time::None,
        constants: &[Argument {
            kind: Kind::Between(0.0, f64::MAX, "a positive number"),
            ..optional("largest", 1.0)
        }],
        evaluate: |values, constants| {
            let mut sizes: Vec<f64> = values.iter().map(|value| value.abs()).collect();
            sizes.sort_by(|a, b| b.total_cmp(a));
            let largest = sizes.iter().take(constants[0] as usize);
            largest.sum::<f64>() / sizes.iter().sum::<f64>()
        },
    },
];

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Returns the quantile of sorted values, interpolated linearly (Hyndman and Fan's type 7).
fn quantile(sorted: &[f64], p: f64) -> f64 {
    let place = p * (sorted.len() - 1) as f64;
    let (below, above) = (
        sorted[place.floor() as usize],
        sorted[place.ceil() as usize],
    );
    below + (above - below) * place.fract()
}

/// Mean, sample standard deviation, skewness and excess kurtosis.
struct Moments {
    mean: f64,
    deviation: f64,
    skewness: f64,
    excess: f64,
}

impl Moments {
    fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let power = |exponent| {
            let powers = values.iter().map(|value| (value - mean).powi(exponent));
            powers.sum::<f64>() / n
        };
        let variance = power(2);
        Self {
            mean,
            deviation: (variance * n / (n - 1.0)).sqrt(),
            skewness: power(3) / variance.powf(1.5),
            excess: power(4) / (variance * variance) - 3.0,
        }
    }

    /// Returns the Cornish-Fisher quantile for that of a normal variable.
    fn cornish_fisher(&self, z: f64) -> f64 {
        let (s, k) = (self.skewness, self.excess);
        z + (z * z - 1.0) * s / 6.0 + (z.powi(3) - 3.0 * z) * k / 24.0
            - (2.0 * z.powi(3) - 5.0 * z) * s * s / 36.0
    }

    /// Returns degrees of freedom and scale of the t distribution with these moments.
    fn student(&self) -> Option<(f64, f64)> {
        let freedom = 4.0 + 6.0 / self.excess;
        let scale = self.deviation * ((freedom - 2.0) / freedom).sqrt();
        (self.excess > 0.0).then_some((freedom, scale))
    }
}

/// Returns a loss of one period as one of the horizon, by the root of time.
fn scaled(loss: f64, constants: &[f64]) -> f64 {
    loss * constants.last().map_or(1.0, |horizon| horizon.sqrt())
}

fn value_at_risk(values: &[f64], constants: &[f64]) -> f64 {
    let &[confidence, method, _] = constants else {
        return f64::NAN;
    };
    let tail = 1.0 - confidence;
    if method == 0.0 {
        return -quantile(&sorted(values), tail);
    }
    let moments = Moments::of(values);
    let z = normal_quantile(tail);
    let student = moments.student().filter(|_| method == 3.0);
    if let Some((freedom, scale)) = student {
        return -(moments.mean + scale * student_quantile(tail, freedom));
    }
    let z = if method == 2.0 {
        moments.cornish_fisher(z)
    } else {
        z
    };
    -(moments.mean + z * moments.deviation)
}

fn expected_shortfall(values: &[f64], constants: &[f64]) -> f64 {
    let &[confidence, method, _] = constants else {
        return f64::NAN;
    };
    let tail = 1.0 - confidence;
    if method == 0.0 {
        let count = ((values.len() - 1) as f64 * tail) as usize + 1;
        let worst = &sorted(values)[..count];
        return -worst.iter().sum::<f64>() / count as f64;
    }
    let moments = Moments::of(values);
    let z = normal_quantile(tail);
    let student = moments.student().filter(|_| method == 3.0);
    if let Some((freedom, scale)) = student {
        let q = student_quantile(tail, freedom);
        let weight = (freedom + q * q) / (freedom - 1.0);
        return -moments.mean + scale * student_density(q, freedom) / tail * weight;
    }
    let density = normal_density(z) / tail;
    if method == 2.0 {
        // The means of z, z² - 1, z³ - 3z and 2z³ - 5z below z are -density times these.
        let (s, k) = (moments.skewness, moments.excess);
        let mean = 1.0 + z * s / 6.0 + (z * z - 1.0) * k / 24.0
            - (2.0 * (z * z - 1.0) + 1.0) * s * s / 36.0;
        return -moments.mean + moments.deviation * density * mean;
    }
    -moments.mean + moments.deviation * density
}
