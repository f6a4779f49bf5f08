//! Moments of one or two variables as a struct.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::physical_plan::PhysicalExpr;

use super::moments::{
    add_one, add_two, count, deviations, mean, sample_root, squares, standardized,
};
use super::{Linear, Sums, doc};
use crate::aggregate::Aggregate;
use crate::argument::{Argument, number};
use crate::arguments::Call;
use crate::fold::AnyFold;
use crate::registry::FunctionDoc;

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = doc(
    "stats_agg",
    "stats_agg([y,] x) -> struct(num_vals, …)",
    "The moments of a variable at once, or those of two and the least-squares line of y over x.",
    "of x: num_vals, sum, average, variance, stddev (over n - 1), skewness (m3 / n) / (m2 / \
     n)^1.5, kurtosis (m4 / n) / (m2 / n)^2, which is 3 for a normal variable; of y and x: \
     num_vals, sum_y, sum_x, average_y, average_x, variance_y, variance_x, stddev_y, stddev_x, \
     covariance (over n - 1), corr, slope cov / var(x), intercept avg(y) - slope * avg(x), \
     x_intercept -intercept / slope, determination_coeff corr^2",
    "TimescaleDB toolkit stats_agg",
    "SELECT symbol, stats_agg(price), stats_agg(price, size) FROM trades GROUP BY symbol",
);

/// The moments of one variable.
pub(super) const OF_ONE: Linear = Linear {
    outputs: ONE,
    ..of_one(DOC, one)
};

/// The moments of two variables.
pub(super) const OF_TWO: Linear = Linear {
    doc: DOC,
    arguments: &[number("y"), number("x")],
    constants: &[],
    outputs: TWO,
    add: |&[y, x, ..], _, sums| {
        add_two(x, y, sums);
        true
    },
    finish: two,
};

/// The aggregate function `stats_agg`, of one or two variables.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct StatsAgg;

impl StatsAgg {
    /// Returns the form that takes so many arguments.
    fn form(types: &[DataType]) -> Linear {
        if types.len() < 2 { OF_ONE } else { OF_TWO }
    }
}

impl Aggregate for StatsAgg {
    fn call(&self) -> Call {
        OF_ONE.call()
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        Self::form(types).coerce(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Self::form(types).return_type(types)
    }

    fn fold(
        &self,
        types: &[DataType],
        exprs: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        Self::form(types).fold(types, exprs)
    }
}

/// Returns an aggregate of one variable that is a number.
pub(super) const fn of_one(doc: FunctionDoc, finish: fn(&Sums, &[f64]) -> Vec<f64>) -> Linear {
    Linear {
        doc,
        arguments: X,
        constants: &[],
        outputs: &[],
        add: |&[x, ..], _, sums| {
            add_one(x, sums);
            true
        },
        finish,
    }
}

/// The one variable.
const X: &[Argument] = &[number("x")];

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
    let (skewness, kurtosis) = standardized(sums);
    vec![
        n,
        sums[1].rounded(),
        mean(sums, 1),
        m2 / (n - 1.0),
        sample_root(m2, n),
        skewness,
        kurtosis,
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
