//! Performance of a series of returns, one row a period.

use super::moments::{add_one, count, deviation, mean};
use super::{ARGUMENTS_MAX, Linear, Sums, doc};
use crate::argument::{ANNUALIZATION, number, optional};

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Linear; 8] = [
    Linear {
        doc: doc(
            "annual_return",
            "annual_return(return [, annualization = 252]) -> double precision",
            "The compound return per year.",
            "product(1 + return)^(annualization / n) - 1; null below -1",
            "empyrical",
            "SELECT annual_return(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        constants: &[ANNUALIZATION],
        outputs: &[],
        add: |&[change, ..], _, sums| {
            sums[1].add(change.ln_1p());
            sums[2].add(f64::from(change == -1.0));
            true
        },
        finish: |sums, constants| vec![compound(sums, 1, 2, constants[0])],
    },
    Linear {
        doc: doc(
            "annual_volatility",
            "annual_volatility(return [, annualization = 252]) -> double precision",
            "The standard deviation of returns per year.",
            "stddev_samp(return) * sqrt(annualization); null below two rows",
            "empyrical",
            "SELECT annual_volatility(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        constants: &[ANNUALIZATION],
        outputs: &[],
        add: |&[change, ..], _, sums| {
            add_one(change, sums);
            true
        },
        finish: |sums, constants| vec![deviation(sums, 1, 2) * constants[0].sqrt()],
    },
    Linear {
        doc: doc(
            "sharpe_ratio",
            "sharpe_ratio(return [, risk_free = 0 [, annualization = 252]]) -> double precision",
            "The mean return above a risk-free one, per unit of standard deviation and per year.",
            "avg(return - risk_free) / stddev_samp(return) * sqrt(annualization); risk_free is per \
             period",
            "empyrical, Sharpe 1994",
            "SELECT sharpe_ratio(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        constants: &[optional("risk_free", 0.0), ANNUALIZATION],
        outputs: &[],
        add: |&[change, ..], _, sums| {
            add_one(change, sums);
            true
        },
        finish: |sums, constants| {
            let excess = mean(sums, 1) - constants[0];
            vec![excess / deviation(sums, 1, 2) * constants[1].sqrt()]
        },
    },
    Linear {
        doc: doc(
            "sortino_ratio",
            "sortino_ratio(return [, target = 0 [, annualization = 252]]) -> double precision",
            "The mean return above a target, per unit of downside risk and per year.",
            "avg(return - target) * annualization / downside_risk(return, target, annualization)",
            "empyrical, Sortino 1994",
            "SELECT sortino_ratio(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        constants: &[optional("target", 0.0), ANNUALIZATION],
        outputs: &[],
        add: add_downside,
        finish: |sums, constants| {
            let excess = (mean(sums, 1) - constants[0]) * constants[1];
            vec![excess / downside(sums, constants)]
        },
    },
    Linear {
        doc: doc(
            "downside_risk",
            "downside_risk(return [, target = 0 [, annualization = 252]]) -> double precision",
            "The deviation of returns below a target, per year.",
            "sqrt(avg(min(return - target, 0)^2) * annualization)",
            "empyrical",
            "SELECT downside_risk(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        constants: &[optional("target", 0.0), ANNUALIZATION],
        outputs: &[],
        add: add_downside,
        finish: |sums, constants| vec![downside(sums, constants)],
    },
    Linear {
        doc: doc(
            "omega_ratio",
            "omega_ratio(return [, threshold = 0]) -> double precision",
            "Gains above a threshold over losses below it.",
            "sum(max(return - threshold, 0)) / sum(max(threshold - return, 0)); null without a \
             loss",
            "empyrical, Keating and Shadwick 2002",
            "SELECT omega_ratio(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        constants: &[optional("threshold", 0.0)],
        outputs: &[],
        add: add_omega,
        finish: |sums, _| vec![sums[1].rounded() / sums[2].rounded()],
    },
    Linear {
        doc: doc(
            "profit_factor",
            "profit_factor(return) -> double precision",
            "Gains over losses.",
            "sum of returns above zero / -sum of returns below zero; null without a loss",
            "standard",
            "SELECT profit_factor(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        constants: &[],
        outputs: &[],
        add: |values, _, sums| add_omega(values, &[0.0], sums),
        finish: |sums, _| vec![sums[1].rounded() / sums[2].rounded()],
    },
    Linear {
        doc: doc(
            "hit_rate",
            "hit_rate(return) -> double precision",
            "The share of rows with a return above zero.",
            "count(return > 0) / count(return)",
            "standard",
            "SELECT hit_rate(price / 10 - 1) FROM trades",
        ),
        arguments: &[number("return")],
        constants: &[],
        outputs: &[],
        add: |&[change, ..], _, sums| {
            sums[1].add(f64::from(change > 0.0));
            true
        },
        finish: |sums, _| vec![mean(sums, 1)],
    },
];

/// Returns the compound return per year from sums of log growths, and of total losses.
pub(super) fn compound(sums: &Sums, growth: usize, losses: usize, periods: f64) -> f64 {
    if sums[losses].rounded() > 0.0 {
        return -1.0;
    }
    (sums[growth].rounded() * periods / count(sums)).exp_m1()
}

fn add_downside(values: &[f64; ARGUMENTS_MAX], constants: &[f64], sums: &mut Sums) -> bool {
    let below = (values[0] - constants[0]).min(0.0);
    sums[1].add(values[0]);
    sums[2].add_product(below, below);
    true
}

fn downside(sums: &Sums, constants: &[f64]) -> f64 {
    (mean(sums, 2) * constants[1]).sqrt()
}

fn add_omega(values: &[f64; ARGUMENTS_MAX], constants: &[f64], sums: &mut Sums) -> bool {
    let above = values[0] - constants[0];
    sums[1].add(above.max(0.0));
    sums[2].add((-above).max(0.0));
    true
}
