//! Joins whose condition bounds how far the event times lie apart: interval joins, and window
//! joins, in which the windows' bounds are equal.

use datafusion::logical_expr::Expr;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::join::{IntervalJoinSpec, JoinKind, Side};
use rtsap_plan::operator::OperatorSpec;
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::ChangelogMode;

use super::bounds::TimeBounds;
use super::{Joined, place};
use crate::error::{Cause, PlanError};
use crate::streaming::Compiler;

impl Compiler<'_> {
    pub(super) fn interval_join(
        &mut self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        bounds: TimeBounds,
    ) -> Result<NodeIndex, PlanError> {
        if bounds.lower_nanos > bounds.upper_nanos {
            let message = "the condition on time of the join can never hold".to_owned();
            let error = PlanError::new(Cause::Expression { message });
            return Err(error.hint("The lower bound must not be above the upper one."));
        }
        for (port, side) in sides.into_iter().enumerate() {
            if !self.retarget(side, bounds.times[port]) {
                return Err(PlanError::internal("a join's time is no event time"));
            }
        }
        let conditions = &joined.conditions;
        let keys: Vec<(Expr, Expr)> = without(&conditions.equal, &bounds.equal);
        let rest: Vec<Expr> = without(&conditions.rest, &bounds.rest);
        let kind = joined.kind;
        let nulls = [
            matches!(kind, JoinKind::Right | JoinKind::Full),
            matches!(kind, JoinKind::Left | JoinKind::Full),
        ];
        let (output, schema) = self.join_output(joined, sides, nulls);
        let place = |side: Side| place(&output, side, bounds.times[side.port()]);
        let (event_time, other) = match kind {
            JoinKind::Inner => (place(Side::Left), place(Side::Right)),
            JoinKind::Left | JoinKind::LeftSemi | JoinKind::LeftAnti => (place(Side::Left), None),
            JoinKind::Right => (place(Side::Right), None),
            JoinKind::Full => (None, None),
        };
        let spec = IntervalJoinSpec {
            kind,
            keys: self.join_keys(joined, &keys)?,
            times: bounds.times,
            lower_nanos: bounds.lower_nanos,
            upper_nanos: bounds.upper_nanos,
            residual: self.join_residual(joined, sides, &rest)?,
            output,
            drops_late: sides.map(|side| self.has_windows(side)),
        };
        let reach = spec
            .reach_nanos(Side::Left)
            .max(spec.reach_nanos(Side::Right));
        let properties = StreamProperties {
            schema,
            mode: ChangelogMode::Append,
            key: Vec::new(),
            event_time,
            state: StateBound::EventTime {
                retention_nanos: reach.max(0),
            },
        };
        let node = self.push(OperatorSpec::IntervalJoin(spec), sides.to_vec(), properties);
        self.alternatives.insert(node, other.into_iter().collect());
        Ok(node)
    }
}

fn without<T: Clone>(all: &[T], taken: &[usize]) -> Vec<T> {
    let kept = all.iter().enumerate();
    let kept = kept.filter(|(index, _)| !taken.contains(index));
    kept.map(|(_, item)| item.clone()).collect()
}
