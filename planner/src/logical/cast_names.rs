//! Expressions of one name: DataFusion names `max(x::text)` as `max(x)`, and refuses to have both.
//! Where two differ by a cast alone, the cast goes through a function that has the type in its
//! name.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr as PlanExpr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{
    Expr, GroupByExpr, OrderByKind, Query, SetExpr, visit_expressions, visit_expressions_mut,
};

use super::function_spelling::{call, text};
use super::walk::outside_subqueries;
use crate::error::PlanError;

/// The name of the function.
pub const NAME: &str = "typed_as";

/// Tells the expressions of a query apart.
pub(super) fn tell_apart(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return;
    };
    let mut named: HashMap<String, Vec<Expr>> = HashMap::new();
    let mut note = |expr: &Expr| {
        let same = named.entry(without_casts(expr)).or_default();
        if !same.contains(expr) {
            same.push(expr.clone());
        }
    };
    let mut calls = |expr: &Expr| -> ControlFlow<()> {
        if matches!(expr, Expr::Function(_)) {
            note(expr);
        }
        ControlFlow::Continue(())
    };
    let _ = visit_expressions(&select.projection, &mut calls);
    let _ = visit_expressions(&select.having, &mut calls);
    let _ = visit_expressions(&select.qualify, &mut calls);
    let _ = visit_expressions(&query.order_by, &mut calls);
    if let GroupByExpr::Expressions(groups, _) = &select.group_by {
        groups.iter().for_each(&mut note);
    }
    let alike = named.into_values().filter(|alike| alike.len() > 1);
    let mut casts: Vec<Expr> = Vec::new();
    for expr in alike.flatten() {
        let _: ControlFlow<()> = visit_expressions(&expr, |expr| {
            if matches!(expr, Expr::Cast { .. }) && !casts.contains(expr) {
                casts.push(expr.clone());
            }
            ControlFlow::Continue(())
        });
    }
    if casts.is_empty() {
        return;
    }
    let mut typed = |expr: &mut Expr| {
        if casts.contains(expr)
            && let Expr::Cast { data_type, .. } = &*expr
        {
            *expr = call(NAME, vec![expr.clone(), text(&data_type.to_string())]);
        }
    };
    if let SetExpr::Select(select) = query.body.as_mut() {
        outside_subqueries(&mut select.projection, &mut typed);
        outside_subqueries(&mut select.having, &mut typed);
        outside_subqueries(&mut select.qualify, &mut typed);
        outside_subqueries(&mut select.group_by, &mut typed);
    }
    if let Some(order) = &mut query.order_by
        && matches!(order.kind, OrderByKind::Expressions(_))
    {
        outside_subqueries(order, &mut typed);
    }
}

/// The text without casts and the brackets around them.
fn without_casts(expr: &Expr) -> String {
    let mut bare = expr.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut bare, |expr| {
        while let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
            *expr = inner.as_ref().clone();
        }
        ControlFlow::Continue(())
    });
    bare.to_string().to_lowercase()
}

/// The function: its first argument.
#[must_use]
pub fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(TypedAs)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TypedAs;

impl ScalarUDFImpl for TypedAs {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        static SIGNATURE: LazyLock<Signature> =
            LazyLock::new(|| Signature::any(2, Volatility::Immutable));
        &SIGNATURE
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = args.arg_fields.first().cloned();
        field.ok_or_else(|| PlanError::internal(format!("{NAME} has no argument")).into())
    }

    fn simplify(
        &self,
        args: Vec<PlanExpr>,
        _context: &SimplifyContext,
    ) -> Result<ExprSimplifyResult> {
        let mut args = args;
        args.truncate(1);
        Ok(match args.pop() {
            Some(value) => ExprSimplifyResult::Simplified(value),
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.into_iter().next();
        value.ok_or_else(|| PlanError::internal(format!("{NAME} has no argument")).into())
    }
}
