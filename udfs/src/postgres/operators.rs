//! Operators that DataFusion's planner gives to us: quotients of decimals, parts of JSON, and dates
//! moved by intervals.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::{
    Expr, ExprSchemable, GetFieldAccess, Operator, binary_expr, cast, lit, not, when,
};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::postgres::arithmetic::quotient;
use crate::postgres::function::{self, INTERVAL};
use crate::postgres::json::{JsonOperator, part};
use crate::postgres::untyped::typed;

/// Plans `/` over decimals, the operators of JSON, and elements of lists.
#[derive(Debug)]
pub(crate) struct PostgresOperators;

impl ExprPlanner for PostgresOperators {
    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let expr = typed(expr, schema);
        let operator = match expr.op {
            BinaryOperator::Arrow => JsonOperator::Get,
            BinaryOperator::LongArrow => JsonOperator::GetText,
            BinaryOperator::HashArrow => JsonOperator::Path,
            BinaryOperator::HashLongArrow => JsonOperator::PathText,
            BinaryOperator::Divide => {
                let types = (expr.left.get_type(schema), expr.right.get_type(schema));
                let (Ok(left), Ok(right)) = types else {
                    return Ok(PlannerResult::Original(expr));
                };
                if is_span(&expr.left, schema) {
                    let interval = cast(expr.left, INTERVAL);
                    let divided = function::named("interval_div", vec![interval, expr.right])?;
                    return Ok(PlannerResult::Planned(divided));
                }
                let planned = quotient(expr.left.clone(), expr.right.clone(), [&left, &right]);
                return Ok(match planned {
                    Some(planned) => PlannerResult::Planned(planned),
                    None => PlannerResult::Original(expr),
                });
            }
            BinaryOperator::Plus | BinaryOperator::Minus => return Ok(moved_date(expr, schema)),
            BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq => return compared_intervals(expr, schema),
            BinaryOperator::Multiply => return Ok(scaled_interval(expr, schema)),
            BinaryOperator::PGRegexMatch
            | BinaryOperator::PGRegexIMatch
            | BinaryOperator::PGRegexNotMatch
            | BinaryOperator::PGRegexNotIMatch => return matched(expr),
            BinaryOperator::Question => {
                let exists = function::named("jsonb_exists", vec![expr.left, expr.right])?;
                return Ok(PlannerResult::Planned(exists));
            }
            BinaryOperator::AtArrow | BinaryOperator::ArrowAt => {
                return contained(expr, schema);
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        Ok(PlannerResult::Planned(part(
            operator, expr.left, expr.right,
        )))
    }

    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(match fraction(&args) {
            Some(planned) => PlannerResult::Planned(planned),
            None => PlannerResult::Original(args),
        })
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        Ok(PlannerResult::Original(counted_from_one(access, schema)))
    }
}

/// `extract` of seconds and milliseconds, which have digits behind the point: DataFusion cuts them.
fn fraction(args: &[Expr]) -> Option<Expr> {
    let [Expr::Literal(part, _), time] = args else {
        return None;
    };
    // Microseconds per unit, as a power of ten.
    let digits: i8 = match part.try_as_str()??.to_lowercase().as_str() {
        "second" | "seconds" | "sec" | "secs" | "s" => 6,
        "millisecond" | "milliseconds" | "msec" | "msecs" | "ms" => 3,
        _ => return None,
    };
    let micros = function::named("micros_of_minute", vec![time.clone()]).ok()?;
    let micros = cast(micros, DataType::Decimal128(11, 0));
    let unit = lit(ScalarValue::Decimal128(Some(1), 7, digits));
    let product = binary_expr(micros, Operator::Multiply, unit);
    Some(cast(product, DataType::Decimal128(11, digits)))
}

/// Before the first element of a list there is nothing: DataFusion would count from its end.
fn counted_from_one(access: RawFieldAccessExpr, schema: &DFSchema) -> RawFieldAccessExpr {
    let RawFieldAccessExpr { expr, field_access } = access;
    let is_list = matches!(expr.get_type(schema), Ok(DataType::List(_)));
    let at_least = |bound: Expr, least: i64| match is_positive(&bound) {
        true => bound,
        false => {
            let bound = cast(bound, DataType::Int64);
            let raised = when(bound.clone().lt(lit(least)), lit(least)).otherwise(bound.clone());
            raised.unwrap_or(bound)
        }
    };
    let field_access = match field_access {
        GetFieldAccess::ListRange {
            start,
            stop,
            stride,
        } if is_list => GetFieldAccess::ListRange {
            start: Box::new(at_least(*start, 1)),
            stop: Box::new(at_least(*stop, 0)),
            stride,
        },
        GetFieldAccess::ListIndex { key } if is_list && !is_positive(&key) => {
            // The length of a list has no sign, as an index must have.
            let index = match key.get_type(schema) {
                Ok(DataType::UInt64) => cast(*key, DataType::Int64),
                _ => *key,
            };
            let inside = when(index.clone().gt(lit(0_i64)), index.clone()).end();
            GetFieldAccess::ListIndex {
                key: Box::new(inside.unwrap_or(index)),
            }
        }
        other => other,
    };
    RawFieldAccessExpr { expr, field_access }
}

