//! `twap(price, ts, start, end)`: the time-weighted average price between two bounds, such as those
//! of a bucket: a price stands until the next one, and the last one until the end.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array};
use datafusion::arrow::datatypes::{DataType, Float64Type, Int64Type};
use datafusion::common::Result;

use super::Measure;
use super::path::{Path, PathFold, Point};
use crate::fold::{Fold, Rows, column};
use crate::ordering::Key;

/// The rows of a group with its bounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Bounded {
    path: Path<1>,
    /// The earliest start and the latest end of the rows, in the unit of the time column; `None`
    /// without rows.
    bounds: Option<(i64, i64)>,
}

impl Bounded {
    fn widen(&mut self, start: i64, end: i64) {
        let (earliest, latest) = self.bounds.unwrap_or((start, end));
        self.bounds = Some((earliest.min(start), latest.max(end)));
    }

    /// Returns the mean over the time between the bounds of which the price is known; `None` if
    /// there is none.
    fn mean(&self) -> Option<f64> {
        let (start, end) = self.bounds?;
        let points = self.path.in_order();
        let (mut sum, mut known) = (0.0, 0_i128);
        for (index, point) in points.iter().enumerate() {
            let next = points.get(index + 1).map_or(end, |next| next.time);
            let (from, to) = (point.time.max(start), next.min(end));
            let stood = i128::from(to) - i128::from(from);
            if stood > 0 {
                let [price] = point.values;
                sum += price * stood as f64;
                known += stood;
            }
        }
        (known > 0).then(|| sum / known as f64)
    }
}

/// Collects rows and averages them between bounds.
#[derive(Debug)]
pub(super) struct BoundedFold {
    paths: PathFold<1>,
}

impl BoundedFold {
    /// The fold of columns (price, ts, start, end), all times of one type.
    pub(super) fn new() -> Self {
        let (measure, factor) = (Measure::Twap, 1.0);
        Self {
            paths: PathFold { measure, factor },
        }
    }
}

impl Fold for BoundedFold {
    type State = Bounded;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        let mut fields = self.paths.state_fields();
        fields.extend([("start", DataType::Int64), ("end", DataType::Int64)]);
        fields
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let prices = rows.columns[0].as_primitive::<Float64Type>().values();
        let times = i64::read(&rows.columns[1])?.values;
        let starts = i64::read(&rows.columns[2])?.values;
        let ends = i64::read(&rows.columns[3])?.values;
        rows.each(&[0, 1, 2, 3], |row, group| {
            if prices[row].is_finite() {
                let (time, values) = (times[row], [prices[row]]);
                states[group].path.push(Point { time, values });
                states[group].widen(starts[row], ends[row]);
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let mut paths: Vec<Path<1>> = states
            .iter_mut()
            .map(|state| std::mem::take(&mut state.path))
            .collect();
        let merged = self.paths.merge(&mut paths, rows);
        for (state, path) in states.iter_mut().zip(paths) {
            state.path = path;
        }
        merged?;
        let starts = rows.columns[2].as_primitive::<Int64Type>();
        let ends = rows.columns[3].as_primitive::<Int64Type>();
        rows.each(&[2, 3], |row, group| {
            states[group].widen(starts.value(row), ends.value(row));
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let paths: Vec<Path<1>> = states.iter().map(|state| state.path.clone()).collect();
        let mut columns = self.paths.state(&paths)?;
        let bound = |of: fn((i64, i64)) -> i64| -> ArrayRef {
            let bounds = states.iter().map(|state| state.bounds.map(of));
            Arc::new(bounds.collect::<Int64Array>())
        };
        columns.extend([bound(|(start, _)| start), bound(|(_, end)| end)]);
        Ok(columns)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let means = states.iter().map(|state| {
            let mean = state.mean();
            Ok(mean.filter(|mean| mean.is_finite()))
        });
        column::<Float64Type>(DataType::Float64, means)
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        self.paths.heap_bytes(&state.path)
    }
}
