//! DataFusion's errors in the words of PostgreSQL, with position and hint.

use std::error::Error;

use arrow::error::ArrowError;
use datafusion::common::{Column, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;
use rtsap_catalog::snapshot::{CatalogSnapshot, nearest};
use rtsap_planner::PlanError;
use rtsap_planner::parse::lexeme::position_of;
use rtsap_stream::error::ErrorKind;
use rtsap_udfs::FunctionError;

use crate::error::EngineError;
use crate::query::plan_text;

/// What the diagnosis may look at.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// The whole text that the statement stands in.
    pub(crate) text: &'a str,
    /// The catalog it was planned against.
    pub(crate) catalog: &'a CatalogSnapshot,
}

/// Says what `error` means for the author of the statement.
pub(crate) fn diagnose(error: DataFusionError, scene: Scene<'_>) -> EngineError {
    let span = error.diagnostic().and_then(|diagnostic| diagnostic.span);
    let position = span.map(|span| position_of(scene.text, span.start.line, span.start.column));
    if let Some(refusal) = FunctionError::find(&error) {
        return function(refusal).at(position);
    }
    root(error, scene).at(position)
}

/// Says why one of our own functions refused its call.
fn function(refusal: &FunctionError) -> EngineError {
    let sqlstate = refusal.sqlstate();
    let code = match sqlstate {
        "42883" => "RT0209",
        "0A000" => "RT0502",
        _ => "RT0535",
    };
    let mut error = EngineError::invalid(code, refusal.to_string()).sqlstate(sqlstate);
    if let Some(detail) = refusal.details() {
        error = error.detail(detail);
    }
    match refusal.hint() {
        hint if hint.is_empty() => error,
        hint => error.hint(hint),
    }
}

fn root(error: DataFusionError, scene: Scene<'_>) -> EngineError {
    match error {
        DataFusionError::SchemaError(error, _) => schema_error(&error, scene),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            root(*inner, scene)
        }
        DataFusionError::Collection(errors) => {
            let first = errors.into_iter().next();
            first.map_or_else(|| EngineError::internal("no error"), |e| diagnose(e, scene))
        }
        DataFusionError::Shared(error) => shared(&error, scene),
        DataFusionError::External(error) => external(error),
        DataFusionError::ArrowError(error, _) => arrow(*error, scene),
        DataFusionError::Plan(message) => plan(&message, scene),
        DataFusionError::SQL(error, _) => syntax(&error),
        DataFusionError::NotImplemented(message) => {
            let message = format!("not supported: {}", tidy(&message));
            EngineError::invalid("RT0502", message).sqlstate("0A000")
        }
        DataFusionError::ResourcesExhausted(message) => {
            let error = EngineError::new(ErrorKind::Exhausted, "RT0534", "out of query memory");
            error
                .sqlstate("53200")
                .detail(sentence(&message))
                .hint("Read fewer rows at once, or raise the server's limit of memory per query.")
        }
        DataFusionError::Execution(message) => execution(&message),
        other => {
            let message = tidy(&other.to_string());
            EngineError::internal(format!("cannot run the statement: {message}")).caused_by(other)
        }
    }
}

fn shared(error: &DataFusionError, scene: Scene<'_>) -> EngineError {
    match error {
        DataFusionError::SchemaError(error, _) => schema_error(error, scene),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            shared(inner, scene)
        }
        DataFusionError::Shared(inner) => shared(inner, scene),
        DataFusionError::Plan(message) => plan(message, scene),
        DataFusionError::Execution(message) => execution(message),
        other => match arrow_inside(other) {
            Some(error) => execution(&error.to_string()),
            None => EngineError::internal(format!("cannot run the statement: {other}")),
        },
    }
}

fn arrow_inside(error: &DataFusionError) -> Option<&ArrowError> {
    match error {
        DataFusionError::ArrowError(error, _) => Some(error),
        _ => None,
    }
}

fn external(error: Box<dyn Error + Send + Sync>) -> EngineError {
    let error = match error.downcast::<EngineError>() {
        Ok(error) => return *error,
        Err(error) => error,
    };
    match error.downcast::<PlanError>() {
        Ok(error) => EngineError::from(*error),
        Err(error) if is_of_pattern(&error.to_string()) => wrong_pattern(&error.to_string()),
        Err(error) => {
            EngineError::internal(format!("cannot run the statement: {error}")).caused_by(error)
        }
    }
}

