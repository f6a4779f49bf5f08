//! `rollup(candlestick)`: coarser bars out of finer ones.
//!
//! Times, prices, volume and trades are those of all ticks together. `vwap` is the mean of the
//! bars' own, weighted by volume: equal to that over the ticks up to the rounding of each bar's.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, StructArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;

use super::bar::{At, Bar, BarOf};
use super::columns::BarColumns;
use super::shape::Shape;
use crate::arguments::Call;
use crate::fold::{AnyFold, Fold, Rows};
use crate::ordering::Key;
use crate::weighting::{DecimalPrices, Decimals, Floats, Weighting, in_range};

/// Returns the fold of bars of `found`; `None` for what is no bar.
pub(crate) fn fold(call: Call, found: &DataType) -> Option<Box<dyn AnyFold>> {
    let shape = Shape::of(found)?;
    Some(match (&shape.price, &shape.volume) {
        (DataType::Decimal128(..), DataType::Decimal128(..)) => {
            let weighting = Decimals::of_bars(shape.vwap.clone(), shape.volume.clone());
            Box::new(Bars {
                call,
                shape,
                weighting,
            })
        }
        (DataType::Decimal128(_, scale), _) => {
            let weighting = DecimalPrices::new(*scale);
            Box::new(Bars {
                call,
                shape,
                weighting,
            })
        }
        _ => Box::new(Bars {
            call,
            shape,
            weighting: Floats,
        }),
    })
}

/// Folds bars into coarser bars.
#[derive(Debug)]
struct Bars<W: Weighting> {
    call: Call,
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
            bar.volumes = in_range(sum, self.call.function, "the sum of volumes")?;
            if bars.column(5).is_valid(row) {
                let vwap = bars.column(5).as_primitive::<W::Vwap>().value(row);
                let product = self.weighting.product_of_vwap(vwap, volume);
                bar.products =
                    in_range(product, self.call.function, "the sum of price times volume")?;
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
            states[group].merge(&self.bar(bars, &times, row)?, self.call.function)
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let reader = BarColumns::<W>::reader(rows.columns);
        rows.each(&[], |row, group| {
            states[group].merge(&reader.bar(row), self.call.function)
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
        columns.evaluate(states, self.call.function)
    }
}

#[cfg(test)]
mod tests;
