//! Another query for a view that stands: its new version is built beside the old one, hidden, and
//! takes its place between two steps.
//!
//! The new version reads its sources from their beginnings through readers of its own until these
//! meet the shared ones (ADR 0007). From then on both versions stand at the same offsets after each
//! step, so the one can give way to the other after any of them; a checkpoint that knows both is
//! made before the catalog says so, and a start that finds the catalog further than the checkpoint
//! does the same with what the checkpoint knows.
//!
//! What is final stays as the old version has it: rows of a view that only appends, and windows
//! that event time has passed. What is open, and all that comes, is the new version's. So whoever
//! follows the view, a reader, a subscriber, a sink or another view, gets each window once: see
//! `succession`.

use std::time::Duration;

use rtsap_plan::graph::StreamPlan;
use rtsap_plan::operator::ObjectId;
use rtsap_plan::properties::StateBound;
use rtsap_stream::failpoint;
use rtsap_stream::time::EventTime;

use super::intake::{Intake, Phase};
use super::pace::{Occasion, read_held};
use super::publish::Published;
use super::relation::{Body, Relation, Saved, shape_of};
use super::{Answer, Core};
use crate::checkpoint::manifest::RelationState;
use crate::error::RuntimeError;
use crate::serve::delta::Delta;
use crate::serve::table::{ServedTable, Shape};
use crate::spec::{StartFrom, ViewSpec};

mod succession;

pub(super) use succession::windows;
use succession::{difference, stopped_first};

/// Numbers of hidden versions begin here: above those of the catalog, so that they come after what
/// they read, and below those of subscriptions' queries.
const HIDDEN: u64 = 1 << 61;

/// Two versions at the same offsets whose event times differ for so long will always differ: a
/// promise that was on its way when they met has arrived by then.
const UNEQUAL_MAX: Duration = Duration::from_secs(10);

/// The identity of a view's new version while it is built.
pub(crate) fn hidden(view: ObjectId) -> ObjectId {
    ObjectId(HIDDEN | view.0)
}

/// A new version under construction.
pub(super) struct Rebuild {
    /// Who waits for it to draw level; nobody once it has.
    answer: Option<Answer<()>>,
    /// How long, in event time, it remembers rows; none if that has no end.
    memory: Option<i64>,
    /// No row that it lacks, though the old version had it, has a later event time than this. None
    /// if it lacks none.
    lacks: Option<EventTime>,
    /// Since when both stand at the same offsets and not at the same event time.
    unequal_since: Option<Duration>,
}

/// What is asked of the new version of a view.
pub(crate) enum Step {
    /// Build it beside the view; the answer comes when it has drawn level.
    Build(ViewSpec, Answer<()>),
    /// Let it take the view's place.
    CutOver(ObjectId, Answer<()>),
    /// Give it up.
    Abandon(ObjectId, Answer<()>),
}

/// How far a new version is.
enum Stand {
    Behind,
    Level,
    Unequal,
}

impl Core {
    /// Does what is asked of a new version.
    pub(super) fn alter(&mut self, step: Step) {
        match step {
            Step::Build(spec, answer) => self.rebuild(spec, answer),
            Step::CutOver(view, answer) => self.cut_overs.push((view, answer)),
            Step::Abandon(view, answer) => {
                self.abandon(view);
                // A session that has gone away does not want its answer.
                let _ = answer.send(Ok(()));
            }
        }
    }

    /// Begins to build a new version of view `spec.id`. `answer` comes when it has drawn level.
    fn rebuild(&mut self, spec: ViewSpec, answer: Answer<()>) {
        match self.begin_rebuild(spec.clone()) {
            Ok(Some(mut rebuild)) => {
                rebuild.answer = Some(answer);
                self.rebuilds.insert(spec.id, rebuild);
                failpoint::pass("core.rebuild_begun");
            }
            Ok(None) => self.rebuilds_due.push((spec, answer)),
            Err(error) => {
                // A session that has gone away does not want its answer.
                let _ = answer.send(Err(error));
            }
        }
    }

