//! DataFusion's own SQL: hands tokens to sqlparser, with the window functions brought into one
//! spelling first.
//!
//! `TUMBLE(TABLE t, …)` loses its `TABLE`, `FROM TABLE(TUMBLE(…))` its wrapper;
//! [`crate::logical::spelling`] does what needs the tree.

use datafusion::sql::sqlparser::ast::{
    FromTable, Statement, TableFactor, TableObject, TableWithJoins,
};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use std::ops::Range;

use crate::error::{Cause, PlanError};
use crate::logical::translate::placed;
use crate::logical::{call_spelling, query_spelling, row_spelling, series, spelling};
use crate::parse::clause;
use crate::parse::cursor::Cursor;
use crate::parse::dialect::Grammar;
use crate::parse::frame;
use crate::parse::join;
use crate::parse::lexeme::{Lexeme, lexemes, position_of};
use crate::parse::{null_treatment, symmetric, trim};
use crate::statement::{Name, StatementKind};

/// How deep expressions and queries may nest.
const DEPTH_MAX: usize = 128;

/// All that is left at the cursor as one query.
///
/// # Errors
/// [`Cause::Syntax`]; a query with `EMIT` is refused: it belongs into a view.
pub fn whole_query(cursor: &mut Cursor<'_>) -> Result<Box<Statement>, PlanError> {
    let tokens = cursor.rest();
    if crate::parse::emit::has_emit(tokens) {
        let at = tokens.iter().find(|lexeme| lexeme.is_word("EMIT"));
        let error = PlanError::unsupported("EMIT outside of a streaming view");
        let error =
            error.hint("Put the query into CREATE STREAMING VIEW, or follow it with SUBSCRIBE.");
        return Err(error.at(at.map_or(1, |lexeme| lexeme.position)));
    }
    cursor.advance(tokens.len());
    sql(cursor.text(), tokens).map(Box::new)
}

/// One statement of DataFusion's SQL, window spellings brought together.
///
/// # Errors
/// [`Cause::Syntax`], [`Cause::Unsupported`] for windows that are known and refused.
pub fn sql(text: &str, tokens: &[Lexeme]) -> Result<Statement, PlanError> {
    join::refuse(tokens)?;
    clause::refuse(tokens)?;
    let tokens = &frame::plain(tokens)?;
    let mut statement = plain_sql(text, &clause::plain_clauses(tokens)?)?;
    series::rewrite(&mut statement)?;
    Ok(statement)
}

/// The query of a streaming view, which may have ASOF and temporal joins.
///
/// # Errors
/// As [`sql`].
pub fn view_sql(text: &str, tokens: &[Lexeme]) -> Result<Statement, PlanError> {
    let tokens = clause::plain_clauses(&frame::plain(tokens)?)?;
    plain_sql(text, &join::plain_joins(&tokens)?)
}

fn plain_sql(text: &str, tokens: &[Lexeme]) -> Result<Statement, PlanError> {
    let tokens = symmetric::plain(select_table(plain_windows(tokens)));
    let tokens = trim::plain(null_treatment::plain(tokens));
    let dialect = Grammar;
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(DEPTH_MAX)
        .with_tokens_with_locations(tokens);
    let mut statement = parser
        .parse_statement()
        .map_err(|error| syntax(text, &error))?;
    let next = parser.next_token();
    if next.token != Token::EOF {
        let start = next.span.start;
        let error = PlanError::new(Cause::Syntax {
            near: Some(next.token.to_string()),
        });
        let error = error.at(position_of(text, start.line, start.column));
        return Err(error.detail("Expected the end of the statement."));
    }
    query_spelling::rewrite(&mut statement)?;
    spelling::rewrite(&mut statement).map_err(|error| placed(error, text))?;
    row_spelling::rewrite(&mut statement).map_err(|error| placed(error, text))?;
    call_spelling::rewrite(&mut statement);
    Ok(statement)
}

/// `INSERT`, `DELETE`, `UPDATE`.
///
/// # Errors
/// [`Cause::Syntax`].
pub fn write(cursor: &mut Cursor<'_>, word: &str) -> Result<StatementKind, PlanError> {
    let tokens = cursor.rest();
    let target = target_name(cursor.clone(), word)?;
    cursor.advance(tokens.len());
    let statement = sql(cursor.text(), tokens)?;
    let fits = match &statement {
        Statement::Insert(insert) => matches!(insert.table, TableObject::TableName(_)),
        Statement::Delete(delete) => match &delete.from {
            FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from) => {
                let is_table = |from: &TableWithJoins| {
                    matches!(from.relation, TableFactor::Table { .. }) && from.joins.is_empty()
                };
                matches!(from.as_slice(), [only] if is_table(only))
            }
        },
        Statement::Update(_) => true,
        _ => false,
    };
    if !fits {
        return Err(PlanError::unsupported(format!("this form of {word}")).at(target.position));
    }
    Ok(match word {
        "INSERT" => StatementKind::Insert {
            table: target,
            statement: Box::new(statement),
        },
        _ => StatementKind::Modify {
            table: target,
            statement: Box::new(statement),
        },
    })
}

