//! Aggregates of DataFusion or of users, through DataFusion's own accumulators.
//!
//! The state of a [`GroupsAccumulator`] can only be taken out, not looked at. [`Grouped`] therefore
//! reads by taking the states of all groups and merging them into two fresh accumulators: right for
//! windows that are read once. [`Single`] holds one [`Accumulator`] a group, which can be evaluated
//! as it stands: right for tables that are read as they change. Its state is taken out and merged
//! back, for snapshots only.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt32Array, new_empty_array};
use arrow::compute::{filter, take, take_arrays};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::ordered::OrderedBatch;
use super::{GroupAggregate, Rows};

/// A call and what must be done to the rows it gets.
#[derive(Clone)]
pub struct Foreign {
    /// The call.
    pub call: Arc<AggregateFunctionExpr>,
    /// How each batch must be sorted before the accumulator sees it, if at all.
    pub ordered: Option<OrderedBatch>,
}

impl Foreign {
    fn grouped(&self) -> Result<Box<dyn GroupsAccumulator>> {
        if self.call.groups_accumulator_supported() {
            return self.call.create_groups_accumulator();
        }
        let call = Arc::clone(&self.call);
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || {
            call.create_accumulator()
        })))
    }

    /// The state columns of no groups: accumulators cannot tell their types then.
    fn no_states(&self) -> Result<Vec<ArrayRef>> {
        let fields = self.call.state_fields()?;
        Ok(fields
            .iter()
            .map(|field| new_empty_array(field.data_type()))
            .collect())
    }

    fn single(&self) -> Result<Box<dyn Accumulator>> {
        self.call.create_accumulator()
    }
}

fn refuse_deletes(rows: &Rows<'_>, call: &AggregateFunctionExpr) -> Result<()> {
    match rows.ops {
        Some(_) => exec_err!(
            "rows were taken back from {}, which cannot do so",
            call.name()
        ),
        None => Ok(()),
    }
}

/// One accumulator for all groups.
pub struct Grouped {
    foreign: Foreign,
    accumulator: Box<dyn GroupsAccumulator>,
    total: usize,
}

impl Grouped {
    /// A table without groups.
    ///
    /// # Errors
    /// If the accumulator cannot be made.
    pub fn new(foreign: Foreign) -> Result<Self> {
        let accumulator = foreign.grouped()?;
        Ok(Self {
            foreign,
            accumulator,
            total: 0,
        })
    }

    fn refill(&mut self, partial: &[ArrayRef]) -> Result<Box<dyn GroupsAccumulator>> {
        let groups: Vec<usize> = (0..self.total).collect();
        let mut fresh = self.foreign.grouped()?;
        if self.total > 0 {
            fresh.merge_batch(partial, &groups, self.total)?;
        }
        Ok(fresh)
    }
}

impl GroupAggregate for Grouped {
    fn update(&mut self, rows: &Rows<'_>) -> Result<()> {
        refuse_deletes(rows, &self.foreign.call)?;
        self.total = self.total.max(rows.total);
        let Some(ordered) = &self.foreign.ordered else {
            let Rows {
                values,
                groups,
                filter,
                ..
            } = *rows;
            return self
                .accumulator
                .update_batch(values, groups, filter, self.total);
        };
        // The batch becomes a partial aggregate of its own; merging keeps the order between
        // batches.
        let batch = ordered.sort(rows)?;
        if batch.groups.is_empty() {
            // The filter has kept no row, but the groups are there.
            let none = self.foreign.no_states()?;
            return self.accumulator.merge_batch(&none, &[], self.total);
        }
        let mut partial = self.foreign.grouped()?;
        partial.update_batch(&batch.values, &batch.local_groups, None, batch.groups.len())?;
        let states = partial.state(EmitTo::All)?;
        self.accumulator
            .merge_batch(&states, &batch.groups, self.total)
    }

    fn merge(&mut self, partial: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        if groups.is_empty() {
            return self.grow(total);
        }
        self.total = self.total.max(total);
        self.accumulator.merge_batch(partial, groups, self.total)
    }

    fn grow(&mut self, total: usize) -> Result<()> {
        if self.total >= total {
            return Ok(());
        }
        self.total = total;
        let none = self.foreign.no_states()?;
        self.accumulator.merge_batch(&none, &[], total)
    }

    fn read(&mut self, groups: &[usize]) -> Result<ArrayRef> {
        if groups.is_empty() {
            return Ok(new_empty_array(self.foreign.call.field().data_type()));
        }
        let partial = self.accumulator.state(EmitTo::All)?;
        self.accumulator = self.refill(&partial)?;
        let all = self.refill(&partial)?.evaluate(EmitTo::All)?;
        let groups = groups
            .iter()
            .map(|group| *group as u32)
            .collect::<UInt32Array>();
        Ok(take(&all, &groups, None)?)
    }

    fn finish(&mut self, total: usize) -> Result<ArrayRef> {
        self.total = 0;
        if total == 0 {
            return Ok(new_empty_array(self.foreign.call.field().data_type()));
        }
        self.accumulator.evaluate(EmitTo::All)
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        if self.total == 0 {
            return self.foreign.no_states();
        }
        let partial = self.accumulator.state(EmitTo::All)?;
        self.accumulator = self.refill(&partial)?;
        Ok(partial)
    }

    fn size(&self) -> usize {
        self.accumulator.size()
    }
}

