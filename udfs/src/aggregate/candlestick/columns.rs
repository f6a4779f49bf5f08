//! Bars as columns: the partial state, which loses nothing, and the struct that readers see.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int64Array, PrimitiveArray, StructArray,
    TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::common::Result;

use super::bar::{At, Bar, BarOf};
use super::shape::Shape;
use super::unit_of;
use crate::error::FunctionError;
use crate::fold::column;
use crate::weighting::{Native, RunningSum, Weighting};

/// Reads one of a bar's four priced times.
type Corner<W> = fn(&BarOf<W>) -> At<Native<<W as Weighting>::Price>>;

/// Writes bars of one shape.
pub(super) struct BarColumns<'a, W: Weighting> {
    pub(super) shape: &'a Shape,
    pub(super) weighting: &'a W,
}

impl<W: Weighting> BarColumns<'_, W> {
    /// Open, high, low and close, in the order of the columns.
    const CORNERS: [Corner<W>; 4] = [
        |bar| bar.open,
        |bar| bar.high,
        |bar| bar.low,
        |bar| bar.close,
    ];

    /// Returns name and type of the columns of a partial state.
    pub(super) fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        let mut fields = Vec::new();
        for name in ["open", "high", "low", "close"] {
            fields.push((name, self.shape.price.clone()));
        }
        for name in ["open_time", "high_time", "low_time", "close_time"] {
            fields.push((name, DataType::Int64));
        }
        fields.push(("trades", DataType::Int64));
        fields.push(("has_volume", DataType::Boolean));
        for name in ["products", "volumes"] {
            fields.extend(W::Sum::column_types().into_iter().map(|kind| (name, kind)));
        }
        fields
    }

    /// Writes partial states.
    pub(super) fn state(&self, bars: &[BarOf<W>]) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        for corner in Self::CORNERS {
            let prices = bars.iter().map(|bar| corner(bar).price);
            let prices = PrimitiveArray::<W::Price>::from_iter_values(prices);
            columns.push(Arc::new(prices.with_data_type(self.shape.price.clone())));
        }
        for corner in Self::CORNERS {
            let times = bars.iter().map(|bar| corner(bar).time);
            columns.push(Arc::new(Int64Array::from_iter_values(times)));
        }
        columns.push(Arc::new(Int64Array::from_iter_values(
            bars.iter().map(|bar| bar.trades),
        )));
        let has_volume = bars
            .iter()
            .map(|bar| Some(bar.has_volume))
            .collect::<BooleanArray>();
        columns.push(Arc::new(has_volume));
        columns.extend(W::Sum::to_columns(bars.iter().map(|bar| bar.products)));
        columns.extend(W::Sum::to_columns(bars.iter().map(|bar| bar.volumes)));
        columns
    }

    /// Opens the columns of partial states.
    pub(super) fn reader(columns: &[ArrayRef]) -> BarReader<'_, W> {
        let price = |index: usize| columns[index].as_primitive::<W::Price>();
        let long = |index: usize| columns[index].as_primitive::<Int64Type>();
        let (products, volumes) = columns[10..].split_at(W::Sum::column_types().len());
        BarReader {
            prices: [price(0), price(1), price(2), price(3)],
            times: [long(4), long(5), long(6), long(7)],
            trades: long(8),
            has_volume: columns[9].as_boolean(),
            products,
            volumes,
        }
    }

    /// Writes bars as candlestick structs; a bar without ticks is null.
    ///
    /// # Errors
    /// [`FunctionError::Overflow`] if a volume or an average does not fit its type.
    pub(super) fn evaluate(&self, bars: &[BarOf<W>], function: &'static str) -> Result<ArrayRef> {
        let shape = self.shape;
        let mut columns: Vec<ArrayRef> = Vec::new();
        for corner in Self::CORNERS {
            let prices = bars
                .iter()
                .map(|bar| Ok((bar.trades > 0).then(|| corner(bar).price)));
            columns.push(column::<W::Price>(shape.price.clone(), prices)?);
        }
        let volumes = bars.iter().map(|bar| self.volume(bar, function));
        columns.push(column::<W::Size>(shape.volume.clone(), volumes)?);
        let vwaps = bars.iter().map(|bar| self.vwap(bar, function));
        columns.push(column::<W::Vwap>(shape.vwap.clone(), vwaps)?);
        for corner in Self::CORNERS {
            let time = |bar: &BarOf<W>| (bar.trades > 0).then(|| corner(bar).time);
            columns.push(times(&shape.time, bars.iter().map(time).collect()));
        }
        columns.push(Arc::new(Int64Array::from_iter_values(
            bars.iter().map(|bar| bar.trades),
        )));
        let filled = NullBuffer::from_iter(bars.iter().map(|bar| bar.trades > 0));
        let nulls = Some(filled).filter(|nulls| nulls.null_count() > 0);
        Ok(Arc::new(StructArray::try_new(
            shape.fields(),
            columns,
            nulls,
        )?))
    }

    fn volume(&self, bar: &BarOf<W>, function: &'static str) -> Result<Option<Native<W::Size>>> {
        if !bar.has_volume {
            return Ok(None);
        }
        let volume = self.weighting.volume(bar.volumes);
        volume.map(Some).ok_or_else(|| {
            let data_type = self.shape.volume.clone();
            FunctionError::Overflow {
                function,
                what: "the volume",
                data_type,
            }
            .into()
        })
    }

    fn vwap(&self, bar: &BarOf<W>, function: &'static str) -> Result<Option<Native<W::Vwap>>> {
        if bar.volumes == W::Sum::default() {
            return Ok(None);
        }
        let vwap = self.weighting.ratio(bar.products, bar.volumes);
        vwap.map(Some).ok_or_else(|| {
            let data_type = self.shape.vwap.clone();
            FunctionError::Overflow {
                function,
                what: "the average price",
                data_type,
            }
            .into()
        })
    }
}

/// Columns of partial states, opened.
pub(super) struct BarReader<'a, W: Weighting> {
    prices: [&'a PrimitiveArray<W::Price>; 4],
    times: [&'a Int64Array; 4],
    trades: &'a Int64Array,
    has_volume: &'a BooleanArray,
    products: &'a [ArrayRef],
    volumes: &'a [ArrayRef],
}

impl<W: Weighting> BarReader<'_, W> {
    /// Returns the bar of `row`.
    pub(super) fn bar(&self, row: usize) -> BarOf<W> {
        let at = |corner: usize| At {
            time: self.times[corner].value(row),
            price: self.prices[corner].value(row),
        };
        Bar {
            open: at(0),
            high: at(1),
            low: at(2),
            close: at(3),
            products: W::Sum::from_columns(self.products, row),
            volumes: W::Sum::from_columns(self.volumes, row),
            trades: self.trades.value(row),
            has_volume: self.has_volume.value(row),
        }
    }
}

/// Returns times as a timestamp column of type `data_type`.
fn times(data_type: &DataType, values: Int64Array) -> ArrayRef {
    let (_, values, nulls) = values.into_parts();
    let zone = match data_type {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    match unit_of(data_type) {
        TimeUnit::Second => {
            Arc::new(TimestampSecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Millisecond => {
            Arc::new(TimestampMillisecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Microsecond => {
            Arc::new(TimestampMicrosecondArray::new(values, nulls).with_timezone_opt(zone))
        }
        TimeUnit::Nanosecond => {
            Arc::new(TimestampNanosecondArray::new(values, nulls).with_timezone_opt(zone))
        }
    }
}
