//! ASOF joins, with the latest row that is not after a left row; and temporal joins, with the
//! version of a table's row that was valid then.

use datafusion::common::JoinType;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::logical_plan::Join;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::join::{AsofJoinSpec, JoinKind, Side};
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::ChangelogMode;

use super::{Joined, place};
use crate::error::{Cause, PlanError};
use crate::logical::join_marker::{Mark, Marker};
use crate::logical::window_length::constant_nanos;
use crate::streaming::Compiler;

const ASOF_FORM: &str = "Write ON t.symbol = q.symbol AND t.ts >= q.ts, and nothing else: \
                         conditions on one side belong into a subquery, others into WHERE.";

/// What an ASOF or temporal join asks for.
struct Wanted {
    times: [usize; 2],
    strict: bool,
    tolerance_nanos: Option<i64>,
    keys: Vec<(Expr, Expr)>,
}

impl Compiler<'_> {
    pub(super) fn asof_join(
        &mut self,
        join: &Join,
        marker: &Marker<'_>,
    ) -> Result<NodeIndex, PlanError> {
        let outer = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left => true,
            _ => {
                let error = PlanError::unsupported("a RIGHT or FULL join with past rows");
                return Err(error.hint("Write the relation whose rows all show on the left."));
            }
        };
        let plain = Join {
            filter: Some(marker.condition.clone()),
            ..join.clone()
        };
        let joined = self.joined(&plain)?;
        if marker.mark == Mark::Arrival {
            return self.lookup_join(&joined);
        }
        let closing = Emit::OnClose { delay_nanos: 0 };
        let [left, right] = joined.plans;
        let before = self.nodes.len();
        let sides = [self.node(left, closing)?, self.node(right, closing)?];
        if self.joins_tables(sides, marker.mark) {
            self.truncate(before);
            return self.asof_of_tables(join, &joined, marker);
        }
        self.require_append_side(sides[0], "the left side of an ASOF JOIN")?;
        let versions = self.properties(sides[1]).mode != ChangelogMode::Append;
        let wanted = match marker.mark {
            Mark::Version => self.version_wanted(&joined, sides, marker)?,
            Mark::Asof | Mark::Arrival => self.asof_wanted(&joined, sides, marker)?,
            Mark::Implied { strict } => self.implied_wanted(&joined, sides, strict, marker)?,
        };
        if versions {
            let version = marker.mark == Mark::Version;
            self.check_versions(&joined, sides[1], &wanted, version)?;
        }
        self.push_asof(&joined, sides, wanted, outer, versions)
    }

    fn push_asof(
        &mut self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        wanted: Wanted,
        outer: bool,
        versions: bool,
    ) -> Result<NodeIndex, PlanError> {
        for (port, side) in sides.into_iter().enumerate() {
            if !self.retarget(side, wanted.times[port]) {
                return Err(PlanError::internal("a join's time is no event time"));
            }
        }
        debug_assert!(matches!(joined.kind, JoinKind::Inner | JoinKind::Left));
        let (output, schema) = self.join_output(joined, sides, [false, outer]);
        let event_time = place(&output, Side::Left, wanted.times[0]);
        let state = match wanted.tolerance_nanos {
            Some(retention_nanos) => StateBound::EventTime { retention_nanos },
            None => StateBound::PerKey,
        };
        let spec = AsofJoinSpec {
            outer,
            keys: self.join_keys(joined, &wanted.keys)?,
            times: wanted.times,
            strict: wanted.strict,
            tolerance_nanos: wanted.tolerance_nanos,
            versions,
            output,
        };
        let properties = StreamProperties {
            schema,
            mode: ChangelogMode::Append,
            key: Vec::new(),
            event_time,
            state,
        };
        Ok(self.push(OperatorSpec::AsofJoin(spec), sides.to_vec(), properties))
    }

    /// `t.k = q.k AND t.ts >= q.ts`.
    fn asof_wanted(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        marker: &Marker<'_>,
    ) -> Result<Wanted, PlanError> {
        let conditions = &joined.conditions;
        let all: Vec<usize> = (0..conditions.rest.len()).collect();
        let Some(found) = self.time_comparisons(joined, sides) else {
            let error = PlanError::unsupported("an ASOF JOIN without t.ts >= q.ts on event times");
            let hint = "Compare the columns that WATERMARK FOR names in both relations: ON \
                        t.symbol = q.symbol AND t.ts >= q.ts, or USING (symbol, ts), of which \
                        the last column is the time.";
            return Err(self.at_word(error.hint(hint), "JOIN"));
        };
        if found.rest != all {
            let error = PlanError::unsupported("a further condition of an ASOF JOIN");
            return Err(self.at_word(error.hint(ASOF_FORM), "JOIN"));
        }
        let strict = match found.lower {
            Some(0) => false,
            Some(1) => true,
            Some(_) => {
                let error = PlanError::unsupported("an ASOF JOIN at a distance");
                let hint = "Compare the times themselves: t.ts >= q.ts, with TOLERANCE INTERVAL \
                            '5' SECOND for how old q may be.";
                return Err(self.at_word(error.hint(hint), "JOIN"));
            }
            None => {
                let error = PlanError::unsupported("an ASOF JOIN with the next row");
                let hint = "Write t.ts >= q.ts or t.ts > q.ts: the latest row of q that is not \
                            after t.";
                return Err(self.at_word(error.hint(hint), "JOIN"));
            }
        };
        let tolerance = match marker.argument {
            Some(argument) => Some(self.tolerance(argument)?),
            None => None,
        };
        let tolerance_nanos = match (found.upper, tolerance) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, None) | (None, one) => one,
        };
        Ok(Wanted {
            times: found.times,
            strict,
            tolerance_nanos,
            keys: conditions.equal.clone(),
        })
    }

    /// `ON (symbol)`: the times are the event times of both sides.
    fn implied_wanted(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        strict: bool,
        marker: &Marker<'_>,
    ) -> Result<Wanted, PlanError> {
        let times = sides.map(|side| self.properties(side).event_time);
        let [Some(left), Some(right)] = times else {
            let error = PlanError::unsupported(
                "an ASOF JOIN without t.ts >= q.ts of relations without event time",
            );
            let hint = "Declare WATERMARK FOR the time column of both sources.";
            return Err(self.at_word(error.hint(hint), "JOIN"));
        };
        if !joined.conditions.rest.is_empty() {
            let error = PlanError::unsupported("a further condition of an ASOF JOIN");
            return Err(self.at_word(error.hint(ASOF_FORM), "JOIN"));
        }
        let tolerance_nanos = match marker.argument {
            Some(argument) => Some(self.tolerance(argument)?),
            None => None,
        };
        Ok(Wanted {
            times: [left, right],
            strict,
            tolerance_nanos,
            keys: joined.conditions.equal.clone(),
        })
    }

    pub(super) fn tolerance(&self, argument: &Expr) -> Result<i64, PlanError> {
        let nanos = constant_nanos(argument).ok().filter(|nanos| *nanos >= 0);
        nanos.ok_or_else(|| {
            let message = "the tolerance of an ASOF JOIN must be a constant interval".to_owned();
            let error = PlanError::new(Cause::Expression { message });
            self.at_word(
                error.hint("Write TOLERANCE INTERVAL '5' SECOND."),
                "TOLERANCE",
            )
        })
    }

    /// `FOR SYSTEM_TIME AS OF t.ts … ON t.k = r.k`.
    fn version_wanted(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        marker: &Marker<'_>,
    ) -> Result<Wanted, PlanError> {
        if !joined.conditions.rest.is_empty() || joined.conditions.equal.is_empty() {
            let error = PlanError::unsupported("this condition of a join FOR SYSTEM_TIME AS OF");
            let hint = "Write ON t.k = r.k for the table's key, and other conditions into WHERE.";
            return Err(self.at_word(error.hint(hint), "SYSTEM_TIME"));
        }
        let time = match marker.argument {
            Some(Expr::Column(column)) => joined.schema(Side::Left).maybe_index_of_column(column),
            _ => None,
        };
        let time = time.filter(|time| self.can_be_event_time(sides[0], *time));
        let Some(right) = self.properties(sides[1]).event_time else {
            let error =
                PlanError::unsupported("FOR SYSTEM_TIME AS OF a relation without event time");
            let hint = "Add WATERMARK FOR valid_from AS valid_from to the table, for the column \
                        that says from when on a row is valid.";
            return Err(self.at_word(error.hint(hint), "SYSTEM_TIME"));
        };
        let Some(left) = time else {
            let column = marker.argument.map(ToString::to_string).unwrap_or_default();
            let error = PlanError::unsupported(format!(
                "FOR SYSTEM_TIME AS OF {column}, which is no event time of the left side,"
            ));
            let hint = "Use the column that WATERMARK FOR names in the left relation.";
            return Err(self.at_word(error.hint(hint), "SYSTEM_TIME"));
        };
        Ok(Wanted {
            times: [left, right],
            strict: false,
            tolerance_nanos: None,
            keys: joined.conditions.equal.clone(),
        })
    }

    /// A row of a table is a version of its key: the join must be by that key.
    fn check_versions(
        &mut self,
        joined: &Joined<'_>,
        side: NodeIndex,
        wanted: &Wanted,
        version: bool,
    ) -> Result<(), PlanError> {
        let properties = self.properties(side);
        if properties.mode == ChangelogMode::Retract {
            return self.require_append_side(side, "the right side of an ASOF JOIN");
        }
        let schema = joined.schema(Side::Right);
        let mut columns: Vec<usize> = Vec::new();
        for (_, right) in &wanted.keys {
            let column = match right {
                Expr::Column(column) => schema.maybe_index_of_column(column),
                _ => None,
            };
            columns.extend(column);
        }
        columns.sort_unstable();
        let mut key = properties.key.clone();
        key.sort_unstable();
        if columns.len() != wanted.keys.len() || columns != key {
            let names = key
                .iter()
                .map(|index| format!("\"{}\"", properties.schema.field(*index).name()));
            let names = names.collect::<Vec<_>>().join(", ");
            let error =
                PlanError::unsupported("a join with versions by other columns than the key");
            let error = error.hint(format!(
                "Join on {names}, which is the key, and on no more."
            ));
            let word = if version { "SYSTEM_TIME" } else { "JOIN" };
            return Err(self.at_word(error, word));
        }
        self.notices.push(
            "a table keeps the last version of each row: the view knows earlier ones from its \
             creation on"
                .to_owned(),
        );
        Ok(())
    }
}
