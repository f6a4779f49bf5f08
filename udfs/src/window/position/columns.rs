//! Positions as columns of a struct.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int32Array, StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use datafusion::common::Result;

use super::book::{Amount as _, Exact, State};
use super::shape::Shape;
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::window::step::Walk;

/// Writes positions in double precision.
pub(super) fn floats(
    shape: &Shape,
    states: &[Option<State<f64>>],
    fees: ArrayRef,
) -> Result<ArrayRef> {
    let column = |value: &dyn Fn(&State<f64>) -> f64| -> ArrayRef {
        let values = states.iter().map(|state| state.as_ref().map(value));
        let values = values.map(|value| value.filter(|value| value.is_finite()));
        Arc::new(values.collect::<Float64Array>())
    };
    let multiplier = shape.factor.0;
    let columns = vec![
        column(&|state| state.quantity),
        column(&|state| state.average.0 / state.average.1),
        column(&|state| state.realized * multiplier),
        fees,
        column(&|state| state.basis * multiplier),
    ];
    assemble(shape, columns, states)
}

/// Writes exact positions.
///
/// # Errors
/// [`FunctionError::Overflow`] if an average cost does not fit.
pub(super) fn decimals(
    shape: &Shape,
    states: &[Option<State<Exact>>],
    fees: ArrayRef,
    call: Call,
) -> Result<ArrayRef> {
    let column = |kind: &DataType, values: Decimal128Array| -> ArrayRef {
        Arc::new(values.with_data_type(kind.clone()))
    };
    let each = |value: &dyn Fn(&State<Exact>) -> Exact| -> Decimal128Array {
        let values = states.iter().map(|state| state.as_ref().map(value));
        values.map(|value| value.map(|value| value.0)).collect()
    };
    let averages = states.iter().map(|state| match state {
        Some(state) => average(shape, state, call),
        None => Ok(None),
    });
    let columns = vec![
        column(&shape.quantity, each(&|state| state.quantity)),
        column(&shape.average, averages.collect::<Result<_>>()?),
        column(&shape.amount, each(&|state| state.realized)),
        fees,
        column(&shape.amount, each(&|state| state.basis)),
    ];
    assemble(shape, columns, states)
}

/// Returns an average cost rounded to its type; `None` for a position of zero.
fn average(shape: &Shape, state: &State<Exact>, call: Call) -> Result<Option<i128>> {
    if state.quantity == Exact::default() {
        return Ok(None);
    }
    let scale = match shape.average {
        DataType::Decimal128(_, scale) => scale,
        _ => 0,
    };
    // The quotient is a price in the units of amounts.
    let shift = u32::try_from(scale - shape.price_digits).unwrap_or(0);
    let unit = Exact(10_i128.pow(shift));
    let (cost, quantity) = state.average;
    match cost.over(unit, [quantity, shape.factor.1]) {
        Some(average) => Ok(Some(average.0)),
        None => Err(FunctionError::Overflow {
            function: call.function,
            what: "the average cost",
            data_type: shape.average.clone(),
        }
        .into()),
    }
}

/// The sum of the fees so far.
#[derive(Debug, Default)]
pub(super) struct Fees {
    float: f64,
    exact: Exact,
}

impl Fees {
    /// Returns the sum of the fees up to every trade, 0 without a column of fees; a null fee is
    /// none.
    ///
    /// # Errors
    /// [`FunctionError::Overflow`] if the fees do not fit.
    pub(super) fn so_far<A>(
        &mut self,
        shape: &Shape,
        states: &[Option<State<A>>],
        fees: Option<&ArrayRef>,
        call: Call,
    ) -> Result<ArrayRef> {
        if let DataType::Decimal128(..) = shape.fees {
            let column = fees.map(|fees| fees.as_primitive::<Decimal128Type>());
            let mut sums = Vec::with_capacity(states.len());
            for (row, state) in states.iter().enumerate() {
                let known = state.is_some();
                if let Some(fees) = column.filter(|fees| known && fees.is_valid(row)) {
                    let sum = self.exact.plus(Exact(fees.value(row)));
                    self.exact = sum.ok_or_else(|| FunctionError::Overflow {
                        function: call.function,
                        what: "the fees",
                        data_type: shape.fees.clone(),
                    })?;
                }
                sums.push(known.then_some(self.exact.0));
            }
            let sums = Decimal128Array::from(sums).with_data_type(shape.fees.clone());
            return Ok(Arc::new(sums));
        }
        let column = fees.map(|fees| fees.as_primitive::<Float64Type>());
        let sums = states.iter().enumerate().map(|(row, state)| {
            let known = state.is_some();
            let fee = column.filter(|fees| known && fees.is_valid(row));
            let fee = fee
                .map(|fees| fees.value(row))
                .filter(|fee| fee.is_finite());
            self.float += fee.unwrap_or(0.0);
            known.then_some(self.float)
        });
        Ok(Arc::new(sums.collect::<Float64Array>()))
    }

    /// Walks over what is remembered.
    pub(super) fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.number(&mut self.float);
        self.exact.walk(walk);
    }
}

fn assemble<A>(
    shape: &Shape,
    mut columns: Vec<ArrayRef>,
    states: &[Option<State<A>>],
) -> Result<ArrayRef> {
    if shape.has_lots {
        // More lots than an i32 counts do not fit into memory.
        let lots = states
            .iter()
            .map(|state| state.as_ref().map(|state| state.lots as i32));
        columns.push(Arc::new(lots.collect::<Int32Array>()));
    }
    let nulls = NullBuffer::from_iter(states.iter().map(Option::is_some));
    Ok(Arc::new(StructArray::try_new(
        shape.fields(),
        columns,
        Some(nulls).filter(|nulls| nulls.null_count() > 0),
    )?))
}
