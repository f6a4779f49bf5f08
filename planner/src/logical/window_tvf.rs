//! `TUMBLE(…)`, `HOP(…)`, `CUMULATE(…)` and `SESSION(…)` in `FROM`, planned into a [`WindowNode`]:
//! for views and for reads alike.

use chrono_tz::Tz;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Diagnostic, ExprSchema, Span};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    ObjectNamePart, Spanned, TableFactor,
};
use rtsap_plan::window::WindowSpec;

use std::sync::Arc;

use crate::error::{Cause, PlanError, nearest};
use crate::logical::window_length::{Length, Lengths, check_window, constant_length, time_zone};
use crate::logical::window_node::{WINDOW_COLUMNS, WindowNode};
use crate::streaming::join::push::event_time;

/// Plans window functions in `FROM`. Stateless; give it to every session that reads views.
#[derive(Debug, Default)]
pub struct WindowPlanner;

impl RelationPlanner for WindowPlanner {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let TableFactor::Table {
            name,
            alias,
            args: Some(args),
            ..
        } = &relation
        else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let Some(function) = WindowFunction::of(name) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let span = Span::try_from_sqlparser_span(name.span());
        let plan = plan_call(function, args.args.clone(), context);
        let plan = plan.map_err(|error| match error {
            // One of ours, about this call: it stands where the call stands.
            error @ DataFusionError::External(_) => {
                let diagnostic = Diagnostic::new_error(error.to_string(), span);
                error.with_diagnostic(diagnostic)
            }
            other => other,
        })?;
        let planned = PlannedRelation::new(plan, alias.clone());
        Ok(RelationPlanning::Planned(Box::new(planned)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WindowFunction {
    Tumble,
    Hop,
    Cumulate,
    Session,
}

impl WindowFunction {
    fn of(name: &ObjectName) -> Option<Self> {
        let [ObjectNamePart::Identifier(name)] = name.0.as_slice() else {
            return None;
        };
        match name.value.to_lowercase().as_str() {
            "tumble" => Some(Self::Tumble),
            "hop" => Some(Self::Hop),
            "cumulate" => Some(Self::Cumulate),
            "session" => Some(Self::Session),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Tumble => "TUMBLE",
            Self::Hop => "HOP",
            Self::Cumulate => "CUMULATE",
            Self::Session => "SESSION",
        }
    }

    /// Names of the arguments, in order; the last may be left out.
    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Tumble => &["data", "timecol", "size", "offset", "time_zone"],
            Self::Hop => &["data", "timecol", "slide", "size", "offset", "time_zone"],
            Self::Cumulate => &["data", "timecol", "step", "size", "offset", "time_zone"],
            Self::Session => &["data", "timecol", "gap", "partition_by"],
        }
    }

    const fn usage(self) -> &'static str {
        match self {
            Self::Tumble => "Write TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE).",
            Self::Hop => {
                "Write HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '1' MINUTE): \
                 the slide, then the size."
            }
            Self::Cumulate => {
                "Write CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '1' HOUR): \
                 the step, then the size."
            }
            Self::Session => {
                "Write SESSION(TABLE t PARTITION BY k, DESCRIPTOR(ts), INTERVAL '5' MINUTE)."
            }
        }
    }
}

pub(super) fn window_error(message: impl Into<String>) -> PlanError {
    PlanError::new(Cause::Window {
        message: message.into(),
    })
}

fn plan_call(
    function: WindowFunction,
    args: Vec<FunctionArg>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let mut args = named(function, with_time(args))?.into_iter();
    let (Some(Some(data)), Some(time)) = (args.next(), args.next()) else {
        return Err(missing(function, "data and its time column").into());
    };
    let input = context.plan(data_factor(function, data)?)?;
    let time = match time.filter(|time| !is_implied(time)) {
        Some(time) => time_column(function, time, &input, context)?,
        None => implied_time(function, &input)?,
    };
    let (mut lengths, mut partition, mut zone) = (Vec::new(), Vec::new(), None);
    for (arg, name) in args.zip(&function.arguments()[2..]) {
        match (*name, arg) {
            ("partition_by", arg) => partition = partition_columns(arg, &input, context)?,
            ("time_zone", arg) => zone = arg.map(time_zone).transpose()?,
            (_, arg) => lengths.push(arg.map(|arg| constant(arg, context)).transpose()?),
        }
    }
    let window = window_spec(function, &lengths, zone)?;
    let (input, exprs) = rename_clashes(input, [vec![time], partition].concat())?;
    let mut exprs = exprs.into_iter();
    let Some(time) = exprs.next() else {
        return Err(missing(function, "a time column").into());
    };
    let node = WindowNode::try_new(input, time, window, exprs.collect())?;
    Ok(LogicalPlan::Extension(Extension {
        node: Arc::new(node),
    }))
}

