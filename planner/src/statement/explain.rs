//! `EXPLAIN` as written.

use datafusion::sql::sqlparser::ast::Statement;

use crate::statement::{CreateView, Name};

/// `EXPLAIN …`.
#[derive(Clone, Debug)]
pub struct ExplainStatement {
    /// `EXPLAIN (FORMAT …)`.
    pub format: ExplainFormat,
    /// `CHANGELOG_MODE` was asked for (the plan always says it; kept so that the option is not an
    /// error).
    pub changelog_mode: bool,
    /// `VERBOSE`.
    pub verbose: bool,
    /// `ANALYZE`.
    pub analyze: bool,
    /// What to explain.
    pub target: ExplainTarget,
}

/// In which form a plan is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExplainFormat {
    /// One operator a line.
    #[default]
    Text,
    /// JSON.
    Json,
    /// Graphviz.
    Dot,
}

/// What `EXPLAIN` explains.
#[derive(Clone, Debug)]
pub enum ExplainTarget {
    /// `EXPLAIN CREATE STREAMING VIEW …`: the plan it would get.
    CreateView(Box<CreateView>),
    /// `EXPLAIN STREAMING VIEW v`: the plan of an existing view; with `ANALYZE`, its live figures.
    View(Name),
    /// `EXPLAIN WHY v`: what a view waits for.
    Why(Name),
    /// `EXPLAIN SELECT … EMIT …`: the streaming plan of this query, by text and characters before
    /// it.
    StreamingQuery {
        /// The query with its `EMIT` clause.
        query: String,
        /// Characters before it in the whole text.
        query_offset: u32,
    },
    /// `EXPLAIN SELECT …`: the plan of a read.
    Query(Box<Statement>),
}
