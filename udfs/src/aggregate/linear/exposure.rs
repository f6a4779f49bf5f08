//! Exposures of positions.

use super::{Linear, doc};
use crate::argument::number;

/// The aggregates of this subject.
pub(super) const AGGREGATES: [Linear; 5] = [
    Linear {
        doc: doc(
            "gross_exposure",
            "gross_exposure(market_value) -> double precision",
            "The exposure of all positions, whatever their sign.",
            "sum(|market_value|)",
            "standard",
            "SELECT gross_exposure(price * size) FROM trades",
        ),
        arguments: &[number("market_value")],
        constants: &[],
        outputs: &[],
        add: |&[value, ..], _, sums| {
            sums[1].add(value.abs());
            true
        },
        finish: |sums, _| vec![sums[1].rounded()],
    },
    Linear {
        doc: doc(
            "net_exposure",
            "net_exposure(market_value) -> double precision",
            "The exposure of long less short positions.",
            "sum(market_value)",
            "standard",
            "SELECT net_exposure(price * size) FROM trades",
        ),
        arguments: &[number("market_value")],
        constants: &[],
        outputs: &[],
        add: |&[value, ..], _, sums| {
            sums[1].add(value);
            true
        },
        finish: |sums, _| vec![sums[1].rounded()],
    },
    Linear {
        doc: doc(
            "long_exposure",
            "long_exposure(market_value) -> double precision",
            "The exposure of long positions.",
            "sum of market_value above zero, 0 if there is none",
            "standard",
            "SELECT long_exposure(price * size) FROM trades",
        ),
        arguments: &[number("market_value")],
        constants: &[],
        outputs: &[],
        add: |&[value, ..], _, sums| {
            sums[1].add(value.max(0.0));
            true
        },
        finish: |sums, _| vec![sums[1].rounded()],
    },
    Linear {
        doc: doc(
            "short_exposure",
            "short_exposure(market_value) -> double precision",
            "The exposure of short positions, as a positive number.",
            "-sum of market_value below zero, 0 if there is none",
            "standard",
            "SELECT short_exposure(price * size) FROM trades",
        ),
        arguments: &[number("market_value")],
        constants: &[],
        outputs: &[],
        add: |&[value, ..], _, sums| {
            sums[1].add((-value).max(0.0));
            true
        },
        finish: |sums, _| vec![sums[1].rounded()],
    },
    Linear {
        doc: doc(
            "hhi",
            "hhi(weight) -> double precision",
            "How concentrated weights are: 1 if one holds all, 1/n if n hold the same \
             (Herfindahl's index).",
            "sum(weight^2) / sum(|weight|)^2",
            "Herfindahl 1950, Hirschman 1945",
            "SELECT hhi(price * size) FROM trades",
        ),
        arguments: &[number("weight")],
        constants: &[],
        outputs: &[],
        add: |&[weight, ..], _, sums| {
            sums[1].add(weight.abs());
            sums[2].add_product(weight, weight);
            true
        },
        finish: |sums, _| vec![sums[2].rounded() / sums[1].rounded().powi(2)],
    },
];
