//! One name, two functions: `vwap(price, size)` aggregates and `vwap(candlestick)` reads a field.
//!
//! DataFusion looks a name up among scalars first and would never reach the aggregate, so only
//! the aggregate carries the name, and this planner turns its one-argument form into the
//! accessor before argument types are checked. So it does with `skewness(stats_agg(x))`: there is
//! no aggregate of an aggregate.

use datafusion::common::Result;
use datafusion::functions::core::expr_fn::get_field;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawAggregateExpr};

use crate::scalar::accessor;

/// Resolves names that stand for an aggregate and for a scalar by the arguments.
#[derive(Debug)]
pub(crate) struct OverloadPlanner;

impl ExprPlanner for OverloadPlanner {
    fn plan_aggregate(&self, call: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        let is_plain = !call.distinct && call.filter.is_none() && call.order_by.is_empty();
        if call.func.name() == "vwap" && call.args.len() == 1 && is_plain {
            let function = ScalarFunction::new_udf(accessor::function("vwap"), call.args);
            return Ok(PlannerResult::Planned(Expr::ScalarFunction(function)));
        }
        if call.func.name() == "skewness"
            && is_plain
            && let [statistics @ Expr::AggregateFunction(_)] = call.args.as_slice()
        {
            let part = get_field(statistics.clone(), "skewness");
            return Ok(PlannerResult::Planned(part));
        }
        Ok(PlannerResult::Original(call))
    }
}