/// The time column where it is left out: the event time of the relation.
const IMPLIED: &str = "__event_time";

fn is_implied(time: &SqlExpr) -> bool {
    matches!(time, SqlExpr::Identifier(name) if name.value == IMPLIED)
}

/// `tumble(t, INTERVAL '1' MINUTE)`: a length where a column should be.
fn with_time(mut args: Vec<FunctionArg>) -> Vec<FunctionArg> {
    let length = match args.get(1) {
        Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => {
            matches!(
                expr,
                SqlExpr::Interval(_) | SqlExpr::Value(_) | SqlExpr::Cast { .. }
            )
        }
        _ => false,
    };
    if length {
        let implied = SqlExpr::Identifier(Ident::new(IMPLIED));
        args.insert(1, FunctionArg::Unnamed(FunctionArgExpr::Expr(implied)));
    }
    args
}

fn implied_time(function: WindowFunction, input: &LogicalPlan) -> Result<Expr, PlanError> {
    let Some(time) = event_time(input) else {
        return Err(missing(function, "a time column"));
    };
    Ok(Expr::from(input.schema().qualified_field(time)))
}

fn missing(function: WindowFunction, what: &str) -> PlanError {
    window_error(format!("{} lacks {what}", function.name())).hint(function.usage())
}

/// The arguments by position, whatever way they were given.
fn named(
    function: WindowFunction,
    args: Vec<FunctionArg>,
) -> Result<Vec<Option<SqlExpr>>, PlanError> {
    let known = function.arguments();
    let mut slots: Vec<Option<SqlExpr>> = vec![None; known.len()];
    for (index, arg) in args.into_iter().enumerate() {
        let (slot, value) = match arg {
            FunctionArg::Unnamed(value) => (index, value),
            FunctionArg::Named { name, arg, .. } => (slot_of(function, &name.value)?, arg),
            FunctionArg::ExprNamed { name, arg, .. } => {
                (slot_of(function, &name.to_string())?, arg)
            }
        };
        let FunctionArgExpr::Expr(value) = value else {
            return Err(
                window_error(format!("{} takes no *", function.name())).hint(function.usage())
            );
        };
        let Some(free) = slots.get_mut(slot) else {
            let message = format!("{} has too many arguments", function.name());
            return Err(window_error(message).hint(function.usage()));
        };
        if free.replace(value).is_some() {
            let message = format!("{} gets an argument twice", function.name());
            return Err(window_error(message).hint(function.usage()));
        }
    }
    Ok(slots)
}

fn slot_of(function: WindowFunction, name: &str) -> Result<usize, PlanError> {
    let wanted = name.trim_matches('"').to_lowercase();
    let known = function.arguments();
    known
        .iter()
        .position(|known| *known == wanted)
        .ok_or_else(|| {
            let message = format!("{} has no argument \"{name}\"", function.name());
            let hint = nearest(&wanted, known.iter().copied());
            window_error(message)
                .hint(function.usage())
                .maybe_hint(hint)
        })
}

fn data_factor(function: WindowFunction, data: SqlExpr) -> Result<TableFactor, PlanError> {
    let parts = match data {
        SqlExpr::Identifier(name) => vec![name],
        SqlExpr::CompoundIdentifier(parts) => parts,
        SqlExpr::Subquery(subquery) => {
            return Ok(TableFactor::Derived {
                lateral: false,
                subquery,
                alias: None,
                sample: None,
            });
        }
        _ => return Err(missing(function, "a relation as its first argument")),
    };
    Ok(TableFactor::Table {
        name: ObjectName(parts.into_iter().map(ObjectNamePart::Identifier).collect()),
        alias: None,
        args: None,
        with_hints: Vec::new(),
        version: None,
        with_ordinality: false,
        partitions: Vec::new(),
        json_path: None,
        sample: None,
        index_hints: Vec::new(),
    })
}

