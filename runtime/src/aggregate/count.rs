//! `count(*)` and `count(x)`: exact, retractable.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::datatypes::Int64Type;
use datafusion::common::Result;

use super::Rows;
use super::native::{Kernel, primitive};

/// Counts rows, or rows whose argument is not null.
pub struct Count {
    /// Whether the argument's nulls matter: false for `count(*)`.
    pub skips_nulls: bool,
}

impl Kernel for Count {
    type State = i64;

    const RETRACTS: bool = true;

    fn update(&mut self, states: &mut [i64], rows: &Rows<'_>) -> Result<()> {
        let nulls = match rows.values.first() {
            Some(column) if self.skips_nulls => column.logical_nulls(),
            _ => None,
        };
        rows.each_weighted(nulls.as_ref(), |_, group, weight| states[group] += weight);
        Ok(())
    }

    fn merge(&mut self, states: &mut [i64], partial: &[ArrayRef], groups: &[usize]) -> Result<()> {
        let counts = primitive::<Int64Type>(partial, 0)?;
        for (count, group) in counts.values().iter().zip(groups) {
            states[*group] += count;
        }
        Ok(())
    }

    fn read(&self, states: &[i64], groups: &[usize]) -> Result<ArrayRef> {
        Ok(Arc::new(
            groups
                .iter()
                .map(|group| states[*group])
                .collect::<Int64Array>(),
        ))
    }

    fn partial(&self, states: &[i64]) -> Result<Vec<ArrayRef>> {
        Ok(vec![Arc::new(Int64Array::from_iter_values(
            states.iter().copied(),
        ))])
    }
}
