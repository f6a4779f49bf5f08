//! Aggregates of a path: what depends on the order of the rows in time.
//!
//! The order is that of the time argument; equal times follow arrival. Rows with a null, NaN or
//! infinite argument do not count, nor do prices at or below zero where their logarithm is taken.
//! A group keeps all its rows until its result is asked for, so its state grows with them.

pub(crate) mod asap;
mod bounded;
pub(crate) mod downsample;
mod measure;
mod path;
pub(crate) mod time_weight;

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::AnyFold;
use bounded::BoundedFold;
use path::PathFold;

/// What is measured along a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Measure {
    /// The sum of squared log returns.
    RealizedVariance,
    /// The root of the sum of squared log returns times a factor.
    RealizedVol,
    /// Bipower variation, which jumps hardly touch.
    BipowerVariation,
    /// The share of upward returns in the realized variance.
    RealizedSemivarUp,
    /// The share of downward returns in the realized variance.
    RealizedSemivarDown,
    /// The part of the realized variance that jumps make up.
    JumpRatio,
    /// Roll's estimate of the spread.
    RollSpread,
    /// The mean price, weighted by the time it stood.
    Twap,
    /// The mean spread, weighted by the time it stood.
    QuotedSpread,
    /// Order-flow imbalance of the best quotes.
    OrderFlowImbalance,
}

/// How many arguments `twap` has between bounds.
const BOUNDED: usize = 4;

impl Measure {
    /// All measures.
    pub(crate) const ALL: [Self; 10] = [
        Self::RealizedVariance,
        Self::RealizedVol,
        Self::BipowerVariation,
        Self::RealizedSemivarUp,
        Self::RealizedSemivarDown,
        Self::JumpRatio,
        Self::RollSpread,
        Self::Twap,
        Self::QuotedSpread,
        Self::OrderFlowImbalance,
    ];

    /// The names of the numbers that precede the time argument.
    fn values(self) -> &'static [&'static str] {
        match self {
            Self::QuotedSpread => &["bid", "ask"],
            Self::OrderFlowImbalance => &["bid", "bid_size", "ask", "ask_size"],
            _ => &["price"],
        }
    }

    /// Whether an annualization factor may follow the time argument.
    fn is_annualized(self) -> bool {
        self == Self::RealizedVol
    }
}

impl Aggregate for Measure {
    fn call(&self) -> Call {
        let (function, signature) = match self {
            Self::RealizedVariance => ("realized_variance", "realized_variance(price, ts)"),
            Self::RealizedVol => ("realized_vol", "realized_vol(price, ts [, annualization])"),
            Self::BipowerVariation => ("bipower_variation", "bipower_variation(price, ts)"),
            Self::RealizedSemivarUp => ("realized_semivar_up", "realized_semivar_up(price, ts)"),
            Self::RealizedSemivarDown => {
                ("realized_semivar_down", "realized_semivar_down(price, ts)")
            }
            Self::JumpRatio => ("jump_ratio", "jump_ratio(price, ts)"),
            Self::RollSpread => ("roll_spread", "roll_spread(price, ts)"),
            Self::Twap => ("twap", "twap(price, ts [, start, end])"),
            Self::QuotedSpread => ("quoted_spread_tw", "quoted_spread_tw(bid, ask, ts)"),
            Self::OrderFlowImbalance => (
                "order_flow_imbalance",
                "order_flow_imbalance(bid, bid_size, ask, ask_size, ts)",
            ),
        };
        Call {
            function,
            signature,
        }
    }

    fn aliases(&self) -> &'static [&'static str] {
        match self {
            Self::RealizedVol => &["realized_volatility"],
            _ => &[],
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (call, values) = (self.call(), self.values());
        let least = values.len() + 1;
        if *self == Self::Twap && types.len() == BOUNDED {
            call.number("price", &types[0])?;
            let time = call.time("ts", &types[1])?;
            for (name, found) in ["start", "end"].into_iter().zip(&types[2..]) {
                call.time(name, found)?;
            }
            return Ok(vec![DataType::Float64, time.clone(), time.clone(), time]);
        }
        call.count(types, least, least + usize::from(self.is_annualized()))?;
        let mut coerced = Vec::with_capacity(types.len());
        for (name, found) in values.iter().zip(types) {
            call.number(name, found)?;
            coerced.push(DataType::Float64);
        }
        coerced.push(call.time("ts", &types[values.len()])?);
        if let Some(factor) = types.get(least) {
            call.number("annualization", factor)?;
            coerced.push(DataType::Float64);
        }
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn fold(
        &self,
        types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        if *self == Self::Twap && types.len() == BOUNDED {
            return Ok(Box::new(BoundedFold::new()));
        }
        let given = constants.and_then(|exprs| exprs.get(self.values().len() + 1));
        let factor = match given {
            Some(expr) => factor(self.call(), "annualization", expr)?,
            None => 1.0,
        };
        Ok(match self.values().len() {
            1 => Box::new(PathFold::<1> {
                measure: *self,
                factor,
            }),
            2 => Box::new(PathFold::<2> {
                measure: *self,
                factor,
            }),
            4 => Box::new(PathFold::<4> {
                measure: *self,
                factor,
            }),
            other => return internal_err!("no path has {other} values"),
        })
    }
}

/// Returns how many units of a column of times a second has.
pub(crate) fn per_second(time: Option<&DataType>) -> f64 {
    match time {
        Some(DataType::Timestamp(TimeUnit::Second, _)) => 1.0,
        Some(DataType::Timestamp(TimeUnit::Millisecond, _)) => 1e3,
        Some(DataType::Timestamp(TimeUnit::Nanosecond, _)) => 1e9,
        _ => 1e6,
    }
}

/// Reads a factor, such as an annualization of 252: a positive constant.
pub(super) fn factor(
    call: Call,
    argument: &'static str,
    expr: &Arc<dyn PhysicalExpr>,
) -> Result<f64> {
    match call.constant(argument, expr)? {
        ScalarValue::Float64(Some(factor)) if factor > 0.0 && factor.is_finite() => Ok(factor),
        other => Err(FunctionError::OutOfRange {
            function: call.function,
            argument,
            value: other.to_string(),
            range: "a positive number".into(),
        }
        .into()),
    }
}

#[cfg(test)]
mod tests;
