//! Tests of the distributions against values that SciPy 1.17 gives, in all branches.

use super::{
    normal_density, normal_probability, normal_quantile, root, student_density,
    student_probability, student_quantile,
};
use crate::trial::close;

fn check(found: f64, expected: f64, tolerance: f64) {
    assert!(
        close(found, expected, tolerance),
        "{found:e}, not {expected:e}"
    );
}

#[test]
fn normal() {
    check(normal_probability(0.3), 0.617_911_422_188_952_7, 1e-15);
    check(normal_probability(-1.96), 0.024_997_895_148_220_435, 1e-15);
    check(normal_probability(-8.0), 6.220_960_574_271_786e-16, 1e-13);
    check(normal_density(1.0), 0.241_970_724_519_143_37, 1e-15);
    check(normal_quantile(0.95), 1.644_853_626_951_472_2, 1e-14);
    check(normal_quantile(1e-10), -6.361_340_902_404_056, 1e-14);
    assert_eq!(normal_quantile(0.5), 0.0);
    assert!(normal_quantile(1.0).is_nan());
    for p in [1e-6, 0.02, 0.3, 0.77, 0.999] {
        check(normal_probability(normal_quantile(p)), p, 1e-14);
    }
}

#[test]
fn student() {
    // Two degrees of freedom have closed forms: 1/2 + x / (2 sqrt(2 + x²)).
    for x in [-3.0, -0.5, 0.0, 1.25_f64] {
        let expected = 0.5 + x / (2.0 * (2.0 + x * x).sqrt());
        check(student_probability(x, 2.0), expected, 1e-13);
    }
    check(student_density(0.0, 1.0), 1.0 / std::f64::consts::PI, 1e-13);
    check(student_quantile(0.05, 5.0), -2.015_048_373_333_024, 1e-12);
    check(
        student_quantile(0.99, 4.5),
        -student_quantile(0.01, 4.5),
        1e-12,
    );
}

#[test]
fn roots_are_between_their_bounds() {
    check(root(|x| x * x - 2.0, 0.0, 2.0), 2_f64.sqrt(), 1e-14);
    assert!(root(|x| x * x + 1.0, 0.0, 2.0).is_nan());
}
