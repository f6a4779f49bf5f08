//! The `EMIT` clause at the end of a view's query: when results show, and how often.

use datafusion::sql::sqlparser::tokenizer::Token;
use rtsap_plan::operator::Emit;

use crate::error::{Cause, PlanError};
use crate::parse::cursor::Cursor;
use crate::parse::define::interval;
use crate::parse::horizon::unit_of;
use crate::parse::lexeme::Lexeme;

/// A view's query without its `EMIT` clause.
pub struct SplitQuery<'a> {
    /// The tokens of the query.
    pub query: &'a [Lexeme],
    /// What the clause says, and where it begins; `None` without it.
    pub emit: Option<(EmitClause, u32)>,
}

/// What an `EMIT` clause says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmitClause {
    /// When results show.
    pub emit: Emit,
    /// `ALLOW LATENESS`.
    pub lateness_nanos: i64,
    /// `EVERY`: how long at least between two publishes of the view.
    pub every_nanos: Option<i64>,
    /// `CONFLATE BY`: columns of the result with their positions.
    pub conflate: Vec<(String, u32)>,
    /// `AND TIMEOUT`: how long without rows until what is open is closed.
    pub timeout_nanos: Option<i64>,
}

impl EmitClause {
    const fn of(emit: Emit) -> Self {
        Self {
            emit,
            lateness_nanos: 0,
            every_nanos: None,
            conflate: Vec::new(),
            timeout_nanos: None,
        }
    }
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
        });
    };
    let mut cursor = Cursor::new(text, &tokens[at..]);
    let position = cursor.position();
    cursor.advance(1);
    let clause = clause(&mut cursor)?;
    cursor.done()?;
    Ok(SplitQuery {
        query: &tokens[..at],
        emit: Some((clause, position)),
    })
}

/// Whether an `EMIT` clause ends the query.
pub fn has_emit(tokens: &[Lexeme]) -> bool {
    emit_index(tokens).is_some()
}

/// Index of `EMIT` outside all parentheses, followed by one of its words.
fn emit_index(tokens: &[Lexeme]) -> Option<usize> {
    const NEXT: [&str; 9] = [
        "ON",
        "CHANGES",
        "FINAL",
        "EVERY",
        "PERIODIC",
        "WITHOUT",
        "WITH",
        "AFTER",
        "IMMEDIATELY",
    ];
    let mut depth = 0i64;
    for (index, lexeme) in tokens.iter().enumerate() {
        match lexeme.token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        let next = tokens.get(index + 1);
        let is_clause = next.is_some_and(|next| NEXT.iter().any(|word| next.is_word(word)));
        if depth == 0 && index > 0 && lexeme.is_word("EMIT") && is_clause {
            return Some(index);
        }
    }
    None
}

fn clause(cursor: &mut Cursor<'_>) -> Result<EmitClause, PlanError> {
    if cursor.at(&["EVERY"]) || cursor.at(&["PERIODIC"]) {
        return every(cursor, EmitClause::of(Emit::Changes));
    }
    let changes: [&[&str]; 3] = [&["CHANGES"], &["IMMEDIATELY"], &["ON", "UPDATE"]];
    if changes.iter().any(|words| cursor.eat(words)) {
        let mut clause = EmitClause::of(Emit::Changes);
        if cursor.eat(&["ALLOW", "LATENESS"]) {
            clause.lateness_nanos = positive(cursor, "allowed lateness", true)?;
        }
        if cursor.at(&["EVERY"]) {
            clause = every(cursor, clause)?;
        }
        refuse_after(cursor)?;
        return Ok(clause);
    }
    if !cursor.eat(&["FINAL"]) && !cursor.eat(&["AFTER", "WINDOW", "CLOSE"]) {
        cursor.expect(&["ON", "WINDOW", "CLOSE"])?;
    }
    let mut delay_nanos = 0;
    if cursor.eat(&["WITH", "DELAY"]) {
        delay_nanos = positive(cursor, "the delay of EMIT ON WINDOW CLOSE", true)?;
    }
    // A window that shows once must wait for the rows that are allowed to be late.
    if cursor.eat(&["ALLOW", "LATENESS"]) {
        delay_nanos = delay_nanos.max(positive(cursor, "allowed lateness", true)?);
    }
    let mut clause = EmitClause::of(Emit::OnClose { delay_nanos });
    if cursor.eat(&["AND", "TIMEOUT"]) {
        clause.timeout_nanos = Some(positive(
            cursor,
            "the timeout of EMIT ON WINDOW CLOSE",
            false,
        )?);
    }
    refuse_after(cursor)?;
    Ok(clause)
}

