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
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Expr as SqlExpr, FunctionArg, FunctionArgExpr, FunctionArguments, ObjectName, ObjectNamePart,
    Spanned, TableFactor,
};
use rtsap_plan::window::WindowSpec;
use rtsap_plan::window::zoned::ZonedDays;

use std::sync::Arc;

use crate::duration::nanos_of;
use crate::error::{Cause, PlanError, nearest};
use crate::logical::window_node::{WINDOW_COLUMNS, WindowNode};

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
            Self::Hop => &["data", "timecol", "slide", "size", "offset"],
            Self::Cumulate => &["data", "timecol", "step", "size", "offset"],
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

fn window_error(message: impl Into<String>) -> PlanError {
    PlanError::new(Cause::Window {
        message: message.into(),
    })
}

fn plan_call(
    function: WindowFunction,
    args: Vec<FunctionArg>,
    context: &mut dyn RelationPlannerContext,
) -> Result<LogicalPlan> {
    let mut args = named(function, args)?.into_iter();
    let (Some(Some(data)), Some(Some(time))) = (args.next(), args.next()) else {
        return Err(missing(function, "data and its time column").into());
    };
    let input = context.plan(data_factor(function, data)?)?;
    let time = time_column(function, time, &input, context)?;
    let (mut lengths, mut partition, mut zone) = (Vec::new(), Vec::new(), None);
    for (arg, name) in args.zip(&function.arguments()[2..]) {
        match (*name, arg) {
            ("partition_by", arg) => partition = partition_columns(arg, &input, context)?,
            ("time_zone", arg) => zone = arg.map(time_zone).transpose()?,
            (_, arg) => lengths.push(arg.map(|arg| nanos(arg, context)).transpose()?),
        }
    }
    let window = match zone {
        Some(zone) => zoned(zone, &lengths)?,
        None => window_spec(function, &lengths)?,
    };
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

/// `TIME ZONE => 'America/New_York'`.
fn time_zone(arg: SqlExpr) -> Result<Tz, PlanError> {
    let name = match &arg {
        SqlExpr::Value(value) => value.clone().into_string(),
        _ => None,
    };
    let zone = name.as_deref().and_then(|name| name.parse::<Tz>().ok());
    zone.ok_or_else(|| {
        let error = window_error(format!("{arg} is no time zone"));
        error.hint("Write a name of the IANA database: TIME ZONE => 'America/New_York'.")
    })
}

/// Windows of whole days in a zone.
fn zoned(zone: Tz, lengths: &[Option<i64>]) -> Result<WindowSpec, PlanError> {
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let size = lengths.first().copied().flatten();
    let Some(size) = size else {
        return Err(missing(WindowFunction::Tumble, "a size"));
    };
    let offset = lengths.get(1).copied().flatten().unwrap_or(0);
    if size <= 0 || size % DAY_NANOS != 0 || offset % DAY_NANOS != 0 {
        let error = window_error("windows in a time zone are whole days long");
        return Err(error.hint("Shorter windows are the same everywhere: leave TIME ZONE out."));
    }
    let days = size / DAY_NANOS;
    Ok(WindowSpec::Zoned(ZonedDays {
        days,
        offset_days: (offset / DAY_NANOS).rem_euclid(days),
        zone,
    }))
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

fn nanos(length: SqlExpr, context: &mut dyn RelationPlannerContext) -> Result<i64> {
    let text = length.to_string();
    let expr = context
        .sql_to_expr(length, &DFSchema::empty())
        .map_err(|_| window_error(format!("{text} is not a constant interval")))?;
    Ok(constant_nanos(&expr).map_err(|error| match error {
        None => window_error(format!("{text} is not a constant interval")),
        Some(error) => error,
    })?)
}

/// The nanoseconds of a constant interval; `None` as error if it is no constant interval.
pub fn constant_nanos(expr: &Expr) -> std::result::Result<i64, Option<PlanError>> {
    const DAY_NANOS: i64 = 86_400_000_000_000;
    let value = match expr {
        Expr::Literal(value, _) => value,
        Expr::Cast(cast) => return constant_nanos(&cast.expr),
        Expr::Negative(inner) => return constant_nanos(inner).map(i64::wrapping_neg),
        _ => return Err(None),
    };
    let (months, days, nanos) = match value {
        ScalarValue::IntervalMonthDayNano(Some(value)) => {
            (value.months, value.days, value.nanoseconds)
        }
        ScalarValue::IntervalDayTime(Some(value)) => {
            (0, value.days, i64::from(value.milliseconds) * 1_000_000)
        }
        ScalarValue::IntervalYearMonth(Some(months)) => (*months, 0, 0),
        ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            return nanos_of(text, None).map_err(Some);
        }
        _ => return Err(None),
    };
    if months != 0 {
        let error = window_error("a window cannot be months or years long");
        return Err(Some(
            error.hint("Months have no fixed length; use days, hours or less."),
        ));
    }
    let total = i64::from(days)
        .checked_mul(DAY_NANOS)
        .and_then(|days| days.checked_add(nanos));
    total.ok_or_else(|| Some(window_error("an interval of more than 292 years")))
}

fn window_spec(function: WindowFunction, lengths: &[Option<i64>]) -> Result<WindowSpec, PlanError> {
    let window = match (function, lengths) {
        (WindowFunction::Tumble, [Some(size), offset]) => WindowSpec::Tumble {
            size_nanos: *size,
            offset_nanos: offset.unwrap_or(0),
        },
        (WindowFunction::Hop, [Some(slide), Some(size), offset]) => WindowSpec::Hop {
            size_nanos: *size,
            slide_nanos: *slide,
            offset_nanos: offset.unwrap_or(0),
        },
        (WindowFunction::Cumulate, [Some(step), Some(size), offset]) => WindowSpec::Cumulate {
            step_nanos: *step,
            size_nanos: *size,
            offset_nanos: offset.unwrap_or(0),
        },
        (WindowFunction::Session, [Some(gap)]) => WindowSpec::Session { gap_nanos: *gap },
        (WindowFunction::Cumulate, _) => return Err(missing(function, "a step or a size")),
        (WindowFunction::Session, _) => return Err(missing(function, "a gap")),
        (WindowFunction::Tumble, _) => return Err(missing(function, "a size")),
        (WindowFunction::Hop, _) => return Err(missing(function, "a slide or a size")),
    };
    check_window(window)
}

/// How many windows a row may be in: each costs a row of state.
pub const WINDOWS_PER_ROW_MAX: i64 = 10_000;

/// Refuses impossible lengths and brings the offset into one period.
///
/// # Errors
/// [`Cause::Window`].
pub fn check_window(window: WindowSpec) -> Result<WindowSpec, PlanError> {
    let (size, slide) = (window.size_nanos(), window.slide_nanos());
    if size <= 0 || slide <= 0 {
        return Err(window_error(
            "a window's size and slide must be greater than zero",
        ));
    }
    if size / slide > WINDOWS_PER_ROW_MAX {
        let message = format!("each row would be in more than {WINDOWS_PER_ROW_MAX} windows");
        return Err(window_error(message).hint("The slide comes first, then the size."));
    }
    Ok(match window {
        WindowSpec::Tumble {
            size_nanos,
            offset_nanos,
        } => WindowSpec::Tumble {
            size_nanos,
            offset_nanos: offset_nanos.rem_euclid(size_nanos),
        },
        WindowSpec::Hop {
            size_nanos,
            slide_nanos,
            offset_nanos,
        } => WindowSpec::Hop {
            size_nanos,
            slide_nanos,
            offset_nanos: offset_nanos.rem_euclid(slide_nanos),
        },
        WindowSpec::Cumulate {
            step_nanos,
            size_nanos,
            offset_nanos,
        } => {
            if size_nanos % step_nanos != 0 {
                let error = window_error("the size of CUMULATE is no multiple of its step");
                return Err(error.hint("The step comes first, then the size."));
            }
            WindowSpec::Cumulate {
                step_nanos,
                size_nanos,
                offset_nanos: offset_nanos.rem_euclid(size_nanos),
            }
        }
        other @ (WindowSpec::Session { .. } | WindowSpec::Zoned(_)) => other,
    })
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
