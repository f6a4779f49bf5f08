//! `signed_qty(side, quantity)`: a quantity with the sign of its side. Decimals stay decimals, so
//! that positions built from it are exact.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array};
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::ScalarUDF;

use super::plain::Plain;
use crate::arguments::Call;
use crate::registry::{FunctionDoc, FunctionKind};
use crate::side;

const CALL: Call = Call {
    function: "signed_qty",
    signature: "signed_qty(side, quantity)",
};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "signed_qty",
    kind: FunctionKind::Scalar,
    signature: "signed_qty(side, quantity) -> the quantity's type",
    description: "A quantity, positive if bought and negative if sold.",
    formula: "quantity for 'B', 'buy' or 1, -quantity for 'S', 'sell' or -1, else null; decimals \
              stay exact",
    reference: "standard",
    example: "SELECT signed_qty('sell', size) FROM trades",
};

/// Makes the scalar function.
pub(crate) fn function() -> Arc<ScalarUDF> {
    let plain = Plain {
        call: CALL,
        coerce,
        return_type: |types| Ok(types[1].clone()),
        evaluate: signed,
    };
    plain.function()
}

fn coerce(types: &[DataType]) -> Result<Vec<DataType>> {
    CALL.count(types, 2, 2)?;
    Ok(vec![
        side::coerce(CALL, "side", &types[0])?,
        CALL.number("quantity", &types[1])?,
    ])
}

fn signed(columns: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
    let sides = side::numbers(&columns[0]);
    let quantities = Arc::clone(&columns[1]);
    let sign = |row: usize| {
        let known = sides.is_valid(row) && quantities.is_valid(row);
        let side = sides.value(row);
        (known && side::is_side(side)).then_some(side)
    };
    let result: ArrayRef = if let Some(exact) = quantities.as_primitive_opt::<Decimal128Type>() {
        let signed = (0..row_count).map(|row| {
            let sign = sign(row)?;
            Some(if sign > 0.0 {
                exact.value(row)
            } else {
                -exact.value(row)
            })
        });
        let signed = signed.collect::<Decimal128Array>();
        Arc::new(signed.with_data_type(exact.data_type().clone()))
    } else {
        let numbers = quantities.as_primitive::<Float64Type>();
        let signed = (0..row_count).map(|row| Some(sign(row)? * numbers.value(row)));
        let signed = signed.map(|value| value.filter(|value| value.is_finite()));
        Arc::new(signed.collect::<Float64Array>())
    };
    Ok(result)
}

#[cfg(test)]
mod tests;
