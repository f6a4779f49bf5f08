//! Joins without a condition on time: by key alone, over rows that may change.

use datafusion::logical_expr::Expr;
use rtsap_catalog::object::{ObjectKind, ObjectNumber};
use rtsap_catalog::snapshot::CatalogSnapshot;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::join::{JoinKind, Kept, RegularJoinSpec, Side};
use rtsap_plan::operator::{ObjectId, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_plan::rank::Numbering;
use rtsap_stream::change::ChangelogMode;

use super::{Joined, place};
use crate::error::{Cause, PlanError};
use crate::streaming::Compiler;

impl Compiler<'_> {
    pub(super) fn regular_join(
        &mut self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
    ) -> Result<NodeIndex, PlanError> {
        let conditions = &joined.conditions;
        let pairs_all = conditions.equal.is_empty();
        if pairs_all && !sides.iter().any(|side| self.has_few_rows(*side)) {
            let error = PlanError::unsupported(
                "a join of two streams without an equality in a streaming view",
            );
            let hint = "Add ON a.k = b.k; only with bounds on both event times, or with a table or \
                        an aggregate of one row on a side, can the condition do without one.";
            return Err(error.hint(hint));
        }
        let no_columns = |side: &NodeIndex| self.properties(*side).schema.fields().is_empty();
        if sides.iter().any(no_columns) {
            let error = PlanError::unsupported("a join with rows of which no column is used");
            return Err(error.hint("Add ON a.k = b.k, or select a column of each side."));
        }
        let kept = [
            self.kept_side(sides[0], Side::Left)?,
            self.kept_side(sides[1], Side::Right)?,
        ];
        let kind = joined.kind;
        let nulls = [
            matches!(kind, JoinKind::Right | JoinKind::Full),
            matches!(kind, JoinKind::Left | JoinKind::Full),
        ];
        let (output, schema) = self.join_output(joined, sides, nulls);
        let appends = sides.map(|side| self.properties(side).mode == ChangelogMode::Append);
        let final_rows = matches!(kind, JoinKind::Inner | JoinKind::LeftSemi);
        let mode = if appends == [true, true] && final_rows {
            ChangelogMode::Append
        } else {
            ChangelogMode::Retract
        };
        let key = self.joined_key(joined, sides);
        // Whatever comes out has a left row that is not yet forgotten.
        let event_time = match (kept, mode) {
            ([Some(left), Some(_)], ChangelogMode::Append) => place(&output, Side::Left, left.time),
            _ => None,
        };
        let state = match kept {
            [Some(left), Some(right)] => StateBound::EventTime {
                retention_nanos: left.nanos.max(right.nanos),
            },
            _ => StateBound::PerKey,
        };
        let spec = RegularJoinSpec {
            kind,
            keys: self.join_keys(joined, &conditions.equal)?,
            residual: self.join_residual(joined, sides, &conditions.rest)?,
            kept,
            lookup: false,
            output,
        };
        let properties = StreamProperties {
            schema,
            mode,
            key,
            event_time,
            state,
        };
        Ok(self.push(OperatorSpec::RegularJoin(spec), sides.to_vec(), properties))
    }

    /// How long the rows of a side are kept: for ever where that is bounded, else for the declared
    /// time.
    fn kept_side(&self, node: NodeIndex, side: Side) -> Result<Option<Kept>, PlanError> {
        let properties = self.properties(node);
        if properties.mode != ChangelogMode::Append || self.is_bounded(node) {
            return Ok(None);
        }
        let which = match side {
            Side::Left => "left",
            Side::Right => "right",
        };
        let Some(nanos) = self.state_ttl_nanos else {
            let node = format!("a join by key alone over the stream on its {which} side");
            let hint = "Bound the event times: a.ts BETWEEN b.ts - INTERVAL '5' MINUTE AND b.ts + \
                        INTERVAL '5' MINUTE; or write ASOF JOIN; or say how long rows are kept: \
                        CREATE STREAMING VIEW … WITH (state_ttl = '1 hour').";
            return Err(PlanError::new(Cause::UnboundedState { node }).hint(hint));
        };
        let Some(time) = properties.event_time else {
            let node = format!("a join whose {which} side has no event time");
            let hint = "state_ttl is counted in event time: add WATERMARK FOR ts AS ts - INTERVAL \
                        '2' SECOND to the source.";
            return Err(PlanError::new(Cause::UnboundedState { node }).hint(hint));
        };
        Ok(Some(Kept { time, nanos }))
    }

    /// Whether a side is small enough for each of its rows to meet all of the other's.
    fn has_few_rows(&self, node: NodeIndex) -> bool {
        self.has_one_row(node) || self.is_bounded(node)
    }

    /// Whether there is one row at most at a time.
    fn has_one_row(&self, node: NodeIndex) -> bool {
        match &self.nodes[node].spec {
            OperatorSpec::GroupAggregate(spec) => spec.keys.is_empty() && spec.sets.is_empty(),
            OperatorSpec::TopN(spec) => {
                let numbered = spec.numbering == Numbering::RowNumber;
                spec.partition.is_empty() && spec.last == 1 && numbered
            }
            OperatorSpec::Project { .. } | OperatorSpec::Filter { .. } => {
                self.has_one_row(self.nodes[node].inputs[0])
            }
            _ => false,
        }
    }

    /// Whether all rows come from tables, which keep them anyway.
    pub(in crate::streaming) fn is_bounded(&self, node: NodeIndex) -> bool {
        match &self.nodes[node].spec {
            OperatorSpec::Input { object, .. } => of_tables(self.catalog, *object),
            _ => {
                let inputs = self.nodes[node].inputs.iter();
                inputs.into_iter().all(|input| self.is_bounded(*input))
            }
        }
    }

    /// The columns of the result that identify a row, if there are such.
    fn joined_key(&self, joined: &Joined<'_>, sides: [NodeIndex; 2]) -> Vec<usize> {
        let [left_width, right_width] =
            [Side::Left, Side::Right].map(|side| joined.schema(side).fields().len());
        let own = |side: Side, width: usize| {
            let properties = self.properties(sides[side.port()]);
            let keyed = properties.mode != ChangelogMode::Append && !properties.key.is_empty();
            let visible = properties.key.iter().all(|column| *column < width);
            (keyed && visible).then(|| properties.key.clone())
        };
        let left = own(Side::Left, left_width);
        if !joined.kind.pairs() {
            return left.unwrap_or_default();
        }
        let right = own(Side::Right, right_width);
        // A side whose whole key is compared gives at most one partner.
        let one = |side: Side, key: &Option<Vec<usize>>| {
            if self.has_one_row(sides[side.port()]) {
                return true;
            }
            let compared = self.compared_columns(joined, side);
            let schema = &self.properties(sides[side.port()]).schema;
            // DataFusion adds this constant to the groups of a subquery that correlates.
            let same = |column: &usize| {
                compared.contains(column) || schema.field(*column).name() == "__always_true"
            };
            key.as_ref().is_some_and(|key| key.iter().all(same))
        };
        let shift = |key: Vec<usize>| key.into_iter().map(move |column| column + left_width);
        let keeps_right = joined.kind.keeps(Side::Right);
        let keeps_left = joined.kind.keeps(Side::Left);
        if one(Side::Right, &right) && !keeps_right && left.is_some() {
            return left.unwrap_or_default();
        }
        if one(Side::Left, &left) && !keeps_left && right.is_some() {
            return right.map(shift).into_iter().flatten().collect();
        }
        match (left, right) {
            (Some(left), Some(right)) => left.into_iter().chain(shift(right)).collect(),
            _ => Vec::new(),
        }
    }

    fn compared_columns(&self, joined: &Joined<'_>, side: Side) -> Vec<usize> {
        let schema = joined.schema(side);
        let pairs = joined.conditions.equal.iter();
        let exprs = pairs.map(|(left, right)| match side {
            Side::Left => left,
            Side::Right => right,
        });
        let columns = exprs.filter_map(|expr| match expr {
            Expr::Column(column) => schema.maybe_index_of_column(column),
            _ => None,
        });
        columns.collect()
    }
}

/// Whether an object is a table, or a view of tables only.
fn of_tables(catalog: &CatalogSnapshot, object: ObjectId) -> bool {
    let mut open: Vec<ObjectNumber> = vec![object.0];
    while let Some(number) = open.pop() {
        let Some(found) = catalog.by_id(number) else {
            return false;
        };
        match &found.def.kind {
            ObjectKind::Table(_) | ObjectKind::Function(_) => {}
            // What it reads is among what its reader depends on.
            ObjectKind::PlainView(_) => {}
            ObjectKind::View(_) => open.extend(&found.def.depends_on),
            ObjectKind::Source(_) | ObjectKind::Sink(_) => return false,
        }
    }
    true
}
