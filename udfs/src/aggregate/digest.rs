//! `tdigest(size, value)`: percentiles of any number of values from a state of bounded size, finest
//! at both ends.
//!
//! Values are kept as means with weights; how much weight a mean may have falls towards the ends,
//! so that extreme percentiles stay exact the longest (Dunning and Ertl, "Computing Extremely
//! Accurate Quantiles Using t-Digests", 2019: the merging digest with scale function k1). Which
//! values share a mean depends on the order in which they came, so a digest of the same values in
//! another order, or put together from parts, differs within its error.

mod fold;

use std::f64::consts::{FRAC_PI_2, PI};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, ScalarValue};
use datafusion::physical_plan::PhysicalExpr;

use super::Aggregate;
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::AnyFold;
use crate::registry::{FunctionDoc, FunctionKind};
use fold::{Rollup, Values};

const CALL: Call = Call {
    function: "tdigest",
    signature: "tdigest(size, value)",
};

/// What a person wants to know about it.
pub(crate) const DOC: FunctionDoc = FunctionDoc {
    name: "tdigest",
    kind: FunctionKind::Aggregate,
    signature: "tdigest(size integer, value) -> struct(num_vals, sum, min, max, means, weights, \
                size)",
    description: "A sketch of a distribution that is finest at both ends, for approx_percentile \
                  and approx_percentile_rank.",
    formula: "at most size means with weights; a mean whose weight begins at the share q of all \
              ends at (1 + sin(asin(2q - 1) + 2 pi / size)) / 2 at the latest; exact while there \
              are no more than some size / 2 values; depends on the order of arrival within its \
              error",
    reference: "TimescaleDB toolkit tdigest, Dunning and Ertl 2019",
    example: "SELECT symbol, approx_percentile(0.99, tdigest(100, price)) FROM trades GROUP BY \
              symbol",
};

/// The fields of a digest.
pub(crate) const FIELDS: [&str; 7] = ["num_vals", "sum", "min", "max", "means", "weights", "size"];

/// The aggregate function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct TDigest;

fn list(of: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(of, false)))
}

fn fields() -> Fields {
    let kind = |name: &str| match name {
        "num_vals" | "size" => DataType::Int64,
        "means" => list(DataType::Float64),
        "weights" => list(DataType::Int64),
        _ => DataType::Float64,
    };
    FIELDS
        .iter()
        .map(|name| Arc::new(Field::new(*name, kind(name), true)))
        .collect()
}

/// Returns whether `found` is a digest.
pub(crate) fn is_digest(found: &DataType) -> bool {
    *found == DataType::Struct(fields())
}

/// Returns the fold that puts digests together.
pub(crate) fn rollup(call: Call) -> Box<dyn AnyFold> {
    Box::new(Rollup { call })
}

impl Aggregate for TDigest {
    fn call(&self) -> Call {
        CALL
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        CALL.count(types, 2, 2)?;
        if !types[0].is_integer() {
            return CALL.wrong_type("size", "an integer", &types[0]);
        }
        CALL.number("value", &types[1])?;
        Ok(vec![DataType::Int64, DataType::Float64])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Struct(fields()))
    }

    fn fold(
        &self,
        _types: &[DataType],
        constants: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let size = match constants.and_then(<[_]>::first) {
            None => 100,
            Some(expr) => match CALL.constant("size", expr)? {
                ScalarValue::Int64(Some(size @ 8..=100_000)) => size,
                other => {
                    return Err(FunctionError::OutOfRange {
                        function: CALL.function,
                        argument: "size",
                        value: other.to_string(),
                        range: "an integer from 8 to 100000".into(),
                    }
                    .into());
                }
            },
        };
        Ok(Box::new(Values { size }))
    }
}

/// A mean of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Centroid {
    mean: f64,
    weight: i64,
}

/// The values of one group.
#[derive(Clone, Debug, Default)]
struct Digest {
    /// The most means that are left when values are put together; 0 before the first one.
    size: i64,
    count: i64,
    sum: f64,
    min: f64,
    max: f64,
    /// In order.
    centroids: Vec<Centroid>,
    /// What has come since, in order of arrival.
    waiting: Vec<Centroid>,
}

