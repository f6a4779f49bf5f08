//! `ALTER`: other names, other queries, pauses.

use crate::error::PlanError;
use crate::parse::cursor::Cursor;
use crate::parse::lexeme::lexemes;
use crate::parse::{parse, refused, show, view};
use crate::statement::{AlterAction, AlterStatement, Name, ObjectNoun, StatementKind};

use datafusion::sql::sqlparser::tokenizer::Token;

/// `ALTER …`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`]; [`crate::error::Cause::Unsupported`] for actions that are known
/// and refused.
pub fn alter(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    if cursor.at(&["ALTER", "SYSTEM"])
        && let Some(error) = refused::statement(cursor)
    {
        return Err(error);
    }
    cursor.advance(1);
    let Some(noun) = show::noun(cursor) else {
        let detail = "Expected SOURCE, TABLE, STREAMING VIEW or SINK after ALTER.";
        let refusal = refused::altered(cursor);
        return Err(refusal.unwrap_or_else(|| cursor.unexpected_word(detail, &show::NOUNS)));
    };
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let name = cursor.name("an object's name")?;
    let action = action(cursor, noun)?;
    Ok(StatementKind::Alter(AlterStatement {
        noun,
        name,
        if_exists,
        action,
    }))
}

fn action(cursor: &mut Cursor<'_>, noun: ObjectNoun) -> Result<AlterAction, PlanError> {
    const REFUSED: [(&[&str], &str, &str); 5] = [
        (
            &["SET"],
            "ALTER … SET",
            "CREATE OR REPLACE STREAMING VIEW makes it anew with other options.",
        ),
        (
            &["OWNER"],
            "ALTER … OWNER TO",
            "Every role that may connect may read and define.",
        ),
        (&["AS"], "ALTER … AS", "Drop it and create it anew."),
        (
            &["SWAP"],
            "ALTER … SWAP WITH",
            "Rename one, then the other: ALTER … RENAME TO.",
        ),
        (
            &["ADD"],
            "ALTER … ADD",
            "Drop the object and create it anew.",
        ),
    ];
    if cursor.eat(&["RENAME"]) {
        if cursor.at(&["COLUMN"]) {
            let error = cursor.unsupported("ALTER … RENAME COLUMN");
            return Err(error.hint("Name the columns in CREATE STREAMING VIEW v (a, b) AS …."));
        }
        cursor.expect(&["TO"])?;
        return Ok(AlterAction::Rename(cursor.name("the new name")?));
    }
    if cursor.eat(&["PAUSE"]) || cursor.eat(&["SUSPEND"]) {
        return Ok(AlterAction::Pause);
    }
    if cursor.eat(&["RESUME"]) {
        return Ok(AlterAction::Resume);
    }
    if matches!(noun, ObjectNoun::View | ObjectNoun::AnyView) && cursor.eat(&["AS"]) {
        let query_offset = cursor.position() - 1;
        let query = view::query(cursor)?;
        return Ok(AlterAction::Query(query, query_offset));
    }
    if let Some((_, what, hint)) = REFUSED.iter().find(|(words, ..)| cursor.at(words)) {
        return Err(cursor.unsupported(what).hint(*hint));
    }
    let detail = match noun {
        ObjectNoun::View | ObjectNoun::AnyView => "Expected RENAME TO, AS, PAUSE or RESUME.",
        ObjectNoun::Sink => "Expected RENAME TO, PAUSE or RESUME.",
        _ => "Expected RENAME TO.",
    };
    Err(cursor.unexpected_word(
        detail,
        &["AS", "RENAME", "PAUSE", "RESUME", "SET", "SWAP", "OWNER"],
    ))
}

/// The text of a `CREATE STREAMING VIEW` with another query; `None` if it is not one.
pub fn requeried(sql: &str, query: &str) -> Option<String> {
    let statements = parse(sql).ok()?;
    let [statement] = statements.as_slice() else {
        return None;
    };
    let StatementKind::CreateView(create) = &statement.kind else {
        return None;
    };
    let offset = usize::try_from(create.query_offset).ok()?;
    let (start, _) = sql.char_indices().nth(offset)?;
    Some(format!("{}{query}", &sql[..start]))
}

/// The text of a `CREATE` under another name of what it makes; `None` if it makes nothing.
pub fn renamed(sql: &str, name: &str) -> Option<String> {
    let statements = parse(sql).ok()?;
    let [statement] = statements.as_slice() else {
        return None;
    };
    let old: &Name = match &statement.kind {
        StatementKind::CreateSource(create) => &create.name,
        StatementKind::CreateTable(create) => &create.name,
        StatementKind::CreateView(create) => &create.name,
        StatementKind::CreatePlainView(create) => &create.name,
        StatementKind::CreateSink(create) => &create.name,
        _ => return None,
    };
    let all = lexemes(sql).ok()?;
    let first = all
        .iter()
        .position(|lexeme| lexeme.position == old.position)?;
    let mut last = first;
    while all
        .get(last + 1)
        .is_some_and(|next| next.is(&Token::Period))
    {
        last += 2;
    }
    let (start, end) = (all.get(first)?.start, all.get(last)?.end);
    let name = rtsap_catalog::name::quote(name);
    Some(format!("{}{name}{}", &sql[..start], &sql[end..]))
}
