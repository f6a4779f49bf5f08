//! Objects come and go: between two steps, so every other dataflow sees either all of it or
//! nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use rtsap_plan::operator::ObjectId;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::failpoint;
use rtsap_stream::message::Watermark;
use rtsap_stream::source::{Offset, SplitId};
use rtsap_stream::time::EventTime;

use super::Core;
use super::intake::{Intake, Phase, Split};
use super::pace::read_held;
use super::pause::read_inbox;
use super::rebuild;
use super::relation::{Arrival, Body, Heard, Relation, Saved, Work, shape_of};
use super::source::{SourceEntry, errors_schema};
use crate::checkpoint::manifest::{ReaderState, RelationState, SourceState};
use crate::checkpoint::table_log::LogEntry;
use crate::dataflow::Dataflow;
use crate::dataflow::wiring::looked_up;
use crate::error::RuntimeError;
use crate::reader;
use crate::serve::Part;
use crate::serve::delta::Delta;
use crate::serve::table::{ServedTable, Shape};
use crate::spec::{Pace, SourceSpec, StartFrom, TableSpec, ViewSpec};
use crate::state::StateReader;
use crate::status::Ledger;
use crate::subscribe::{Subscription, SubscriptionEvent, pair};

impl Core {
    pub(crate) fn add_source(
        &mut self,
        spec: SourceSpec,
        saved: Option<(SourceState, Vec<StateReader>)>,
    ) {
        let spec = Arc::new(spec);
        let name = spec.name.clone();
        let mut entry = match SourceEntry::new(Arc::clone(&spec)) {
            Ok(entry) => entry,
            Err(error) => {
                tracing::error!(source = name, %error, "cannot keep errors of source");
                return;
            }
        };
        if let Some((state, errors)) = saved {
            entry.saved = state;
            for delta in errors {
                let restored = Delta::read(&delta, &errors_schema());
                if let Ok(delta) = restored
                    && let Err(error) = entry.errors.restore(&delta)
                {
                    tracing::error!(source = name, %error, "cannot restore errors of source");
                }
            }
        }
        self.sources.insert(spec.id, entry);
        self.touched = true;
        self.changed_since_checkpoint = true;
    }

    pub(crate) fn add_table(
        &mut self,
        spec: TableSpec,
        saved: Option<Saved>,
    ) -> Result<(), RuntimeError> {
        let shape = shape_of(spec.mode, &spec.key);
        let served = ServedTable::new(Arc::clone(&spec.schema), shape)?;
        let body = Body::Table {
            event_time: spec.event_time,
            latest: None,
        };
        let mut relation = Relation::new(spec.id, spec.name, body, served, None);
        if let Some(saved) = saved {
            relation.restore_rows(&saved)?;
            if let Body::Table { latest, .. } = &mut relation.body {
                *latest = saved.state.latest;
            }
            relation.saved = saved.state;
        }
        self.put(relation);
        Ok(())
    }

