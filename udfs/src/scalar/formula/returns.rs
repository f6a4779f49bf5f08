//! Formulas of returns, volatilities and the normal distribution.

use super::{Formula, doc, number, one};
use crate::argument::number as argument;
use crate::distribution::{normal_density, normal_probability, normal_quantile};

/// The formulas of this subject.
pub(super) const FORMULAS: [Formula; 8] = [
    number(
        doc(
            "log_return",
            "log_return(price, previous) -> double precision",
            "The logarithmic return.",
            "ln(price / previous); null unless both are above zero",
            "standard",
            "SELECT log_return(close(candle), open(candle)) FROM bars",
        ),
        &[argument("price"), argument("previous")],
        |&[a, b, ..]| {
            one(if a > 0.0 && b > 0.0 {
                (a / b).ln()
            } else {
                f64::NAN
            })
        },
    ),
    number(
        doc(
            "simple_return",
            "simple_return(price, previous) -> double precision",
            "The simple return.",
            "price / previous - 1",
            "standard",
            "SELECT simple_return(close(candle), open(candle)) FROM bars",
        ),
        &[argument("price"), argument("previous")],
        |&[a, b, ..]| one(a / b - 1.0),
    ),
    number(
        doc(
            "bps",
            "bps(value, reference) -> double precision",
            "How far a value lies above a reference, in basis points.",
            "10000 * (value / reference - 1)",
            "standard",
            "SELECT bps(close(candle), open(candle)) FROM bars",
        ),
        &[argument("value"), argument("reference")],
        |&[a, b, ..]| one(1e4 * (a / b - 1.0)),
    ),
    number(
        doc(
            "annualize_vol",
            "annualize_vol(volatility, periods_per_year) -> double precision",
            "A volatility per period as one per year.",
            "volatility * sqrt(periods_per_year)",
            "standard",
            "SELECT annualize_vol(size / 100, 252) FROM trades",
        ),
        &[argument("volatility"), argument("periods_per_year")],
        |&[a, b, ..]| one(a * b.sqrt()),
    ),
    number(
        doc(
            "norm_cdf",
            "norm_cdf(x) -> double precision",
            "The probability that a standard normal variable is at most x.",
            "(1 + erf(x / sqrt(2))) / 2",
            "Cody 1969",
            "SELECT norm_cdf(price - 10) FROM trades",
        ),
        &[argument("x")],
        |&[a, ..]| one(normal_probability(a)),
    ),
    number(
        doc(
            "norm_pdf",
            "norm_pdf(x) -> double precision",
            "The density of the standard normal distribution.",
            "exp(-x^2 / 2) / sqrt(2 pi)",
            "standard",
            "SELECT norm_pdf(price - 10) FROM trades",
        ),
        &[argument("x")],
        |&[a, ..]| one(normal_density(a)),
    ),
    number(
        doc(
            "norm_ppf",
            "norm_ppf(p) -> double precision",
            "The quantile of the standard normal distribution.",
            "the x with norm_cdf(x) = p; null unless 0 < p < 1",
            "Acklam 2003, refined by Halley steps",
            "SELECT norm_ppf(price / 100) FROM trades",
        ),
        &[argument("p")],
        |&[a, ..]| one(normal_quantile(a)),
    ),
    number(
        doc(
            "sign",
            "sign(x) -> double precision",
            "The sign of a number: -1, 0 or 1.",
            "x / abs(x), 0 for 0",
            "PostgreSQL sign",
            "SELECT sign(price - 10) FROM trades",
        ),
        &[argument("x")],
        |&[a, ..]| one(if a == 0.0 { 0.0 } else { a.signum() }),
    ),
];
