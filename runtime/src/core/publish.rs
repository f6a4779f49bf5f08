//! Publishing: one pass over all relations in order of creation, which is an order of dependence,
//! then one new cut.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use rtsap_plan::operator::ObjectId;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::failpoint;
use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use super::Core;
use super::pace::{Occasion, Showing, conflated};
use super::relation::{Arrival, Body, Relation};
use crate::dataflow::Dataflow;
use crate::dataflow::guard::guarded;
use crate::error::RuntimeError;
use crate::operator::OperatorError;
use crate::serve::{Cut, Part, ServeError};
use crate::subscribe::SubscriptionEvent;

/// What publishing one relation brought.
#[derive(Default)]
pub(super) struct Published {
    /// Whether rows of the relation changed.
    pub changed: bool,
    /// How they did, if anybody follows them.
    pub net: Vec<ChangeBatch>,
    pub late: Vec<ChangeBatch>,
    pub watermark: Option<EventTime>,
    /// What those who read it must know of its event time.
    pub promise: Option<Watermark>,
}

impl Core {
    /// Makes everything fed so far visible in one cut, but for views that wait for their turn.
    pub(super) fn publish(&mut self) {
        self.publish_at(Occasion::Step);
    }

    /// As [`Core::publish`], for a reason.
    pub(super) fn publish_at(&mut self, occasion: Occasion) {
        let started = self.config.clock.elapsed();
        self.last_publish = started;
        // Nothing came; but what waits for its turn is shown by a flush and saved by a checkpoint.
        let waiting = occasion != Occasion::Step && self.turn_next.is_some();
        if !self.touched && !waiting {
            return;
        }
        failpoint::pass("core.publish_begun");
        self.touched = false;
        self.turn_next = None;
        self.publishes += 1;
        let at_us = self.config.clock.wall().micros();
        let ids: Vec<ObjectId> = self.relations.keys().copied().collect();
        for id in ids {
            let Some(relation) = self.relations.get_mut(&id) else {
                continue;
            };
            if !relation.touched {
                continue;
            }
            let showing = relation.showing(started, occasion);
            // What is not shown waits for its turn.
            relation.touched = matches!(showing, Showing::Nothing | Showing::Held);
            if relation.touched {
                self.turn_next = self.turn_next.into_iter().chain(relation.turn()).min();
            } else if showing == Showing::All {
                relation.shown_at = Some(started);
            }
            let began = self.config.clock.elapsed();
            let published = relation.publish(self.config.side_rows_max, showing);
            relation.work.busy += self.config.clock.elapsed().saturating_sub(began);
            relation.tell_subscribers(at_us, &published);
            self.changed_since_checkpoint |= published.changed || !published.late.is_empty();
            self.pass_on(id, published);
        }
        self.make_cut(at_us);
        failpoint::pass("core.published");
        let took = self.config.clock.elapsed().saturating_sub(started);
        metrics::histogram!(crate::metrics::PUBLISH_SECONDS).record(took.as_secs_f64());
    }

    /// Puts what one relation published into the inboxes of those that read it. They come later in
    /// the same pass.
    pub(super) fn pass_on(&mut self, from: ObjectId, published: Published) {
        let Some(relation) = self.relations.get(&from) else {
            return;
        };
        for consumer in relation.consumers.clone() {
            let Some(consumer) = self.relations.get_mut(&consumer) else {
                continue;
            };
            if consumer.suspended.is_some() {
                continue;
            }
            for changes in &published.net {
                consumer
                    .inbox
                    .push((from, Arrival::Changes(changes.clone())));
                consumer.touched = true;
            }
            if let Some(promise) = published.promise {
                consumer.inbox.push((from, Arrival::Watermark(promise)));
                consumer.touched = true;
            }
        }
    }

    fn make_cut(&mut self, at_us: i64) {
        let mut tables = HashMap::new();
        for (id, relation) in &self.relations {
            for (part, snapshot) in &relation.snapshots {
                tables.insert((*id, *part), Arc::clone(snapshot));
            }
        }
        for (id, source) in &mut self.sources {
            if source.touched || source.snapshot.is_none() {
                source.touched = false;
                source.errors.trim(self.config.side_rows_max);
                source.snapshot = Some(source.errors.snapshot(None));
            }
            if let Some(snapshot) = &source.snapshot {
                tables.insert((*id, Part::Errors), Arc::clone(snapshot));
            }
        }
        let cut = Cut {
            publish: self.publishes,
            at_us,
            tables,
        };
        self.shared.fresh.store(Arc::new(cut));
    }

    /// Tells those who follow `<source>$errors`.
    pub(super) fn tell_error_subscribers(&mut self, source: ObjectId, changes: ChangeBatch) {
        let at_us = self.config.clock.wall().micros();
        if let Some(entry) = self.sources.get_mut(&source) {
            let event = event(at_us, None, Some(changes));
            entry
                .subscribers
                .retain(|subscriber| subscriber.send(event.clone()));
        }
    }

    /// Answers those flushes for which nothing is left to wait for.
    pub(super) fn answer_flushes(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        let pending = self.intakes.iter().any(|intake| {
            use super::intake::Phase;
            let alive = !matches!(intake.phase, Phase::Failed { .. } | Phase::Paused);
            let bounded = intake.spec.source.is_bounded();
            alive && ((bounded && !intake.ended()) || !intake.shared || intake.has_work())
        });
        if pending || self.touched {
            return;
        }
        self.report();
        for answer in std::mem::take(&mut self.flushes) {
            let _ = answer.send(Ok(()));
        }
    }
}

