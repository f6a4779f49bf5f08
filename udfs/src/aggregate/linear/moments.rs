//! Moments from sums, in twice the precision of a double until the last step.

use super::Sums;
use crate::weighting::Compensated;

/// Adds one variable: Σx, Σx², Σx³, Σx⁴.
pub(super) fn add_one(x: f64, sums: &mut Sums) {
    let square = Compensated::product(x, x);
    sums[1].add(x);
    sums[2].merge(square);
    let mut single = Compensated::default();
    single.add(x);
    sums[3].merge(square.times(single));
    sums[4].merge(square.times(square));
}

/// Adds two variables: Σx, Σy, Σx², Σxy, Σy².
pub(super) fn add_two(x: f64, y: f64, sums: &mut Sums) {
    sums[1].add(x);
    sums[2].add(y);
    sums[3].add_product(x, x);
    sums[4].add_product(x, y);
    sums[5].add_product(y, y);
}

/// Returns how many rows were added.
pub(super) fn count(sums: &Sums) -> f64 {
    sums[0].rounded()
}

/// Returns the mean of the variable that sum `index` adds up.
pub(super) fn mean(sums: &Sums, index: usize) -> f64 {
    sums[index].over(count(sums)).rounded()
}

/// Returns Σ(a − mean a)(b − mean b), given the indices of Σa, Σb and Σab.
pub(super) fn deviations(sums: &Sums, a: usize, b: usize, product: usize) -> f64 {
    let means = sums[a].times(sums[b]).over(count(sums));
    sums[product].minus(means).rounded()
}

/// Returns Σ(x − mean)², never below zero.
pub(super) fn squares(sums: &Sums, x: usize, square: usize) -> f64 {
    deviations(sums, x, x, square).max(0.0)
}

/// Returns the sample standard deviation; NaN below two rows.
pub(super) fn deviation(sums: &Sums, x: usize, square: usize) -> f64 {
    sample_root(squares(sums, x, square), count(sums))
}

/// Returns √(squares / (n − 1)); NaN below two rows.
pub(super) fn sample_root(squares: f64, count: f64) -> f64 {
    if count > 1.0 {
        (squares / (count - 1.0)).sqrt()
    } else {
        f64::NAN
    }
}

/// Returns the third and fourth central moments, summed.
fn higher(sums: &Sums) -> (f64, f64) {
    let n = count(sums);
    let mean = sums[1].over(n);
    let scaled = |sum: Compensated, by: f64| sum.times(Compensated::product(by, 1.0));
    let square = mean.times(mean);
    // Σ(x−m)³ = Σx³ − 3mΣx² + 2nm³
    let third = sums[3]
        .minus(scaled(mean.times(sums[2]), 3.0))
        .minus(scaled(square.times(mean), -2.0 * n));
    // Σ(x−m)⁴ = Σx⁴ − 4mΣx³ + 6m²Σx² − 3nm⁴
    let fourth = sums[4]
        .minus(scaled(mean.times(sums[3]), 4.0))
        .minus(scaled(square.times(sums[2]), -6.0))
        .minus(scaled(square.times(square), 3.0 * n));
    (third.rounded(), fourth.rounded())
}

/// Returns (m3 / n) / (m2 / n)^1.5 and (m4 / n) / (m2 / n)²; NaN where digits do not suffice.
pub(super) fn standardized(sums: &Sums) -> (f64, f64) {
    let n = count(sums);
    let spread = squares(sums, 1, 2) / n;
    let (m3, m4) = higher(sums);
    // Sums have some 31 digits; a mean that is large beside the deviation uses them up.
    let known = |moment: f64, power: i32| {
        let lost = 1e-30 * (mean(sums, 1).abs() / spread.sqrt()).powi(power);
        if lost < 1e-6 { moment } else { f64::NAN }
    };
    (
        known(m3 / n / spread.powf(1.5), 3),
        known(m4 / n / (spread * spread), 4),
    )
}
