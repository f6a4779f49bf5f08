//! Scalar subqueries are null where they have no row: DataFusion takes them to be as null as the column
//! that they select, and refuses its own answer.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident,
    ObjectName, SelectItem, SetExpr, Statement, Value, VisitMut, VisitorMut, visit_expressions,
};

/// `(SELECT k FROM t)` as `(SELECT nullif(k, NULL) FROM t)`. What is aggregated can be null already.
pub(crate) fn may_be_null(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Subqueries);
}

struct Subqueries;

impl VisitorMut for Subqueries {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Subquery(query) = expr
            && let SetExpr::Select(select) = query.body.as_mut()
            && select.distinct.is_none()
            && let [SelectItem::UnnamedExpr(value) | SelectItem::ExprWithAlias { expr: value, .. }] =
                select.projection.as_mut_slice()
            && !calls(value)
        {
            *value = nullable(value.clone());
        }
        ControlFlow::Continue(())
    }
}

/// `nullif(value, NULL)`: the value, which may be null.
fn nullable(value: Expr) -> Expr {
    let arguments = [value, Expr::value(Value::Null)];
    let arguments = arguments.map(|value| FunctionArg::Unnamed(FunctionArgExpr::Expr(value)));
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("nullif")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: arguments.into(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// Whether a function is called in `expr`, which may be an aggregate.
fn calls(expr: &Expr) -> bool {
    let found = visit_expressions(expr, |expr| match expr {
        Expr::Function(_) | Expr::Subquery(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    found.is_break()
}
