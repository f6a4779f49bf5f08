//! Sorting a batch for accumulators that take their input's order on trust (`nth_value`,
//! `string_agg`).
//!
//! Such an accumulator sees one sorted batch only; its state then merges with the others by the
//! order keys it holds.

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, lexsort_to_indices, take, take_arrays};
use datafusion::common::{Result, internal_err};

use std::sync::Arc;

use super::Rows;

/// How to sort the rows of a batch.
#[derive(Clone)]
pub struct OrderedBatch {
    /// Number of argument columns before the ORDER BY columns.
    pub arguments: usize,
    /// One entry an ORDER BY column.
    pub options: Vec<SortOptions>,
}

/// The rows of a batch that pass the filter, in the wanted order.
pub struct SortedRows {
    /// Arguments and ORDER BY columns.
    pub values: Vec<ArrayRef>,
    /// The group of each row, as index into `groups`.
    pub local_groups: Vec<usize>,
    /// The groups that have a row here.
    pub groups: Vec<usize>,
}

impl OrderedBatch {
    /// Sorts; rows that are equal in order stay in order of arrival.
    ///
    /// # Errors
    /// If a column cannot be sorted.
    pub fn sort(&self, rows: &Rows<'_>) -> Result<SortedRows> {
        let mut taking_part = Vec::with_capacity(rows.groups.len());
        rows.each(None, |row, _| taking_part.push(row as u32));
        let indices = UInt32Array::from(taking_part);
        let values = take_arrays(rows.values, &indices, None)?;
        let Some(order) = values.get(self.arguments..) else {
            return internal_err!("ordered aggregate got {} columns", values.len());
        };
        let mut sort: Vec<SortColumn> = order
            .iter()
            .zip(&self.options)
            .map(|(column, options)| SortColumn {
                values: Arc::clone(column),
                options: Some(*options),
            })
            .collect();
        // Arrow's sort is not stable; the position as last key makes it so.
        let positions: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..indices.len() as u32));
        sort.push(SortColumn {
            values: positions,
            options: None,
        });
        let sorted = lexsort_to_indices(&sort, None)?;
        let values = take_arrays(&values, &sorted, None)?;
        let rows_sorted = take(&indices, &sorted, None)?;
        let rows_sorted = datafusion::common::cast::as_uint32_array(&rows_sorted)?;

        let mut groups: Vec<usize> = Vec::new();
        let mut places: hashbrown::HashMap<usize, usize, ahash::RandomState> =
            hashbrown::HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
        let mut local_groups = Vec::with_capacity(rows_sorted.len());
        for row in rows_sorted.values() {
            let group = rows.groups[*row as usize];
            let place = *places.entry(group).or_insert(groups.len());
            if place == groups.len() {
                groups.push(group);
            }
            local_groups.push(place);
        }
        Ok(SortedRows {
            values,
            local_groups,
            groups,
        })
    }
}
