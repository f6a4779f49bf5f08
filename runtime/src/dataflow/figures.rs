//! What the nodes of a dataflow say of themselves, and what makes them let go of what they hold.

use std::collections::VecDeque;

use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use super::Dataflow;
use crate::operator::OperatorError;
use crate::status::OperatorStatus;

impl Dataflow {
    /// The figures of each node, in the order of the plan.
    pub fn operators(&self) -> Vec<OperatorStatus> {
        let figures = self.nodes.iter().map(|node| {
            let mut ports = node
                .consumers
                .iter()
                .map(|(to, port)| &self.nodes[*to].ports[*port]);
            let leaf = node.operator.is_none();
            let idle =
                !node.consumers.is_empty() && ports.all(|port| *port == Some(Watermark::Idle));
            OperatorStatus {
                rows_in: node.rows[0],
                rows_out: node.rows[1],
                state_bytes: node.operator.as_ref().map_or(0, |o| o.state_bytes() as u64),
                watermark: match leaf {
                    true => node.promised,
                    false => Some(node.time),
                }
                .filter(|time| *time > EventTime::MIN),
                idle: leaf && idle,
                waiting: node
                    .operator
                    .as_ref()
                    .and_then(|operator| operator.waiting()),
            }
        });
        figures.collect()
    }

    /// Promises so much event time on all inputs that everything that waits for it is let go, as if
    /// rows had come that late. Returns whether anything waited.
    ///
    /// # Errors
    /// As [`Dataflow::feed`].
    pub fn close_open(&mut self) -> Result<bool, OperatorError> {
        let mut until: Option<EventTime> = None;
        // What one node lets go of may wait in the next.
        for _ in 0..self.nodes.len() {
            let mut wanted = None;
            let mut short_nanos = 0;
            for node in &self.nodes {
                let waiting = node
                    .operator
                    .as_ref()
                    .and_then(|operator| operator.waiting());
                // A node to which nothing is promised cannot be made to let go.
                if until.is_some() && node.time == EventTime::MIN {
                    continue;
                }
                if let Some(waiting) = waiting.filter(|waiting| waiting.last > node.time) {
                    let short = waiting.last.nanos().saturating_sub(node.time.nanos());
                    wanted = wanted.max(Some(waiting.last));
                    short_nanos = short_nanos.max(short);
                }
            }
            let Some(wanted) = wanted else { break };
            let time = match until {
                None => wanted,
                Some(before) => EventTime::from_nanos(before.nanos().saturating_add(short_nanos)),
            };
            until = Some(time);
            for leaf in 0..self.inputs.len() {
                let mut queue = VecDeque::new();
                self.promise(self.inputs[leaf].node, time, &mut queue)?;
                self.run(queue)?;
            }
        }
        Ok(until.is_some())
    }
}
