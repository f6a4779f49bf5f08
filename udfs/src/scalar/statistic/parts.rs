//! The parts of summaries by name, with their words.

use crate::registry::{FunctionDoc, FunctionKind};

/// One accessor: its name, the field that it reads, and its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) field: &'static str,
    /// Whether it has two forms: over n - 1 as it is stored, and over n.
    pub(super) has_method: bool,
    pub(super) signature: &'static str,
    description: &'static str,
    example: &'static str,
}

impl Part {
    /// What a person wants to know about it.
    pub(super) const fn doc(&self) -> FunctionDoc {
        FunctionDoc {
            name: self.name,
            kind: FunctionKind::Scalar,
            signature: self.signature,
            description: self.description,
            formula: match self.has_method {
                true => {
                    "the field of that name, over n - 1; over n with the method 'population', \
                     which may be written 'pop', as 'sample' may be 'samp'; null for a group \
                     without rows"
                }
                false => "the field of that name; null for a group without rows",
            },
            reference: "TimescaleDB toolkit stats_agg accessors",
            example: self.example,
        }
    }

    /// The same part read from another field.
    const fn of_field(self, field: &'static str) -> Self {
        Self { field, ..self }
    }

    /// The same part with its two forms.
    const fn with_method(self) -> Self {
        Self {
            has_method: true,
            ..self
        }
    }
}

const fn part(
    name: &'static str,
    signature: &'static str,
    description: &'static str,
    example: &'static str,
) -> Part {
    Part {
        name,
        field: name,
        has_method: false,
        signature,
        description,
        example,
    }
}

/// Parts whose names no aggregate has.
pub(super) const PARTS: [Part; 23] = [
    part(
        "num_vals",
        "num_vals(statistics) -> bigint",
        "How many rows counted.",
        "SELECT num_vals(stats_agg(price)) FROM trades",
    ),
    part(
        "average",
        "average(statistics) -> double precision",
        "The mean of a variable, of the values of a sketch, or of a value over time. Also \
         avg(statistics) and mean(statistics).",
        "SELECT average(stats_agg(price)) FROM trades",
    ),
    part(
        "error",
        "error(sketch) -> double precision",
        "How far a percentile of a sketch may lie off, as a share of itself.",
        "SELECT error(percentile_agg(price)) FROM trades",
    ),
    part(
        "min_val",
        "min_val(digest) -> double precision",
        "The least value of a digest.",
        "SELECT min_val(tdigest(100, price)) FROM trades",
    )
    .of_field("min"),
    part(
        "max_val",
        "max_val(digest) -> double precision",
        "The greatest value of a digest.",
        "SELECT max_val(tdigest(100, price)) FROM trades",
    )
    .of_field("max"),
    part(
        "integral",
        "integral(time_weight) -> double precision",
        "The area under a value over time, in seconds times its unit.",
        "SELECT integral(time_weight('LINEAR', ts, price)) FROM trades",
    ),
    part(
        "first_val",
        "first_val(time_weight) -> double precision",
        "The value of the first row in time.",
        "SELECT first_val(time_weight('LINEAR', ts, price)) FROM trades",
    )
    .of_field("first_value"),
    part(
        "last_val",
        "last_val(time_weight) -> double precision",
        "The value of the last row in time.",
        "SELECT last_val(time_weight('LINEAR', ts, price)) FROM trades",
    )
    .of_field("last_value"),
    part(
        "first_time",
        "first_time(time_weight) -> timestamp",
        "The time of the first row.",
        "SELECT first_time(time_weight('LINEAR', ts, price)) FROM trades",
    ),
    part(
        "last_time",
        "last_time(time_weight) -> timestamp",
        "The time of the last row.",
        "SELECT last_time(time_weight('LINEAR', ts, price)) FROM trades",
    ),
    part(
        "sum_y",
        "sum_y(statistics) -> double precision",
        "The sum of the first of two variables.",
        "SELECT sum_y(stats_agg(price, size)) FROM trades",
    ),
    part(
        "sum_x",
        "sum_x(statistics) -> double precision",
        "The sum of the second of two variables.",
        "SELECT sum_x(stats_agg(price, size)) FROM trades",
    ),
    part(
        "average_y",
        "average_y(statistics) -> double precision",
        "The mean of the first of two variables.",
        "SELECT average_y(stats_agg(price, size)) FROM trades",
    ),
    part(
        "average_x",
        "average_x(statistics) -> double precision",
        "The mean of the second of two variables.",
        "SELECT average_x(stats_agg(price, size)) FROM trades",
    ),
    part(
        "variance_y",
        "variance_y(statistics [, method = 'sample']) -> double precision",
        "The variance of the first of two variables.",
        "SELECT variance_y(stats_agg(price, size), 'population') FROM trades",
    )
    .with_method(),
    part(
        "variance_x",
        "variance_x(statistics [, method = 'sample']) -> double precision",
        "The variance of the second of two variables.",
        "SELECT variance_x(stats_agg(price, size)) FROM trades",
    )
    .with_method(),
    part(
        "stddev_y",
        "stddev_y(statistics [, method = 'sample']) -> double precision",
        "The standard deviation of the first of two variables.",
        "SELECT stddev_y(stats_agg(price, size), 'population') FROM trades",
    )
    .with_method(),
    part(
        "stddev_x",
        "stddev_x(statistics [, method = 'sample']) -> double precision",
        "The standard deviation of the second of two variables.",
        "SELECT stddev_x(stats_agg(price, size)) FROM trades",
    )
    .with_method(),
    part(
        "covariance",
        "covariance(statistics [, method = 'sample']) -> double precision",
        "The covariance of two variables.",
        "SELECT covariance(stats_agg(price, size)) FROM trades",
    )
    .with_method(),
    part(
        "slope",
        "slope(statistics) -> double precision",
        "The slope of the least-squares line of y over x.",
        "SELECT slope(stats_agg(price, size)) FROM trades",
    ),
    part(
        "intercept",
        "intercept(statistics) -> double precision",
        "Where the least-squares line meets x = 0.",
        "SELECT intercept(stats_agg(price, size)) FROM trades",
    ),
    part(
        "x_intercept",
        "x_intercept(statistics) -> double precision",
        "Where the least-squares line meets y = 0.",
        "SELECT x_intercept(stats_agg(price, size)) FROM trades",
    ),
    part(
        "determination_coeff",
        "determination_coeff(statistics) -> double precision",
        "The squared correlation of two variables.",
        "SELECT determination_coeff(stats_agg(price, size)) FROM trades",
    ),
];

