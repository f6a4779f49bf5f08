//! A running plan: operators wired together. Synchronous, and free of clocks and I/O: a test drives
//! it as the core does.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use rtsap_plan::graph::{NodeIndex, StreamPlan};
use rtsap_plan::operator::{ObjectId, OperatorSpec};
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use crate::operator::instantiate;
use crate::operator::{Operator, OperatorError, Output};
use crate::state::{StateError, StateReader, StateWriter};
use crate::status::Ledger;

/// A running plan.
pub struct Dataflow {
    nodes: Vec<NodeState>,
    inputs: Vec<Input>,
    late_node: Option<NodeIndex>,
    late_schema: Option<SchemaRef>,
    ledger: Ledger,
    results: Vec<ChangeBatch>,
    late: Vec<RecordBatch>,
    watermark: Option<EventTime>,
}

/// A leaf of the plan.
#[derive(Clone, Debug)]
pub struct Input {
    /// Whose rows it takes.
    pub object: ObjectId,
    /// Which columns of that object, in order.
    pub columns: Vec<usize>,
    node: NodeIndex,
}

struct NodeState {
    operator: Option<Box<dyn Operator>>,
    consumers: Vec<(NodeIndex, usize)>,
    ports: Vec<Option<Watermark>>,
    /// Rows that go no further than here are *used*: the node keeps them in its state or multiplies
    /// them.
    absorbs: bool,
    /// No node before this one absorbs rows, so what comes here are rows of the inputs.
    takes_input_rows: bool,
    /// The ports to which rows of the inputs come though others get derived rows.
    mixed_ports: Vec<bool>,
    time: EventTime,
}

/// What a dataflow has brought forth since the last time it was asked.
#[derive(Debug, Default)]
pub struct Results {
    /// Changes of the view, in order.
    pub changes: Vec<ChangeBatch>,
    /// Rows that came too late.
    pub late: Vec<RecordBatch>,
}

enum Event {
    Changes(ChangeBatch),
    Watermark(EventTime),
}

impl Dataflow {
    /// Builds the operators of `plan`.
    ///
    /// # Errors
    /// [`OperatorError`] if an operator cannot be built.
    pub fn new(plan: &StreamPlan) -> Result<Self, OperatorError> {
        let mut nodes = Vec::with_capacity(plan.nodes.len());
        let mut inputs = Vec::new();
        for (index, node) in plan.nodes.iter().enumerate() {
            let operator = if let OperatorSpec::Input {
                object, columns, ..
            } = &node.spec
            {
                inputs.push(Input {
                    object: *object,
                    columns: columns.clone(),
                    node: index,
                });
                None
            } else {
                let schemas = node.inputs.iter();
                let schemas: Vec<SchemaRef> = schemas
                    .map(|i| Arc::clone(&plan.nodes[*i].properties.schema))
                    .collect();
                Some(instantiate::operator(node, &schemas)?)
            };
            let absorbs = matches!(
                node.spec,
                OperatorSpec::WindowAggregate(_)
                    | OperatorSpec::SessionAggregate(_)
                    | OperatorSpec::GroupAggregate(_)
                    | OperatorSpec::TopN(_)
                    | OperatorSpec::Over(_)
                    | OperatorSpec::WindowAssign { .. }
            );
            let ports = vec![None; node.inputs.len()];
            let derived = |input: &NodeIndex| {
                let before: &NodeState = &nodes[*input];
                before.absorbs || !before.takes_input_rows
            };
            let takes_input_rows = !node.inputs.iter().any(derived);
            let mixed = |input| !takes_input_rows && !derived(input);
            let mixed_ports = node.inputs.iter().map(mixed).collect();
            nodes.push(NodeState {
                operator,
                consumers: Vec::new(),
                ports,
                absorbs,
                takes_input_rows,
                mixed_ports,
                time: EventTime::MIN,
            });
        }
        for (index, node) in plan.nodes.iter().enumerate() {
            for (port, input) in node.inputs.iter().enumerate() {
                nodes[*input].consumers.push((index, port));
            }
        }
        tell_who_adds_up(plan, &mut nodes);
        let late_node = plan.late_node();
        let late_input = late_node.and_then(|node| plan.nodes[node].inputs.first());
        let late_schema = late_input.map(|i| Arc::clone(&plan.nodes[*i].properties.schema));
        Ok(Self {
            nodes,
            inputs,
            late_node,
            late_schema,
            ledger: Ledger::default(),
            results: Vec::new(),
            late: Vec::new(),
            watermark: None,
        })
    }

    /// The leaves.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The columns of late rows, if the plan has a node that can find rows late.
    pub fn late_schema(&self) -> Option<&SchemaRef> {
        self.late_schema.as_ref()
    }

    /// The ledger so far.
    pub fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// Event time of the result, if it has come anywhere.
    pub fn watermark(&self) -> Option<EventTime> {
        self.watermark
    }

    /// Bytes of state in all operators.
    pub fn state_bytes(&self) -> usize {
        self.nodes
            .iter()
            .filter_map(|n| n.operator.as_ref())
            .map(|o| o.state_bytes())
            .sum()
    }

