//! Intakes: readers as the core sees them. Each source has a shared one; a view that starts later
//! first catches up through a private one and is handed over to the shared one when both stand at
//! the same offsets (ADR 0007).

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use rtsap_plan::operator::ObjectId;
use rtsap_stream::error::{ConnectorError, ErrorKind};
use rtsap_stream::failpoint;
use rtsap_stream::message::Watermark;
use rtsap_stream::source::{Offset, Positions, SourceReader, SplitId};
use rtsap_stream::time::EventTime;

use super::{Core, Report};
use crate::error::RuntimeError;
use crate::reader::{self, ReadBatch, ReaderHandle, ReaderSetup, decode_schema, physical_columns};
use crate::spec::{SourceSpec, StartFrom};

mod align;
mod drain;
mod idle;
mod merge;

/// How long to wait before a reader that could not be opened is tried again.
const OPEN_RETRY_WAIT: Duration = Duration::from_secs(1);

/// A reader with what it feeds.
pub(crate) struct Intake {
    pub id: u64,
    pub spec: Arc<SourceSpec>,
    pub shared: bool,
    pub views: Vec<ObjectId>,
    /// Columns of the relation it delivers, sorted.
    pub projection: Vec<usize>,
    /// Where each of those lies in a batch.
    pub column_of: HashMap<usize, usize>,
    pub splits: BTreeMap<SplitId, Split>,
    pub start_from: StartFrom,
    /// Which stream the positions belong to.
    pub identity: Option<String>,
    pub phase: Phase,
    pub attempt: u64,
    pub watermark: Option<EventTime>,
    /// It waits for slower sources of its group.
    held: bool,
    stash: BTreeMap<SplitId, VecDeque<ReadBatch>>,
    frozen_since: Option<Duration>,
    /// When rows of any split came last, in this process.
    last_heard: Option<Duration>,
}

/// How far a reader's life has come.
pub(crate) enum Phase {
    Opening,
    Open {
        reader: ReaderHandle,
        away: Option<String>,
    },
    Waiting {
        until: Duration,
        reason: String,
    },
    Failed {
        reason: String,
    },
    /// Its one view is paused.
    Paused,
}

/// One split.
#[derive(Clone, Debug, Default)]
pub(crate) struct Split {
    pub offset: Offset,
    pub latest: Option<i64>,
    pub idle: bool,
    pub ended: bool,
    pub last_rows: Duration,
    /// Not heard since all splits of the source were silent.
    pub unheard: bool,
}

/// An opened reader with the positions it was opened at.
pub(crate) struct Opened {
    pub positions: Positions,
    pub identity: Option<String>,
    pub reader: Box<dyn SourceReader>,
}

impl Intake {
    pub(crate) fn new(id: u64, spec: Arc<SourceSpec>, shared: bool, start: StartFrom) -> Self {
        Self {
            id,
            spec,
            shared,
            views: Vec::new(),
            projection: Vec::new(),
            column_of: HashMap::new(),
            splits: BTreeMap::new(),
            start_from: start,
            identity: None,
            phase: Phase::Opening,
            attempt: 0,
            watermark: None,
            held: false,
            stash: BTreeMap::new(),
            frozen_since: None,
            last_heard: None,
        }
    }

    /// Whether a decoded batch waits.
    pub(crate) fn has_work(&self) -> bool {
        match &self.phase {
            Phase::Open { reader, .. } => {
                !self.held && self.frozen_since.is_none() && !reader.is_empty()
            }
            _ => false,
        }
    }

    /// Whether every split has ended.
    pub(crate) fn ended(&self) -> bool {
        let open = matches!(self.phase, Phase::Open { .. });
        open && !self.splits.is_empty() && self.splits.values().all(|split| split.ended)
    }

    /// Where it stands.
    pub(crate) fn positions(&self) -> Positions {
        self.splits
            .iter()
            .map(|(id, split)| (id.clone(), split.offset))
            .collect()
    }

    fn set_projection(&mut self, columns: Vec<usize>) {
        self.column_of = columns
            .iter()
            .enumerate()
            .map(|(place, c)| (*c, place))
            .collect();
        self.projection = columns;
    }

