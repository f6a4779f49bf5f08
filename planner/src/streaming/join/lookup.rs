//! `FOR SYSTEM_TIME AS OF PROCTIME()`: each row meets what the right side holds when it comes.

use rtsap_plan::graph::NodeIndex;
use rtsap_plan::join::{JoinKind, RegularJoinSpec, Side};
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::ChangelogMode;

use super::{Joined, place};
use crate::error::PlanError;
use crate::streaming::Compiler;

impl Compiler<'_> {
    pub(super) fn lookup_join(&mut self, joined: &Joined<'_>) -> Result<NodeIndex, PlanError> {
        let [left, right] = joined.plans;
        let left = self.node(left, Emit::OnClose { delay_nanos: 0 })?;
        let right = self.node(right, Emit::Changes)?;
        self.require_append_side(left, "the left side of a join AS OF PROCTIME()")?;
        let conditions = &joined.conditions;
        if conditions.equal.is_empty() {
            let error = PlanError::unsupported("a join AS OF PROCTIME() without an equality");
            return Err(self.at_word(error.hint("Write ON t.k = r.k."), "SYSTEM_TIME"));
        }
        let endless = self.properties(right).mode == ChangelogMode::Append;
        if endless && !self.is_bounded(right) {
            let error = PlanError::unsupported("FOR SYSTEM_TIME AS OF PROCTIME() of a stream");
            let hint = "Join a table, a source with a PRIMARY KEY, or a view that has one row a \
                        key; for the latest row of a stream write ASOF JOIN.";
            return Err(self.at_word(error.hint(hint), "SYSTEM_TIME"));
        }
        let sides = [left, right];
        let outer = joined.kind == JoinKind::Left;
        let (output, schema) = self.join_output(joined, sides, [false, outer]);
        let time = self.properties(left).event_time;
        let event_time = time.and_then(|time| place(&output, Side::Left, time));
        let spec = RegularJoinSpec {
            kind: joined.kind,
            keys: self.join_keys(joined, &conditions.equal)?,
            residual: self.join_residual(joined, sides, &conditions.rest)?,
            kept: [None, None],
            lookup: true,
            output,
        };
        let properties = StreamProperties {
            schema,
            mode: ChangelogMode::Append,
            key: Vec::new(),
            event_time,
            state: StateBound::PerKey,
        };
        Ok(self.push(OperatorSpec::RegularJoin(spec), sides.to_vec(), properties))
    }
}
