//! The rows of a group in order of time, and the fold that collects them.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type};
use datafusion::common::Result;

use super::Measure;
use crate::fold::{Fold, Rows, column};
use crate::ordering::Key;

/// One row: its time, in the unit of the time column, and its values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point<const N: usize> {
    pub(super) time: i64,
    pub(super) values: [f64; N],
}

/// The rows of one group in order of arrival.
#[derive(Clone, Debug, Default)]
pub(super) struct Path<const N: usize> {
    points: Vec<Point<N>>,
}

impl<const N: usize> Path<N> {
    /// Adds a row.
    pub(super) fn push(&mut self, point: Point<N>) {
        self.points.push(point);
    }

    /// Returns the rows in order of time, equal times in order of arrival.
    pub(super) fn in_order(&self) -> Vec<Point<N>> {
        let mut points = self.points.clone();
        points.sort_by_key(|point| point.time);
        points
    }
}

/// Collects rows and measures them.
#[derive(Debug)]
pub(super) struct PathFold<const N: usize> {
    pub(super) measure: Measure,
    /// The annualization factor, 1 if there is none.
    pub(super) factor: f64,
}

/// The column of values in a partial state: the values of a row follow each other.
fn list_field(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(data_type, false))
}

impl<const N: usize> Fold for PathFold<N> {
    type State = Path<N>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        vec![
            ("times", DataType::List(list_field(DataType::Int64))),
            ("values", DataType::List(list_field(DataType::Float64))),
        ]
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let times = i64::read(&rows.columns[N])?.values;
        let values: [_; N] =
            std::array::from_fn(|index| rows.columns[index].as_primitive::<Float64Type>().values());
        let required: [usize; N] = std::array::from_fn(|index| index);
        rows.each(&[&required[..], &[N]].concat(), |row, group| {
            let values = values.map(|column| column[row]);
            if self.measure.accepts(&values) {
                states[group].points.push(Point {
                    time: times[row],
                    values,
                });
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let times = rows.columns[0].as_list::<i32>();
        let values = rows.columns[1].as_list::<i32>();
        rows.each(&[0, 1], |row, group| {
            let (times, values) = (times.value(row), values.value(row));
            let times = times.as_primitive::<Int64Type>().values();
            let values = values.as_primitive::<Float64Type>().values();
            let points = times.iter().zip(values.as_chunks::<N>().0);
            let points = points.map(|(&time, &values)| Point { time, values });
            states[group].points.extend(points);
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let points = || states.iter().flat_map(|state| &state.points);
        let times = Int64Array::from_iter_values(points().map(|point| point.time));
        let values = Float64Array::from_iter_values(points().flat_map(|point| point.values));
        let list = |width: usize, column: ArrayRef| {
            let lengths = states.iter().map(|state| state.points.len() * width);
            let field = list_field(column.data_type().clone());
            ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), column, None)
        };
        Ok(vec![
            Arc::new(list(1, Arc::new(times))?),
            Arc::new(list(N, Arc::new(values))?),
        ])
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let measured = |state: &Self::State| {
            let result = self.measure.evaluate(&state.in_order(), self.factor);
            Ok(result.filter(|result| result.is_finite()))
        };
        column::<Float64Type>(DataType::Float64, states.iter().map(measured))
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        state.points.capacity() * size_of::<Point<N>>()
    }
}