/// `DESCRIPTOR(ts)`, `ts` or `t.ts`.
fn time_column(
    function: WindowFunction,
    time: SqlExpr,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Expr> {
    let name = match time {
        SqlExpr::Function(descriptor)
            if descriptor
                .name
                .to_string()
                .eq_ignore_ascii_case("descriptor") =>
        {
            let FunctionArguments::List(list) = descriptor.args else {
                return Err(missing(function, "a time column").into());
            };
            match <[FunctionArg; 1]>::try_from(list.args) {
                Ok([FunctionArg::Unnamed(FunctionArgExpr::Expr(name))]) => name,
                _ => return Err(missing(function, "a time column").into()),
            }
        }
        name @ (SqlExpr::Identifier(_) | SqlExpr::CompoundIdentifier(_)) => name,
        _ => return Err(missing(function, "a time column").into()),
    };
    let expr = context.sql_to_expr(name, input.schema())?;
    let Expr::Column(column) = &expr else {
        return Err(missing(function, "a time column").into());
    };
    let found = input
        .schema()
        .field_from_column(column)?
        .data_type()
        .clone();
    if !matches!(found, DataType::Timestamp(..)) {
        let message = format!("column \"{}\" is not a timestamp", column.name);
        let error = window_error(message).detail(format!("It is {found}."));
        return Err(error.hint("A window needs a TIMESTAMP column.").into());
    }
    Ok(Expr::Column(column.clone()))
}

/// `PARTITION BY a, b`, which the parser has brought behind the other arguments.
fn partition_columns(
    arg: Option<SqlExpr>,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<Expr>> {
    let names = match arg {
        None => Vec::new(),
        Some(SqlExpr::Tuple(names)) => names,
        Some(SqlExpr::Nested(name)) => vec![*name],
        Some(name) => vec![name],
    };
    let columns = names.into_iter().map(|name| {
        let text = name.to_string();
        match context.sql_to_expr(name, input.schema())? {
            column @ Expr::Column(_) => Ok(column),
            _ => {
                let error = window_error(format!("PARTITION BY {text} is no column"));
                Err(error
                    .hint("Compute it in a subquery: SESSION((SELECT …) PARTITION BY k, …).")
                    .into())
            }
        }
    });
    columns.collect()
}

fn constant(length: SqlExpr, context: &mut dyn RelationPlannerContext) -> Result<Length> {
    let text = length.to_string();
    let expr = context
        .sql_to_expr(length, &DFSchema::empty())
        .map_err(|_| window_error(format!("{text} is not a constant interval")))?;
    Ok(constant_length(&expr).map_err(|error| match error {
        None => window_error(format!("{text} is not a constant interval")),
        Some(error) => error,
    })?)
}

fn window_spec(
    function: WindowFunction,
    lengths: &[Option<Length>],
    zone: Option<Tz>,
) -> Result<WindowSpec, PlanError> {
    let cumulates = function == WindowFunction::Cumulate;
    match (function, lengths) {
        (WindowFunction::Tumble, [Some(size), offset]) => {
            Lengths::tumbling(*size, *offset).windows(zone)
        }
        (WindowFunction::Hop | WindowFunction::Cumulate, [Some(slide), Some(size), offset]) => {
            let lengths = Lengths {
                size: *size,
                slide: *slide,
                offset: *offset,
                cumulates,
            };
            lengths.windows(zone)
        }
        (WindowFunction::Session, [Some(Length::Nanos(gap))]) => {
            check_window(WindowSpec::Session { gap_nanos: *gap })
        }
        (WindowFunction::Session, [Some(Length::Months(_))]) => {
            let error = window_error("the gap of a session cannot be months or years");
            Err(error.hint("Months have no fixed length; use days, hours or less."))
        }
        (WindowFunction::Cumulate, _) => Err(missing(function, "a step or a size")),
        (WindowFunction::Session, _) => Err(missing(function, "a gap")),
        (WindowFunction::Tumble, _) => Err(missing(function, "a size")),
        (WindowFunction::Hop, _) => Err(missing(function, "a slide or a size")),
    }
}

/// A window over a windowed relation: the inner window's columns become `window_start0` and so on,
/// as in Flink.
fn rename_clashes(input: LogicalPlan, used: Vec<Expr>) -> Result<(LogicalPlan, Vec<Expr>)> {
    let clash = |name: &str| WINDOW_COLUMNS.contains(&name);
    if !input
        .schema()
        .fields()
        .iter()
        .any(|field| clash(field.name()))
    {
        return Ok((input, used));
    }
    let mut places = Vec::with_capacity(used.len());
    for expr in &used {
        if let Expr::Column(column) = expr {
            places.push(input.schema().index_of_column(column)?);
        }
    }
    let exprs = input.schema().iter().map(|(qualifier, field)| {
        let expr = Expr::from((qualifier, field));
        if !clash(field.name()) {
            return expr;
        }
        expr.alias_qualified(qualifier.cloned(), format!("{}0", field.name()))
    });
    let exprs: Vec<Expr> = exprs.collect();
    let renamed = LogicalPlanBuilder::from(input).project(exprs)?.build()?;
    let used = places
        .into_iter()
        .map(|at| Expr::from(renamed.schema().qualified_field(at)));
    let used = used.collect();
    Ok((renamed, used))
}