fn arrow(error: ArrowError, scene: Scene<'_>) -> EngineError {
    match error {
        ArrowError::ExternalError(error) => match error.downcast::<DataFusionError>() {
            Ok(error) => diagnose(*error, scene),
            Err(error) => external(error),
        },
        ArrowError::DivideByZero => {
            EngineError::invalid("RT0535", "division by zero").sqlstate("22012")
        }
        other => execution(&other.to_string()),
    }
}

fn execution(message: &str) -> EngineError {
    let text = tidy(message);
    let lower = text.to_lowercase();
    let sqlstate = if lower.contains("divide by zero") {
        return EngineError::invalid("RT0535", "division by zero").sqlstate("22012");
    } else if is_of_pattern(&lower) {
        return wrong_pattern(&text);
    } else if lower.contains("overflow") || lower.contains("too large") {
        "22003"
    } else if lower.contains("cannot cast") || lower.contains("parsing") || lower.contains("parser")
    {
        "22P02"
    } else {
        "22000"
    };
    EngineError::invalid("RT0535", text).sqlstate(sqlstate)
}

fn is_of_pattern(message: &str) -> bool {
    let lower = message.to_lowercase();
    lower.contains("regular expression") || lower.contains("regex parse error")
}

/// A regular expression that cannot be read; those here look neither ahead nor back.
fn wrong_pattern(message: &str) -> EngineError {
    let error = EngineError::invalid("RT0535", "invalid regular expression").sqlstate("2201B");
    let last = message.lines().next_back().unwrap_or(message);
    error.detail(last.trim_start_matches("error: "))
}

fn syntax(error: &ParserError) -> EngineError {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => message.clone(),
        ParserError::RecursionLimitExceeded => "the statement is nested too deeply".to_owned(),
    };
    EngineError::invalid("RT0101", format!("syntax error: {}", tidy(&message))).sqlstate("42601")
}

fn schema_error(error: &SchemaError, scene: Scene<'_>) -> EngineError {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => unknown_column(field, valid_fields, scene),
        SchemaError::AmbiguousReference { field } => {
            let name = field.name();
            EngineError::invalid(
                "RT0210",
                format!("column reference \"{name}\" is ambiguous"),
            )
            .sqlstate("42702")
            .hint("Write the relation's name before it.")
            .at(locate(scene.text, name))
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => EngineError::invalid(
            "RT0206",
            format!("column \"{name}\" specified more than once"),
        )
        .sqlstate("42701")
        .hint("Give each column a name of its own with AS."),
    }
}

fn unknown_column(field: &Column, valid: &[Column], scene: Scene<'_>) -> EngineError {
    let written = match &field.relation {
        Some(relation) => format!("{}.{}", relation.table(), field.name()),
        None => field.name().to_owned(),
    };
    let known_relation = field.relation.as_ref().is_none_or(|relation| {
        valid.iter().any(|column| {
            column
                .relation
                .as_ref()
                .is_some_and(|other| other.table() == relation.table())
        })
    });
    let position = locate(scene.text, field.name());
    if let Some(relation) = &field.relation
        && !known_relation
    {
        if relation.table().starts_with("__correlated_sq_") {
            let what = "a subquery that depends on the outer row in this place";
            return EngineError::unsupported(what)
                .hint("Write EXISTS (SELECT … WHERE x = a AND y = b), or join.");
        }
        let message = format!(
            "missing FROM-clause entry for table \"{}\"",
            relation.table()
        );
        let error = EngineError::invalid("RT0201", message).sqlstate("42P01");
        let relations: Vec<&str> = valid
            .iter()
            .filter_map(|c| c.relation.as_ref().map(|r| r.table()))
            .collect();
        let error = error.at(locate(scene.text, relation.table()));
        return match nearest(relation.table(), relations) {
            Some(near) => error.hint(format!("Perhaps you meant the table \"{near}\".")),
            None => error,
        };
    }
    let message = if field.relation.is_some() {
        format!("column {written} does not exist")
    } else {
        format!("column \"{written}\" does not exist")
    };
    let error = EngineError::invalid("RT0202", message)
        .sqlstate("42703")
        .at(position);
    match nearest(field.name(), valid.iter().map(Column::name)) {
        Some(near) => error.hint(meant(near, valid)),
        None => error,
    }
}

fn meant(near: &str, valid: &[Column]) -> String {
    let column = valid.iter().find(|column| column.name() == near);
    let relation = column.and_then(|column| column.relation.as_ref());
    let full = relation.map_or_else(|| near.to_owned(), |r| format!("{}.{near}", r.table()));
    format!("Perhaps you meant to reference the column \"{full}\".")
}

