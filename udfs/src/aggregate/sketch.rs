//! `percentile_agg(x)` and `uddsketch(size, error, x)`: percentiles of any number of values from a
//! state of bounded size.
//!
//! Values are counted in buckets whose bounds grow by a constant factor, so that every value is
//! known up to a share of itself. When there are more buckets than allowed, each two neighbours
//! become one, and the share grows (Epicoco et al., "UDDSketch", 2020).

pub(crate) mod rollup;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StructArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::{AnyFold, Fold, Rows};
use crate::registry::{FunctionDoc, FunctionKind};

/// Buckets and error of `percentile_agg`, as TimescaleDB's toolkit has them.
const USUAL: (usize, f64) = (200, 0.001);

/// What a person wants to know about them.
pub(crate) const DOCS: [FunctionDoc; 2] = [
    FunctionDoc {
        name: "percentile_agg",
        kind: FunctionKind::Aggregate,
        signature: "percentile_agg(value) -> sketch",
        description: "A sketch of a distribution, for approx_percentile and \
                      approx_percentile_rank.",
        formula: "uddsketch(200, 0.001, value)",
        reference: "TimescaleDB toolkit percentile_agg, Epicoco et al. 2020",
        example: "SELECT symbol, approx_percentile(0.99, percentile_agg(price)) FROM trades GROUP \
                  BY symbol",
    },
    FunctionDoc {
        name: "uddsketch",
        kind: FunctionKind::Aggregate,
        signature: "uddsketch(size integer, error, value) -> struct(num_vals, sum, error, values, \
                    counts, size)",
        description: "A sketch of a distribution with a number of buckets and a relative error.",
        formula: "counts of values in buckets from g^(i-1) to g^i with g = (1 + error) / (1 - \
                  error); where there would be more than size buckets, neighbours are put together \
                  and error, that of the result, becomes 2 error / (1 + error^2)",
        reference: "TimescaleDB toolkit uddsketch, Epicoco et al. 2020",
        example: "SELECT symbol, approx_percentile(0.5, uddsketch(100, 0.01, price)) FROM trades \
                  GROUP BY symbol",
    },
];

/// The fields of a sketch.
pub(crate) const FIELDS: [&str; 6] = ["num_vals", "sum", "error", "values", "counts", "size"];

/// The aggregate functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sketch {
    /// `percentile_agg`.
    Usual,
    /// `uddsketch`.
    Given,
}

fn list(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(of, false)))
}

/// The type of a sketch.
pub(crate) fn data_type() -> DataType {
    let kind = |name: &str| match name {
        "num_vals" | "size" => DataType::Int64,
        "values" => list(DataType::Float64),
        "counts" => list(DataType::Int64),
        _ => DataType::Float64,
    };
    let fields = FIELDS
        .iter()
        .map(|name| Arc::new(Field::new(*name, kind(name), true)));
    DataType::Struct(fields.collect::<Fields>())
}

impl Aggregate for Sketch {
    fn call(&self) -> Call {
        match self {
            Self::Usual => Call {
                function: "percentile_agg",
                signature: "percentile_agg(value)",
            },
            Self::Given => Call {
                function: "uddsketch",
                signature: "uddsketch(size, error, value)",
            },
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let call = self.call();
        if *self == Self::Usual {
            call.count(types, 1, 1)?;
            call.number("value", &types[0])?;
            return Ok(vec![DataType::Float64]);
        }
        call.count(types, 3, 3)?;
        if !types[0].is_integer() {
            return call.wrong_type("size", "an integer", &types[0]);
        }
        call.number("error", &types[1])?;
        call.number("value", &types[2])?;
        Ok(vec![DataType::Int64, DataType::Float64, DataType::Float64])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(data_type())
    }

    fn fold(
        &self,
        _types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let (mut size, mut error) = USUAL;
        if let (Self::Given, Some([first, second, ..])) = (self, constants) {
            let call = self.call();
            let refused =
                |argument, value: &ScalarValue, range: &'static str| FunctionError::OutOfRange {
                    function: call.function,
                    argument,
                    value: value.to_string(),
                    range: range.into(),
                };
            size = match call.constant("size", first)? {
                ScalarValue::Int64(Some(size @ 8..=100_000)) => size as usize,
                other => return Err(refused("size", &other, "an integer from 8 to 100000").into()),
            };
            error = match call.constant("error", second)? {
                ScalarValue::Float64(Some(error)) if (1e-6..=0.5).contains(&error) => error,
                other => return Err(refused("error", &other, "a number from 1e-6 to 0.5").into()),
            };
        }
        let value = if *self == Self::Usual { 0 } else { 2 };
        Ok(Box::new(Buckets { size, error, value }))
    }
}

