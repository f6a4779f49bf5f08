//! Checkpoints as the core sees them: the cut is made here in one go, the writing is a job
//! elsewhere.

use rtsap_plan::graph::StreamPlan;
use rtsap_plan::operator::ObjectId;
use rtsap_stream::failpoint;
use sha2::{Digest, Sha256};
use std::sync::Arc;

use super::pace::{HELD, write_held};
use super::pause::{INBOX, write_inbox};
use super::relation::{Body, Relation};
use super::sinks::SinkEntry;
use super::source::SourceEntry;
use super::{Core, InFlight, Report};
use crate::checkpoint::chain::object_prefix;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::job::{self, Blob, Committed, Job, Target};
use crate::checkpoint::manifest::{ManifestV1, ReaderState, SplitState};
use crate::error::RuntimeError;
use crate::serve::ServeError;
use crate::serve::delta::Delta;
use crate::state::StateWriter;

/// Deltas of one relation before a new base is written: bounds recovery and the manifest.
const DELTAS_MAX: usize = 64;

/// Rows in deltas, in multiples of the rows served, before a new base is written.
const DELTA_ROWS_FACTOR: u64 = 4;

/// Below so many rows in deltas a new base never pays.
const DELTA_ROWS_MIN: u64 = 100_000;

/// Deltas of operator state before a new base is written.
const OPERATOR_DELTAS_MAX: usize = 64;

/// Deltas of operator state of fewer bytes never make a new base pay.
const OPERATOR_BYTES_MIN: u64 = 1 << 20;

