//! The rule that reads and shows instants by the clocks of a session's time zone, as PostgreSQL
//! does: texts without a zone, days and hours of an instant, its text.
//!
//! It runs after types are coerced, and changes no type and no name. Views are in UTC.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::{Cast, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, cast, lit};
use datafusion::optimizer::AnalyzerRule;

use crate::postgres::function::named;
use crate::postgres::semantics::input_schema;

/// Parts of an instant that are the same in every zone.
const WITHOUT_ZONE: [&str; 3] = ["epoch", "julian", "timezone"];

/// Instants by the clocks of the session's zone.
#[derive(Clone, Copy, Debug)]
pub struct SessionZone;

impl AnalyzerRule for SessionZone {
    fn analyze(&self, plan: LogicalPlan, config: &ConfigOptions) -> Result<LogicalPlan> {
        let zone = config.execution.time_zone.as_deref().unwrap_or("UTC");
        if zone.eq_ignore_ascii_case("utc") {
            return Ok(plan);
        }
        let transformed = plan.transform_up_with_subqueries(|node| {
            let schema = input_schema(&node);
            let names = NamePreserver::new(&node);
            node.map_expressions(|expr| {
                let name = names.save(&expr);
                let rewritten = expr.transform_up(|expr| one(expr, &schema, zone))?;
                Ok(rewritten.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(transformed.data)
    }

    fn name(&self) -> &str {
        "session_zone"
    }
}

fn one(expr: Expr, schema: &DFSchema, zone: &str) -> Result<Transformed<Expr>> {
    let moved = match &expr {
        Expr::Cast(Cast { expr: value, field }) => of_cast(value, field.data_type(), schema, zone)?,
        Expr::ScalarFunction(call) => of_call(call, schema, zone)?,
        _ => None,
    };
    let Some(moved) = moved else {
        return Ok(Transformed::no(expr));
    };
    let before = expr.get_type(schema)?;
    Ok(Transformed::yes(match moved.get_type(schema)? == before {
        true => moved,
        false => cast(moved, before),
    }))
}

fn of_cast(value: &Expr, to: &DataType, schema: &DFSchema, zone: &str) -> Result<Option<Expr>> {
    use DataType as T;
    let from = value.get_type(schema)?;
    Ok(match (&from, to) {
        (T::Utf8 | T::LargeUtf8 | T::Utf8View, T::Timestamp(_, Some(_))) => {
            Some(named("instant_shown", vec![value.clone(), lit(zone)])?)
        }
        (T::Timestamp(_, None), T::Timestamp(_, Some(_))) => {
            Some(named("timezone", vec![lit(zone), value.clone()])?)
        }
        (T::Date32, T::Timestamp(_, Some(_))) => {
            let midnight = cast(value.clone(), T::Timestamp(TimeUnit::Microsecond, None));
            Some(named("timezone", vec![lit(zone), midnight])?)
        }
        (T::Timestamp(_, Some(_)), T::Timestamp(_, None) | T::Date32 | T::Time64(_)) => {
            Some(local(value, &from, zone)?)
        }
        (T::Timestamp(unit, Some(shown)), T::Utf8) if shown.as_ref() != zone => {
            let shown = T::Timestamp(*unit, Some(zone.into()));
            Some(cast(cast(value.clone(), shown), T::Utf8))
        }
        _ => None,
    })
}

fn of_call(call: &ScalarFunction, schema: &DFSchema, zone: &str) -> Result<Option<Expr>> {
    let instant = |expr: &Expr| match expr.get_type(schema) {
        Ok(found @ DataType::Timestamp(_, Some(_))) => Some(found),
        _ => None,
    };
    Ok(match (call.func.name(), call.args.as_slice()) {
        ("date_trunc", [unit, time]) => match instant(time) {
            Some(of) => {
                let time = in_utc(time, &of);
                let trunc = vec![unit.clone(), time, lit(zone)];
                Some(named("date_trunc_zone", trunc)?)
            }
            None => None,
        },
        ("date_part", [part, time]) if !is_without_zone(part) => match instant(time) {
            Some(of) => {
                let args = vec![part.clone(), local(time, &of, zone)?];
                Some(call.func.call(args))
            }
            None => None,
        },
        ("to_char", [time, template]) => match instant(time) {
            Some(of) => {
                let args = vec![local(time, &of, zone)?, template.clone()];
                Some(call.func.call(args))
            }
            None => None,
        },
        ("make_timestamptz", parts) if parts.len() == 6 => {
            let args = parts.iter().cloned().chain([lit(zone)]);
            Some(call.func.call(args.collect()))
        }
        _ => None,
    })
}

fn is_without_zone(part: &Expr) -> bool {
    let Expr::Literal(ScalarValue::Utf8(Some(part)), _) = part else {
        return false;
    };
    let lower = part.to_lowercase();
    WITHOUT_ZONE.iter().any(|known| lower.starts_with(known))
}

/// What clocks show at an instant.
fn local(instant: &Expr, of: &DataType, zone: &str) -> Result<Expr> {
    named("timezone", vec![lit(zone), in_utc(instant, of)])
}

/// The same instant, called one of UTC, as the functions of zones take it.
fn in_utc(instant: &Expr, of: &DataType) -> Expr {
    match of {
        DataType::Timestamp(unit, Some(zone)) if zone.as_ref() != "UTC" => cast(
            instant.clone(),
            DataType::Timestamp(*unit, Some("UTC".into())),
        ),
        _ => instant.clone(),
    }
}
