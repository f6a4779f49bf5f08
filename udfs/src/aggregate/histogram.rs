//! `histogram(value, low, high, buckets)`: how many values fall into each of equal ranges.
//!
//! The state of a group is one count a bucket. Rows whose value is null, NaN or infinite do not
//! count.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, ListArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::{AnyFold, Fold, Rows};
use crate::registry::{FunctionDoc, FunctionKind};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "histogram",
    kind: FunctionKind::Aggregate,
    signature: "histogram(value, low, high, buckets integer) -> bigint[]",
    description: "How many values fall into each of equal ranges between two bounds, and beyond \
                  them.",
    formula: "buckets + 2 counts: the first of values below low, the last of values at or above \
              high, the one at 2 + floor(buckets * (value - low) / (high - low)) of the others; a \
              bound belongs to the range that it begins",
    reference: "TimescaleDB histogram",
    example: "SELECT symbol, histogram(price, 9, 13, 4) FROM trades GROUP BY symbol",
};

const CALL: Call = Call {
    function: "histogram",
    signature: "histogram(value, low, high, buckets)",
};

/// The aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Histogram;

fn element() -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Int64, true))
}

impl Aggregate for Histogram {
    fn call(&self) -> Call {
        CALL
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        CALL.count(types, 4, 4)?;
        for (name, found) in ["value", "low", "high"].into_iter().zip(types) {
            CALL.number(name, found)?;
        }
        if !types[3].is_integer() {
            return CALL.wrong_type("buckets", "an integer", &types[3]);
        }
        let mut coerced = vec![DataType::Float64; 3];
        coerced.push(DataType::Int64);
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(element()))
    }

    fn fold(
        &self,
        _types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let Some([_, low, high, buckets]) = constants else {
            // The call is being planned: its constants are not known, nor needed.
            return Ok(Box::new(Ranges {
                low: 0.0,
                high: 1.0,
                buckets: 1,
            }));
        };
        let refused = |argument, value: &ScalarValue, range: &'static str| -> Result<_> {
            Err(FunctionError::OutOfRange {
                function: CALL.function,
                argument,
                value: value.to_string(),
                range: range.into(),
            }
            .into())
        };
        let low = match CALL.constant("low", low)? {
            ScalarValue::Float64(Some(low)) if low.is_finite() => low,
            other => return refused("low", &other, "a finite number"),
        };
        let high = match CALL.constant("high", high)? {
            ScalarValue::Float64(Some(high)) if high > low && (high - low).is_finite() => high,
            other => return refused("high", &other, "a finite number above low"),
        };
        let buckets = match CALL.constant("buckets", buckets)? {
            ScalarValue::Int64(Some(buckets @ 1..=100_000)) => buckets as usize,
            other => return refused("buckets", &other, "an integer from 1 to 100000"),
        };
        Ok(Box::new(Ranges { low, high, buckets }))
    }
}

/// Counts values by range.
#[derive(Debug)]
struct Ranges {
    low: f64,
    high: f64,
    buckets: usize,
}

impl Ranges {
    /// Returns which count a value belongs to.
    fn place(&self, value: f64) -> usize {
        if value < self.low {
            return 0;
        }
        if value >= self.high {
            return self.buckets + 1;
        }
        let share = (value - self.low) / (self.high - self.low);
        // Rounding may reach the upper bound.
        1 + ((share * self.buckets as f64) as usize).min(self.buckets - 1)
    }
}

impl Fold for Ranges {
    /// The counts; none before the first row.
    type State = Vec<i64>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        vec![("counts", DataType::List(element()))]
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let values = rows.columns[0].as_primitive::<Float64Type>().values();
        rows.each(&[0], |row, group| {
            if values[row].is_finite() {
                let counts = &mut states[group];
                counts.resize(self.buckets + 2, 0);
                counts[self.place(values[row])] += 1;
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let lists = rows.columns[0].as_list::<i32>();
        rows.each(&[0], |row, group| {
            let other = lists.value(row);
            let other = other.as_primitive::<Int64Type>().values();
            let counts = &mut states[group];
            counts.resize(other.len().max(counts.len()), 0);
            for (count, more) in counts.iter_mut().zip(other) {
                *count += more;
            }
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(states)?])
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let lengths = states.iter().map(Vec::len);
        let known = NullBuffer::from_iter(states.iter().map(|counts| !counts.is_empty()));
        let counts = Int64Array::from_iter_values(states.iter().flatten().copied());
        Ok(Arc::new(ListArray::try_new(
            element(),
            OffsetBuffer::from_lengths(lengths),
            Arc::new(counts),
            Some(known).filter(|known| known.null_count() > 0),
        )?))
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        state.capacity() * size_of::<i64>()
    }
}

#[cfg(test)]
mod tests;
