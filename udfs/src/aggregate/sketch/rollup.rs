//! Sketches of several groups as one: what `rollup` does with the results of `percentile_agg` and
//! `uddsketch`.

use datafusion::arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;
use std::sync::Arc;

use super::{Counts, bucket, data_type, doubled, list, lists, sketches, step};
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::{Fold, Rows};

/// Returns whether `found` is a sketch.
pub(crate) fn is_sketch(found: &DataType) -> bool {
    *found == data_type()
}

/// Puts sketches together.
#[derive(Debug)]
pub(crate) struct Sketches {
    /// Whom to blame for sketches that do not fit.
    pub(crate) call: Call,
}

/// How far two steps that are the same may lie apart: some rounding errors of their errors.
const STEP_TOLERANCE: f64 = 1e-6;

/// One sketch of many.
#[derive(Clone, Debug, Default)]
pub(crate) struct Merged {
    counts: Counts,
    /// The relative error of the buckets.
    error: f64,
    /// The most buckets; 0 before the first sketch.
    size: i64,
}

impl Merged {
    fn collapse(&mut self) {
        self.counts.collapse();
        self.error = doubled(self.error);
    }

    /// Adds another one; false if they were not made alike.
    fn add(&mut self, mut other: Self) -> bool {
        if self.size == 0 {
            *self = other;
            return true;
        }
        if self.size != other.size || !(other.error > 0.0 && other.error < 1.0) {
            return false;
        }
        // Each collapse doubles the step, so of two that stem from one error the finer one
        // reaches the other.
        let ahead = |a: &Self, b: &Self| step(a.error) / step(b.error);
        while ahead(self, &other) < 1.0 - STEP_TOLERANCE {
            self.collapse();
        }
        while ahead(&other, self) < 1.0 - STEP_TOLERANCE {
            other.collapse();
        }
        if (ahead(self, &other) - 1.0).abs() > STEP_TOLERANCE {
            return false;
        }
        self.counts.count += other.counts.count;
        self.counts.sum += other.counts.sum;
        for (bucket, count) in other.counts.buckets {
            *self.counts.buckets.entry(bucket).or_insert(0) += count;
        }
        while self.counts.buckets.len() as i64 > self.size {
            self.collapse();
        }
        true
    }
}

impl Sketches {
    fn add(&self, state: &mut Merged, other: Merged) -> Result<()> {
        if other.size == 0 || state.add(other) {
            return Ok(());
        }
        Err(FunctionError::OutOfRange {
            function: self.call.function,
            argument: "summary",
            value: "sketches of different size or error".to_owned(),
            range: "sketches that were made with one size and error".into(),
        }
        .into())
    }
}

impl Fold for Sketches {
    type State = Merged;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        vec![
            ("count", DataType::Int64),
            ("sum", DataType::Float64),
            ("error", DataType::Float64),
            ("size", DataType::Int64),
            ("buckets", list(DataType::Int64)),
            ("counts", list(DataType::Int64)),
        ]
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let sketches = rows.columns[0].as_struct();
        let long = |index: usize| sketches.column(index).as_primitive::<Int64Type>();
        let number = |index: usize| sketches.column(index).as_primitive::<Float64Type>();
        let list = |index: usize| sketches.column(index).as_list::<i32>();
        rows.each(&[0], |row, group| {
            // A struct built by hand may lack parts; it has no values to add.
            if sketches.columns().iter().any(|part| part.is_null(row)) {
                return Ok(());
            }
            let error = number(2).value(row);
            let step = step(error);
            let (values, counts) = (list(3).value(row), list(4).value(row));
            let values = values.as_primitive::<Float64Type>().values();
            let counts = counts.as_primitive::<Int64Type>().values();
            let buckets = values.iter().map(|value| bucket(*value, step));
            let counts = Counts {
                count: long(0).value(row),
                sum: number(1).value(row),
                collapses: 0,
                buckets: buckets.zip(counts.iter().copied()).collect(),
            };
            let size = long(5).value(row);
            let other = Merged {
                counts,
                error,
                size,
            };
            self.add(&mut states[group], other)
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let long = |index: usize| rows.columns[index].as_primitive::<Int64Type>();
        let number = |index: usize| rows.columns[index].as_primitive::<Float64Type>();
        let list = |index: usize| rows.columns[index].as_list::<i32>();
        rows.each(&[0], |row, group| {
            let (buckets, counts) = (list(4).value(row), list(5).value(row));
            let buckets = buckets.as_primitive::<Int64Type>().values();
            let counts = counts.as_primitive::<Int64Type>().values();
            let counts = Counts {
                count: long(0).value(row),
                sum: number(1).value(row),
                collapses: 0,
                buckets: (buckets.iter().copied())
                    .zip(counts.iter().copied())
                    .collect(),
            };
            let (error, size) = (number(2).value(row), long(3).value(row));
            let other = Merged {
                counts,
                error,
                size,
            };
            self.add(&mut states[group], other)
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let longs = |value: fn(&Merged) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(states.iter().map(value)))
        };
        let numbers = |value: fn(&Merged) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(states.iter().map(value)))
        };
        let counts: Vec<Counts> = states.iter().map(|state| state.counts.clone()).collect();
        let keys = counts.iter().flat_map(|counts| counts.buckets.keys());
        let values = counts.iter().flat_map(|counts| counts.buckets.values());
        Ok(vec![
            longs(|state| state.counts.count),
            numbers(|state| state.counts.sum),
            numbers(|state| state.error),
            longs(|state| state.size),
            lists(&counts, Int64Array::from_iter_values(keys.copied()))?,
            lists(&counts, Int64Array::from_iter_values(values.copied()))?,
        ])
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let counts: Vec<Counts> = states.iter().map(|state| state.counts.clone()).collect();
        let made = states.iter().map(|state| (state.error, state.size));
        sketches(&counts, &made.collect::<Vec<_>>())
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        state.counts.heap_bytes()
    }
}
