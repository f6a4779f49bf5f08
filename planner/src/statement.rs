//! Parsed statements: what the text says, before any name is looked up.
//!
//! Statements of DataFusion's own SQL stay `sqlparser` statements; ours are the types here. Nothing
//! here is checked against the catalog.

use std::collections::BTreeMap;
use std::ops::Range;

use datafusion::sql::sqlparser::ast::Statement;
use rtsap_catalog::object::{ColumnKind, WatermarkDef};

use crate::statement::explain::ExplainStatement;
use crate::statement::named_query::{CreatePlainView, CreateTableAs};

pub mod explain;
pub mod named_query;
mod subscribe;

pub use subscribe::{Envelope, EnvelopeKind, SubscribeStatement, SubscribeTarget};

/// One statement of the text given to [`crate::parse::parse`].
#[derive(Clone, Debug)]
pub struct ParsedStatement {
    /// What it asks for.
    pub kind: StatementKind,
    /// The statement as written, without the semicolon and the white space around it.
    pub text: String,
    /// Where that stands in the whole text, in bytes.
    pub span: Range<usize>,
}

/// What a statement asks for.
#[derive(Clone, Debug)]
pub enum StatementKind {
    /// `CREATE SOURCE`, and `CREATE TABLE … WITH ('connector' = …)`.
    CreateSource(Box<CreateSource>),
    /// `CREATE TABLE` without a connector.
    CreateTable(Box<CreateTable>),
    /// `CREATE STREAMING VIEW`, `CREATE MATERIALIZED VIEW`.
    CreateView(Box<CreateView>),
    /// `CREATE TABLE … AS`.
    CreateTableAs(Box<CreateTableAs>),
    /// `CREATE VIEW`.
    CreatePlainView(Box<CreatePlainView>),
    /// `CREATE SINK … FROM …`.
    CreateSink(Box<CreateSink>),
    /// `CREATE FUNCTION … LANGUAGE SQL AS …`.
    CreateFunction(Box<CreateFunction>),
    /// `CREATE INDEX … ON relation`: relations are kept by their keys, so there is nothing to do.
    CreateIndex {
        /// What it is on.
        relation: Name,
    },
    /// `DROP INDEX …`: there is none.
    DropIndex,
    /// `DROP …`.
    Drop(DropStatement),
    /// `ALTER …`.
    Alter(AlterStatement),
    /// `INSERT INTO table …`.
    Insert {
        /// The table.
        table: Name,
        /// The whole statement.
        statement: Box<Statement>,
    },
    /// `UPDATE table …` or `DELETE FROM table …`.
    Modify {
        /// The table.
        table: Name,
        /// The whole statement.
        statement: Box<Statement>,
    },
    /// `TRUNCATE table`.
    Truncate {
        /// The table.
        table: Name,
        /// `DELETE FROM table`.
        statement: Box<Statement>,
    },
    /// `FLUSH`: waits until everything written before is visible.
    Flush,
    /// `SHOW …` of objects.
    Show(ShowTarget),
    /// `SHOW name`: a session variable, dots kept, lowercase.
    ShowVariable {
        /// Its name; `all` for all.
        name: String,
    },
    /// `DESCRIBE [EXTENDED] name`.
    Describe {
        /// The relation.
        name: Name,
        /// Whether `EXTENDED` was written.
        extended: bool,
    },
    /// `EXPLAIN …`.
    Explain(ExplainStatement),
    /// `SUBSCRIBE …`.
    Subscribe(Box<SubscribeStatement>),
    /// `DECLARE name CURSOR FOR …`.
    DeclareCursor(DeclareCursor),
    /// `FETCH … FROM name`.
    Fetch(FetchStatement),
    /// `CLOSE name`; `None` for `CLOSE ALL`.
    CloseCursor {
        /// The cursor.
        name: Option<String>,
    },
    /// `BEGIN`, `COMMIT`, …
    Transaction(TransactionStatement),
    /// `SET name = value`.
    Set {
        /// Its name, dots kept, lowercase.
        name: String,
        /// The value as text without quotes; lists are joined by `, `; `None` for `DEFAULT`.
        value: Option<String>,
        /// Whether `LOCAL` was written.
        local: bool,
    },
    /// `RESET name`; `None` for `RESET ALL`.
    Reset {
        /// Its name.
        name: Option<String>,
    },
    /// `DISCARD ALL | PLANS | SEQUENCES | TEMP`, the word in uppercase.
    Discard {
        /// What.
        what: String,
    },
    /// `DEALLOCATE [PREPARE] name`; `None` for `DEALLOCATE ALL`.
    Deallocate {
        /// The prepared statement.
        name: Option<String>,
    },
    /// `UNLISTEN …`: nothing is ever listened to, so there is nothing to do.
    Unlisten,
    /// `COPY …`.
    Copy(Box<CopyStatement>),
    /// `COMMENT ON …`.
    Comment(CommentStatement),
    /// Everything DataFusion reads: `SELECT`, `WITH`, `VALUES`, `TABLE t`.
    Query(Box<Statement>),
}

