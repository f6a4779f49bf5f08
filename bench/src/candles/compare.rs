//! Whether an answer is the right one.

use crate::Failure;
use crate::trades::{Candle, Candles};

/// How far averages may be apart that were summed up in another order, relative to their size.
const VWAP_TOLERANCE: f64 = 1e-9;

/// Compares all candles; prices and counts exactly.
///
/// # Errors
/// The first difference.
pub fn compare(who: &str, expected: &Candles, found: &Candles) -> Result<(), Failure> {
    for (key, expected) in expected {
        match found.get(key) {
            None => return Err(format!("{who} has no candle {key:?}").into()),
            Some(found) if !same(expected, found) => {
                let difference = format!("{who} has {found:?} for {key:?} instead of {expected:?}");
                return Err(difference.into());
            }
            Some(_) => {}
        }
    }
    if found.len() != expected.len() {
        let counts = format!("{who} has {} candles, not {}", found.len(), expected.len());
        return Err(counts.into());
    }
    Ok(())
}

fn same(expected: &Candle, found: &Candle) -> bool {
    let near = (expected.vwap - found.vwap).abs() <= expected.vwap.abs() * VWAP_TOLERANCE;
    let vwap = expected.vwap;
    near && *expected == Candle { vwap, ..*found }
}

#[cfg(test)]
mod tests;
