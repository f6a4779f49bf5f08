//! `CREATE SOURCE` and `CREATE TABLE`: columns, keys, watermarks, options, and the spellings of
//! other engines.

use datafusion::sql::sqlparser::tokenizer::Token;
use rtsap_catalog::object::{ColumnKind, WatermarkDef};

use crate::data_type::{SEQUENCES, SqlType};
use crate::duration::{nanos_of, unit_nanos};
use crate::error::{Cause, PlanError};
use crate::parse::cursor::{Cursor, slice};
use crate::parse::lexeme::Lexeme;
use crate::parse::table_as;
use crate::statement::{
    ColumnClause, CreateSource, CreateTable, StatementKind, TableBody, WithOption, WithOptions,
};

/// After `CREATE [OR REPLACE] SOURCE`.
///
/// # Errors
/// [`Cause::Syntax`] and the causes of wrong declarations.
pub fn source(cursor: &mut Cursor<'_>, or_replace: bool) -> Result<StatementKind, PlanError> {
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name("a source's name")?;
    let mut body = table_body(cursor)?;
    let position = cursor.position();
    let options = clauses(cursor, &mut body)?;
    if !options.contains_key("connector") {
        let message = format!("source \"{}\" has no connector", name.name);
        let error = PlanError::new(Cause::Option { message }).at(position);
        return Err(error.hint("Add WITH ('connector' = 'kafka', …)."));
    }
    let source = CreateSource {
        name,
        or_replace,
        if_not_exists,
        body,
        options,
    };
    Ok(StatementKind::CreateSource(Box::new(source)))
}

/// After `CREATE [OR REPLACE] TABLE`: a source if it has a connector, a table of our own otherwise.
///
/// # Errors
/// As [`source`].
pub fn table(
    cursor: &mut Cursor<'_>,
    or_replace: bool,
    start: u32,
) -> Result<StatementKind, PlanError> {
    let if_not_exists = cursor.eat(&["IF", "NOT", "EXISTS"]);
    let name = cursor.name("a table's name")?;
    if table_as::is_next(cursor) {
        if or_replace {
            return Err(replaced(start));
        }
        return table_as::table_as(cursor, name, if_not_exists);
    }
    let mut body = table_body(cursor)?;
    let append_only = cursor.position();
    body.append_only = cursor.eat(&["APPEND", "ONLY"]);
    if body.append_only && !body.primary_key.is_empty() {
        let error = PlanError::unsupported("APPEND ONLY of a table with a PRIMARY KEY");
        return Err(error.at(append_only).hint("Leave out one of the two."));
    }
    let options = clauses(cursor, &mut body)?;
    if options.contains_key("connector") {
        let source = CreateSource {
            name,
            or_replace,
            if_not_exists,
            body,
            options,
        };
        return Ok(StatementKind::CreateSource(Box::new(source)));
    }
    if or_replace {
        return Err(replaced(start));
    }
    if let Some((key, option)) = options.first_key_value() {
        let message = format!("unknown option \"{key}\" of a table without a connector");
        let error = PlanError::new(Cause::Option { message }).at(option.position);
        return Err(error.hint("Add 'connector' = '…' to make it a source, or drop the options."));
    }
    let table = CreateTable {
        name,
        if_not_exists,
        body,
    };
    Ok(StatementKind::CreateTable(Box::new(table)))
}

fn replaced(start: u32) -> PlanError {
    let error = PlanError::unsupported("CREATE OR REPLACE TABLE").at(start);
    error.hint("Drop the table and create it anew.")
}

/// `(columns, PRIMARY KEY, WATERMARK)`.
fn table_body(cursor: &mut Cursor<'_>) -> Result<TableBody, PlanError> {
    let mut body = TableBody::default();
    cursor.expect_token(&Token::LParen)?;
    if cursor.at_token(&Token::RParen) {
        return Err(cursor.unexpected("Expected a column."));
    }
    loop {
        if cursor.at(&["WATERMARK", "FOR"]) {
            let position = cursor.position();
            cursor.advance(2);
            let watermark = watermark(cursor)?;
            set_once(
                &mut body.watermark,
                (watermark, position),
                "WATERMARK",
                position,
            )?;
        } else if cursor.at(&["PRIMARY", "KEY"]) || cursor.at(&["CONSTRAINT"]) {
            primary_key(cursor, &mut body)?;
        } else if let Some(error) = refused_constraint(cursor) {
            return Err(error);
        } else {
            let column = column(cursor, &mut body)?;
            body.columns.push(column);
        }
        if cursor.eat_token(&Token::RParen) {
            return Ok(body);
        }
        if !cursor.eat_token(&Token::Comma) {
            return Err(cursor.unexpected("Expected \",\" or \")\" after a column."));
        }
    }
}

