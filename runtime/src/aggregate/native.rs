//! The frame of a native aggregate: one plain state per group in one vector, and a kernel that
//! works on it.

use arrow::array::{Array, ArrayRef};
use datafusion::common::{Result, exec_err, internal_err};

use super::{GroupAggregate, Rows};

/// The arithmetic of one aggregate.
pub trait Kernel: Send + 'static {
    /// What is kept for one group. Its default is the aggregate of no rows.
    type State: Clone + Default + Send;

    /// Whether rows can be taken back.
    const RETRACTS: bool = false;

    /// See [`GroupAggregate::update`].
    ///
    /// # Errors
    /// If a value cannot be computed.
    fn update(&mut self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()>;

    /// See [`GroupAggregate::merge`].
    ///
    /// # Errors
    /// If the states are not of this aggregate.
    fn merge(
        &mut self,
        states: &mut [Self::State],
        partial: &[ArrayRef],
        groups: &[usize],
    ) -> Result<()>;

    /// See [`GroupAggregate::read`].
    ///
    /// # Errors
    /// If a result does not fit its type.
    fn read(&self, states: &[Self::State], groups: &[usize]) -> Result<ArrayRef>;

    /// See [`GroupAggregate::partial`].
    ///
    /// # Errors
    /// If a state cannot be written.
    fn partial(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>>;

    /// Bytes that states own outside themselves.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// A kernel with its states.
pub struct Native<K: Kernel> {
    kernel: K,
    states: Vec<K::State>,
}

impl<K: Kernel> Native<K> {
    /// A table without groups.
    pub const fn new(kernel: K) -> Self {
        Self {
            kernel,
            states: Vec::new(),
        }
    }

    fn resize(&mut self, total: usize) {
        if self.states.len() < total {
            self.states.resize(total, K::State::default());
        }
    }
}

impl<K: Kernel> GroupAggregate for Native<K> {
    fn update(&mut self, rows: &Rows<'_>) -> Result<()> {
        if rows.ops.is_some() && !K::RETRACTS {
            return exec_err!("rows were taken back from an aggregate that cannot do so");
        }
        self.resize(rows.total);
        self.kernel.update(&mut self.states, rows)
    }

    fn merge(&mut self, partial: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        if partial.iter().any(|column| column.len() != groups.len()) {
            return internal_err!("partial states do not have one row a group");
        }
        self.resize(total);
        self.kernel.merge(&mut self.states, partial, groups)
    }

    fn grow(&mut self, total: usize) -> Result<()> {
        self.resize(total);
        Ok(())
    }

    fn read(&mut self, groups: &[usize]) -> Result<ArrayRef> {
        self.kernel.read(&self.states, groups)
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        self.kernel.partial(&self.states)
    }

    fn partial_of(&mut self, groups: &[usize]) -> Result<Vec<ArrayRef>> {
        let states = groups.iter().map(|group| self.states[*group].clone());
        self.kernel.partial(&states.collect::<Vec<_>>())
    }

    fn size(&self) -> usize {
        self.states.capacity() * size_of::<K::State>() + self.kernel.heap_bytes()
    }
}

/// Returns argument `index` of an update or merge.
///
/// # Errors
/// An internal error if it is not there.
pub fn argument(columns: &[ArrayRef], index: usize) -> Result<&ArrayRef> {
    match columns.get(index) {
        Some(column) => Ok(column),
        None => internal_err!("aggregate column {index} of {} is not there", columns.len()),
    }
}

/// Returns column `index` as primitive array of `T`.
///
/// # Errors
/// An internal error if it is not there or of another type.
pub fn primitive<T: arrow::array::ArrowPrimitiveType>(
    columns: &[ArrayRef],
    index: usize,
) -> Result<&arrow::array::PrimitiveArray<T>> {
    use arrow::array::AsArray;
    let column = argument(columns, index)?;
    match column.as_primitive_opt::<T>() {
        Some(array) => Ok(array),
        None => internal_err!("aggregate column {index} has type {}", column.data_type()),
    }
}