/// `EVERY INTERVAL '100' MILLISECOND [CONFLATE BY a, b]`.
fn every(cursor: &mut Cursor<'_>, mut clause: EmitClause) -> Result<EmitClause, PlanError> {
    cursor.advance(1);
    clause.every_nanos = Some(positive(cursor, "the interval of EMIT EVERY", false)?);
    if cursor.eat(&["CONFLATE", "BY"]) {
        let parenthesised = cursor.eat_token(&Token::LParen);
        loop {
            clause
                .conflate
                .push(cursor.identifier("a column of the result")?);
            if !cursor.eat_token(&Token::Comma) {
                break;
            }
        }
        if parenthesised {
            cursor.expect_token(&Token::RParen)?;
        }
    }
    refuse_after(cursor)?;
    Ok(clause)
}

/// A length that is not negative, and not zero either where that would mean nothing.
fn positive(cursor: &mut Cursor<'_>, what: &str, zero: bool) -> Result<i64, PlanError> {
    let position = cursor.position();
    let nanos = length(cursor)?;
    if nanos < 0 || (nanos == 0 && !zero) {
        let message = match zero {
            true => format!("{what} cannot be negative"),
            false => format!("{what} must be longer than nothing"),
        };
        return Err(PlanError::new(Cause::Emit { message }).at(position));
    }
    Ok(nanos)
}

/// `INTERVAL '5' SECOND`, `'5 seconds'`, `5s`.
fn length(cursor: &mut Cursor<'_>) -> Result<i64, PlanError> {
    if cursor.at(&["INTERVAL"]) {
        return interval(cursor);
    }
    let position = cursor.position();
    let short = match cursor.peek().map(|lexeme| &lexeme.token.token) {
        Some(Token::Number(number, _)) => {
            match cursor.peek_at(1).map(|lexeme| &lexeme.token.token) {
                Some(Token::Word(unit)) => {
                    unit_of(&unit.value).map(|unit| format!("{number}{unit}"))
                }
                _ => None,
            }
        }
        _ => None,
    };
    let text = match short {
        Some(text) => {
            cursor.advance(2);
            text
        }
        None => cursor.string("a length of time")?,
    };
    crate::duration::nanos_of(&text, None).map_err(|error| error.at(position))
}

fn refuse_after(cursor: &Cursor<'_>) -> Result<(), PlanError> {
    const REFUSED: [(&[&str], &str, &str); 4] = [
        (
            &["AND", "TIMEOUT"],
            "AND TIMEOUT with EMIT CHANGES",
            "EMIT CHANGES shows windows before they close; write EMIT ON WINDOW CLOSE AND TIMEOUT.",
        ),
        (
            &["ALLOW", "LATENESS"],
            "ALLOW LATENESS in this place",
            "Write EMIT ON WINDOW CLOSE ALLOW LATENESS INTERVAL '5' SECOND [AND TIMEOUT …], or \
             EMIT CHANGES ALLOW LATENESS INTERVAL '5' SECOND.",
        ),
        (
            &["CONFLATE"],
            "CONFLATE BY without EVERY",
            "Write EMIT EVERY INTERVAL '100' MILLISECOND CONFLATE BY symbol.",
        ),
        (
            &["EVERY"],
            "EVERY with EMIT ON WINDOW CLOSE",
            "A window that shows once needs no throttle; leave it out.",
        ),
    ];
    let refused = REFUSED.iter().find(|(words, ..)| cursor.at(words));
    refused.map_or(Ok(()), |(_, what, hint)| {
        Err(cursor.unsupported(what).hint(*hint))
    })
}