    /// The least promise of all splits that are expected to bring rows.
    fn promise(&self) -> Option<Watermark> {
        let time = self.spec.event_time?;
        if self.splits.is_empty() {
            return None;
        }
        let mut least: Option<EventTime> = None;
        let mut idle = true;
        for split in self.splits.values() {
            let promised = match (split.ended, split.idle, split.latest) {
                (true, _, _) => EventTime::MAX,
                (false, true, _) => continue,
                (false, false, None) => return None,
                (false, false, Some(latest)) => {
                    EventTime::from_nanos(latest).minus_nanos(time.delay_nanos)
                }
            };
            idle = false;
            least = Some(least.map_or(promised, |least| least.min(promised)));
        }
        if idle {
            Some(Watermark::Idle)
        } else {
            least.map(Watermark::At)
        }
    }
}

impl Core {
    /// Columns that views `views` need of source `spec`, with what the reader itself needs.
    pub(super) fn columns_needed(&self, spec: &SourceSpec, views: &[ObjectId]) -> Vec<usize> {
        let mut columns: Vec<usize> = spec.event_time.iter().map(|time| time.column).collect();
        for view in views {
            let Some(relation) = self.relations.get(view) else {
                continue;
            };
            if let super::relation::Body::View { dataflow } = &relation.body {
                let inputs = dataflow
                    .inputs()
                    .iter()
                    .filter(|input| input.object == spec.id);
                columns.extend(inputs.flat_map(|input| input.columns.iter().copied()));
            }
        }
        if columns.is_empty() && !spec.columns.is_empty() {
            // Rows without columns cannot be told from no rows.
            columns.push(0);
        }
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// Attaches `view` to source `source`, from where `start` says.
    pub(super) fn attach_to_source(&mut self, view: ObjectId, source: ObjectId, start: StartFrom) {
        let Some(entry) = self.sources.get(&source) else {
            return;
        };
        let spec = Arc::clone(&entry.spec);
        let shared = self
            .intakes
            .iter()
            .position(|i| i.shared && i.spec.id == source);
        match (shared, start) {
            (Some(index), StartFrom::Now) => {
                self.intakes[index].views.push(view);
                self.reopen(index);
            }
            (Some(_), StartFrom::Beginning) => self.open_intake(spec, false, vec![view], start),
            (None, _) => self.open_intake(spec, true, vec![view], start),
        }
    }

    pub(super) fn open_intake(
        &mut self,
        spec: Arc<SourceSpec>,
        shared: bool,
        views: Vec<ObjectId>,
        start: StartFrom,
    ) {
        let mut intake = Intake::new(self.intake_next, spec, shared, start);
        self.intake_next += 1;
        intake.views = views;
        self.intakes.push(intake);
        self.reopen(self.intakes.len() - 1);
    }

    /// Adds an intake that a checkpoint knows, and opens it where it stood.
    pub(super) fn restore_intake(&mut self, mut intake: Intake) {
        intake.id = self.intake_next;
        self.intake_next += 1;
        self.intakes.push(intake);
        self.reopen(self.intakes.len() - 1);
    }

    /// (Re)opens an intake where it stands, with the columns its views need now. What its old
    /// reader has read ahead is dropped and will be read again.
    pub(super) fn reopen(&mut self, index: usize) {
        if matches!(self.intakes[index].phase, Phase::Paused) {
            return;
        }
        let columns = self.columns_needed(&self.intakes[index].spec, &self.intakes[index].views);
        let intake = &mut self.intakes[index];
        let same = intake.projection == columns && matches!(intake.phase, Phase::Open { .. });
        if same {
            return;
        }
        intake.set_projection(columns);
        intake.stash.clear();
        intake.frozen_since = None;
        intake.attempt += 1;
        intake.phase = Phase::Opening;
        let physical = physical_columns(&intake.spec, &intake.projection);
        let schema = decode_schema(&intake.spec, &physical).schema;
        let source = Arc::clone(&intake.spec.source);
        let known = intake.positions();
        let known_identity = intake.identity.clone();
        let (id, attempt, start) = (intake.id, intake.attempt, intake.start_from);
        let report = self.reporter();
        self.tokio.spawn(async move {
            let open = async {
                let positions = match (known.is_empty(), start) {
                    (false, _) => known,
                    (true, StartFrom::Beginning) => source.start_positions().await?,
                    (true, StartFrom::Now) => source.end_positions().await?,
                };
                let reader = source.open(&positions, &schema).await?;
                // What is recreated later the reader itself notices.
                let identity = same_stream(known_identity, reader.identity())?;
                Ok(Opened {
                    positions,
                    identity,
                    reader,
                })
            };
            let result = open.await;
            report(Report::ReaderOpened {
                intake: id,
                attempt,
                result,
            });
        });
    }

    pub(super) fn reader_opened(
        &mut self,
        id: u64,
        attempt: u64,
        result: Result<Opened, RuntimeError>,
    ) {
        let now = self.config.clock.elapsed();
        let Some(intake) = self.intakes.iter_mut().find(|intake| intake.id == id) else {
            return;
        };
        if intake.attempt != attempt {
            return;
        }
        let setup = ReaderSetup {
            spec: Arc::clone(&intake.spec),
            projection: intake.projection.clone(),
            batch_rows_max: self.config.batch_rows_max,
            batches_max: self.config.reader_batches_max,
            clock: Arc::clone(&self.config.clock),
            bell: self.bell_in.clone(),
            driven: self.config.driven,
        };
        let begins = intake.splits.is_empty();
        let opened = result.and_then(|opened| {
            for (split, offset) in &opened.positions {
                let split = intake.splits.entry(split.clone()).or_default();
                split.offset = *offset;
                split.last_rows = now;
            }
            intake.identity = opened.identity;
            reader::start(setup, opened.reader)
        });
        intake.phase = match opened {
            Ok(reader) => Phase::Open { reader, away: None },
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let reason = error.to_string();
                tracing::warn!(source = intake.spec.name, reason, "source unavailable");
                Phase::Waiting {
                    until: now + OPEN_RETRY_WAIT,
                    reason,
                }
            }
            Err(error) => {
                tracing::error!(source = intake.spec.name, %error, "source suspended");
                Phase::Failed {
                    reason: error.to_string(),
                }
            }
        };
        // Some of the stream is no longer there for whoever reads it from its beginning.
        if begins && intake.splits.values().any(|split| split.offset > Offset(0)) {
            let (source, views) = (intake.spec.id, intake.views.clone());
            self.beginning_is_gone(source, &views);
        }
        failpoint::pass("core.reader_opened");
        // Where reading starts must survive a crash, or `latest` would mean something else after
        // it.
        self.changed_since_checkpoint = true;
    }