/// `WITH … INSERT INTO t SELECT …` as `INSERT INTO t WITH … SELECT …`; `None` for another query.
pub fn insert_first(tokens: &[Lexeme]) -> Option<Vec<Lexeme>> {
    let mut depth = 0_usize;
    let mut outside = Vec::new();
    for (at, lexeme) in tokens.iter().enumerate() {
        match &lexeme.token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ if depth == 0 => outside.push(at),
            _ => {}
        }
    }
    let is_one = |at: usize, words: &[&str]| words.iter().any(|word| tokens[at].is_word(word));
    let mut places = outside.into_iter();
    let queries = ["SELECT", "VALUES", "TABLE", "INSERT"];
    let insert = places.find(|at| is_one(*at, &queries))?;
    if !is_one(insert, &["INSERT"]) {
        return None;
    }
    let query = places.find(|at| is_one(*at, &queries[..3]))?;
    let parts = [&tokens[insert..query], &tokens[..insert], &tokens[query..]];
    Some(parts.concat())
}

fn target_name(mut cursor: Cursor<'_>, word: &str) -> Result<Name, PlanError> {
    cursor.advance(1);
    let _ = match word {
        "INSERT" => cursor.eat(&["INTO"]),
        "DELETE" => cursor.eat(&["FROM"]),
        _ => true,
    };
    cursor.eat(&["ONLY"]);
    cursor.name("a table's name")
}

/// sqlparser's message as ours: its location becomes our position, its "found" the word near the
/// error.
pub fn syntax(text: &str, error: &ParserError) -> PlanError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            message.as_str()
        }
        ParserError::RecursionLimitExceeded => {
            let what = format!("nesting deeper than {DEPTH_MAX} levels");
            return PlanError::unsupported(what).hint("Put parts of the query into WITH.");
        }
    };
    let (message, position) = located(text, message);
    let near = message
        .split_once(", found: ")
        .map(|(_, near)| near.trim().to_owned());
    let near = near.filter(|near| near != "EOF");
    let detail = match message.split_once(", found: ") {
        Some((expected, _)) => format!("{expected}."),
        None => format!("{message}."),
    };
    // sqlparser sometimes names a token and gives the place of the next one.
    let position = position.map(|position| match &near {
        Some(near) => place_of(text, near, position),
        None => position,
    });
    let end = u32::try_from(text.chars().count())
        .unwrap_or(u32::MAX)
        .saturating_add(1);
    PlanError::new(Cause::Syntax { near })
        .at(position.unwrap_or(end))
        .detail(detail)
}

/// Position of the last token spelt `near` at or before `limit`; `limit` itself if there is none.
fn place_of(text: &str, near: &str, limit: u32) -> u32 {
    let Ok(tokens) = lexemes(text) else {
        return limit;
    };
    let same = |lexeme: &&Lexeme| {
        lexeme.position <= limit && text[lexeme.start..lexeme.end].eq_ignore_ascii_case(near)
    };
    tokens
        .iter()
        .rfind(same)
        .map_or(limit, |lexeme| lexeme.position)
}

/// Takes ` at Line: 1, Column: 8` off the end of a message.
pub fn located<'a>(text: &str, message: &'a str) -> (&'a str, Option<u32>) {
    let Some((head, tail)) = message.rsplit_once(" at Line: ") else {
        return (message, None);
    };
    let Some((line, column)) = tail.split_once(", Column: ") else {
        return (message, None);
    };
    match (line.trim().parse(), column.trim().parse()) {
        (Ok(line), Ok(column)) => (head, Some(position_of(text, line, column))),
        _ => (message, None),
    }
}

const WINDOWS: [&str; 4] = ["TUMBLE", "HOP", "CUMULATE", "SESSION"];

/// `TABLE t` as `SELECT * FROM t`.
fn select_table(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is_table = matches!(tokens.first().map(|first| &first.token),
        Some(Token::Word(word)) if word.keyword == Keyword::TABLE);
    if is_table {
        let span = tokens.remove(0).span;
        let words = [
            Token::make_keyword("SELECT"),
            Token::Mul,
            Token::make_keyword("FROM"),
        ];
        tokens.splice(0..0, words.map(|token| TokenWithSpan::new(token, span)));
    }
    tokens
}