/// A name as written, folded as PostgreSQL folds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// What stands before the last dot, if anything.
    pub schema: Option<String>,
    /// The object's name.
    pub name: String,
    /// Its first character in the whole text, counted from 1.
    pub position: u32,
}

/// `WITH (…)` options: lowercase keys without quotes.
pub type WithOptions = BTreeMap<String, WithOption>;

/// One `WITH` option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithOption {
    /// The value as text.
    pub value: String,
    /// Position of the key, counted from 1.
    pub position: u32,
}

/// A column in `CREATE SOURCE` or `CREATE TABLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnClause {
    /// Its name.
    pub name: String,
    /// Its type in canonical text; `None` for a computed column, whose type is derived.
    pub sql_type: Option<String>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Where its values come from.
    pub kind: ColumnKind,
    /// `DEFAULT`: an expression.
    pub default: Option<String>,
    /// Position of its name, counted from 1.
    pub position: u32,
    /// Characters before the expression of a computed column in the whole text.
    pub expression_offset: u32,
}

/// The parenthesised part of `CREATE SOURCE` and `CREATE TABLE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableBody {
    /// The columns, in order.
    pub columns: Vec<ColumnClause>,
    /// `WATERMARK FOR`, with its position.
    pub watermark: Option<(WatermarkDef, u32)>,
    /// `PRIMARY KEY`: names with positions.
    pub primary_key: Vec<(String, u32)>,
    /// `APPEND ONLY` behind a table's columns.
    pub append_only: bool,
}

/// `CREATE [OR REPLACE] SOURCE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSource {
    /// Its name.
    pub name: Name,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Columns, key and watermark.
    pub body: TableBody,
    /// `WITH (…)`.
    pub options: WithOptions,
}

/// `CREATE TABLE` without a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTable {
    /// Its name.
    pub name: Name,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Columns, key and watermark.
    pub body: TableBody,
}

/// `CREATE [OR REPLACE] STREAMING VIEW`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateView {
    /// Its name.
    pub name: Name,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `v (a, b)`.
    pub column_names: Vec<String>,
    /// `WITH (…)`, checked: keys and values of [`crate::bind::view`].
    pub options: WithOptions,
    /// The query with its `EMIT` clause, as written.
    pub query: String,
    /// Characters before the query in the whole text: by how much to shift an error of
    /// [`crate::streaming::plan_view`].
    pub query_offset: u32,
}

/// `CREATE SINK`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateSink {
    /// Its name.
    pub name: Name,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// What it follows.
    pub from: Name,
    /// `WITH (…)`.
    pub options: WithOptions,
}

/// `CREATE [OR REPLACE] FUNCTION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateFunction {
    /// Its name.
    pub name: Name,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// Its parameters: name if there is one, canonical type, position.
    pub parameters: Vec<(Option<String>, String, u32)>,
    /// `RETURNS`: the canonical type.
    pub returns: String,
    /// The body as written: an expression, or `SELECT` and one.
    pub body: String,
    /// Characters before the body in the whole text.
    pub body_offset: u32,
}

/// Which kind of object a statement names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectNoun {
    /// `SOURCE`.
    Source,
    /// `TABLE`.
    Table,
    /// `STREAMING VIEW`, `MATERIALIZED VIEW`.
    View,
    /// `VIEW`: one that keeps rows or one that does not.
    AnyView,
    /// `SINK`.
    Sink,
    /// `FUNCTION`.
    Function,
}