    pub(super) fn retry_readers(&mut self, now: Duration) {
        let due = |intake: &Intake| match &intake.phase {
            Phase::Waiting { until, .. } => *until <= now,
            _ => false,
        };
        let due: Vec<usize> = (0..self.intakes.len())
            .filter(|i| due(&self.intakes[*i]))
            .collect();
        for index in due {
            self.reopen(index);
        }
    }

    /// Passes the promise of an intake on to its views, if it has moved.
    pub(super) fn promise_from(&mut self, index: usize) {
        let intake = &mut self.intakes[index];
        let Some(promise) = intake.promise() else {
            return;
        };
        if let Watermark::At(time) = promise {
            if intake.watermark.is_some_and(|before| before >= time) {
                return;
            }
            intake.watermark = Some(time);
        }
        self.touched = true;
        for view in &intake.views {
            if let Some(relation) = self.relations.get_mut(view) {
                relation.advance(intake.spec.id, promise);
            }
        }
    }

    /// Leaves splits that have gone quiet out of the watermark.
    pub(super) fn find_idle_splits(&mut self, now: Duration) {
        for index in 0..self.intakes.len() {
            let intake = &mut self.intakes[index];
            let timeout = intake.spec.idle_timeout;
            let open = matches!(intake.phase, Phase::Open { .. }) && intake.stash.is_empty();
            // Who waits for others is not silent.
            if !open || intake.held || intake.has_work() || timeout.is_zero() {
                continue;
            }
            if idle::expire(&mut intake.splits, now, timeout) {
                self.changed_since_checkpoint = true;
                self.promise_from(index);
            }
        }
    }
}

/// Which stream it is, if that is not another than the one whose positions are `known`.
fn same_stream(
    known: Option<String>,
    found: Option<String>,
) -> Result<Option<String>, ConnectorError> {
    match (known, found) {
        (Some(known), Some(found)) if known != found => {
            let message = "cannot go on reading: the stream was deleted and created again";
            Err(ConnectorError::data(message)
                .with_detail(format!("Its id was {known} and is now {found}."))
                .with_hint(
                    "Drop the source and its views and create them again to read the new stream \
                     from its beginning.",
                ))
        }
        (known, found) => Ok(found.or(known)),
    }
}
