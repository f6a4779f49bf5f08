//! The frame of every aggregate: a [`Fold`] states its arithmetic once over a slice of group
//! states, and this module makes DataFusion's grouped and single accumulators of it.
//!
//! Rows arrive in order of arrival; a partial state that is merged counts as arrived after what
//! is already there. Nothing here knows prices or time.

pub(crate) mod readable;
pub(crate) mod reversible;
mod sliding;

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, PrimitiveBuilder};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{ArrowPrimitiveType, DataType};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use readable::{FoldGroups, ReadGroups};

/// The arithmetic of one aggregate over one combination of argument types.
///
/// # Contract
///
/// - `update` over any cut of the rows into batches gives the same states.
/// - `merge(a, state(b))` equals updating `a` with the rows of `b` after its own.
/// - `evaluate` and `state` only read.
pub(crate) trait Fold: Debug + Send + Sync + 'static {
    /// What is kept for one group. Its default is the state of no rows.
    type State: Clone + Debug + Default + Send + Sync;

    /// Returns name and type of each column of the partial state.
    fn state_fields(&self) -> Vec<(&'static str, DataType)>;

    /// Takes rows of the arguments.
    ///
    /// # Errors
    /// If a sum leaves its range.
    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()>;

    /// Takes rows of partial states as written by [`Fold::state`].
    ///
    /// # Errors
    /// If a sum leaves its range.
    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()>;

    /// Writes the partial state of each group: one column per entry of `state_fields`.
    ///
    /// # Errors
    /// If a value does not fit its column.
    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>>;

    /// Returns the result of each group.
    ///
    /// # Errors
    /// If a result does not fit its type.
    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef>;

    /// Returns the bytes that a state owns outside itself.
    fn heap_bytes(&self, _state: &Self::State) -> usize {
        0
    }

    /// Returns the fold of the same aggregate whose rows can be taken back, if there is one: its
    /// last column holds the weight of each row, +1 or −1.
    fn reversible(&self) -> Option<Box<dyn AnyFold>> {
        None
    }
}

/// A batch of argument rows, each with the index of its group.
pub(crate) struct Rows<'a> {
    /// The columns of arguments or of partial state, all of one length *n*.
    pub(crate) columns: &'a [ArrayRef],
    /// *n* group indices, each below the number of states.
    groups: &'a [usize],
    /// `FILTER (WHERE …)`: only rows that are true take part.
    filter: Option<&'a BooleanArray>,
}

impl Rows<'_> {
    /// Calls `visit(row, group)` for every row that passes the filter and whose `required`
    /// columns are not null, in order.
    ///
    /// # Errors
    /// The first error of `visit`.
    pub(crate) fn each(
        &self,
        required: &[usize],
        mut visit: impl FnMut(usize, usize) -> Result<()>,
    ) -> Result<()> {
        let mut mask = self.filter.map(|filter| {
            let truth = NullBuffer::new(filter.values().clone());
            NullBuffer::union(Some(&truth), filter.nulls()).unwrap_or(truth)
        });
        for &column in required {
            if let Some(column) = self.columns.get(column) {
                let nulls = column.logical_nulls();
                mask = NullBuffer::union(mask.as_ref(), nulls.as_ref());
            }
        }
        match mask.filter(|mask| mask.null_count() > 0) {
            None => {
                for (row, &group) in self.groups.iter().enumerate() {
                    visit(row, group)?;
                }
            }
            Some(mask) => {
                for row in mask.valid_indices() {
                    visit(row, self.groups[row])?;
                }
            }
        }
        Ok(())
    }
}

/// A [`Fold`] whose state type is hidden, so that functions can choose one by argument types.
pub(crate) trait AnyFold: Debug + Send + Sync {
    /// See [`Fold::state_fields`].
    fn state_columns(&self) -> Vec<(&'static str, DataType)>;
    /// Makes the accumulator of a `GROUP BY`.
    fn into_groups(self: Box<Self>) -> Box<dyn GroupsAccumulator>;
    /// Makes the same with its type hidden.
    fn into_readable(self: Box<Self>) -> Box<dyn ReadGroups>;
    /// Makes the accumulator of one group, or of a window frame that only grows.
    fn into_single(self: Box<Self>) -> Box<dyn Accumulator>;
    /// Makes the accumulator of a window frame that loses rows as well.
    fn into_sliding(self: Box<Self>) -> Box<dyn Accumulator>;
}

impl<F: Fold> AnyFold for F {
    fn state_columns(&self) -> Vec<(&'static str, DataType)> {
        self.state_fields()
    }

