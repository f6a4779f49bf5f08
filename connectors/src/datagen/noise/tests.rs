//! The walk is repeatable and spreads like a Brownian motion.

use super::*;

#[test]
fn numbers_are_uniform_and_repeatable() {
    let stream = Stream::new(7, 1);
    let mean = (0..10_000).map(|i| stream.fraction(i)).sum::<f64>() / 10_000.0;
    assert!((mean - 0.5).abs() < 0.02, "mean {mean}");
    assert_eq!(stream.at(5), Stream::new(7, 1).at(5));
    assert_ne!(stream.at(5), Stream::new(8, 1).at(5));
    assert_ne!(stream.at(5), Stream::new(7, 2).at(5));
    assert!((0..1_000).all(|i| stream.below(i, 10) < 10));
}

#[test]
fn the_walk_spreads_with_the_square_root_of_time() {
    let deviation = |lag_us: i64| {
        let walks = (0..400).map(|name| Walk::new(3, name, 1.0));
        let squares = walks.map(|w| (w.at(1_000_000_000 + lag_us) - w.at(1_000_000_000)).powi(2));
        (squares.sum::<f64>() / 400.0).sqrt()
    };
    for lag_s in [1, 10, 100, 1_000] {
        let ratio = deviation(lag_s * 1_000_000) / (lag_s as f64).sqrt();
        assert!((0.75..1.3).contains(&ratio), "lag {lag_s} s: {ratio}");
    }
}
