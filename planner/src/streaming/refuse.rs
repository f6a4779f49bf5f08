//! What SQL can say and a streaming view of this version cannot do: refused by name, at its place,
//! with what to do.

use std::ops::ControlFlow;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};
use datafusion::sql::sqlparser::ast::{Query, Select, Spanned, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::tokenizer::Span;

use crate::error::{Cause, PlanError};
use crate::parse::lexeme::{Lexeme, position_of};

/// Refuses clauses that sqlparser would not understand.
///
/// # Errors
/// [`Cause::Unsupported`].
pub fn words(tokens: &[Lexeme]) -> Result<(), PlanError> {
    const CLAUSES: [(&[&str], &str, &str); 2] = [
        (
            &["WINDOW", "JOIN"],
            "WINDOW JOIN",
            "Join two window functions ON a.window_start = b.window_start.",
        ),
        (
            &["MATCH_RECOGNIZE"],
            "MATCH_RECOGNIZE",
            "Filter and aggregate instead.",
        ),
    ];
    for index in 0..tokens.len() {
        let found = CLAUSES.iter().find(|(words, ..)| {
            let rest = &tokens[index..];
            rest.len() >= words.len()
                && words
                    .iter()
                    .zip(rest)
                    .all(|(word, next)| next.is_word(word))
        });
        if let Some((_, what, hint)) = found {
            return Err(PlanError::unsupported(*what)
                .at(tokens[index].position)
                .hint(*hint));
        }
    }
    Ok(())
}

/// Refuses what the tree shows and the logical plan would not show at a position.
///
/// # Errors
/// [`Cause::Unsupported`], [`Cause::ReadOnlyClause`].
pub fn statement(statement: &Statement, text: &str, tokens: &[Lexeme]) -> Result<(), PlanError> {
    if !matches!(statement, Statement::Query(_)) {
        let error = PlanError::unsupported("a statement other than a query in a streaming view");
        return Err(error.at(1));
    }
    match Visit::visit(statement, &mut Refuser { text, tokens }) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Refuser<'a> {
    text: &'a str,
    tokens: &'a [Lexeme],
}

impl Refuser<'_> {
    fn position(&self, span: Span) -> Option<u32> {
        let start = span.start;
        (start.line > 0).then(|| position_of(self.text, start.line, start.column))
    }

    /// An error at the last `word` at or before `span`, or at the span, or at the first `word`.
    fn at_word(&self, error: PlanError, word: &str, span: Span) -> PlanError {
        let limit = self.position(span);
        let words = || self.tokens.iter().filter(|lexeme| lexeme.is_word(word));
        let mut before =
            words().filter(|lexeme| limit.is_none_or(|limit| lexeme.position <= limit));
        let found = if limit.is_some() {
            before.next_back()
        } else {
            words().next()
        };
        match found.map(|lexeme| lexeme.position).or(limit) {
            Some(position) => error.at(position),
            None => error,
        }
    }
}

fn read_only(clause: &'static str) -> PlanError {
    let error = PlanError::new(Cause::ReadOnlyClause { clause });
    let top = match clause {
        "LIMIT" | "FETCH" => "; with ORDER BY the view keeps the first rows",
        _ => "",
    };
    error.hint(format!(
        "A view has no order and no end; put {clause} into the SELECT that reads it{top}."
    ))
}

impl Visitor for Refuser<'_> {
    type Break = PlanError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<PlanError> {
        let ordered = query.order_by.is_some();
        if let Some(limit) = query.limit_clause.as_ref().filter(|_| !ordered) {
            let offset = self.tokens.iter().any(|lexeme| lexeme.is_word("LIMIT"));
            let word = if offset { "LIMIT" } else { "OFFSET" };
            return ControlFlow::Break(self.at_word(read_only("LIMIT"), word, limit.span()));
        }
        if query.fetch.is_some() && !ordered {
            return ControlFlow::Break(self.at_word(read_only("FETCH"), "FETCH", Span::empty()));
        }
        if !query.locks.is_empty() {
            return ControlFlow::Break(self.at_word(read_only("FOR UPDATE"), "FOR", Span::empty()));
        }
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            let error = PlanError::unsupported("WITH RECURSIVE in a streaming view");
            return ControlFlow::Break(self.at_word(error, "RECURSIVE", Span::empty()));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<PlanError> {
        match self.select(select) {
            Some(error) => ControlFlow::Break(error),
            None => ControlFlow::Continue(()),
        }
    }
}