/// How many values wait for each mean that is kept, so that sorting them costs little a value.
const WAITING: usize = 4;

impl Digest {
    /// Adds values whose extremes are `min` and `max`.
    fn add(&mut self, centroid: Centroid, min: f64, max: f64) {
        let first = self.count == 0;
        self.min = if first { min } else { self.min.min(min) };
        self.max = if first { max } else { self.max.max(max) };
        self.count += centroid.weight;
        self.waiting.push(centroid);
        if self.waiting.len() >= WAITING * usize::try_from(self.size).unwrap_or(1) {
            self.compress();
        }
    }

    /// Adds another digest of the same size, or any to an empty one.
    fn merge(&mut self, other: Self) {
        if self.count == 0 {
            *self = other;
            return;
        }
        self.sum += other.sum;
        for centroid in other.centroids.into_iter().chain(other.waiting) {
            self.add(centroid, other.min, other.max);
        }
    }

    /// Puts neighbours together until there are no more than `size` means.
    fn compress(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let mut all = std::mem::take(&mut self.centroids);
        all.append(&mut self.waiting);
        all.sort_by(|a, b| a.mean.total_cmp(&b.mean));
        let count = self.count as f64;
        let reach = |before: i64| {
            let angle = (2.0 * before as f64 / count - 1.0).asin() + 2.0 * PI / self.size as f64;
            match angle >= FRAC_PI_2 {
                true => count,
                false => f64::midpoint(angle.sin(), 1.0) * count,
            }
        };
        let (mut before, mut limit) = (0, reach(0));
        for next in all {
            match self.centroids.last_mut() {
                Some(last) if (before + last.weight + next.weight) as f64 <= limit => {
                    last.weight += next.weight;
                    let share = next.weight as f64 / last.weight as f64;
                    last.mean += (next.mean - last.mean) * share;
                }
                last => {
                    before += last.map_or(0, |last| last.weight);
                    limit = reach(before);
                    self.centroids.push(next);
                }
            }
        }
    }
}

/// The values of a digest by their place in order, as means know them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// The least and the greatest value.
    pub(crate) extremes: (f64, f64),
    /// Means in order.
    pub(crate) means: &'a [f64],
    /// How many values each stands for.
    pub(crate) weights: &'a [i64],
}

impl Places<'_> {
    /// Returns places in order, counted from 0, and their values: the extremes, and each mean in
    /// the middle of its values.
    fn known(&self) -> impl Iterator<Item = (f64, f64)> {
        let all: i64 = self.weights.iter().sum();
        let (least, greatest) = self.extremes;
        let mut before = 0;
        let middles = self
            .means
            .iter()
            .zip(self.weights)
            .map(move |(mean, weight)| {
                let middle = before as f64 + (weight - 1) as f64 / 2.0;
                before += weight;
                (middle, *mean)
            });
        let ends = ((0.0, least), ((all - 1) as f64, greatest));
        std::iter::once(ends.0)
            .chain(middles)
            .chain(std::iter::once(ends.1))
    }

    /// Returns the percentile, interpolated between what is known.
    pub(crate) fn percentile(&self, percentile: f64) -> Option<f64> {
        let all: i64 = self.weights.iter().sum();
        let place = percentile * (all - 1) as f64;
        let mut before: Option<(f64, f64)> = None;
        for (known, value) in self.known() {
            if known >= place {
                let Some((from, low)) = before.filter(|_| known > place) else {
                    return Some(value);
                };
                return Some(low + (value - low) * (place - from) / (known - from));
            }
            before = Some((known, value));
        }
        before.map(|(_, value)| value)
    }

    /// Returns the share of the values that are not above `asked`.
    pub(crate) fn rank(&self, asked: f64) -> f64 {
        let all: i64 = self.weights.iter().sum();
        let mut place = -1.0;
        let mut before: Option<(f64, f64)> = None;
        for (known, value) in self.known() {
            if value <= asked {
                place = known;
            } else {
                if let Some((from, low)) = before.filter(|(_, low)| *low <= asked) {
                    place = from + (known - from) * (asked - low) / (value - low);
                }
                break;
            }
            before = Some((known, value));
        }
        (place.floor() + 1.0) / all as f64
    }
}

#[cfg(test)]
mod tests;
