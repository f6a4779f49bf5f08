//! `EXPLAIN` in its variants.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::PlanError;
use crate::parse::cursor::Cursor;
use crate::parse::emit::{has_emit, split_emit};
use crate::parse::view::is_query;
use crate::parse::{query, view};
use crate::statement::StatementKind;
use crate::statement::explain::{ExplainFormat, ExplainStatement, ExplainTarget};

/// `EXPLAIN [(options)] [ANALYZE] [VERBOSE] target`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`].
pub fn explain(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    let mut explain = ExplainStatement {
        format: ExplainFormat::Text,
        changelog_mode: false,
        verbose: false,
        analyze: false,
        target: ExplainTarget::StreamingQuery {
            query: String::new(),
            query_offset: 0,
        },
    };
    if cursor.at(&["WHY"]) {
        cursor.advance(1);
        let _ = cursor.eat(&["STREAMING", "VIEW"]) || cursor.eat(&["MATERIALIZED", "VIEW"]);
        explain.target = ExplainTarget::Why(cursor.name("a view's name")?);
        return Ok(StatementKind::Explain(explain));
    }
    let options = cursor.at_token(&Token::LParen)
        && cursor.peek_at(1).is_some_and(|next| {
            ["FORMAT", "CHANGELOG_MODE", "VERBOSE", "ANALYZE"]
                .iter()
                .any(|word| next.is_word(word))
        });
    if options {
        parse_options(cursor, &mut explain)?;
    }
    explain.analyze |= cursor.eat(&["ANALYZE"]);
    explain.verbose |= cursor.eat(&["VERBOSE"]);
    if cursor.eat(&["CHANGELOG_MODE"]) {
        explain.changelog_mode = true;
    }
    explain.target = target(cursor)?;
    Ok(StatementKind::Explain(explain))
}

fn parse_options(cursor: &mut Cursor<'_>, explain: &mut ExplainStatement) -> Result<(), PlanError> {
    cursor.advance(1);
    loop {
        if cursor.eat(&["FORMAT"]) {
            let known = [
                ("TEXT", ExplainFormat::Text),
                ("JSON", ExplainFormat::Json),
                ("DOT", ExplainFormat::Dot),
            ];
            let Some((_, format)) = known.iter().find(|(word, _)| cursor.eat(&[word])) else {
                let detail = "Expected TEXT, JSON or DOT.";
                return Err(cursor.unexpected_word(detail, &["TEXT", "JSON", "DOT"]));
            };
            explain.format = *format;
        } else if cursor.eat(&["CHANGELOG_MODE"]) {
            explain.changelog_mode = flag(cursor);
        } else if cursor.eat(&["VERBOSE"]) {
            explain.verbose = flag(cursor);
        } else if cursor.eat(&["ANALYZE"]) {
            explain.analyze = flag(cursor);
        } else {
            let known = ["FORMAT", "CHANGELOG_MODE", "VERBOSE", "ANALYZE"];
            let detail = "Expected FORMAT, CHANGELOG_MODE, VERBOSE or ANALYZE.";
            return Err(cursor.unexpected_word(detail, &known));
        }
        if cursor.eat_token(&Token::RParen) {
            return Ok(());
        }
        cursor.expect_token(&Token::Comma)?;
    }
}

/// `[true | false | on | off]`; true without a word.
fn flag(cursor: &mut Cursor<'_>) -> bool {
    if cursor.eat(&["FALSE"]) || cursor.eat(&["OFF"]) {
        return false;
    }
    let _ = cursor.eat(&["TRUE"]) || cursor.eat(&["ON"]);
    true
}

fn target(cursor: &mut Cursor<'_>) -> Result<ExplainTarget, PlanError> {
    if cursor.eat(&["CREATE"]) {
        let or_replace = cursor.eat(&["OR", "REPLACE"]);
        if !cursor.eat(&["STREAMING"]) && !cursor.eat(&["MATERIALIZED"]) {
            return Err(cursor.unexpected("Expected STREAMING VIEW."));
        }
        cursor.expect(&["VIEW"])?;
        let view = view::view(cursor, or_replace)?;
        return Ok(ExplainTarget::CreateView(Box::new(view)));
    }
    if cursor.eat(&["STREAMING", "VIEW"])
        || cursor.eat(&["MATERIALIZED", "VIEW"])
        || cursor.eat(&["VIEW"])
    {
        return Ok(ExplainTarget::View(cursor.name("a view's name")?));
    }
    if cursor.at(&["INSERT"]) || cursor.at(&["DELETE"]) || cursor.at(&["UPDATE"]) {
        return Err(cursor.unsupported("EXPLAIN of a write"));
    }
    if !is_query(cursor) {
        return Err(cursor.unexpected("Expected a query, STREAMING VIEW or CREATE STREAMING VIEW."));
    }
    if has_emit(cursor.rest()) {
        split_emit(cursor.text(), cursor.rest())?;
        let target = ExplainTarget::StreamingQuery {
            query: cursor.rest_text().to_owned(),
            query_offset: cursor.position() - 1,
        };
        cursor.advance(cursor.rest().len());
        return Ok(target);
    }
    query::whole_query(cursor).map(ExplainTarget::Query)
}