fn set_once<T>(
    slot: &mut Option<T>,
    value: T,
    clause: &str,
    position: u32,
) -> Result<(), PlanError> {
    if slot.replace(value).is_some() {
        let clause = clause.to_owned();
        return Err(PlanError::new(Cause::Conflict { clause }).at(position));
    }
    Ok(())
}

fn refused_constraint(cursor: &Cursor<'_>) -> Option<PlanError> {
    let checked = cursor.at(&["UNIQUE"]) || cursor.at(&["CHECK"]) || cursor.at(&["FOREIGN", "KEY"]);
    let starts_constraint = checked
        && cursor
            .peek_at(1)
            .is_some_and(|next| next.is(&Token::LParen) || next.is_word("KEY"));
    let error = || {
        let error = cursor.unsupported("a constraint other than PRIMARY KEY and NOT NULL");
        error.hint("Filter rows in a view.")
    };
    starts_constraint.then(error)
}

fn primary_key(cursor: &mut Cursor<'_>, body: &mut TableBody) -> Result<(), PlanError> {
    if cursor.eat(&["CONSTRAINT"]) {
        cursor.identifier("a constraint's name")?;
    }
    let position = cursor.position();
    cursor.expect(&["PRIMARY", "KEY"])?;
    let columns = cursor.column_list()?;
    if cursor.eat(&["NOT"]) {
        cursor.expect(&["ENFORCED"])?;
    }
    if !body.primary_key.is_empty() {
        let clause = "PRIMARY KEY".to_owned();
        return Err(PlanError::new(Cause::Conflict { clause }).at(position));
    }
    body.primary_key = columns;
    Ok(())
}

/// `name type [constraints]`, `name type METADATA …`, `name AS expression`.
fn column(cursor: &mut Cursor<'_>, body: &mut TableBody) -> Result<ColumnClause, PlanError> {
    let (name, position) = cursor.identifier("a column name")?;
    let mut column = ColumnClause {
        name,
        sql_type: None,
        nullable: true,
        kind: ColumnKind::Physical,
        default: None,
        position,
        expression_offset: 0,
    };
    if cursor.eat(&["AS"]) {
        let expression = cursor.expression("an expression")?;
        set_computed(&mut column, cursor.text(), expression);
        return Ok(column);
    }
    column.sql_type = Some(SqlType::parse(cursor)?.to_string());
    loop {
        if cursor.eat(&["NOT", "NULL"]) {
            column.nullable = false;
        } else if cursor.eat(&["NULL"]) {
            column.nullable = true;
        } else if cursor.eat(&["DEFAULT"]) {
            column.default = Some(default(cursor)?);
        } else if cursor.at(&["PRIMARY", "KEY"]) {
            let key_position = cursor.position();
            cursor.advance(2);
            if cursor.eat(&["NOT"]) {
                cursor.expect(&["ENFORCED"])?;
            }
            if !body.primary_key.is_empty() {
                let clause = "PRIMARY KEY".to_owned();
                return Err(PlanError::new(Cause::Conflict { clause }).at(key_position));
            }
            body.primary_key = vec![(column.name.clone(), position)];
        } else if cursor.eat(&["METADATA"]) {
            let key = if cursor.eat(&["FROM"]) {
                cursor.string("the metadata's name")?
            } else {
                column.name.clone()
            };
            cursor.eat(&["VIRTUAL"]);
            column.kind = ColumnKind::Metadata(key.to_lowercase());
        } else if cursor.at(&["GENERATED", "ALWAYS", "AS", "IDENTITY"])
            || cursor.at(&["GENERATED", "BY", "DEFAULT", "AS", "IDENTITY"])
        {
            let error = cursor.unsupported("GENERATED … AS IDENTITY");
            return Err(error.hint(SEQUENCES));
        } else if cursor.eat(&["GENERATED", "ALWAYS", "AS"]) {
            let expression = cursor.parenthesised()?;
            let _ = cursor.eat(&["STORED"]) || cursor.eat(&["VIRTUAL"]);
            let declared = column.sql_type.take();
            set_computed(&mut column, cursor.text(), expression);
            if let (Some(declared), ColumnKind::Computed(text)) = (declared, &mut column.kind) {
                const OPENING: &str = "CAST((";
                *text = format!("{OPENING}{text}) AS {declared})");
                let opening = OPENING.len() as u32;
                column.expression_offset = column.expression_offset.saturating_sub(opening);
            }
            return Ok(column);
        } else {
            return refuse_constraint(cursor).map_or(Ok(column), Err);
        }
    }
}

