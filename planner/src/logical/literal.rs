//! Numbers with a point, which are numerics in PostgreSQL: written as exact decimals before
//! DataFusion reads them as doubles.
//!
//! Left alone are arguments of functions (`approx_percentile_cont(x, 0.5)`), except of those that
//! give back what they take, and the rows of `INSERT … VALUES`, which their columns decide.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, ExactNumberInfo, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArguments, SetExpr, Statement, Value, VisitMut, VisitorMut,
};

use rtsap_udfs::postgres::interval_words;

/// Digits of the largest decimal.
const DIGITS_MAX: usize = 38;

/// Functions whose result has the type of their argument, or its digits.
const TRANSPARENT: [&str; 24] = [
    "abs",
    "avg",
    "ceil",
    "coalesce",
    "div",
    "first_value",
    "floor",
    "greatest",
    "ifnull",
    "json_build_array",
    "json_build_object",
    "jsonb_build_array",
    "jsonb_build_object",
    "last_value",
    "least",
    "max",
    "min",
    "nullif",
    "round",
    "sum",
    "to_char",
    "to_json",
    "to_jsonb",
    "trunc",
];

/// Writes the numbers in `node` as exact decimals.
pub fn exact<T: VisitMut>(node: &mut T) {
    let _: ControlFlow<()> = node.visit(&mut Exact);
}

/// The same for a statement; the rows of an `INSERT` are left to its columns.
pub fn exact_statement(statement: &mut Statement) {
    if let Statement::Insert(insert) = statement
        && let Some(source) = &mut insert.source
        && let SetExpr::Values(values) = source.body.as_mut()
    {
        let rows = values.rows.iter_mut();
        rows.flat_map(|row| row.iter_mut()).for_each(mark);
    }
    exact(statement);
}

struct Exact;

impl VisitorMut for Exact {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if !is_transparent(function) => mark_arguments(function),
            Expr::Interval(interval) => {
                mark(&mut interval.value);
                let in_units = interval.leading_field.is_some();
                if let Expr::Value(value) = interval.value.as_mut()
                    && let Value::SingleQuotedString(text) = &mut value.value
                    && (!in_units || text.contains(':'))
                {
                    *text = interval_words(text);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Number(text, marked) = &mut value.value
        {
            if std::mem::take(marked) {
                return ControlFlow::Continue(());
            }
            if let Some(decimal) = decimal(text) {
                *expr = decimal;
            }
        }
        ControlFlow::Continue(())
    }
}

fn is_transparent(function: &Function) -> bool {
    let name = function.name.0.last().and_then(|part| part.as_ident());
    name.is_some_and(|name| TRANSPARENT.contains(&name.value.to_lowercase().as_str()))
}

fn mark_arguments(function: &mut Function) {
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    for argument in &mut list.args {
        let argument = match argument {
            FunctionArg::Unnamed(argument)
            | FunctionArg::Named { arg: argument, .. }
            | FunctionArg::ExprNamed { arg: argument, .. } => argument,
        };
        if let FunctionArgExpr::Expr(expr) = argument {
            mark(expr);
        }
    }
}

/// Keeps a literal, or those of an array, as they are: the flag of a number, which means nothing to
/// DataFusion, says so on the way down.
fn mark(expr: &mut Expr) {
    match expr {
        Expr::Value(value) => {
            if let Value::Number(_, marked) = &mut value.value {
                *marked = true;
            }
        }
        Expr::UnaryOp { expr, .. } | Expr::Nested(expr) => mark(expr),
        Expr::Array(array) => array.elem.iter_mut().for_each(mark),
        _ => {}
    }
}

/// `1.50` as `CAST('1.50' AS NUMERIC(3,2))`; `None` for what is no decimal, or too long for one.
fn decimal(text: &str) -> Option<Expr> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.');
    let beyond_integers = plain && text.parse::<i64>().is_err();
    if !plain || !(text.contains('.') || beyond_integers) {
        return None;
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole = whole.trim_start_matches('0');
    let digits = (whole.len() + fraction.len()).max(1);
    if digits > DIGITS_MAX {
        return None;
    }
    let (precision, scale) = (digits as u64, i64::try_from(fraction.len()).ok()?);
    Some(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::value(Value::SingleQuotedString(text.to_owned()))),
        data_type: DataType::Numeric(ExactNumberInfo::PrecisionAndScale(precision, scale)),
        array: false,
        format: None,
    })
}
