//! Joins: which operator runs one, and what it is told.
//!
//! By event time where the condition bounds how far the two event times lie apart (interval and
//! window joins) or asks for the latest row (ASOF and temporal joins): state is then freed as event
//! time passes. Otherwise a regular join, which keeps rows by key or for a declared time.

pub mod asof;
mod asof_tables;
pub mod bounds;
pub mod condition;
pub mod interval;
pub mod lookup;
pub mod push;
pub mod regular;

use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::logical_plan::Join;
use datafusion::logical_expr::{Expr, LogicalPlan};
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::join::{JoinColumn, JoinKind, KeyPair, Side};
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::window::WindowSpec;
use rtsap_stream::change::ChangelogMode;

use std::sync::Arc;

use crate::error::{Cause, PlanError};
use crate::logical::join_marker;
use crate::parse::lexeme::lexemes;
use crate::streaming::{Compiler, refuse};
use condition::Conditions;

/// A join with its sides in the order in which the operators want them.
pub(super) struct Joined<'a> {
    pub kind: JoinKind,
    /// By port.
    pub plans: [&'a LogicalPlan; 2],
    /// The columns of both sides.
    pub both: DFSchema,
    /// What must hold.
    pub conditions: Conditions,
}

impl Joined<'_> {
    pub fn schema(&self, side: Side) -> &DFSchema {
        self.plans[side.port()].schema()
    }
}

