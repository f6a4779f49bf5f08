//! When the rows of a partition have all come: where it is by event time, or by windows of it.

use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use rtsap_plan::graph::{Node, NodeIndex};
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::rank::Closing;

use super::column;
use crate::error::{Cause, PlanError};
use crate::logical::window_node::{WINDOW_COLUMNS, WindowNode};
use crate::streaming::Compiler;

impl Compiler<'_> {
    /// Whether something below `node` sends rows only after the delay of `EMIT ON WINDOW CLOSE`.
    pub(in crate::streaming) fn has_waited(&self, node: NodeIndex) -> bool {
        let found = &self.nodes[node];
        let waits = match &found.spec {
            OperatorSpec::WindowAggregate(spec) => spec.emit != Emit::Changes,
            OperatorSpec::SessionAggregate(spec) => spec.aggregate.emit != Emit::Changes,
            OperatorSpec::TopN(spec) => spec.emit != Emit::Changes,
            OperatorSpec::Over(_) => true,
            _ => false,
        };
        waits || found.inputs.iter().any(|input| self.has_waited(*input))
    }

    /// Refuses a partition by windows that overlap: it would be kept for ever.
    pub(super) fn check_forgotten(
        &self,
        partition: &[Expr],
        schema: &DFSchema,
    ) -> Result<(), PlanError> {
        let overlapping = |node: &Node| match &node.spec {
            OperatorSpec::WindowAssign { window, .. } => {
                window.size_nanos() != window.slide_nanos()
            }
            _ => false,
        };
        let by_window = partition.iter().filter_map(|expr| column(expr, schema));
        let mut by_window =
            by_window.filter(|at| WINDOW_COLUMNS.contains(&schema.field(*at).name().as_str()));
        if by_window.next().is_none() || !self.nodes.iter().any(overlapping) {
            return Ok(());
        }
        let node = "numbers by a window that overlaps others".to_owned();
        let error = PlanError::new(Cause::UnboundedState { node });
        Err(error.hint("Use TUMBLE, or aggregate by window first."))
    }

    /// When event time has passed a partition: if it is by event time or by a window of it.
    pub(super) fn closing(
        &self,
        input: NodeIndex,
        partition: &[Expr],
        schema: &DFSchema,
    ) -> Option<Closing> {
        let columns: Vec<usize> = partition
            .iter()
            .filter_map(|expr| column(expr, schema))
            .collect();
        let twins = self.twins(input);
        let by_window = twins.iter().any(|twin| columns.contains(&twin.column));
        let event_time = self.properties(input).event_time;
        let is_twin = |column: usize| twins.iter().any(|twin| twin.column == column);
        let over_with = |time: &usize| columns.contains(time) || (by_window && is_twin(*time));
        if let Some(column) = event_time.filter(over_with) {
            return Some(Closing {
                column,
                after_nanos: 0,
            });
        }
        // Rows in windows whose own time is the event time: a window is over when its last point
        // is passed, which is right before its end.
        let bound = |rank: u8| {
            let twin = twins.iter().find(|twin| twin.rank == rank);
            twin.map(|twin| twin.column)
        };
        if !by_window {
            return None;
        }
        let time = bound(1).map(|column| Closing {
            column,
            after_nanos: 0,
        });
        time.or_else(|| {
            bound(2).map(|column| Closing {
                column,
                after_nanos: -1,
            })
        })
    }
}

/// Whether rows of `plan` are put into windows that overlap, and `partition` tells these apart.
pub(super) fn by_overlapping_window(partition: &[Expr], plan: &LogicalPlan) -> bool {
    let by_window = |expr: &Expr| {
        let columns = expr.column_refs().into_iter();
        let mut names = columns.map(|column| column.name.as_str());
        names.any(|name| WINDOW_COLUMNS.contains(&name))
    };
    if !partition.iter().any(by_window) {
        return false;
    }
    let mut found = false;
    // The closure never fails.
    let _ = plan.apply(|plan| {
        if let LogicalPlan::Extension(extension) = plan
            && let Some(node) = extension.node.as_any().downcast_ref::<WindowNode>()
            && !node.window().tumbles()
        {
            found = true;
            return Ok(TreeNodeRecursion::Stop);
        }
        Ok(TreeNodeRecursion::Continue)
    });
    found
}
