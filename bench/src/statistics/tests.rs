//! Medians of odd and even counts.

use super::*;

#[test]
fn the_median_is_in_the_middle() {
    let check = |figures: &[f64], median, min, max| {
        let expected = Spread { median, min, max };
        assert_eq!(Spread::of(figures.iter().copied()), expected);
    };
    check(&[], 0.0, 0.0, 0.0);
    check(&[3.0], 3.0, 3.0, 3.0);
    check(&[4.0, 1.0], 2.5, 1.0, 4.0);
    check(&[9.0, 1.0, 2.0], 2.0, 1.0, 9.0);
}