impl Compiler<'_> {
    pub(super) fn join(&mut self, join: &Join, emit: Emit) -> Result<NodeIndex, PlanError> {
        let compiled = match join.filter.as_ref().and_then(join_marker::of) {
            Some(marker) => self.asof_join(join, &marker),
            None => self.plain_join(join, emit),
        };
        compiled.map_err(|error| self.at_join(error))
    }

    fn plain_join(&mut self, join: &Join, emit: Emit) -> Result<NodeIndex, PlanError> {
        let joined = self.joined(join)?;
        let before = self.nodes.len();
        // What is joined by time must never change, so windows below close before they show.
        let closing = match emit {
            Emit::Changes => Emit::OnClose { delay_nanos: 0 },
            closing @ Emit::OnClose { .. } => closing,
        };
        let sides = self.finding_late(true, |compiler| compiler.sides(&joined, closing));
        let mut changing = None;
        if let Ok(sides) = sides
            && let Some(bounds) = self.time_bounds(&joined, sides)?
        {
            let mut sides_append = sides.into_iter();
            let refused = sides_append
                .try_for_each(|side| self.require_append_side(side, "an interval join"));
            match refused {
                Ok(()) => return self.interval_join(&joined, sides, bounds),
                Err(refused) => {
                    let hint = "Say how long rows are kept: CREATE STREAMING VIEW … WITH \
                                (state_ttl = '1 hour'); or write EMIT ON WINDOW CLOSE in the view \
                                that it reads.";
                    changing = Some(refused.hint(hint));
                }
            }
        }
        self.truncate(before);
        let sides = self.sides(&joined, closing)?;
        // Rows that change are joined for as long as they are there, whatever their times are.
        match (self.regular_join(&joined, sides), changing) {
            (Err(_), Some(refused)) => Err(refused),
            (joined, _) => joined,
        }
    }

    fn sides(&mut self, joined: &Joined<'_>, emit: Emit) -> Result<[NodeIndex; 2], PlanError> {
        let [left, right] = joined.plans;
        Ok([self.node(left, emit)?, self.node(right, emit)?])
    }

    /// The join with right semi and anti joins turned round.
    pub(super) fn joined<'j>(&self, join: &'j Join) -> Result<Joined<'j>, PlanError> {
        let (kind, turned) = match join.join_type {
            JoinType::Inner => (JoinKind::Inner, false),
            JoinType::Left => (JoinKind::Left, false),
            JoinType::Right => (JoinKind::Right, false),
            JoinType::Full => (JoinKind::Full, false),
            JoinType::LeftSemi => (JoinKind::LeftSemi, false),
            JoinType::LeftAnti => (JoinKind::LeftAnti, false),
            JoinType::RightSemi => (JoinKind::LeftSemi, true),
            JoinType::RightAnti => (JoinKind::LeftAnti, true),
            JoinType::LeftMark | JoinType::RightMark => {
                let error = PlanError::unsupported("a subquery joined with OR in a streaming view");
                return Err(error.hint("Write one view for each alternative, and UNION ALL them."));
            }
        };
        if join.null_aware {
            let error = PlanError::unsupported("NOT IN (SELECT …) in a streaming view");
            return Err(
                error.hint("Write NOT EXISTS (SELECT 1 FROM … WHERE …), or LEFT ANTI JOIN … ON ….")
            );
        }
        if join.null_equality == NullEquality::NullEqualsNull {
            let error = PlanError::unsupported("a join in which nulls are equal");
            return Err(error.hint("Join on columns that are not null."));
        }
        let plans = if turned {
            [join.right.as_ref(), join.left.as_ref()]
        } else {
            [join.left.as_ref(), join.right.as_ref()]
        };
        let [left, right] = plans.map(LogicalPlan::schema);
        let both = left.join(right).map_err(|error| self.ours(&error))?;
        let pairs = join.on.iter().map(|(left, right)| match turned {
            true => (right.clone(), left.clone()),
            false => (left.clone(), right.clone()),
        });
        let conditions = Conditions::of(pairs.collect(), join.filter.clone(), left, right);
        for expr in conditions.all() {
            if let Some(error) = refuse::wrong_expression(expr, &both) {
                return Err(error);
            }
        }
        Ok(Joined {
            kind,
            plans,
            both,
            conditions,
        })
    }

    /// The keys as physical expressions.
    pub(super) fn join_keys(
        &self,
        joined: &Joined<'_>,
        pairs: &[(Expr, Expr)],
    ) -> Result<Vec<KeyPair>, PlanError> {
        let mut keys = Vec::with_capacity(pairs.len());
        for (left, right) in pairs {
            keys.push((
                self.physical(left, joined.schema(Side::Left))?,
                self.physical(right, joined.schema(Side::Right))?,
            ));
        }
        Ok(keys)
    }

    /// The columns of the result: what is visible of the left side, then of the right one. `nulls`
    /// says which side's may be null because a row has no partner.
    pub(super) fn join_output(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        nulls: [bool; 2],
    ) -> (Vec<JoinColumn>, SchemaRef) {
        let mut columns = Vec::new();
        let mut fields = Vec::new();
        for side in [Side::Left, Side::Right] {
            if side == Side::Right && !joined.kind.pairs() {
                continue;
            }
            let schema = &self.properties(sides[side.port()]).schema;
            for index in 0..joined.schema(side).fields().len() {
                let field = schema.field(index);
                let nullable = field.is_nullable() || nulls[side.port()];
                columns.push(JoinColumn { side, index });
                fields.push(Field::new(
                    field.name(),
                    field.data_type().clone(),
                    nullable,
                ));
            }
        }
        (columns, Arc::new(Schema::new(fields)))
    }

    /// The remaining conditions as one expression over the columns of both inputs, hidden ones too.
    pub(super) fn join_residual(
        &self,
        joined: &Joined<'_>,
        sides: [NodeIndex; 2],
        rest: &[Expr],
    ) -> Result<Option<Arc<dyn datafusion::physical_expr::PhysicalExpr>>, PlanError> {
        let Some(condition) = datafusion::logical_expr::utils::conjunction(rest.to_vec()) else {
            return Ok(None);
        };
        let visible = joined.schema(Side::Left).fields().len();
        if self.properties(sides[0]).schema.fields().len() == visible {
            return self.physical(&condition, &joined.both).map(Some);
        }
        // The left input's hidden columns stand between its visible ones and the right input's.
        let hidden = self
            .properties(sides[0])
            .schema
            .fields()
            .iter()
            .skip(visible);
        let mut fields: Vec<_> = joined
            .schema(Side::Left)
            .iter()
            .map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)))
            .collect();
        for (index, field) in hidden.enumerate() {
            let name = format!("__hidden_{index}");
            fields.push((None, Arc::new(field.as_ref().clone().with_name(name))));
        }
        for (qualifier, field) in joined.schema(Side::Right).iter() {
            fields.push((qualifier.cloned(), Arc::clone(field)));
        }
        let schema = DFSchema::new_with_metadata(fields, std::collections::HashMap::new())
            .map_err(|error| self.ours(&error))?;
        self.physical(&condition, &schema).map(Some)
    }

    /// Refuses a side whose rows change.
    pub(super) fn require_append_side(
        &self,
        node: NodeIndex,
        operator: &str,
    ) -> Result<(), PlanError> {
        if self.properties(node).mode == ChangelogMode::Append {
            return Ok(());
        }
        let error = PlanError::new(Cause::UpdatingInput {
            operator: operator.to_owned(),
            mode: self.properties(node).mode,
        });
        let detail = "Rows of its input change after they were read: the input is an open window, \
                      an aggregation, or a table with a primary key.";
        Err(error.detail(detail).hint(
            "Join it by its key alone, without a condition on time; or write EMIT ON WINDOW CLOSE \
             in the view that it reads.",
        ))
    }

    /// The error at the word JOIN, or at the comma's FROM, if it has no position yet.
    fn at_join(&self, error: PlanError) -> PlanError {
        if error.position().is_some() || !is_about_joins(error.cause()) {
            return error;
        }
        self.at_word(error, "JOIN")
    }

    /// The error at the first such word, or at FROM.
    pub(super) fn at_word(&self, error: PlanError, word: &str) -> PlanError {
        let tokens = lexemes(self.text).unwrap_or_default();
        let find = |word| tokens.iter().find(|lexeme| lexeme.is_word(word));
        match find(word).or_else(|| find("FROM")) {
            Some(lexeme) => error.at(lexeme.position),
            None => error,
        }
    }

    pub(super) fn has_windows(&self, node: NodeIndex) -> bool {
        self.windows_of(node).is_some()
    }

    /// Whether rows stand in several windows of one start.
    pub(super) fn cumulates(&self, node: NodeIndex) -> bool {
        let windows = self.windows_of(node);
        windows.is_some_and(|windows| matches!(windows, WindowSpec::Cumulate { .. }))
    }

    /// The windows that a node puts rows into, through what passes rows on as they are.
    fn windows_of(&self, node: NodeIndex) -> Option<&WindowSpec> {
        match &self.nodes[node].spec {
            OperatorSpec::WindowAssign { window, .. } => Some(window),
            OperatorSpec::Project { .. } | OperatorSpec::Filter { .. } => {
                self.windows_of(self.nodes[node].inputs[0])
            }
            _ => None,
        }
    }
}

/// Where column `index` of a side stands in the result.
pub(super) fn place(output: &[JoinColumn], side: Side, index: usize) -> Option<usize> {
    let wanted = JoinColumn { side, index };
    output.iter().position(|column| *column == wanted)
}

fn is_about_joins(cause: &Cause) -> bool {
    match cause {
        Cause::Unsupported { what } => what.contains("join") || what.contains("JOIN"),
        Cause::UnboundedState { node: operator } | Cause::UpdatingInput { operator, .. } => {
            operator.contains("join") || operator.contains("JOIN")
        }
        Cause::NotEventTime { .. } => false,
        _ => false,
    }
}