    /// Begins it, if the view has caught up with its sources.
    fn begin_rebuild(&mut self, mut spec: ViewSpec) -> Result<Option<Rebuild>, RuntimeError> {
        let view = spec.id;
        let refused = |reason: &str| RuntimeError::Altering {
            view: spec.name.clone(),
            reason: reason.to_owned(),
        };
        let relation = self.relations.get(&view);
        let Some((relation, Body::View { dataflow })) = relation.map(|r| (r, &r.body)) else {
            return Err(RuntimeError::NotA {
                id: view.0,
                wanted: "view",
            });
        };
        if self.rebuilds.contains_key(&view) {
            return Err(refused("it is being altered already"));
        }
        if let Some(reason) = &relation.suspended {
            return Err(refused(&format!("it is suspended: {reason}")));
        }
        if relation.saved.paused {
            return Err(refused("it is paused"));
        }
        let silences = relation.pace.timeout.is_some() || spec.pace.timeout.is_some();
        if silences && matches!(relation.served.shape(), Shape::Append) {
            return Err(refused(
                "its windows also close when no rows come, so that nobody can say which are final",
            ));
        }
        for input in dataflow.inputs() {
            let mut fed = self.intakes.iter();
            let shared = fed.find(|i| i.spec.id == input.object && i.views.contains(&view));
            let is_source = self.sources.contains_key(&input.object);
            if let Some(reason) = shared.and_then(failure) {
                return Err(refused(&reason));
            }
            if is_source && !shared.is_some_and(|i| i.shared && !i.splits.is_empty()) {
                return Ok(None);
            }
        }
        let reads = |id: &ObjectId| dataflow.inputs().iter().any(|input| input.object == *id);
        let leaves = inputs(&spec.plan);
        let is_new = |id: &&ObjectId| self.sources.contains_key(id) && !reads(id);
        if let Some(id) = leaves.iter().find(is_new) {
            let name = self.sources.get(id).map_or("", |s| s.spec.name.as_str());
            return Err(refused(&format!(
                "the new query reads source \"{name}\", which the old one does not"
            )));
        }
        // Rows that an upstream view no longer serves are not there for a new reader.
        let upstream = leaves.iter().filter_map(|id| self.relations.get(id));
        let expired = upstream.filter(|upstream| upstream.retention.is_some());
        let rebuild = Rebuild {
            answer: None,
            memory: memory(&spec.plan),
            lacks: expired.filter_map(|upstream| upstream.watermark).max(),
            unequal_since: None,
        };
        spec.id = hidden(view);
        spec.name = format!("{} (new version)", spec.name);
        spec.start_from = StartFrom::Beginning;
        if let Err(error) = self.add_view(spec, None) {
            self.drop_objects(&[hidden(view)]);
            return Err(error);
        }
        Ok(Some(rebuild))
    }

    /// A reader of `source` for `views` begins behind the beginning of its stream. What lies before
    /// has been read by the old versions: they stand further.
    pub(super) fn beginning_is_gone(&mut self, source: ObjectId, views: &[ObjectId]) {
        for (view, rebuild) in &mut self.rebuilds {
            if !views.contains(&hidden(*view)) {
                continue;
            }
            let feeds = |i: &&Intake| i.spec.id == source && i.views.contains(view);
            let splits = self
                .intakes
                .iter()
                .filter(feeds)
                .flat_map(|i| i.splits.values());
            let latest = splits.filter_map(|split| split.latest).max();
            // Without event time no row is ever forgotten for it.
            let latest = latest.map_or(EventTime::MIN, EventTime::from_nanos);
            rebuild.lacks = rebuild.lacks.max(Some(latest));
        }
    }

    /// Tells those who wait which of the new versions have drawn level or never will. Right after a
    /// publish.
    pub(super) fn watch_rebuilds(&mut self) {
        for (spec, answer) in std::mem::take(&mut self.rebuilds_due) {
            if !answer.is_closed() {
                self.rebuild(spec, answer);
            }
        }
        let views: Vec<ObjectId> = self.rebuilds.keys().copied().collect();
        let now = self.config.clock.elapsed();
        for view in views {
            let stand = self.stand(view);
            let Some(rebuild) = self.rebuilds.get_mut(&view) else {
                continue;
            };
            let Some(answer) = rebuild.answer.take() else {
                continue;
            };
            let problem = match stand {
                // Nobody waits any more.
                _ if answer.is_closed() => Some(String::new()),
                Err(reason) => Some(reason),
                Ok(Stand::Level) => {
                    tracing::info!(%view, "the new version has drawn level");
                    if answer.send(Ok(())).is_err() {
                        self.abandon(view);
                    }
                    continue;
                }
                Ok(Stand::Behind) => {
                    rebuild.unequal_since = None;
                    None
                }
                Ok(Stand::Unequal) => {
                    let since = *rebuild.unequal_since.get_or_insert(now);
                    (now.saturating_sub(since) > UNEQUAL_MAX).then(|| {
                        "event time of the new query runs otherwise than that of the old one, so \
                         that some windows would be missing or come twice"
                            .to_owned()
                    })
                }
            };
            let Some(reason) = problem else {
                rebuild.answer = Some(answer);
                continue;
            };
            let name = self.relations.get(&view).map(|r| r.name.clone());
            self.abandon(view);
            let view = name.unwrap_or_default();
            let _ = answer.send(Err(RuntimeError::Altering { view, reason }));
        }
    }

