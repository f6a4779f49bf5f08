//! Moments of one or two variables as a struct.

use super::moments::{add_one, add_two, count, deviations, higher, mean, sample_root, squares};
use super::{Linear, Sums, doc};
use crate::argument::number;

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Linear; 2] = [
    Linear {
        doc: doc(
            "stats_agg",
            "stats_agg(x) -> struct(num_vals, sum, average, variance, stddev, skewness, kurtosis)",
            "The moments of a variable at once.",
            "variance and stddev over n - 1; skewness (m3 / n) / (m2 / n)^1.5 and kurtosis (m4 / \
             n) / (m2 / n)^2 over n; 3 is the kurtosis of a normal variable",
            "TimescaleDB toolkit stats_agg",
            "SELECT symbol, stats_agg(price) FROM trades GROUP BY symbol",
        ),
        arguments: &[number("x")],
        constants: &[],
        outputs: ONE,
        add: |&[change, ..], _, sums| {
            add_one(change, sums);
            true
        },
        finish: one,
    },
    Linear {
        doc: doc(
            "stats_agg2",
            "stats_agg2(y, x) -> struct(num_vals, sum_y, sum_x, average_y, average_x, variance_y, \
             variance_x, stddev_y, stddev_x, covariance, corr, slope, intercept, x_intercept, \
             determination_coeff)",
            "The moments of two variables and the least-squares line of y over x.",
            "variances, deviations and covariance over n - 1; slope cov / var(x); intercept avg(y) \
             - slope * avg(x); x_intercept -intercept / slope; determination_coeff corr^2",
            "TimescaleDB toolkit stats_agg",
            "SELECT symbol, stats_agg2(price, size) FROM trades GROUP BY symbol",
        ),
        arguments: &[number("y"), number("x")],
        constants: &[],
        outputs: TWO,
        add: |&[y, x, ..], _, sums| {
            add_two(x, y, sums);
            true
        },
        finish: two,
    },
];

/// The fields for one variable.
const ONE: &[(&str, bool)] = &[
    ("num_vals", true),
    ("sum", false),
    ("average", false),
    ("variance", false),
    ("stddev", false),
    ("skewness", false),
    ("kurtosis", false),
];

/// The fields for two variables.
const TWO: &[(&str, bool)] = &[
    ("num_vals", true),
    ("sum_y", false),
    ("sum_x", false),
    ("average_y", false),
    ("average_x", false),
    ("variance_y", false),
    ("variance_x", false),
    ("stddev_y", false),
    ("stddev_x", false),
    ("covariance", false),
    ("corr", false),
    ("slope", false),
    ("intercept", false),
    ("x_intercept", false),
    ("determination_coeff", false),
];

fn one(sums: &Sums, _constants: &[f64]) -> Vec<f64> {
    let n = count(sums);
    let m2 = squares(sums, 1, 2);
    let (m3, m4) = higher(sums);
    let deviation = sample_root(m2, n);
    let spread = m2 / n;
    // Sums have some 31 digits; a mean that is large beside the deviation uses them up.
    let known = |moment: f64, power: i32| {
        let lost = 1e-30 * (mean(sums, 1).abs() / spread.sqrt()).powi(power);
        if lost < 1e-6 { moment } else { f64::NAN }
    };
    vec![
        n,
        sums[1].rounded(),
        mean(sums, 1),
        m2 / (n - 1.0),
        deviation,
        known(m3 / n / spread.powf(1.5), 3),
        known(m4 / n / (spread * spread), 4),
    ]
}

fn two(sums: &Sums, _constants: &[f64]) -> Vec<f64> {
    let n = count(sums);
    let (xx, xy, yy) = (
        squares(sums, 1, 3),
        deviations(sums, 1, 2, 4),
        squares(sums, 2, 5),
    );
    let (mean_x, mean_y) = (mean(sums, 1), mean(sums, 2));
    let slope = xy / xx;
    let intercept = mean_y - slope * mean_x;
    let corr = xy / (xx * yy).sqrt();
    vec![
        n,
        sums[2].rounded(),
        sums[1].rounded(),
        mean_y,
        mean_x,
        yy / (n - 1.0),
        xx / (n - 1.0),
        sample_root(yy, n),
        sample_root(xx, n),
        xy / (n - 1.0),
        corr,
        slope,
        intercept,
        -intercept / slope,
        corr * corr,
    ]
}
