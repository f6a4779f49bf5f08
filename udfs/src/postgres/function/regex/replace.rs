//! Whether a text matches, what a match has in its groups, and texts in the place of matches.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int32Array, ListBuilder, StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;
use regex::{Captures, Regex};

use super::pattern::Patterns;
use crate::error::FunctionError;
use crate::postgres::function::{Entry, Types, entry, is_text, rows};

pub(in crate::postgres::function) const ALL: [Entry; 5] = [
    entry(
        "regexp_like",
        [
            "regexp_like(value text, pattern text [, flags text]) -> boolean",
            "Whether a pattern matches somewhere in a text; ~ and ~* are planned as it.",
            "SELECT regexp_like(symbol, '^[A-Z]+$') FROM trades",
        ],
        |types| texts(types, 2, DataType::Boolean),
        like,
    ),
    entry(
        "regexp_match",
        [
            "regexp_match(value text, pattern text [, flags text]) -> text[]",
            "The groups of the first match, or all of it if the pattern has none; null without \
             one.",
            "SELECT regexp_match(symbol, '([A-Z])([A-Z]*)') FROM trades",
        ],
        |types| texts(types, 2, DataType::new_list(DataType::Utf8, true)),
        first,
    ),
    entry(
        "regexp_part",
        [
            "regexp_part(value text, pattern text) -> text",
            "The first group of the first match, or all of it if the pattern has none: what \
             substring(value FROM pattern) is planned as.",
            "SELECT regexp_part(symbol, '[A-Z]{2}') FROM trades",
        ],
        |types| texts(types, 2, DataType::Utf8).filter(|(types, _)| types.len() == 2),
        part,
    ),
    entry(
        "regexp_replace",
        [
            "regexp_replace(value text, pattern text, new text [, start bigint [, n bigint]] \
             [, flags text]) -> text",
            "A text with new in the place of the first match, of the n-th, or with flag g, as with \
             n = 0, of all. In new \\1 is the first group, \\& the match.",
            "SELECT regexp_replace(symbol, '^([A-Z])', 'x-\\1') FROM trades",
        ],
        replace_types,
        replaced,
    ),
    entry(
        "regexp_count",
        [
            "regexp_count(value text, pattern text [, start bigint [, flags text]]) -> integer",
            "How many matches a text has.",
            "SELECT regexp_count(symbol, '[A-Z]') FROM trades",
        ],
        |types| match types {
            [value, pattern, rest @ ..] if is_text(value) && is_text(pattern) => {
                let all = [
                    DataType::Utf8,
                    DataType::Utf8,
                    DataType::Int64,
                    DataType::Utf8,
                ];
                let fits = match rest {
                    [] => true,
                    [start] => start.is_integer(),
                    [start, flags] => start.is_integer() && is_text(flags),
                    _ => false,
                };
                fits.then(|| (all[..types.len()].to_vec(), DataType::Int32))
            }
            _ => None,
        },
        counted,
    ),
];

/// So many texts, and flags.
fn texts(types: &[DataType], count: usize, result: DataType) -> Option<Types> {
    let fits = types.len() == count || types.len() == count + 1;
    let fits = fits && types.iter().all(is_text);
    fits.then(|| (vec![DataType::Utf8; types.len()], result))
}

fn replace_types(types: &[DataType]) -> Option<Types> {
    let [value, pattern, new, rest @ ..] = types else {
        return None;
    };
    let fits = [value, pattern, new].into_iter().all(is_text)
        && match rest {
            [] => true,
            [one] => is_text(one) || one.is_integer(),
            [start, n] => start.is_integer() && n.is_integer(),
            [start, n, flags] => start.is_integer() && n.is_integer() && is_text(flags),
            _ => false,
        };
    let rest = rest.iter().map(|found| match found.is_integer() {
        true => DataType::Int64,
        false => DataType::Utf8,
    });
    let texts = std::iter::repeat_n(DataType::Utf8, 3);
    fits.then(|| (texts.chain(rest).collect(), DataType::Utf8))
}

fn text(columns: &[ArrayRef], place: usize, row: usize) -> &str {
    columns
        .get(place)
        .map_or("", |column| column.as_string::<i32>().value(row))
}

fn without_g<'a>(function: &str, flags: &'a str) -> Result<&'a str> {
    if flags.contains('g') {
        let message = format!("{function}() does not support the \"global\" option");
        return Err(FunctionError::value("22023", message).into());
    }
    Ok(flags)
}

fn like(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let mut known = Patterns::default();
    let found = rows(columns, |row| {
        let flags = without_g("regexp_like", text(columns, 2, row))?;
        let regex = known.of(text(columns, 1, row), flags)?;
        Ok(regex.is_match(text(columns, 0, row)))
    })?;
    Ok(Arc::new(found.into_iter().collect::<BooleanArray>()))
}

fn first(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let mut known = Patterns::default();
    let lists = rows(columns, |row| {
        let flags = without_g("regexp_match", text(columns, 2, row))?;
        let regex = known.of(text(columns, 1, row), flags)?;
        let from = usize::from(regex.captures_len() > 1);
        let found = regex.captures(text(columns, 0, row));
        Ok(found.map(|found| {
            let groups = found.iter().skip(from);
            let groups = groups.map(|group| group.map(|group| group.as_str().to_owned()));
            groups.collect::<Vec<_>>()
        }))
    })?;
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in lists {
        builder.append_option(list.flatten());
    }
    Ok(Arc::new(builder.finish()))
}

