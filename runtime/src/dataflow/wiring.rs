//! What nodes must know of those beside them before rows come.

use std::collections::BTreeSet;

use rtsap_plan::graph::{Node, NodeIndex, StreamPlan};
use rtsap_plan::operator::{ObjectId, OperatorSpec};
use rtsap_stream::change::ChangelogMode;

use super::NodeState;

/// By port, whether a node takes no notice of its event time: the side of a join whose rows are
/// kept for ever must not hold back the one whose rows are not, and what is `still` has none.
pub(super) fn timeless(node: &Node, still: &[bool]) -> Vec<bool> {
    let by_join = |port: usize| match &node.spec {
        OperatorSpec::RegularJoin(spec) if spec.lookup => port == 1,
        OperatorSpec::RegularJoin(spec) => spec.kept[port].is_none(),
        _ => false,
    };
    let ports = node.inputs.iter().enumerate();
    ports
        .map(|(port, input)| by_join(port) || still[*input])
        .collect()
}

/// The objects in which rows of others are looked up as these come.
pub(crate) fn looked_up(plan: &StreamPlan) -> BTreeSet<ObjectId> {
    fn leaves(plan: &StreamPlan, node: NodeIndex, found: &mut BTreeSet<ObjectId>) {
        if let OperatorSpec::Input { object, .. } = &plan.nodes[node].spec {
            found.insert(*object);
        }
        for input in &plan.nodes[node].inputs {
            leaves(plan, *input, found);
        }
    }
    let mut found = BTreeSet::new();
    for node in &plan.nodes {
        if let OperatorSpec::RegularJoin(spec) = &node.spec
            && spec.lookup
        {
            leaves(plan, node.inputs[1], &mut found);
        }
    }
    found
}

/// By node, whether nothing ever comes from it but what is there from the start.
pub(super) fn still(plan: &StreamPlan) -> Vec<bool> {
    let mut still: Vec<bool> = Vec::with_capacity(plan.nodes.len());
    for node in &plan.nodes {
        let is_input = matches!(node.spec, OperatorSpec::Input { .. });
        still.push(!is_input && node.inputs.iter().all(|input| still[*input]));
    }
    still
}

/// An operator that adds up rows of others must be told which of them go.
pub(super) fn tell_who_adds_up(plan: &StreamPlan, nodes: &mut [NodeState]) {
    let mut adds_up = vec![false; nodes.len()];
    for (index, node) in plan.nodes.iter().enumerate().rev() {
        if let Some(operator) = nodes[index].operator.as_mut().filter(|_| adds_up[index]) {
            operator.send_replaced();
        }
        let sums = match node.spec {
            OperatorSpec::GroupAggregate(_)
            | OperatorSpec::RegularJoin(_)
            | OperatorSpec::PartitionOver(_)
            | OperatorSpec::TopN(_) => true,
            // So does a union of rows that change, and whoever reads it.
            OperatorSpec::Union | OperatorSpec::Unnest(_) | OperatorSpec::WindowAssign { .. } => {
                node.properties.mode == ChangelogMode::Retract
            }
            // Rows that lose what identifies them are taken back as they were.
            OperatorSpec::Project { .. } => {
                node.properties.mode == ChangelogMode::Retract
                    && node
                        .inputs
                        .iter()
                        .any(|input| plan.nodes[*input].properties.mode == ChangelogMode::Upsert)
            }
            _ => false,
        };
        for input in &node.inputs {
            adds_up[*input] |= sums || adds_up[index];
        }
    }
}