/// SHA-256 of a plan's text form, in hex.
pub(crate) fn fingerprint(plan: &StreamPlan) -> String {
    Sha256::digest(plan.fingerprint())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

impl Core {
    /// Cuts a checkpoint and hands it to a job. Right after a publish.
    pub(super) fn begin_checkpoint(&mut self) {
        let started = self.config.clock.elapsed();
        self.last_checkpoint = started;
        self.changed_since_checkpoint = false;
        failpoint::pass("core.cut_begun");
        let job = match self.cut_checkpoint() {
            Ok(job) => job,
            Err(error) => {
                self.die(format!("cannot cut a checkpoint: {error}"));
                return;
            }
        };
        failpoint::pass("core.cut_made");
        let cut = self.shared.fresh.load_full();
        self.in_flight = Some(InFlight { cut, started });
        self.in_flight_waiters = std::mem::take(&mut self.checkpoint_waiters);
        let (chain, store, report) = (Arc::clone(&self.chain), self.store.clone(), self.reporter());
        let clock = Arc::clone(&self.config.clock);
        self.tokio.spawn(async move {
            let problem = report.clone();
            let problem = move |text| problem(Report::CheckpointProblem(text));
            let result = job::run(job, chain, store, clock, problem).await;
            report(Report::CheckpointDone(result));
        });
    }

    fn cut_checkpoint(&mut self) -> Result<Job, ServeError> {
        let epoch = self.manifest.epoch + 1;
        let name = object_prefix(self.manifest.generation, epoch);
        let mut manifest = ManifestV1 {
            generation: self.manifest.generation,
            epoch,
            table_log: self.table_log,
            readers: self.reader_states(),
            ..ManifestV1::default()
        };
        let mut blobs = Vec::new();
        let mut operators = match self.next_is_delta() {
            true => {
                manifest.operators.clone_from(&self.manifest.operators);
                let deltas = &self.manifest.operator_deltas;
                manifest.operator_deltas.clone_from(deltas);
                StateWriter::delta()
            }
            false => StateWriter::default(),
        };
        let base = !operators.is_delta();
        for relation in self.relations.values_mut() {
            relation.save(&mut operators);
            let unbegun = follower(&self.sinks, relation, false);
            let begun = follower(&self.sinks, relation, true);
            relation.save_rows(&name, &begun, &unbegun, &mut blobs)?;
            relation.expire()?;
            self.touched |= relation.touched;
            manifest.relations.push(relation.saved.clone());
        }
        for source in self.sources.values_mut() {
            source.save_errors(&name, &mut blobs)?;
            manifest.sources.push(source.saved.clone());
        }
        for sink in self.sinks.values_mut() {
            sink.state.begun = true;
            manifest.sinks.push(sink.state.clone());
        }
        let sections = operators.into_sections();
        self.has_base = !base || !sections.is_empty();
        if !sections.is_empty() {
            let path = format!("{name}-operators");
            blobs.push(Blob {
                path,
                sections,
                target: Target::Operators { base },
            });
        }
        Ok(Job {
            manifest,
            blobs,
            driven: self.config.driven,
        })
    }

    /// Whether a delta of operator state can be built on what this process has written, and pays.
    fn next_is_delta(&self) -> bool {
        let Some(base) = self.manifest.operators.as_ref().filter(|_| self.has_base) else {
            return false;
        };
        let deltas = &self.manifest.operator_deltas;
        let bytes: u64 = deltas.iter().map(|delta| delta.bytes).sum();
        deltas.len() < OPERATOR_DELTAS_MAX && bytes <= base.bytes.max(OPERATOR_BYTES_MIN)
    }

    fn reader_states(&self) -> Vec<ReaderState> {
        let state = |intake: &super::intake::Intake| ReaderState {
            source: intake.spec.id.0,
            views: intake.views.iter().map(|view| view.0).collect(),
            shared: intake.shared,
            identity: intake.identity.clone(),
            splits: intake
                .splits
                .iter()
                .map(|(id, split)| {
                    let state = SplitState {
                        offset: split.offset.0,
                        latest: split.latest,
                        idle: split.idle,
                        ended: split.ended,
                    };
                    (id.as_str().to_owned(), state)
                })
                .collect(),
        };
        self.intakes
            .iter()
            .filter(|i| !i.splits.is_empty())
            .map(state)
            .collect()
    }

    pub(super) fn checkpoint_done(&mut self, result: Result<Committed, CheckpointError>) {
        let Some(in_flight) = self.in_flight.take() else {
            return;
        };
        let committed = match result {
            Ok(committed) => committed,
            Err(CheckpointError::Fenced { generation }) => {
                tracing::error!(generation, "fenced by a newer process");
                self.fenced = true;
                return;
            }
            Err(error) => {
                self.die(format!("cannot write a checkpoint: {error}"));
                return;
            }
        };
        let took = self
            .config
            .clock
            .elapsed()
            .saturating_sub(in_flight.started);
        failpoint::pass("core.commit_known");
        self.checkpoint.epoch = committed.manifest.epoch;
        self.checkpoint.duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.checkpoint.bytes = committed.bytes;
        self.checkpoint.problem = None;
        metrics::histogram!(crate::metrics::CHECKPOINT_SECONDS).record(took.as_secs_f64());
        self.adopt(&committed.manifest);
        self.manifest = committed.manifest;
        self.shared.committed.store(in_flight.cut);
        failpoint::pass("core.commit_adopted");
        self.report();
        for answer in self.in_flight_waiters.drain(..) {
            // Whoever asked may be gone.
            let _ = answer.send(Ok(self.manifest.epoch));
        }
    }

    /// Takes over the references that a durable manifest has given to what was written.
    fn adopt(&mut self, manifest: &ManifestV1) {
        for state in &manifest.relations {
            if let Some(relation) = self.relations.get_mut(&ObjectId(state.id)) {
                relation.saved.rows.clone_from(&state.rows);
                relation.saved.late.clone_from(&state.late);
            }
        }
        for state in &manifest.sources {
            if let Some(source) = self.sources.get_mut(&ObjectId(state.id)) {
                source.saved.errors.clone_from(&state.errors);
            }
        }
        for state in &manifest.sinks {
            if let Some(sink) = self.sinks.get_mut(&state.id) {
                sink.adopt_outbox(&state.outbox);
            }
        }
    }

    /// Ends the core: going on would lose what can no longer be saved.
    fn die(&mut self, reason: String) {
        tracing::error!(reason, "runtime stopped");
        *self.shared.ended.lock() = Some(reason);
        self.fenced = true;
        for answer in self
            .checkpoint_waiters
            .drain(..)
            .chain(self.in_flight_waiters.drain(..))
        {
            let _ = answer.send(Err(RuntimeError::Stopped));
        }
    }
}

/// The sinks of `relation` that have or have not been given its initial content.
fn follower(
    sinks: &std::collections::BTreeMap<u64, SinkEntry>,
    relation: &Relation,
    begun: bool,
) -> Vec<u64> {
    let follows = |sink: &&SinkEntry| sink.from == relation.id && sink.state.begun == begun;
    sinks
        .values()
        .filter(follows)
        .map(|sink| sink.state.id)
        .collect()
}

fn blob(path: String, delta: Delta, target: Target) -> Blob {
    let mut out = StateWriter::default();
    delta.write(&mut out);
    Blob {
        path,
        sections: out.into_sections(),
        target,
    }
}

impl SourceEntry {
    /// Writes what was set aside since the last checkpoint, or all of it.
    fn save_errors(&mut self, name: &str, blobs: &mut Vec<Blob>) -> Result<(), ServeError> {
        let mut delta = self.errors.take_delta()?;
        if delta.is_empty() {
            return Ok(());
        }
        let base = self.saved.errors.len() >= DELTAS_MAX;
        if base {
            delta = self.errors.everything()?;
        }
        let source = self.spec.id.0;
        let path = format!("{name}-errors-{source}");
        blobs.push(blob(path, delta, Target::Errors { source, base }));
        Ok(())
    }
}

impl Relation {
    /// Writes operator state and counters.
    fn save(&mut self, operators: &mut StateWriter) {
        let id = self.id;
        if let Body::View { .. } = &self.body {
            operators.open_scope(&format!("{id}/{INBOX}"));
            operators.open_scope(&format!("{id}/{HELD}"));
        }
        if let Body::View { dataflow } = &mut self.body
            && self.suspended.is_none()
            && let Err(error) = dataflow.snapshot(&format!("{id}/"), operators)
        {
            self.suspend(format!("its state cannot be saved: {error}"));
        }
        if self.suspended.is_none()
            && let Err(error) = write_inbox(id, &self.inbox, operators)
        {
            self.suspend(format!("its state cannot be saved: {error}"));
        }
        if self.suspended.is_none()
            && let Err(error) = write_held(&format!("{id}/"), &self.held, operators)
        {
            self.suspend(format!("its state cannot be saved: {error}"));
        }
        let ledger = self.ledger();
        if self.suspended.is_none() && !ledger.balances() {
            self.suspend(format!(
                "its ledger does not balance: of {} rows {} were used, {} filtered, {} late",
                ledger.rows_in, ledger.used, ledger.filtered, ledger.late
            ));
        }
        self.saved.ledger = [ledger.rows_in, ledger.used, ledger.filtered, ledger.late];
        self.saved.watermark = self.watermark.map(rtsap_stream::time::EventTime::nanos);
        self.saved.suspended.clone_from(&self.suspended);
        if let Body::Table { latest, .. } = &self.body {
            self.saved.latest = *latest;
        }
    }

    /// Writes what changed in its rows, for recovery and for sinks.
    fn save_rows(
        &mut self,
        name: &str,
        begun: &[u64],
        unbegun: &[u64],
        blobs: &mut Vec<Blob>,
    ) -> Result<(), ServeError> {
        let relation = self.id.0;
        let delta = self.served.take_delta()?;
        if !delta.is_empty() {
            let rows = self.saved.delta_rows + delta.rows() as u64;
            let worth = (self.served.rows() as u64 * DELTA_ROWS_FACTOR).max(DELTA_ROWS_MIN);
            let base = self.saved.rows.len() >= DELTAS_MAX || rows > worth;
            self.saved.delta_rows = if base {
                self.served.rows() as u64
            } else {
                rows
            };
            if base {
                let target = Target::Rows {
                    relation,
                    base: true,
                    kept: true,
                    sinks: Vec::new(),
                };
                let all = self.served.everything()?;
                blobs.push(blob(format!("{name}-base-{relation}"), all, target));
            }
            if !base || !begun.is_empty() {
                let sinks = begun.to_vec();
                let target = Target::Rows {
                    relation,
                    base: false,
                    kept: !base,
                    sinks,
                };
                blobs.push(blob(format!("{name}-rows-{relation}"), delta, target));
            }
        }
        let all = if unbegun.is_empty() {
            Delta::default()
        } else {
            self.served.everything()?
        };
        if !all.is_empty() {
            let sinks = unbegun.to_vec();
            let target = Target::Rows {
                relation,
                base: false,
                kept: false,
                sinks,
            };
            blobs.push(blob(format!("{name}-start-{relation}"), all, target));
        }
        if let Some(late) = &mut self.late {
            let delta = late.take_delta()?;
            if !delta.is_empty() {
                let base = self.saved.late.len() >= DELTAS_MAX;
                let delta = if base { late.everything()? } else { delta };
                let target = Target::Late { relation, base };
                blobs.push(blob(format!("{name}-late-{relation}"), delta, target));
            }
        }
        Ok(())
    }
}
