//! Tables and views as the core holds them: a dataflow, what it serves, and who follows it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rtsap_plan::operator::ObjectId;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use crate::checkpoint::manifest::RelationState;
use crate::dataflow::Dataflow;
use crate::dataflow::guard::guarded;
use crate::serve::table::{ServedTable, Shape};
use crate::serve::{Part, ServeError, ServedSnapshot};
use crate::spec::{EventTimeSpec, Pace, Retention};
use crate::state::StateReader;
use crate::status::{Ledger, Load};
use crate::subscribe::Subscriber;

/// A table or view.
pub(crate) struct Relation {
    pub id: ObjectId,
    pub name: String,
    pub body: Body,
    pub served: ServedTable,
    pub late: Option<ServedTable>,
    /// Changes and promises from upstream relations, in order, until the next publish.
    pub inbox: Vec<(ObjectId, Arrival)>,
    /// Views that read this relation.
    pub consumers: Vec<ObjectId>,
    pub subscribers: Vec<(Part, Subscriber)>,
    pub watermark: Option<EventTime>,
    /// Those who read it have been told not to wait for it.
    pub idle: bool,
    /// When it shows, by the clock.
    pub pace: Pace,
    /// How long its rows are served.
    pub retention: Option<Retention>,
    /// Bytes beyond which it is suspended, if it has a limit of its own.
    pub bytes_max: Option<usize>,
    /// The column by which its rows are windows, if event time says which of them are final.
    pub windows: Option<usize>,
    /// When it was last shown, by the process's clock.
    pub shown_at: Option<Duration>,
    /// Results that wait for their turn to be shown.
    pub held: Vec<ChangeBatch>,
    /// When rows last came.
    pub heard: Heard,
    /// What it has cost.
    pub work: Work,
    /// Something came since the last publish.
    pub touched: bool,
    /// Why it stands still for good, if it does.
    pub suspended: Option<String>,
    /// What the last manifest says of it.
    pub saved: RelationState,
    pub snapshots: HashMap<Part, Arc<ServedSnapshot>>,
}

/// When rows last came to a view.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Heard {
    /// How many had come by then.
    pub rows: u64,
    /// By the process's clock.
    pub at: Duration,
    /// What was open then has been closed for their absence.
    pub timed_out: bool,
}

/// What a view has cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    /// Time spent on it.
    pub busy: Duration,
    /// When it was last weighed, and what it had cost and taken by then.
    at: Duration,
    busy_before: Duration,
    rows_before: u64,
    /// What it cost between the last two times.
    pub load: Load,
}

/// How long a view is watched for its load.
const WEIGHED_EVERY: Duration = Duration::from_secs(1);

/// What makes the rows.
pub(crate) enum Body {
    /// `INSERT`.
    Table {
        event_time: Option<EventTimeSpec>,
        latest: Option<i64>,
    },
    /// A plan.
    View { dataflow: Box<Dataflow> },
}

/// What comes from upstream.
pub(crate) enum Arrival {
    Changes(ChangeBatch),
    Watermark(Watermark),
}

/// A relation as it was at the last checkpoint.
#[derive(Default)]
pub(crate) struct Saved {
    pub state: RelationState,
    pub rows: Vec<StateReader>,
    pub late: Vec<StateReader>,
    pub operators: StateReader,
}

/// How rows of a result are told apart.
pub(crate) fn shape_of(mode: ChangelogMode, key: &[usize]) -> Shape {
    match (mode, key.is_empty()) {
        (ChangelogMode::Append, _) => Shape::Append,
        (_, false) => Shape::Keyed(key.to_vec()),
        (_, true) => Shape::Multiset,
    }
}

impl Relation {
    pub(crate) fn ledger(&self) -> Ledger {
        match &self.body {
            Body::View { dataflow } => dataflow.ledger(),
            Body::Table { .. } => {
                let rows = self.saved.ledger;
                Ledger {
                    rows_in: rows[0],
                    used: rows[1],
                    filtered: rows[2],
                    late: rows[3],
                }
            }
        }
    }

    pub(crate) fn state_bytes(&self) -> usize {
        match &self.body {
            Body::View { dataflow } => dataflow.state_bytes(),
            Body::Table { .. } => 0,
        }
    }

    pub(crate) fn table(&self, part: Part) -> Option<&ServedTable> {
        match part {
            Part::Rows => Some(&self.served),
            Part::Late => self.late.as_ref(),
            Part::Errors => None,
        }
    }

    /// Takes changes of a source or an upstream relation.
    pub(crate) fn feed(
        &mut self,
        object: ObjectId,
        changes: &ChangeBatch,
        place_of: &dyn Fn(usize) -> Option<usize>,
    ) {
        if self.suspended.is_some() {
            return;
        }
        self.touched = true;
        let Body::View { dataflow } = &mut self.body else {
            return;
        };
        if let Err(error) = guarded(|| dataflow.feed(object, changes, place_of)) {
            self.suspend(error.to_string());
        }
    }

    /// Takes a promise of a source or an upstream relation.
    pub(crate) fn advance(&mut self, object: ObjectId, watermark: Watermark) {
        if self.suspended.is_some() {
            return;
        }
        self.touched = true;
        let Body::View { dataflow } = &mut self.body else {
            return;
        };
        if let Err(error) = guarded(|| dataflow.advance(object, watermark)) {
            self.suspend(error.to_string());
        }
    }

    /// Serves rows no longer that event time has left behind. Right after they were saved: what a
    /// checkpoint and the sinks have not got yet stays.
    ///
    /// # Errors
    /// [`ServeError::Arrow`] if a kernel refuses.
    pub(crate) fn expire(&mut self) -> Result<(), ServeError> {
        // At the end of all its inputs nothing pushes rows out any more.
        let watermark = self.watermark.filter(|time| *time < EventTime::MAX);
        let (Some(retention), Some(watermark)) = (self.retention, watermark) else {
            return Ok(());
        };
        let limit = watermark.minus_nanos(retention.nanos);
        self.touched |= self.served.expire(retention.column, limit)?;
        Ok(())
    }

    /// Brings its load up to date.
    pub(crate) fn weigh(&mut self, now: Duration) {
        let rows = self.ledger().rows_in;
        let work = &mut self.work;
        let seconds = now.saturating_sub(work.at).as_secs_f64();
        if seconds < WEIGHED_EVERY.as_secs_f64() {
            return;
        }
        let busy = work.busy.saturating_sub(work.busy_before).as_secs_f64();
        #[expect(
            clippy::cast_precision_loss,
            reason = "a rate for people needs no more"
        )]
        let came = rows.saturating_sub(work.rows_before) as f64;
        work.load = Load {
            rows_per_second: came / seconds,
            busy_share: busy / seconds,
        };
        (work.at, work.busy_before, work.rows_before) = (now, work.busy, rows);
    }

    /// Stops this relation for good, saying why.
    pub(crate) fn suspend(&mut self, reason: String) {
        tracing::error!(view = self.name, reason, "view suspended");
        self.suspended = Some(reason);
        self.inbox.clear();
        self.touched = true;
    }
}
