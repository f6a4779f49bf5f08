//! Where rows of the inputs leave the stream of input rows, for the ledger.

use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::OperatorSpec;

use super::Dataflow;
use crate::operator::Output;

/// Whether rows that come to such a node go no further as rows of the inputs.
pub(super) fn absorbs(spec: &OperatorSpec) -> bool {
    matches!(
        spec,
        OperatorSpec::LatestByKey { .. }
            | OperatorSpec::Values { .. }
            | OperatorSpec::WindowAggregate(_)
            | OperatorSpec::SessionAggregate(_)
            | OperatorSpec::GroupAggregate(_)
            | OperatorSpec::TopN(_)
            | OperatorSpec::Over(_)
            | OperatorSpec::PartitionOver(_)
            | OperatorSpec::WindowAssign { .. }
            | OperatorSpec::Horizon(_)
            | OperatorSpec::Unnest(_)
            | OperatorSpec::IntervalJoin(_)
            | OperatorSpec::AsofJoin(_)
            | OperatorSpec::RegularJoin(_)
    )
}

/// Whether one row that comes to such a node may leave it as several that can be late one by one.
pub(super) fn multiplies(spec: &OperatorSpec) -> bool {
    match spec {
        OperatorSpec::Unnest(_) | OperatorSpec::Horizon(_) => true,
        OperatorSpec::RegularJoin(spec) => spec.lookup,
        _ => false,
    }
}

impl Dataflow {
    /// Counts rows where they leave the stream of input rows: in a node that absorbs them, or in
    /// the result.
    pub(super) fn count(&mut self, node: NodeIndex, port: usize, rows: u64, output: &Output) {
        let late: u64 = output
            .late
            .iter()
            .map(|batch| batch.num_rows() as u64)
            .sum();
        if self.nodes[node].multiplied && !self.nodes[node].takes_input_rows[port] {
            return;
        }
        self.ledger.late += late;
        if !self.nodes[node].takes_input_rows[port] {
            // Counted as used where it was put into its window.
            self.ledger.used = self.ledger.used.saturating_sub(late);
            return;
        }
        // Rows that a filter has turned into deletes go on, and count where they leave.
        let sent: u64 = output.changes.iter().map(|sent| sent.len() as u64).sum();
        let behind = !self.nodes[node].consumers.is_empty();
        if sent == rows && behind && !self.nodes[node].absorbs {
            return;
        }
        self.ledger.filtered += output.filtered_rows;
        if self.nodes[node].absorbs || self.nodes[node].consumers.is_empty() {
            self.ledger.used += rows.saturating_sub(late + output.filtered_rows);
        }
    }
}
