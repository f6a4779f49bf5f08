//! Filters over casts that lose something. DataFusion reads `ts::date = '2024-05-02'` backwards as
//! `ts = '2024-05-02 00:00'`, takes `ts` for a constant, and leaves out the sort by it. What it
//! cannot read it does not conclude from.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::ColumnarValue;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{CastExpr, TryCastExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use rtsap_planner::streaming::in_order::in_order;

/// Hides such conditions; to be run before sorts are left out.
#[derive(Debug)]
pub(crate) struct HideCasts;

impl PhysicalOptimizerRule for HideCasts {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        with_predicates(plan, |filter| {
            let hidden = || Arc::new(Hidden(Arc::clone(filter.predicate()))) as Arc<_>;
            Ok(has_cast(filter.predicate())?.then(hidden))
        })
    }

    fn name(&self) -> &str {
        "hide_casts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Conditions joined by `AND`, one after the other; to be run after filters have found their
/// places.
#[derive(Debug)]
pub(crate) struct ConditionsInOrder;

impl PhysicalOptimizerRule for ConditionsInOrder {
    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        with_predicates(plan, |filter| {
            let schema = filter.input().schema();
            // What casts hide is one condition to whoever looks.
            let predicate: Arc<dyn PhysicalExpr> = match filter.predicate().downcast_ref() {
                Some(Hidden(inner)) => Arc::new(Hidden(in_order(Arc::clone(inner), &schema)?)),
                None => in_order(Arc::clone(filter.predicate()), &schema)?,
            };
            Ok(Some(predicate))
        })
    }

    fn name(&self) -> &str {
        "conditions_in_order"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// The plan with the conditions that `of` gives for its filters.
fn with_predicates(
    plan: Arc<dyn ExecutionPlan>,
    of: impl Fn(&FilterExec) -> Result<Option<Arc<dyn PhysicalExpr>>>,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let Some(filter) = node.downcast_ref::<FilterExec>() else {
            return Ok(Transformed::no(node));
        };
        let Some(predicate) = of(filter)? else {
            return Ok(Transformed::no(node));
        };
        let filter = FilterExecBuilder::from(filter).with_predicate(predicate);
        Ok(Transformed::yes(Arc::new(filter.build()?)))
    })
    .data()
}

fn has_cast(expr: &Arc<dyn PhysicalExpr>) -> Result<bool> {
    let mut found = false;
    expr.apply(|expr| {
        let cast = expr.downcast_ref::<CastExpr>().is_some();
        found |= cast || expr.downcast_ref::<TryCastExpr>().is_some();
        Ok::<_, DataFusionError>(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// A condition that is computed and not looked into.
#[derive(Debug, Eq)]
struct Hidden(Arc<dyn PhysicalExpr>);

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq(&other.0)
    }
}

impl Hash for Hidden {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl fmt::Display for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl PhysicalExpr for Hidden {
    fn data_type(&self, schema: &Schema) -> Result<DataType> {
        self.0.data_type(schema)
    }

    fn nullable(&self, schema: &Schema) -> Result<bool> {
        self.0.nullable(schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        self.0.evaluate(batch)
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.0]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        match children.into_iter().next() {
            Some(inner) => Ok(Arc::new(Self(inner))),
            None => Ok(self),
        }
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}
