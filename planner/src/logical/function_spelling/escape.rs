//! Patterns: `SIMILAR TO` as a regular expression, and `LIKE pattern ESCAPE 'x'` with a pattern
//! that is written down as one whose escape is the backslash, since DataFusion knows no other.

use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, Value, ValueWithSpan};

use super::{call, text};

/// `x SIMILAR TO pattern` as `x ~ similar_to_escape(pattern)`.
pub(super) fn similar(expr: &Expr) -> Option<Expr> {
    let Expr::SimilarTo {
        negated,
        expr,
        pattern,
        escape_char,
    } = expr
    else {
        return None;
    };
    let mut pattern = vec![pattern.as_ref().clone()];
    pattern.extend(escape_char.clone().map(Expr::Value));
    let op = match negated {
        true => BinaryOperator::PGRegexNotMatch,
        false => BinaryOperator::PGRegexMatch,
    };
    Some(Expr::BinaryOp {
        left: expr.clone(),
        op,
        right: Box::new(call("similar_to_escape", pattern)),
    })
}

/// The comparison without `ESCAPE`; `None` if it has none, or a pattern that is computed.
pub(super) fn plain(expr: &Expr) -> Option<Expr> {
    let mut like = expr.clone();
    let (Expr::Like {
        pattern,
        escape_char,
        ..
    }
    | Expr::ILike {
        pattern,
        escape_char,
        ..
    }) = &mut like
    else {
        return None;
    };
    let escape = quoted(escape_char.as_ref()?)?.to_owned();
    let Expr::Value(written) = pattern.as_ref() else {
        return None;
    };
    let rewritten = with_backslashes(quoted(written)?, &escape)?;
    **pattern = text(&rewritten);
    *escape_char = None;
    Some(like)
}

fn quoted(value: &ValueWithSpan) -> Option<&str> {
    match &value.value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

/// An empty escape means that there is none.
fn with_backslashes(pattern: &str, escape: &str) -> Option<String> {
    let mut letters = escape.chars();
    let escape = letters.next();
    if letters.next().is_some() {
        return None;
    }
    let mut out = String::with_capacity(pattern.len() + 2);
    let mut chars = pattern.chars();
    while let Some(char) = chars.next() {
        match char {
            _ if Some(char) == escape => out.extend(['\\', chars.next()?]),
            '\\' => out.push_str("\\\\"),
            other => out.push(other),
        }
    }
    Some(out)
}