/// The tokens with `TABLE` taken out of window calls.
fn plain_windows(tokens: &[Lexeme]) -> Vec<TokenWithSpan> {
    let mut dropped = vec![false; tokens.len()];
    let (mut partitions, mut zones) = (Vec::new(), Vec::new());
    for index in 0..tokens.len() {
        let call = WINDOWS.iter().any(|word| tokens[index].is_word(word))
            && tokens
                .get(index + 1)
                .is_some_and(|next| next.is(&Token::LParen));
        if !call {
            continue;
        }
        unwrap_table(tokens, index, &mut dropped);
        unmark_table(tokens, index, &mut dropped);
        zones.extend(time_zone(tokens, index, &mut dropped));
        partitions.extend(partition(tokens, index, &mut dropped));
    }
    let mut kept = Vec::with_capacity(tokens.len());
    for (index, lexeme) in tokens.iter().enumerate() {
        if let Some(moved) = partitions.iter().find(|moved| moved.before == index) {
            let span = lexeme.token.span;
            let token = |token| TokenWithSpan::new(token, span);
            kept.extend([Token::Comma, Token::make_word("partition_by", None)].map(token));
            kept.extend([Token::RArrow, Token::LParen].map(token));
            let columns = &tokens[moved.columns.clone()];
            kept.extend(columns.iter().map(|lexeme| lexeme.token.clone()));
            kept.push(token(Token::RParen));
        }
        if zones.contains(&index) {
            let word = Token::make_word("time_zone", None);
            kept.push(TokenWithSpan::new(word, lexeme.token.span));
        } else if !dropped[index] {
            kept.push(lexeme.token.clone());
        }
    }
    kept
}

/// `TIME ZONE => '…'` in a window call: one word instead of two. Returns where it goes.
fn time_zone(tokens: &[Lexeme], call: usize, dropped: &mut [bool]) -> Option<usize> {
    let close = closing(tokens, call + 1)?;
    let found = (call + 2..close).find(|at| {
        let next = |ahead: usize| tokens.get(at + ahead);
        tokens[*at].is_word("TIME")
            && next(1).is_some_and(|next| next.is_word("ZONE"))
            && next(2).is_some_and(|next| next.is(&Token::RArrow))
    })?;
    dropped[found + 1] = true;
    Some(found)
}

/// `PARTITION BY a, b` of a session, which goes behind the other arguments.
struct Moved {
    columns: Range<usize>,
    /// The `)` before which it goes.
    before: usize,
}

/// `SESSION ( t PARTITION BY a, b, DESCRIPTOR(ts), …)`: drops the partition.
fn partition(tokens: &[Lexeme], call: usize, dropped: &mut [bool]) -> Option<Moved> {
    let close = closing(tokens, call + 1)?;
    let mut depth = 0_usize;
    let mut found = None;
    for at in call + 2..close {
        match (&tokens[at].token.token, found) {
            (Token::LParen, _) => depth += 1,
            (Token::RParen, _) => depth = depth.checked_sub(1)?,
            (_, None) if depth == 0 && tokens[at].is_word("PARTITION") => {
                found = tokens[at + 1].is_word("BY").then_some(at);
            }
            // The time column ends the list: DESCRIPTOR(ts), or a named argument.
            (Token::Comma, Some(start)) if depth == 0 => {
                let next = tokens.get(at + 1)?;
                let named = tokens.get(at + 2)?.is(&Token::RArrow);
                if next.is_word("DESCRIPTOR") || named {
                    dropped[start..at].fill(true);
                    return Some(Moved {
                        columns: start + 2..at,
                        before: close,
                    });
                }
            }
            _ => {}
        }
    }
    None
}

/// `TABLE ( TUMBLE (…) )`: drops the first two tokens and the last.
fn unwrap_table(tokens: &[Lexeme], call: usize, dropped: &mut [bool]) {
    let wrapped =
        call >= 2 && tokens[call - 1].is(&Token::LParen) && tokens[call - 2].is_word("TABLE");
    let close = closing(tokens, call + 1);
    let outer = close
        .and_then(|close| tokens.get(close + 1))
        .is_some_and(|next| next.is(&Token::RParen));
    if let (true, true, Some(close)) = (wrapped, outer, close) {
        dropped[call - 2] = true;
        dropped[call - 1] = true;
        dropped[close + 1] = true;
    }
}

/// `TUMBLE ( TABLE t`, `TUMBLE ( DATA => TABLE t`: drops `TABLE`.
fn unmark_table(tokens: &[Lexeme], call: usize, dropped: &mut [bool]) {
    let named = tokens
        .get(call + 3)
        .is_some_and(|next| next.is(&Token::RArrow));
    let marker = if named { call + 4 } else { call + 2 };
    if !tokens.get(marker).is_some_and(|next| next.is_word("TABLE")) {
        return;
    }
    dropped[marker] = true;
}

/// Index of the `)` that closes the `(` at `open`.
fn closing(tokens: &[Lexeme], open: usize) -> Option<usize> {
    let mut depth = 0usize;
    for (index, lexeme) in tokens.iter().enumerate().skip(open) {
        match lexeme.token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if depth == 0 {
            return Some(index);
        }
    }
    None
}
