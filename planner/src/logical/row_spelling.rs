//! Rows of several values, `(a, b)`, compared: rewritten in sqlparser's tree into comparisons of
//! their values, which say the same about nulls.
//!
//! `(a, b) IN (SELECT x, y …)` becomes `EXISTS` where only it matters whether it is true: as a
//! condition of its own. Idempotent.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Delete, Expr, Ident, Query, Select, SelectItem, SetExpr, Statement,
    TableFactor, TableWithJoins, UnaryOperator, Update, Value, VisitorMut,
};
use datafusion::sql::sqlparser::parser::Parser;

use super::spelling::derived;
use crate::error::PlanError;
use crate::logical::function_spelling::arguments;
use crate::logical::spelling::function_name;
use crate::logical::walk::{replace, step, walk};
use crate::parse::dialect::Grammar;

/// What the rows of a subquery are called where they are compared.
const ROWS: &str = "__rows";

/// Rewrites a statement.
///
/// # Errors
/// [`crate::error::Cause::Expression`] for rows of different lengths,
/// [`crate::error::Cause::Unsupported`] for subqueries of rows in other places.
pub fn rewrite(statement: &mut Statement) -> Result<(), PlanError> {
    match statement {
        Statement::Update(Update { selection, .. })
        | Statement::Delete(Delete { selection, .. }) => {
            conditions(selection.as_mut())?;
        }
        _ => {}
    }
    walk(statement, &mut Rewriter)
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = PlanError;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<PlanError> {
        step(conditions(select.selection.as_mut()))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<PlanError> {
        let new = rewritten(expr);
        replace(expr, new)
    }
}

/// The values of a row: `(a, b)`, `ROW(a, b)`.
pub fn row(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Tuple(values) => Some(values.clone()),
        Expr::Nested(inner) => match inner.as_ref() {
            Expr::Tuple(_) => row(inner),
            _ => None,
        },
        Expr::Function(function) if function_name(function)? == "row" => arguments(function),
        _ => None,
    }
}

fn rewritten(expr: &Expr) -> Result<Option<Expr>, PlanError> {
    Ok(match expr {
        Expr::BinaryOp { left, op, right } => compared(left, op, right)?,
        Expr::Between {
            expr,
            negated,
            low,
            high,
        } => {
            let from = compared(expr, &BinaryOperator::GtEq, low)?;
            let to = compared(expr, &BinaryOperator::LtEq, high)?;
            from.zip(to)
                .map(|(from, to)| negated_if(*negated, joined(vec![from, to], &and())))
        }
        Expr::InList {
            expr,
            list,
            negated,
        } => match row(expr) {
            Some(_) => {
                let each = list.iter().map(|other| {
                    let found = compared(expr, &BinaryOperator::Eq, other)?;
                    found.ok_or_else(|| uneven(expr))
                });
                let each = each.collect::<Result<Vec<_>, _>>()?;
                Some(negated_if(*negated, joined(each, &BinaryOperator::Or)))
            }
            None => None,
        },
        Expr::IsNull(inner) => row(inner).map(|values| all(values, Expr::IsNull)),
        Expr::IsNotNull(inner) => row(inner).map(|values| all(values, Expr::IsNotNull)),
        Expr::IsDistinctFrom(left, right) => distinct(left, right)?,
        Expr::IsNotDistinctFrom(left, right) => distinct(left, right)?.map(not),
        Expr::InSubquery { expr, .. } if row(expr).is_some() => {
            let error = PlanError::unsupported("a row IN (SELECT …) inside of an expression");
            return Err(error.hint(
                "Write it as a condition of its own: WHERE (a, b) IN (SELECT x, y …) AND ….",
            ));
        }
        _ => None,
    })
}

fn and() -> BinaryOperator {
    BinaryOperator::And
}

fn truth(value: bool) -> Expr {
    Expr::value(Value::Boolean(value))
}

fn nested(expr: Expr) -> Expr {
    Expr::Nested(Box::new(expr))
}

