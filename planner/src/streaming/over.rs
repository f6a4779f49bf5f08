//! `OVER`: calls over the rows around each row of an append-only input, in order of event time.
//!
//! What each call needs of its partition is decided here: rows that a frame reaches back to, a
//! running accumulator, or rows that come after. What would need the whole partition is refused.

use std::sync::Arc;

use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::expr::{NullTreatment, WindowFunction};
use datafusion::logical_expr::logical_plan::Window;
use datafusion::logical_expr::{
    Expr, WindowFrame, WindowFrameBound, WindowFrameUnits, WindowFunctionDefinition, lit,
};
use datafusion::physical_expr::aggregate::AggregateExprBuilder;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use datafusion::physical_planner::create_window_expr_with_name;
use rtsap_plan::graph::NodeIndex;
use rtsap_plan::operator::{Emit, OperatorSpec};
use rtsap_plan::over::{History, OverCall, OverFunction, OverSpec};
use rtsap_plan::properties::{StateBound, StreamProperties};

mod along;
mod partition;

use crate::error::{Cause, PlanError};
use crate::logical::window_length::constant_nanos;
use crate::streaming::aggregate::check_bounded_call;
use crate::streaming::top_n::column;
use crate::streaming::{Compiler, require_append};

/// What rows are partitioned and ordered by.
type Places = (Vec<Arc<dyn PhysicalExpr>>, Vec<PhysicalSortExpr>);

/// Functions that read the whole partition for every row.
const WHOLE_PARTITION: [&str; 3] = ["percent_rank", "cume_dist", "ntile"];

