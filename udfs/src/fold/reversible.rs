//! Aggregates whose rows can be taken back: the fold of an aggregate of sums, with sums from which
//! parts can be taken away without a trace. Behind the arguments stands a column of weights, +1 for
//! a row that comes and −1 for one that goes.

use std::fmt::Debug;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Int8Type};
use datafusion::common::{Result, internal_err};

use super::{Fold, Rows};
use crate::error::FunctionError;
use crate::exact::ReversibleSum;
use crate::weighting::RunningSum;

/// Takes a row, its group, and what the row adds to each sum.
pub(crate) type Visit<'a, S> = &'a mut dyn FnMut(usize, usize, &[S]) -> Result<()>;

/// How an aggregate of sums takes its rows apart.
pub(crate) trait RowSums: Debug + Send + Sync + 'static {
    /// One of its sums.
    type Sum: RunningSum;

    /// The name of the function.
    fn function(&self) -> &'static str;

    /// How many sums there are. The first of them is zero exactly if no row is there that counts.
    fn sum_count(&self) -> usize;

    /// Calls `visit(row, group, parts)` for every row that counts, with what it adds to each sum.
    ///
    /// # Errors
    /// The first error of `visit`.
    fn each(&self, rows: &Rows<'_>, visit: Visit<'_, Self::Sum>) -> Result<()>;

    /// Returns the result of each group from its sums.
    ///
    /// # Errors
    /// If a result does not fit its type.
    fn finish(&self, sums: &[Vec<Self::Sum>]) -> Result<ArrayRef>;
}

/// The fold of rows that come and go.
#[derive(Debug)]
pub(crate) struct Reversible<R>(pub(crate) R);

type Sum<R> = <R as RowSums>::Sum;
type Kept<R> = <Sum<R> as RunningSum>::Reversible;

impl<R: RowSums> Reversible<R> {
    /// The columns of one sum in a partial state.
    fn width() -> usize {
        <Kept<R> as ReversibleSum<Sum<R>>>::column_types().len()
    }

    fn beyond(&self) -> FunctionError {
        FunctionError::Overflow {
            function: self.0.function(),
            what: "a sum",
            data_type: Sum::<R>::column_types().swap_remove(0),
        }
    }

    /// The sums of a group, zeros before its first row.
    fn sums<'a>(&self, state: &'a mut Vec<Kept<R>>) -> &'a mut [Kept<R>] {
        state.resize(self.0.sum_count(), Kept::<R>::default());
        state
    }
}

impl<R: RowSums> Fold for Reversible<R> {
    type State = Vec<Kept<R>>;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        let types = || <Kept<R> as ReversibleSum<Sum<R>>>::column_types();
        let sums = (0..self.0.sum_count()).flat_map(|_| types());
        sums.map(|kind| ("sum", kind)).collect()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let weights = rows.columns.last();
        let Some(weights) = weights.and_then(|column| column.as_primitive_opt::<Int8Type>()) else {
            return internal_err!("{} needs weights of rows", self.0.function());
        };
        let weights = weights.values();
        self.0.each(rows, &mut |row, group, parts| {
            let sums = self.sums(&mut states[group]);
            for (sum, part) in sums.iter_mut().zip(parts) {
                if sum.add(*part, weights[row]).is_none() {
                    return Err(self.beyond().into());
                }
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        rows.each(&[], |row, group| {
            let sums = self.sums(&mut states[group]).iter_mut();
            for (sum, columns) in sums.zip(rows.columns.chunks_exact(Self::width())) {
                if sum.merge(&Kept::<R>::from_columns(columns, row)).is_none() {
                    return Err(self.beyond().into());
                }
            }
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let mut columns = Vec::with_capacity(self.0.sum_count() * Self::width());
        for index in 0..self.0.sum_count() {
            let sums = states
                .iter()
                .map(|state| state.get(index).cloned().unwrap_or_default());
            columns.extend(Kept::<R>::to_columns(&sums.collect::<Vec<_>>())?);
        }
        Ok(columns)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let zeros = || vec![Sum::<R>::default(); self.0.sum_count()];
        let sums = states.iter().map(|state| match state.as_slice() {
            [] => zeros(),
            sums => sums.iter().map(ReversibleSum::sum).collect(),
        });
        self.0.finish(&sums.collect::<Vec<_>>())
    }

    fn heap_bytes(&self, state: &Self::State) -> usize {
        let parts: usize = state.iter().map(ReversibleSum::heap_bytes).sum();
        parts + state.capacity() * size_of::<Kept<R>>()
    }
}

#[cfg(test)]
mod tests;
