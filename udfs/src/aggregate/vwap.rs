//! `vwap(price, size)`: the volume-weighted average price, sum(price * size) / sum(size).
//!
//! Rows whose size is null or not above zero, or whose price is null, NaN or infinite, do not
//! count. No row that counts: null. Decimals are summed exactly and rounded once, half away from
//! zero, to 16 digits after the point or those of the price.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::reversible::{Reversible, RowSums, Visit};
use crate::fold::{AnyFold, Fold, Rows, column};
use crate::weighting::{Decimals, Floats, Native, RunningSum, Usable, Weighting, in_range};

const CALL: Call = Call {
    function: "vwap",
    signature: "vwap(price, size)",
};

/// The aggregate function `vwap`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Vwap;

impl Aggregate for Vwap {
    fn call(&self) -> Call {
        CALL
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        CALL.count(types, 2, 2)?;
        let price = CALL.number("price", &types[0])?;
        match CALL.size("size", &types[1], &price)? {
            size @ DataType::Decimal128(..) => Ok(vec![price, size]),
            size => Ok(vec![DataType::Float64, size]),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match decimals(types) {
            Some(decimals) => decimals.vwap_type(),
            None => DataType::Float64,
        })
    }

    fn fold(
        &self,
        types: &[DataType],
        _constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        Ok(match decimals(types) {
            Some(weighting) => Box::new(VwapFold { weighting }),
            None => Box::new(VwapFold { weighting: Floats }),
        })
    }
}

fn decimals(types: &[DataType]) -> Option<Decimals> {
    match types {
        [
            DataType::Decimal128(precision, scale),
            DataType::Decimal128(_, size_scale),
        ] => Some(Decimals::new(*precision, *scale, *size_scale)),
        _ => None,
    }
}

#[derive(Clone, Debug)]
struct VwapFold<W: Weighting> {
    weighting: W,
}

/// The two sums. Their division happens once, when the result is asked for.
#[derive(Clone, Copy, Debug, Default)]
struct Sums<S> {
    products: S,
    sizes: S,
}

impl<W: Weighting> VwapFold<W> {
    /// Calls `visit` with price and size of each row that counts.
    fn each(
        &self,
        rows: &Rows<'_>,
        mut visit: impl FnMut(usize, usize, Native<W::Price>, Native<W::Size>) -> Result<()>,
    ) -> Result<()> {
        let prices = rows.columns[0].as_primitive::<W::Price>().values();
        let sizes = rows.columns[1].as_primitive::<W::Size>().values();
        rows.each(&[0, 1], |row, group| {
            let (price, size) = (prices[row], sizes[row]);
            if price.usable() && size.usable() && size.positive() {
                visit(row, group, price, size)?;
            }
            Ok(())
        })
    }

    /// Returns sums with a row added.
    fn added(
        &self,
        sums: Sums<W::Sum>,
        price: Native<W::Price>,
        size: Native<W::Size>,
    ) -> Result<Sums<W::Sum>> {
        let products = self.weighting.add_product(sums.products, price, size);
        let sizes = self.weighting.add_size(sums.sizes, size);
        Ok(Sums {
            products: in_range(products, CALL.function, "the sum of price times size")?,
            sizes: in_range(sizes, CALL.function, "the sum of sizes")?,
        })
    }
}

impl<W: Weighting> Fold for VwapFold<W> {
    type State = Sums<W::Sum>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        let columns = |name| {
            W::Sum::column_types()
                .into_iter()
                .map(move |kind| (name, kind))
        };
        columns("products").chain(columns("sizes")).collect()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        self.each(rows, |_, group, price, size| {
            let state = &mut states[group];
            *state = self.added(*state, price, size)?;
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let (products, sizes) = rows.columns.split_at(W::Sum::column_types().len());
        rows.each(&[], |row, group| {
            let state = &mut states[group];
            let sum = state.products.merged(W::Sum::from_columns(products, row));
            state.products = in_range(sum, CALL.function, "the sum of price times size")?;
            let sum = state.sizes.merged(W::Sum::from_columns(sizes, row));
            state.sizes = in_range(sum, CALL.function, "the sum of sizes")?;
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let mut columns = W::Sum::to_columns(states.iter().map(|state| state.products));
        columns.extend(W::Sum::to_columns(states.iter().map(|state| state.sizes)));
        Ok(columns)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let ratio = |state: &Self::State| {
            if state.sizes == W::Sum::default() {
                return Ok(None);
            }
            match self.weighting.ratio(state.products, state.sizes) {
                Some(ratio) => Ok(Some(ratio)),
                None => {
                    let (function, data_type) = (CALL.function, self.weighting.vwap_type());
                    let what = "the average price";
                    Err(FunctionError::Overflow {
                        function,
                        what,
                        data_type,
                    }
                    .into())
                }
            }
        };
        column::<W::Vwap>(self.weighting.vwap_type(), states.iter().map(ratio))
    }

    fn reversible(&self) -> Option<Box<dyn AnyFold>> {
        Some(Box::new(Reversible(self.clone())))
    }
}

impl<W: Weighting> RowSums for VwapFold<W> {
    type Sum = W::Sum;

    fn function(&self) -> &'static str {
        CALL.function
    }

    fn sum_count(&self) -> usize {
        2
    }

    fn each(&self, rows: &Rows<'_>, visit: Visit<'_, W::Sum>) -> Result<()> {
        Self::each(self, rows, |row, group, price, size| {
            let Sums { products, sizes } = self.added(Sums::default(), price, size)?;
            visit(row, group, &[sizes, products])
        })
    }

    fn finish(&self, sums: &[Vec<W::Sum>]) -> Result<ArrayRef> {
        let state = |sums: &Vec<W::Sum>| Sums {
            sizes: sums[0],
            products: sums[1],
        };
        self.evaluate(&sums.iter().map(state).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests;