fn part(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let mut known = Patterns::default();
    let found = rows(columns, |row| {
        let regex = known.of(text(columns, 1, row), "")?;
        let group = usize::from(regex.captures_len() > 1);
        let found = regex.captures(text(columns, 0, row));
        let found = found.and_then(|found| found.get(group));
        Ok(found.map(|found| found.as_str().to_owned()))
    })?;
    let found: StringArray = found.into_iter().map(Option::flatten).collect();
    Ok(Arc::new(found))
}

/// Which matches: from a place on, and all or one of them.
struct Which {
    /// Bytes before the place.
    from: usize,
    /// Counted from one; zero for all.
    nth: i64,
}

impl Which {
    fn of(value: &str, start: Option<i64>, nth: i64) -> Result<Self> {
        let wrong = |name: &str, found: i64| {
            let message = format!("invalid value for parameter \"{name}\": {found}");
            FunctionError::value("22023", message)
        };
        if nth < 0 {
            return Err(wrong("n", nth).into());
        }
        let start = start.unwrap_or(1);
        let skipped = usize::try_from(start)
            .ok()
            .and_then(|start| start.checked_sub(1));
        let Some(skipped) = skipped else {
            return Err(wrong("start", start).into());
        };
        let from = value.char_indices().nth(skipped);
        Ok(Self {
            from: from.map_or(value.len(), |(byte, _)| byte),
            nth,
        })
    }
}

fn replaced(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let number = |place: usize, row: usize| {
        let column = columns.get(place)?;
        let numbers = column.as_primitive_opt::<Int64Type>()?;
        Some(numbers.value(row))
    };
    // Flags stand behind numbers, or in the place of the first.
    let flags = (3..columns.len()).find(|place| columns[*place].as_string_opt::<i32>().is_some());
    let mut known = Patterns::default();
    let found = rows(columns, |row| {
        let value = text(columns, 0, row);
        let flags = flags.map_or("", |place| text(columns, place, row));
        let regex = known.of(text(columns, 1, row), flags)?;
        let all = flags.contains('g');
        let nth = number(4, row).unwrap_or(i64::from(!all));
        let which = Which::of(value, number(3, row), nth)?;
        Ok(with_new(regex, value, &which, text(columns, 2, row)))
    })?;
    Ok(Arc::new(found.into_iter().collect::<StringArray>()))
}

fn with_new(regex: &Regex, value: &str, which: &Which, new: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut copied = 0;
    let mut number = 0;
    each_match(regex, value, which.from, |found| {
        number += 1;
        let Some(whole) = found.get(0) else {
            return false;
        };
        if which.nth == 0 || which.nth == number {
            out.push_str(&value[copied..whole.start()]);
            expand(found, new, &mut out);
            copied = whole.end();
        }
        which.nth == 0 || number < which.nth
    });
    out.push_str(&value[copied..]);
    out
}

/// Calls `each` with the matches from a byte on until it says no. As in PostgreSQL an empty match
/// may follow another one at once.
fn each_match<'v>(
    regex: &Regex,
    value: &'v str,
    from: usize,
    mut each: impl FnMut(&Captures<'v>) -> bool,
) {
    let mut at = from;
    while at <= value.len() {
        let Some(found) = regex.captures_at(value, at) else {
            return;
        };
        let Some(whole) = found.get(0) else { return };
        if !each(&found) {
            return;
        }
        at = match whole.is_empty() {
            false => whole.end(),
            true => {
                let next = value[whole.end()..].chars().next();
                whole.end() + next.map_or(1, char::len_utf8)
            }
        };
    }
}

/// `new` with `\1` as the first group, `\&` as the match.
fn expand(found: &Captures<'_>, new: &str, out: &mut String) {
    let mut chars = new.chars();
    while let Some(char) = chars.next() {
        if char != '\\' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('&') => out.push_str(found.get(0).map_or("", |all| all.as_str())),
            Some(digit @ '1'..='9') => {
                let group = digit.to_digit(10).map_or(0, |digit| digit as usize);
                out.push_str(found.get(group).map_or("", |group| group.as_str()));
            }
            Some('\\') | None => out.push('\\'),
            Some(other) => out.extend(['\\', other]),
        }
    }
}

fn counted(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let mut known = Patterns::default();
    let found = rows(columns, |row| {
        let value = text(columns, 0, row);
        let flags = without_g("regexp_count", text(columns, 3, row))?;
        let start = columns.get(2);
        let start = start.map(|start| start.as_primitive::<Int64Type>().value(row));
        let regex = known.of(text(columns, 1, row), flags)?;
        let mut count = 0_i32;
        each_match(regex, value, Which::of(value, start, 0)?.from, |_| {
            count += 1;
            true
        });
        Ok(count)
    })?;
    Ok(Arc::new(found.into_iter().collect::<Int32Array>()))
}