/// Counts values in buckets.
#[derive(Debug)]
struct Buckets {
    size: usize,
    error: f64,
    /// Which argument the values are.
    value: usize,
}

/// The buckets of one group.
#[derive(Clone, Debug, Default)]
struct Counts {
    count: i64,
    sum: f64,
    /// How many times neighbours were put together.
    collapses: u32,
    /// By bucket; those of negative values have negative numbers, zero has 0.
    buckets: BTreeMap<i64, i64>,
}

/// Numbers of buckets are moved by this, so that those of values below one are positive too.
const MIDDLE: i64 = 1 << 40;

impl Counts {
    fn heap_bytes(&self) -> usize {
        // Nodes of the tree hold up to eleven entries, two thirds of them used.
        self.buckets.len() * size_of::<(i64, i64)>() * 3 / 2
    }

    /// Puts neighbours together until there are no more than `size` buckets.
    fn shrink(&mut self, size: usize) {
        while self.buckets.len() > size {
            self.collapse();
        }
    }

    fn collapse(&mut self) {
        let mut fewer = BTreeMap::new();
        for (&bucket, &count) in &self.buckets {
            let half = |magnitude: i64| (magnitude - MIDDLE + 1).div_euclid(2) + MIDDLE;
            let bucket = match bucket {
                0 => 0,
                positive if positive > 0 => half(positive),
                negative => -half(-negative),
            };
            *fewer.entry(bucket).or_insert(0) += count;
        }
        self.buckets = fewer;
        self.collapses += 1;
    }
}

impl Buckets {
    /// The relative error after some collapses.
    fn error(&self, collapses: u32) -> f64 {
        (0..collapses).fold(self.error, |error, _| doubled(error))
    }

    fn bucket(&self, value: f64, collapses: u32) -> i64 {
        bucket(value, step(self.error(collapses)))
    }
}

/// The relative error once neighbours have been put together.
fn doubled(error: f64) -> f64 {
    2.0 * error / (1.0 + error * error)
}

/// The logarithm of the factor between bounds.
fn step(error: f64) -> f64 {
    ((1.0 + error) / (1.0 - error)).ln()
}

fn bucket(value: f64, step: f64) -> i64 {
    if value == 0.0 {
        return 0;
    }
    let place = (value.abs().ln() / step).ceil() as i64 + MIDDLE;
    if value > 0.0 { place } else { -place }
}

/// The value that a bucket stands for: off by no more than the error.
fn value_of(bucket: i64, step: f64) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let upper = ((bucket.abs() - MIDDLE) as f64 * step).exp();
    let middle = 2.0 * upper / (step.exp() + 1.0);
    if bucket > 0 { middle } else { -middle }
}

