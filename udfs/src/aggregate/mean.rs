//! Aggregates that are a quotient of two sums over rows: spreads, liquidity and volatility
//! estimated from bars.
//!
//! Rows with a null, NaN or infinite argument do not count, nor do rows that a formula's own
//! condition excludes (a zero volume, a price at or below zero under a logarithm). A group
//! without a row that counts, or whose denominators sum to zero, is null.

mod term;

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use super::sample::Sample;
use super::sample::order::AMIHUD;
use super::series::factor;
use crate::arguments::Call;
use crate::fold::{AnyFold, Fold, Rows, column};
use crate::registry::{FunctionDoc, FunctionKind};
use crate::weighting::{Compensated, RunningSum};

/// What a person wants to know about `amihud`, which has two forms.
pub(crate) const AMIHUD_DOC: FunctionDoc = FunctionDoc {
    name: "amihud",
    kind: FunctionKind::Aggregate,
    signature: "amihud(ret, dollar_volume [, scale = 1]) | amihud(price, dollar_volume, ts [, \
                scale = 1]) -> double precision",
    description: "Illiquidity: the mean move per unit of money traded.",
    formula: "scale * mean of |ret| / dollar_volume, scale often 1e6; rows without volume do not \
              count; of prices in order of time ret is price / previous price - 1, of which the \
              first row has none; prices at or below zero do not count",
    reference: "Amihud 2002",
    example: "SELECT symbol, amihud(simple_return(close(candle), open(candle)), vwap(candle) * \
              volume(candle)), amihud(close(candle), volume(candle), ts, 1e6) FROM bars GROUP BY \
              symbol",
};

/// Which quotient.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mean {
    /// Amihud's illiquidity.
    Amihud,
    /// Size-weighted effective spread.
    EffectiveSpread,
    /// Parkinson's volatility from high and low.
    Parkinson,
    /// Garman's and Klass's volatility from whole bars.
    GarmanKlass,
    /// Rogers's and Satchell's volatility from whole bars, free of drift.
    RogersSatchell,
}

impl Mean {
    /// All quotients.
    pub(crate) const ALL: [Self; 5] = [
        Self::Amihud,
        Self::EffectiveSpread,
        Self::Parkinson,
        Self::GarmanKlass,
        Self::RogersSatchell,
    ];

    /// The names of the arguments of every row.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Amihud => &["ret", "dollar_volume"],
            Self::EffectiveSpread => &["price", "mid", "size"],
            Self::Parkinson => &["high", "low"],
            Self::GarmanKlass | Self::RogersSatchell => &["open", "high", "low", "close"],
        }
    }

    /// The form that takes prices in order of time, if the arguments are those.
    fn over_time(self, types: &[DataType]) -> Option<Sample> {
        let is_time = types.get(2).is_some_and(DataType::is_temporal);
        (self == Self::Amihud && is_time).then_some(AMIHUD)
    }

    /// The name of the factor that may follow, 1 if it is left out.
    fn factor(self) -> Option<&'static str> {
        match self {
            Self::Amihud => Some("scale"),
            Self::EffectiveSpread => None,
            Self::Parkinson | Self::GarmanKlass | Self::RogersSatchell => Some("annualization"),
        }
    }
}

impl Aggregate for Mean {
    fn call(&self) -> Call {
        let (function, signature) = match self {
            Self::Amihud => (
                "amihud",
                "amihud(ret, dollar_volume [, scale]) | amihud(price, dollar_volume, ts [, scale])",
            ),
            Self::EffectiveSpread => ("effective_spread", "effective_spread(price, mid, size)"),
            Self::Parkinson => (
                "parkinson_vol",
                "parkinson_vol(high, low [, annualization])",
            ),
            Self::GarmanKlass => (
                "garman_klass_vol",
                "garman_klass_vol(open, high, low, close [, annualization])",
            ),
            Self::RogersSatchell => (
                "rogers_satchell_vol",
                "rogers_satchell_vol(open, high, low, close [, annualization])",
            ),
        };
        Call {
            function,
            signature,
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if let Some(form) = self.over_time(types) {
            return form.coerce(types);
        }
        let (call, names) = (self.call(), self.arguments());
        call.count(
            types,
            names.len(),
            names.len() + usize::from(self.factor().is_some()),
        )?;
        let names = names.iter().copied().chain(self.factor());
        let coerce = |(name, found): (&'static str, &DataType)| {
            call.number(name, found).map(|_| DataType::Float64)
        };
        names.zip(types).map(coerce).collect()
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn fold(
        &self,
        types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        if let Some(form) = self.over_time(types) {
            return form.fold(types, constants);
        }
        let given = constants.and_then(|exprs| exprs.get(self.arguments().len()));
        let factor = match given {
            Some(expr) => factor(self.call(), self.factor().unwrap_or_default(), expr)?,
            None => 1.0,
        };
        Ok(Box::new(MeanFold {
            mean: *self,
            factor,
        }))
    }
}

/// Sums numerators and denominators.
#[derive(Debug)]
struct MeanFold {
    mean: Mean,
    factor: f64,
}

/// The two sums and whether any row counted.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    numerators: Compensated,
    denominators: Compensated,
    any: bool,
}

impl Fold for MeanFold {
    type State = Sums;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        let columns = |name| {
            Compensated::column_types()
                .into_iter()
                .map(move |kind| (name, kind))
        };
        let sums = columns("numerators").chain(columns("denominators"));
        sums.chain([("any", DataType::Boolean)]).collect()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let count = self.mean.arguments().len();
        let columns: Vec<&Float64Array> = rows.columns[..count]
            .iter()
            .map(|column| column.as_primitive::<Float64Type>())
            .collect();
        let mut values = vec![0.0; count];
        let required: Vec<usize> = (0..count).collect();
        rows.each(&required, |row, group| {
            for (value, column) in values.iter_mut().zip(&columns) {
                *value = column.value(row);
            }
            let term = values.iter().all(|value| value.is_finite());
            let Some((numerator, denominator)) = term.then(|| self.mean.term(&values)).flatten()
            else {
                return Ok(());
            };
            let state = &mut states[group];
            state.numerators.add(numerator);
            state.denominators.add(denominator);
            state.any = true;
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let any = rows.columns[4].as_boolean();
        rows.each(&[], |row, group| {
            let state = &mut states[group];
            state
                .numerators
                .merge(Compensated::from_columns(&rows.columns[..2], row));
            state
                .denominators
                .merge(Compensated::from_columns(&rows.columns[2..4], row));
            state.any |= any.value(row);
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let mut columns = Compensated::to_columns(states.iter().map(|state| state.numerators));
        columns.extend(Compensated::to_columns(
            states.iter().map(|state| state.denominators),
        ));
        let any = states
            .iter()
            .map(|state| Some(state.any))
            .collect::<BooleanArray>();
        columns.push(Arc::new(any));
        Ok(columns)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let quotient = |state: &Self::State| {
            let denominator = state
                .denominators
                .value()
                .filter(|&sum| state.any && sum != 0.0)?;
            let mean = state.numerators.value()? / denominator;
            Some(self.mean.finish(mean, self.factor)).filter(|result| result.is_finite())
        };
        let quotients = states.iter().map(|state| Ok(quotient(state)));
        column::<Float64Type>(DataType::Float64, quotients)
    }
}

#[cfg(test)]
mod tests;
