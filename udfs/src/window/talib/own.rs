//! TA-Lib's recursive functions as states of our own, which can be saved: what a streaming view
//! runs. TA-Lib's batch functions are the oracle that the tests compare each with.
//!
//! Functions without memory beyond their window are not here: [`super::tail`] asks TA-Lib about
//! the last rows.

mod adaptive;
mod averages;
mod oscillators;
mod ranges;
mod stochastic;
mod totals;
mod waves;
mod wilder;
mod windows;

use ta_lib::abstract_api::FuncId;

use crate::window::step::Step;
use adaptive::{Adaptive, Force, Rays, ZeroLag};
use averages::{Averages, Blend, Keltner, Macd};
use oscillators::{Change, Gains, PairOf, Strength, Triple};
use ranges::{Mass, RangeChange, Stops, Volatility};
use stochastic::{Lead, Momentum, Squashed, StrengthPlace};
use totals::{Heikin, Sar, Total, Totals};
use waves::{Derivative, Waves};
use wilder::{Directional, Range, Ranges, Shown, SuperTrend};

/// TA-Lib's number for the exponential average among its kinds of averages.
const EMA: f64 = 1.0;

/// Functions that kept their last rows before they had a state of their own.
pub(super) const SECOND: [&str; 11] = [
    "CKSP",
    "CVI",
    "DOSC",
    "KDJ",
    "MASSI",
    "PSO",
    "RVI",
    "RVIR",
    "SMI",
    "STOCHRSI",
    "WAVETREND",
];

/// Begins `id` with these parameters; `None` if it has no state of its own.
pub(super) fn begin(id: FuncId, parameters: &[f64]) -> Option<Box<dyn Step>> {
    let rows = |index: usize| parameters.get(index).map_or(1, |rows| *rows as usize);
    let number = |index: usize| parameters.get(index).copied().unwrap_or(f64::NAN);
    Some(match id.name() {
        "EMA" => Averages::ema(1, rows(0), Blend::Last),
        "DEMA" => Averages::ema(2, rows(0), Blend::Double),
        "TEMA" => Averages::ema(3, rows(0), Blend::Triple),
        "T3" => Averages::ema(6, rows(0), Blend::Tillson(number(1))),
        "RMA" => Averages::wilder(rows(0)),
        "KAMA" if rows(0) > 1 => Adaptive::begin(rows(0)),
        "ZLEMA" => ZeroLag::begin(rows(0)),
        "EFI" => Force::begin(rows(0)),
        "ERI" => Rays::begin(rows(0)),
        "MACD" => Macd::begin(rows(0), rows(1), rows(2)),
        "MACDFIX" => Macd::fixed(rows(0)),
        "KC" => Keltner::begin(rows(0), rows(1), number(2)),
        "APO" if number(2) == EMA => PairOf::begin(rows(0), rows(1), false),
        "PPO" | "PVO" if number(2) == EMA => PairOf::begin(rows(0), rows(1), true),
        "TRIX" => Triple::begin(rows(0)),
        "TSI" => Strength::begin(rows(0), rows(1)),
        "RSI" => Gains::begin(rows(0), Change::Rsi),
        "CMO" => Gains::begin(rows(0), Change::Cmo),
        "ATR" => Range::begin(rows(0), Ranges::True),
        "NATR" => Range::begin(rows(0), Ranges::Normalized),
        "SUPERTREND" => SuperTrend::begin(rows(0), number(1)),
        "PLUS_DM" => Directional::begin(rows(0), Shown::PlusMovement),
        "MINUS_DM" => Directional::begin(rows(0), Shown::MinusMovement),
        "PLUS_DI" => Directional::begin(rows(0), Shown::PlusIndicator),
        "MINUS_DI" => Directional::begin(rows(0), Shown::MinusIndicator),
        "DX" => Directional::begin(rows(0), Shown::Index),
        "ADX" => Directional::begin(rows(0), Shown::Average),
        "ADXR" => Directional::begin(rows(0), Shown::Rating),
        "STOCHRSI" => StrengthPlace::begin([rows(0), rows(1), rows(2)], number(3))?,
        "KDJ" => Lead::begin(rows(0), [(rows(1), number(2)), (rows(3), number(4))])?,
        "SMI" => Momentum::begin([rows(0), rows(1), rows(2), rows(3)]),
        "PSO" => Squashed::begin(rows(0), rows(1)),
        "DOSC" => Derivative::begin([rows(0), rows(1), rows(2), rows(3)]),
        "WAVETREND" => Waves::begin([rows(0), rows(1), rows(2)]),
        "RVI" => Volatility::begin(1, rows(0), rows(1)),
        "RVIR" => Volatility::begin(2, rows(0), rows(1)),
        "CVI" => RangeChange::begin(rows(0), rows(1)),
        "MASSI" => Mass::begin(rows(0), rows(1)),
        "CKSP" => Stops::begin(rows(0), number(1), rows(2)),
        "SAR" => Sar::begin(number(0), number(1)),
        "HA" => Heikin::begin(),
        "OBV" => Totals::begin(Total::OnBalance),
        "AD" => Totals::begin(Total::Accumulation),
        "ADOSC" => Totals::begin(Total::Oscillator(rows(0), rows(1))),
        "NVI" => Totals::begin(Total::Negative),
        "PVI" => Totals::begin(Total::Positive),
        "PVT" => Totals::begin(Total::PriceVolume),
        "WAD" => Totals::begin(Total::Williams),
        "ASI" => Totals::begin(Total::Swing(number(0))),
        "CUMSUM" => Totals::begin(Total::Sum),
        "VWAP" => Totals::begin(Total::Average),
        _ => return None,
    })
}
