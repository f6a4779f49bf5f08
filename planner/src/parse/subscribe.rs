//! Following changes and moving rows: `SUBSCRIBE`, cursors, `COPY`.

use datafusion::arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::duration::nanos_of;
use crate::error::{Cause, PlanError, nearest};
use crate::parse::cursor::{Cursor, slice};
use crate::parse::emit::split_emit;
use crate::parse::lexeme::Lexeme;
use crate::parse::query;
use crate::parse::view::{expect_query, is_query};
use crate::statement::{
    CopyDirection, CopyFormat, CopyStatement, CursorSource, DeclareCursor, Envelope, EnvelopeKind,
    FetchStatement, StatementKind, SubscribeStatement, SubscribeTarget, WithOptions,
};

/// `SUBSCRIBE [TO] v | (SELECT …) [WITH (…)] [ENVELOPE UPSERT | DEBEZIUM (KEY (…))] [UP TO '…']`.
///
/// # Errors
/// [`Cause::Syntax`], [`Cause::Option`]; `AS OF` is refused.
pub fn subscribe(cursor: &mut Cursor<'_>) -> Result<SubscribeStatement, PlanError> {
    cursor.expect(&["SUBSCRIBE"])?;
    cursor.eat(&["TO"]);
    let target = if cursor.at_token(&Token::LParen) {
        let tokens = cursor.parenthesised()?;
        subscribed_query(cursor.text(), tokens)?
    } else if is_query(cursor) {
        return Err(cursor.unexpected("Expected a relation or a query in parentheses."));
    } else {
        SubscribeTarget::Relation(cursor.name("a relation's name")?)
    };
    let mut subscribe = SubscribeStatement {
        target,
        snapshot: true,
        progress: false,
        envelope: None,
        up_to: None,
    };
    loop {
        if cursor.eat(&["WITH"]) {
            let options = cursor.options()?;
            set_options(&mut subscribe, &options)?;
        } else if cursor.at(&["ENVELOPE"]) {
            subscribe.envelope = Some(envelope(cursor)?);
        } else if cursor.at(&["AS", "OF"]) {
            let error = cursor.unsupported("AS OF of SUBSCRIBE");
            let error = error.detail("What a relation held at a moment that is gone is not kept.");
            return Err(error.hint("Leave it out: the rows that are there come first."));
        } else if cursor.eat(&["UP", "TO"]) {
            subscribe.up_to = Some(moment(cursor)?);
        } else {
            return Ok(subscribe);
        }
    }
}

fn subscribed_query(text: &str, tokens: &[Lexeme]) -> Result<SubscribeTarget, PlanError> {
    let inner = Cursor::new(text, tokens);
    expect_query(&inner)?;
    split_emit(text, tokens)?;
    Ok(SubscribeTarget::Query {
        query: slice(text, tokens).to_owned(),
        query_offset: inner.position() - 1,
    })
}

fn set_options(subscribe: &mut SubscribeStatement, options: &WithOptions) -> Result<(), PlanError> {
    for (key, option) in options {
        let flag = match option.value.to_lowercase().as_str() {
            "true" | "on" | "1" => Some(true),
            "false" | "off" | "0" => Some(false),
            _ => None,
        };
        match (key.as_str(), flag) {
            ("snapshot", Some(flag)) => subscribe.snapshot = flag,
            ("progress", Some(flag)) => subscribe.progress = flag,
            ("snapshot" | "progress", None) => {
                let message = format!("option \"{key}\" of SUBSCRIBE is not true or false");
                return Err(PlanError::new(Cause::Option { message }).at(option.position));
            }
            _ => {
                return Err(unknown_option(
                    key,
                    option.position,
                    "SUBSCRIBE",
                    &["snapshot", "progress"],
                ));
            }
        }
    }
    Ok(())
}

fn unknown_option(key: &str, position: u32, of: &str, known: &[&str]) -> PlanError {
    let message = format!("unknown option \"{key}\" of {of}");
    let error = PlanError::new(Cause::Option { message }).at(position);
    error.maybe_hint(nearest(key, known.iter().copied()))
}

fn envelope(cursor: &mut Cursor<'_>) -> Result<Envelope, PlanError> {
    cursor.advance(1);
    let kind = if cursor.eat(&["DEBEZIUM"]) {
        EnvelopeKind::Debezium
    } else {
        cursor.expect(&["UPSERT"])?;
        EnvelopeKind::Upsert
    };
    cursor.expect_token(&Token::LParen)?;
    cursor.expect(&["KEY"])?;
    let key = cursor.column_list()?;
    cursor.expect_token(&Token::RParen)?;
    Ok(Envelope { kind, key })
}

