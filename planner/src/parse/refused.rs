//! Statements whose grammar is known and which this version does not run: refused by name, with
//! what to do instead.

use crate::error::PlanError;
use crate::parse::cursor::Cursor;

/// The first words of what is refused, its name, and what to do instead.
type Refusal = (&'static [&'static str], &'static str, &'static str);

/// The refusal of a statement by its first words, if it is one of these.
pub fn statement(cursor: &Cursor<'_>) -> Option<PlanError> {
    find(cursor, &STATEMENTS)
}

/// The refusal of what stands after `CREATE [OR REPLACE]`, if it is one of these.
pub fn created(cursor: &Cursor<'_>) -> Option<PlanError> {
    find(cursor, &CREATED)
}

/// What `ALTER` cannot alter.
pub fn altered(cursor: &Cursor<'_>) -> Option<PlanError> {
    let (_, what, hint) = ALTERED.iter().find(|(words, ..)| cursor.at(words))?;
    Some(cursor.unsupported(what).hint(*hint))
}

const ALTERED: [Refusal; 6] = [
    (
        &["CONNECTION"],
        "ALTER CONNECTION",
        "Drop it and create it anew.",
    ),
    (&["SECRET"], "ALTER SECRET", "Drop it and create it anew."),
    (
        &["FUNCTION"],
        "ALTER FUNCTION",
        "Drop it and create it anew.",
    ),
    (
        &["ROLE"],
        "ALTER ROLE",
        "Roles are in the server's configuration file.",
    ),
    (
        &["USER"],
        "ALTER USER",
        "Roles are in the server's configuration file.",
    ),
    (
        &["DATABASE"],
        "ALTER DATABASE",
        "A server has one database.",
    ),
];

/// What `DROP` cannot drop yet.
pub fn dropped(cursor: &Cursor<'_>) -> Option<PlanError> {
    find(cursor, &DROPPED)
}

fn find(cursor: &Cursor<'_>, known: &[Refusal]) -> Option<PlanError> {
    let (_, what, hint) = known.iter().find(|(words, ..)| cursor.at(words))?;
    Some(cursor.unsupported(what).hint(*hint))
}

const VIEW: &str = "Write CREATE VIEW and DROP VIEW.";

const NONE: &str = "There are no such objects in this version.";

/// Statements that this version does not run.
const STATEMENTS: [Refusal; 20] = [
    (
        &["ALTER", "SYSTEM"],
        "ALTER SYSTEM",
        "Set it in the server's configuration file.",
    ),
    (
        &["REPLAY"],
        "REPLAY",
        "Create a second view with start_from = 'beginning'.",
    ),
    (
        &["EXPORT"],
        "EXPORT",
        "Copy the text that SHOW CREATE gives.",
    ),
    (
        &["PREPARE"],
        "PREPARE as a statement",
        "Use the protocol's own prepared statements.",
    ),
    (
        &["EXECUTE"],
        "EXECUTE as a statement",
        "Use the protocol's own prepared statements.",
    ),
    (&["LISTEN"], "LISTEN", "Follow a view with SUBSCRIBE."),
    (
        &["NOTIFY"],
        "NOTIFY",
        "Insert into a table and follow a view on it with SUBSCRIBE.",
    ),
    (
        &["MERGE"],
        "MERGE",
        "INSERT into a table with a primary key replaces rows.",
    ),
    (
        &["GRANT"],
        "GRANT",
        "Every role that may connect may read and define.",
    ),
    (
        &["REVOKE"],
        "REVOKE",
        "Every role that may connect may read and define.",
    ),
    (
        &["REFRESH"],
        "REFRESH",
        "Views are always fresh; FLUSH waits until writes are visible.",
    ),
    (&["VACUUM"], "VACUUM", "State is compacted by itself."),
    (
        &["ANALYZE"],
        "ANALYZE",
        "There are no statistics to gather.",
    ),
    (
        &["LOCK"],
        "LOCK",
        "Reads see one consistent cut without locks.",
    ),
    (&["CALL"], "CALL", "There are no procedures."),
    (&["DO"], "DO", "There are no procedures."),
    (&["MOVE"], "MOVE", "FETCH the rows and ignore them."),
    (&["IMPORT"], "IMPORT", "Create a source on the files."),
    (
        &["CHECKPOINT"],
        "CHECKPOINT",
        "Checkpoints are taken by themselves; FLUSH waits for writes.",
    ),
    (&["REINDEX"], "REINDEX", "There are no indexes."),
];

/// What `CREATE` cannot create yet.
const CREATED: [Refusal; 19] = [
    (&["TEMPORARY", "VIEW"], "CREATE TEMPORARY VIEW", VIEW),
    (&["TEMP", "VIEW"], "CREATE TEMPORARY VIEW", VIEW),
    (
        &["RECURSIVE", "VIEW"],
        "CREATE RECURSIVE VIEW",
        "Write CREATE VIEW v AS WITH RECURSIVE q AS (…) SELECT * FROM q.",
    ),
    (
        &["TEMPORARY"],
        "CREATE TEMPORARY",
        "Write CREATE TABLE and DROP TABLE.",
    ),
    (
        &["TEMP"],
        "CREATE TEMPORARY",
        "Write CREATE TABLE and DROP TABLE.",
    ),
    (&["UNLOGGED"], "CREATE UNLOGGED", "Write CREATE TABLE."),
    (
        &["CONNECTION"],
        "CREATE CONNECTION",
        "Give the connection's options in WITH of each source and sink.",
    ),
    (
        &["SECRET"],
        "CREATE SECRET",
        "Give the value in WITH; it is redacted wherever it is shown.",
    ),
    (
        &["AGGREGATE"],
        "CREATE AGGREGATE",
        "CREATE FUNCTION makes functions of one row; SHOW FUNCTIONS lists all.",
    ),
    (
        &["PROCEDURE"],
        "CREATE PROCEDURE",
        "There are no procedures.",
    ),
    (
        &["TEST"],
        "CREATE TEST",
        "INSERT into a table, FLUSH, and SELECT from the view.",
    ),
    (
        &["UNIQUE"],
        "CREATE UNIQUE INDEX",
        "Declare a PRIMARY KEY on the table.",
    ),
    (
        &["SCHEMA"],
        "CREATE SCHEMA",
        "All objects are in schema public.",
    ),
    (
        &["DATABASE"],
        "CREATE DATABASE",
        "A server has one database.",
    ),
    (
        &["ROLE"],
        "CREATE ROLE",
        "Roles are in the server's configuration file.",
    ),
    (
        &["USER"],
        "CREATE USER",
        "Roles are in the server's configuration file.",
    ),
    (
        &["SEQUENCE"],
        "CREATE SEQUENCE",
        "Number the rows where they are made.",
    ),
    (
        &["TYPE"],
        "CREATE TYPE",
        "Write STRUCT<…> in the column's type.",
    ),
    (
        &["EXTENSION"],
        "CREATE EXTENSION",
        "SHOW FUNCTIONS lists the functions there are.",
    ),
];

/// What `DROP` cannot drop yet.
const DROPPED: [Refusal; 8] = [
    (&["CONNECTION"], "DROP CONNECTION", NONE),
    (&["SECRET"], "DROP SECRET", NONE),
    (&["TEST"], "DROP TEST", NONE),
    (&["SCHEMA"], "DROP SCHEMA", NONE),
    (&["DATABASE"], "DROP DATABASE", NONE),
    (&["ROLE"], "DROP ROLE", NONE),
    (&["USER"], "DROP USER", NONE),
    (&["TYPE"], "DROP TYPE", NONE),
];
