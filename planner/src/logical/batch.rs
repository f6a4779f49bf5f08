//! Windows in reads: turns a [`WindowNode`] into plain expressions, so that any DataFusion session
//! can run it over rows at rest. Streaming views never come here.
//!
//! `WindowAssign(t)` becomes the list of window starts of each row, unnested, with end and time
//! computed from the start.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int64Type, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::planner::RelationPlanner;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Extension, LogicalPlan, LogicalPlanBuilder, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col,
};
use datafusion::optimizer::AnalyzerRule;
use rtsap_plan::window::WindowSpec;
use rtsap_stream::time::nanos_per;

use crate::error::PlanError;
use crate::logical::subquery;
use crate::logical::window_node::{WINDOW_COLUMNS, WindowNode};
use crate::logical::window_tvf::WindowPlanner;
use crate::streaming::unnest::beside_their_rows;

/// What a session needs to run windows in reads.
#[derive(Debug, Clone)]
pub struct BatchExtension {
    /// For `SessionStateBuilder::with_relation_planners`: plans `TUMBLE(…)` and `HOP(…)` in `FROM`.
    pub relation_planner: Arc<dyn RelationPlanner>,
    /// For `SessionStateBuilder::with_analyzer_rule`, after DataFusion's own: makes them plain
    /// expressions.
    pub analyzer_rule: Arc<dyn AnalyzerRule + Send + Sync>,
    /// Likewise, but first: brings subqueries into forms that DataFusion's optimizer knows.
    pub subquery_rule: Arc<dyn AnalyzerRule + Send + Sync>,
}

/// What a session needs to run windows in reads.
pub fn batch_extension() -> BatchExtension {
    BatchExtension {
        relation_planner: Arc::new(WindowPlanner),
        analyzer_rule: Arc::new(WindowsToExpressions),
        subquery_rule: Arc::new(SubqueriesToCounts),
    }
}

/// Subqueries as values have all three answers, `LATERAL` may have a `LIMIT`, and lists of a row
/// have their elements beside it.
#[derive(Debug)]
struct SubqueriesToCounts;

impl AnalyzerRule for SubqueriesToCounts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        subquery::plain(beside_their_rows(plan)?)
    }

    fn name(&self) -> &str {
        "subqueries_to_counts"
    }
}

#[derive(Debug)]
struct WindowsToExpressions;

impl AnalyzerRule for WindowsToExpressions {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let transformed = plan.transform_up_with_subqueries(|node| {
            let LogicalPlan::Extension(Extension { node: extension }) = &node else {
                return Ok(Transformed::no(node));
            };
            match extension.as_any().downcast_ref::<WindowNode>() {
                Some(window) => expand(window).map(Transformed::yes),
                None => Ok(Transformed::no(node)),
            }
        })?;
        Ok(transformed.data)
    }

    fn name(&self) -> &str {
        "windows_to_expressions"
    }
}

/// The name of the list column while the plan is built.
const ENDS: &str = "__window_ends";

fn expand(node: &WindowNode) -> Result<LogicalPlan> {
    if let WindowSpec::Session { .. } = node.window() {
        let error = PlanError::unsupported("SESSION outside of a streaming view");
        return Err(error
            .hint("Put it into CREATE STREAMING VIEW and read that.")
            .into());
    }
    let schema = node.input().schema();
    let mut exprs: Vec<Expr> = schema.iter().map(Expr::from).collect();
    let ends = ScalarUDF::from(WindowEnds::new(node.window()));
    exprs.push(ends.call(vec![node.time().clone()]).alias(ENDS));
    let unnested = LogicalPlanBuilder::from(node.input().clone())
        .project(exprs)?
        .unnest_column(ENDS)?
        .build()?;
    let width = schema.fields().len();
    let mut exprs: Vec<Expr> = schema.iter().map(Expr::from).collect();
    for (which, name) in WINDOW_COLUMNS.iter().enumerate() {
        use datafusion::logical_expr::UserDefinedLogicalNodeCore;
        let (qualifier, _) =
            UserDefinedLogicalNodeCore::schema(node).qualified_field(width + which);
        let bound = ScalarUDF::from(WindowBound::new(node.window(), which));
        exprs.push(
            bound
                .call(vec![col(ENDS)])
                .alias_qualified(qualifier.cloned(), *name),
        );
    }
    LogicalPlanBuilder::from(unnested).project(exprs)?.build()
}

fn unit_of(data_type: &DataType) -> Result<TimeUnit> {
    match data_type {
        DataType::Timestamp(unit, _) => Ok(*unit),
        other => Err(PlanError::internal(format!("a window's time is {other}")).into()),
    }
}

/// The argument as an array of integers in its own unit.
fn integers(args: &ScalarFunctionArgs) -> Result<(Int64Array, DataType)> {
    let Some(value) = args.args.first() else {
        return Err(PlanError::internal("a window function without argument").into());
    };
    let array = value.to_array(args.number_rows)?;
    let integers = cast(&array, &DataType::Int64)?;
    Ok((
        integers.as_primitive::<Int64Type>().clone(),
        array.data_type().clone(),
    ))
}

/// The ends of the windows of a time, as a list.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowEnds {
    window: WindowSpec,
    signature: Signature,
}

impl WindowEnds {
    fn new(window: WindowSpec) -> Self {
        Self {
            window,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for WindowEnds {
    fn name(&self) -> &str {
        "window_ends"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let item = types.first().cloned().unwrap_or(DataType::Null);
        Ok(DataType::List(Arc::new(Field::new("item", item, true))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (times, time_type) = integers(&args)?;
        let nanos = nanos_per(unit_of(&time_type)?);
        let mut lengths = Vec::with_capacity(times.len());
        let mut ends = Vec::with_capacity(times.len());
        for time in &times {
            let before = ends.len();
            if let Some(time) = time {
                let windows = self.window.windows_of(time.saturating_mul(nanos));
                ends.extend(windows.map(|window| window.end.div_euclid(nanos)));
            }
            lengths.push(ends.len() - before);
        }
        let values: ArrayRef = Arc::new(Int64Array::from(ends));
        let field = Arc::new(Field::new("item", time_type.clone(), true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let list = ListArray::try_new(field, offsets, cast(&values, &time_type)?, None)?;
        Ok(ColumnarValue::Array(Arc::new(list)))
    }
}

/// Start, end or time (0, 1, 2) of the window that ends at a time. Never null: rows in no window
/// are gone by then.
#[derive(Debug, PartialEq, Eq, Hash)]
struct WindowBound {
    window: WindowSpec,
    which: usize,
    signature: Signature,
}

impl WindowBound {
    fn new(window: WindowSpec, which: usize) -> Self {
        Self {
            window,
            which,
            signature: Signature::any(1, Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for WindowBound {
    fn name(&self) -> &str {
        "window_bound"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let time = args
            .arg_fields
            .first()
            .map_or(DataType::Null, |field| field.data_type().clone());
        Ok(Arc::new(Field::new(self.name(), time, false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (ends, time_type) = integers(&args)?;
        let nanos = nanos_per(unit_of(&time_type)?);
        let bound = ends.unary::<_, Int64Type>(|end| match self.which {
            0 => {
                let window = self.window.ending_at(end.saturating_mul(nanos));
                window.start.div_euclid(nanos)
            }
            1 => end,
            _ => end - 1,
        });
        Ok(ColumnarValue::Array(cast(&bound, &time_type)?))
    }
}

#[cfg(test)]
mod tests;