    pub(crate) fn add_view(
        &mut self,
        spec: ViewSpec,
        saved: Option<Saved>,
    ) -> Result<(), RuntimeError> {
        let fail = |found: String| RuntimeError::Spec {
            what: spec.name.clone(),
            found,
        };
        spec.plan.check().map_err(|error| fail(error.to_string()))?;
        let output = spec
            .plan
            .output()
            .map_err(|error| fail(error.to_string()))?
            .clone();
        let mut dataflow = Dataflow::new(&spec.plan)?;
        if self.config.check_edges {
            dataflow.check_edges(&spec.plan)?;
        }
        let mut inputs: Vec<ObjectId> =
            dataflow.inputs().iter().map(|input| input.object).collect();
        // Rows that are there already meet what is there already.
        let looked_up = looked_up(&spec.plan);
        inputs.sort_by_key(|input| !looked_up.contains(input));
        let unknown =
            |id: &&ObjectId| !self.sources.contains_key(*id) && !self.relations.contains_key(*id);
        if let Some(id) = inputs.iter().find(unknown) {
            return Err(fail(format!("it reads object {id}, which does not exist")));
        }
        let shape = shape_of(output.mode, &output.key);
        let served = ServedTable::new(Arc::clone(&output.schema), shape)?;
        let late = dataflow
            .late_schema()
            .map(|schema| ServedTable::new(Arc::clone(schema), Shape::Append));
        let body = Body::View {
            dataflow: Box::new(dataflow),
        };
        let mut relation =
            Relation::new(spec.id, spec.name.clone(), body, served, late.transpose()?);
        relation.pace = spec.pace;
        relation.retention = spec.retention;
        relation.bytes_max = spec.bytes_max;
        relation.windows = rebuild::windows(&output);
        let fresh = saved.is_none();
        let fingerprint = super::save::fingerprint(&spec.plan);
        if let Some(saved) = saved {
            relation.restore(saved, &fingerprint)?;
        }
        relation.saved.fingerprint = fingerprint;
        self.put(relation);
        let mut seen = Vec::new();
        for input in inputs {
            if seen.contains(&input) {
                continue;
            }
            seen.push(input);
            if self.relations.contains_key(&input) {
                self.follow(spec.id, input, fresh)?;
            } else if fresh {
                match &mut self.unattached {
                    Some(unattached) => unattached.push((spec.id, input, spec.start_from)),
                    None => self.attach_to_source(spec.id, input, spec.start_from),
                }
            }
        }
        failpoint::pass("core.view_added");
        Ok(())
    }

    fn put(&mut self, relation: Relation) {
        self.relations.insert(relation.id, relation);
        self.touched = true;
        self.changed_since_checkpoint = true;
    }

    /// Lets `view` read relation `upstream`: from its present rows on if the view is new.
    fn follow(
        &mut self,
        view: ObjectId,
        upstream: ObjectId,
        fresh: bool,
    ) -> Result<(), RuntimeError> {
        let Some(from) = self.relations.get_mut(&upstream) else {
            return Ok(());
        };
        from.consumers.push(view);
        let rows = if fresh {
            from.served.everything()?.upserts
        } else {
            Vec::new()
        };
        let (watermark, idle) = (from.watermark, from.idle);
        let Some(relation) = self.relations.get_mut(&view) else {
            return Ok(());
        };
        for rows in rows {
            let arrival = Arrival::Changes(ChangeBatch::inserts(rows));
            relation.inbox.push((upstream, arrival));
        }
        if let Some(time) = watermark {
            relation
                .inbox
                .push((upstream, Arrival::Watermark(Watermark::At(time))));
        }
        if idle {
            let arrival = Arrival::Watermark(Watermark::Idle);
            relation.inbox.push((upstream, arrival));
        }
        Ok(())
    }

    /// Adds a reader of the last checkpoint, where it stood; views that no longer exist are left
    /// out.
    pub(crate) fn restore_reader(&mut self, state: ReaderState) {
        let Some(source) = self.sources.get(&ObjectId(state.source)) else {
            return;
        };
        let views = state.views.iter().map(|view| ObjectId(*view));
        // A view that was altered may not read the source any more.
        let reads = |view: &ObjectId| {
            let relation = self.relations.get(view);
            relation.is_some_and(|view| view.inputs().contains(&ObjectId(state.source)))
        };
        let views: Vec<ObjectId> = views.filter(reads).collect();
        if views.is_empty() {
            return;
        }
        let spec = Arc::clone(&source.spec);
        // Of two of them one catches up with the other: each would set aside what is bad.
        let is_shared = |i: &Intake| i.shared && i.spec.id == spec.id;
        let shared = state.shared && !self.intakes.iter().any(is_shared);
        let mut intake = Intake::new(0, spec, shared, StartFrom::Beginning);
        intake.views = views;
        intake.identity = state.identity;
        for (id, split) in state.splits {
            let split = Split {
                offset: Offset(split.offset),
                latest: split.latest,
                idle: split.idle,
                ended: split.ended,
                ..Split::default()
            };
            intake.splits.insert(SplitId::new(id), split);
        }
        let paused = |view: &ObjectId| self.relations.get(view).is_some_and(|r| r.saved.paused);
        if intake.views.iter().all(paused) {
            intake.phase = Phase::Paused;
        }
        self.restore_intake(intake);
        self.promise_from(self.intakes.len() - 1);
    }

