//! DataFusion's errors as ours: cause, position and hint instead of one long text.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use crate::error::{Cause, PlanError, nearest_name};
use crate::functions::Functions;
use crate::logical::window_node::WINDOW_COLUMNS;
use crate::parse::lexeme::{lexemes, position_of};
use crate::parse::query::syntax;

/// Our error for one of DataFusion's, which happened on `text`.
pub fn translate(error: &DataFusionError, text: &str, functions: &Functions) -> PlanError {
    let mut position = None;
    let mut at = error;
    loop {
        at = match at {
            DataFusionError::Diagnostic(diagnostic, inner) => {
                let span = diagnostic.span.map(|span| span.start);
                position = position.or(span.map(|at| position_of(text, at.line, at.column)));
                inner
            }
            DataFusionError::Context(_, inner) => inner,
            DataFusionError::Shared(inner) => inner,
            DataFusionError::Collection(errors) => match errors.first() {
                Some(first) => first,
                None => return PlanError::internal("an empty collection of errors"),
            },
            _ => break,
        };
    }
    let (translated, word) = root(at, text, functions);
    match position.or_else(|| word.and_then(|word| find_word(text, &word))) {
        Some(position) => translated.at(position),
        None => placed(translated, text),
    }
}

/// The error at the words that it is most probably about, if it has no position yet.
pub fn placed(error: PlanError, text: &str) -> PlanError {
    let windows: &[&str] = &["tumble", "hop", "time_bucket", "date_bin", "date_trunc"];
    let aggregate;
    let words: &[&str] = match error.cause() {
        Cause::Window { .. } => windows,
        Cause::UnboundedState { node: operator } | Cause::UpdatingInput { operator, .. }
            if operator.starts_with("aggregate ") =>
        {
            aggregate = [operator.split(' ').nth(1).unwrap_or_default()];
            &aggregate
        }
        Cause::UpdatingInput { operator, .. } if operator.starts_with("UNION") => &["union"],
        Cause::UpdatingInput { .. } => windows,
        Cause::Expression { .. } | Cause::Declaration { .. } => &["select"],
        Cause::Unsupported { what } => match what.split(' ').next() {
            Some("WHERE") => &["where"],
            Some("GROUP" | "GROUPING") => &["group"],
            _ if what.contains("window_start") => &["window_start"],
            _ => &["select", "values", "table"],
        },
        _ => &[],
    };
    let found = words.iter().filter_map(|word| find_word(text, word)).min();
    match found {
        Some(position) => error.at(position),
        None => error,
    }
}

/// The cause without wrappers, and the word in the text that it is about.
fn root(error: &DataFusionError, text: &str, functions: &Functions) -> (PlanError, Option<String>) {
    match error {
        DataFusionError::External(inner) => match inner.downcast_ref::<PlanError>() {
            Some(ours) => {
                let word = about(ours.cause());
                (ours.clone(), word)
            }
            None => (PlanError::expression(first_line(&inner.to_string())), None),
        },
        DataFusionError::SchemaError(schema, _) => schema_error(schema),
        DataFusionError::Plan(message) => plan_message(message, functions),
        DataFusionError::NotImplemented(message) => {
            let what = first_line(message).trim_start_matches("Unsupported ");
            (PlanError::unsupported(lowercase_first(what)), None)
        }
        DataFusionError::SQL(parser, _) => (syntax(text, parser), None),
        DataFusionError::Internal(message) => (PlanError::internal(first_line(message)), None),
        other => {
            let message = other.strip_backtrace();
            (
                PlanError::expression(lowercase_first(first_line(&message))),
                None,
            )
        }
    }
}

fn about(cause: &Cause) -> Option<String> {
    match cause {
        Cause::UnknownRelation { name }
        | Cause::UnknownColumn { name }
        | Cause::AmbiguousColumn { name }
        | Cause::UnknownFunction { name }
        | Cause::Volatile { name } => name.rsplit('.').next().map(str::to_owned),
        Cause::NotEventTime { column } => Some(column.clone()),
        Cause::WrongKind { message } => message.split('"').nth(1).map(str::to_owned),
        _ => None,
    }
}