/// The expression after `DEFAULT`, up to the next constraint.
fn default(cursor: &mut Cursor<'_>) -> Result<String, PlanError> {
    const NEXT: [&str; 7] = [
        "NOT",
        "NULL",
        "PRIMARY",
        "UNIQUE",
        "CHECK",
        "REFERENCES",
        "CONSTRAINT",
    ];
    let mut ahead = cursor.clone();
    let all = ahead.expression("an expression")?;
    let mut depth = 0_usize;
    let ends = |(index, lexeme): (usize, &Lexeme)| {
        match lexeme.token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth -= 1,
            _ => {}
        }
        index > 0 && depth == 0 && NEXT.iter().any(|word| lexeme.is_word(word))
    };
    let count = all.iter().enumerate().position(ends);
    let expression = &all[..count.unwrap_or(all.len())];
    cursor.advance(expression.len());
    Ok(slice(cursor.text(), expression).to_owned())
}

fn set_computed(column: &mut ColumnClause, text: &str, expression: &[Lexeme]) {
    column.kind = ColumnKind::Computed(slice(text, expression).to_owned());
    column.expression_offset = expression.first().map_or(0, |first| first.position - 1);
}

fn refuse_constraint(cursor: &Cursor<'_>) -> Option<PlanError> {
    const REFUSED: [(&str, &str, &str); 6] = [
        ("UNIQUE", "UNIQUE", "Declare a PRIMARY KEY."),
        ("CHECK", "CHECK", "Filter rows in a view."),
        (
            "REFERENCES",
            "REFERENCES",
            "Join in the SELECT that reads the views.",
        ),
        (
            "COMMENT",
            "COMMENT of a column",
            "Put comments into the text of the statement.",
        ),
        (
            "AS",
            "a computed column with a type",
            "Write the name and AS, without the type; use CAST for another type.",
        ),
        ("COLLATE", "COLLATE", "Texts compare by their bytes."),
    ];
    let (_, what, hint) = REFUSED.iter().find(|(word, ..)| cursor.at(&[word]))?;
    Some(cursor.unsupported(what).hint(*hint))
}

/// After `WATERMARK FOR`: `c [AS c [- INTERVAL '2' SECOND]]`, the expression also in brackets.
fn watermark(cursor: &mut Cursor<'_>) -> Result<WatermarkDef, PlanError> {
    let (column, _) = cursor.identifier("the event-time column")?;
    // RisingWave's and Arroyo's short form: `WATERMARK FOR ts`.
    if !cursor.at(&["AS"]) {
        return Ok(WatermarkDef {
            column,
            delay_nanos: 0,
        });
    }
    cursor.expect(&["AS"])?;
    let bracket = cursor.eat_token(&Token::LParen);
    let found = watermark_of(cursor, column)?;
    if bracket {
        cursor.expect_token(&Token::RParen)?;
    }
    Ok(found)
}

fn watermark_of(cursor: &mut Cursor<'_>, column: String) -> Result<WatermarkDef, PlanError> {
    let (other, position) = cursor.identifier("the event-time column")?;
    if other != column {
        let message = format!("the watermark of \"{column}\" is computed from \"{other}\"");
        let hint = format!("Write WATERMARK FOR {column} AS {column} - INTERVAL '…' SECOND.");
        return Err(PlanError::new(Cause::Declaration { message })
            .at(position)
            .hint(hint));
    }
    if !cursor.eat_token(&Token::Minus) {
        return Ok(WatermarkDef {
            column,
            delay_nanos: 0,
        });
    }
    let position = cursor.position();
    let delay_nanos = interval(cursor)?;
    if delay_nanos < 0 {
        let message = "a watermark's delay cannot be negative".to_owned();
        return Err(PlanError::new(Cause::Declaration { message }).at(position));
    }
    Ok(WatermarkDef {
        column,
        delay_nanos,
    })
}

/// `INTERVAL '2' SECOND`, `INTERVAL '2 seconds'`.
///
/// # Errors
/// [`Cause::Syntax`], or [`Cause::Literal`] for a length that is not fixed.
pub fn interval(cursor: &mut Cursor<'_>) -> Result<i64, PlanError> {
    cursor.expect(&["INTERVAL"])?;
    let position = cursor.position();
    let text = match cursor.eat_string() {
        Some(text) => text,
        None => cursor.whole_number("a length of time")?.to_string(),
    };
    let unit = match cursor.peek().map(|lexeme| &lexeme.token.token) {
        Some(Token::Word(word)) if is_unit(&word.value) => {
            cursor.advance(1);
            Some(word.value.clone())
        }
        _ => None,
    };
    nanos_of(&text, unit.as_deref()).map_err(|error| error.at(position))
}

