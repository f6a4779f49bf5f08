//! Subqueries that aggregate without groups have one row, whatever they read: `EXISTS` of them is
//! true, and `IN` compares with that row. DataFusion joins with what they read.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, GroupByExpr, Query, Select, SetExpr, Value, visit_expressions,
};

use super::row_spelling::binary;

/// Aggregates of PostgreSQL; what is not named here is left as it is.
const AGGREGATES: [&str; 14] = [
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "count",
    "every",
    "json_agg",
    "jsonb_agg",
    "max",
    "min",
    "stddev",
    "string_agg",
    "sum",
    "variance",
];

/// Such a test in another form.
pub(super) fn rewritten(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::Exists { subquery, negated } if has_one_row(subquery) => {
            Some(Expr::value(Value::Boolean(!negated)))
        }
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } if has_one_row(subquery) => {
            let op = match negated {
                true => BinaryOperator::NotEq,
                false => BinaryOperator::Eq,
            };
            let value = Expr::Subquery(subquery.clone());
            Some(Expr::Nested(Box::new(binary((**expr).clone(), op, value))))
        }
        _ => None,
    }
}

fn has_one_row(query: &Query) -> bool {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return false;
    };
    let whole = query.limit_clause.is_none() && query.fetch.is_none();
    whole && !groups(select) && select.having.is_none() && aggregates(select)
}

fn groups(select: &Select) -> bool {
    match &select.group_by {
        GroupByExpr::All(_) => true,
        GroupByExpr::Expressions(groups, _) => !groups.is_empty(),
    }
}

fn aggregates(select: &Select) -> bool {
    let found = visit_expressions(&select.projection, |expr| match expr {
        Expr::Function(call) if call.over.is_none() => {
            let name = call.name.to_string().to_lowercase();
            match AGGREGATES.contains(&name.as_str()) {
                true => ControlFlow::Break(true),
                false => ControlFlow::Continue(()),
            }
        }
        // What aggregates in there has rows of its own.
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => {
            ControlFlow::Break(false)
        }
        _ => ControlFlow::Continue(()),
    });
    matches!(found, ControlFlow::Break(true))
}
