//! `approx_percentile(p, sketch)` and `approx_percentile_rank(value, sketch)`: what a sketch knows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::ScalarUDF;

use super::plain::Plain;
use crate::aggregate::digest::{self, Places};
use crate::aggregate::sketch::rollup::is_sketch;
use crate::arguments::Call;
use crate::registry::{FunctionDoc, FunctionKind};

/// What a person wants to know about them.
pub(crate) const DOCS: [FunctionDoc; 2] = [
    FunctionDoc {
        name: "approx_percentile",
        kind: FunctionKind::Scalar,
        signature: "approx_percentile(percentile, sketch) -> double precision",
        description: "A percentile of the values of a sketch.",
        formula: "of a sketch the bucket of the value number 1 + percentile * (n - 1), in order, \
                  off by no more than its error; of a digest the value at that place, interpolated \
                  between its means; null unless percentile is from 0 to 1",
        reference: "TimescaleDB toolkit approx_percentile",
        example: "SELECT approx_percentile(0.5, percentile_agg(price)) FROM trades",
    },
    FunctionDoc {
        name: "approx_percentile_rank",
        kind: FunctionKind::Scalar,
        signature: "approx_percentile_rank(value, sketch) -> double precision",
        description: "The share of the values of a sketch that are not above a value.",
        formula: "of a sketch the count of the buckets whose value is at or below value, over that \
                  of all; of a digest the place that value has, interpolated between its means",
        reference: "TimescaleDB toolkit approx_percentile_rank",
        example: "SELECT approx_percentile_rank(11, percentile_agg(price)) FROM trades",
    },
];

/// Makes the functions.
pub(crate) fn functions() -> [Arc<ScalarUDF>; 2] {
    let percentile = Plain {
        call: PERCENTILE.call(),
        coerce: |types| PERCENTILE.coerce(types),
        return_type: |_| Ok(DataType::Float64),
        evaluate: |columns, row_count| PERCENTILE.answers(columns, row_count),
    };
    let rank = Plain {
        call: RANK.call(),
        coerce: |types| RANK.coerce(types),
        evaluate: |columns, row_count| RANK.answers(columns, row_count),
        ..percentile
    };
    [percentile.function(), rank.function()]
}

/// The function `approx_percentile`.
const PERCENTILE: Percentile = Percentile { is_rank: false };

/// The function `approx_percentile_rank`.
const RANK: Percentile = Percentile { is_rank: true };

#[derive(Clone, Copy, Debug)]
struct Percentile {
    is_rank: bool,
}

impl Percentile {
    fn call(&self) -> Call {
        match self.is_rank {
            false => Call {
                function: "approx_percentile",
                signature: "approx_percentile(percentile, sketch)",
            },
            true => Call {
                function: "approx_percentile_rank",
                signature: "approx_percentile_rank(value, sketch)",
            },
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let call = self.call();
        call.count(types, 2, 2)?;
        call.number(if self.is_rank { "value" } else { "percentile" }, &types[0])?;
        if !is_sketch(&types[1]) && !digest::is_digest(&types[1]) {
            let expected = "the result of percentile_agg, uddsketch or tdigest";
            return call.wrong_type("sketch", expected, &types[1]);
        }
        Ok(vec![DataType::Float64, types[1].clone()])
    }

    /// What a digest answers.
    fn place(&self, asked: f64, places: &Places<'_>) -> Option<f64> {
        if places.means.is_empty() || !asked.is_finite() {
            return None;
        }
        if self.is_rank {
            return Some(places.rank(asked));
        }
        let asked = Some(asked).filter(|asked| (0.0..=1.0).contains(asked))?;
        places.percentile(asked)
    }

    /// What the buckets of a sketch answer.
    fn answer(&self, asked: f64, values: &[f64], counts: &[i64]) -> Option<f64> {
        let all: i64 = counts.iter().sum();
        if all == 0 || !asked.is_finite() {
            return None;
        }
        let buckets = values.iter().zip(counts);
        if self.is_rank {
            let below = buckets.filter(|(value, _)| **value <= asked);
            let below: i64 = below.map(|(_, count)| count).sum();
            return Some(below as f64 / all as f64);
        }
        if !(0.0..=1.0).contains(&asked) {
            return None;
        }
        let place = (asked * (all - 1) as f64).round() as i64;
        let mut seen = 0;
        for (value, count) in buckets {
            seen += count;
            if place < seen {
                return Some(*value);
            }
        }
        values.last().copied()
    }

    fn answers(&self, columns: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
        let asked = cast(&columns[0], &DataType::Float64)?;
        let asked = asked.as_primitive::<Float64Type>();
        let sketches = columns[1].as_struct();
        let is_digest = digest::is_digest(columns[1].data_type());
        let first = if is_digest { 4 } else { 3 };
        let lists = [first, first + 1].map(|index| sketches.column(index).as_list::<i32>());
        let extreme = |index: usize, row: usize| {
            let column = sketches.column(index).as_primitive::<Float64Type>();
            column.is_valid(row).then(|| column.value(row))
        };
        let answers = (0..row_count).map(|row| {
            let known = lists.iter().all(|list| list.is_valid(row));
            if asked.is_null(row) || sketches.is_null(row) || !known {
                return None;
            }
            let (values, counts) = (lists[0].value(row), lists[1].value(row));
            let values = values.as_primitive::<Float64Type>().values();
            let counts = counts.as_primitive::<Int64Type>().values();
            if !is_digest {
                return self.answer(asked.value(row), values, counts);
            }
            let extremes = (extreme(2, row)?, extreme(3, row)?);
            let places = Places {
                extremes,
                means: values,
                weights: counts,
            };
            self.place(asked.value(row), &places)
        });
        let answers: ArrayRef = Arc::new(answers.collect::<Float64Array>());
        Ok(answers)
    }
}
