//! Brings what PostgreSQL's clients send into a form that DataFusion plans.
//!
//! Queries on the system catalogs go through all of `datafusion-pg-catalog`'s rewriting and ours;
//! other queries only through the rules that cannot change what they mean.

use std::collections::HashSet;
use std::mem::discriminant;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, SelectItem, SetExpr, Statement, visit_expressions_mut,
};
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_pg_catalog::sql::rules::{
    CurrentUserVariableToSessionUserFunctionCall, RewriteArrayAnyAllOperation,
    SqlStatementRewriteRule, StripCallableQualifier, StripCollate,
};
use rtsap_planner::logical::literal::exact_statement;

mod rewrite;

static PARSER: LazyLock<PostgresCompatibilityParser> =
    LazyLock::new(PostgresCompatibilityParser::new);

/// The statement in a form that DataFusion plans. `text` is the statement alone.
pub(crate) fn compatible(text: &str, statement: &Statement) -> Statement {
    let mut statement = if reads_system_catalog(text) {
        // The text is what the known queries of clients are recognised by.
        let parsed = PARSER
            .parse(text)
            .ok()
            .filter(|statements| statements.len() == 1);
        let rewritten = parsed.and_then(|mut statements| statements.pop());
        // A query inside of another statement, or made from one, is not what the text says.
        let same = |other: &Statement| discriminant(other) == discriminant(statement);
        let rewritten = rewritten.filter(same);
        let mut statement = rewritten.unwrap_or_else(|| PARSER.rewrite(statement.clone()));
        rewrite::rewrite(&mut statement);
        statement
    } else {
        let mut statement = statement.clone();
        rewrite::any_of_subqueries(&mut statement);
        let mut statement = harmless(statement);
        exact_statement(&mut statement);
        statement
    };
    distinguish(&mut statement);
    statement
}

fn harmless(statement: Statement) -> Statement {
    let rules: [&dyn SqlStatementRewriteRule; 4] = [
        &RewriteArrayAnyAllOperation,
        &StripCallableQualifier,
        &CurrentUserVariableToSessionUserFunctionCall,
        &StripCollate,
    ];
    rules
        .iter()
        .fold(statement, |statement, rule| rule.rewrite(statement))
}

/// Gives result columns of the same text different names, as DataFusion needs; `names` gives them
/// back.
fn distinguish(statement: &mut Statement) {
    let query = match statement {
        Statement::Query(query) => Some(query),
        Statement::Insert(insert) => insert.source.as_mut(),
        _ => None,
    };
    let Some(SetExpr::Select(select)) = query.map(|query| query.body.as_mut()) else {
        return;
    };
    let mut seen = HashSet::new();
    for (item, number) in select.projection.iter_mut().zip(1..) {
        let name = match item {
            SelectItem::UnnamedExpr(expr) => without_casts(expr),
            SelectItem::ExprWithAlias { alias, .. } => alias.value.clone(),
            _ => continue,
        };
        // To DataFusion all subqueries are of the same text, and equal intervals and numbers are,
        // however they are written.
        let subquery = name.contains("(SELECT ") || name.contains("(WITH ");
        let constant = name.contains("INTERVAL ");
        if seen.insert(name) && !subquery && !constant {
            continue;
        }
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            let alias = Ident::with_quote('"', format!("column {number}"));
            *item = SelectItem::ExprWithAlias {
                expr: expr.clone(),
                alias,
            };
        }
    }
}

/// The text that DataFusion names an expression by: it reads over casts.
fn without_casts(expr: &Expr) -> String {
    let mut bare = expr.clone();
    let _: ControlFlow<()> = visit_expressions_mut(&mut bare, |expr| {
        while let Expr::Cast { expr: inner, .. } | Expr::Nested(inner) = expr {
            *expr = inner.as_ref().clone();
        }
        one_spelling(expr);
        ControlFlow::Continue(())
    });
    bare.to_string()
}

/// Calls that DataFusion plans as one function, whichever way they are spelt.
fn one_spelling(expr: &mut Expr) {
    const NAMES: [(&str, &str); 9] = [
        ("substring", "substr"),
        ("char_length", "character_length"),
        ("position", "strpos"),
        ("instr", "strpos"),
        ("pow", "power"),
        ("mean", "avg"),
        ("list_append", "array_append"),
        ("list_element", "array_element"),
        ("trim", "btrim"),
    ];
    let text = match expr {
        Expr::Function(function) => {
            let name = function.name.to_string().to_lowercase();
            let same = NAMES.iter().find(|(old, _)| *old == name);
            if let Some((_, new)) = same {
                function.name = ObjectName::from(vec![Ident::new(*new)]);
            }
            return;
        }
        Expr::Substring {
            expr,
            substring_from,
            substring_for,
            ..
        } => {
            let bounds = [substring_from, substring_for].into_iter().flatten();
            let rest: String = bounds.map(|bound| format!(", {bound}")).collect();
            format!("substr({expr}{rest})")
        }
        // To DataFusion all spellings of an interval are one.
        Expr::Interval(_) => "interval".to_owned(),
        Expr::Position { expr, r#in } => format!("strpos({}, {expr})", r#in),
        _ => return,
    };
    *expr = Expr::Identifier(Ident::new(text));
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
