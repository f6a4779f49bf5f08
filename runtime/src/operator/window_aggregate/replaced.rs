//! Rows that are replaced, deleted before: what an operator that adds up rows needs of windows
//! that show as they change.

use std::collections::BTreeMap;

use arrow::array::Int8Array;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use rtsap_stream::change::ChangeBatch;

use crate::aggregate::table::GroupTable;
use crate::operator::stateless::changes;
use crate::operator::{OperatorError, Output};

use super::NAME;

/// The rows that were sent before and have changed since.
#[derive(Default)]
pub(super) struct Replaced {
    /// By pane.
    sent: BTreeMap<i64, Vec<RecordBatch>>,
    /// Of panes whose new rows are about to be sent.
    gone: Vec<RecordBatch>,
}

/// The groups among `groups` that were sent and are about to change for the first time since;
/// groups from `known` on are new.
pub(super) fn about_to_change(table: &GroupTable, groups: &[usize], known: usize) -> Vec<usize> {
    let mut sent: Vec<usize> = groups
        .iter()
        .copied()
        .filter(|group| *group < known && !table.changed(*group))
        .collect();
    sent.sort_unstable();
    sent.dedup();
    sent
}

impl Replaced {
    /// Keeps rows of a pane as they were sent.
    pub fn keep(&mut self, pane: i64, rows: RecordBatch) {
        self.sent.entry(pane).or_default().push(rows);
    }

    /// The new rows of a pane are about to be sent.
    pub fn release(&mut self, pane: i64) {
        self.gone
            .extend(self.sent.remove(&pane).unwrap_or_default());
    }

    /// Sends the deletes of what was released.
    pub fn send(&mut self, schema: &SchemaRef, out: &mut Output) -> Result<(), OperatorError> {
        if self.gone.is_empty() {
            return Ok(());
        }
        let rows = concat_batches(schema, &std::mem::take(&mut self.gone))
            .map_err(OperatorError::arrow(NAME))?;
        let ops = Int8Array::from(vec![-1; rows.num_rows()]);
        let deletes: ChangeBatch = changes(NAME, rows, Some(ops))?;
        out.changes.push(deletes);
        Ok(())
    }
}
