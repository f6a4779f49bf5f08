//! Brings what PostgreSQL's clients send into a form that DataFusion plans.
//!
//! Queries on the system catalogs go through all of `datafusion-pg-catalog`'s rewriting; other queries only through
//! the rules that cannot change what they mean.

use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::Statement;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_pg_catalog::sql::rules::{
    AliasDuplicatedProjectionRewrite, CurrentUserVariableToSessionUserFunctionCall,
    FixArrayLiteral, RewriteArrayAnyAllOperation, SqlStatementRewriteRule, StripCallableQualifier,
    StripCollate,
};

static PARSER: LazyLock<PostgresCompatibilityParser> =
    LazyLock::new(PostgresCompatibilityParser::new);

/// The statement in a form that DataFusion plans. `text` is the statement alone.
pub(crate) fn compatible(text: &str, statement: &Statement) -> Statement {
    if !reads_system_catalog(text) {
        return harmless(statement.clone());
    }
    // The text is what the known queries of clients are recognised by.
    let parsed = PARSER
        .parse(text)
        .ok()
        .filter(|statements| statements.len() == 1);
    let rewritten = parsed.and_then(|mut statements| statements.pop());
    rewritten.unwrap_or_else(|| PARSER.rewrite(statement.clone()))
}

fn harmless(statement: Statement) -> Statement {
    let rules: [&dyn SqlStatementRewriteRule; 6] = [
        &AliasDuplicatedProjectionRewrite,
        &RewriteArrayAnyAllOperation,
        &StripCallableQualifier,
        &FixArrayLiteral,
        &CurrentUserVariableToSessionUserFunctionCall,
        &StripCollate,
    ];
    rules
        .iter()
        .fold(statement, |statement, rule| rule.rewrite(statement))
}

fn reads_system_catalog(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    [
        "pg_",
        "information_schema",
        "regclass",
        "regtype",
        "regproc",
        "version()",
    ]
    .iter()
    .any(|word| lower.contains(word))
}