/// `DROP …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropStatement {
    /// What kind.
    pub noun: ObjectNoun,
    /// Which ones.
    pub names: Vec<Name>,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// `CASCADE`; `RESTRICT` is the default.
    pub cascade: bool,
}

/// `ALTER SOURCE | TABLE | STREAMING VIEW | SINK name …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterStatement {
    /// What kind.
    pub noun: ObjectNoun,
    /// Which one.
    pub name: Name,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// What becomes of it.
    pub action: AlterAction,
}

/// What `ALTER` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AlterAction {
    /// `AS query`, as written, with its `EMIT` clause; and characters before it in the whole text.
    Query(String, u32),
    /// `RENAME TO name`.
    Rename(Name),
    /// `PAUSE`.
    Pause,
    /// `RESUME`.
    Resume,
}

/// What `SHOW` lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShowTarget {
    /// `SHOW SOURCES`.
    Sources,
    /// `SHOW TABLES`.
    Tables,
    /// `SHOW STREAMING | MATERIALIZED VIEWS`.
    Views,
    /// `SHOW VIEWS`: those and the ones that keep no rows.
    AllViews,
    /// `SHOW SINKS`.
    Sinks,
    /// `SHOW JOBS`.
    Jobs,
    /// `SHOW FUNCTIONS [LIKE 'pattern']`.
    Functions(Option<String>),
    /// `SHOW COLUMNS FROM name`.
    Columns(Name),
    /// `SHOW CREATE [SOURCE | TABLE | [STREAMING] VIEW | SINK] name`.
    Create(Option<ObjectNoun>, Name),
}

/// `DECLARE name CURSOR FOR …`.
#[derive(Clone, Debug)]
pub struct DeclareCursor {
    /// Its name.
    pub name: String,
    /// `BINARY`.
    pub binary: bool,
    /// `WITH HOLD`.
    pub hold: bool,
    /// What it reads.
    pub source: CursorSource,
}

/// What a cursor reads.
#[derive(Clone, Debug)]
pub enum CursorSource {
    /// `FOR SUBSCRIBE …`.
    Subscribe(Box<SubscribeStatement>),
    /// `FOR SELECT …`.
    Query(Box<Statement>),
}

/// `FETCH [FORWARD] n | ALL FROM name [WITH (timeout = '1s')]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchStatement {
    /// The cursor.
    pub cursor: String,
    /// How many rows at most; `None` for `ALL`.
    pub count: Option<u64>,
    /// How long to wait for the first row, in milliseconds.
    pub timeout_ms: Option<u64>,
}

/// A transaction statement. Reads see one cut a statement; see the engine for what a block means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionStatement {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`.
    Rollback,
    /// `SAVEPOINT name`.
    Savepoint(String),
    /// `RELEASE [SAVEPOINT] name`.
    Release(String),
    /// `ROLLBACK TO [SAVEPOINT] name`.
    RollbackTo(String),
}

/// `COPY …`.
#[derive(Clone, Debug)]
pub struct CopyStatement {
    /// From or to what.
    pub direction: CopyDirection,
    /// `FORMAT`.
    pub format: CopyFormat,
    /// `HEADER`.
    pub header: bool,
    /// `DELIMITER`.
    pub delimiter: Option<char>,
    /// `NULL`.
    pub null: Option<String>,
}

/// Between what `COPY` moves rows.
#[derive(Clone, Debug)]
pub enum CopyDirection {
    /// `COPY (SELECT …) TO STDOUT`, `COPY t TO STDOUT`.
    QueryToStdout(Box<Statement>),
    /// `COPY (SUBSCRIBE …) TO STDOUT`.
    SubscribeToStdout(Box<SubscribeStatement>),
    /// `COPY t [(a, b)] FROM STDIN`.
    FromStdin {
        /// The table.
        table: Name,
        /// Its columns in the order of the input; empty for all.
        columns: Vec<String>,
    },
}

/// How `COPY` writes rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyFormat {
    /// PostgreSQL's text format.
    #[default]
    Text,
    /// CSV.
    Csv,
    /// PostgreSQL's binary format.
    Binary,
}

/// `COMMENT ON …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommentStatement {
    /// What kind.
    pub noun: ObjectNoun,
    /// Which one.
    pub name: Name,
    /// The comment; `None` for `IS NULL`.
    pub comment: Option<String>,
}
