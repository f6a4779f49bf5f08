//! Sources of one group wait for each other, so that what a join keeps of the fast one stays small
//! while the slow one is read.

use rtsap_stream::message::Watermark;
use rtsap_stream::time::EventTime;

use super::{Intake, Phase};
use crate::core::Core;

impl Intake {
    /// Whether it stands still until others of its group have come nearer.
    pub(in crate::core) const fn is_held(&self) -> bool {
        self.held
    }
}

impl Core {
    /// Decides who stands still in the next step: whose event time is further ahead of another of
    /// its group than its drift.
    pub(in crate::core) fn align(&mut self) {
        for index in 0..self.intakes.len() {
            self.intakes[index].held = self.is_ahead(&self.intakes[index]);
        }
    }

    fn is_ahead(&self, intake: &Intake) -> bool {
        let Some(alignment) = &intake.spec.alignment else {
            return false;
        };
        let Some(Watermark::At(time)) = intake.promise() else {
            return false;
        };
        let limit = time.minus_nanos(alignment.drift_nanos);
        let group = self.intakes.iter().filter(|other| {
            let theirs = other.spec.alignment.as_ref();
            theirs.is_some_and(|theirs| theirs.group == alignment.group)
                && other.id != intake.id
                && is_beside(other, intake)
        });
        group.map(reached).any(|reached| reached < limit)
    }
}

/// Whether two readers are read together: the shared ones, and those by which one view catches up.
fn is_beside(other: &Intake, intake: &Intake) -> bool {
    match (other.shared, intake.shared) {
        (true, true) => true,
        (false, false) => other.views.iter().any(|view| intake.views.contains(view)),
        _ => false,
    }
}

/// How far a reader has come for those who wait for it.
fn reached(intake: &Intake) -> EventTime {
    if matches!(intake.phase, Phase::Failed { .. } | Phase::Paused) {
        return EventTime::MAX;
    }
    match intake.promise() {
        Some(Watermark::At(time)) => time,
        Some(Watermark::Idle) => EventTime::MAX,
        // It has just begun.
        None => EventTime::MIN,
    }
}
