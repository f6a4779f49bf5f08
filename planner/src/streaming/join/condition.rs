//! A join's condition, taken apart: equalities between the sides, and the rest.

use datafusion::common::DFSchema;
use datafusion::logical_expr::utils::split_conjunction_owned;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, lit};
use rtsap_plan::join::Side;

use crate::logical::join_marker;

/// What must hold for two rows to be joined.
pub struct Conditions {
    /// Expressions over the left side, and over the right one, that must be equal.
    pub equal: Vec<(Expr, Expr)>,
    /// Everything else.
    pub rest: Vec<Expr>,
}

impl Conditions {
    /// Of the pairs of `USING` and the condition of `ON`.
    pub fn of(
        mut equal: Vec<(Expr, Expr)>,
        condition: Option<Expr>,
        left: &DFSchema,
        right: &DFSchema,
    ) -> Self {
        let mut rest = Vec::new();
        let parts = condition.into_iter().flat_map(split_conjunction_owned);
        let says_nothing = |part: &Expr| join_marker::keeps_times(part) || *part == lit(true);
        for part in parts.filter(|part| !says_nothing(part)) {
            match equality(&part, left, right) {
                Some(pair) => equal.push(pair),
                None => rest.push(part),
            }
        }
        Self { equal, rest }
    }

    /// Every expression.
    pub fn all(&self) -> impl Iterator<Item = &Expr> {
        let equal = self.equal.iter().flat_map(|(left, right)| [left, right]);
        equal.chain(&self.rest)
    }
}

fn equality(expr: &Expr, left: &DFSchema, right: &DFSchema) -> Option<(Expr, Expr)> {
    let Expr::BinaryExpr(BinaryExpr {
        left: first,
        op: Operator::Eq,
        right: second,
    }) = expr
    else {
        return None;
    };
    match (side_of(first, left, right)?, side_of(second, left, right)?) {
        (Side::Left, Side::Right) => Some((first.as_ref().clone(), second.as_ref().clone())),
        (Side::Right, Side::Left) => Some((second.as_ref().clone(), first.as_ref().clone())),
        _ => None,
    }
}

/// The one side whose columns an expression reads; `None` for both or neither.
pub fn side_of(expr: &Expr, left: &DFSchema, right: &DFSchema) -> Option<Side> {
    let columns = expr.column_refs();
    if columns.is_empty() {
        return None;
    }
    if columns.iter().all(|column| left.has_column(column)) {
        return Some(Side::Left);
    }
    let on_right = columns.iter().all(|column| right.has_column(column));
    on_right.then_some(Side::Right)
}