/// `~` and its kin: the library that DataFusion's operator uses reads other patterns.
fn matched(expr: RawBinaryExpr) -> Result<PlannerResult<RawBinaryExpr>> {
    use BinaryOperator as O;
    let mut arguments = vec![expr.left, expr.right];
    if matches!(expr.op, O::PGRegexIMatch | O::PGRegexNotIMatch) {
        arguments.push(lit("i"));
    }
    let found = function::named("regexp_like", arguments)?;
    let negated = matches!(expr.op, O::PGRegexNotMatch | O::PGRegexNotIMatch);
    Ok(PlannerResult::Planned(match negated {
        true => not(found),
        false => found,
    }))
}

fn is_positive(key: &Expr) -> bool {
    matches!(key, Expr::Literal(ScalarValue::Int64(Some(key)), _) if *key > 0)
}

/// Intervals are compared by their lengths: a month has 30 days, a day 24 hours. DataFusion
/// compares months, then days, then the rest; what lies between two times has no days there.
fn compared_intervals(
    expr: RawBinaryExpr,
    schema: &DFSchema,
) -> Result<PlannerResult<RawBinaryExpr>> {
    let sides = [&expr.left, &expr.right];
    let is_interval = |side: &&Expr| matches!(side.get_type(schema), Ok(DataType::Interval(_)));
    if !sides.iter().all(|side| is_span(side, schema)) || !sides.iter().any(is_interval) {
        return Ok(PlannerResult::Original(expr));
    }
    let length = |interval: Expr| function::named("interval_length", vec![interval]);
    Ok(PlannerResult::Original(RawBinaryExpr {
        op: expr.op,
        left: length(expr.left)?,
        right: length(expr.right)?,
    }))
}

/// Whether it is an interval, or what lies between two times.
fn is_span(expr: &Expr, schema: &DFSchema) -> bool {
    let found = expr.get_type(schema);
    matches!(found, Ok(DataType::Interval(_) | DataType::Duration(_)))
}

/// An interval times a number, from either side.
fn scaled_interval(expr: RawBinaryExpr, schema: &DFSchema) -> PlannerResult<RawBinaryExpr> {
    let is_interval = |expr: &Expr| is_span(expr, schema);
    let (interval, factor) = match (is_interval(&expr.left), is_interval(&expr.right)) {
        (true, false) => (&expr.left, &expr.right),
        (false, true) => (&expr.right, &expr.left),
        _ => return PlannerResult::Original(expr),
    };
    let interval = cast(interval.clone(), INTERVAL);
    match function::named("interval_mul", vec![interval, factor.clone()]) {
        Ok(product) => PlannerResult::Planned(product),
        Err(_) => PlannerResult::Original(expr),
    }
}

/// `json @> json` and `json <@ json`; lists have operators of their own.
fn contained(expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
    let is_text = |expr: &Expr| {
        matches!(
            expr.get_type(schema),
            Ok(DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        )
    };
    if !is_text(&expr.left) || !is_text(&expr.right) {
        return Ok(PlannerResult::Original(expr));
    }
    let sides = match expr.op {
        BinaryOperator::AtArrow => vec![expr.left, expr.right],
        _ => vec![expr.right, expr.left],
    };
    let contains = function::named("jsonb_contains", sides)?;
    Ok(PlannerResult::Planned(contains))
}

/// A date moved by an interval is a time of a day: DataFusion would drop the hours.
fn moved_date(expr: RawBinaryExpr, schema: &DFSchema) -> PlannerResult<RawBinaryExpr> {
    let is_date = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Date32));
    let is_interval = |expr: &Expr| matches!(expr.get_type(schema), Ok(DataType::Interval(_)));
    let time = |date: Expr| cast(date, DataType::Timestamp(TimeUnit::Microsecond, None));
    let op = match expr.op {
        BinaryOperator::Plus => Operator::Plus,
        _ => Operator::Minus,
    };
    if is_date(&expr.left) && is_interval(&expr.right) {
        return PlannerResult::Planned(binary_expr(time(expr.left), op, expr.right));
    }
    if op == Operator::Plus && is_interval(&expr.left) && is_date(&expr.right) {
        return PlannerResult::Planned(binary_expr(expr.left, op, time(expr.right)));
    }
    PlannerResult::Original(expr)
}
