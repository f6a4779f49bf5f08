//! `CREATE TABLE … AS` and `TRUNCATE`.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Cause, PlanError};
use crate::parse::cursor::Cursor;
use crate::parse::lexeme::lexemes;
use crate::parse::query;
use crate::parse::view::expect_query;
use crate::statement::named_query::CreateTableAs;
use crate::statement::{Name, StatementKind};

/// Whether `[(…)] AS` comes next: a table that is made from a query.
pub(super) fn is_next(cursor: &Cursor<'_>) -> bool {
    let mut ahead = cursor.clone();
    if ahead.at_token(&Token::LParen) && ahead.parenthesised().is_err() {
        return false;
    }
    ahead.at(&["AS"])
}

/// After `CREATE TABLE [IF NOT EXISTS] name`: `[(a, b, PRIMARY KEY (a))] AS query`, and perhaps
/// `WITH [NO] DATA`.
///
/// # Errors
/// [`Cause::Syntax`], [`Cause::Conflict`] for two keys.
pub(super) fn table_as(
    cursor: &mut Cursor<'_>,
    name: Name,
    if_not_exists: bool,
) -> Result<StatementKind, PlanError> {
    let (mut column_names, mut primary_key) = (Vec::new(), Vec::new());
    if cursor.eat_token(&Token::LParen) {
        loop {
            let position = cursor.position();
            if !cursor.eat(&["PRIMARY", "KEY"]) {
                column_names.push(cursor.identifier("a column name")?);
            } else if primary_key.is_empty() {
                primary_key = cursor.column_list()?;
                if cursor.eat(&["NOT"]) {
                    cursor.expect(&["ENFORCED"])?;
                }
            } else {
                let clause = "PRIMARY KEY".to_owned();
                return Err(PlanError::new(Cause::Conflict { clause }).at(position));
            }
            if cursor.eat_token(&Token::RParen) {
                break;
            }
            if !cursor.eat_token(&Token::Comma) {
                let error = cursor.unexpected("Expected \",\" or \")\" after a column's name.");
                return Err(error.hint("The types of the columns are those of the query."));
            }
        }
    }
    cursor.expect(&["AS"])?;
    expect_query(cursor)?;
    let tokens = cursor.rest();
    let ends = |words: &[&str]| {
        let last = tokens.len().checked_sub(words.len());
        let last = last.and_then(|at| tokens.get(at..));
        last.is_some_and(|last| {
            last.iter()
                .zip(words)
                .all(|(next, word)| next.is_word(word))
        })
    };
    let (dropped, with_data) = match (ends(&["WITH", "NO", "DATA"]), ends(&["WITH", "DATA"])) {
        (true, _) => (3, false),
        (_, true) => (2, true),
        _ => (0, true),
    };
    let query_tokens = &tokens[..tokens.len() - dropped];
    let query = query::whole_query(&mut Cursor::new(cursor.text(), query_tokens))?;
    cursor.advance(tokens.len());
    Ok(StatementKind::CreateTableAs(Box::new(CreateTableAs {
        name,
        if_not_exists,
        column_names,
        primary_key,
        query,
        with_data,
    })))
}

/// `TRUNCATE [TABLE] [ONLY] name [RESTART | CONTINUE IDENTITY] [CASCADE | RESTRICT]`.
///
/// # Errors
/// [`Cause::Syntax`]; [`Cause::Unsupported`] for several tables.
pub(super) fn truncate(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    cursor.eat(&["TABLE"]);
    cursor.eat(&["ONLY"]);
    let table = cursor.name("a table's name")?;
    cursor.eat_token(&Token::Mul);
    if cursor.at_token(&Token::Comma) {
        let error = cursor.unsupported("TRUNCATE of several tables");
        return Err(error.hint("Write one statement for each: a step writes one table."));
    }
    // There are no sequences and no foreign keys, so these say nothing.
    let _ = cursor.eat(&["RESTART", "IDENTITY"]) || cursor.eat(&["CONTINUE", "IDENTITY"]);
    let _ = cursor.eat(&["CASCADE"]) || cursor.eat(&["RESTRICT"]);
    let quoted = table.name.replace('"', "\"\"");
    let text = format!("DELETE FROM \"{quoted}\"");
    let statement = Box::new(query::sql(&text, &lexemes(&text)?)?);
    Ok(StatementKind::Truncate { table, statement })
}