fn is_unit(word: &str) -> bool {
    unit_nanos(word).is_some()
        || ["month", "months", "year", "years"].contains(&word.to_lowercase().as_str())
}

/// `WITH (…)`, `FORMAT … ENCODE …` and `INCLUDE …` in any order.
fn clauses(cursor: &mut Cursor<'_>, body: &mut TableBody) -> Result<WithOptions, PlanError> {
    let mut options: Option<WithOptions> = None;
    let mut format = None;
    while !cursor.is_done() {
        let position = cursor.position();
        if cursor.eat(&["WITH"]) {
            let found = cursor.options()?;
            set_once(&mut options, found, "WITH", position)?;
        } else if cursor.eat(&["FORMAT"]) {
            let value = format_of(cursor)?;
            set_once(
                &mut format,
                WithOption { value, position },
                "FORMAT",
                position,
            )?;
        } else if cursor.eat(&["INCLUDE"]) {
            let column = include(cursor)?;
            body.columns.push(column);
        } else {
            return Err(cursor.unexpected_word(
                "Expected WITH (…), FORMAT … ENCODE …, INCLUDE … or the end of the statement.",
                &["WITH", "FORMAT", "INCLUDE"],
            ));
        }
    }
    let mut options = options.unwrap_or_default();
    if let Some(option) = format {
        let position = option.position;
        if options.insert("format".to_owned(), option).is_some() {
            let clause = "FORMAT".to_owned();
            return Err(PlanError::new(Cause::Conflict { clause }).at(position));
        }
    }
    drop_type(&mut options)?;
    Ok(options)
}

/// Arroyo's `type = 'source'` says nothing new here.
fn drop_type(options: &mut WithOptions) -> Result<(), PlanError> {
    match options.get("type") {
        Some(option) if option.value == "source" => {
            options.remove("type");
            Ok(())
        }
        Some(option) if option.value == "sink" => {
            let error = PlanError::unsupported("a table with type = 'sink'").at(option.position);
            Err(error.hint("Write CREATE SINK name FROM view WITH (…)."))
        }
        _ => Ok(()),
    }
}

/// RisingWave's `FORMAT PLAIN ENCODE JSON`, as our option `format`.
fn format_of(cursor: &mut Cursor<'_>) -> Result<String, PlanError> {
    let start = cursor.clone();
    let (format, _) = cursor.identifier("a format")?;
    cursor.expect(&["ENCODE"])?;
    let (encode, _) = cursor.identifier("an encoding")?;
    if cursor.at_token(&Token::LParen) {
        let error = cursor.unsupported("options of ENCODE");
        return Err(error.hint("Give them in WITH."));
    }
    match (format.as_str(), encode.as_str()) {
        ("plain", "json" | "csv" | "avro" | "protobuf" | "parquet") => Ok(encode),
        ("debezium", "json") => Ok("debezium-json".to_owned()),
        _ => {
            let what = format!(
                "FORMAT {} ENCODE {}",
                format.to_uppercase(),
                encode.to_uppercase()
            );
            Err(start
                .unsupported(&what)
                .hint("Write FORMAT PLAIN ENCODE JSON."))
        }
    }
}

/// RisingWave's `INCLUDE offset AS c`, as a metadata column.
fn include(cursor: &mut Cursor<'_>) -> Result<ColumnClause, PlanError> {
    let start = cursor.clone();
    let (what, position) = cursor.identifier("what to include")?;
    let (key, sql_type) = match what.as_str() {
        "partition" => ("partition", "integer"),
        "offset" => ("offset", "bigint"),
        "timestamp" => ("timestamp", "timestamp(3) with time zone"),
        "key" => ("key", "bytea"),
        "topic" => ("topic", "text"),
        "header" | "headers" => ("headers", "struct<\"key\" text, \"value\" bytea>[]"),
        _ => {
            let known = ["partition", "offset", "timestamp", "key", "topic", "header"];
            let detail = "Expected partition, offset, timestamp, key, topic or header.";
            return Err(start.unexpected_word(detail, &known));
        }
    };
    let (name, position) = if cursor.eat(&["AS"]) {
        cursor.identifier("a column name")?
    } else {
        (what, position)
    };
    Ok(ColumnClause {
        name,
        sql_type: Some(sql_type.to_owned()),
        nullable: true,
        kind: ColumnKind::Metadata(key.to_owned()),
        default: None,
        position,
        expression_offset: 0,
    })
}
