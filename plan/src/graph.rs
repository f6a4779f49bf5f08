//! A compiled view: operators in topological order.

use crate::explain;
use crate::operator::OperatorSpec;
use crate::properties::StreamProperties;

/// Position of a node in [`StreamPlan::nodes`].
pub type NodeIndex = usize;

/// A compiled view. Built by `planner`, run by `runtime`; neither knows the other.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// `nodes[i].inputs` are all `< i`; the last node is the output.
    pub nodes: Vec<Node>,
}

/// One operator with its inputs and what holds for its output.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it does.
    pub spec: OperatorSpec,
    /// Whose output it reads, by port.
    pub inputs: Vec<NodeIndex>,
    /// What holds for what it sends.
    pub properties: StreamProperties,
}

/// A plan that contradicts itself: a bug of the planner.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanCheckError {
    /// There is no node.
    #[error("plan has no node")]
    Empty,
    /// A node reads from itself or from a later one.
    #[error("node {node} reads from node {input}, which does not come before it")]
    Order {
        /// The reading node.
        node: NodeIndex,
        /// What it reads.
        input: NodeIndex,
    },
    /// A node has the wrong number of inputs.
    #[error("node {node} ({name}) has {found} inputs")]
    Inputs {
        /// The node.
        node: NodeIndex,
        /// Its operator.
        name: &'static str,
        /// How many inputs it has.
        found: usize,
    },
    /// Properties speak of a column that is not there.
    #[error("node {node} names column {column} of {columns}")]
    Column {
        /// The node.
        node: NodeIndex,
        /// The column's index.
        column: usize,
        /// How many there are.
        columns: usize,
    },
}

impl StreamPlan {
    /// The properties of the view's result.
    ///
    /// # Errors
    /// [`PlanCheckError::Empty`] if there is no node.
    pub fn output(&self) -> Result<&StreamProperties, PlanCheckError> {
        self.nodes
            .last()
            .map(|node| &node.properties)
            .ok_or(PlanCheckError::Empty)
    }

    /// Checks what every plan must fulfil.
    ///
    /// # Errors
    /// The first [`PlanCheckError`], in node order.
    pub fn check(&self) -> Result<(), PlanCheckError> {
        if self.nodes.is_empty() {
            return Err(PlanCheckError::Empty);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(input) = node.inputs.iter().find(|input| **input >= index) {
                return Err(PlanCheckError::Order {
                    node: index,
                    input: *input,
                });
            }
            let fits = match node.spec {
                OperatorSpec::Input { .. } | OperatorSpec::Values { .. } => node.inputs.is_empty(),
                OperatorSpec::Union => node.inputs.len() >= 2,
                OperatorSpec::IntervalJoin(_)
                | OperatorSpec::AsofJoin(_)
                | OperatorSpec::RegularJoin(_) => node.inputs.len() == 2,
                _ => node.inputs.len() == 1,
            };
            if !fits {
                let (name, found) = (node.spec.name(), node.inputs.len());
                return Err(PlanCheckError::Inputs {
                    node: index,
                    name,
                    found,
                });
            }
            let columns = node.properties.schema.fields().len();
            let named = node
                .properties
                .key
                .iter()
                .chain(&node.properties.event_time);
            if let Some(column) = named.copied().find(|column| *column >= columns) {
                return Err(PlanCheckError::Column {
                    node: index,
                    column,
                    columns,
                });
            }
        }
        Ok(())
    }

    /// A text that is equal for two plans exactly when state of one can be restored into the other.
    pub fn fingerprint(&self) -> String {
        explain::text(self)
    }

    /// Where rows of the inputs can be found late: node and port, in order. Behind such a node none
    /// is late any more, since its promises hold.
    pub fn late_ports(&self) -> Vec<(NodeIndex, usize)> {
        let mut found = Vec::new();
        let mut behind = vec![false; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for (port, input) in node.inputs.iter().enumerate() {
                let finds = finds_late(&node.spec, port);
                if finds && !behind[*input] {
                    found.push((index, port));
                }
                behind[index] |= finds || behind[*input];
            }
        }
        found
    }

    /// The names of the relations whose rows come to a node, in order.
    pub fn leaves(&self, node: NodeIndex) -> Vec<&str> {
        let Some(node) = self.nodes.get(node) else {
            return Vec::new();
        };
        if let OperatorSpec::Input { name, .. } = &node.spec {
            return vec![name];
        }
        let inputs = node.inputs.iter();
        inputs.flat_map(|input| self.leaves(*input)).collect()
    }
}

fn finds_late(spec: &OperatorSpec, port: usize) -> bool {
    match spec {
        OperatorSpec::WindowAggregate(_)
        | OperatorSpec::SessionAggregate(_)
        | OperatorSpec::Over(_)
        | OperatorSpec::InTime { .. }
        | OperatorSpec::OpenWindows { .. }
        | OperatorSpec::Horizon(_)
        | OperatorSpec::AsofJoin(_) => true,
        OperatorSpec::IntervalJoin(spec) => !spec.drops_late[port],
        OperatorSpec::RegularJoin(spec) => spec.kept[port].is_some(),
        OperatorSpec::TopN(spec) => spec.closing.is_some() && !spec.keeps_rows,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
