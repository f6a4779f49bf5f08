//! `CREATE FUNCTION … LANGUAGE SQL`, and functions as `DROP` and `COMMENT` name them.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::data_type::SqlType;
use crate::error::{Cause, PlanError};
use crate::parse::cursor::{Cursor, slice};
use crate::statement::{CreateFunction, Name, StatementKind};

/// Parameters a function may have: what PostgreSQL allows.
const PARAMETERS_MAX: usize = 100;

/// After `CREATE [OR REPLACE] FUNCTION`.
///
/// # Errors
/// [`Cause::Syntax`]; other languages, default values and parameters that are not `IN` are refused.
pub fn function(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<StatementKind, PlanError> {
    if cursor.at(&["IF", "NOT", "EXISTS"]) {
        let error = cursor.unsupported("CREATE FUNCTION IF NOT EXISTS");
        return Err(error.hint("Write CREATE OR REPLACE FUNCTION."));
    }
    let name = cursor.name("a function's name")?;
    let parameters = parameters(cursor)?;
    if cursor.at(&["RETURNS", "TABLE"]) || cursor.at(&["RETURNS", "SETOF"]) {
        let error = cursor.unsupported("a function that returns rows");
        return Err(error.hint("Write a streaming view."));
    }
    cursor.expect(&["RETURNS"])?;
    let returns = SqlType::parse(cursor)?.to_string();
    let mut body: Option<(String, u32)> = None;
    while !cursor.is_done() {
        let position = cursor.position();
        let Some(found) = clause(cursor)? else {
            continue;
        };
        if body.replace(found).is_some() {
            let clause = "AS".to_owned();
            return Err(PlanError::new(Cause::Conflict { clause }).at(position));
        }
    }
    let Some((body, body_offset)) = body else {
        return Err(cursor.unexpected("Expected AS and the body as a string, or RETURN."));
    };
    Ok(StatementKind::CreateFunction(Box::new(CreateFunction {
        name,
        or_replace,
        parameters,
        returns,
        body,
        body_offset,
    })))
}

/// `(a double precision, b integer)`, `(double precision)`, `()`.
fn parameters(cursor: &mut Cursor<'_>) -> Result<Vec<(Option<String>, String, u32)>, PlanError> {
    cursor.expect_token(&Token::LParen)?;
    let mut parameters = Vec::new();
    if cursor.eat_token(&Token::RParen) {
        return Ok(parameters);
    }
    loop {
        for mode in ["OUT", "INOUT", "VARIADIC"] {
            if cursor.at(&[mode]) {
                let error = cursor.unsupported(&format!("{mode} parameters"));
                return Err(error.hint("A function takes values and returns one."));
            }
        }
        cursor.eat(&["IN"]);
        let position = cursor.position();
        let mut unnamed = cursor.clone();
        let ends =
            |cursor: &Cursor<'_>| cursor.at_token(&Token::Comma) || cursor.at_token(&Token::RParen);
        // `double precision` alone is a type; `precision double precision` has a name.
        let sql_type = SqlType::parse(&mut unnamed).ok().filter(|_| ends(&unnamed));
        let parameter = match sql_type {
            Some(sql_type) => {
                *cursor = unnamed;
                (None, sql_type.to_string(), position)
            }
            None => {
                let (name, position) = cursor.identifier("a parameter's name")?;
                (Some(name), SqlType::parse(cursor)?.to_string(), position)
            }
        };
        parameters.push(parameter);
        if cursor.at(&["DEFAULT"]) || cursor.at_token(&Token::Eq) {
            let error = cursor.unsupported("a default value of a parameter");
            return Err(error.hint("Give every argument in the call."));
        }
        if cursor.eat_token(&Token::RParen) {
            break;
        }
        if !cursor.eat_token(&Token::Comma) {
            return Err(cursor.unexpected("Expected \",\" or \")\" after a parameter."));
        }
    }
    if parameters.len() > PARAMETERS_MAX {
        let message = format!("a function cannot have more than {PARAMETERS_MAX} parameters");
        return Err(PlanError::new(Cause::Declaration { message }));
    }
    Ok(parameters)
}

/// One clause after `RETURNS`; the body with the characters before it, if it is that.
fn clause(cursor: &mut Cursor<'_>) -> Result<Option<(String, u32)>, PlanError> {
    if cursor.eat(&["LANGUAGE"]) {
        let start = cursor.clone();
        let language = match cursor.eat_string() {
            Some(language) => language.to_lowercase(),
            None => cursor.identifier("a language")?.0,
        };
        if language != "sql" {
            let error = start.unsupported(&format!("LANGUAGE {language}"));
            return Err(error.hint("Write LANGUAGE SQL."));
        }
        return Ok(None);
    }
    if cursor.eat(&["AS"]) {
        let lexeme = cursor.peek();
        let position = cursor.position();
        let body = cursor.string("the body")?;
        // The body begins after its opening quote: one character, or a dollar quote's tag.
        let quote = match lexeme.map(|lexeme| &lexeme.token.token) {
            Some(Token::DollarQuotedString(text)) => {
                2 + text.tag.as_ref().map_or(0, |tag| tag.chars().count())
            }
            _ => 1,
        };
        let offset = position - 1 + u32::try_from(quote).unwrap_or(1);
        return Ok(Some((body, offset)));
    }
    if cursor.eat(&["RETURN"]) {
        let position = cursor.position();
        let expression = cursor.expression("an expression")?;
        let body = slice(cursor.text(), expression).to_owned();
        return Ok(Some((body, position - 1)));
    }
    // What a function promises of itself is found out from its body.
    let promises: [&[&str]; 11] = [
        &["IMMUTABLE"],
        &["STABLE"],
        &["VOLATILE"],
        &["STRICT"],
        &["CALLED", "ON", "NULL", "INPUT"],
        &["RETURNS", "NULL", "ON", "NULL", "INPUT"],
        &["PARALLEL", "SAFE"],
        &["PARALLEL", "UNSAFE"],
        &["PARALLEL", "RESTRICTED"],
        &["LEAKPROOF"],
        &["NOT", "LEAKPROOF"],
    ];
    let strict = cursor.at(&["STRICT"]) || cursor.at(&["RETURNS", "NULL"]);
    if strict {
        let error = cursor.unsupported("STRICT");
        return Err(error.hint("Write CASE WHEN a IS NOT NULL THEN … END in the body."));
    }
    if promises.iter().any(|words| cursor.eat(words)) {
        return Ok(None);
    }
    Err(cursor.unexpected_word(
        "Expected LANGUAGE SQL, AS and the body, RETURN, or the end of the statement.",
        &["LANGUAGE", "AS", "RETURN", "IMMUTABLE"],
    ))
}

/// Functions as `DROP` names them: `f`, `f(double precision)`. There is one function of a name, so
/// the types are read and forgotten.
///
/// # Errors
/// [`Cause::Syntax`].
pub fn dropped(cursor: &mut Cursor<'_>) -> Result<Vec<Name>, PlanError> {
    let mut names = vec![called(cursor)?];
    while cursor.eat_token(&Token::Comma) {
        names.push(called(cursor)?);
    }
    Ok(names)
}

/// A function as `COMMENT ON` names it.
///
/// # Errors
/// [`Cause::Syntax`].
pub fn called(cursor: &mut Cursor<'_>) -> Result<Name, PlanError> {
    let name = cursor.name("a function's name")?;
    if cursor.at_token(&Token::LParen) {
        parameters(cursor)?;
    }
    Ok(name)
}
