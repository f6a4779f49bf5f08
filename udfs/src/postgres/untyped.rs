//! Quoted constants take the type of what they stand beside: `b = 't'`, `n / '2'`, `n <> ''`. What
//! is no value of that type is an error when the statement is planned, not when a row comes.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::planner::RawBinaryExpr;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;

use crate::postgres::function::INTERVAL;
use crate::postgres::unconstrained_numeric;

/// The operands with a quoted constant in the other one's type.
pub(super) fn typed(expr: RawBinaryExpr, schema: &DFSchema) -> RawBinaryExpr {
    let RawBinaryExpr { op, left, right } = expr;
    let (left, right) = match (is_quoted(&left), is_quoted(&right)) {
        (true, false) => (as_beside(left, &right, &op, schema), right),
        (false, true) => {
            let right = as_beside(right, &left, &op, schema);
            (left, right)
        }
        _ => (left, right),
    };
    RawBinaryExpr { op, left, right }
}

/// Gives the quoted constants of `others`, which are compared with `value`, its type; returns
/// whether there were any.
pub(super) fn compared(value: &Expr, others: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let Some(to) = value.get_type(schema).ok().and_then(|of| compared_as(&of)) else {
        return false;
    };
    let mut changed = false;
    for other in others.iter_mut().filter(|other| is_quoted(other)) {
        let quoted = std::mem::take(*other);
        **other = cast(quoted, to.clone());
        changed = true;
    }
    changed
}

fn is_quoted(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(ScalarValue::Utf8(Some(_)), _))
}

fn as_beside(quoted: Expr, other: &Expr, op: &BinaryOperator, schema: &DFSchema) -> Expr {
    use BinaryOperator as O;
    let Ok(beside) = other.get_type(schema) else {
        return quoted;
    };
    let to = match op {
        O::Eq | O::NotEq | O::Lt | O::LtEq | O::Gt | O::GtEq => compared_as(&beside),
        O::Plus | O::Minus | O::Multiply | O::Divide | O::Modulo => computed_as(beside, op),
        _ => None,
    };
    match to {
        Some(to) => cast(quoted, to),
        None => quoted,
    }
}

/// The type that a constant is compared in; `None` for texts, and for decimals, which are compared
/// with all digits of the constant.
fn compared_as(beside: &DataType) -> Option<DataType> {
    use DataType as T;
    match beside {
        T::Duration(_) => Some(INTERVAL),
        T::Boolean | T::List(_) | T::Interval(_) => Some(beside.clone()),
        T::Timestamp(..) | T::Date32 | T::Time32(_) | T::Time64(_) => Some(beside.clone()),
        number if number.is_integer() || number.is_floating() => Some(beside.clone()),
        _ => None,
    }
}

fn computed_as(beside: DataType, op: &BinaryOperator) -> Option<DataType> {
    use DataType as T;
    if *op == BinaryOperator::Plus && matches!(beside, T::Timestamp(..) | T::Date32) {
        return Some(INTERVAL);
    }
    let takes = match &beside {
        T::Timestamp(..) | T::Date32 => *op == BinaryOperator::Minus,
        T::Decimal128(precision, scale) => unconstrained_numeric(*precision, *scale),
        other => other.is_integer() || other.is_floating(),
    };
    takes.then_some(beside)
}