    /// Ends the boot: what was restored becomes visible, and the last checkpoint is what is
    /// committed.
    pub(crate) fn settle(&mut self) {
        for (view, source, start) in self.unattached.take().unwrap_or_default() {
            self.attach_to_source(view, source, start);
        }
        self.attach_forgotten();
        self.pay_owed();
        self.publish();
        self.limit_memory();
        self.shared.committed.store(self.shared.fresh.load_full());
        self.report();
    }

    /// Opens readers for views that the last checkpoint knows without one: it was made before their
    /// reader stood.
    fn attach_forgotten(&mut self) {
        let mut forgotten = Vec::new();
        for relation in self.relations.values().filter(|r| r.suspended.is_none()) {
            let Body::View { dataflow } = &relation.body else {
                continue;
            };
            for input in dataflow.inputs() {
                let read = |i: &Intake| i.spec.id == input.object && i.views.contains(&relation.id);
                let source = self.sources.contains_key(&input.object);
                if source && !self.intakes.iter().any(read) {
                    forgotten.push((relation.id, input.object));
                }
            }
        }
        forgotten.dedup();
        for (view, source) in forgotten {
            self.attach_to_source(view, source, StartFrom::Beginning);
        }
    }

    pub(super) fn drop_objects(&mut self, objects: &[ObjectId]) {
        for view in objects {
            self.abandon(*view);
        }
        for id in objects {
            self.sources.remove(id);
            self.relations.remove(id);
            self.sinks.remove(&id.0);
        }
        for relation in self.relations.values_mut() {
            relation
                .consumers
                .retain(|consumer| !objects.contains(consumer));
        }
        for intake in &mut self.intakes {
            intake.views.retain(|view| !objects.contains(view));
        }
        // A reader without views stops; should one come again it begins anew.
        self.intakes
            .retain(|i| !i.views.is_empty() && !objects.contains(&i.spec.id));
        self.touched = true;
        self.changed_since_checkpoint = true;
        failpoint::pass("core.objects_dropped");
    }

    /// Takes rows that are durable in the table log.
    pub(crate) fn insert(&mut self, entry: LogEntry) -> Result<(), RuntimeError> {
        if entry.number <= self.table_log {
            return Ok(());
        }
        self.table_log = entry.number;
        self.changed_since_checkpoint = true;
        let id = ObjectId(entry.table);
        let not_a_table = RuntimeError::NotA {
            id: entry.table,
            wanted: "table",
        };
        let Some(relation) = self.relations.get_mut(&id) else {
            return Err(not_a_table);
        };
        let Body::Table { event_time, latest } = &mut relation.body else {
            return Err(not_a_table);
        };
        for changes in entry.changes {
            let rows = changes.rows();
            if let Some(time) = event_time {
                let times = reader::nanos(rows.column(time.column));
                let newest = times.and_then(|times| arrow::compute::max(&times));
                *latest = (*latest).max(newest);
            }
            relation.saved.ledger[0] += rows.num_rows() as u64;
            relation.saved.ledger[1] += rows.num_rows() as u64;
            relation.inbox.push((id, Arrival::Changes(changes)));
        }
        relation.touched = true;
        self.touched = true;
        // One write, one publish: how event time moves does not depend on how writes happen to be
        // grouped.
        self.publish();
        failpoint::pass("core.rows_inserted");
        Ok(())
    }