/// An event for subscribers.
pub(super) fn event(
    at_us: i64,
    watermark: Option<EventTime>,
    changes: Option<ChangeBatch>,
) -> SubscriptionEvent {
    SubscriptionEvent {
        at_us,
        watermark,
        changes,
        snapshot: false,
    }
}

impl Relation {
    fn publish(&mut self, side_rows_max: usize, showing: Showing) -> Published {
        let mut published = Published::default();
        if self.suspended.is_none()
            && showing != Showing::Still
            && let Err(error) = self.compute(showing, &mut published)
        {
            self.suspend(error.to_string());
            published = Published::default();
        }
        let snapshot = self.served.snapshot(self.watermark);
        self.snapshots.insert(Part::Rows, snapshot);
        if let Some(late) = &mut self.late {
            late.trim(side_rows_max);
            self.snapshots
                .insert(Part::Late, late.snapshot(self.watermark));
        }
        published
    }

    fn compute(&mut self, showing: Showing, published: &mut Published) -> Result<(), RuntimeError> {
        let before = self.watermark;
        let inbox = std::mem::take(&mut self.inbox);
        let (changes, late) = match &mut self.body {
            Body::Table { event_time, latest } => {
                let arrivals = inbox.into_iter().filter_map(|(_, arrival)| match arrival {
                    Arrival::Changes(changes) => Some(changes),
                    Arrival::Watermark(_) => None,
                });
                let has_versions = event_time.is_some();
                if let (Some(time), Some(latest)) = (event_time, latest) {
                    let promise = EventTime::from_nanos(*latest).minus_nanos(time.delay_nanos);
                    self.watermark = Some(promise);
                }
                let mut changes = Vec::new();
                for arrival in arrivals {
                    // With event time each row is a version that somebody may ask for.
                    if has_versions {
                        changes.extend(self.served.versions(arrival)?);
                    } else {
                        changes.push(arrival);
                    }
                }
                (changes, Vec::new())
            }
            Body::View { dataflow } => {
                guarded(|| take_in(dataflow, inbox))?;
                if showing == Showing::Nothing {
                    return Ok(());
                }
                guarded(|| dataflow.publish())?;
                let mut results = dataflow.take_results();
                if showing == Showing::Held {
                    self.held.append(&mut results.changes);
                } else {
                    self.watermark = dataflow.watermark().or(self.watermark);
                }
                let mut changes = match showing {
                    Showing::All => std::mem::take(&mut self.held),
                    _ => Vec::new(),
                };
                changes.append(&mut results.changes);
                (changes, results.late)
            }
        };
        let followed = !self.consumers.is_empty()
            || self.subscribers.iter().any(|(part, _)| *part == Part::Rows);
        for changes in changes {
            published.changed |= !changes.is_empty();
            if followed {
                published.net.extend(self.served.apply(&changes)?);
            } else {
                self.served.keep(&changes)?;
            }
        }
        if self.pace.every.is_some() {
            published.net = conflated(std::mem::take(&mut published.net))?;
        }
        self.keep_late(late, published)?;
        published.watermark = self
            .watermark
            .filter(|time| before.is_none_or(|b| b < *time));
        published.promise = self.promise(published.watermark);
        Ok(())
    }

    /// What those who read this relation must know, if its event time has `moved` or it has become
    /// quiet or awake.
    fn promise(&mut self, moved: Option<EventTime>) -> Option<Watermark> {
        let idle = match &self.body {
            Body::Table { .. } => false,
            Body::View { dataflow } => dataflow.is_idle(),
        };
        match (std::mem::replace(&mut self.idle, idle), idle) {
            (false, true) => Some(Watermark::Idle),
            (true, true) => None,
            (true, false) => self.watermark.map(Watermark::At),
            (false, false) => moved.map(Watermark::At),
        }
    }

    fn keep_late(
        &mut self,
        late: Vec<RecordBatch>,
        published: &mut Published,
    ) -> Result<(), ServeError> {
        let Some(table) = &mut self.late else {
            return Ok(());
        };
        for rows in late.into_iter().filter(|rows| rows.num_rows() > 0) {
            metrics::counter!(crate::metrics::LATE_ROWS, "view" => self.name.clone())
                .increment(rows.num_rows() as u64);
            let changes = ChangeBatch::inserts(rows);
            table.keep(&changes)?;
            published.late.push(changes);
        }
        Ok(())
    }

    pub(super) fn tell_subscribers(&mut self, at_us: i64, published: &Published) {
        let watermark = self.watermark;
        let moved = published.watermark.is_some();
        self.subscribers.retain(|(part, subscriber)| {
            let changes = match part {
                Part::Rows => &published.net,
                Part::Late | Part::Errors => &published.late,
            };
            if changes.is_empty() {
                // Progress: event time moved on without a change.
                return !moved || subscriber.send(event(at_us, watermark, None));
            }
            changes
                .iter()
                .all(|c| subscriber.send(event(at_us, watermark, Some(c.clone()))))
        });
    }
}

/// What has come from upstream relations, in order.
fn take_in(dataflow: &mut Dataflow, inbox: Vec<(ObjectId, Arrival)>) -> Result<(), OperatorError> {
    for (from, arrival) in inbox {
        match arrival {
            Arrival::Changes(changes) => dataflow.feed(from, &changes, &Some)?,
            Arrival::Watermark(watermark) => dataflow.advance(from, watermark)?,
        }
    }
    Ok(())
}