/// One accumulator a group.
pub struct Single {
    foreign: Foreign,
    accumulators: Vec<Box<dyn Accumulator>>,
    /// Bytes of all accumulators, as of the last time each was touched.
    bytes: usize,
}

impl Single {
    /// A table without groups.
    pub const fn new(foreign: Foreign) -> Self {
        Self {
            foreign,
            accumulators: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the state of `group` and puts it into a fresh accumulator.
    fn take_state(&mut self, group: usize) -> Result<Vec<ArrayRef>> {
        let scalars = self.accumulators[group].state()?;
        let partial = scalars
            .iter()
            .map(|scalar| scalar.to_array_of_size(1))
            .collect::<Result<Vec<_>>>()?;
        let mut kept = self.foreign.single()?;
        kept.merge_batch(&partial)?;
        self.accumulators[group] = kept;
        Ok(partial)
    }

    fn touch(
        &mut self,
        group: usize,
        act: impl FnOnce(&mut dyn Accumulator) -> Result<()>,
    ) -> Result<()> {
        let accumulator = &mut self.accumulators[group];
        let before = accumulator.size();
        act(accumulator.as_mut())?;
        self.bytes = (self.bytes + accumulator.size()).saturating_sub(before);
        Ok(())
    }
}

impl GroupAggregate for Single {
    fn update(&mut self, rows: &Rows<'_>) -> Result<()> {
        refuse_deletes(rows, &self.foreign.call)?;
        self.grow(rows.total)?;
        if let Some(ordered) = self.foreign.ordered.clone() {
            let batch = ordered.sort(rows)?;
            for run in runs(&batch.local_groups) {
                let mut partial = self.foreign.single()?;
                let values = select(&batch.values, &run.rows, None)?;
                partial.update_batch(&values)?;
                let scalars = partial.state()?;
                let states = scalars.iter().map(|scalar| scalar.to_array_of_size(1));
                let states = states.collect::<Result<Vec<_>>>()?;
                self.touch(batch.groups[run.group], |kept| kept.merge_batch(&states))?;
            }
            return Ok(());
        }
        for run in runs(rows.groups) {
            let values = select(rows.values, &run.rows, rows.filter)?;
            self.touch(run.group, |accumulator| accumulator.update_batch(&values))?;
        }
        Ok(())
    }

    fn merge(&mut self, partial: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.grow(total)?;
        for run in runs(groups) {
            let states = select(partial, &run.rows, None)?;
            self.touch(run.group, |accumulator| accumulator.merge_batch(&states))?;
        }
        Ok(())
    }

    fn grow(&mut self, total: usize) -> Result<()> {
        while self.accumulators.len() < total {
            let accumulator = self.foreign.single()?;
            self.bytes += accumulator.size();
            self.accumulators.push(accumulator);
        }
        Ok(())
    }

    fn read(&mut self, groups: &[usize]) -> Result<ArrayRef> {
        if groups.is_empty() {
            return Ok(new_empty_array(self.foreign.call.field().data_type()));
        }
        let mut results = Vec::with_capacity(groups.len());
        for group in groups {
            // DataFusion's contract: `evaluate` consumes nothing, since growing window frames ask
            // again and again. `state` does consume.
            results.push(self.accumulators[*group].evaluate()?);
        }
        ScalarValue::iter_to_array(results)
    }

    fn partial(&mut self) -> Result<Vec<ArrayRef>> {
        let groups: Vec<usize> = (0..self.accumulators.len()).collect();
        self.partial_of(&groups)
    }

    fn partial_of(&mut self, groups: &[usize]) -> Result<Vec<ArrayRef>> {
        if groups.is_empty() {
            return self.foreign.no_states();
        }
        let mut columns: Vec<Vec<ScalarValue>> = Vec::new();
        for group in groups {
            let partial = self.take_state(*group)?;
            columns.resize_with(partial.len(), Vec::new);
            for (column, state) in columns.iter_mut().zip(&partial) {
                column.push(ScalarValue::try_from_array(state, 0)?);
            }
        }
        columns
            .into_iter()
            .map(ScalarValue::iter_to_array)
            .collect()
    }

    fn size(&self) -> usize {
        self.bytes + self.accumulators.capacity() * size_of::<Box<dyn Accumulator>>()
    }
}

/// The rows of one group, in order of arrival.
struct Run {
    group: usize,
    rows: Vec<u32>,
}

/// Returns the rows of each group, groups in order of first arrival.
fn runs(groups: &[usize]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut places: hashbrown::HashMap<usize, usize, ahash::RandomState> =
        hashbrown::HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
    for (row, group) in groups.iter().enumerate() {
        let place = *places.entry(*group).or_insert(runs.len());
        if place == runs.len() {
            runs.push(Run {
                group: *group,
                rows: Vec::new(),
            });
        }
        runs[place].rows.push(row as u32);
    }
    runs
}

fn select(
    columns: &[ArrayRef],
    rows: &[u32],
    condition: Option<&BooleanArray>,
) -> Result<Vec<ArrayRef>> {
    let rows = UInt32Array::from_iter_values(rows.iter().copied());
    let taken = take_arrays(columns, &rows, None)?;
    let Some(condition) = condition else {
        return Ok(taken);
    };
    let condition = take(condition, &rows, None)?;
    let condition = datafusion::common::cast::as_boolean_array(&condition)?.clone();
    taken
        .iter()
        .map(|column| Ok(filter(column, &condition)?))
        .collect()
}
