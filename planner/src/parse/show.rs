//! Statements about objects that exist: `SHOW`, `DESCRIBE`, `DROP`, `COMMENT ON`.

use crate::error::PlanError;
use crate::parse::cursor::Cursor;
use crate::parse::function;
use crate::parse::refused;
use crate::parse::session::variable;
use crate::statement::{CommentStatement, DropStatement, ObjectNoun, ShowTarget, StatementKind};

/// What `SHOW` lists, for hints.
const LISTED: [&str; 10] = [
    "SOURCES",
    "TABLES",
    "VIEWS",
    "STREAMING",
    "MATERIALIZED",
    "SINKS",
    "JOBS",
    "FUNCTIONS",
    "CREATE",
    "COLUMNS",
];

/// The first words of what has a name, for hints.
pub const NOUNS: [&str; 7] = [
    "SOURCE",
    "TABLE",
    "STREAMING",
    "MATERIALIZED",
    "VIEW",
    "SINK",
    "FUNCTION",
];

/// `SHOW …`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`].
pub fn show(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    let lists: [(&[&str], ShowTarget); 7] = [
        (&["SOURCES"], ShowTarget::Sources),
        (&["TABLES"], ShowTarget::Tables),
        (&["STREAMING", "VIEWS"], ShowTarget::Views),
        (&["MATERIALIZED", "VIEWS"], ShowTarget::Views),
        (&["VIEWS"], ShowTarget::AllViews),
        (&["SINKS"], ShowTarget::Sinks),
        (&["JOBS"], ShowTarget::Jobs),
    ];
    for (words, target) in lists {
        if cursor.eat(words) {
            return Ok(StatementKind::Show(target));
        }
    }
    if cursor.eat(&["FUNCTIONS"]) {
        let pattern = match cursor.eat(&["LIKE"]) {
            true => Some(cursor.string("a pattern")?),
            false => None,
        };
        return Ok(StatementKind::Show(ShowTarget::Functions(pattern)));
    }
    for (word, what) in [
        ("CONNECTIONS", "SHOW CONNECTIONS"),
        ("SECRETS", "SHOW SECRETS"),
    ] {
        if cursor.at(&[word]) {
            return Err(cursor.unsupported(what));
        }
    }
    if cursor.eat(&["STREAMING"]) || cursor.eat(&["MATERIALIZED"]) {
        return Err(cursor.unexpected_word("Expected VIEWS.", &["VIEWS"]));
    }
    if cursor.eat(&["CREATE"]) {
        let noun = noun(cursor);
        let name = cursor.name("an object's name")?;
        return Ok(StatementKind::Show(ShowTarget::Create(noun, name)));
    }
    if cursor.eat(&["COLUMNS"]) {
        let _ = cursor.eat(&["FROM"]) || cursor.eat(&["IN"]);
        let name = cursor.name("a relation's name")?;
        return Ok(StatementKind::Show(ShowTarget::Columns(name)));
    }
    if cursor.eat(&["TRANSACTION", "ISOLATION", "LEVEL"]) {
        return Ok(StatementKind::ShowVariable {
            name: "transaction_isolation".to_owned(),
        });
    }
    if cursor.eat(&["TIME", "ZONE"]) {
        return Ok(StatementKind::ShowVariable {
            name: "timezone".to_owned(),
        });
    }
    if cursor.is_done() {
        return Err(cursor.unexpected_word("Expected what to show.", &LISTED));
    }
    let start = cursor.clone();
    let name = variable(cursor)?;
    // A variable is one word; two words are a list whose name is misspelt.
    if !cursor.is_done() {
        return Err(start.unexpected_word("Expected what to show, or a variable.", &LISTED));
    }
    Ok(StatementKind::ShowVariable { name })
}

/// `DESCRIBE [EXTENDED] name`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`].
pub fn describe(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    // A relation may be called "extended".
    let extended = cursor.at(&["EXTENDED"]) && cursor.peek_at(1).is_some();
    if extended {
        cursor.advance(1);
    }
    if cursor
        .peek_at(1)
        .is_some_and(|next| !next.is(&datafusion::sql::sqlparser::tokenizer::Token::Period))
    {
        noun(cursor);
    }
    let name = cursor.name("a relation's name")?;
    Ok(StatementKind::Describe { name, extended })
}

/// `SOURCE`, `TABLE`, `[STREAMING | MATERIALIZED] VIEW`, `SINK`, if one comes.
pub fn noun(cursor: &mut Cursor<'_>) -> Option<ObjectNoun> {
    let nouns: [(&[&str], ObjectNoun); 7] = [
        (&["SOURCE"], ObjectNoun::Source),
        (&["TABLE"], ObjectNoun::Table),
        (&["STREAMING", "VIEW"], ObjectNoun::View),
        (&["MATERIALIZED", "VIEW"], ObjectNoun::View),
        (&["VIEW"], ObjectNoun::AnyView),
        (&["SINK"], ObjectNoun::Sink),
        (&["FUNCTION"], ObjectNoun::Function),
    ];
    nouns
        .iter()
        .find(|(words, _)| cursor.eat(words))
        .map(|(_, noun)| *noun)
}

/// `DROP …`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`], and the kinds of object that do not exist yet are refused.
pub fn drop_objects(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(1);
    let Some(noun) = noun(cursor) else {
        let detail = "Expected SOURCE, TABLE, VIEW, STREAMING VIEW, SINK or FUNCTION after DROP.";
        let error = refused::dropped(cursor);
        return Err(error.unwrap_or_else(|| cursor.unexpected_word(detail, &NOUNS)));
    };
    let if_exists = cursor.eat(&["IF", "EXISTS"]);
    let names = match noun {
        ObjectNoun::Function => function::dropped(cursor)?,
        _ => cursor.names("an object's name")?,
    };
    let cascade = cursor.eat(&["CASCADE"]);
    if !cascade {
        cursor.eat(&["RESTRICT"]);
    }
    Ok(StatementKind::Drop(DropStatement {
        noun,
        names,
        if_exists,
        cascade,
    }))
}

/// `COMMENT ON … IS '…'`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`]; comments on columns are refused.
pub fn comment(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.expect(&["COMMENT", "ON"])?;
    if cursor.at(&["COLUMN"]) {
        let error = cursor.unsupported("COMMENT ON COLUMN");
        return Err(error.hint("Comment on the relation."));
    }
    let Some(noun) = noun(cursor) else {
        return Err(
            cursor.unexpected("Expected SOURCE, TABLE, VIEW, STREAMING VIEW, SINK or FUNCTION.")
        );
    };
    let name = match noun {
        ObjectNoun::Function => function::called(cursor)?,
        _ => cursor.name("an object's name")?,
    };
    cursor.expect(&["IS"])?;
    let comment = if cursor.eat(&["NULL"]) {
        None
    } else {
        Some(cursor.string("the comment")?)
    };
    Ok(StatementKind::Comment(CommentStatement {
        noun,
        name,
        comment,
    }))
}
