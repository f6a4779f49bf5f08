//! What the core says of itself, and the memory limit that it enforces.

use super::Core;
use super::intake::{Intake, Phase};
use super::relation::{Body, Relation};
use crate::status::{Health, RuntimeStatus, SinkStatus, SourceStatus, SplitStatus, ViewStatus};
use rtsap_stream::message::Epoch;
use rtsap_stream::time::EventTime;

impl Core {
    /// Publishes the status, and the gauges that follow from it.
    pub(super) fn report(&mut self) {
        let mut status = RuntimeStatus {
            checkpoint: self.checkpoint.clone(),
            publishes: self.publishes,
            ..RuntimeStatus::default()
        };
        for (id, source) in &self.sources {
            let shared = self
                .intakes
                .iter()
                .find(|intake| intake.shared && intake.spec.id == *id);
            status.sources.push(SourceStatus {
                id: *id,
                health: shared.map_or(Health::Waiting, health),
                rows: source.saved.rows,
                errors: source.saved.error_count,
                positions: shared.map(Intake::positions).unwrap_or_default(),
                watermark: shared.and_then(|intake| intake.watermark),
                waits_for_group: shared.is_some_and(Intake::is_held),
                splits: shared.map(splits).unwrap_or_default(),
            });
        }
        let now = self.config.clock.elapsed();
        for relation in self.relations.values_mut() {
            relation.weigh(now);
        }
        for relation in self.relations.values() {
            status.views.push(self.view_status(relation));
        }
        for sink in self.sinks.values() {
            #[expect(
                clippy::cast_precision_loss,
                reason = "a gauge of epochs needs no more"
            )]
            metrics::gauge!(crate::metrics::SINK_PENDING, "sink" => sink.name.clone())
                .set(sink.state.outbox.len() as f64);
            status.sinks.push(SinkStatus {
                id: rtsap_plan::operator::ObjectId(sink.state.id),
                health: sink.health.clone(),
                target: sink.target.clone(),
                applied: Epoch::new(sink.state.applied),
                pending: sink.state.outbox.len() as u64,
                failed_epoch: sink.failure.as_ref().and_then(|failure| failure.epoch),
                failed_row: sink.failure.as_ref().and_then(|f| f.row.clone()),
            });
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge of an epoch needs no more"
        )]
        metrics::gauge!(crate::metrics::CHECKPOINT_EPOCH).set(self.checkpoint.epoch as f64);
        *self.shared.status.lock() = status;
    }

    fn view_status(&self, relation: &Relation) -> ViewStatus {
        let operators = match &relation.body {
            Body::View { dataflow } => dataflow.operators(),
            Body::Table { .. } => Vec::new(),
        };
        let state_bytes: u64 = operators.iter().map(|operator| operator.state_bytes).sum();
        let served_bytes = relation.served.bytes() as u64;
        let ledger = relation.ledger();
        #[expect(clippy::cast_precision_loss, reason = "a gauge of bytes needs no more")]
        metrics::gauge!(crate::metrics::STATE_BYTES, "view" => relation.name.clone())
            .set((state_bytes + served_bytes) as f64);
        metrics::counter!(crate::metrics::ROWS_IN, "view" => relation.name.clone())
            .absolute(ledger.rows_in);
        ViewStatus {
            id: relation.id,
            health: self.view_health(relation),
            ledger,
            rows: relation.served.rows() as u64,
            watermark: relation.watermark,
            state_bytes,
            served_bytes,
            operators,
            load: relation.work.load,
            inbox: relation.inbox.len() as u64,
        }
    }

    fn view_health(&self, relation: &Relation) -> Health {
        if let Some(reason) = &relation.suspended {
            return Health::Suspended {
                reason: reason.clone(),
            };
        }
        if relation.saved.paused {
            return Health::Paused;
        }
        let fed = self
            .intakes
            .iter()
            .filter(|intake| intake.views.contains(&relation.id));
        let mut finished = 0;
        let mut count = 0;
        for intake in fed {
            count += 1;
            match health(intake) {
                Health::Running if !intake.shared => return Health::Backfilling,
                Health::Running => {}
                Health::Finished => finished += 1,
                other => return other,
            }
        }
        if count > 0 && finished == count {
            Health::Finished
        } else {
            Health::Running
        }
    }

    /// Suspends views that hold more than they may: one view must not take the process down.
    pub(super) fn limit_memory(&mut self) {
        for relation in self
            .relations
            .values_mut()
            .filter(|r| r.suspended.is_none())
        {
            if relation.saved.paused {
                relation.limit_inbox();
            }
            let limit = relation.bytes_max.unwrap_or(self.config.view_bytes_max);
            let bytes = relation.state_bytes() + relation.served.bytes();
            if bytes > limit {
                relation.suspend(format!(
                    "it holds {bytes} bytes, more than the {limit} allowed"
                ));
                self.touched = true;
                self.changed_since_checkpoint = true;
            }
        }
    }
}

/// How far the splits of a reader are.
fn splits(intake: &Intake) -> Vec<SplitStatus> {
    let delay = intake.spec.event_time.map_or(0, |time| time.delay_nanos);
    let splits = intake.splits.iter().map(|(id, split)| SplitStatus {
        id: id.as_str().to_owned(),
        watermark: split
            .latest
            .map(|latest| EventTime::from_nanos(latest).minus_nanos(delay)),
        idle: split.idle,
        ended: split.ended,
    });
    splits.collect()
}

fn health(intake: &Intake) -> Health {
    match &intake.phase {
        Phase::Opening => Health::Waiting,
        Phase::Paused => Health::Paused,
        Phase::Open {
            away: Some(reason), ..
        }
        | Phase::Waiting { reason, .. } => Health::Retrying {
            reason: reason.clone(),
        },
        Phase::Open { .. } if intake.ended() => Health::Finished,
        Phase::Open { .. } => Health::Running,
        Phase::Failed { reason } => Health::Suspended {
            reason: reason.clone(),
        },
    }
}
