//! Statements that give a query, or its rows, a name: `CREATE VIEW`, `CREATE TABLE AS`.

use datafusion::sql::sqlparser::ast::Statement;

use crate::statement::Name;

/// `CREATE [OR REPLACE] VIEW`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePlainView {
    /// Its name.
    pub name: Name,
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `v (a, b)`.
    pub column_names: Vec<String>,
    /// The query, as written.
    pub query: String,
    /// Characters before the query in the whole text.
    pub query_offset: u32,
}

/// `CREATE TABLE … AS`.
#[derive(Clone, Debug)]
pub struct CreateTableAs {
    /// Its name.
    pub name: Name,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `t (a, b)`: names with positions; fewer than the query has columns, or none.
    pub column_names: Vec<(String, u32)>,
    /// `PRIMARY KEY (a)`: names with positions.
    pub primary_key: Vec<(String, u32)>,
    /// The query.
    pub query: Box<Statement>,
    /// Whether its rows are written: not `WITH NO DATA`.
    pub with_data: bool,
}
