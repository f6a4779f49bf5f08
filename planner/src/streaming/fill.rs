//! Rows for windows without rows: `SAMPLE BY … FILL(…)`.

use std::sync::Arc;

use datafusion::arrow::datatypes::Schema;
use datafusion::logical_expr::UserDefinedLogicalNodeCore;
use rtsap_plan::fill::{FillSpec, Filling};
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};

use crate::error::PlanError;
use crate::logical::fill_node::{FillColumn, FillNode};
use crate::streaming::{Compiler, arrow_schema, require_append};

impl Compiler<'_> {
    pub(super) fn fill(&mut self, node: &FillNode, emit: Emit) -> Result<NodeIndex, PlanError> {
        // Only a window that is closed is known to have no rows.
        let below = match emit {
            Emit::Changes => Emit::OnClose { delay_nanos: 0 },
            emit => emit,
        };
        let mut input = self.node(node.input(), below)?;
        require_append(self.properties(input), "FILL")?;
        let columns: Vec<Filling> = node.columns().iter().map(filling).collect();
        let Some(time) = columns.iter().position(|column| *column == Filling::Start) else {
            return Err(PlanError::internal("a fill without a start"));
        };
        self.check_event_time(input, time)?;
        let schema = arrow_schema(UserDefinedLogicalNodeCore::schema(node));
        let before = self.properties(input).clone();
        if before.schema.fields().len() != schema.fields().len() {
            return Err(PlanError::internal("a fill's input has hidden columns"));
        }
        let fields = before.schema.fields().iter().zip(schema.fields());
        let fields = fields.map(|(found, wanted)| {
            let nullable = found.is_nullable() || wanted.is_nullable();
            Arc::new(found.as_ref().clone().with_nullable(nullable))
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        if schema != before.schema {
            input = self.with_schema(input, &schema)?;
        }
        let spec = FillSpec {
            window: node.window(),
            time,
            columns,
        };
        let properties = StreamProperties {
            schema,
            // A row on a line comes after event time has passed it.
            event_time: (!spec.waits()).then_some(time),
            state: StateBound::PerKey,
            ..before
        };
        Ok(self.push(OperatorSpec::Fill(spec), vec![input], properties))
    }
}

fn filling(column: &FillColumn) -> Filling {
    match column {
        FillColumn::Start => Filling::Start,
        FillColumn::Key => Filling::Key,
        FillColumn::Previous => Filling::Previous,
        FillColumn::Linear => Filling::Linear,
        FillColumn::Value(value) => Filling::Value(value.clone()),
    }
}
