//! A running plan: operators wired together. Synchronous, and free of clocks and I/O: a test drives
//! it as the core does.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use rtsap_plan::graph::{NodeIndex, StreamPlan};
use rtsap_plan::operator::{ObjectId, OperatorSpec};
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use absorb::{absorbs, multiplies};
use edges::Edges;
use input::project;
use late::LateShape;
use wiring::{still, tell_who_adds_up, timeless};

use crate::operator::instantiate;
use crate::operator::{Operator, OperatorError, Output};
use crate::state::{StateError, StateReader, StateWriter};
use crate::status::Ledger;

mod absorb;
mod edges;
mod figures;
pub mod guard;
mod input;
mod late;
pub(crate) mod wiring;

/// A running plan.
pub struct Dataflow {
    nodes: Vec<NodeState>,
    inputs: Vec<Input>,
    late_shape: LateShape,
    ledger: Ledger,
    results: Vec<ChangeBatch>,
    late: Vec<RecordBatch>,
    watermark: Option<EventTime>,
    /// Nothing is expected on any input, and so nothing of the result.
    idle: bool,
    /// What has been sent, where that is checked.
    edges: Option<Edges>,
    /// Under which name its state was last written.
    saved_as: Option<String>,
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
    /// By port: what it promises does not matter to this node.
    timeless: Vec<bool>,
    /// Rows that go no further than here are *used*: the node keeps them in its state or multiplies
    /// them.
    absorbs: bool,
    /// By port: no node before this one absorbs rows, so what comes here are rows of the inputs.
    takes_input_rows: Vec<bool>,
    /// One row of the inputs may be several here: they are counted as used where they are
    /// multiplied, whatever becomes of them.
    multiplied: bool,
    time: EventTime,
    /// What this node has last promised to those behind it.
    promised: Option<EventTime>,
    /// All its inputs are idle, and so is it.
    idle: bool,
    /// Rows that have come to it, and rows that it has sent.
    rows: [u64; 2],
    /// Whether its state may have changed since it was last written.
    unsaved: bool,
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
        let still = still(plan);
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
            let timeless = timeless(node, &still);
            let silent = |timeless: &bool| timeless.then_some(Watermark::Idle);
            let ports = timeless.iter().map(silent).collect();
            let raw = |input: &NodeIndex| {
                let before: &NodeState = &nodes[*input];
                !before.absorbs && before.takes_input_rows.iter().all(|raw| *raw)
            };
            let takes_input_rows: Vec<bool> = node.inputs.iter().map(raw).collect();
            // Behind a union of both kinds nothing tells the rows of inputs from others.
            let mixed = takes_input_rows.contains(&true) && takes_input_rows.contains(&false);
            let absorbs = mixed || absorbs(&node.spec);
            let mut before = node.inputs.iter().map(|input| &nodes[*input]);
            let multiplied = multiplies(&node.spec) || before.any(|node| node.multiplied);
            nodes.push(NodeState {
                operator,
                consumers: Vec::new(),
                ports,
                timeless,
                absorbs,
                takes_input_rows,
                multiplied,
                time: EventTime::MIN,
                promised: None,
                idle: false,
                rows: [0; 2],
                unsaved: true,
            });
        }
        for (index, node) in plan.nodes.iter().enumerate() {
            for (port, input) in node.inputs.iter().enumerate() {
                nodes[*input].consumers.push((index, port));
            }
        }
        tell_who_adds_up(plan, &mut nodes);
        Ok(Self {
            nodes,
            inputs,
            late_shape: LateShape::of(plan),
            ledger: Ledger::default(),
            results: Vec::new(),
            late: Vec::new(),
            watermark: None,
            idle: false,
            edges: None,
            saved_as: None,
        })
    }

    /// From now on all that nodes send is checked against `plan`, that of this dataflow: for tests.
    ///
    /// # Errors
    /// [`OperatorError::Arrow`] if rows of an edge cannot be compared.
    pub fn check_edges(&mut self, plan: &StreamPlan) -> Result<(), OperatorError> {
        self.edges = Some(Edges::of(plan)?);
        Ok(())
    }

    /// The leaves.
    pub fn inputs(&self) -> &[Input] {
        &self.inputs
    }

    /// The columns of late rows, if the plan has a node that can find rows late.
    pub fn late_schema(&self) -> Option<&SchemaRef> {
        self.late_shape.schema()
    }

    /// The ledger so far.
    pub fn ledger(&self) -> Ledger {
        self.ledger
    }

    /// Event time of the result, if it has come anywhere.
    pub fn watermark(&self) -> Option<EventTime> {
        self.watermark
    }

    /// Whether the result is as quiet as all its inputs: those who read it need not wait for it.
    pub fn is_idle(&self) -> bool {
        self.idle
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
            if let Some(edges) = &mut self.edges {
                edges.sent(node, &batch)?;
            }
            self.ledger.rows_in += batch.len() as u64;
            self.nodes[node].rows = self.nodes[node].rows.map(|rows| rows + batch.len() as u64);
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
                Watermark::At(time) => self.promise(node, time, &mut queue)?,
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

    /// Writes the state of all operators under names that begin with `prefix`; into a delta only
    /// what has changed, if the state was written under these names before. Right after
    /// [`Dataflow::publish`].
    ///
    /// # Errors
    /// [`StateError`] if an operator cannot write its state.
    pub fn snapshot(&mut self, prefix: &str, out: &mut StateWriter) -> Result<(), StateError> {
        out.set_anew(self.saved_as.as_deref() != Some(prefix));
        for (index, node) in self.nodes.iter_mut().enumerate() {
            let Some(operator) = &mut node.operator else {
                continue;
            };
            if out.is_delta() && !node.unsaved {
                continue;
            }
            let name = format!("{prefix}{index}/");
            out.open_scope(&name);
            out.set_prefix(name);
            operator.snapshot(out)?;
            node.unsaved = false;
        }
        out.set_anew(false);
        self.saved_as = Some(prefix.to_owned());
        Ok(())
    }

    /// Goes on counting from `ledger`.
    pub fn restore_ledger(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// Restores what [`Dataflow::snapshot`] wrote.
    ///
    /// # Errors
    /// [`StateError`] if the state is not of this plan.
    pub fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            if let Some(operator) = &mut node.operator {
                operator.restore(&from.under(&format!("{index}/")))?;
            }
        }
        if let Some(edges) = &mut self.edges {
            edges.forget();
        }
        Ok(())
    }

    fn run(&mut self, mut queue: VecDeque<(NodeIndex, usize, Event)>) -> Result<(), OperatorError> {
        while let Some((node, port, event)) = queue.pop_front() {
            match event {
                Event::Changes(changes) => {
                    self.nodes[node].rows[0] += changes.len() as u64;
                    let mut output = Output::default();
                    self.nodes[node].unsaved = true;
                    if let Some(operator) = &mut self.nodes[node].operator {
                        operator.on_changes(port, &changes, &mut output)?;
                    }
                    self.count(node, port, changes.len() as u64, &output);
                    self.keep_late(node, port, &mut output)?;
                    self.deliver(node, output, &mut queue)?;
                }
                Event::Watermark(_) if self.nodes[node].timeless[port] => {}
                Event::Watermark(time) => {
                    self.nodes[node].ports[port] = Some(Watermark::At(time));
                    self.pass_watermark(node, &mut queue)?;
                }
            }
        }
        Ok(())
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
        let Some(least) = least else {
            // Nothing is expected on any input, so nothing is expected of this node.
            self.nodes[node].idle = true;
            return self.leave_out(node, queue);
        };
        let awake = std::mem::take(&mut self.nodes[node].idle);
        self.idle &= !self.nodes[node].consumers.is_empty();
        if least <= self.nodes[node].time {
            // Those behind this node have left it out; they must wait for it again.
            if let Some(before) = self.nodes[node].promised.filter(|_| awake) {
                self.send(node, Event::Watermark(before), queue);
            }
            return Ok(());
        }
        self.nodes[node].time = least;
        self.nodes[node].unsaved = true;
        let mut output = Output::default();
        let promise = match &mut self.nodes[node].operator {
            Some(operator) => operator.on_watermark(least, &mut output)?,
            None => least,
        };
        self.deliver(node, output, queue)?;
        self.promise(node, promise, queue)
    }

    fn leave_out(
        &mut self,
        node: NodeIndex,
        queue: &mut VecDeque<(NodeIndex, usize, Event)>,
    ) -> Result<(), OperatorError> {
        self.idle |= self.nodes[node].consumers.is_empty();
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
    ) -> Result<(), OperatorError> {
        if let Some(edges) = &mut self.edges {
            edges.promised(node, time)?;
        }
        if self.nodes[node].consumers.is_empty() {
            self.watermark = Some(self.watermark.map_or(time, |before| before.max(time)));
            self.idle = false;
        }
        self.nodes[node].promised = Some(time);
        self.send(node, Event::Watermark(time), queue);
        Ok(())
    }

    /// Sets aside the rows that a node found late among those of one port.
    fn keep_late(
        &mut self,
        node: NodeIndex,
        port: usize,
        output: &mut Output,
    ) -> Result<(), OperatorError> {
        for rows in std::mem::take(&mut output.late) {
            let shaped = self.late_shape.rows(node, port, rows)?;
            self.late.push(shaped);
        }
        Ok(())
    }

    fn deliver(
        &mut self,
        node: NodeIndex,
        output: Output,
        queue: &mut VecDeque<(NodeIndex, usize, Event)>,
    ) -> Result<(), OperatorError> {
        for changes in output
            .changes
            .into_iter()
            .filter(|changes| !changes.is_empty())
        {
            if let Some(edges) = &mut self.edges {
                edges.sent(node, &changes)?;
            }
            self.nodes[node].rows[1] += changes.len() as u64;
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

#[cfg(test)]
mod tests;