    /// How far the new version of `view` is, or why it will never be there.
    fn stand(&self, view: ObjectId) -> Result<Stand, String> {
        let own = hidden(view);
        let versions = (self.relations.get(&view), self.relations.get(&own));
        let (Some(old), Some(new), Some(rebuild)) =
            (versions.0, versions.1, self.rebuilds.get(&view))
        else {
            return Err("it was dropped".to_owned());
        };
        if let Some(reason) = &new.suspended {
            return Err(format!("the new query cannot be computed: {reason}"));
        }
        if let Some(reason) = &old.suspended {
            return Err(format!("it was suspended: {reason}"));
        }
        let is_there =
            |id: &ObjectId| self.sources.contains_key(id) || self.relations.contains_key(id);
        if !new.inputs().iter().all(is_there) {
            return Err("what the new query reads was dropped".to_owned());
        }
        let mut readers = self.intakes.iter().filter(|i| i.views.contains(&own));
        if let Some(reason) = readers.clone().find_map(failure) {
            return Err(reason);
        }
        if !readers.all(|intake| intake.shared && intake.views.contains(&view)) {
            return Ok(Stand::Behind);
        }
        let quiet = |r: &Relation| !r.touched && r.inbox.is_empty() && r.held.is_empty();
        if !quiet(old) || !quiet(new) {
            return Ok(Stand::Behind);
        }
        if let Some(lacks) = rebuild.lacks
            && !has_forgotten(rebuild.memory, lacks, old, new)?
        {
            return Ok(Stand::Behind);
        }
        // What has been appended is final; it must be the same windows on both sides.
        let appends = matches!(old.served.shape(), Shape::Append);
        Ok(match appends && old.watermark != new.watermark {
            true => Stand::Unequal,
            false => Stand::Level,
        })
    }

    /// Gives a new version up.
    pub(super) fn abandon(&mut self, view: ObjectId) {
        self.rebuilds_due.retain(|(spec, _)| spec.id != view);
        let Some(rebuild) = self.rebuilds.remove(&view) else {
            return;
        };
        self.drop_objects(&[hidden(view)]);
        if let (Some(answer), Some(relation)) = (rebuild.answer, self.relations.get(&view)) {
            let (view, reason) = (relation.name.clone(), "it is being dropped".to_owned());
            // A session that has gone away does not want its answer.
            let _ = answer.send(Err(RuntimeError::Altering { view, reason }));
        }
    }

    /// Lets new versions take the places of old ones. A checkpoint in flight speaks of the old one,
    /// so it comes first.
    pub(super) fn cut_over_due(&mut self) {
        if self.in_flight.is_some() {
            return;
        }
        for (view, answer) in std::mem::take(&mut self.cut_overs) {
            let done = self.cut_over(view);
            // A session that has gone away does not want its answer.
            let _ = answer.send(done);
        }
    }

    fn cut_over(&mut self, view: ObjectId) -> Result<(), RuntimeError> {
        // What the old version holds back is its own to show.
        self.publish_at(Occasion::Flush);
        self.rebuilds.remove(&view);
        let (Some(new), Some(old)) = (
            self.relations.remove(&hidden(view)),
            self.relations.get_mut(&view),
        ) else {
            return Err(RuntimeError::NotA {
                id: view.0,
                wanted: "view with a new version",
            });
        };
        let at_us = self.config.clock.wall().micros();
        let published = match old.give_way(new) {
            Ok(published) => published,
            Err(error) => {
                old.suspend(format!("its new version could not take its place: {error}"));
                Published::default()
            }
        };
        old.tell_subscribers(at_us, &published);
        let name = old.name.clone();
        let reads = old.inputs();
        for relation in self.relations.values_mut() {
            let consumers = &mut relation.consumers;
            consumers.retain(|id| *id != hidden(view) && *id != view);
            if reads.contains(&relation.id) {
                consumers.push(view);
            }
        }
        for intake in &mut self.intakes {
            let goes_on = reads.contains(&intake.spec.id);
            let views = &mut intake.views;
            views.retain(|id| *id != hidden(view) && (*id != view || goes_on));
        }
        self.intakes.retain(|intake| !intake.views.is_empty());
        self.pass_on(view, published);
        self.touched = true;
        self.changed_since_checkpoint = true;
        self.publish();
        tracing::info!(view = name, "the new version has taken over");
        failpoint::pass("core.cut_over");
        Ok(())
    }