impl Compiler<'_> {
    /// Rows without columns cannot be told apart, nor taken back.
    pub(super) fn require_columns(&self, input: NodeIndex) -> Result<(), PlanError> {
        if !self.properties(input).schema.fields().is_empty() {
            return Ok(());
        }
        let what = "OVER in a streaming view over rows of which no column is used";
        let error = PlanError::unsupported(what);
        Err(error.hint("Select a column of these rows besides, or order by one."))
    }

    pub(super) fn over(&mut self, window: &Window, emit: Emit) -> Result<NodeIndex, PlanError> {
        // A row's place must never change, so windows below close before they show.
        let below = match emit {
            Emit::Changes => Emit::OnClose { delay_nanos: 0 },
            emit => emit,
        };
        let input = self.node(&window.input, below)?;
        self.require_columns(input)?;
        let schema = window.input.schema();
        let functions = window.window_expr.iter().map(function);
        let functions = functions.collect::<Option<Vec<_>>>();
        let Some((Some(first), functions)) = functions.map(|all| (all.first().copied(), all))
        else {
            return Err(PlanError::internal("a window without functions"));
        };
        let params = &first.params;
        let alike = |other: &&WindowFunction| {
            other.params.partition_by == params.partition_by
                && other.params.order_by == params.order_by
        };
        if !functions.iter().all(alike) {
            return Err(PlanError::internal("a window of several orders"));
        }
        let calls = self.calls_in_time(window, &functions, input);
        let (time, calls) = match calls {
            Ok(in_time) => in_time,
            // All rows are kept anyway, so any call can be computed from all of them.
            Err(_) if self.keeps_all_rows(input) => {
                return self.over_partition(window, first, input);
            }
            Err(refused) => return Err(refused),
        };
        let (partition, order) = self.places(first, schema)?;
        let delay_nanos = match below {
            Emit::OnClose { delay_nanos } if !self.has_waited(input) => delay_nanos,
            _ => 0,
        };
        let properties = self.properties(input);
        let mut fields: Vec<Arc<Field>> =
            properties.schema.fields().iter().map(Arc::clone).collect();
        for (_, field) in window.schema.iter().skip(schema.fields().len()) {
            let field = Field::new(field.name(), field.data_type().clone(), field.is_nullable());
            fields.push(Arc::new(field));
        }
        let properties = StreamProperties {
            schema: Arc::new(Schema::new(fields)),
            state: state(&calls),
            ..properties.clone()
        };
        let twins = self.twins(input).to_vec();
        let spec = OperatorSpec::Over(OverSpec {
            time,
            partition,
            order,
            calls,
            delay_nanos,
        });
        let node = self.push(spec, vec![input], properties);
        self.set_twins(node, twins);
        Ok(node)
    }

    /// The calls with what each needs of the past, where rows only come, in order of event time;
    /// and the column that says when.
    fn calls_in_time(
        &self,
        window: &Window,
        functions: &[&WindowFunction],
        input: NodeIndex,
    ) -> Result<(usize, Vec<OverCall>), PlanError> {
        require_append(self.properties(input), "OVER")?;
        let schema = window.input.schema();
        let Some(first) = functions.first() else {
            return Err(PlanError::internal("a window without functions"));
        };
        let time = self.over_time(first, input, schema)?;
        let calls = window.window_expr.iter().zip(functions);
        let calls = calls.map(|(expr, function)| self.over_call(expr, function, schema));
        Ok((time, calls.collect::<Result<_, _>>()?))
    }

    /// What rows are partitioned and ordered by.
    fn places(&self, function: &WindowFunction, schema: &DFSchema) -> Result<Places, PlanError> {
        let params = &function.params;
        let partition = params.partition_by.iter();
        let partition = partition.map(|expr| self.physical(expr, schema));
        let order = params.order_by.iter();
        let order = order.map(|sort| self.sort_expr(sort, schema));
        Ok((
            partition.collect::<Result<_, _>>()?,
            order.collect::<Result<_, _>>()?,
        ))
    }

    /// The event-time column that the rows are ordered by.
    fn over_time(
        &self,
        function: &WindowFunction,
        input: NodeIndex,
        schema: &DFSchema,
    ) -> Result<usize, PlanError> {
        let properties = self.properties(input);
        let name = function.fun.name().to_owned();
        let Some(order) = function.params.order_by.first() else {
            let error =
                PlanError::unsupported(format!("{name} OVER without ORDER BY in a streaming view"));
            return Err(error.hint("Add ORDER BY with the event-time column."));
        };
        let Some(time) = properties.event_time else {
            let column = order.expr.schema_name().to_string();
            let error = PlanError::new(Cause::NotEventTime { column });
            return Err(error.hint(
                "Order by the event-time column of the input; it is the one with WATERMARK FOR.",
            ));
        };
        let twins = self.twins(input);
        let at = column(&order.expr, schema);
        let is_twin = |column: usize| twins.iter().any(|twin| twin.column == column);
        let by_time = at.is_some_and(|at| at == time || (is_twin(at) && is_twin(time)));
        if !by_time {
            let column = order.expr.schema_name().to_string();
            let time = properties.schema.field(time).name();
            let error = PlanError::new(Cause::NotEventTime { column });
            let hint = format!(
                "Order by the event-time column \"{time}\". For the first rows by another order, \
                 write ROW_NUMBER() and WHERE rn <= n."
            );
            return Err(error.hint(hint));
        }
        if !order.asc {
            let error =
                PlanError::unsupported("OVER with descending event time in a streaming view");
            return Err(error.hint("Order ascending: rows that come later are not known yet."));
        }
        Ok(time)
    }

    fn over_call(
        &self,
        expr: &Expr,
        function: &WindowFunction,
        schema: &DFSchema,
    ) -> Result<OverCall, PlanError> {
        let params = &function.params;
        let plain = |function| OverCall {
            function,
            history: History::None,
            following_rows: 0,
            following_nanos: 0,
        };
        let name = function.fun.name();
        let is_aggregate = matches!(function.fun, WindowFunctionDefinition::AggregateUDF(_));
        match name {
            _ if is_aggregate => {}
            "row_number" => return Ok(plain(OverFunction::RowNumber)),
            "rank" => return Ok(plain(OverFunction::Rank)),
            "dense_rank" => return Ok(plain(OverFunction::DenseRank)),
            "lag" | "lead" => return self.shifted(expr, function, schema),
            "first_value" | "last_value" | "nth_value" => {}
            _ if WHOLE_PARTITION.contains(&name) => {
                let error = PlanError::unsupported(format!("{name} in a streaming view"));
                let hint = "It needs all rows of its partition; write it in the SELECT that reads \
                            the view.";
                return Err(error.hint(hint));
            }
            // It runs over all rows of its partition up to the current one.
            _ => match self.along(expr, function, schema)? {
                Some(along) => return Ok(plain(along)),
                None => {
                    return Ok(OverCall {
                        history: History::All,
                        ..plain(self.over_kept(expr, schema)?)
                    });
                }
            },
        }
        let frame = &params.window_frame;
        if frame.units == WindowFrameUnits::Groups {
            let error = PlanError::unsupported("a GROUPS frame in a streaming view");
            return Err(error.hint("Write ROWS or RANGE."));
        }
        if !frame.start_bound.is_unbounded() {
            return self.bounded(expr, function, schema);
        }
        if frame.end_bound != WindowFrameBound::CurrentRow {
            return Err(unbounded(name, frame));
        }
        check_bounded_call(name, &params.args, schema)?;
        let peers = frame.units == WindowFrameUnits::Range;
        self.running(expr, function, schema, peers).map(plain)
    }

    /// `lag` and `lead`.
    fn shifted(
        &self,
        expr: &Expr,
        function: &WindowFunction,
        schema: &DFSchema,
    ) -> Result<OverCall, PlanError> {
        let (name, params) = (function.fun.name(), &function.params);
        if params.null_treatment == Some(NullTreatment::IgnoreNulls) {
            let what = format!("{name} with IGNORE NULLS in a streaming view");
            let hint = "It could reach any number of rows; filter nulls in a subquery.";
            return Err(PlanError::unsupported(what).hint(hint));
        }
        let offset = offset(name, params.args.get(1))?;
        let rows = offset.unsigned_abs();
        let ahead = (name == "lead") == (offset >= 0);
        Ok(OverCall {
            function: self.over_kept(expr, schema)?,
            history: if ahead {
                History::None
            } else {
                History::Rows(rows)
            },
            following_rows: if ahead { rows } else { 0 },
            following_nanos: 0,
        })
    }

    /// A call whose frame has a bounded start.
    fn bounded(
        &self,
        expr: &Expr,
        function: &WindowFunction,
        schema: &DFSchema,
    ) -> Result<OverCall, PlanError> {
        let (name, frame) = (function.fun.name(), &function.params.window_frame);
        let by_rows = frame.units == WindowFrameUnits::Rows;
        let history = match &frame.start_bound {
            WindowFrameBound::Preceding(value) if by_rows => History::Rows(rows_of(name, value)?),
            WindowFrameBound::Preceding(value) => History::Range(nanos_of(name, value)?),
            WindowFrameBound::CurrentRow | WindowFrameBound::Following(_) => History::None,
        };
        let (mut following_rows, mut following_nanos) = (0, 0);
        match &frame.end_bound {
            WindowFrameBound::Following(value) if value.is_null() => {
                return Err(unbounded(name, frame));
            }
            WindowFrameBound::Following(value) if by_rows => following_rows = rows_of(name, value)?,
            WindowFrameBound::Following(value) => following_nanos = nanos_of(name, value)?,
            WindowFrameBound::Preceding(_) | WindowFrameBound::CurrentRow => {}
        }
        let kept = self.over_kept(expr, schema)?;
        Ok(OverCall {
            function: kept,
            history,
            following_rows,
            following_nanos,
        })
    }

    fn over_kept(&self, expr: &Expr, schema: &DFSchema) -> Result<OverFunction, PlanError> {
        let name = expr.schema_name().to_string();
        let bare = unaliased(expr);
        let made = create_window_expr_with_name(bare, name, schema, &self.props, &self.planning);
        let made = made.map_err(|error| self.ours(&error))?;
        let aggregate = function(bare).map(|function| &function.fun);
        if let Some(WindowFunctionDefinition::AggregateUDF(_)) = aggregate {
            // Asked once, so that a function that cannot move its frame is refused now.
            let none = RecordBatch::new_empty(Arc::clone(schema.inner()));
            made.evaluate(&none).map_err(|error| {
                let what = format!("{} over a frame in a streaming view", made.name());
                PlanError::unsupported(what)
                    .detail(error.strip_backtrace())
                    .hint("Use a frame that begins with UNBOUNDED PRECEDING, or group by a window.")
            })?;
        }
        Ok(OverFunction::Kept(made))
    }

    /// A call over all rows of the partition up to the current one.
    fn running(
        &self,
        expr: &Expr,
        function: &WindowFunction,
        schema: &DFSchema,
        peers: bool,
    ) -> Result<OverFunction, PlanError> {
        let params = &function.params;
        let name = function.fun.name();
        let fun = match &function.fun {
            WindowFunctionDefinition::AggregateUDF(fun) => Arc::clone(fun),
            WindowFunctionDefinition::WindowUDF(_) => match self.functions.aggregate.get(name) {
                Some(fun) => Arc::clone(fun),
                None => return Err(PlanError::internal(format!("{name} is no aggregate"))),
            },
        };
        let args = params.args.iter().map(|arg| self.physical(arg, schema));
        let args = args.collect::<Result<Vec<_>, _>>()?;
        let mut builder = AggregateExprBuilder::new(fun, args)
            .schema(Arc::clone(schema.inner()))
            .alias(expr.schema_name().to_string())
            .with_ignore_nulls(params.null_treatment == Some(NullTreatment::IgnoreNulls));
        if params.distinct {
            builder = builder.distinct();
        }
        let function = builder.build().map_err(|error| self.ours(&error))?;
        let filter = params
            .filter
            .as_ref()
            .map(|filter| self.physical(filter, schema));
        Ok(OverFunction::Running {
            function: Arc::new(function),
            filter: filter.transpose()?,
            peers,
        })
    }
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        _ => expr,
    }
}