    fn into_groups(self: Box<Self>) -> Box<dyn GroupsAccumulator> {
        Box::new(FoldGroups::new(self.into_readable()))
    }

    fn into_readable(self: Box<Self>) -> Box<dyn ReadGroups> {
        Box::new(Grouped {
            fold: *self,
            states: Vec::new(),
        })
    }

    fn into_single(self: Box<Self>) -> Box<dyn Accumulator> {
        Box::new(Single {
            fold: *self,
            state: [F::State::default()],
            zeros: Vec::new(),
        })
    }

    fn into_sliding(self: Box<Self>) -> Box<dyn Accumulator> {
        Box::new(sliding::Sliding::new(*self))
    }
}

/// One state per group, densely indexed.
#[derive(Debug)]
struct Grouped<F: Fold> {
    fold: F,
    states: Vec<F::State>,
}

impl<F: Fold> Grouped<F> {
    fn grow(&mut self, group_count: usize) {
        if self.states.len() < group_count {
            self.states.resize(group_count, F::State::default());
        }
    }
}

impl<F: Fold> GroupsAccumulator for Grouped<F> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.grow(total_num_groups);
        let rows = Rows {
            columns: values,
            groups: group_indices,
            filter: opt_filter,
        };
        self.fold.update(&mut self.states, &rows)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        // They may come from a checkpoint of another version.
        let column_count = self.fold.state_fields().len();
        if values.len() != column_count {
            return internal_err!(
                "partial states have {} columns, not {column_count}",
                values.len()
            );
        }
        self.grow(total_num_groups);
        let rows = Rows {
            columns: values,
            groups: group_indices,
            filter: None,
        };
        self.fold.merge(&mut self.states, &rows)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let emitted = emit_to.take_needed(&mut self.states);
        self.fold.evaluate(&emitted)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let emitted = emit_to.take_needed(&mut self.states);
        self.fold.state(&emitted)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let row_count = values.first().map_or(0, |column| column.len());
        let groups: Vec<usize> = (0..row_count).collect();
        let mut states = vec![F::State::default(); row_count];
        let rows = Rows {
            columns: values,
            groups: &groups,
            filter: opt_filter,
        };
        self.fold.update(&mut states, &rows)?;
        self.fold.state(&states)
    }

    fn size(&self) -> usize {
        let mut bytes = size_of::<Self>() + self.states.capacity() * size_of::<F::State>();
        if std::mem::needs_drop::<F::State>() {
            bytes += self
                .states
                .iter()
                .map(|state| self.fold.heap_bytes(state))
                .sum::<usize>();
        }
        bytes
    }
}

/// The state of one group. Evaluating leaves it as it is, so growing window frames may ask after
/// every row.
#[derive(Debug)]
struct Single<F: Fold> {
    fold: F,
    state: [F::State; 1],
    /// The group of every row of a batch: always 0.
    zeros: Vec<usize>,
}

impl<F: Fold> Single<F> {
    fn rows<'a>(zeros: &'a mut Vec<usize>, columns: &'a [ArrayRef]) -> Rows<'a> {
        let row_count = columns.first().map_or(0, |column| column.len());
        if zeros.len() < row_count {
            zeros.resize(row_count, 0);
        }
        Rows {
            columns,
            groups: &zeros[..row_count],
            filter: None,
        }
    }
}

impl<F: Fold> Accumulator for Single<F> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let rows = Self::rows(&mut self.zeros, values);
        self.fold.update(&mut self.state, &rows)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let rows = Self::rows(&mut self.zeros, states);
        self.fold.merge(&mut self.state, &rows)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&self.fold.evaluate(&self.state)?, 0)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = self.fold.state(&self.state)?;
        columns
            .iter()
            .map(|column| ScalarValue::try_from_array(column, 0))
            .collect()
    }

    fn size(&self) -> usize {
        size_of::<Self>()
            + self.fold.heap_bytes(&self.state[0])
            + self.zeros.capacity() * size_of::<usize>()
    }
}

/// Builds a column of `data_type` from results of groups.
///
/// # Errors
/// The first error of `values`.
pub(crate) fn column<T: ArrowPrimitiveType>(
    data_type: DataType,
    values: impl Iterator<Item = Result<Option<T::Native>>>,
) -> Result<ArrayRef> {
    let mut builder = PrimitiveBuilder::<T>::with_capacity(values.size_hint().0);
    for value in values {
        builder.append_option(value?);
    }
    Ok(Arc::new(builder.finish().with_data_type(data_type)))
}
