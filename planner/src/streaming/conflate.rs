//! What an `EMIT` clause asks of a plan: windows that close, windows that change, the last row of
//! each key.

use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::Sort;
use rtsap_plan::graph::Node;
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::rank::Numbering;
use rtsap_stream::change::ChangelogMode;

use crate::error::{Cause, PlanError, nearest};
use crate::parse::emit::EmitClause;
use crate::streaming::Compiler;
use crate::streaming::top_n::Ranking;

impl Compiler<'_> {
    /// Checks that the plan has what the clause speaks of.
    pub(super) fn check_emit(&self, clause: &EmitClause) -> Result<(), PlanError> {
        if clause.lateness_nanos > 0 {
            self.check_changes("ALLOW LATENESS")?;
        }
        match clause.emit {
            Emit::OnClose { .. } => self.check_closes(),
            Emit::Changes => Ok(()),
        }
    }

    /// `CONFLATE BY a, b`: of the rows of each `a` and `b` the latest by event time.
    pub(super) fn conflate(
        &mut self,
        columns: &[(String, u32)],
        schema: &DFSchema,
    ) -> Result<(), PlanError> {
        let Some(node) = self
            .nodes
            .len()
            .checked_sub(1)
            .filter(|_| !columns.is_empty())
        else {
            return Ok(());
        };
        let mut by = Vec::with_capacity(columns.len());
        for (name, position) in columns {
            let place = schema
                .fields()
                .iter()
                .position(|field| field.name() == name);
            let Some(place) = place else {
                let known = schema.fields().iter().map(|field| field.name().as_str());
                let hint = nearest(name, known);
                let error = PlanError::new(Cause::UnknownColumn { name: name.clone() });
                return Err(error.at(*position).maybe_hint(hint));
            };
            by.push(place);
        }
        let properties = self.properties(node);
        let keyed = properties.mode != ChangelogMode::Append && !properties.key.is_empty();
        if keyed && properties.key.iter().all(|column| by.contains(column)) {
            // There is one row of each at most as it is.
            return Ok(());
        }
        let Some(time) = properties.event_time else {
            let error = PlanError::unsupported("CONFLATE BY without an event time in the result");
            let hint = "Select the event-time column: it says which row is the latest.";
            return Err(error.hint(hint));
        };
        let column = |place: usize| Expr::from(schema.qualified_field(place));
        let partition: Vec<Expr> = by.iter().map(|place| column(*place)).collect();
        let order = [Sort::new(column(time), false, false)];
        let latest = self.rank(Ranking {
            input: node,
            schema,
            partition: &partition,
            order: &order,
            numbering: Numbering::RowNumber,
            first: 1,
            last: 1,
            numbered: false,
            emit: Emit::Changes,
        })?;
        let visible: Vec<Expr> = schema.iter().map(Expr::from).collect();
        self.project_onto(latest, &visible, schema, schema)?;
        Ok(())
    }

    /// `EMIT ON WINDOW CLOSE` needs a window that closes.
    fn check_closes(&self) -> Result<(), PlanError> {
        let closes = |node: &Node| match &node.spec {
            OperatorSpec::WindowAggregate(_)
            | OperatorSpec::SessionAggregate(_)
            | OperatorSpec::Over(_) => true,
            OperatorSpec::TopN(spec) => spec.emit != Emit::Changes,
            _ => false,
        };
        if self.nodes.iter().any(closes) {
            return Ok(());
        }
        let message = "EMIT ON WINDOW CLOSE needs an aggregation by window".to_owned();
        let hint = "Add FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE) and \
                    GROUP BY window_start, \
                    or leave the clause out.";
        Err(PlanError::new(Cause::Emit { message }).hint(hint))
    }

    /// Allowed lateness needs a window that shows as it changes.
    fn check_changes(&self, clause: &str) -> Result<(), PlanError> {
        let changes = |node: &Node| match &node.spec {
            OperatorSpec::WindowAggregate(spec) => spec.emit == Emit::Changes,
            OperatorSpec::SessionAggregate(spec) => spec.aggregate.emit == Emit::Changes,
            _ => false,
        };
        if self.nodes.iter().any(changes) {
            return Ok(());
        }
        let message = format!("{clause} needs an aggregation by window that shows as it changes");
        let hint = "Group by a window, or declare a longer delay in WATERMARK FOR.";
        Err(PlanError::new(Cause::Emit { message }).hint(hint))
    }
}
