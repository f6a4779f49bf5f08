//! Rewrites of syntax trees for queries on the system catalogs: what DataFusion cannot plan becomes
//! what it can.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, GroupByExpr, Query, SelectItem, SetExpr, Statement, Value, VisitMut,
    VisitorMut, visit_expressions_mut,
};
use rtsap_planner::logical::function_spelling::call as function_call;

/// Rewrites all expressions of `statement`.
pub(super) fn rewrite(statement: &mut Statement) {
    let _: ControlFlow<()> = statement.visit(&mut Rewriter);
}

/// `x = ANY (SELECT …)` as `x IN (SELECT …)`: it is no list.
pub(super) fn any_of_subqueries(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        any_of_subquery(expr);
        ControlFlow::Continue(())
    });
}

fn any_of_subquery(expr: &mut Expr) {
    if let Expr::AnyOp {
        left,
        compare_op: BinaryOperator::Eq,
        right,
        ..
    } = expr
        && let Expr::Subquery(subquery) = right.as_ref()
    {
        *expr = Expr::InSubquery {
            expr: left.clone(),
            subquery: subquery.clone(),
            negated: false,
        };
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        any_of_subquery(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                if let Some(new) = call(function) {
                    *expr = new;
                }
            }
            Expr::Like {
                pattern,
                escape_char,
                ..
            }
            | Expr::ILike {
                pattern,
                escape_char,
                ..
            } => {
                own_escape(pattern, escape_char);
            }
            Expr::BinaryOp { left, op, right } if is_comparison(op) => {
                compare(left, right);
                compare(right, left);
            }
            Expr::Subquery(query) => single(query),
            Expr::CompoundFieldAccess { root, access_chain } => {
                if let Some(new) = fields_of(root, access_chain) {
                    *expr = new;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// `(record).field` as a call of `get_field`.
fn fields_of(root: &Expr, chain: &[AccessExpr]) -> Option<Expr> {
    chain
        .iter()
        .try_fold(root.clone(), |record, access| match access {
            AccessExpr::Dot(Expr::Identifier(field)) => {
                let name = Expr::value(Value::SingleQuotedString(field.value.to_lowercase()));
                Some(function_call("get_field", vec![record, name]))
            }
            _ => None,
        })
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq)
}

/// The last part of a function's name, lowercase.
fn name_of(function: &Function) -> Option<String> {
    Some(function.name.0.last()?.as_ident()?.value.to_lowercase())
}

fn call(function: &Function) -> Option<Expr> {
    match name_of(function)?.as_str() {
        // `ARRAY(SELECT x …)` is the array of all x.
        "array" => match &function.args {
            FunctionArguments::Subquery(query) => Some(collected(query)),
            _ => None,
        },
        // Rows of an array's positions, in step with `unnest` of the array.
        "generate_subscripts" => Some(positions(first_argument(function)?)),
        // Elements and their positions, as rows.
        "_pg_expandarray" => {
            let array = first_argument(function)?;
            let text = |name: &str| Expr::value(Value::SingleQuotedString(name.to_owned()));
            let elements = function_call("unnest", vec![array.clone()]);
            let fields = vec![text("x"), elements, text("n"), positions(array)];
            Some(function_call("named_struct", fields))
        }
        _ => None,
    }
}

/// The positions of an array's elements, as rows.
fn positions(array: Expr) -> Expr {
    let last = Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(function_call("array_length", vec![array])),
        data_type: DataType::BigInt(None),
        array: false,
        format: None,
    };
    let one = Expr::value(Value::Number("1".to_owned(), false));
    let series = function_call("generate_series", vec![one, last]);
    function_call("unnest", vec![series])
}

fn first_argument(function: &Function) -> Option<Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return None;
    };
    match list.args.first()? {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    }
}

/// `(SELECT array_agg(x) …)` for the query `SELECT x …`.
fn collected(query: &Query) -> Expr {
    let mut query = query.clone();
    // psql asks for the options of TOAST tables, which no relation here has.
    let toast = query.to_string().contains("unnest(tc.reloptions)");
    if !toast && aggregate(&mut query, "array_agg") {
        query.order_by = None;
        return Expr::Subquery(Box::new(query));
    }
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::value(Value::Null)),
        data_type: DataType::Array(
            datafusion::sql::sqlparser::ast::ArrayElemTypeDef::SquareBracket(
                Box::new(DataType::Text),
                None,
            ),
        ),
        array: false,
        format: None,
    }
}

