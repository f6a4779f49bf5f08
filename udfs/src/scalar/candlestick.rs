//! `candlestick(ts, open, high, low, close [, volume])`: a bar that came as columns, in the form
//! of those that `candlestick_agg` makes, so that accessors and `rollup` take it.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, StructArray, new_null_array,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::ScalarUDF;

use super::plain::Plain;
use crate::aggregate::candlestick::shape::Shape;
use crate::arguments::Call;
use crate::registry::{FunctionDoc, FunctionKind};

const CALL: Call = Call {
    function: "candlestick",
    signature: "candlestick(ts, open, high, low, close [, volume])",
};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "candlestick",
    kind: FunctionKind::Scalar,
    signature: "candlestick(ts timestamp, open, high, low, close [, volume]) -> candlestick",
    description: "A bar out of its prices, for rollup and the accessors.",
    formula: "all four times are ts; trades is 1; vwap is (high + low + close) / 3 where there is \
              a volume above zero; null unless time and prices are there and finite",
    reference: "TimescaleDB toolkit candlestick",
    example: "SELECT symbol, rollup(candlestick(ts, price, price + 1, price - 1, price, size)) \
              FROM trades GROUP BY symbol",
};

/// Makes the function.
pub(crate) fn function() -> Arc<ScalarUDF> {
    let plain = Plain {
        call: CALL,
        coerce,
        return_type: |types| Ok(shape(&types[0]).data_type()),
        evaluate: bars,
    };
    plain.function()
}

fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    CALL.count(types, 5, 6)?;
    let mut coerced = vec![CALL.time("ts", &types[0])?];
    let names = ["open", "high", "low", "close", "volume"];
    for (name, found) in names.into_iter().zip(&types[1..]) {
        CALL.number(name, found)?;
        coerced.push(DataType::Float64);
    }
    Ok(coerced)
}

fn shape(time: &DataType) -> Shape {
    Shape {
        price: DataType::Float64,
        volume: DataType::Float64,
        vwap: DataType::Float64,
        time: time.clone(),
    }
}

fn bars(columns: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
    let time = Arc::clone(&columns[0]);
    let shape = shape(time.data_type());
    let numbers = |column: &ArrayRef| -> Result<Float64Array> {
        let cast = cast(column, &DataType::Float64)?;
        let finite = cast
            .as_primitive::<Float64Type>()
            .iter()
            .map(|value| value.filter(|value| value.is_finite()));
        Ok(finite.collect())
    };
    let prices = columns[1..5]
        .iter()
        .map(numbers)
        .collect::<Result<Vec<_>>>()?;
    let volume = match columns.get(5) {
        Some(column) => numbers(column)?,
        None => Float64Array::new_null(row_count),
    };
    let known = NullBuffer::from_iter(
        (0..row_count)
            .map(|row| time.is_valid(row) && prices.iter().all(|price| price.is_valid(row))),
    );
    let vwap: Float64Array = (0..row_count)
        .map(|row| {
            let traded = volume.is_valid(row) && volume.value(row) > 0.0;
            let sum: f64 = prices[1..].iter().map(|price| price.value(row)).sum();
            (traded && known.is_valid(row)).then_some(sum / 3.0)
        })
        .collect();
    let trades: Int64Array = (0..row_count)
        .map(|row| known.is_valid(row).then_some(1))
        .collect();
    let mut parts: Vec<ArrayRef> = Vec::with_capacity(11);
    for price in prices {
        parts.push(Arc::new(price));
    }
    parts.push(Arc::new(volume));
    parts.push(Arc::new(vwap));
    parts.extend([&time, &time, &time, &time].map(Arc::clone));
    parts.push(Arc::new(trades));
    if row_count == 0 {
        return Ok(new_null_array(&shape.data_type(), 0));
    }
    Ok(Arc::new(StructArray::try_new(
        shape.fields(),
        parts,
        Some(known),
    )?))
}
