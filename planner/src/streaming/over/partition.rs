//! `OVER` of rows that are all kept anyway: of tables, and of rows that change. Each change of a
//! partition computes it anew, so calls may look anywhere, in any order.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::Window;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::OperatorSpec;
use rtsap_plan::over::{OverFunction, PartitionOverSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};
use rtsap_stream::change::ChangelogMode;

use crate::error::PlanError;
use crate::streaming::Compiler;

impl Compiler<'_> {
    /// Whether no more rows of `input` can be kept than there are.
    pub(in crate::streaming) fn keeps_all_rows(&self, input: NodeIndex) -> bool {
        self.properties(input).mode != ChangelogMode::Append || self.is_bounded(input)
    }

    /// The calls of `window`, whose partition and order are those of `first`, over all rows of
    /// `input`.
    pub(super) fn over_partition(
        &mut self,
        window: &Window,
        first: &WindowFunction,
        input: NodeIndex,
    ) -> Result<NodeIndex, PlanError> {
        let schema = window.input.schema();
        let mut calls = Vec::with_capacity(window.window_expr.len());
        for expr in &window.window_expr {
            match self.over_kept(expr, schema)? {
                OverFunction::Kept(call) => calls.push(call),
                _ => return Err(PlanError::internal("a call without its rows")),
            }
        }
        let (partition, order) = self.places(first, schema)?;
        let before = self.properties(input).clone();
        let mut fields: Vec<Arc<Field>> = before.schema.fields().iter().map(Arc::clone).collect();
        for (_, field) in window.schema.iter().skip(schema.fields().len()) {
            let field = Field::new(field.name(), field.data_type().clone(), field.is_nullable());
            fields.push(Arc::new(field));
        }
        let (visible, added) = (schema.fields().len(), calls.len());
        let properties = StreamProperties {
            schema: Arc::new(Schema::new(fields)),
            mode: ChangelogMode::Retract,
            key: before.key,
            event_time: None,
            state: StateBound::PerRow,
        };
        let spec = OperatorSpec::PartitionOver(PartitionOverSpec {
            partition,
            order,
            calls,
        });
        let node = self.push(spec, vec![input], properties);
        Ok(self.hidden_behind(node, visible, added))
    }

    /// The columns of `node` with those that are hidden, from `visible` on, behind the `added` last
    /// ones.
    fn hidden_behind(&mut self, node: NodeIndex, visible: usize, added: usize) -> NodeIndex {
        let before = self.properties(node).clone();
        let width = before.schema.fields().len();
        let hidden = width - visible - added;
        if hidden == 0 {
            return node;
        }
        let places = (0..visible).chain(visible + hidden..width);
        let places: Vec<usize> = places.chain(visible..visible + hidden).collect();
        let exprs = places.iter().map(|place| {
            let name = before.schema.field(*place).name();
            Arc::new(Column::new(name, *place)) as Arc<dyn PhysicalExpr>
        });
        let fields = places
            .iter()
            .map(|place| before.schema.field(*place).clone());
        let place = |column: &usize| places.iter().position(|place| place == column);
        let properties = StreamProperties {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            key: before.key.iter().filter_map(place).collect(),
            state: StateBound::None,
            ..before
        };
        let exprs = exprs.collect();
        self.push(OperatorSpec::Project { exprs }, vec![node], properties)
    }
}
