//! Views that stand still because somebody wants them to.
//!
//! A paused view is taken off the shared readers of its sources and keeps its place in each; when
//! it goes on it catches up like a view that starts late. Changes of relations wait in its inbox,
//! which is saved with its state.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use rtsap_plan::operator::ObjectId;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use super::Core;
use super::intake::{Intake, Phase};
use super::pace::{read_held, write_held};
use super::relation::{Arrival, Body, Relation};
use crate::error::RuntimeError;
use crate::state::{StateError, StateReader, StateWriter};

/// Rows that may wait for a view that is paused: beyond that it is suspended, for they are in
/// memory.
const WAITING_ROWS_MAX: usize = 5_000_000;

/// The section of promises that wait.
const WATERMARK: &str = "watermark";

/// Under this lies what waits for a view.
pub(super) const INBOX: &str = "inbox/";

impl Core {
    /// Stops a view, or lets it go on.
    pub(super) fn set_paused(&mut self, view: ObjectId, paused: bool) -> Result<(), RuntimeError> {
        if let (true, Some(relation)) =
            (self.rebuilds.contains_key(&view), self.relations.get(&view))
        {
            return Err(RuntimeError::Altering {
                view: relation.name.clone(),
                reason: "a new version of it is being built".to_owned(),
            });
        }
        // What has come so far is shown first.
        self.publish();
        let relation = self.relations.get_mut(&view);
        let is_view = |relation: &&mut Relation| matches!(relation.body, Body::View { .. });
        let Some(relation) = relation.filter(is_view) else {
            return Err(RuntimeError::NotA {
                id: view.0,
                wanted: "view",
            });
        };
        self.changed_since_checkpoint = true;
        if relation.saved.paused == paused {
            return Ok(());
        }
        relation.saved.paused = paused;
        relation.touched = true;
        self.touched = true;
        if paused {
            self.hold_readers(view);
        } else {
            self.release_readers(view);
        }
        self.report();
        Ok(())
    }

    /// Gives the view readers of its own, which stand still.
    fn hold_readers(&mut self, view: ObjectId) {
        for index in 0..self.intakes.len() {
            let intake = &mut self.intakes[index];
            if !intake.views.contains(&view) {
                continue;
            }
            if intake.views.len() == 1 {
                intake.shared = false;
                intake.phase = Phase::Paused;
                continue;
            }
            intake.views.retain(|other| *other != view);
            let spec = Arc::clone(&intake.spec);
            let mut own = Intake::new(self.intake_next, spec, false, intake.start_from);
            own.views = vec![view];
            own.splits = intake.splits.clone();
            own.identity = intake.identity.clone();
            own.watermark = intake.watermark;
            own.phase = Phase::Paused;
            self.intake_next += 1;
            self.intakes.push(own);
        }
    }

    fn release_readers(&mut self, view: ObjectId) {
        for index in 0..self.intakes.len() {
            let intake = &mut self.intakes[index];
            if intake.views.contains(&view) && matches!(intake.phase, Phase::Paused) {
                intake.phase = Phase::Opening;
                self.reopen(index);
            }
        }
    }
}

impl Relation {
    /// Suspends it if more waits than may.
    pub(super) fn limit_inbox(&mut self) {
        let rows = self.inbox.iter().map(|(_, arrival)| match arrival {
            Arrival::Changes(changes) => changes.len(),
            Arrival::Watermark(_) => 0,
        });
        let rows: usize = rows.sum();
        if rows > WAITING_ROWS_MAX {
            self.suspend(format!(
                "it was paused while {rows} changes came, more than the {WAITING_ROWS_MAX} that \
                 may wait"
            ));
        }
    }
}

/// Writes what waits for a view, in order.
pub(super) fn write_inbox(
    view: ObjectId,
    inbox: &[(ObjectId, Arrival)],
    out: &mut StateWriter,
) -> Result<(), StateError> {
    for (place, (from, arrival)) in inbox.iter().enumerate() {
        let prefix = format!("{view}/{INBOX}{place:010}/{from}/");
        match arrival {
            Arrival::Changes(changes) => {
                write_held(&prefix, std::slice::from_ref(changes), out)?;
            }
            Arrival::Watermark(watermark) => {
                out.set_prefix(prefix);
                let time = match watermark {
                    Watermark::At(time) => Some(time.nanos()),
                    Watermark::Idle => None,
                };
                let column: ArrayRef = Arc::new(Int64Array::from(vec![time]));
                out.put(
                    WATERMARK,
                    RecordBatch::try_from_iter_with_nullable([("time", column, true)])?,
                );
            }
        }
    }
    Ok(())
}

/// Reads what [`write_inbox`] wrote.
pub(super) fn read_inbox(from: &StateReader) -> Result<Vec<(ObjectId, Arrival)>, StateError> {
    let under = from.under(INBOX);
    let mut prefixes: Vec<(String, ObjectId)> = Vec::new();
    for name in under.names() {
        let mut parts = name.split('/');
        let (Some(place), Some(object)) = (parts.next(), parts.next()) else {
            continue;
        };
        let Ok(object) = object.parse::<u64>() else {
            continue;
        };
        prefixes.push((format!("{place}/{object}/"), ObjectId(object)));
    }
    // Places are written with zeros before them: the order of names is theirs.
    prefixes.dedup();
    let mut inbox = Vec::with_capacity(prefixes.len());
    for (prefix, object) in prefixes {
        let entry = under.under(&prefix);
        let changes: Vec<ChangeBatch> = read_held(&entry)?;
        inbox.extend(
            changes
                .into_iter()
                .map(|changes| (object, Arrival::Changes(changes))),
        );
        for batch in entry.get(WATERMARK) {
            let times = datafusion::common::cast::as_int64_array(batch.column(0))?;
            for time in times {
                let watermark = match time {
                    Some(time) => Watermark::At(EventTime::from_nanos(time)),
                    None => Watermark::Idle,
                };
                inbox.push((object, Arrival::Watermark(watermark)));
            }
        }
    }
    Ok(inbox)
}
