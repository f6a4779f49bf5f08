//! `JSON_VALUE`, `JSON_QUERY` and `JSON_EXISTS` of the SQL standard, with paths of members and
//! elements: `$.a.b[0]`.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use super::{Entry, Types, is_text, rows};
use crate::error::FunctionError;
use crate::postgres::json::scan;

pub(super) const ALL: [Entry; 3] = [
    Entry {
        name: "json_value",
        signature: "json_value(json, path text) -> text",
        description: "The number, string or boolean at a path such as $.a.b[0], as text; null \
                      where there is none or the text is no JSON.",
        example: "SELECT json_value('{\"a\": {\"b\": 1}}', '$.a.b') FROM trades",
        parameters: &[],
        types: |types| texts(types, DataType::Utf8),
        compute: |columns, _| {
            let found = found(columns, |part| match part.as_bytes().first() {
                Some(b'{' | b'[' | b'n') | None => None,
                _ => Some(match scan::unquoted(part) {
                    Some(text) => text.into_owned(),
                    None => part.to_owned(),
                }),
            })?;
            let found: StringArray = found.into_iter().map(Option::flatten).collect();
            Ok(Arc::new(found))
        },
    },
    Entry {
        name: "json_query",
        signature: "json_query(json, path text) -> json",
        description: "The object or array at a path such as $.a.b[0]; null where there is none or \
                      the text is no JSON.",
        example: "SELECT json_query('{\"a\": {\"b\": 1}}', '$.a') FROM trades",
        parameters: &[],
        types: |types| texts(types, DataType::Utf8),
        compute: |columns, _| {
            let found = found(columns, |part| {
                part.starts_with(['{', '[']).then(|| part.to_owned())
            })?;
            let found: StringArray = found.into_iter().map(Option::flatten).collect();
            Ok(Arc::new(found))
        },
    },
    Entry {
        name: "json_exists",
        signature: "json_exists(json, path text) -> boolean",
        description: "Whether something is at a path such as $.a.b[0]; false for a text that is no \
                      JSON.",
        example: "SELECT json_exists('{\"a\": {\"b\": 1}}', '$.a.c') FROM trades",
        parameters: &[],
        types: |types| texts(types, DataType::Boolean),
        compute: |columns, _| {
            let found = found(columns, |_| Some(()))?;
            let found = found.into_iter().map(|found| found.map(|at| at.is_some()));
            Ok(Arc::new(found.collect::<BooleanArray>()))
        },
    },
];

fn texts(types: &[DataType], result: DataType) -> Option<Types> {
    let fits = types.len() == 2 && types.iter().all(is_text);
    fits.then(|| (vec![DataType::Utf8; 2], result))
}

/// What `of` makes of the part at each row's path; the inner option is none without such a part.
fn found<T>(
    columns: &[ArrayRef],
    of: impl Fn(&str) -> Option<T>,
) -> Result<Vec<Option<Option<T>>>> {
    let (jsons, paths) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut known: Option<(&str, Vec<Step>)> = None;
    rows(columns, |row| {
        let written = paths.value(row);
        let last = known.take().filter(|(last, _)| *last == written);
        let path = match last {
            Some((_, path)) => path,
            None => path(written)?,
        };
        let json = jsons.value(row);
        let part = match scan::whole(json) {
            true => part(json.trim(), &path),
            false => None,
        };
        known = Some((written, path));
        Ok(part.and_then(&of))
    })
}

/// One step down.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(i64),
}

fn part<'a>(json: &'a str, path: &[Step]) -> Option<&'a str> {
    path.iter().try_fold(json, |json, step| match step {
        Step::Member(name) => scan::member(json, name),
        Step::Element(place) => scan::element(json, *place),
    })
}

fn path(written: &str) -> Result<Vec<Step>, FunctionError> {
    steps(written).ok_or_else(|| {
        let message = format!("invalid JSON path \"{written}\"");
        let detail = "A path is made of members and elements: $.a.b[0], $['a b'].";
        FunctionError::value("22023", message).detail(detail.to_owned())
    })
}

fn steps(written: &str) -> Option<Vec<Step>> {
    let trimmed = written.trim();
    let trimmed = trimmed.strip_prefix("lax ").unwrap_or(trimmed);
    let trimmed = trimmed.strip_prefix("strict ").unwrap_or(trimmed);
    let mut rest = trimmed.trim().strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[") {
            let (inside, behind) = bracketed(after)?;
            steps.push(inside);
            rest = behind;
            continue;
        }
        let after = rest.strip_prefix('.')?;
        let (name, behind) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                after.split_at(end)
            }
        };
        let plain = |c: char| c.is_alphanumeric() || c == '_' || c == '-' || c == '$';
        let quoted = after.starts_with('"');
        if name.is_empty() || !(quoted || name.chars().all(plain)) {
            return None;
        }
        steps.push(Step::Member(name.to_owned()));
        rest = behind;
    }
    Some(steps)
}

/// What stands behind a `[`, and what follows its `]`.
fn bracketed(after: &str) -> Option<(Step, &str)> {
    for quote in ['\'', '"'] {
        if let Some(inside) = after.strip_prefix(quote) {
            let (name, behind) = inside.split_once(quote)?;
            return Some((Step::Member(name.to_owned()), behind.strip_prefix(']')?));
        }
    }
    let (place, behind) = after.split_once(']')?;
    let place: u32 = place.trim().parse().ok()?;
    Some((Step::Element(place.into()), behind))
}
