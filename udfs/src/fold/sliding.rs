//! Frames whose start moves: `OVER (ORDER BY ts ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)`.
//!
//! The rows of the frame are kept and folded anew for each result. That costs the length of the
//! frame per row, works for every fold, and leaves no rounding error of rows long gone, which
//! subtracting them from running sums would.

use datafusion::arrow::array::{Array, ArrayRef};
use datafusion::arrow::compute::concat;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::Accumulator;

use super::{Fold, Rows};

/// The rows of one frame, oldest first.
#[derive(Debug)]
pub(super) struct Sliding<F: Fold> {
    fold: F,
    columns: Vec<ArrayRef>,
}

impl<F: Fold> Sliding<F> {
    /// An empty frame.
    pub(super) fn new(fold: F) -> Self {
        Self {
            fold,
            columns: Vec::new(),
        }
    }

    fn folded(&self) -> Result<[F::State; 1]> {
        let row_count = self.columns.first().map_or(0, |column| column.len());
        let mut state = [F::State::default()];
        if row_count > 0 {
            let zeros = vec![0; row_count];
            let rows = Rows {
                columns: &self.columns,
                groups: &zeros,
                filter: None,
            };
            self.fold.update(&mut state, &rows)?;
        }
        Ok(state)
    }
}

impl<F: Fold> Accumulator for Sliding<F> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if self.columns.is_empty() {
            self.columns = values.to_vec();
            return Ok(());
        }
        for (kept, new) in self.columns.iter_mut().zip(values) {
            *kept = concat(&[kept.as_ref(), new.as_ref()])?;
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // A frame only ever loses its oldest rows.
        let gone = values.first().map_or(0, |column| column.len());
        for kept in &mut self.columns {
            let Some(left) = kept.len().checked_sub(gone) else {
                return internal_err!("cannot take {gone} rows from a frame of {}", kept.len());
            };
            *kept = kept.slice(gone, left);
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.fold.evaluate(&self.folded()?)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = self.fold.state(&self.folded()?)?;
        columns
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0))
            .collect()
    }

    fn merge_batch(&mut self, _states: &[ArrayRef]) -> Result<()> {
        internal_err!("a moving frame has no partial states to merge")
    }

    fn size(&self) -> usize {
        let columns: usize = self
            .columns
            .iter()
            .map(|column| column.get_array_memory_size())
            .sum();
        size_of::<Self>() + columns
    }
}

#[cfg(test)]
mod tests;
