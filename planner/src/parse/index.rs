//! `CREATE INDEX` and `DROP INDEX`: what they ask for is there already.

use crate::error::PlanError;
use crate::parse::cursor::Cursor;
use crate::statement::StatementKind;

/// After `CREATE INDEX`: `[CONCURRENTLY] [IF NOT EXISTS] [name] ON relation …`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`].
pub(super) fn created(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.eat(&["CONCURRENTLY"]);
    cursor.eat(&["IF", "NOT", "EXISTS"]);
    if !cursor.at(&["ON"]) {
        cursor.name("an index's name")?;
    }
    cursor.expect(&["ON"])?;
    cursor.eat(&["ONLY"]);
    let relation = cursor.name("a relation's name")?;
    cursor.advance(cursor.rest().len());
    Ok(StatementKind::CreateIndex { relation })
}

/// `DROP INDEX [CONCURRENTLY] [IF EXISTS] name, …`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`].
pub(super) fn dropped(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    cursor.advance(2);
    cursor.eat(&["CONCURRENTLY"]);
    cursor.eat(&["IF", "EXISTS"]);
    cursor.name("an index's name")?;
    cursor.advance(cursor.rest().len());
    Ok(StatementKind::DropIndex)
}
