//! Aggregates that need every value of a group: quantiles, drawdowns, what depends on the order
//! in time. As tables; the state is the rows themselves and grows with them.
//!
//! With a time argument rows are in its order, equal times in order of arrival; without one they
//! are in order of arrival, which the aggregates without a time do not depend on. Rows with a
//! null, NaN or infinite argument do not count.

mod cash;
pub(crate) mod order;
mod risk;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::physical_plan::PhysicalExpr;

use super::series::per_second;
use super::{Aggregate, identified_by_name};
use crate::argument::{self, Argument};
use crate::arguments::Call;
use crate::fold::{AnyFold, Fold, Rows, column};
use crate::ordering::Key;
use crate::registry::{FunctionDoc, FunctionKind};

/// One aggregate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Name, signature and words.
    doc: FunctionDoc,
    /// The numbers of every row.
    arguments: &'static [Argument],
    /// Whether a time follows them, and what it is for.
    time: Time,
    /// The constants that may follow.
    constants: &'static [Argument],
    /// Returns the result for rows, each as long as `arguments`, one after the other; what is not
    /// finite means null.
    evaluate: fn(&[f64], &[f64]) -> f64,
}

/// What the time argument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    /// There is none.
    None,
    /// Rows are in its order.
    Order,
    /// Rows are in its order, and the seconds since the first row follow the values of each.
    Seconds,
}

identified_by_name!(Sample);

/// Returns every aggregate of samples.
pub(crate) fn all() -> impl Iterator<Item = &'static Sample> {
    risk::AGGREGATES
        .iter()
        .chain(&order::AGGREGATES)
        .chain(&cash::AGGREGATES)
}

/// Writes the documentation of an aggregate.
const fn doc(
    name: &'static str,
    signature: &'static str,
    description: &'static str,
    formula: &'static str,
    reference: &'static str,
    example: &'static str,
) -> FunctionDoc {
    FunctionDoc {
        name,
        kind: FunctionKind::Aggregate,
        signature,
        description,
        formula,
        reference,
        example,
    }
}

impl Sample {
    /// Returns the documentation.
    pub(crate) fn doc(&self) -> FunctionDoc {
        self.doc
    }

    /// Returns the documentation of each name.
    pub(crate) fn docs(&self) -> impl Iterator<Item = FunctionDoc> {
        let named = |name| FunctionDoc { name, ..self.doc };
        let aliases = self.aliases().iter().copied();
        std::iter::once(self.doc.name).chain(aliases).map(named)
    }

    fn timed(&self) -> bool {
        self.time != Time::None
    }

    /// Returns how many arguments come before the constants.
    fn leading(&self) -> usize {
        self.arguments.len() + usize::from(self.timed())
    }
}

impl Aggregate for Sample {
    fn call(&self) -> Call {
        Call {
            function: self.doc.name,
            signature: argument::before_arrow(self.doc.signature),
        }
    }

    fn aliases(&self) -> &'static [&'static str] {
        match self.doc.name {
            "mwr" => &["irr"],
            _ => &[],
        }
    }

    fn argument_names(&self) -> Vec<&'static str> {
        let mut names = argument::names(self.arguments, &[]);
        names.extend(self.timed().then_some("ts"));
        names.extend(argument::names(self.constants, &[]));
        names
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let (call, leading) = (self.call(), self.leading());
        let required = self.constants.iter().filter(|c| c.default.is_none());
        call.count(
            types,
            leading + required.count(),
            leading + self.constants.len(),
        )?;
        let (rows, constants) = types.split_at(leading);
        let (numbers, times) = rows.split_at(self.arguments.len());
        let mut coerced = argument::coerce(call, self.arguments, numbers)?;
        for time in times {
            coerced.push(call.time("ts", time)?);
        }
        coerced.extend(argument::coerce(call, self.constants, constants)?);
        Ok(coerced)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn fold(
        &self,
        types: &[DataType],
        exprs: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let exprs = exprs.map(|exprs| exprs.get(self.leading()..).unwrap_or_default());
        Ok(Box::new(SampleFold {
            sample: *self,
            per_second: per_second(types.get(self.arguments.len())),
            constants: argument::constants(self.call(), self.constants, exprs)?,
        }))
    }
}

