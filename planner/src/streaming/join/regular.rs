//! Joins without a condition on time.

use rtsap_plan::graph::NodeIndex;

use super::Joined;
use crate::error::{Cause, PlanError};
use crate::streaming::Compiler;

impl Compiler<'_> {
    pub(super) fn regular_join(
        &mut self,
        _joined: &Joined<'_>,
        _sides: [NodeIndex; 2],
    ) -> Result<NodeIndex, PlanError> {
        let node = "a join without a condition on event time".to_owned();
        let error = PlanError::new(Cause::UnboundedState { node });
        Err(error.hint(
            "Bound the event times: a.ts BETWEEN b.ts - INTERVAL '5' MINUTE AND b.ts + INTERVAL \
             '5' MINUTE.",
        ))
    }
}
