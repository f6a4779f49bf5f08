//! `WITH (retention = …)`: which rows a view may stop to serve, and which views can.

use rtsap_plan::properties::StateBound;
use rtsap_plan::window::Nanos;
use rtsap_stream::change::ChangelogMode;

use super::{PlannedView, Retention};
use crate::error::{Cause, PlanError};

/// The rows of `planned` that are served no longer once event time is `nanos` past them.
///
/// # Errors
/// [`Cause::Unsupported`] for a view without event time or whose rows have no key;
/// [`Cause::Option`] for a time in which rows may still change.
pub(super) fn of(planned: &PlannedView, nanos: i64) -> Result<Retention, PlanError> {
    let Some(column) = planned.relation.event_time else {
        let error = PlanError::unsupported("retention of a view without event time");
        return Err(error.hint("Select the watermark's column, or window_end of a window."));
    };
    if planned.relation.mode == ChangelogMode::Retract {
        let error = PlanError::unsupported("retention of a view whose rows change and have no key");
        return Err(error.hint("Group by a key, or add EMIT ON WINDOW CLOSE."));
    }
    let changes = planned
        .plan
        .nodes
        .iter()
        .filter_map(|node| match node.properties.state {
            StateBound::EventTime { retention_nanos } => Some(retention_nanos),
            _ => None,
        });
    let changes = changes.max().unwrap_or(0);
    if nanos < changes {
        let (given, needed) = (Nanos(nanos), Nanos(changes));
        let message = format!(
            "retention of {given} is too short: rows may change for {needed} of event time"
        );
        let error = PlanError::new(Cause::Option { message });
        return Err(error.hint(format!("Use retention = '{needed}' or longer.")));
    }
    Ok(Retention { column, nanos })
}