fn not(expr: Expr) -> Expr {
    Expr::UnaryOp {
        op: UnaryOperator::Not,
        expr: Box::new(nested(expr)),
    }
}

fn negated_if(negated: bool, expr: Expr) -> Expr {
    match negated {
        true => not(expr),
        false => expr,
    }
}

pub(super) fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(nested(left)),
        op,
        right: Box::new(nested(right)),
    }
}

/// `exprs` with `op` between them, as a tree of little depth.
pub(super) fn joined(mut exprs: Vec<Expr>, op: &BinaryOperator) -> Expr {
    match exprs.len() {
        0 => truth(matches!(op, BinaryOperator::And)),
        1 => nested(exprs.remove(0)),
        count => {
            let rest = exprs.split_off(count / 2);
            let (left, right) = (joined(exprs, op), joined(rest, op));
            nested(binary(left, op.clone(), right))
        }
    }
}

fn all(values: Vec<Expr>, test: impl Fn(Box<Expr>) -> Expr) -> Expr {
    let each = values
        .into_iter()
        .map(|value| test(Box::new(nested(value))));
    joined(each.collect(), &and())
}

fn uneven(left: &Expr) -> PlanError {
    let error = PlanError::expression("unequal number of entries in row expressions");
    match row(left).map(|values| values.len()) {
        Some(count) => error.hint(format!("Compare rows of {count} values.")),
        None => error.hint("Compare two rows."),
    }
}

/// The values of two rows, in pairs; `None` if neither is a row.
fn pairs(left: &Expr, right: &Expr) -> Result<Option<Vec<(Expr, Expr)>>, PlanError> {
    match (row(left), row(right)) {
        (Some(left), Some(right)) if left.len() == right.len() => {
            Ok(Some(left.into_iter().zip(right).collect()))
        }
        (None, None) => Ok(None),
        (Some(_), None) if matches!(right, Expr::Subquery(_)) => {
            let error = PlanError::unsupported("a row compared with a subquery");
            Err(error.hint("Write (a, b) IN (SELECT x, y …), or join."))
        }
        (Some(_), _) => Err(uneven(left)),
        (None, Some(_)) => Err(uneven(right)),
    }
}

/// Two rows compared; `None` if they are none, or the operator is another one.
fn compared(left: &Expr, op: &BinaryOperator, right: &Expr) -> Result<Option<Expr>, PlanError> {
    let is_order = |op: &BinaryOperator| {
        matches!(
            op,
            BinaryOperator::Lt | BinaryOperator::LtEq | BinaryOperator::Gt | BinaryOperator::GtEq
        )
    };
    if !matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq) && !is_order(op) {
        return Ok(None);
    }
    let Some(pairs) = pairs(left, right)? else {
        return Ok(None);
    };
    let each = |op: &BinaryOperator| {
        let each = pairs.iter().cloned();
        each.map(|(left, right)| binary(left, op.clone(), right))
            .collect::<Vec<_>>()
    };
    Ok(Some(match op {
        BinaryOperator::Eq => joined(each(op), &and()),
        BinaryOperator::NotEq => joined(each(op), &BinaryOperator::Or),
        _ => ordered(&pairs, op),
    }))
}

/// `a < c OR a = c AND b < d`: the first values that differ decide.
fn ordered(pairs: &[(Expr, Expr)], op: &BinaryOperator) -> Expr {
    let strict = match op {
        BinaryOperator::LtEq => BinaryOperator::Lt,
        BinaryOperator::GtEq => BinaryOperator::Gt,
        other => other.clone(),
    };
    let mut rest: Option<Expr> = None;
    for (left, right) in pairs.iter().rev().cloned() {
        rest = Some(match rest {
            None => binary(left, op.clone(), right),
            Some(rest) => {
                let before = binary(left.clone(), strict.clone(), right.clone());
                let equal = binary(left, BinaryOperator::Eq, right);
                let after = joined(vec![equal, rest], &and());
                joined(vec![before, after], &BinaryOperator::Or)
            }
        });
    }
    nested(rest.unwrap_or_else(|| truth(true)))
}

