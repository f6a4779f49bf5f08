//! Performance of returns beside those of a benchmark, one row a period.

use super::moments::{add_one, add_two, deviation, mean};
use super::performance::compound;
use super::{ARGUMENTS_MAX, Linear, Sums, doc, slope};
use crate::argument::{ANNUALIZATION, number, optional};

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Linear; 7] = [
    Linear {
        doc: doc(
            "beta_agg",
            "beta_agg(return, benchmark) -> double precision",
            "How far returns move with those of a benchmark.",
            "cov(return, benchmark) / var(benchmark)",
            "empyrical",
            "SELECT beta_agg(price / 10 - 1, size / 100) FROM trades",
        ),
        arguments: &[number("return"), number("benchmark")],
        constants: &[],
        outputs: &[],
        add: |&[change, benchmark, ..], _, sums| {
            add_two(benchmark, change, sums);
            true
        },
        finish: |sums, _| vec![slope(sums)],
    },
    Linear {
        doc: doc(
            "alpha",
            "alpha(return, benchmark [, risk_free = 0 [, annualization = 252]]) -> double \
             precision",
            "The return per year that a benchmark does not explain.",
            "with e the mean of (return - risk_free) - beta * (benchmark - risk_free): (1 + \
             e)^annualization - 1",
            "empyrical, Jensen 1968",
            "SELECT alpha(price / 10 - 1, size / 100) FROM trades",
        ),
        arguments: &[number("return"), number("benchmark")],
        constants: &[optional("risk_free", 0.0), ANNUALIZATION],
        outputs: &[],
        add: |&[change, benchmark, ..], _, sums| {
            add_two(benchmark, change, sums);
            true
        },
        finish: |sums, constants| {
            let &[risk_free, periods] = constants else {
                return Vec::new();
            };
            let excess = (mean(sums, 2) - risk_free) - slope(sums) * (mean(sums, 1) - risk_free);
            vec![(1.0 + excess).powf(periods) - 1.0]
        },
    },
    Linear {
        doc: doc(
            "treynor_ratio",
            "treynor_ratio(return, benchmark [, risk_free = 0 [, annualization = 252]]) -> double \
             precision",
            "The mean return above a risk-free one per unit of beta and per year.",
            "avg(return - risk_free) * annualization / beta_agg(return, benchmark)",
            "Treynor 1965",
            "SELECT treynor_ratio(price / 10 - 1, size / 100) FROM trades",
        ),
        arguments: &[number("return"), number("benchmark")],
        constants: &[optional("risk_free", 0.0), ANNUALIZATION],
        outputs: &[],
        add: |&[change, benchmark, ..], _, sums| {
            add_two(benchmark, change, sums);
            true
        },
        finish: |sums, constants| vec![(mean(sums, 2) - constants[0]) * constants[1] / slope(sums)],
    },
    Linear {
        doc: doc(
            "information_ratio",
            "information_ratio(return, benchmark) -> double precision",
            "The mean of returns above a benchmark per unit of their standard deviation.",
            "avg(return - benchmark) / stddev_samp(return - benchmark)",
            "empyrical excess_sharpe",
            "SELECT information_ratio(price / 10 - 1, size / 100) FROM trades",
        ),
        arguments: &[number("return"), number("benchmark")],
        constants: &[],
        outputs: &[],
        add: |&[change, benchmark, ..], _, sums| {
            add_one(change - benchmark, sums);
            true
        },
        finish: |sums, _| vec![mean(sums, 1) / deviation(sums, 1, 2)],
    },
    Linear {
        doc: doc(
            "tracking_error",
            "tracking_error(return, benchmark [, annualization = 252]) -> double precision",
            "The standard deviation of returns above a benchmark, per year.",
            "stddev_samp(return - benchmark) * sqrt(annualization)",
            "standard",
            "SELECT tracking_error(price / 10 - 1, size / 100) FROM trades",
        ),
        arguments: &[number("return"), number("benchmark")],
        constants: &[ANNUALIZATION],
        outputs: &[],
        add: |&[change, benchmark, ..], _, sums| {
            add_one(change - benchmark, sums);
            true
        },
        finish: |sums, constants| vec![deviation(sums, 1, 2) * constants[0].sqrt()],
    },
    Linear {
        doc: doc(
            "up_capture",
            "up_capture(return, benchmark [, annualization = 252]) -> double precision",
            "The annual return over that of a benchmark, over periods in which the benchmark rose.",
            "annual_return(return) / annual_return(benchmark) over rows with benchmark > 0",
            "empyrical",
            "SELECT up_capture(price / 10 - 1, size / 100) FROM trades",
        ),
        arguments: &[number("return"), number("benchmark")],
        constants: &[ANNUALIZATION],
        outputs: &[],
        add: |values, _, sums| add_capture(values, values[1] > 0.0, sums),
        finish: capture,
    },
    Linear {
        doc: doc(
            "down_capture",
            "down_capture(return, benchmark [, annualization = 252]) -> double precision",
            "The annual return over that of a benchmark, over periods in which the benchmark fell.",
            "annual_return(return) / annual_return(benchmark) over rows with benchmark < 0",
            "empyrical",
            "SELECT down_capture(price / 10 - 1, size / 10 - 0.25) FROM trades",
        ),
        arguments: &[number("return"), number("benchmark")],
        constants: &[ANNUALIZATION],
        outputs: &[],
        add: |values, _, sums| add_capture(values, values[1] < 0.0, sums),
        finish: capture,
    },
];

fn add_capture(values: &[f64; ARGUMENTS_MAX], counts: bool, sums: &mut Sums) -> bool {
    if counts {
        let [change, benchmark, ..] = *values;
        sums[1].add(change.ln_1p());
        sums[2].add(f64::from(change == -1.0));
        sums[3].add(benchmark.ln_1p());
        sums[4].add(f64::from(benchmark == -1.0));
    }
    counts
}

fn capture(sums: &Sums, constants: &[f64]) -> Vec<f64> {
    vec![compound(sums, 1, 2, constants[0]) / compound(sums, 3, 4, constants[0])]
}
