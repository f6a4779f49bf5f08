//! Which aggregates have a state that can be looked at while it fills: ours (`rtsap_udfs`).

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray};
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use rtsap_plan::readable::{MakeReadable, ReadableGroups};
use rtsap_udfs::{FoldGroups, ReadGroups};

/// Returns the state of `call` without rows, if it can be looked at.
fn groups(call: &AggregateFunctionExpr) -> Option<Box<dyn ReadGroups>> {
    if call.is_distinct() || !call.order_bys().is_empty() {
        return None;
    }
    if !call.groups_accumulator_supported() {
        return None;
    }
    FoldGroups::of(call.create_groups_accumulator().ok()?)
}

/// Returns how the state of `call` over rows that change is made, if its rows can be taken back.
pub(super) fn retracting(call: &Arc<AggregateFunctionExpr>) -> Option<MakeReadable> {
    groups(call)?.retracting()?;
    let call = Arc::clone(call);
    Some(MakeReadable::retracting(move || {
        match groups(&call).and_then(|groups| groups.retracting()) {
            Some(groups) => Ok(Box::new(Ours(groups))),
            None => internal_err!("{} has lost its state of rows that change", call.name()),
        }
    }))
}

/// Returns how the state of `call` is made, if it can be looked at.
pub(super) fn of(call: &Arc<AggregateFunctionExpr>) -> Option<MakeReadable> {
    // Made once here to see whose it is.
    groups(call)?;
    let call = Arc::clone(call);
    Some(MakeReadable::new(move || {
        match FoldGroups::of(call.create_groups_accumulator()?) {
            Some(groups) => Ok(Box::new(Ours(groups))),
            None => internal_err!("{} has lost its readable state", call.name()),
        }
    }))
}

/// One of our aggregates.
struct Ours(Box<dyn ReadGroups>);

impl ReadableGroups for Ours {
    fn update(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.0.update_batch(values, groups, filter, total)
    }

    fn merge(&mut self, partial: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.0.merge_batch(partial, groups, total)
    }

    fn grow(&mut self, total: usize) {
        self.0.grow(total);
    }

    fn read(&self, groups: &[usize]) -> Result<ArrayRef> {
        self.0.read(groups)
    }

    fn partial(&self) -> Result<Vec<ArrayRef>> {
        self.0.partial()
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
