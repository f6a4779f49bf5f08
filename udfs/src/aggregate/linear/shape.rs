//! The shape of a distribution: how far it leans, and how heavy its tails are.

use super::moments::{count, standardized};
use super::stats::of_one;
use super::{Linear, doc};

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Linear; 3] = [
    of_one(
        doc(
            "skewness",
            "skewness(x) -> double precision",
            "How far values lean to one side of their mean, as an estimate from a sample.",
            "with g1 = (m3 / n) / (m2 / n)^1.5: g1 * sqrt(n (n - 1)) / (n - 2); null below 3 rows \
             or without deviation. g1 itself is stats_agg(x)['skewness']",
            "DuckDB skewness, Snowflake SKEW",
            "SELECT skewness(price) FROM trades",
        ),
        |sums, _| {
            let (n, (skewness, _)) = (count(sums), standardized(sums));
            vec![match n > 2.0 {
                true => skewness * (n * (n - 1.0)).sqrt() / (n - 2.0),
                false => f64::NAN,
            }]
        },
    ),
    of_one(
        doc(
            "kurtosis",
            "kurtosis(x) -> double precision",
            "How heavy the tails of a distribution are beside those of a normal one, which has 0, \
             as an estimate from a sample.",
            "with g2 = (m4 / n) / (m2 / n)^2 - 3: ((n + 1) g2 + 6) (n - 1) / ((n - 2) (n - 3)); \
             null below 4 rows or without deviation",
            "DuckDB kurtosis, Snowflake KURTOSIS",
            "SELECT kurtosis(size) FROM trades",
        ),
        |sums, _| {
            let (n, (_, kurtosis)) = (count(sums), standardized(sums));
            let excess = kurtosis - 3.0;
            vec![match n > 3.0 {
                true => ((n + 1.0) * excess + 6.0) * (n - 1.0) / ((n - 2.0) * (n - 3.0)),
                false => f64::NAN,
            }]
        },
    ),
    of_one(
        doc(
            "kurtosis_pop",
            "kurtosis_pop(x) -> double precision",
            "How heavy the tails of these values are beside those of a normal distribution, which \
             has 0.",
            "(m4 / n) / (m2 / n)^2 - 3; null without deviation",
            "DuckDB kurtosis_pop",
            "SELECT kurtosis_pop(price) FROM trades",
        ),
        |sums, _| vec![standardized(sums).1 - 3.0],
    ),
];