impl Fold for Buckets {
    type State = Counts;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        vec![
            ("count", DataType::Int64),
            ("sum", DataType::Float64),
            ("collapses", DataType::Int64),
            ("buckets", list(DataType::Int64)),
            ("counts", list(DataType::Int64)),
        ]
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let values = rows.columns[self.value]
            .as_primitive::<Float64Type>()
            .values();
        rows.each(&[self.value], |row, group| {
            let (value, state) = (values[row], &mut states[group]);
            if value.is_finite() {
                state.count += 1;
                state.sum += value;
                let bucket = self.bucket(value, state.collapses);
                *state.buckets.entry(bucket).or_insert(0) += 1;
                state.shrink(self.size);
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let long = |index: usize| rows.columns[index].as_primitive::<Int64Type>();
        let (count, collapses) = (long(0), long(2));
        let sum = rows.columns[1].as_primitive::<Float64Type>();
        let (buckets, counts) = (
            rows.columns[3].as_list::<i32>(),
            rows.columns[4].as_list::<i32>(),
        );
        rows.each(&[0], |row, group| {
            let (buckets, counts) = (buckets.value(row), counts.value(row));
            let buckets = buckets.as_primitive::<Int64Type>().values();
            let counts = counts.as_primitive::<Int64Type>().values();
            let mut other = Counts {
                count: count.value(row),
                sum: sum.value(row),
                collapses: u32::try_from(collapses.value(row)).unwrap_or(0),
                buckets: buckets
                    .iter()
                    .copied()
                    .zip(counts.iter().copied())
                    .collect(),
            };
            let state = &mut states[group];
            while other.collapses < state.collapses {
                other.collapse();
            }
            while state.collapses < other.collapses {
                state.collapse();
            }
            state.count += other.count;
            state.sum += other.sum;
            for (bucket, count) in other.buckets {
                *state.buckets.entry(bucket).or_insert(0) += count;
            }
            state.shrink(self.size);
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let longs = |value: fn(&Counts) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(states.iter().map(value)))
        };
        Ok(vec![
            longs(|state| state.count),
            Arc::new(Float64Array::from_iter_values(
                states.iter().map(|state| state.sum),
            )),
            longs(|state| i64::from(state.collapses)),
            lists(
                states,
                Int64Array::from_iter_values(
                    states
                        .iter()
                        .flat_map(|state| state.buckets.keys().copied()),
                ),
            )?,
            lists(
                states,
                Int64Array::from_iter_values(
                    states
                        .iter()
                        .flat_map(|state| state.buckets.values().copied()),
                ),
            )?,
        ])
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let made = |state: &Counts| (self.error(state.collapses), self.size as i64);
        sketches(states, &states.iter().map(made).collect::<Vec<_>>())
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        state.heap_bytes()
    }
}

/// Writes sketches, given the error and the size of each; one without values is null.
fn sketches(states: &[Counts], made: &[(f64, i64)]) -> Result<ArrayRef> {
    let known = NullBuffer::from_iter(states.iter().map(|state| state.count > 0));
    let values = states.iter().zip(made).flat_map(|(state, (error, _))| {
        let step = step(*error);
        state
            .buckets
            .keys()
            .map(move |bucket| value_of(*bucket, step))
    });
    let counts = states
        .iter()
        .flat_map(|state| state.buckets.values().copied());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(
            states.iter().map(|state| state.count),
        )),
        Arc::new(Float64Array::from_iter_values(
            states.iter().map(|state| state.sum),
        )),
        Arc::new(Float64Array::from_iter_values(
            made.iter().map(|(error, _)| *error),
        )),
        lists(states, Float64Array::from_iter_values(values))?,
        lists(states, Int64Array::from_iter_values(counts))?,
        Arc::new(Int64Array::from_iter_values(
            made.iter().map(|(_, size)| *size),
        )),
    ];
    let DataType::Struct(fields) = data_type() else {
        return datafusion::common::internal_err!("a sketch is a struct");
    };
    let known = Some(known).filter(|known| known.null_count() > 0);
    Ok(Arc::new(StructArray::try_new(fields, columns, known)?))
}

/// One list a group, as long as it has buckets.
fn lists(states: &[Counts], items: impl Array + 'static) -> Result<ArrayRef> {
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), false));
    let lengths = states.iter().map(|state| state.buckets.len());
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(
        field,
        offsets,
        Arc::new(items),
        None,
    )?))
}

#[cfg(test)]
mod tests;