    pub(super) fn subscribe(
        &mut self,
        object: ObjectId,
        part: Part,
        snapshot: bool,
    ) -> Result<Subscription, RuntimeError> {
        let batches_max = self.config.subscriber_batches_max;
        let at_us = self.config.clock.wall().micros();
        let missing = RuntimeError::NotA {
            id: object.0,
            wanted: "relation with that part",
        };
        if part == Part::Errors {
            let Some(source) = self.sources.get_mut(&object) else {
                return Err(missing);
            };
            let rows = if snapshot {
                source.errors.everything()?.upserts
            } else {
                Vec::new()
            };
            let initial = initial_events(rows, at_us, None);
            let (subscriber, subscription) = pair(errors_schema(), batches_max, initial);
            source.subscribers.push(subscriber);
            return Ok(subscription);
        }
        let Some(relation) = self.relations.get_mut(&object) else {
            return Err(missing);
        };
        if let Some(reason) = &relation.suspended {
            let (what, found) = (relation.name.clone(), format!("it is suspended: {reason}"));
            return Err(RuntimeError::Spec { what, found });
        }
        let Some(table) = relation.table(part) else {
            return Err(missing);
        };
        let rows = if snapshot {
            table.everything()?.upserts
        } else {
            Vec::new()
        };
        let initial = initial_events(rows, at_us, relation.watermark);
        let (subscriber, subscription) = pair(Arc::clone(table.schema()), batches_max, initial);
        relation.subscribers.push((part, subscriber));
        Ok(subscription)
    }
}

fn initial_events(
    rows: Vec<arrow::record_batch::RecordBatch>,
    at_us: i64,
    watermark: Option<EventTime>,
) -> VecDeque<SubscriptionEvent> {
    let event = |rows| {
        let changes = Some(ChangeBatch::inserts(rows));
        SubscriptionEvent {
            at_us,
            watermark,
            changes,
            snapshot: true,
        }
    };
    rows.into_iter().map(event).collect()
}

impl Relation {
    fn new(
        id: ObjectId,
        name: String,
        body: Body,
        served: ServedTable,
        late: Option<ServedTable>,
    ) -> Self {
        Self {
            id,
            name,
            body,
            served,
            late,
            inbox: Vec::new(),
            consumers: Vec::new(),
            subscribers: Vec::new(),
            watermark: None,
            idle: false,
            pace: Pace::default(),
            retention: None,
            bytes_max: None,
            windows: None,
            shown_at: None,
            held: Vec::new(),
            heard: Heard::default(),
            work: Work::default(),
            touched: true,
            suspended: None,
            saved: RelationState {
                id: id.0,
                ..RelationState::default()
            },
            snapshots: HashMap::new(),
        }
    }

    fn restore_rows(&mut self, saved: &Saved) -> Result<(), RuntimeError> {
        let fail = |source| RuntimeError::Restore {
            what: self.name.clone(),
            source,
        };
        let schema = Arc::clone(self.served.schema());
        for delta in &saved.rows {
            self.served
                .restore(&Delta::read(delta, &schema).map_err(fail)?)?;
        }
        if let Some(late) = &mut self.late {
            let schema = Arc::clone(late.schema());
            for delta in &saved.late {
                late.restore(&Delta::read(delta, &schema).map_err(fail)?)?;
            }
        }
        self.watermark = saved.state.watermark.map(EventTime::from_nanos);
        Ok(())
    }

    fn restore(&mut self, saved: Saved, fingerprint: &str) -> Result<(), RuntimeError> {
        if saved.state.fingerprint != fingerprint {
            self.suspend(
                "its saved state belongs to another plan of the same text; drop it and create it \
                 again"
                    .to_owned(),
            );
            return Ok(());
        }
        self.restore_rows(&saved)?;
        if let Body::View { dataflow } = &mut self.body {
            let [rows_in, used, filtered, late] = saved.state.ledger;
            let ledger = Ledger {
                rows_in,
                used,
                filtered,
                late,
            };
            let fail = |source| RuntimeError::Restore {
                what: self.name.clone(),
                source,
            };
            dataflow.restore_ledger(ledger);
            // A view that has stopped has no state, and needs none.
            if saved.state.suspended.is_none() {
                dataflow.restore(&saved.operators).map_err(fail)?;
                self.held = read_held(&saved.operators).map_err(fail)?;
                self.inbox = read_inbox(&saved.operators).map_err(fail)?;
            }
        }
        self.suspended.clone_from(&saved.state.suspended);
        self.saved = saved.state;
        Ok(self.expire()?)
    }
}
