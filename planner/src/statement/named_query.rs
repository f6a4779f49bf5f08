//! Statements that give a query a name: `CREATE VIEW`.

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
