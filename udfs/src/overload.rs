//! One name, two functions: `stddev(x)` aggregates numbers and `stddev(summary)` reads a part of
//! what `stats_agg` gives; `vwap(price, size)` aggregates and `vwap(candlestick)` reads a field.
//! The type of the argument decides.
//!
//! DataFusion looks a name up among scalars first and would never reach the aggregate, so only
//! the aggregate carries the name. It plans a call of an aggregate without the types of columns,
//! but fields with them: whoever plans text writes a call that may mean either ([`is_shared`]) as
//! if it were a struct whose field [`PART`] is read, and this planner puts the accessor or the
//! aggregate itself in that place, before argument types are checked.

use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, lit};

use crate::scalar::{accessor, statistic};

/// The field that marks a call whose name an aggregate and an accessor share.
pub const PART: &str = "part of a summary, or an aggregate";

/// What an accessor reads.
#[derive(Clone, Copy, Debug)]
struct Shared {
    /// The part.
    part: &'static str,
    /// What is given as its method; by default the call decides.
    method: Option<&'static str>,
}

/// Aggregates whose names are those of accessors too, by all their names.
const SHARED: [(&str, Shared); 16] = [
    ("avg", shared("average")),
    ("corr", shared("corr")),
    ("kurtosis", shared("kurtosis")),
    ("mean", shared("average")),
    ("skew", shared("skewness")),
    ("skewness", shared("skewness")),
    ("stddev", shared("stddev")),
    ("stddev_pop", population("stddev")),
    ("stddev_samp", shared("stddev")),
    ("sum", shared("sum")),
    ("var", shared("variance")),
    ("var_pop", population("variance")),
    ("var_population", population("variance")),
    ("var_samp", shared("variance")),
    ("var_sample", shared("variance")),
    ("variance", shared("variance")),
];

/// Aggregates that give a summary.
const SUMMARIES: [&str; 6] = [
    "percentile_agg",
    "rollup",
    "stats_agg",
    "tdigest",
    "time_weight",
    "uddsketch",
];

const fn shared(part: &'static str) -> Shared {
    Shared { part, method: None }
}

const fn population(part: &'static str) -> Shared {
    Shared {
        part,
        method: Some("population"),
    }
}

/// Returns whether a call of `name`, in lower case, may mean an aggregate or a part of a summary.
#[must_use]
pub fn is_shared(name: &str) -> bool {
    of_name(name).is_some()
}

fn of_name(name: &str) -> Option<Shared> {
    let found = SHARED.iter().find(|(known, _)| *known == name);
    found.map(|(_, shared)| *shared)
}

/// Resolves names that stand for an aggregate and for a scalar by the arguments.
#[derive(Debug)]
pub(crate) struct OverloadPlanner;

impl ExprPlanner for OverloadPlanner {
    fn plan_aggregate(&self, call: RawAggregateExpr) -> Result<PlannerResult<RawAggregateExpr>> {
        let is_plain = !call.distinct && call.filter.is_none() && call.order_by.is_empty();
        if !is_plain || call.args.is_empty() {
            return Ok(PlannerResult::Original(call));
        }
        if call.func.name() == "vwap" && call.args.len() == 1 {
            let function = ScalarFunction::new_udf(accessor::function("vwap"), call.args);
            return Ok(PlannerResult::Planned(Expr::ScalarFunction(function)));
        }
        // There is no aggregate of an aggregate.
        let of_summary = matches!(&call.args[0], Expr::AggregateFunction(inner)
            if SUMMARIES.contains(&inner.func.name()));
        let shared = of_name(call.func.name()).filter(|_| of_summary);
        let part = shared.and_then(|shared| part(shared, &call.args));
        Ok(part.map_or(PlannerResult::Original(call), PlannerResult::Planned))
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let is_marked = matches!(&access.field_access, GetFieldAccess::NamedStructField {
            name: ScalarValue::Utf8(Some(name)),
        } if name == PART);
        if !is_marked {
            return Ok(PlannerResult::Original(access));
        }
        let part = part_of(&access.expr, schema);
        Ok(PlannerResult::Planned(part.unwrap_or(access.expr)))
    }
}

/// The part that a call of an aggregate means, if its argument is a summary.
fn part_of(called: &Expr, schema: &DFSchema) -> Option<Expr> {
    let call = match called {
        Expr::Alias(alias) => alias.expr.as_ref(),
        other => other,
    };
    let Expr::AggregateFunction(AggregateFunction { func, params }) = call else {
        return None;
    };
    let shared = of_name(func.name())?;
    let summary = params.args.first()?.get_type(schema).ok()?;
    if !statistic::is_summary(&summary) {
        return None;
    }
    let part = part(shared, &params.args)?;
    // The column is called as the call was written.
    let (name, wanted) = (part.schema_name().to_string(), called.schema_name());
    let wanted = wanted.to_string();
    Some(match name == wanted {
        true => part,
        false => part.alias(wanted),
    })
}

fn part(shared: Shared, arguments: &[Expr]) -> Option<Expr> {
    let mut arguments = arguments.to_vec();
    arguments.extend(shared.method.map(lit));
    let function = statistic::function(shared.part)?;
    let call = ScalarFunction::new_udf(function, arguments);
    Some(Expr::ScalarFunction(call))
}

#[cfg(test)]
mod tests;
