//! `x = ANY (list)` and `x <> ALL (list)`: not known where nothing decides and an element is null.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};

use super::build::call;
use super::{case, nested};
use crate::logical::row_spelling::{binary, joined};

/// Such a comparison in another form.
pub(super) fn rewritten(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::AnyOp {
            left,
            compare_op,
            right,
            ..
        } => any(left, compare_op, right),
        Expr::AllOp {
            left,
            compare_op,
            right,
        } => all(left, compare_op, right),
        _ => None,
    }
}

/// `x op ANY (list)`; `None` where DataFusion's own form says the same.
fn any(left: &Expr, op: &BinaryOperator, list: &Expr) -> Option<Expr> {
    if let Some(elements) = elements(list) {
        return Some(match op {
            BinaryOperator::Eq => Expr::InList {
                expr: Box::new(nested(left.clone())),
                list: elements,
                negated: false,
            },
            op => joined(each(left, op, elements), &BinaryOperator::Or),
        });
    }
    if matches!(list, Expr::Subquery(_) | Expr::Value(_)) || is_known(list) {
        return None;
    }
    let found = match op {
        BinaryOperator::Eq => call("array_has", vec![list.clone(), left.clone()]),
        op => Expr::AnyOp {
            left: Box::new(left.clone()),
            compare_op: op.clone(),
            right: Box::new(Expr::Nested(Box::new(list.clone()))),
            is_some: false,
        },
    };
    let unknown = case(
        &Expr::IsNotNull(Box::new(call("array_position", vec![list.clone(), null()]))),
        &null(),
        &found,
    );
    Some(case(&found, &Expr::value(Value::Boolean(true)), &unknown))
}

/// `x op ALL (list)`; `None` where DataFusion's own form says the same.
fn all(left: &Expr, op: &BinaryOperator, list: &Expr) -> Option<Expr> {
    if let (BinaryOperator::NotEq, Expr::Subquery(query)) = (op, list) {
        return Some(Expr::InSubquery {
            expr: Box::new(left.clone()),
            subquery: query.clone(),
            negated: true,
        });
    }
    let Some(elements) = elements(list) else {
        let equal = match op {
            BinaryOperator::NotEq => any(left, &BinaryOperator::Eq, list)?,
            _ => return None,
        };
        return Some(Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: Box::new(nested(equal)),
        });
    };
    Some(match op {
        BinaryOperator::NotEq => Expr::InList {
            expr: Box::new(nested(left.clone())),
            list: elements,
            negated: true,
        },
        op => joined(each(left, op, elements), &BinaryOperator::And),
    })
}

/// Marks a list that has been gone over.
fn is_known(list: &Expr) -> bool {
    matches!(list, Expr::Nested(_))
}

fn null() -> Expr {
    Expr::value(Value::Null)
}

/// The elements of a list that is written out, if it has any.
fn elements(list: &Expr) -> Option<Vec<Expr>> {
    match list {
        Expr::Array(array) if !array.elem.is_empty() => {
            let nests = |element: &Expr| matches!(element, Expr::Array(_));
            (!array.elem.iter().any(nests)).then(|| array.elem.clone())
        }
        Expr::Nested(list) => elements(list),
        _ => None,
    }
}

fn each(left: &Expr, op: &BinaryOperator, elements: Vec<Expr>) -> Vec<Expr> {
    let each = elements.into_iter();
    each.map(|element| binary(left.clone(), op.clone(), element))
        .collect()
}