/// `[TIMESTAMP | TIMESTAMPTZ] '…'`, UTC where it names no zone, in microseconds.
fn moment(cursor: &mut Cursor<'_>) -> Result<i64, PlanError> {
    let _ = cursor.eat(&["TIMESTAMP"]) || cursor.eat(&["TIMESTAMPTZ"]);
    let position = cursor.position();
    let text = cursor.string("a timestamp")?;
    match string_to_timestamp_nanos(&text) {
        Ok(nanos) => Ok(nanos.div_euclid(1_000)),
        Err(_) => {
            let error = PlanError::new(Cause::Literal {
                text,
                wanted: "a timestamp",
            });
            Err(error
                .at(position)
                .hint("Write one like '2026-01-31T16:00:00Z'."))
        }
    }
}

/// `DECLARE c [BINARY] [INSENSITIVE] [[NO] SCROLL] CURSOR [WITH | WITHOUT HOLD] FOR …`.
///
/// # Errors
/// [`Cause::Syntax`]; scrolling is refused.
pub fn declare(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    let (name, _) = cursor.identifier("a cursor's name")?;
    let mut binary = false;
    while !cursor.at(&["CURSOR"]) {
        if cursor.at(&["SCROLL"]) {
            return Err(cursor
                .unsupported("a scrolling cursor")
                .hint("Write NO SCROLL."));
        }
        if cursor.eat(&["BINARY"]) {
            binary = true;
        } else if !(cursor.eat(&["NO", "SCROLL"])
            || cursor.eat(&["INSENSITIVE"])
            || cursor.eat(&["ASENSITIVE"]))
        {
            return Err(cursor.unexpected("Expected CURSOR."));
        }
    }
    cursor.advance(1);
    let hold = cursor.eat(&["WITH", "HOLD"]);
    if !hold {
        cursor.eat(&["WITHOUT", "HOLD"]);
    }
    cursor.expect(&["FOR"])?;
    let source = if cursor.at(&["SUBSCRIBE"]) {
        CursorSource::Subscribe(Box::new(subscribe(cursor)?))
    } else if is_query(cursor) {
        CursorSource::Query(query::whole_query(cursor)?)
    } else {
        return Err(cursor.unexpected("Expected SUBSCRIBE or a query."));
    };
    Ok(StatementKind::DeclareCursor(DeclareCursor {
        name,
        binary,
        hold,
        source,
    }))
}

/// `FETCH [FORWARD | NEXT] [n | ALL] [FROM | IN] c [WITH (timeout = '1s')]`.
///
/// # Errors
/// [`Cause::Syntax`]; every other direction than forward is refused.
pub fn fetch(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    for word in ["BACKWARD", "PRIOR", "FIRST", "LAST", "ABSOLUTE", "RELATIVE"] {
        if cursor.at(&[word]) {
            let error = cursor.unsupported("a cursor that moves other than forward");
            return Err(error.hint("Write FETCH FORWARD n FROM the cursor."));
        }
    }
    let mut count = Some(1);
    if !cursor.eat(&["NEXT"]) {
        cursor.eat(&["FORWARD"]);
        if cursor.eat(&["ALL"]) {
            count = None;
        } else if matches!(
            cursor.peek().map(|next| &next.token.token),
            Some(Token::Number(..))
        ) {
            count = Some(cursor.whole_number("a number of rows")?);
        }
    }
    let _ = cursor.eat(&["FROM"]) || cursor.eat(&["IN"]);
    let (name, _) = cursor.identifier("a cursor's name")?;
    let mut timeout_ms = None;
    if cursor.eat(&["WITH"]) {
        for (key, option) in cursor.options()? {
            if key != "timeout" {
                return Err(unknown_option(&key, option.position, "FETCH", &["timeout"]));
            }
            let nanos = nanos_of(&option.value, None).map_err(|error| error.at(option.position))?;
            timeout_ms = Some(u64::try_from(nanos / 1_000_000).unwrap_or(0));
        }
    }
    Ok(StatementKind::Fetch(FetchStatement {
        cursor: name,
        count,
        timeout_ms,
    }))
}

/// `CLOSE c | ALL`.
///
/// # Errors
/// [`Cause::Syntax`].
pub fn close(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    let all = cursor.eat(&["ALL"]);
    let name = if all {
        None
    } else {
        Some(cursor.identifier("a cursor's name")?.0)
    };
    Ok(StatementKind::CloseCursor { name })
}

