//! Digests of groups, from values and from other digests.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray, StructArray,
};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::common::Result;

use super::{CALL, Centroid, Digest, fields, list};
use crate::arguments::Call;
use crate::error::FunctionError;
use crate::fold::{Fold, Rows};

/// Digests values.
#[derive(Debug)]
pub(super) struct Values {
    /// The most means.
    pub(super) size: i64,
}

/// Puts digests together.
#[derive(Debug)]
pub(super) struct Rollup {
    /// Whom to blame for digests that do not fit.
    pub(super) call: Call,
}

impl Fold for Values {
    type State = Digest;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let values = rows.columns[1].as_primitive::<Float64Type>().values();
        rows.each(&[1], |row, group| {
            let (mean, state) = (values[row], &mut states[group]);
            if mean.is_finite() {
                state.size = self.size;
                state.sum += mean;
                state.add(Centroid { mean, weight: 1 }, mean, mean);
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        merge(CALL, states, rows)
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        state(states)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        digests(states)
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        heap_bytes(state)
    }
}

impl Fold for Rollup {
    type State = Digest;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let digests = rows.columns[0].as_struct();
        let long = |index: usize| digests.column(index).as_primitive::<Int64Type>();
        let number = |index: usize| digests.column(index).as_primitive::<Float64Type>();
        let lists = [4, 5].map(|index| digests.column(index).as_list::<i32>());
        rows.each(&[0], |row, group| {
            // A struct built by hand may lack parts; it has no values to add.
            if digests.columns().iter().any(|part| part.is_null(row)) {
                return Ok(());
            }
            let other = Digest {
                size: long(6).value(row),
                count: long(0).value(row),
                sum: number(1).value(row),
                min: number(2).value(row),
                max: number(3).value(row),
                centroids: centroids(&lists[0].value(row), &lists[1].value(row)),
                waiting: Vec::new(),
            };
            add(self.call, &mut states[group], other)
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        merge(self.call, states, rows)
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        state(states)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        digests(states)
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        heap_bytes(state)
    }
}

fn state_fields() -> Vec<(&'static str, DataType)> {
    vec![
        ("size", DataType::Int64),
        ("count", DataType::Int64),
        ("sum", DataType::Float64),
        ("min", DataType::Float64),
        ("max", DataType::Float64),
        ("means", list(DataType::Float64)),
        ("weights", list(DataType::Int64)),
        ("waiting_means", list(DataType::Float64)),
        ("waiting_weights", list(DataType::Int64)),
    ]
}

fn centroids(means: &ArrayRef, weights: &ArrayRef) -> Vec<Centroid> {
    let means = means.as_primitive::<Float64Type>().values();
    let weights = weights.as_primitive::<Int64Type>().values();
    let pairs = means.iter().zip(weights);
    pairs
        .map(|(&mean, &weight)| Centroid { mean, weight })
        .collect()
}

/// Adds a digest to another.
///
/// # Errors
/// [`FunctionError::OutOfRange`] if they were not made alike.
fn add(call: Call, state: &mut Digest, other: Digest) -> Result<()> {
    if state.count > 0 && other.count > 0 && state.size != other.size {
        return Err(FunctionError::OutOfRange {
            function: call.function,
            argument: "summary",
            value: "digests of different size".to_owned(),
            range: "digests that were made with one size".into(),
        }
        .into());
    }
    if other.count > 0 {
        state.merge(other);
    }
    Ok(())
}

fn merge(call: Call, states: &mut [Digest], rows: &Rows<'_>) -> Result<()> {
    let long = |index: usize| rows.columns[index].as_primitive::<Int64Type>();
    let number = |index: usize| rows.columns[index].as_primitive::<Float64Type>();
    let list = |index: usize| rows.columns[index].as_list::<i32>();
    rows.each(&[0], |row, group| {
        let other = Digest {
            size: long(0).value(row),
            count: long(1).value(row),
            sum: number(2).value(row),
            min: number(3).value(row),
            max: number(4).value(row),
            centroids: centroids(&list(5).value(row), &list(6).value(row)),
            waiting: centroids(&list(7).value(row), &list(8).value(row)),
        };
        add(call, &mut states[group], other)
    })
}

/// Writes everything, so that a restart goes on with the same values.
fn state(states: &[Digest]) -> Result<Vec<ArrayRef>> {
    let [means, weights] = columns(states, |state| &state.centroids)?;
    let [waiting_means, waiting_weights] = columns(states, |state| &state.waiting)?;
    Ok(vec![
        longs(states, |state| state.size),
        longs(states, |state| state.count),
        numbers(states, |state| state.sum),
        numbers(states, |state| state.min),
        numbers(states, |state| state.max),
        means,
        weights,
        waiting_means,
        waiting_weights,
    ])
}

/// Writes digests; one without values is null.
fn digests(states: &[Digest]) -> Result<ArrayRef> {
    let mut states = states.to_vec();
    for state in &mut states {
        state.compress();
    }
    let known = NullBuffer::from_iter(states.iter().map(|state| state.count > 0));
    let [means, weights] = columns(&states, |state| &state.centroids)?;
    let columns = vec![
        longs(&states, |state| state.count),
        numbers(&states, |state| state.sum),
        numbers(&states, |state| state.min),
        numbers(&states, |state| state.max),
        means,
        weights,
        longs(&states, |state| state.size),
    ];
    let known = Some(known).filter(|known| known.null_count() > 0);
    Ok(Arc::new(StructArray::try_new(fields(), columns, known)?))
}

fn longs(states: &[Digest], value: fn(&Digest) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(states.iter().map(value)))
}

fn numbers(states: &[Digest], value: fn(&Digest) -> f64) -> ArrayRef {
    Arc::new(Float64Array::from_iter_values(states.iter().map(value)))
}

/// Means and weights as lists.
fn columns(states: &[Digest], of: fn(&Digest) -> &Vec<Centroid>) -> Result<[ArrayRef; 2]> {
    let all = || states.iter().flat_map(of);
    let means = Float64Array::from_iter_values(all().map(|centroid| centroid.mean));
    let weights = Int64Array::from_iter_values(all().map(|centroid| centroid.weight));
    let list = |items: ArrayRef| -> Result<ArrayRef> {
        let lengths = states.iter().map(|state| of(state).len());
        let field = Arc::new(Field::new_list_field(items.data_type().clone(), false));
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(field, offsets, items, None)?))
    };
    Ok([list(Arc::new(means))?, list(Arc::new(weights))?])
}

fn heap_bytes(state: &Digest) -> usize {
    (state.centroids.capacity() + state.waiting.capacity()) * size_of::<Centroid>()
}