fn schema_error(error: &SchemaError) -> (PlanError, Option<String>) {
    match error {
        SchemaError::FieldNotFound {
            field,
            valid_fields,
        } => {
            let name = field.quoted_flat_name().replace('"', "");
            let names = valid_fields.iter().map(|valid| valid.name.as_str());
            let near = nearest_name(&field.name, names.clone());
            let hint = match near {
                _ if WINDOW_COLUMNS.contains(&field.name.as_str()) => {
                    let from = "FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)";
                    Some(format!("It is a column of windows: write {from}."))
                }
                Some(near) => Some(format!("Did you mean \"{near}\"?")),
                None if valid_fields.is_empty() => None,
                None => {
                    let all: Vec<&str> = names.take(40).collect();
                    Some(format!("The columns are {}.", all.join(", ")))
                }
            };
            let word = field.name.clone();
            (
                PlanError::new(Cause::UnknownColumn { name }).maybe_hint(hint),
                Some(word),
            )
        }
        // DataFusion reports two results of one name so when one of them is a column.
        SchemaError::AmbiguousReference { field } if field.relation.is_some() => {
            let name = field.name.clone();
            let error = PlanError::new(Cause::DuplicateColumn { name: name.clone() });
            (
                error.hint("Give one of them another name with AS."),
                Some(name),
            )
        }
        SchemaError::AmbiguousReference { field } => {
            let name = field.name.clone();
            let error = PlanError::new(Cause::AmbiguousColumn { name: name.clone() });
            (
                error.hint("Write the relation's name before it."),
                Some(name),
            )
        }
        SchemaError::DuplicateQualifiedField { name, .. }
        | SchemaError::DuplicateUnqualifiedField { name } => {
            let error = PlanError::new(Cause::DuplicateColumn { name: name.clone() });
            (
                error.hint("Give one of them another name with AS."),
                Some(name.clone()),
            )
        }
    }
}

fn plan_message(message: &str, functions: &Functions) -> (PlanError, Option<String>) {
    if let Some(name) = between(message, "Invalid function '", "'") {
        return (unknown_function(name, functions), Some(name.to_owned()));
    }
    if let Some(rest) = message.strip_prefix("Projections require unique expression names") {
        let name = between(rest, "expression \"", "\"").unwrap_or_default();
        let name = name.rsplit_once(" AS ").map_or(name, |(_, alias)| alias);
        let name = name.rsplit('.').next().unwrap_or(name).to_owned();
        let error = PlanError::new(Cause::DuplicateColumn { name });
        return (
            error.hint("Give each column of the result its own name with AS."),
            None,
        );
    }
    if message.contains("must appear in the GROUP BY clause")
        || message.contains("could not be resolved from available columns")
    {
        let name = between(message, "column \"", "\"");
        let name = name
            .or_else(|| between(message, "expression \"", "\""))
            .unwrap_or_default();
        let word = name.rsplit('.').next().map(str::to_owned);
        let column = word.clone().unwrap_or_default();
        let text = format!("column \"{column}\" must be in GROUP BY or inside of an aggregate");
        let error = PlanError::expression(text);
        return (
            error.hint("Add it to GROUP BY, or write last_value(x ORDER BY ts)."),
            word,
        );
    }
    if let Some(call) = between(message, "argument types '", "'") {
        let error = PlanError::expression(format!("no function fits the call {call}"));
        let word = call.split('(').next().map(str::to_owned);
        let detail = message
            .split_once("Candidate functions:")
            .map(|(_, candidates)| {
                let lines: Vec<&str> = candidates
                    .lines()
                    .map(str::trim)
                    .filter(|line| !line.is_empty())
                    .collect();
                format!("There are {}.", lines.join(", "))
            });
        let error = match detail {
            Some(detail) => error.detail(detail),
            None => error,
        };
        return (error.hint("Put CAST(… AS …) around an argument."), word);
    }
    let (first, rest) = message.split_once('\n').unwrap_or((message, ""));
    let error = PlanError::expression(lowercase_first(first.trim_end_matches('.')));
    let rest = rest.trim();
    (
        if rest.is_empty() {
            error
        } else {
            error.detail(rest)
        },
        None,
    )
}

fn unknown_function(name: &str, functions: &Functions) -> PlanError {
    let error = PlanError::new(Cause::UnknownFunction {
        name: name.to_owned(),
    });
    match name {
        "tumble" | "hop" | "tumble_start" | "tumble_end" | "hop_start" | "hop_end" => error.hint(
            "Write FROM TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '…') and GROUP BY window_start.",
        ),
        "session" | "cumulate" => error.hint("Use TUMBLE or HOP."),
        _ if functions.window.contains_key(name) => error.hint(
            "It is a window function: write OVER (…) after it, in the SELECT that reads the view.",
        ),
        _ => {
            let near = nearest_name(name, functions.names());
            error.maybe_hint(near.map(|near| format!("Did you mean \"{near}\"?")))
        }
    }
}

/// Position of the first unquoted or quoted name `word` in `text`.
pub fn find_word(text: &str, word: &str) -> Option<u32> {
    use datafusion::sql::sqlparser::tokenizer::Token;
    let found = lexemes(text).ok()?.into_iter().find(|lexeme| {
        matches!(&lexeme.token.token, Token::Word(found) if found.value.eq_ignore_ascii_case(word))
    })?;
    Some(found.position)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inner, _)| inner)
}

fn first_line(message: &str) -> &str {
    message
        .lines()
        .next()
        .unwrap_or(message)
        .trim_end_matches('.')
}

fn lowercase_first(message: &str) -> String {
    let mut chars = message.chars();
    match chars.next() {
        // An acronym or a type keeps its case.
        Some(first) if !chars.clone().next().is_some_and(char::is_uppercase) => {
            first.to_lowercase().chain(chars).collect()
        }
        _ => message.to_owned(),
    }
}
