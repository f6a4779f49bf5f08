//! `CREATE STREAMING VIEW` and `CREATE SINK`, and the `EMIT` clause at the end of a view's query.

use datafusion::sql::sqlparser::tokenizer::Token;
use rtsap_plan::operator::Emit;

use crate::error::{Cause, PlanError};
use crate::parse::cursor::{Cursor, slice};
use crate::parse::define::interval;
use crate::parse::lexeme::Lexeme;
use crate::statement::{CreateSink, CreateView, StatementKind, WithOptions};

/// After `CREATE [OR REPLACE] STREAMING VIEW`. The query's own grammar is read by
/// [`crate::streaming::plan_view`].
///
/// # Errors
/// [`Cause::Syntax`].
pub fn view(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<CreateView, PlanError> {
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name("a view's name")?;
    let mut column_names = Vec::new();
    if cursor.at_token(&Token::LParen) {
        for (column, position) in cursor.column_list()? {
            if column_names.contains(&column) {
                return Err(PlanError::new(Cause::DuplicateColumn { name: column }).at(position));
            }
            column_names.push(column);
        }
    }
    let options = if cursor.eat(&["WITH"]) {
        cursor.options()?
    } else {
        WithOptions::new()
    };
    cursor.expect(&["AS"])?;
    let query_offset = cursor.position() - 1;
    if !is_query(cursor) {
        return Err(cursor.unexpected("Expected SELECT, WITH or VALUES."));
    }
    let query = cursor.rest_text().to_owned();
    split_emit(cursor.text(), cursor.rest())?;
    cursor.advance(usize::MAX / 2);
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

/// A view's query without its `EMIT` clause.
pub struct SplitQuery<'a> {
    /// The tokens of the query.
    pub query: &'a [Lexeme],
    /// What `EMIT` says, and where; `None` without it.
    pub emit: Option<(Emit, u32)>,
    /// What `ALLOW LATENESS` says.
    pub lateness_nanos: i64,
}

/// Takes the `EMIT` clause off the end of a query.
///
/// # Errors
/// [`Cause::Syntax`], [`Cause::Unsupported`] for the clauses that are known and refused.
pub fn split_emit<'a>(text: &'a str, tokens: &'a [Lexeme]) -> Result<SplitQuery<'a>, PlanError> {
    let Some(at) = emit_index(tokens) else {
        return Ok(SplitQuery {
            query: tokens,
            emit: None,
            lateness_nanos: 0,
        });
    };
    let mut cursor = Cursor::new(text, &tokens[at..]);
    let position = cursor.position();
    cursor.advance(1);
    let (emit, lateness_nanos) = emit(&mut cursor)?;
    cursor.done()?;
    Ok(SplitQuery {
        query: &tokens[..at],
        emit: Some((emit, position)),
        lateness_nanos,
    })
}

/// Whether an `EMIT` clause ends the query.
pub fn has_emit(tokens: &[Lexeme]) -> bool {
    emit_index(tokens).is_some()
}

/// Index of `EMIT` outside all parentheses, followed by one of its words.
fn emit_index(tokens: &[Lexeme]) -> Option<usize> {
    let mut depth = 0i64;
    for (index, lexeme) in tokens.iter().enumerate() {
        match lexeme.token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        let clause = [
            "ON",
            "CHANGES",
            "FINAL",
            "EVERY",
            "WITHOUT",
            "WITH",
            "AFTER",
            "IMMEDIATELY",
        ];
        let next = tokens.get(index + 1);
        let is_clause = next.is_some_and(|next| clause.iter().any(|word| next.is_word(word)));
        if depth == 0 && index > 0 && lexeme.is_word("EMIT") && is_clause {
            return Some(index);
        }
    }
    None
}

/// What `EMIT` says, and how late a row may be.
fn emit(cursor: &mut Cursor<'_>) -> Result<(Emit, i64), PlanError> {
    if cursor.eat(&["CHANGES"]) {
        let mut lateness_nanos = 0;
        if cursor.eat(&["ALLOW", "LATENESS"]) {
            let position = cursor.position();
            lateness_nanos = delay(cursor)?;
            if lateness_nanos < 0 {
                let message = "allowed lateness cannot be negative".to_owned();
                return Err(PlanError::new(Cause::Emit { message }).at(position));
            }
        }
        refuse_after(cursor)?;
        return Ok((Emit::Changes, lateness_nanos));
    }
    if !cursor.eat(&["FINAL"]) {
        if cursor.at(&["EVERY"]) {
            let error = cursor.unsupported("EMIT EVERY");
            return Err(error.hint("EMIT CHANGES shows every published change."));
        }
        cursor.expect(&["ON", "WINDOW", "CLOSE"])?;
    }
    let mut delay_nanos = 0;
    if cursor.eat(&["WITH", "DELAY"]) {
        let position = cursor.position();
        delay_nanos = delay(cursor)?;
        if delay_nanos < 0 {
            let message = "the delay of EMIT ON WINDOW CLOSE cannot be negative".to_owned();
            return Err(PlanError::new(Cause::Emit { message }).at(position));
        }
    }
    refuse_after(cursor)?;
    Ok((Emit::OnClose { delay_nanos }, 0))
}

fn delay(cursor: &mut Cursor<'_>) -> Result<i64, PlanError> {
    if cursor.at(&["INTERVAL"]) {
        return interval(cursor);
    }
    let position = cursor.position();
    let text = cursor.string("a delay")?;
    crate::duration::nanos_of(&text, None).map_err(|error| error.at(position))
}

fn refuse_after(cursor: &Cursor<'_>) -> Result<(), PlanError> {
    const REFUSED: [(&[&str], &str, &str); 4] = [
        (
            &["AND", "TIMEOUT"],
            "AND TIMEOUT",
            "Windows close when the watermark passes them; 'scan.watermark.idle-timeout' of the \
             source keeps it moving.",
        ),
        (
            &["ALLOW", "LATENESS"],
            "ALLOW LATENESS",
            "A window that shows once waits as long as WITH DELAY says; EMIT CHANGES ALLOW \
             LATENESS keeps windows that show as they change.",
        ),
        (
            &["CONFLATE"],
            "CONFLATE BY",
            "EMIT CHANGES already shows only the last change of a key in each publish.",
        ),
        (
            &["EVERY"],
            "EMIT EVERY",
            "EMIT CHANGES shows every published change.",
        ),
    ];
    let refused = REFUSED.iter().find(|(words, ..)| cursor.at(words));
    refused.map_or(Ok(()), |(_, what, hint)| {
        Err(cursor.unsupported(what).hint(*hint))
    })
}

/// The text of a query without its `EMIT` clause.
pub fn query_text<'a>(text: &'a str, split: &SplitQuery<'_>) -> &'a str {
    slice(text, split.query)
}