    /// Takes changes of `object`. `place_of(c)` is where column *c* of the object lies in
    /// `changes`.
    ///
    /// # Errors
    /// [`OperatorError`]; the dataflow must not be used afterwards.
    pub fn feed(
        &mut self,
        object: ObjectId,
        changes: &ChangeBatch,
        place_of: &dyn Fn(usize) -> Option<usize>,
    ) -> Result<(), OperatorError> {
        for leaf in 0..self.inputs.len() {
            if self.inputs[leaf].object != object {
                continue;
            }
            let columns = self.inputs[leaf].columns.iter();
            let places: Option<Vec<usize>> = columns.map(|column| place_of(*column)).collect();
            let Some(places) = places else {
                let found = format!("rows of object {object} without a column it needs");
                return Err(OperatorError::Contract {
                    operator: "Input",
                    found,
                });
            };
            let node = self.inputs[leaf].node;
            let batch = project(changes, &places)?;
            self.ledger.rows_in += batch.len() as u64;
            if self.nodes[node].consumers.is_empty() {
                self.ledger.used += batch.len() as u64;
                self.results.push(batch);
                continue;
            }
            let mut queue = VecDeque::new();
            self.send(node, Event::Changes(batch), &mut queue);
            self.run(queue)?;
        }
        Ok(())
    }

    /// Event time of `object` has come to `watermark`.
    ///
    /// # Errors
    /// As [`Dataflow::feed`].
    pub fn advance(&mut self, object: ObjectId, watermark: Watermark) -> Result<(), OperatorError> {
        for leaf in 0..self.inputs.len() {
            if self.inputs[leaf].object != object {
                continue;
            }
            let node = self.inputs[leaf].node;
            let mut queue = VecDeque::new();
            match watermark {
                Watermark::At(time) => self.promise(node, time, &mut queue),
                Watermark::Idle => self.leave_out(node, &mut queue)?,
            }
            self.run(queue)?;
        }
        Ok(())
    }

    /// A cut is about to be published: operators emit what they held back. Then
    /// [`Dataflow::take_results`].
    ///
    /// # Errors
    /// As [`Dataflow::feed`].
    pub fn publish(&mut self) -> Result<(), OperatorError> {
        for node in 0..self.nodes.len() {
            let mut output = Output::default();
            if let Some(operator) = &mut self.nodes[node].operator {
                operator.on_publish(&mut output)?;
            }
            let mut queue = VecDeque::new();
            self.deliver(node, output, &mut queue)?;
            self.run(queue)?;
        }
        Ok(())
    }

    /// What has come out since the last call.
    pub fn take_results(&mut self) -> Results {
        let changes = std::mem::take(&mut self.results);
        Results {
            changes,
            late: std::mem::take(&mut self.late),
        }
    }

