//! `ohlcv(ts, price, size)`: the five numbers of a bar without its times.
//!
//! The same ticks count as in `candlestick_agg`, with the same values.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Fields};
use datafusion::common::Result;
use datafusion::physical_plan::PhysicalExpr;

use super::{CandlestickAgg, Ticks, shape_of};
use crate::aggregate::Aggregate;
use crate::arguments::Call;
use crate::fold::{AnyFold, Fold, Rows};
use crate::weighting::{DecimalPrices, Decimals, Floats, Weighting};

/// open, high, low, close, volume: the first fields of a candlestick.
const FIELD_COUNT: usize = 5;

/// The aggregate function `ohlcv`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Ohlcv;

impl Aggregate for Ohlcv {
    fn call(&self) -> Call {
        Call {
            function: "ohlcv",
            signature: "ohlcv(ts, price, size)",
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.call().count(types, 3, 3)?;
        CandlestickAgg.coerce(types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields(&shape_of(types)?.fields())))
    }

    fn fold(
        &self,
        types: &[DataType],
        _constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let shape = shape_of(types)?;
        Ok(match (&types[1], types.get(2)) {
            (DataType::Decimal128(precision, scale), Some(DataType::Decimal128(_, size))) => {
                let weighting = Decimals::new(*precision, *scale, *size);
                Box::new(Five {
                    ticks: Ticks { shape, weighting },
                })
            }
            (DataType::Decimal128(_, scale), _) => {
                let weighting = DecimalPrices::new(*scale);
                Box::new(Five {
                    ticks: Ticks { shape, weighting },
                })
            }
            _ => Box::new(Five {
                ticks: Ticks {
                    shape,
                    weighting: Floats,
                },
            }),
        })
    }
}

fn fields(all: &Fields) -> Fields {
    all.iter().take(FIELD_COUNT).map(Arc::clone).collect()
}

/// Folds ticks as a candlestick does and shows five of its fields.
#[derive(Debug)]
struct Five<W: Weighting> {
    ticks: Ticks<W>,
}

impl<W: Weighting> Fold for Five<W> {
    type State = <Ticks<W> as Fold>::State;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        self.ticks.state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        self.ticks.update(states, rows)
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        self.ticks.merge(states, rows)
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        self.ticks.state(states)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let bars = self.ticks.evaluate(states)?;
        let bars = bars.as_struct();
        let columns = bars
            .columns()
            .iter()
            .take(FIELD_COUNT)
            .map(Arc::clone)
            .collect();
        let nulls = bars.nulls().cloned();
        Ok(Arc::new(StructArray::try_new(
            fields(bars.fields()),
            columns,
            nulls,
        )?))
    }
}

#[cfg(test)]
mod tests;
