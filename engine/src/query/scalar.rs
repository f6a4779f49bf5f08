//! Scalar subqueries are null where they have no row. DataFusion takes them to be as null as the
//! column that they select: it would answer `(SELECT key FROM t) IS NULL` without looking.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::arrow::datatypes::DataType;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, SelectItem, SetExpr, Statement,
    VisitMut, VisitorMut,
};
use rtsap_planner::logical::function_spelling::call;

/// The function that a subquery's value goes through.
const NAME: &str = "scalar_subquery";

/// `(SELECT k FROM t)` as `scalar_subquery((SELECT k FROM t))`.
pub(crate) fn may_be_null(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Subqueries);
}

struct Subqueries;

impl VisitorMut for Subqueries {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Subquery(query) if has_one_column(&query.body) => {
                *expr = call(NAME, vec![expr.clone()]);
            }
            // There the subquery is a list.
            Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } => {
                if let Some(query) = unwrapped(right) {
                    **right = query;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn has_one_column(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => matches!(
            select.projection.as_slice(),
            [SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. }]
        ),
        SetExpr::Query(query) => has_one_column(&query.body),
        SetExpr::SetOperation { left, .. } => has_one_column(left),
        _ => false,
    }
}

fn unwrapped(expr: &Expr) -> Option<Expr> {
    let Expr::Function(call) = expr else {
        return None;
    };
    let FunctionArguments::List(list) = &call.args else {
        return None;
    };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(query @ Expr::Subquery(_)))]
            if call.name.to_string() == NAME =>
        {
            Some(query.clone())
        }
        _ => None,
    }
}

/// The function: its argument, which may be null.
pub(crate) fn function() -> ScalarUDF {
    ScalarUDF::new_from_impl(Nullable)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Nullable;

impl ScalarUDFImpl for Nullable {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        static SIGNATURE: LazyLock<Signature> =
            LazyLock::new(|| Signature::any(1, Volatility::Immutable));
        &SIGNATURE
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types.first().cloned().unwrap_or(DataType::Null))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args.into_iter().next();
        value.ok_or_else(|| {
            datafusion::error::DataFusionError::Internal(format!("{NAME} has no argument"))
        })
    }
}
