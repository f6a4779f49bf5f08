//! Conditions on a row number: which numbers they let through.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::error::PlanError;

use super::column;

/// The bounds that one condition sets.
#[derive(Default)]
pub(super) struct Bounds {
    pub first: Option<i64>,
    pub last: Option<i64>,
}

/// Whether `expr` is column `wanted` of `schema`, in whatever type.
pub(super) fn is_column(expr: &Expr, schema: &DFSchema, wanted: usize) -> bool {
    match expr {
        Expr::Cast(cast) => is_column(&cast.expr, schema, wanted),
        _ => column(expr, schema) == Some(wanted),
    }
}

/// The bounds that `condition` sets on what `is_number` says is the number.
pub(super) fn bounds(condition: &Expr, is_number: &dyn Fn(&Expr) -> bool) -> Option<Bounds> {
    match condition {
        Expr::Between(between) if !between.negated && is_number(&between.expr) => Some(Bounds {
            first: Some(integer(&between.low)?),
            last: Some(integer(&between.high)?),
        }),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (op, value) = match (is_number(left), is_number(right)) {
                (true, false) => (*op, integer(right)?),
                (false, true) => (op.swap()?, integer(left)?),
                _ => return None,
            };
            let (first, last) = match op {
                Operator::Eq => (Some(value), Some(value)),
                Operator::Lt => (None, Some(value - 1)),
                Operator::LtEq => (None, Some(value)),
                Operator::Gt => (Some(value + 1), None),
                Operator::GtEq => (Some(value), None),
                _ => return None,
            };
            Some(Bounds { first, last })
        }
        _ => None,
    }
}

fn integer(expr: &Expr) -> Option<i64> {
    let value = match expr {
        Expr::Literal(value, _) => value,
        Expr::Cast(cast) => return integer(&cast.expr),
        _ => return None,
    };
    let whole =
        value.data_type().is_integer() || matches!(value.data_type(), DataType::Decimal128(_, 0));
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(Some(number))) if whole && number.abs() < i64::MAX / 2 => {
            Some(number)
        }
        _ => None,
    }
}

/// The number of `LIMIT` and `OFFSET`.
///
/// # Errors
/// [`crate::error::Cause::Unsupported`] if it is no constant.
pub(super) fn count(expr: &Expr) -> Result<u64, PlanError> {
    let number = integer(expr).and_then(|number| u64::try_from(number).ok());
    number.ok_or_else(|| {
        PlanError::unsupported("LIMIT or OFFSET that is no constant in a streaming view")
    })
}
