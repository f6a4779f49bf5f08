//! Tables and views as the core holds them: a dataflow, what it serves, and who follows it.

use std::collections::HashMap;
use std::sync::Arc;

use rtsap_plan::operator::ObjectId;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use crate::checkpoint::manifest::RelationState;
use crate::dataflow::Dataflow;
use crate::serve::table::{ServedTable, Shape};
use crate::serve::{Part, ServedSnapshot};
use crate::spec::EventTimeSpec;
use crate::state::StateReader;
use crate::status::Ledger;
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
    /// Something came since the last publish.
    pub touched: bool,
    /// Why it stands still for good, if it does.
    pub suspended: Option<String>,
    /// What the last manifest says of it.
    pub saved: RelationState,
    pub snapshots: HashMap<Part, Arc<ServedSnapshot>>,
}

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
        if let Err(error) = dataflow.feed(object, changes, place_of) {
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
        if let Err(error) = dataflow.advance(object, watermark) {
            self.suspend(error.to_string());
        }
    }

    /// Stops this relation for good, saying why.
    pub(crate) fn suspend(&mut self, reason: String) {
        tracing::error!(view = self.name, reason, "view suspended");
        self.suspended = Some(reason);
        self.inbox.clear();
        self.touched = true;
    }
}
