//! Weights and covariances of a portfolio.

use super::{Kind, ListFunction};
use crate::distribution::normal_quantile;
use crate::registry::{FunctionDoc, FunctionKind};

/// What the functions of value at risk are called with.
const RISK: &[(&str, Kind)] = &[
    ("weights", Kind::List),
    ("covariance", Kind::Matrix),
    ("confidence", Kind::Number),
];

/// The confidence that is meant if none is given.
const CONFIDENCE: f64 = 0.95;

/// The functions of portfolios.
pub(super) const FUNCTIONS: [ListFunction; 5] = [
    ListFunction {
        doc: FunctionDoc {
            name: "portfolio_variance",
            kind: FunctionKind::Scalar,
            signature: "portfolio_variance(weights, covariance) -> double precision",
            description: "The variance of a portfolio's return.",
            formula: "w' C w; null unless C is as wide and high as w is long",
            reference: "Markowitz 1952",
            example: "SELECT portfolio_variance([0.6, 0.4], [[0.04, 0.01], [0.01, price / 100]]) \
                      FROM trades",
        },
        arguments: &[("weights", Kind::List), ("covariance", Kind::Matrix)],
        required: 2,
        result: Kind::Number,
        evaluate: |arguments| {
            let (weights, products) = products(arguments)?;
            Some(vec![dot(weights, &products)])
        },
    },
    ListFunction {
        doc: FunctionDoc {
            name: "portfolio_var",
            kind: FunctionKind::Scalar,
            signature: "portfolio_var(weights, covariance [, confidence = 0.95]) \
                        -> double precision",
            description: "The value at risk of a portfolio with normal returns of mean zero; a \
                          loss is positive.",
            formula: "z sqrt(w' C w) with z = norm_ppf(confidence)",
            reference: "RiskMetrics 1996",
            example: "SELECT portfolio_var([0.6, 0.4], [[0.04, 0.01], [0.01, price / 100]], 0.99) \
                      FROM trades",
        },
        arguments: RISK,
        required: 2,
        result: Kind::Number,
        evaluate: |arguments| {
            let (weights, products) = products(arguments)?;
            Some(vec![quantile(arguments) * dot(weights, &products).sqrt()])
        },
    },
    ListFunction {
        doc: FunctionDoc {
            name: "marginal_var",
            kind: FunctionKind::Scalar,
            signature: "marginal_var(weights, covariance [, confidence = 0.95]) \
                        -> double precision[]",
            description: "How the value at risk of a portfolio changes with each weight.",
            formula: "z C w / sqrt(w' C w) with z = norm_ppf(confidence)",
            reference: "Jorion, Value at Risk",
            example: "SELECT marginal_var([0.6, 0.4], [[0.04, 0.01], [0.01, price / 100]]) FROM \
                      trades",
        },
        arguments: RISK,
        required: 2,
        result: Kind::List,
        evaluate: marginal,
    },
    ListFunction {
        doc: FunctionDoc {
            name: "component_var",
            kind: FunctionKind::Scalar,
            signature: "component_var(weights, covariance [, confidence = 0.95]) \
                        -> double precision[]",
            description: "What each position adds to the value at risk of a portfolio; the parts \
                          sum to portfolio_var.",
            formula: "each weight times its marginal_var",
            reference: "Jorion, Value at Risk",
            example: "SELECT component_var([0.6, 0.4], [[0.04, 0.01], [0.01, price / 100]]) FROM \
                      trades",
        },
        arguments: RISK,
        required: 2,
        result: Kind::List,
        evaluate: |arguments| {
            let marginal = marginal(arguments)?;
            let parts = arguments.first()?.iter().zip(marginal);
            Some(parts.map(|(weight, marginal)| weight * marginal).collect())
        },
    },
    ListFunction {
        doc: FunctionDoc {
            name: "min_variance_weights",
            kind: FunctionKind::Scalar,
            signature: "min_variance_weights(covariance) -> double precision[]",
            description: "The weights that sum to one and give a portfolio its least variance; \
                          short positions are allowed.",
            formula: "inv(C) 1 / (1' inv(C) 1); null for a matrix that is not square or has no \
                      inverse",
            reference: "Markowitz 1952",
            example: "SELECT min_variance_weights([[0.04, 0.01], [0.01, price / 100]]) FROM trades",
        },
        arguments: &[("covariance", Kind::Matrix)],
        required: 1,
        result: Kind::List,
        evaluate: |arguments| least_variance(arguments.first()?),
    },
];

/// Solves C w = 1 by elimination with pivots, and scales the weights to a sum of one.
fn least_variance(covariance: &[f64]) -> Option<Vec<f64>> {
    let size = (1..=covariance.len()).find(|size| size * size >= covariance.len())?;
    if size * size != covariance.len() {
        return None;
    }
    let mut rows: Vec<Vec<f64>> = covariance.chunks_exact(size).map(<[f64]>::to_vec).collect();
    let largest = covariance.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let mut weights = vec![1.0; size];
    for column in 0..size {
        let below = (column..size)
            .max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, below);
        weights.swap(column, below);
        let pivot = rows[column][column];
        // What is left of a pivot of dependent rows are rounding errors.
        if pivot.abs() <= 1e-13 * largest {
            return None;
        }
        let eliminated = rows[column].clone();
        for row in column + 1..size {
            let factor = rows[row][column] / pivot;
            for (left, taken) in rows[row].iter_mut().zip(&eliminated).skip(column) {
                *left -= factor * taken;
            }
            weights[row] -= factor * weights[column];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size)
            .map(|place| rows[row][place] * weights[place])
            .sum();
        weights[row] = (weights[row] - known) / rows[row][row];
    }
    let sum: f64 = weights.iter().sum();
    Some(weights.into_iter().map(|weight| weight / sum).collect())
}

/// Returns the weights and the covariance matrix times them.
fn products(arguments: &[Vec<f64>]) -> Option<(&[f64], Vec<f64>)> {
    let [weights, covariance, ..] = arguments else {
        return None;
    };
    if weights.is_empty() || covariance.len() != weights.len() * weights.len() {
        return None;
    }
    let rows = covariance.chunks_exact(weights.len());
    Some((weights, rows.map(|row| dot(row, weights)).collect()))
}

fn marginal(arguments: &[Vec<f64>]) -> Option<Vec<f64>> {
    let (weights, products) = products(arguments)?;
    let deviation = dot(weights, &products).sqrt();
    let quantile = quantile(arguments);
    Some(
        products
            .iter()
            .map(|product| quantile * product / deviation)
            .collect(),
    )
}

fn quantile(arguments: &[Vec<f64>]) -> f64 {
    let given = arguments.get(2).and_then(|confidence| confidence.first());
    normal_quantile(given.copied().unwrap_or(CONFIDENCE))
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
