//! What one row adds to numerator and denominator, and what becomes of the quotient.

use std::f64::consts::LN_2;

use super::Mean;

impl Mean {
    /// Returns numerator and denominator of a row whose values are finite; `None` if it does not
    /// count.
    pub(super) fn term(self, values: &[f64]) -> Option<(f64, f64)> {
        match (self, values) {
            (Self::Amihud, &[change, volume]) => {
                (volume > 0.0).then(|| (change.abs() / volume, 1.0))
            }
            (Self::EffectiveSpread, &[price, mid, size]) => {
                (size > 0.0).then(|| (2.0 * (price - mid).abs() * size, size))
            }
            (Self::Parkinson, &[high, low]) => {
                let range = positive([high, low]).map(|[high, low]| (high / low).ln())?;
                Some((range * range / (4.0 * LN_2), 1.0))
            }
            (Self::GarmanKlass, &[open, high, low, close]) => {
                let [open, high, low, close] = positive([open, high, low, close])?;
                let (range, body) = ((high / low).ln(), (close / open).ln());
                Some((0.5 * range * range - (2.0 * LN_2 - 1.0) * body * body, 1.0))
            }
            (Self::RogersSatchell, &[open, high, low, close]) => {
                let [open, high, low, close] = positive([open, high, low, close])?;
                let above = (high / close).ln() * (high / open).ln();
                let below = (low / close).ln() * (low / open).ln();
                Some((above + below, 1.0))
            }
            _ => None,
        }
    }

    /// Returns the result for the mean of the terms: estimators of variance become an annualized
    /// volatility.
    pub(super) fn finish(self, mean: f64, factor: f64) -> f64 {
        match self {
            Self::Parkinson | Self::GarmanKlass | Self::RogersSatchell => (mean * factor).sqrt(),
            Self::Amihud => mean * factor,
            Self::EffectiveSpread => mean,
        }
    }
}

fn positive<const N: usize>(values: [f64; N]) -> Option<[f64; N]> {
    values.iter().all(|&value| value > 0.0).then_some(values)
}
