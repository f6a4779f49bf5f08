//! Rows at several distances from their times: the left side of a `HORIZON JOIN`.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::logical_expr::UserDefinedLogicalNodeCore;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::horizon::HorizonSpec;
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::time::nanos_per;

use crate::error::{Cause, PlanError};
use crate::logical::horizon_node::HorizonNode;
use crate::streaming::{Compiler, arrow_schema, require_append};

impl Compiler<'_> {
    pub(super) fn horizon(&mut self, node: &HorizonNode) -> Result<NodeIndex, PlanError> {
        let input = self.node(node.input(), Emit::OnClose { delay_nanos: 0 })?;
        require_append(self.properties(input), "HORIZON JOIN")?;
        let time = node.time_index().map_err(|error| self.ours(&error))?;
        self.check_event_time(input, time)?;
        let before = self.properties(input);
        let width = node.input().schema().fields().len();
        if before.schema.fields().len() != width {
            return Err(PlanError::internal("a horizon's input has hidden columns"));
        }
        let stamp = before.schema.field(time).data_type();
        let unit = match stamp {
            DataType::Timestamp(unit, _) => nanos_per(*unit),
            _ => 1,
        };
        if node.offsets_nanos().iter().any(|offset| offset % unit != 0) {
            let message = "the distances of HORIZON JOIN are finer than the time column".to_owned();
            let error = PlanError::new(Cause::Window { message });
            return Err(error.hint("Declare the time column with more digits: TIMESTAMP(9)."));
        }
        let made = arrow_schema(UserDefinedLogicalNodeCore::schema(node));
        let own = made.fields().iter().skip(width);
        let fields = before.schema.fields().iter().chain(own).map(Arc::clone);
        let properties = StreamProperties {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            event_time: node.timestamp_index(),
            state: StateBound::None,
            ..before.clone()
        };
        let spec = OperatorSpec::Horizon(HorizonSpec {
            time,
            offsets_nanos: node.offsets_nanos().to_vec(),
        });
        Ok(self.push(spec, vec![input], properties))
    }
}
