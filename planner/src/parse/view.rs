//! `CREATE STREAMING VIEW`, `CREATE VIEW` and `CREATE SINK`.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Cause, PlanError};
use crate::parse::cursor::{Cursor, slice};
use crate::parse::emit::{has_emit, split_emit};
use crate::parse::lexeme::Lexeme;
use crate::parse::query::view_sql;
use crate::statement::named_query::CreatePlainView;
use crate::statement::{CreateSink, CreateView, StatementKind, WithOptions};

/// After `CREATE [OR REPLACE] STREAMING VIEW`. The query's own grammar is read by
/// [`crate::streaming::plan_view`].
///
/// # Errors
/// [`Cause::Syntax`].
pub fn view(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<CreateView, PlanError> {
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name("a view's name")?;
    let column_names = column_names(cursor)?;
    let mut options = if cursor.eat(&["WITH"]) {
        cursor.options()?
    } else {
        WithOptions::new()
    };
    drop_continuous(&mut options);
    cursor.expect(&["AS"])?;
    let query_offset = cursor.position() - 1;
    let query = query(cursor)?;
    let view = CreateView {
        name,
        or_replace,
        if_not_exists,
        column_names,
        options,
        query,
        query_offset,
    };
    Ok(view)
}

/// What TimescaleDB's continuous aggregates are told says nothing new here: every view is kept up
/// to date, with all of its rows.
fn drop_continuous(options: &mut WithOptions) {
    let is_said = |key: &str, value: &str| match key {
        "timescaledb.continuous" | "timescaledb.materialized_only" => {
            value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
        }
        _ => false,
    };
    options.retain(|key, option| !is_said(key, &option.value));
}

/// `(a, b)` behind a view's name, if it is there.
fn column_names(cursor: &mut Cursor<'_>) -> Result<Vec<String>, PlanError> {
    let mut column_names = Vec::new();
    if cursor.at_token(&Token::LParen) {
        for (column, position) in cursor.column_list()? {
            if column_names.contains(&column) {
                return Err(PlanError::new(Cause::DuplicateColumn { name: column }).at(position));
            }
            column_names.push(column);
        }
    }
    Ok(column_names)
}

/// After `CREATE [OR REPLACE] VIEW`.
///
/// # Errors
/// [`Cause::Syntax`]; options and `EMIT`, which only a streaming view can have, are refused.
pub fn plain_view(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<StatementKind, PlanError> {
    const STREAMING: &str = "Write CREATE STREAMING VIEW: it keeps its rows, and has them.";
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name("a view's name")?;
    let column_names = column_names(cursor)?;
    if cursor.at(&["WITH"]) {
        return Err(cursor.unsupported("options of a view").hint(STREAMING));
    }
    cursor.expect(&["AS"])?;
    expect_query(cursor)?;
    let (query, query_offset) = (cursor.rest_text().to_owned(), cursor.position() - 1);
    let tokens = cursor.rest();
    if has_emit(tokens) {
        let at = tokens.iter().find(|lexeme| lexeme.is_word("EMIT"));
        let error = PlanError::unsupported("EMIT in a view").hint(STREAMING);
        return Err(error.at(at.map_or(1, |lexeme| lexeme.position)));
    }
    view_sql(cursor.text(), tokens)?;
    cursor.advance(tokens.len());
    Ok(StatementKind::CreatePlainView(Box::new(CreatePlainView {
        name,
        or_replace,
        if_not_exists,
        column_names,
        query,
        query_offset,
    })))
}

/// The text of a view's query with its `EMIT` clause: the rest of the statement.
///
/// # Errors
/// [`Cause::Syntax`].
pub fn query(cursor: &mut Cursor<'_>) -> Result<String, PlanError> {
    expect_query(cursor)?;
    let all = cursor.rest();
    let tokens = &all[..all.len() - populated(all)];
    split_emit(cursor.text(), tokens)?;
    let query = slice(cursor.text(), tokens).to_owned();
    cursor.advance(usize::MAX / 2);
    Ok(query)
}

/// How many tokens at the end are `WITH [NO] DATA`, which says nothing: a view has all of its rows.
fn populated(tokens: &[Lexeme]) -> usize {
    let forms: [&[&str]; 2] = [&["WITH", "NO", "DATA"], &["WITH", "DATA"]];
    let ends = |words: &&&[&str]| {
        let last = tokens.len().checked_sub(words.len());
        let last = last.and_then(|at| tokens.get(at..));
        last.is_some_and(|last| {
            let mut pairs = last.iter().zip(words.iter());
            pairs.all(|(next, word)| next.is_word(word))
        })
    };
    forms.iter().find(ends).map_or(0, |words| words.len())
}

/// Refuses what is no query here.
pub(super) fn expect_query(cursor: &Cursor<'_>) -> Result<(), PlanError> {
    match is_query(cursor) {
        true => Ok(()),
        false => Err(cursor.unexpected("Expected SELECT, WITH or VALUES.")),
    }
}

/// Whether a query begins here.
pub fn is_query(cursor: &Cursor<'_>) -> bool {
    let starts = ["SELECT", "WITH", "VALUES", "TABLE"];
    starts.iter().any(|word| cursor.at(&[word])) || cursor.at_token(&Token::LParen)
}

/// After `CREATE [OR REPLACE] SINK`.
///
/// # Errors
/// [`Cause::Syntax`], [`Cause::Unsupported`] for a sink with a query of its own.
pub fn sink(
    cursor: &mut Cursor<'_>,
    or_replace: bool,
    start: u32,
) -> Result<StatementKind, PlanError> {
    if or_replace {
        let error = PlanError::unsupported("CREATE OR REPLACE SINK").at(start);
        return Err(error.hint("Drop the sink and create it anew."));
    }
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name("a sink's name")?;
    if cursor.at(&["AS"]) {
        let error = cursor.unsupported("CREATE SINK AS");
        return Err(
            error.hint("Create a streaming view with the query, then CREATE SINK … FROM the view.")
        );
    }
    if cursor.at(&["INTO"]) {
        let error = cursor.unsupported("CREATE SINK INTO");
        return Err(error.hint("Create a streaming view; it can be read like a table."));
    }
    cursor.expect(&["FROM"])?;
    let from = cursor.name("a view's name")?;
    cursor.expect(&["WITH"])?;
    let position = cursor.position();
    let options = cursor.options()?;
    if !options.contains_key("connector") {
        let message = format!("sink \"{}\" has no connector", name.name);
        let error = PlanError::new(Cause::Option { message }).at(position);
        return Err(error.hint("Add 'connector' = 'timescaledb'."));
    }
    let sink = CreateSink {
        name,
        if_not_exists,
        from,
        options,
    };
    Ok(StatementKind::CreateSink(Box::new(sink)))
}
