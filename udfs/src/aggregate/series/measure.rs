//! The formulas of the measures, over rows in order of time.

use std::f64::consts::FRAC_PI_2;

use super::Measure;
use super::path::Point;

impl Measure {
    /// Returns whether a row counts.
    pub(super) fn accepts<const N: usize>(self, values: &[f64; N]) -> bool {
        let needs_logarithm = !matches!(
            self,
            Self::RollSpread | Self::Twap | Self::QuotedSpread | Self::OrderFlowImbalance
        );
        values
            .iter()
            .all(|value| value.is_finite() && (!needs_logarithm || *value > 0.0))
    }

    /// Returns the measure of rows in order of time; `None` if there are too few.
    pub(super) fn evaluate<const N: usize>(self, path: &[Point<N>], factor: f64) -> Option<f64> {
        match self {
            Self::RealizedVariance => realized(path, |_| true),
            Self::RealizedVol => Some((realized(path, |_| true)? * factor).sqrt()),
            Self::RealizedSemivarUp => realized(path, |change| change > 0.0),
            Self::RealizedSemivarDown => realized(path, |change| change < 0.0),
            Self::BipowerVariation => bipower(path),
            Self::JumpRatio => {
                let variance = realized(path, |_| true).filter(|&variance| variance > 0.0)?;
                Some((1.0 - bipower(path)? / variance).max(0.0))
            }
            Self::RollSpread => roll_spread(path),
            Self::Twap => time_weighted(path, first),
            Self::QuotedSpread => time_weighted(path, |values| match values {
                [bid, ask, ..] => ask - bid,
                _ => f64::NAN,
            }),
            Self::OrderFlowImbalance => order_flow_imbalance(path),
        }
    }
}

fn first(values: &[f64]) -> f64 {
    values.first().copied().unwrap_or(f64::NAN)
}

/// Returns the log returns between neighbours.
fn log_returns<const N: usize>(path: &[Point<N>]) -> Vec<f64> {
    let price = |point: &Point<N>| first(&point.values);
    path.windows(2)
        .map(|pair| (price(&pair[1]) / price(&pair[0])).ln())
        .collect()
}

/// Returns the sum of those squared returns that `counts` picks; `None` below two prices.
fn realized<const N: usize>(path: &[Point<N>], counts: impl Fn(f64) -> bool) -> Option<f64> {
    let returns = log_returns(path);
    if returns.is_empty() {
        return None;
    }
    Some(
        returns
            .iter()
            .filter(|&&change| counts(change))
            .map(|change| change * change)
            .sum(),
    )
}

/// Returns π/2 · Σ |r[i]| |r[i-1]|; `None` below three prices.
fn bipower<const N: usize>(path: &[Point<N>]) -> Option<f64> {
    let returns = log_returns(path);
    if returns.len() < 2 {
        return None;
    }
    let products = returns.windows(2).map(|pair| pair[0].abs() * pair[1].abs());
    Some(FRAC_PI_2 * products.sum::<f64>())
}

/// Returns 2 · √(−cov) of neighbouring price changes, the covariance over n − 1; `None` below
/// four prices or where it is not negative.
fn roll_spread<const N: usize>(path: &[Point<N>]) -> Option<f64> {
    let changes: Vec<f64> = path
        .windows(2)
        .map(|pair| first(&pair[1].values) - first(&pair[0].values))
        .collect();
    let (now, before) = (
        changes.get(1..)?,
        changes.get(..changes.len().checked_sub(1)?)?,
    );
    if now.len() < 2 {
        return None;
    }
    let count = now.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (mean_now, mean_before) = (mean(now), mean(before));
    let products = now
        .iter()
        .zip(before)
        .map(|(a, b)| (a - mean_now) * (b - mean_before));
    let covariance = products.sum::<f64>() / (count - 1.0);
    (covariance < 0.0).then(|| 2.0 * (-covariance).sqrt())
}

/// Returns the mean of `value`, each weighted by the time until the next row; the last row of
/// equal times stands, and all rows at one time give that row's value.
fn time_weighted<const N: usize>(path: &[Point<N>], value: impl Fn(&[f64]) -> f64) -> Option<f64> {
    let (first, last) = (path.first()?, path.last()?);
    if first.time == last.time {
        return Some(value(&last.values));
    }
    let weighted = path.windows(2).map(|pair| {
        let lasted = pair[1].time as i128 - pair[0].time as i128;
        value(&pair[0].values) * lasted as f64
    });
    let total = last.time as i128 - first.time as i128;
    Some(weighted.sum::<f64>() / total as f64)
}

/// Returns the sum of the quote changes' contributions (Cont, Kukanov and Stoikov 2014): a bid
/// that rises adds its size, one that falls takes the previous size away, one that stays adds
/// the change of its size; the ask mirrors it. 0 for a single quote.
fn order_flow_imbalance<const N: usize>(path: &[Point<N>]) -> Option<f64> {
    let side = |price: f64, size: f64, price_before: f64, size_before: f64| {
        let added = if price >= price_before { size } else { 0.0 };
        let taken = if price <= price_before {
            size_before
        } else {
            0.0
        };
        added - taken
    };
    let contribution = |pair: &[Point<N>]| match (pair[1].values.as_slice(), &pair[0].values[..]) {
        (&[bid, bid_size, ask, ask_size], &[bid_0, bid_size_0, ask_0, ask_size_0]) => {
            let bids = side(bid, bid_size, bid_0, bid_size_0);
            // An ask that falls is supply arriving, as a bid that rises is demand.
            bids - side(-ask, ask_size, -ask_0, ask_size_0)
        }
        _ => f64::NAN,
    };
    path.first()?;
    Some(path.windows(2).map(contribution).sum())
}