/// `COPY (query | SUBSCRIBE …) TO STDOUT`, `COPY t TO STDOUT`, `COPY t [(…)] FROM STDIN`.
///
/// # Errors
/// [`Cause::Syntax`]; files and programs are refused.
pub fn copy(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    let direction = if cursor.at_token(&Token::LParen) {
        let tokens = cursor.parenthesised()?;
        let mut inner = Cursor::new(cursor.text(), tokens);
        let direction = if inner.at(&["SUBSCRIBE"]) {
            CopyDirection::SubscribeToStdout(Box::new(subscribe(&mut inner)?))
        } else {
            CopyDirection::QueryToStdout(query::whole_query(&mut inner)?)
        };
        inner.done()?;
        to_stdout(cursor)?;
        direction
    } else {
        copy_table(cursor)?
    };
    let mut copy = CopyStatement {
        direction,
        format: CopyFormat::Text,
        header: false,
        delimiter: None,
        null: None,
    };
    copy_options(cursor, &mut copy)?;
    Ok(StatementKind::Copy(Box::new(copy)))
}

fn copy_table(cursor: &mut Cursor<'_>) -> Result<CopyDirection, PlanError> {
    let start = cursor.clone();
    let table = cursor.name("a table's name")?;
    let named = cursor.at_token(&Token::LParen);
    let columns = if named {
        cursor.column_list()?
    } else {
        Vec::new()
    };
    if cursor.eat(&["FROM"]) {
        if !cursor.eat(&["STDIN"]) {
            let error = cursor.unsupported("COPY FROM a file or program");
            return Err(
                error.hint("Write FROM STDIN, or create a source with connector 'filesystem'.")
            );
        }
        let columns = columns.into_iter().map(|(name, _)| name).collect();
        return Ok(CopyDirection::FromStdin { table, columns });
    }
    let tokens = &start.rest()[..start.rest().len() - cursor.rest().len()];
    to_stdout(cursor)?;
    if named {
        let error = start.unsupported("COPY of some columns TO STDOUT");
        return Err(error.hint("Write COPY (SELECT …) TO STDOUT."));
    }
    let select = format!("SELECT * FROM {}", slice(start.text(), tokens));
    let lexemes = crate::parse::lexeme::lexemes(&select)?;
    let statement =
        query::sql(&select, &lexemes).map_err(|_| start.unexpected("Expected a table's name."))?;
    Ok(CopyDirection::QueryToStdout(Box::new(statement)))
}

fn to_stdout(cursor: &mut Cursor<'_>) -> Result<(), PlanError> {
    cursor.expect(&["TO"])?;
    if cursor.eat(&["STDOUT"]) {
        return Ok(());
    }
    let error = cursor.unsupported("COPY TO a file or program");
    Err(error.hint("Write TO STDOUT; in psql, \\copy writes the file."))
}

/// `[WITH] (FORMAT csv, HEADER, DELIMITER ',', NULL '')`, and the old `[WITH] CSV HEADER`.
fn copy_options(cursor: &mut Cursor<'_>, copy: &mut CopyStatement) -> Result<(), PlanError> {
    cursor.eat(&["WITH"]);
    let parenthesised = cursor.eat_token(&Token::LParen);
    while !cursor.is_done() {
        copy_option(cursor, copy)?;
        if parenthesised && cursor.eat_token(&Token::RParen) {
            return Ok(());
        }
        if parenthesised {
            cursor.expect_token(&Token::Comma)?;
        }
    }
    if parenthesised {
        Err(cursor.unexpected("Expected \")\"."))
    } else {
        Ok(())
    }
}

fn copy_option(cursor: &mut Cursor<'_>, copy: &mut CopyStatement) -> Result<(), PlanError> {
    cursor.eat(&["FORMAT"]);
    let formats = [
        ("TEXT", CopyFormat::Text),
        ("CSV", CopyFormat::Csv),
        ("BINARY", CopyFormat::Binary),
    ];
    if let Some((_, format)) = formats.iter().find(|(word, _)| cursor.eat(&[word])) {
        copy.format = *format;
    } else if cursor.eat(&["HEADER"]) {
        let off = cursor.eat(&["FALSE"]) || cursor.eat(&["OFF"]);
        let _ = cursor.eat(&["TRUE"]) || cursor.eat(&["ON"]);
        copy.header = !off;
    } else if cursor.eat(&["DELIMITER"]) {
        cursor.eat(&["AS"]);
        let position = cursor.position();
        let text = cursor.string("the delimiter")?;
        let mut characters = text.chars();
        copy.delimiter = characters.next();
        if copy.delimiter.is_none() || characters.next().is_some() {
            let wanted = "a delimiter of one character";
            return Err(PlanError::new(Cause::Literal { text, wanted }).at(position));
        }
    } else if cursor.eat(&["NULL"]) {
        cursor.eat(&["AS"]);
        copy.null = Some(cursor.string("the text of NULL")?);
    } else {
        let known = [
            "FORMAT",
            "CSV",
            "TEXT",
            "BINARY",
            "HEADER",
            "DELIMITER",
            "NULL",
        ];
        let detail = "Expected FORMAT, HEADER, DELIMITER or NULL.";
        return Err(cursor.unexpected_word(detail, &known));
    }
    Ok(())
}