/// The rows of one group in order of arrival.
#[derive(Clone, Debug, Default)]
struct Collected {
    /// The time of each row, in the unit of its column; empty without a time argument.
    times: Vec<i64>,
    /// The values of each row, one row after the other.
    values: Vec<f64>,
}

/// Collects rows and evaluates them.
#[derive(Debug)]
struct SampleFold {
    sample: Sample,
    /// How many units of the time column a second has.
    per_second: f64,
    constants: Vec<f64>,
}

impl SampleFold {
    fn width(&self) -> usize {
        self.sample.arguments.len()
    }

    /// Returns the values in order of time.
    fn in_order(&self, state: &Collected) -> Vec<f64> {
        let with_seconds = self.sample.time == Time::Seconds;
        if state.times.is_sorted() && !with_seconds {
            return state.values.clone();
        }
        let width = self.width();
        let mut rows: Vec<usize> = (0..state.times.len()).collect();
        rows.sort_by_key(|&row| state.times[row]);
        let first = rows.first().map_or(0, |&row| state.times[row]);
        let seconds = |row: usize| {
            let since = i128::from(state.times[row]) - i128::from(first);
            with_seconds.then_some(since as f64 / self.per_second)
        };
        let values = |row: usize| state.values[row * width..(row + 1) * width].iter().copied();
        rows.into_iter()
            .flat_map(|row| values(row).chain(seconds(row)))
            .collect()
    }
}

/// The element of a list in a partial state.
fn list_field(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(data_type, false))
}

impl Fold for SampleFold {
    type State = Collected;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        vec![
            ("times", DataType::List(list_field(DataType::Int64))),
            ("values", DataType::List(list_field(DataType::Float64))),
        ]
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let (call, width) = (self.sample.call(), self.width());
        let pairs = rows.columns.iter().zip(self.sample.arguments);
        let columns: Vec<Float64Array> = pairs
            .map(|(column, argument)| argument.numbers(call, column))
            .collect::<Result<_>>()?;
        let times = match rows.columns.get(width).filter(|_| self.sample.timed()) {
            Some(column) => Some(i64::read(column)?.values),
            None => None,
        };
        let required: Vec<usize> = (0..self.sample.leading()).collect();
        rows.each(&required, |row, group| {
            // A word that is no side is NaN.
            let usable =
                |column: &Float64Array| column.is_valid(row) && column.value(row).is_finite();
            if columns.iter().all(usable) {
                let state = &mut states[group];
                state.times.extend(times.as_ref().map(|times| times[row]));
                state
                    .values
                    .extend(columns.iter().map(|column| column.value(row)));
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let times = rows.columns[0].as_list::<i32>();
        let values = rows.columns[1].as_list::<i32>();
        rows.each(&[0, 1], |row, group| {
            let (times, values) = (times.value(row), values.value(row));
            let state = &mut states[group];
            state
                .times
                .extend(times.as_primitive::<Int64Type>().values());
            state
                .values
                .extend(values.as_primitive::<Float64Type>().values());
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let times = states.iter().flat_map(|state| state.times.iter().copied());
        let times: ArrayRef = Arc::new(Int64Array::from_iter_values(times));
        let values = states.iter().flat_map(|state| state.values.iter().copied());
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(values));
        let time_counts = OffsetBuffer::from_lengths(states.iter().map(|state| state.times.len()));
        let value_counts =
            OffsetBuffer::from_lengths(states.iter().map(|state| state.values.len()));
        let list = |column: ArrayRef, counts| {
            ListArray::try_new(list_field(column.data_type().clone()), counts, column, None)
        };
        Ok(vec![
            Arc::new(list(times, time_counts)?),
            Arc::new(list(values, value_counts)?),
        ])
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let evaluated = |state: &Collected| {
            if state.values.is_empty() {
                return Ok(None);
            }
            let result = (self.sample.evaluate)(&self.in_order(state), &self.constants);
            Ok(Some(result).filter(|result| result.is_finite()))
        };
        column::<Float64Type>(DataType::Float64, states.iter().map(evaluated))
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        (state.times.capacity() + state.values.capacity()) * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests;