/// Gives `first_value(x)` for the scalar subquery `(SELECT x …)`: DataFusion wants to be sure that
/// it is one row.
fn single(query: &mut Query) {
    let mut once = query.clone();
    if once.order_by.is_none() && aggregate(&mut once, "first_value") {
        *query = once;
    }
}

/// Wraps the one result of a plain `SELECT` in an aggregate function. `false` if it is not such a
/// query.
fn aggregate(query: &mut Query, function: &str) -> bool {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return false;
    };
    let ungrouped = matches!(&select.group_by, GroupByExpr::Expressions(e, _) if e.is_empty());
    let [item] = select.projection.as_mut_slice() else {
        return false;
    };
    let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
        return false;
    };
    if !ungrouped || select.distinct.is_some() || aggregates(expr) {
        return false;
    }
    let old = std::mem::replace(expr, Expr::value(Value::Null));
    *expr = function_call(function, vec![old]);
    true
}

/// Whether an aggregate function is called anywhere in `expr`.
fn aggregates(expr: &Expr) -> bool {
    const NAMES: [&str; 9] = [
        "count",
        "sum",
        "min",
        "max",
        "array_agg",
        "string_agg",
        "first_value",
        "bool_and",
        "bool_or",
    ];
    let text = expr.to_string().to_lowercase();
    NAMES.iter().any(|name| text.contains(&format!("{name}(")))
}

/// Function numbers are shown as names, so `typreceive = 0` compares with `'0'`; flags are compared
/// with `'t'`.
fn compare(column: &Expr, other: &mut Expr) {
    let name = match column {
        Expr::Identifier(ident) => ident,
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(last) => last,
            None => return,
        },
        _ => return,
    };
    let name = name.value.to_lowercase();
    let function = ["typreceive", "typsend", "typinput", "typoutput"].contains(&name.as_str());
    if let (Expr::Subquery(query), true) = (&mut *other, function) {
        // `'array_in'::regproc` has become a search for the function's number.
        let _: ControlFlow<()> = query.visit(&mut NumbersToNames);
    }
    let Expr::Value(value) = other else { return };
    let flag = name.starts_with("indis") || name.starts_with("attis") || name == "attnotnull";
    value.value = match &value.value {
        Value::Number(number, _) if function => Value::SingleQuotedString(number.clone()),
        Value::SingleQuotedString(text) if flag && text == "t" => Value::Boolean(true),
        Value::SingleQuotedString(text) if flag && text == "f" => Value::Boolean(false),
        _ => return,
    };
}

struct NumbersToNames;

impl VisitorMut for NumbersToNames {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let column = match expr {
            Expr::Identifier(ident) => ident,
            Expr::CompoundIdentifier(parts) => match parts.last_mut() {
                Some(last) => last,
                None => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        if column.value == "oid" {
            "proname".clone_into(&mut column.value);
        }
        ControlFlow::Continue(())
    }
}

/// `LIKE 'a/_b' ESCAPE '/'` with the escape character that DataFusion knows.
fn own_escape(
    pattern: &mut Expr,
    escape: &mut Option<datafusion::sql::sqlparser::ast::ValueWithSpan>,
) {
    let Some(Value::SingleQuotedString(text)) = escape.as_ref().map(|escape| &escape.value) else {
        return;
    };
    let mut chars = text.chars();
    let (Some(own), None) = (chars.next(), chars.next()) else {
        return;
    };
    if own == '\\' {
        return;
    }
    let _: ControlFlow<()> = pattern.visit(&mut Unescape(own));
    *escape = None;
}

struct Unescape(char);

impl VisitorMut for Unescape {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::SingleQuotedString(text) = &value.value
        {
            let doubled = text.replace('\\', "\\\\");
            value.value = Value::SingleQuotedString(doubled.replace(self.0, "\\"));
        }
        ControlFlow::Continue(())
    }
}
