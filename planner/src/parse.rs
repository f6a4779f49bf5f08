//! Text to statements: splits, classifies, and reads our own grammar; DataFusion's SQL goes to
//! sqlparser.
//!
//! Looks no name up. Every position is a character of the whole text, counted from 1.

pub mod alter;
mod backtick;
pub mod clause;
pub mod cursor;
pub mod define;
mod depth;
pub mod dialect;
pub mod emit;
pub mod explain;
mod frame;
pub mod function;
pub mod horizon;
mod index;
pub mod join;
pub mod lexeme;
mod null_treatment;
pub mod query;
pub mod refused;
pub mod session;
pub mod show;
pub mod subscribe;
mod symmetric;
mod table_as;
mod trim;
pub mod version;
pub mod view;

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::PlanError;
use crate::parse::cursor::{Cursor, slice};
use crate::parse::lexeme::lexemes;
use crate::statement::{ParsedStatement, StatementKind};

/// Splits `sql` at its semicolons and reads each statement. Empty statements vanish.
///
/// # Errors
/// The first error of any statement, with its position in `sql`.
pub fn parse(sql: &str) -> Result<Vec<ParsedStatement>, PlanError> {
    let quoted = backtick::quoted(sql);
    let sql = quoted.as_ref();
    let all = lexemes(sql)?;
    let mut statements = Vec::new();
    for tokens in all.split(|lexeme| lexeme.is(&Token::SemiColon)) {
        let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else {
            continue;
        };
        let mut cursor = Cursor::new(sql, tokens);
        let kind = statement(&mut cursor)?;
        cursor.done()?;
        let text = slice(sql, tokens).to_owned();
        statements.push(ParsedStatement {
            kind,
            text,
            span: first.start..last.end,
        });
    }
    Ok(statements)
}

/// Every first word of a statement, for hints.
const FIRST_WORDS: [&str; 35] = [
    "ABORT",
    "ALTER",
    "BEGIN",
    "CLOSE",
    "COMMENT",
    "COMMIT",
    "COPY",
    "CREATE",
    "DEALLOCATE",
    "DECLARE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISCARD",
    "DROP",
    "END",
    "EXPLAIN",
    "FETCH",
    "FLUSH",
    "INSERT",
    "RELEASE",
    "RESET",
    "ROLLBACK",
    "SAVEPOINT",
    "SELECT",
    "SET",
    "SHOW",
    "START",
    "SUBSCRIBE",
    "TABLE",
    "TRUNCATE",
    "UNLISTEN",
    "UPDATE",
    "VALUES",
    "WITH",
];

fn statement(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    let first = cursor.peek().map(|lexeme| &lexeme.token.token);
    let word = match first {
        Some(Token::Word(word)) if word.quote_style.is_none() => word.value.to_uppercase(),
        Some(Token::LParen) => "SELECT".to_owned(),
        _ => String::new(),
    };
    if word == "WITH"
        && let Some(tokens) = query::insert_first(cursor.rest())
    {
        let written = query::write(&mut Cursor::new(cursor.text(), &tokens), "INSERT");
        cursor.advance(tokens.len());
        return written;
    }
    match word.as_str() {
        "SELECT" | "WITH" | "VALUES" | "TABLE" => {
            Ok(StatementKind::Query(query::whole_query(cursor)?))
        }
        "CREATE" => create(cursor),
        "ALTER" => alter::alter(cursor),
        "DROP" if cursor.at(&["DROP", "INDEX"]) => index::dropped(cursor),
        "DROP" => show::drop_objects(cursor),
        "INSERT" | "DELETE" | "UPDATE" => query::write(cursor, &word),
        "TRUNCATE" => table_as::truncate(cursor),
        "FLUSH" => {
            cursor.advance(1);
            Ok(StatementKind::Flush)
        }
        "SHOW" => show::show(cursor),
        "DESCRIBE" | "DESC" => show::describe(cursor),
        "COMMENT" => show::comment(cursor),
        "EXPLAIN" => explain::explain(cursor),
        "SUBSCRIBE" => Ok(StatementKind::Subscribe(Box::new(subscribe::subscribe(
            cursor,
        )?))),
        "DECLARE" => subscribe::declare(cursor),
        "FETCH" => subscribe::fetch(cursor),
        "CLOSE" => subscribe::close(cursor),
        "COPY" => subscribe::copy(cursor),
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE" => {
            session::transaction(cursor)
        }
        "SET" | "RESET" | "DISCARD" | "DEALLOCATE" | "UNLISTEN" => session::session(cursor),
        _ => match refused::statement(cursor) {
            Some(error) => Err(error),
            None => Err(cursor.unexpected_word("Expected a statement.", &FIRST_WORDS)),
        },
    }
}

/// What can stand after `CREATE`, for hints.
const CREATED: [&str; 8] = [
    "SOURCE",
    "TABLE",
    "STREAMING",
    "MATERIALIZED",
    "VIEW",
    "SINK",
    "FUNCTION",
    "CONNECTION",
];

fn create(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    let start = cursor.clone();
    cursor.advance(1);
    let or_replace = cursor.eat(&["OR", "REPLACE"]);
    if cursor.eat(&["SOURCE"]) {
        return define::source(cursor, or_replace);
    }
    if cursor.eat(&["TABLE"]) {
        return define::table(cursor, or_replace, start.position());
    }
    if cursor.eat(&["STREAMING", "VIEW"]) || cursor.eat(&["MATERIALIZED", "VIEW"]) {
        let view = view::view(cursor, or_replace)?;
        return Ok(StatementKind::CreateView(Box::new(view)));
    }
    if cursor.eat(&["VIEW"]) {
        return view::plain_view(cursor, or_replace);
    }
    if cursor.eat(&["SINK"]) {
        return view::sink(cursor, or_replace, start.position());
    }
    if cursor.eat(&["FUNCTION"]) {
        return function::function(cursor, or_replace);
    }
    if cursor.eat(&["INDEX"]) || cursor.eat(&["DEFAULT", "INDEX"]) {
        return index::created(cursor);
    }
    if let Some(error) = refused::created(cursor) {
        return Err(error);
    }
    Err(cursor.unexpected_word(
        "Expected SOURCE, TABLE, VIEW, STREAMING VIEW, SINK or FUNCTION after CREATE.",
        &CREATED,
    ))
}

#[cfg(test)]
mod tests;