impl Refuser<'_> {
    fn select(&self, select: &Select) -> Option<PlanError> {
        if select.into.is_some() {
            let error = PlanError::unsupported("SELECT INTO");
            let hint = "The view's name stands after CREATE STREAMING VIEW.";
            return Some(self.at_word(error.hint(hint), "INTO", Span::empty()));
        }
        None
    }
}

/// The refusal of a logical node that no arm of the compiler takes.
pub fn node(plan: &LogicalPlan) -> PlanError {
    let what = match plan {
        LogicalPlan::Limit(_) => return read_only("LIMIT"),
        LogicalPlan::Window(_) => "OVER in a streaming view",
        LogicalPlan::Distinct(_) => "DISTINCT ON in a streaming view",
        LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE in a streaming view",
        _ => "this statement in a streaming view",
    };
    PlanError::unsupported(what)
}

/// Refuses comparing an instant with a wall-clock reading: which instant a reading means depends on
/// the session's zone.
///
/// # Errors
/// [`Cause::Expression`].
pub fn mixed_times(plan: &LogicalPlan) -> Result<(), PlanError> {
    let mut found = None;
    let visited = plan.apply(|node| {
        let schema = match node.inputs().as_slice() {
            [input] => input.schema(),
            _ => return Ok(TreeNodeRecursion::Continue),
        };
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                found = found.take().or_else(|| wrong_expression(expr, schema));
                Ok(if found.is_some() {
                    TreeNodeRecursion::Stop
                } else {
                    TreeNodeRecursion::Continue
                })
            })
        })
    });
    visited.map_err(|error| PlanError::internal(error.to_string()))?;
    found.map_or(Ok(()), Err)
}

pub(super) fn wrong_expression(expr: &Expr, schema: &DFSchema) -> Option<PlanError> {
    match expr {
        // `AT TIME ZONE` is a function by now; this is the same instant with another zone.
        Expr::Cast(cast) if is_foreign_zone(cast.field.data_type()) => {
            match cast.expr.get_type(schema) {
                Ok(DataType::Timestamp(_, Some(_))) => {
                    let error = PlanError::unsupported("a cast of an instant to another time zone");
                    let hint = "Write ts AT TIME ZONE 'Europe/Berlin' for the local time.";
                    Some(error.hint(hint))
                }
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(*op) => {
            let zone = |side: &Expr| match side.get_type(schema) {
                Ok(DataType::Timestamp(_, zone)) => Some(zone.is_some()),
                _ => None,
            };
            // A constant without a zone is read as UTC, the zone of every session.
            let constant = |side: &Expr| side.column_refs().is_empty();
            let mixed = matches!((zone(left), zone(right)), (Some(a), Some(b)) if a != b);
            if !mixed || constant(left) || constant(right) {
                return None;
            }
            let text = "cannot compare a timestamp with time zone to one without";
            let error = PlanError::expression(text).detail(format!("The expression is {expr}."));
            Some(
                error.hint("Declare both columns WITH TIME ZONE, or write CAST(… AS TIMESTAMPTZ)."),
            )
        }
        _ => None,
    }
}

fn is_foreign_zone(target: &DataType) -> bool {
    match target {
        DataType::Timestamp(_, Some(zone)) => !["UTC", "+00:00", "Z"].contains(&zone.as_ref()),
        _ => false,
    }
}

fn compares(op: Operator) -> bool {
    matches!(
        op,
        Operator::Eq
            | Operator::NotEq
            | Operator::Lt
            | Operator::LtEq
            | Operator::Gt
            | Operator::GtEq
            | Operator::Minus
            | Operator::IsDistinctFrom
            | Operator::IsNotDistinctFrom
    )
}
