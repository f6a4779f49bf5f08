//! Variance and standard deviation of doubles, by Welford's recurrence, as in DataFusion.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array};
use arrow::datatypes::{Float64Type, Int64Type};
use datafusion::common::Result;

use super::Rows;
use super::native::{Kernel, primitive};

/// The second moment about the mean.
pub struct Moment {
    /// Whether the rows are a sample: divide by one less than their number.
    pub sample: bool,
    /// Whether to give the square root.
    pub root: bool,
}

/// Number of values, their mean, and the sum of squared distances from it.
#[derive(Clone, Copy, Default)]
pub struct MomentState {
    count: i64,
    mean: f64,
    squares: f64,
}

impl Moment {
    fn result(&self, state: MomentState) -> Option<f64> {
        let divisor = if self.sample {
            state.count - 1
        } else {
            state.count
        };
        let variance = match (state.count, divisor) {
            (0, _) | (_, 0) => return None,
            (1, _) => 0.0,
            _ => state.squares / divisor as f64,
        };
        Some(if self.root { variance.sqrt() } else { variance })
    }
}

impl Kernel for Moment {
    type State = MomentState;

    fn update(&mut self, states: &mut [MomentState], rows: &Rows<'_>) -> Result<()> {
        let column = primitive::<Float64Type>(rows.values, 0)?;
        let values = column.values();
        rows.each(column.nulls(), |row, group| {
            let state = &mut states[group];
            state.count += 1;
            let before = values[row] - state.mean;
            state.mean += before / state.count as f64;
            state.squares += before * (values[row] - state.mean);
        });
        Ok(())
    }

    fn merge(
        &mut self,
        states: &mut [MomentState],
        partial: &[ArrayRef],
        groups: &[usize],
    ) -> Result<()> {
        let counts = primitive::<Int64Type>(partial, 0)?;
        let means = primitive::<Float64Type>(partial, 1)?;
        let squares = primitive::<Float64Type>(partial, 2)?;
        for (row, group) in groups.iter().enumerate() {
            let state = &mut states[*group];
            let (count, mean) = (counts.value(row), means.value(row));
            if count == 0 {
                continue;
            }
            if state.count == 0 {
                *state = MomentState {
                    count,
                    mean,
                    squares: squares.value(row),
                };
                continue;
            }
            let (left, right) = (state.count as f64, count as f64);
            let apart = mean - state.mean;
            state.count += count;
            let total = state.count as f64;
            state.mean = state.mean * left / total + mean * right / total;
            state.squares += squares.value(row) + apart * apart * left * right / total;
        }
        Ok(())
    }

    fn read(&self, states: &[MomentState], groups: &[usize]) -> Result<ArrayRef> {
        let results = groups.iter().map(|group| self.result(states[*group]));
        Ok(Arc::new(results.collect::<Float64Array>()))
    }

    fn partial(&self, states: &[MomentState]) -> Result<Vec<ArrayRef>> {
        let counts = Int64Array::from_iter_values(states.iter().map(|state| state.count));
        let means = Float64Array::from_iter_values(states.iter().map(|state| state.mean));
        let squares = Float64Array::from_iter_values(states.iter().map(|state| state.squares));
        Ok(vec![Arc::new(counts), Arc::new(means), Arc::new(squares)])
    }
}
