//! Sinks as the core holds them: an outbox in the manifest, and a task that drains it.

use std::sync::Arc;

use rtsap_plan::operator::ObjectId;
use rtsap_stream::failpoint;
use rtsap_stream::message::{Epoch, Generation};
use tokio::task::JoinHandle;

use super::{Core, Report};
use crate::checkpoint::manifest::{OutboxEntry, SinkState};
use crate::error::RuntimeError;
use crate::sink_task::{self, Outbox, SinkEvent};
use crate::spec::SinkSpec;
use crate::status::Health;

/// A sink.
pub(crate) struct SinkEntry {
    pub name: String,
    pub from: ObjectId,
    pub state: SinkState,
    pub health: Health,
    pub target: Option<String>,
    outbox: Arc<Outbox>,
    task: JoinHandle<()>,
}

impl Drop for SinkEntry {
    fn drop(&mut self) {
        // An epoch that is half way is all or nothing at the target, and its record there says
        // which.
        self.task.abort();
    }
}

impl SinkEntry {
    /// Queues the entries of a durable outbox that the task does not know yet.
    pub(super) fn adopt_outbox(&mut self, outbox: &[OutboxEntry]) {
        let known = self
            .state
            .outbox
            .last()
            .map_or(self.state.applied, |entry| entry.epoch);
        for entry in outbox.iter().filter(|entry| entry.epoch > known) {
            self.state.outbox.push(entry.clone());
            self.outbox.push(entry.clone());
        }
    }
}

impl Core {
    pub(crate) fn add_sink(
        &mut self,
        spec: SinkSpec,
        saved: Option<SinkState>,
    ) -> Result<(), RuntimeError> {
        if !self.relations.contains_key(&spec.from) {
            return Err(RuntimeError::NotA {
                id: spec.from.0,
                wanted: "table or view",
            });
        }
        let state = saved.unwrap_or(SinkState {
            id: spec.id.0,
            ..SinkState::default()
        });
        let outbox = Arc::new(Outbox::default());
        for entry in &state.outbox {
            outbox.push(entry.clone());
        }
        let (report, sink) = (self.reporter(), spec.id.0);
        let tell = move |event| {
            report(match event {
                SinkEvent::Fenced { target, applied } => Report::SinkFenced {
                    sink,
                    target,
                    applied: applied.number(),
                },
                SinkEvent::Applied(epoch) => Report::SinkApplied {
                    sink,
                    epoch: epoch.number(),
                },
                SinkEvent::Problem { retried, reason } => Report::SinkProblem {
                    sink,
                    retried,
                    reason,
                },
            });
        };
        let work = sink_task::Work {
            sink: spec.sink,
            outbox: Arc::clone(&outbox),
            store: self.store.clone(),
            schema: Arc::clone(&spec.input.schema),
            generation: Generation::new(self.manifest.generation),
            applied: Epoch::new(state.applied),
            tip: Epoch::new(self.manifest.epoch),
            clock: Arc::clone(&self.config.clock),
        };
        let task = self.tokio.spawn(sink_task::run(work, tell));
        let (name, from) = (spec.name, spec.from);
        let entry = SinkEntry {
            name,
            from,
            state,
            health: Health::Waiting,
            target: None,
            outbox,
            task,
        };
        self.sinks.insert(spec.id.0, entry);
        self.changed_since_checkpoint = true;
        failpoint::pass("core.sink_added");
        Ok(())
    }

    pub(super) fn sink_fenced(&mut self, sink: u64, target: String, applied: u64) {
        let Some(entry) = self.sinks.get_mut(&sink) else {
            return;
        };
        tracing::info!(sink = entry.name, target, applied, "sink ready");
        entry.target = Some(target);
        entry.health = Health::Running;
        self.sink_applied(sink, applied);
    }

    pub(super) fn sink_applied(&mut self, sink: u64, epoch: u64) {
        let Some(entry) = self.sinks.get_mut(&sink) else {
            return;
        };
        entry.health = Health::Running;
        if epoch > entry.state.applied {
            entry.state.applied = epoch;
            entry.state.outbox.retain(|waiting| waiting.epoch > epoch);
            self.changed_since_checkpoint = true;
            failpoint::pass("core.sink_applied");
        }
    }

    pub(super) fn sink_problem(&mut self, sink: u64, retried: bool, reason: String) {
        let Some(entry) = self.sinks.get_mut(&sink) else {
            return;
        };
        if retried {
            tracing::warn!(sink = entry.name, reason, "sink unavailable");
            entry.health = Health::Retrying { reason };
        } else {
            tracing::error!(sink = entry.name, reason, "sink suspended");
            entry.health = Health::Suspended { reason };
        }
    }
}