    /// Writes the state of all operators. Right after [`Dataflow::publish`].
    ///
    /// # Errors
    /// [`StateError`] if an operator cannot write its state.
    pub fn snapshot(&mut self, prefix: &str, out: &mut StateWriter) -> Result<(), StateError> {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            if let Some(operator) = &mut node.operator {
                out.set_prefix(format!("{prefix}{index}/"));
                operator.snapshot(out)?;
            }
        }
        Ok(())
    }

    /// Restores what [`Dataflow::snapshot`] wrote, with the ledger and the inputs' watermarks of
    /// that moment.
    ///
    /// # Errors
    /// [`StateError`] if the state is not of this plan.
    pub fn restore(&mut self, from: &StateReader, ledger: Ledger) -> Result<(), StateError> {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            if let Some(operator) = &mut node.operator {
                operator.restore(&from.under(&format!("{index}/")))?;
            }
        }
        self.ledger = ledger;
        Ok(())
    }

    fn run(&mut self, mut queue: VecDeque<(NodeIndex, usize, Event)>) -> Result<(), OperatorError> {
        while let Some((node, port, event)) = queue.pop_front() {
            match event {
                Event::Changes(changes) => {
                    let mut output = Output::default();
                    if let Some(operator) = &mut self.nodes[node].operator {
                        operator.on_changes(port, &changes, &mut output)?;
                    }
                    self.count(node, changes.len() as u64, &output);
                    if self.nodes[node].mixed_ports[port] {
                        // Here they become like the derived rows beside them.
                        self.ledger.used += changes.len() as u64;
                    }
                    self.deliver(node, output, &mut queue)?;
                }
                Event::Watermark(time) => {
                    self.nodes[node].ports[port] = Some(Watermark::At(time));
                    self.pass_watermark(node, &mut queue)?;
                }
            }
        }
        Ok(())
    }

    /// Counts rows where they leave the stream of input rows: in a node that absorbs them, or in
    /// the result.
    fn count(&mut self, node: NodeIndex, rows: u64, output: &Output) {
        let late: u64 = output
            .late
            .iter()
            .map(|batch| batch.num_rows() as u64)
            .sum();
        self.ledger.filtered += output.filtered_rows;
        self.ledger.late += late;
        if !self.nodes[node].takes_input_rows {
            // Counted as used where it was put into its window.
            self.ledger.used = self.ledger.used.saturating_sub(late);
        }
        if self.nodes[node].absorbs && self.nodes[node].takes_input_rows {
            self.ledger.used += rows - late;
        }
        let to_result = self.nodes[node].consumers.is_empty();
        if to_result && !self.nodes[node].absorbs && self.nodes[node].takes_input_rows {
            self.ledger.used += output
                .changes
                .iter()
                .map(|batch| batch.len() as u64)
                .sum::<u64>();
        }
    }

    fn pass_watermark(
        &mut self,
        node: NodeIndex,
        queue: &mut VecDeque<(NodeIndex, usize, Event)>,
    ) -> Result<(), OperatorError> {
        let mut least: Option<EventTime> = None;
        for port in &self.nodes[node].ports {
            match port {
                None => return Ok(()),
                Some(Watermark::Idle) => {}
                Some(Watermark::At(time)) => {
                    least = Some(least.map_or(*time, |least| least.min(*time)));
                }
            }
        }
        let Some(time) = least.filter(|time| *time > self.nodes[node].time) else {
            return Ok(());
        };
        self.nodes[node].time = time;
        let mut output = Output::default();
        let promise = match &mut self.nodes[node].operator {
            Some(operator) => operator.on_watermark(time, &mut output)?,
            None => time,
        };
        self.deliver(node, output, queue)?;
        self.promise(node, promise, queue);
        Ok(())
    }

    fn leave_out(
        &mut self,
        node: NodeIndex,
        queue: &mut VecDeque<(NodeIndex, usize, Event)>,
    ) -> Result<(), OperatorError> {
        for (to, port) in self.nodes[node].consumers.clone() {
            self.nodes[to].ports[port] = Some(Watermark::Idle);
            self.pass_watermark(to, queue)?;
        }
        Ok(())
    }

    fn promise(
        &mut self,
        node: NodeIndex,
        time: EventTime,
        queue: &mut VecDeque<(NodeIndex, usize, Event)>,
    ) {
        if self.nodes[node].consumers.is_empty() {
            self.watermark = Some(self.watermark.map_or(time, |before| before.max(time)));
        }
        self.send(node, Event::Watermark(time), queue);
    }

    fn deliver(
        &mut self,
        node: NodeIndex,
        output: Output,
        queue: &mut VecDeque<(NodeIndex, usize, Event)>,
    ) -> Result<(), OperatorError> {
        if !output.late.is_empty() {
            let fits = |rows: &RecordBatch| self.late_schema.as_ref() == Some(&rows.schema());
            if self.late_node != Some(node) && !output.late.iter().all(fits) {
                // Downstream of a window no row is late: its promise says so. Beside it, rows have
                // the same columns.
                let found = "late rows of other columns".to_owned();
                return Err(OperatorError::Contract {
                    operator: "WindowAggregate",
                    found,
                });
            }
            self.late.extend(output.late);
        }
        for changes in output
            .changes
            .into_iter()
            .filter(|changes| !changes.is_empty())
        {
            if self.nodes[node].consumers.is_empty() {
                self.results.push(changes);
            } else {
                self.send(node, Event::Changes(changes), queue);
            }
        }
        Ok(())
    }

    fn send(&self, node: NodeIndex, event: Event, queue: &mut VecDeque<(NodeIndex, usize, Event)>) {
        for (to, port) in &self.nodes[node].consumers {
            let copy = match &event {
                Event::Changes(changes) => Event::Changes(changes.clone()),
                Event::Watermark(time) => Event::Watermark(*time),
            };
            queue.push_back((*to, *port, copy));
        }
    }
}

/// An operator that adds up rows of others must be told which of them go.
fn tell_who_adds_up(plan: &StreamPlan, nodes: &mut [NodeState]) {
    let mut adds_up = vec![false; nodes.len()];
    for (index, node) in plan.nodes.iter().enumerate().rev() {
        if let Some(operator) = nodes[index].operator.as_mut().filter(|_| adds_up[index]) {
            operator.send_replaced();
        }
        // So does a union of rows that change, and whoever reads it.
        let group = match node.spec {
            OperatorSpec::GroupAggregate(_) | OperatorSpec::TopN(_) => true,
            OperatorSpec::Union => node.properties.mode == ChangelogMode::Retract,
            _ => false,
        };
        for input in &node.inputs {
            adds_up[*input] |= group || adds_up[index];
        }
    }
}

fn project(changes: &ChangeBatch, places: &[usize]) -> Result<ChangeBatch, OperatorError> {
    let arrow = |source| OperatorError::Arrow {
        operator: "Input",
        source,
    };
    let rows = changes.rows().project(places).map_err(arrow)?;
    match changes.ops() {
        None => Ok(ChangeBatch::inserts(rows)),
        Some(ops) => {
            ChangeBatch::try_new(rows, ops.clone()).map_err(|error| OperatorError::Contract {
                operator: "Input",
                found: error.to_string(),
            })
        }
    }
}

#[cfg(test)]
mod tests;