fn distinct(left: &Expr, right: &Expr) -> Result<Option<Expr>, PlanError> {
    let Some(pairs) = pairs(left, right)? else {
        return Ok(None);
    };
    let each = pairs.into_iter().map(|(left, right)| {
        let (left, right) = (Box::new(nested(left)), Box::new(nested(right)));
        nested(Expr::IsDistinctFrom(left, right))
    });
    Ok(Some(joined(each.collect(), &BinaryOperator::Or)))
}

/// Rewrites the conditions that must all be true.
fn conditions(place: Option<&mut Expr>) -> Result<(), PlanError> {
    let Some(expr) = place else {
        return Ok(());
    };
    let inverted = match expr {
        Expr::BinaryOp {
            left,
            op: BinaryOperator::And,
            right,
        } => {
            conditions(Some(left))?;
            return conditions(Some(right));
        }
        Expr::Nested(inner) => return conditions(Some(inner)),
        Expr::UnaryOp {
            op: UnaryOperator::Not,
            expr: inner,
        } => match strip(inner) {
            Expr::InSubquery {
                expr,
                subquery,
                negated,
            } => among(expr, subquery, !*negated)?,
            _ => None,
        },
        Expr::InSubquery {
            expr,
            subquery,
            negated,
        } => among(expr, subquery, *negated)?,
        _ => None,
    };
    if let Some(new) = inverted {
        *expr = new;
    }
    Ok(())
}

fn strip(expr: &Expr) -> &Expr {
    match expr {
        Expr::Nested(inner) => strip(inner),
        other => other,
    }
}

/// `(a, b) [NOT] IN (SELECT x, y …)` as a condition of its own: a row that is equal exists, or none
/// exists that is equal or of which that is not known.
fn among(expr: &Expr, subquery: &Query, negated: bool) -> Result<Option<Expr>, PlanError> {
    let Some(values) = row(expr) else {
        return Ok(None);
    };
    if width(subquery).is_some_and(|width| width != values.len()) {
        let message = match width(subquery) > Some(values.len()) {
            true => "subquery has too many columns",
            false => "subquery has too few columns",
        };
        return Err(PlanError::expression(message));
    }
    let names: Vec<String> = (0..values.len())
        .map(|at| format!("__value_{at}"))
        .collect();
    let pairs = names.iter().zip(values).map(|(name, value)| {
        let column = Expr::CompoundIdentifier(vec![Ident::new(ROWS), Ident::new(name)]);
        binary(column, BinaryOperator::Eq, value)
    });
    let equal = joined(pairs.collect(), &and());
    let condition = match negated {
        true => Expr::IsNotFalse(Box::new(equal)),
        false => equal,
    };
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    let rows = derived(subquery.clone(), ROWS, &columns);
    let exists = Expr::Exists {
        subquery: Box::new(selecting_one(rows, condition)?),
        negated,
    };
    Ok(Some(exists))
}

/// How many columns a query has, where its text says so.
fn width(query: &Query) -> Option<usize> {
    let SetExpr::Select(select) = query.body.as_ref() else {
        return None;
    };
    let single = |item: &SelectItem| {
        let unnamed = matches!(item, SelectItem::UnnamedExpr(_));
        unnamed || matches!(item, SelectItem::ExprWithAlias { .. })
    };
    let items = &select.projection;
    items.iter().all(single).then_some(items.len())
}

/// `SELECT 1 FROM rows WHERE condition`.
fn selecting_one(rows: TableFactor, condition: Expr) -> Result<Query, PlanError> {
    let parsed = Parser::new(&Grammar)
        .try_with_sql("SELECT 1 FROM t")
        .and_then(|mut parser| parser.parse_query());
    let mut query = parsed.map_err(|error| PlanError::internal(error.to_string()))?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![TableWithJoins {
            relation: rows,
            joins: Vec::new(),
        }];
        select.selection = Some(condition);
    }
    Ok(*query)
}
