//! Sinks as the core holds them: an outbox in the manifest, and a task that drains it.

use std::sync::Arc;

use rtsap_plan::operator::ObjectId;
use rtsap_stream::failpoint;
use rtsap_stream::message::{Epoch, Generation};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Answer, Core, Report};
use crate::checkpoint::manifest::{OutboxEntry, SinkState};
use crate::error::RuntimeError;
use crate::sink_task::{self, Failure, Outbox, SinkEvent, Wish};
use crate::spec::SinkSpec;
use crate::status::Health;

/// A sink.
pub(crate) struct SinkEntry {
    pub name: String,
    pub from: ObjectId,
    pub state: SinkState,
    pub health: Health,
    pub target: Option<String>,
    /// Why it is suspended, if it is.
    pub failure: Option<Failure>,
    outbox: Arc<Outbox>,
    wishes: watch::Sender<Wish>,
    /// Those who wait until nothing is under way any more.
    pausing: Vec<Answer<()>>,
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
    fn stands_still(&mut self) {
        for answer in self.pausing.drain(..) {
            // A session that has gone away does not want its answer.
            let _ = answer.send(Ok(()));
        }
    }

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
        let tell = move |event| report(Report::Sink { sink, event });
        let (wishes, wished) = watch::channel(Wish {
            paused: state.paused,
            resumed: 0,
        });
        let work = sink_task::Work {
            sink: spec.sink,
            outbox: Arc::clone(&outbox),
            wishes: wished,
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
            failure: None,
            outbox,
            wishes,
            pausing: Vec::new(),
            task,
        };
        self.sinks.insert(spec.id.0, entry);
        self.changed_since_checkpoint = true;
        failpoint::pass("core.sink_added");
        Ok(())
    }

    /// Takes what the task of a sink tells.
    pub(super) fn hear_sink(&mut self, sink: u64, event: SinkEvent) {
        let Some(entry) = self.sinks.get_mut(&sink) else {
            return;
        };
        match event {
            SinkEvent::Fenced { target, applied } => {
                tracing::info!(sink = entry.name, target, %applied, "sink ready");
                entry.target = Some(target);
                self.sink_applied(sink, applied.number());
            }
            SinkEvent::Applied(epoch) => self.sink_applied(sink, epoch.number()),
            SinkEvent::Unavailable { reason } => {
                tracing::warn!(sink = entry.name, reason, "sink unavailable");
                entry.health = Health::Retrying { reason };
            }
            SinkEvent::Suspended(failure) => {
                let reason = failure.reason.clone();
                tracing::error!(sink = entry.name, reason, "sink suspended");
                entry.health = Health::Suspended { reason };
                entry.failure = Some(failure);
                entry.stands_still();
            }
            SinkEvent::Paused => {
                tracing::info!(sink = entry.name, "sink paused");
                entry.health = Health::Paused;
                entry.stands_still();
            }
        }
    }

    fn sink_applied(&mut self, sink: u64, epoch: u64) {
        let Some(entry) = self.sinks.get_mut(&sink) else {
            return;
        };
        entry.health = Health::Running;
        entry.failure = None;
        if epoch > entry.state.applied {
            entry.state.applied = epoch;
            entry.state.outbox.retain(|waiting| waiting.epoch > epoch);
            self.changed_since_checkpoint = true;
            failpoint::pass("core.sink_applied");
        }
    }

    /// Stops a sink, and answers once nothing is under way at its target; or lets it go on from
    /// where it stands, whatever stopped it.
    pub(super) fn set_sink_paused(&mut self, sink: u64, paused: bool, answer: Answer<()>) {
        let Some(entry) = self.sinks.get_mut(&sink) else {
            return;
        };
        self.changed_since_checkpoint |= entry.state.paused != paused;
        entry.state.paused = paused;
        let still = matches!(entry.health, Health::Paused | Health::Suspended { .. });
        if paused {
            entry.wishes.send_modify(|wish| wish.paused = true);
            entry.pausing.push(answer);
            if still {
                entry.stands_still();
            }
        } else {
            entry.wishes.send_modify(|wish| {
                wish.paused = false;
                wish.resumed += 1;
            });
            if still {
                entry.health = Health::Waiting;
                entry.failure = None;
            }
            // Whoever wanted it to stand still has been overruled.
            entry.stands_still();
            // A session that has gone away does not want its answer.
            let _ = answer.send(Ok(()));
        }
        self.report();
    }
}
