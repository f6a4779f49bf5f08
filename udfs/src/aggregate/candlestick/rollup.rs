//! `rollup(candlestick)`: coarser bars out of finer ones.
//!
//! Times, prices, volume and trades are those of all ticks together. `vwap` is the mean of the
//! bars' own, weighted by volume: equal to that over the ticks up to the rounding of each bar's.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, internal_err};
use datafusion::physical_plan::PhysicalExpr;

use super::bar::{At, Bar, BarOf};
use super::columns::BarColumns;
use super::shape::Shape;
use crate::aggregate::Aggregate;
use crate::arguments::Call;
use crate::fold::{AnyFold, Fold, Rows};
use crate::ordering::Key;
use crate::weighting::{DecimalPrices, Decimals, Floats, Weighting, in_range};

const CALL: Call = Call {
    function: "rollup",
    signature: "rollup(candlestick)",
};

/// The aggregate function `rollup`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Rollup;

impl Aggregate for Rollup {
    fn call(&self) -> Call {
        CALL
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        CALL.count(types, 1, 1)?;
        if Shape::of(&types[0]).is_none() {
            return CALL.wrong_type("candlestick", "the result of candlestick_agg", &types[0]);
        }
        Ok(types.to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn fold(
        &self,
        types: &[DataType],
        _constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let Some(shape) = types.first().and_then(Shape::of) else {
            return internal_err!("{} takes a candlestick", CALL.function);
        };
        Ok(match (&shape.price, &shape.volume) {
            (DataType::Decimal128(..), DataType::Decimal128(..)) => {
                let weighting = Decimals::of_bars(shape.vwap.clone(), shape.volume.clone());
                Box::new(Bars { shape, weighting })
            }
            (DataType::Decimal128(_, scale), _) => {
                let weighting = DecimalPrices::new(*scale);
                Box::new(Bars { shape, weighting })
            }
            _ => Box::new(Bars {
                shape,
                weighting: Floats,
            }),
        })
    }
}

/// Folds bars into coarser bars.
#[derive(Debug)]
struct Bars<W: Weighting> {
    shape: Shape,
    weighting: W,
}

impl<W: Weighting> Bars<W> {
    /// Reads the bar of `row`, whose struct is not null.
    fn bar(&self, bars: &StructArray, times: &[Keyed; 4], row: usize) -> Result<BarOf<W>> {
        let price = |index: usize| bars.column(index).as_primitive::<W::Price>().value(row);
        let at = |corner: usize| At {
            time: times[corner][row],
            price: price(corner),
        };
        let mut bar = Bar {
            open: at(0),
            high: at(1),
            low: at(2),
            close: at(3),
            products: W::Sum::default(),
            volumes: W::Sum::default(),
            trades: bars.column(10).as_primitive::<Int64Type>().value(row),
            has_volume: bars.column(4).is_valid(row),
        };
        if bar.has_volume {
            let volume = bars.column(4).as_primitive::<W::Size>().value(row);
            let sum = self.weighting.add_size(bar.volumes, volume);
            bar.volumes = in_range(sum, CALL.function, "the sum of volumes")?;
            if bars.column(5).is_valid(row) {
                let vwap = bars.column(5).as_primitive::<W::Vwap>().value(row);
                let product = self.weighting.product_of_vwap(vwap, volume);
                bar.products = in_range(product, CALL.function, "the sum of price times volume")?;
            }
        }
        Ok(bar)
    }
}

/// The times of one corner of the bars.
type Keyed = datafusion::arrow::buffer::ScalarBuffer<i64>;

impl<W: Weighting> Fold for Bars<W> {
    type State = BarOf<W>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        BarColumns {
            shape: &self.shape,
            weighting: &self.weighting,
        }
        .state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let bars = rows.columns[0].as_struct();
        let times = |index: usize| {
            Ok::<_, datafusion::common::DataFusionError>(i64::read(bars.column(index))?.values)
        };
        let times = [times(6)?, times(7)?, times(8)?, times(9)?];
        rows.each(&[0], |row, group| {
            // A struct built by hand may lack prices; such a bar has no ticks to add.
            if [0, 1, 2, 3, 6, 7, 8, 9, 10]
                .iter()
                .any(|&part| bars.column(part).is_null(row))
            {
                return Ok(());
            }
            states[group].merge(&self.bar(bars, &times, row)?, CALL.function)
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

#[cfg(test)]
mod tests;