/// Parts whose names aggregates have: see `overload`.
pub(super) const SHARED: [Part; 6] = [
    part(
        "sum",
        "sum(statistics) -> double precision",
        "The sum of a variable, or of the values of a sketch.",
        "SELECT sum(stats_agg(price)) FROM trades",
    ),
    part(
        "variance",
        "variance(statistics [, method = 'sample']) -> double precision",
        "The variance of a variable; var_pop(statistics) is that over n.",
        "SELECT variance(stats_agg(price)) FROM trades",
    )
    .with_method(),
    part(
        "stddev",
        "stddev(statistics [, method = 'sample']) -> double precision",
        "The standard deviation of a variable; stddev_pop(statistics) is that over n.",
        "SELECT stddev(stats_agg(price)) FROM trades",
    )
    .with_method(),
    part(
        "skewness",
        "skewness(statistics) -> double precision",
        "How far the values lean to one side of their mean, (m3 / n) / (m2 / n)^1.5: not the \
         estimate that skewness(x) is.",
        "SELECT skewness(stats_agg(price)) FROM trades",
    ),
    part(
        "kurtosis",
        "kurtosis(statistics) -> double precision",
        "How heavy the tails are, (m4 / n) / (m2 / n)^2, which is 3 for a normal variable: not \
         the estimate that kurtosis(x) is.",
        "SELECT kurtosis(stats_agg(price)) FROM trades",
    ),
    part(
        "corr",
        "corr(statistics) -> double precision",
        "The correlation of two variables.",
        "SELECT corr(stats_agg(price, size)) FROM trades",
    ),
];