fn function(expr: &Expr) -> Option<&WindowFunction> {
    match unaliased(expr) {
        Expr::WindowFunction(function) => Some(function),
        _ => None,
    }
}

/// What all calls together keep.
fn state(calls: &[OverCall]) -> StateBound {
    let history = calls
        .iter()
        .map(|call| call.history)
        .max()
        .unwrap_or(History::None);
    let waiting = calls
        .iter()
        .map(|call| call.following_rows)
        .max()
        .unwrap_or(0);
    let running = calls
        .iter()
        .any(|call| !matches!(call.function, OverFunction::Kept(_)));
    match history {
        History::All => StateBound::PerRow,
        History::Rows(rows) => StateBound::RowsPerKey(rows.saturating_add(waiting)),
        _ if waiting > 0 => StateBound::RowsPerKey(waiting),
        _ if running => StateBound::PerKey,
        History::Range(nanos) => StateBound::EventTime {
            retention_nanos: nanos,
        },
        History::None => StateBound::EventTime { retention_nanos: 0 },
    }
}

fn offset(name: &str, argument: Option<&Expr>) -> Result<i64, PlanError> {
    let value = match argument {
        None => return Ok(1),
        Some(Expr::Literal(value, _)) => {
            value.cast_to(&datafusion::arrow::datatypes::DataType::Int64)
        }
        Some(other) => {
            let message = format!("the offset of {name} is no constant: {other}");
            return Err(PlanError::expression(message));
        }
    };
    match value {
        Ok(ScalarValue::Int64(Some(offset))) => Ok(offset),
        _ => Err(PlanError::expression(format!(
            "the offset of {name} is no integer"
        ))),
    }
}

fn rows_of(name: &str, value: &ScalarValue) -> Result<u64, PlanError> {
    match value.cast_to(&datafusion::arrow::datatypes::DataType::UInt64) {
        Ok(ScalarValue::UInt64(Some(rows))) => Ok(rows),
        _ => Err(PlanError::expression(format!(
            "the frame of {name} has no number of rows"
        ))),
    }
}

fn nanos_of(name: &str, value: &ScalarValue) -> Result<i64, PlanError> {
    constant_nanos(&lit(value.clone())).map_err(|error| {
        let message = format!("the frame of {name} is no interval of fixed length");
        error.unwrap_or_else(|| PlanError::expression(message))
    })
}

fn unbounded(name: &str, frame: &WindowFrame) -> PlanError {
    let error =
        PlanError::unsupported(format!("{name} over the frame {frame} in a streaming view"));
    error.hint(
        "A frame may begin with UNBOUNDED PRECEDING and end with CURRENT ROW, or have two bounds.",
    )
}

#[cfg(test)]
mod tests;
