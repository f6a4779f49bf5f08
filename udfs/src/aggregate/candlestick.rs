//! `candlestick_agg(ts, price [, volume])` and `rollup(candlestick)`: bars as one struct value.
//!
//! A tick counts when its time and price are neither null, NaN nor infinite. Its volume adds up
//! when it is not null, not NaN, not infinite and not negative; a bar without any such volume has
//! a null `volume`, and `vwap` is null where the volumes sum to zero. Equal times: `open` takes
//! the tick that arrived first, `close` the one that arrived last. `high_time` and `low_time` are
//! the earliest times at which the extreme was reached.
//!
//! Naming follows the TimescaleDB toolkit (its documentation); `trades` is ours.

mod bar;
mod columns;
pub(crate) mod ohlcv;
pub(crate) mod rollup;
pub(crate) mod shape;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use crate::arguments::Call;
use crate::fold::{AnyFold, Fold, Rows};
use crate::ordering::Key;
use crate::weighting::{DecimalPrices, Decimals, Floats, Usable, Weighting};
use bar::BarOf;
use columns::BarColumns;
use shape::Shape;

const CALL: Call = Call {
    function: "candlestick_agg",
    signature: "candlestick_agg(ts, price [, volume])",
};

/// The aggregate function `candlestick_agg`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CandlestickAgg;

impl Aggregate for CandlestickAgg {
    fn call(&self) -> Call {
        CALL
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        CALL.count(types, 2, 3)?;
        let mut coerced = vec![
            CALL.time("ts", &types[0])?,
            CALL.number("price", &types[1])?,
        ];
        if let Some(volume) = types.get(2) {
            coerced.push(CALL.size("volume", volume, &coerced[1])?);
        }
        Ok(coerced)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(shape_of(types)?.data_type())
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
                Box::new(Ticks { shape, weighting })
            }
            (DataType::Decimal128(_, scale), _) => Box::new(Ticks {
                shape,
                weighting: DecimalPrices::new(*scale),
            }),
            _ => Box::new(Ticks {
                shape,
                weighting: Floats,
            }),
        })
    }
}

/// Returns the columns of the bars made of coerced arguments.
fn shape_of(types: &[DataType]) -> Result<Shape> {
    let (Some(time), Some(price)) = (types.first(), types.get(1)) else {
        return internal_err!("{} takes two or three arguments", CALL.function);
    };
    let (volume, vwap) = match (price, types.get(2)) {
        (DataType::Decimal128(precision, scale), Some(DataType::Decimal128(_, size))) => {
            let decimals = Decimals::new(*precision, *scale, *size);
            (decimals.volume_type(), decimals.vwap_type())
        }
        _ => (DataType::Float64, DataType::Float64),
    };
    Ok(Shape {
        price: price.clone(),
        volume,
        vwap,
        time: time.clone(),
    })
}

/// Folds ticks into bars.
#[derive(Debug)]
struct Ticks<W: Weighting> {
    shape: Shape,
    weighting: W,
}

impl<W: Weighting> Fold for Ticks<W> {
    type State = BarOf<W>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        BarColumns {
            shape: &self.shape,
            weighting: &self.weighting,
        }
        .state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let times = i64::read(&rows.columns[0])?.values;
        let prices = rows.columns[1].as_primitive::<W::Price>().values();
        let volumes = rows
            .columns
            .get(2)
            .map(|column| column.as_primitive::<W::Size>());
        rows.each(&[0, 1], |row, group| {
            let price = prices[row];
            if !price.usable() {
                return Ok(());
            }
            let state = &mut states[group];
            state.add_price(times[row], price);
            let Some(volumes) = volumes else {
                return Ok(());
            };
            let known = volumes.nulls().is_none_or(|nulls| nulls.is_valid(row));
            let volume = volumes.values()[row];
            if known && volume.usable() && volume >= Default::default() {
                state.add_volume(&self.weighting, price, volume, CALL.function)?;
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let reader = BarColumns::<W>::reader(rows.columns);
        rows.each(&[], |row, group| {
            states[group].merge(&reader.bar(row), CALL.function)
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        Ok(BarColumns {
            shape: &self.shape,
            weighting: &self.weighting,
        }
        .state(states))
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let columns = BarColumns {
            shape: &self.shape,
            weighting: &self.weighting,
        };
        columns.evaluate(states, CALL.function)
    }
}

/// Returns the unit of a timestamp type.
pub(crate) fn unit_of(time: &DataType) -> TimeUnit {
    match time {
        DataType::Timestamp(unit, _) => *unit,
        _ => TimeUnit::Microsecond,
    }
}

#[cfg(test)]
mod tests;
