//! Tests of the functions of lists: numbers by hand, lists that do not fit, refusals.

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
