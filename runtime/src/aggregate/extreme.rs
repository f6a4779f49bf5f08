//! `min` and `max`.

use arrow::array::{Array, ArrayRef};
use datafusion::common::Result;

use std::cmp::Ordering;

use super::Rows;
use super::native::{Kernel, argument};
use super::values::Values;

/// The least or the greatest value of each group.
pub struct Extreme<V: Values> {
    values: V,
    /// How a better value compares to the one kept.
    better: Ordering,
    heap_bytes: usize,
}

impl<V: Values> Extreme<V> {
    /// `min`.
    pub const fn least(values: V) -> Self {
        Self {
            values,
            better: Ordering::Less,
            heap_bytes: 0,
        }
    }

    /// `max`.
    pub const fn greatest(values: V) -> Self {
        Self {
            values,
            better: Ordering::Greater,
            heap_bytes: 0,
        }
    }

    #[inline]
    fn offer(
        better: Ordering,
        heap_bytes: &mut usize,
        state: &mut Option<V::Item>,
        view: V::View<'_>,
    ) {
        match state {
            Some(item) if V::compare(view, item) != better => {}
            _ => {
                let item = V::own(view);
                *heap_bytes += V::heap_bytes(&item);
                *heap_bytes -= state.as_ref().map_or(0, V::heap_bytes);
                *state = Some(item);
            }
        }
    }
}

impl<V: Values> Kernel for Extreme<V> {
    type State = Option<V::Item>;

    fn update(&mut self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let array = argument(rows.values, 0)?;
        let column = self.values.column(array)?;
        let (better, mut heap_bytes) = (self.better, self.heap_bytes);
        rows.each(array.nulls(), |row, group| {
            Self::offer(
                better,
                &mut heap_bytes,
                &mut states[group],
                V::view(&column, row),
            );
        });
        self.heap_bytes = heap_bytes;
        Ok(())
    }

    fn merge(
        &mut self,
        states: &mut [Self::State],
        partial: &[ArrayRef],
        groups: &[usize],
    ) -> Result<()> {
        let rows = Rows {
            values: partial,
            groups,
            filter: None,
            ops: None,
            total: states.len(),
        };
        self.update(states, &rows)
    }

    fn read(&self, states: &[Self::State], groups: &[usize]) -> Result<ArrayRef> {
        self.values
            .array(groups.iter().map(|group| states[*group].as_ref()))
    }

    fn partial(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.values.array(states.iter().map(Option::as_ref))?])
    }

    fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }
}
