//! Regular expressions: groups of a match, all matches, and what lies between them.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use regex::Regex;

use self::pattern::Patterns;
use super::{Entry, Types, is_text, rows};
use crate::error::FunctionError;

mod pattern;
pub(super) mod replace;

pub(super) const ALL: [Entry; 3] = [
    Entry {
        name: "regexp_extract",
        signature: "regexp_extract(value text, pattern text [, group bigint]) -> text",
        description: "A group of the first match, as Flink has it: 0, which is the default, is \
                      the whole match. Null without a match.",
        example: "SELECT regexp_extract(symbol, '([A-Z])(.*)', 2) FROM trades",
        parameters: &[],
        types: |types| match types {
            [value, pattern] if is_text(value) && is_text(pattern) => {
                Some((vec![DataType::Utf8; 2], DataType::Utf8))
            }
            [value, pattern, group]
                if is_text(value)
                    && is_text(pattern)
                    && (group.is_integer() || *group == DataType::Null) =>
            {
                let types = vec![DataType::Utf8, DataType::Utf8, DataType::Int64];
                Some((types, DataType::Utf8))
            }
            _ => None,
        },
        compute: extract,
    },
    Entry {
        name: "regexp_split_to_array",
        signature: "regexp_split_to_array(value text, pattern text [, flags text]) -> text[]",
        description: "The parts of a text between the matches of a pattern.",
        example: "SELECT regexp_split_to_array(symbol, '[-/]') FROM trades",
        parameters: &[],
        types: |types| texts(types, DataType::new_list(DataType::Utf8, true)),
        compute: split,
    },
    Entry {
        name: "regexp_match_rows",
        signature: "regexp_match_rows(value text, pattern text [, flags text]) -> text[][]",
        description: "The groups of the first match, with flag g of all: what regexp_matches in \
                      FROM and in the list of a SELECT is planned as.",
        example: "SELECT regexp_match_rows(symbol, '[A-Z]', 'g') FROM trades",
        parameters: &[],
        types: |types| {
            let row = DataType::new_list(DataType::Utf8, true);
            texts(types, DataType::new_list(row, true))
        },
        compute: matches,
    },
];

fn texts(types: &[DataType], result: DataType) -> Option<Types> {
    let fits = matches!(types.len(), 2 | 3) && types.iter().all(is_text);
    fits.then(|| (vec![DataType::Utf8; types.len()], result))
}

fn flags(columns: &[ArrayRef], row: usize) -> &str {
    columns
        .get(2)
        .map_or("", |flags| flags.as_string::<i32>().value(row))
}

fn extract(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (values, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut known = Patterns::default();
    let found = rows(columns, |row| {
        let group = columns.get(2).map_or(0, |groups| {
            let groups = groups.as_primitive::<Int64Type>();
            groups.value(row)
        });
        let regex = known.of(patterns.value(row), "")?;
        let captures = regex.captures(values.value(row));
        let group = usize::try_from(group).ok();
        let found = captures.and_then(|captures| captures.get(group?));
        Ok(found.map(|found| found.as_str()))
    })?;
    let found: StringArray = found.into_iter().map(Option::flatten).collect();
    Ok(Arc::new(found))
}

fn split(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (values, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut known = Patterns::default();
    let lists = rows(columns, |row| {
        let flags = flags(columns, row);
        if flags.contains('g') {
            let message = "regexp_split_to_array() does not support the \"global\" option";
            return Err(FunctionError::value("22023", message.to_owned()).into());
        }
        let regex = known.of(patterns.value(row), flags)?;
        Ok(between(regex, values.value(row)))
    })?;
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in lists {
        builder.append_option(list.map(|list| list.into_iter().map(Some)));
    }
    Ok(Arc::new(builder.finish()))
}

/// The parts between matches. As in PostgreSQL an empty match counts only between two characters.
fn between<'a>(regex: &Regex, text: &'a str) -> Vec<&'a str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for found in regex.find_iter(text) {
        if found.is_empty() && (found.start() == from || found.start() == text.len()) {
            continue;
        }
        parts.push(&text[from..found.start()]);
        from = found.end();
    }
    parts.push(&text[from..]);
    parts
}

fn matches(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (values, patterns) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let mut known = Patterns::default();
    let lists = rows(columns, |row| {
        let flags = flags(columns, row);
        let most = if flags.contains('g') { usize::MAX } else { 1 };
        let regex = known.of(patterns.value(row), flags)?;
        // Without groups the whole match is the only one.
        let first = usize::from(regex.captures_len() > 1);
        let found = regex.captures_iter(values.value(row)).take(most);
        let groups = found.map(|found| {
            let groups = found.iter().skip(first);
            let groups = groups.map(|group| group.map(|group| group.as_str().to_owned()));
            groups.collect::<Vec<_>>()
        });
        Ok(groups.collect::<Vec<_>>())
    })?;
    let mut builder = ListBuilder::new(ListBuilder::new(StringBuilder::new()));
    for list in lists {
        builder.append_option(list.map(|list| list.into_iter().map(Some)));
    }
    Ok(Arc::new(builder.finish()))
}