/// DataFusion's `Plan` errors are texts; the ones that people meet are recognised.
fn plan(message: &str, scene: Scene<'_>) -> EngineError {
    let text = tidy(message);
    if let Some(name) = between(&text, "table '", "' not found") {
        return unknown_relation(name.rsplit('.').next().unwrap_or(name), scene);
    }
    if let Some(name) = between(&text, "failed to resolve schema: ", "\n") {
        return EngineError::invalid("RT0201", format!("schema \"{name}\" does not exist"))
            .sqlstate("3F000")
            .at(locate(scene.text, name));
    }
    if let Some(name) = between(&text, "failed to resolve catalog: ", "\n") {
        let message = format!("cross-database references are not implemented: \"{name}\"");
        return EngineError::invalid("RT0502", message).sqlstate("0A000");
    }
    if let Some(name) = between(&text, "nvalid function '", "'") {
        let error = EngineError::invalid("RT0203", format!("function {name} does not exist"))
            .sqlstate("42883")
            .at(locate(scene.text, name));
        return match between(&text, "Did you mean '", "'") {
            Some(near) => error.hint(format!("Perhaps you meant \"{near}\".")),
            None => error,
        };
    }
    let text = plan_text::for_users(&text);
    let first = text.lines().next().unwrap_or_default();
    let error = EngineError::invalid("RT0209", lowercase_first(first));
    let sqlstate = plan_text::sqlstate(&text.to_lowercase());
    let rest: Vec<&str> = text
        .lines()
        .skip(1)
        .filter(|line| !line.trim().is_empty())
        .collect();
    let error = error.sqlstate(sqlstate);
    if rest.is_empty() {
        error
    } else {
        error.detail(rest.join("\n"))
    }
}

/// `relation "x" does not exist`, with the nearest name and its position.
pub(crate) fn unknown_relation(name: &str, scene: Scene<'_>) -> EngineError {
    let error = EngineError::invalid("RT0201", format!("relation \"{name}\" does not exist"))
        .sqlstate("42P01")
        .at(locate(scene.text, name));
    match scene.catalog.nearest(name) {
        Some(near) if near != name => error.hint(format!("Perhaps you meant \"{near}\".")),
        _ => error,
    }
}

/// The position (counted from 1, in characters) at which `identifier` stands in `text` as a whole
/// word.
pub(crate) fn locate(text: &str, identifier: &str) -> Option<u32> {
    if identifier.is_empty() {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let wanted = identifier.to_ascii_lowercase();
    let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    let found = lower.match_indices(&wanted).find(|(at, _)| {
        let before = lower[..*at].chars().next_back();
        let after = lower[at + wanted.len()..].chars().next();
        !before.is_some_and(word) && !after.is_some_and(word) && !in_string(&lower[..*at])
    });
    let (at, _) = found?;
    u32::try_from(text[..at].chars().count() + 1).ok()
}

/// Whether a text ends inside a string literal.
fn in_string(before: &str) -> bool {
    before.bytes().filter(|byte| *byte == b'\'').count() % 2 == 1
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = &text[text.find(start)? + start.len()..];
    Some(rest.find(end).map_or(rest, |at| &rest[..at]))
}

/// Takes away the prefixes that say from which layer an error comes.
pub(crate) fn tidy(message: &str) -> String {
    const LAYERS: [&str; 11] = [
        "Error during planning: ",
        "Execution error: ",
        "Arrow error: ",
        "Optimizer rule",
        "External error: ",
        "Schema error: ",
        "Cast error: ",
        "Parser error: ",
        "Compute error: ",
        "Invalid argument error: ",
        "Arithmetic overflow: ",
    ];
    let mut text = message.trim();
    if let Some(at) = text.find("caused by\n") {
        text = text[at + "caused by\n".len()..].trim();
    }
    while let Some(rest) = LAYERS.iter().find_map(|layer| text.strip_prefix(layer)) {
        text = rest.trim();
    }
    lowercase_first(text.trim_end_matches('.'))
}

fn lowercase_first(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else {
        return String::new();
    };
    // `UTF8`, `JSON`: words in capitals stay as they are.
    let shouting = chars.clone().next().is_some_and(char::is_uppercase);
    if shouting {
        text.to_owned()
    } else {
        first.to_lowercase().collect::<String>() + chars.as_str()
    }
}

fn sentence(text: &str) -> String {
    let text = text.trim().trim_end_matches('.');
    let mut chars = text.chars();
    let first = chars
        .next()
        .map(|c| c.to_uppercase().collect::<String>())
        .unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests;
