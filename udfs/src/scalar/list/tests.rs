//! Tests of the functions of lists: numbers by hand, lists that do not fit, refusals.

use super::{Kind, all};
use crate::trial::{close, refusal_text, rows};

fn check(call: &str, expected: Option<f64>) {
    let found: Option<f64> = rows(&format!("SELECT {call}"))[0].parse().ok();
    let equal = match (found, expected) {
        (Some(a), Some(b)) => close(a, b, 1e-12),
        (a, b) => a == b,
    };
    assert!(equal, "{call}: {found:?}, not {expected:?}");
}

#[test]
fn books() {
    check("book_imbalance([300, 200], [100, 400])", Some(0.0));
    check("book_imbalance([300, 200], [100, 400], 1)", Some(0.5));
    check(
        "book_imbalance([300, 200], [100, 400], levels => 9)",
        Some(0.0),
    );
    check("book_imbalance([300], [100], 0)", None);
    check("book_imbalance([0.0], [0.0])", None);
    check("book_imbalance([300, NULL], [100, 400])", None);
    check("weighted_mid([9.9, 10.1], [300, 100])", Some(9.95));
    check("weighted_mid([9.9], [300, 100])", None);
    check("l2price(150, [100, 200], [10.0, 10.3])", Some(10.1));
    check("l2price(300, [100, 200], [10.0, 10.3])", Some(10.2));
    check("l2price(301, [100, 200], [10.0, 10.3])", None);
    check("l2price(-1, [100], [10.0])", None);
    check("l2price(NULL, [100], [10.0])", None);
}

#[test]
fn portfolios() {
    let terms = "[0.6, 0.4], [[0.04, 0.01], [0.01, 0.09]]";
    let variance = 0.36 * 0.04 + 2.0 * 0.24 * 0.01 + 0.16 * 0.09;
    check(&format!("portfolio_variance({terms})"), Some(variance));
    let risk = 2.326_347_874_040_841 * f64::sqrt(variance);
    check(&format!("portfolio_var({terms}, 0.99)"), Some(risk));
    let sum = format!("array_sum(component_var({terms}, 0.99))");
    check(&sum, Some(risk));
    let first = 2.326_347_874_040_841 * (0.6 * 0.04 + 0.4 * 0.01) / f64::sqrt(variance);
    check(&format!("marginal_var({terms}, 0.99)[1]"), Some(first));
    check("portfolio_variance([0.6, 0.4], [[0.04, 0.01]])", None);
    check("portfolio_var([1.0], [[0.04]], 1.5)", None);
}

#[test]
fn refusals() {
    assert_eq!(
        refusal_text("SELECT l2price(1, 2, 3)"),
        "cannot use Int64 as argument sizes of l2price, expected a list of numbers"
    );
    assert_eq!(
        refusal_text("SELECT portfolio_variance([1.0], [1.0])"),
        "cannot use List(Float64) as argument covariance of portfolio_variance, expected a list \
         of lists of numbers"
    );
}

/// Every call of every function with one number replaced, and with one argument replaced.
#[test]
fn whatever_has_no_value_makes_null() {
    let bad = ["NULL", "'NaN'", "'Infinity'", "'-Infinity'"];
    let float = |text: &str| format!("CAST({text} AS DOUBLE)");
    let list = |numbers: &[String]| format!("[{}]", numbers.join(", "));
    let mut tried = 0;
    for function in all() {
        let name = function.doc.name;
        // Two levels of a book, two weights; a number is 1, whatever it stands for.
        let count = |kind: Kind| match kind {
            Kind::Number => 1,
            Kind::List => 2,
            Kind::Matrix => 4,
        };
        let written = |kind: Kind, numbers: &[String]| match kind {
            Kind::Number => numbers[0].clone(),
            Kind::List => list(numbers),
            Kind::Matrix => list(&[list(&numbers[..2]), list(&numbers[2..])]),
        };
        let good = |kind: Kind| -> Vec<String> {
            let numbers = ["0.5", "0.25", "0.125", "0.75"].into_iter().map(float);
            numbers.take(count(kind)).collect()
        };
        let mut calls = Vec::new();
        for (place, (argument, kind)) in function.arguments.iter().enumerate() {
            // Levels are counted from 1.
            let start = |kind: Kind, argument: &str| match argument {
                "levels" => vec![float("1")],
                _ => good(kind),
            };
            let with = |changed: String| {
                let arguments = function.arguments.iter().enumerate();
                let arguments: Vec<String> = arguments
                    .map(|(index, (argument, kind))| match index == place {
                        true => changed.clone(),
                        false => written(*kind, &start(*kind, argument)),
                    })
                    .collect();
                format!("{name}({}) IS NULL", arguments.join(", "))
            };
            for bad in bad {
                for at in 0..count(*kind) {
                    let mut numbers = start(*kind, argument);
                    numbers[at] = float(bad);
                    calls.push(with(written(*kind, &numbers)));
                }
            }
            if *kind != Kind::Number {
                calls.push(with("NULL".to_owned()));
            }
            if place == 0 {
                let unchanged = with(written(*kind, &start(*kind, argument)));
                assert_eq!(
                    rows(&format!("SELECT {unchanged}")),
                    ["false"],
                    "{unchanged}"
                );
            }
        }
        let found = rows(&format!("SELECT {}", calls.join(", ")));
        let expected = vec!["true"; calls.len()].join(" ");
        assert_eq!(found, [expected], "{name}: {calls:#?}");
        tried += calls.len();
    }
    assert!(tried > 150, "only {tried}");
}
