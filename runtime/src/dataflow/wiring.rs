//! What nodes must know of those beside them before rows come.

use rtsap_plan::graph::{Node, StreamPlan};
use rtsap_plan::operator::OperatorSpec;
use rtsap_stream::change::ChangelogMode;
use rtsap_stream::message::Watermark;

use super::NodeState;

/// By port, whether a node of `ports` inputs takes no notice of its event time: the side of a join
/// whose rows are kept for ever must not hold back the one whose rows are not.
pub(super) fn timeless(spec: &OperatorSpec, ports: usize) -> Vec<bool> {
    match spec {
        OperatorSpec::RegularJoin(spec) if spec.lookup => vec![false, true],
        OperatorSpec::RegularJoin(spec) => spec.kept.iter().map(Option::is_none).collect(),
        _ => vec![false; ports],
    }
}

/// What the ports of the next node of a plan have heard before anything comes: those of whose event
/// time it takes no notice, and those behind which nothing ever moves, are idle. `still` says of
/// the nodes so far whether anything comes from them.
pub(super) fn silent_ports(
    node: &Node,
    timeless: &[bool],
    still: &mut Vec<bool>,
) -> Vec<Option<Watermark>> {
    let from_still = |port: usize| still[node.inputs[port]];
    let silent = |(port, timeless): (usize, &bool)| {
        (*timeless || from_still(port)).then_some(Watermark::Idle)
    };
    let ports = timeless.iter().enumerate().map(silent).collect();
    let is_input = matches!(node.spec, OperatorSpec::Input { .. });
    still.push(!is_input && (0..node.inputs.len()).all(from_still));
    ports
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