    /// Adds a view whose new version the catalog knows, and the last checkpoint as a hidden one
    /// beside the old one.
    pub(crate) fn add_succeeded_view(
        &mut self,
        spec: ViewSpec,
        [old, new]: [Saved; 2],
    ) -> Result<(), RuntimeError> {
        let (view, name) = (spec.id, spec.name.clone());
        let fail = |found: String| RuntimeError::Spec {
            what: name.clone(),
            found,
        };
        let output = spec.plan.output().map_err(|e| fail(e.to_string()))?.clone();
        let restore = |source| RuntimeError::Restore {
            what: name.clone(),
            source,
        };
        let shape = shape_of(output.mode, &output.key);
        let mut rows = ServedTable::new(output.schema, shape)?;
        for delta in &old.rows {
            rows.restore(&Delta::read(delta, rows.schema()).map_err(restore)?)?;
        }
        // What those who read the view were not told yet.
        let mut net = Vec::new();
        for changes in read_held(&old.operators).map_err(restore)? {
            net.extend(rows.apply(&changes)?);
        }
        let state = RelationState {
            id: view.0,
            ..new.state.clone()
        };
        self.add_view(spec, Some(Saved { state, ..new }))?;
        let Some(relation) = self.relations.get_mut(&view) else {
            return Ok(());
        };
        let mut built = std::mem::replace(&mut relation.served, rows);
        for changes in std::mem::take(&mut relation.held) {
            built.keep(&changes)?;
        }
        let before = old.state.watermark.map(EventTime::from_nanos);
        let line = before.min(relation.watermark);
        let changes = difference(&relation.served, &built, relation.windows, line)?;
        for changes in changes {
            net.extend(relation.served.apply(&changes)?);
        }
        relation.saved.rows = old.state.rows;
        relation.saved.delta_rows = old.state.delta_rows;
        relation.watermark = before.max(relation.watermark);
        if let Some(reason) = old.state.suspended {
            relation.suspend(stopped_first(&reason));
        }
        self.owed.push((view, net));
        tracing::info!(
            view = name,
            "the new version has taken over, found at the start"
        );
        failpoint::pass("boot.cut_over");
        Ok(())
    }
}

impl Core {
    /// Tells those who read views that were succeeded at the start what that changed: they are
    /// there by now.
    pub(super) fn pay_owed(&mut self) {
        for (view, net) in std::mem::take(&mut self.owed) {
            let published = Published {
                net,
                ..Published::default()
            };
            self.pass_on(view, published);
        }
    }
}

/// Why a reader will read no further.
fn failure(intake: &Intake) -> Option<String> {
    match &intake.phase {
        Phase::Failed { reason } => Some(reason.clone()),
        _ => None,
    }
}

/// The objects that a plan reads.
fn inputs(plan: &StreamPlan) -> Vec<ObjectId> {
    use rtsap_plan::operator::OperatorSpec::Input;
    let leaves = plan.nodes.iter().filter_map(|node| match &node.spec {
        Input { object, .. } => Some(*object),
        _ => None,
    });
    leaves.collect()
}

/// How long in event time a row can matter to a view, in nanoseconds; none if for ever.
fn memory(plan: &StreamPlan) -> Option<i64> {
    let mut memory = 0_i64;
    for node in &plan.nodes {
        memory = match node.properties.state {
            StateBound::None => memory,
            StateBound::EventTime { retention_nanos } => memory.saturating_add(retention_nanos),
            _ => return None,
        };
    }
    Some(memory)
}

/// Whether rows up to `lacks`, which the new version may lack, matter to neither version any more:
/// event time is past all that they belong to.
fn has_forgotten(
    memory: Option<i64>,
    lacks: EventTime,
    old: &Relation,
    new: &Relation,
) -> Result<bool, String> {
    let Some(memory) = memory else {
        return Err(
            "the beginning of what it reads is gone, and the new query needs all of it".to_owned(),
        );
    };
    if memory == 0 {
        return Ok(true);
    }
    let free = EventTime::from_nanos(lacks.nanos().saturating_add(memory));
    let reached = old.watermark.min(new.watermark);
    Ok(reached.is_some_and(|time| time > free))
}
