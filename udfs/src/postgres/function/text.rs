//! Texts: quoting, `format`, the pattern of `SIMILAR TO`, lengths.

use std::fmt::Write;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use super::{Entry, Types, is_text, rows};
use crate::error::FunctionError;

/// Characters that a value may be filled up to in a template.
const WIDTH_MAX: usize = u16::MAX as usize;

pub(super) const ALL: [Entry; 6] = [
    Entry {
        name: "quote_literal",
        signature: "quote_literal(value) -> text",
        description: "A value as a literal of SQL.",
        example: "SELECT quote_literal(symbol) FROM trades",
        parameters: &[],
        types: any_text,
        compute: |columns, _| texts(columns, literal),
    },
    Entry {
        name: "quote_nullable",
        signature: "quote_nullable(value) -> text",
        description: "A value as a literal of SQL; NULL for null.",
        example: "SELECT quote_nullable(symbol) FROM trades",
        parameters: &[],
        types: any_text,
        compute: |columns, _| {
            let quoted = columns[0].as_string::<i32>().iter();
            let quoted = quoted.map(|text| text.map_or_else(|| "NULL".to_owned(), literal));
            Ok(Arc::new(StringArray::from_iter_values(quoted)))
        },
    },
    Entry {
        name: "quote_ident",
        signature: "quote_ident(text) -> text",
        description: "A name as SQL writes it: in quotes where it needs them.",
        example: "SELECT quote_ident(symbol) FROM trades",
        parameters: &[],
        types: any_text,
        compute: |columns, _| texts(columns, identifier),
    },
    Entry {
        name: "format",
        signature: "format(template text, value, …) -> text",
        description: "A template with values put in: %s as they are, %I as names, %L as literals, \
                      %% for a percent sign, with %2$s and %-10s as in C.",
        example: "SELECT format('%s at %s', symbol, price) FROM trades",
        parameters: &[],
        types: |types| {
            let fits = types.first().is_some_and(is_text);
            fits.then(|| (vec![DataType::Utf8; types.len()], DataType::Utf8))
        },
        compute: format,
    },
    Entry {
        name: "similar_to_escape",
        signature: "similar_to_escape(pattern text [, escape text]) -> text",
        description: "The regular expression of a pattern of SIMILAR TO, which is planned with it.",
        example: "SELECT symbol SIMILAR TO '(A|B)%' FROM trades",
        parameters: &[],
        types: |types| {
            let fits = matches!(types.len(), 1 | 2) && types.iter().all(is_text);
            fits.then(|| (vec![DataType::Utf8; types.len()], DataType::Utf8))
        },
        compute: similar,
    },
    Entry {
        name: "length",
        signature: "length(text | bytea) -> integer",
        description: "Characters of a text, bytes of a bytea.",
        example: "SELECT length(symbol) FROM trades",
        parameters: &[],
        types: |types| match types {
            [DataType::Binary] => Some((vec![DataType::Binary], DataType::Int32)),
            [found] if is_text(found) => Some((vec![DataType::Utf8], DataType::Int32)),
            _ => None,
        },
        compute: length,
    },
];

fn any_text(types: &[DataType]) -> Option<Types> {
    (types.len() == 1).then(|| (vec![DataType::Utf8], DataType::Utf8))
}

fn texts(columns: &[ArrayRef], of: fn(&str) -> String) -> Result<ArrayRef> {
    let texts = columns[0].as_string::<i32>().iter();
    let texts: StringArray = texts.map(|text| text.map(of)).collect();
    Ok(Arc::new(texts))
}

fn literal(text: &str) -> String {
    let escape = if text.contains('\\') { "E" } else { "" };
    let doubled = text.replace('\'', "''").replace('\\', "\\\\");
    format!("{escape}'{doubled}'")
}

/// Words that are no names of columns unless they are quoted.
const RESERVED: [&str; 77] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_catalog",
    "current_date",
    "current_role",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "initially",
    "intersect",
    "into",
    "lateral",
    "leading",
    "limit",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "placing",
    "primary",
    "references",
    "returning",
    "select",
    "session_user",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "when",
    "where",
    "window",
    "with",
];

fn identifier(text: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_plain = text.starts_with(plain)
        && text.chars().all(|c| plain(c) || c.is_ascii_digit())
        && !RESERVED.contains(&text);
    match is_plain {
        true => text.to_owned(),
        false => format!("\"{}\"", text.replace('"', "\"\"")),
    }
}

fn format(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let [templates, values @ ..] = columns else {
        return datafusion::common::internal_err!("format has no template");
    };
    // Null values are written as nothing; only a null template is null.
    let only = std::slice::from_ref(templates);
    let written = rows(only, |row| {
        let template = templates.as_string::<i32>().value(row);
        let value = |place: usize| {
            let column = values.get(place).ok_or_else(|| {
                let message = "too few arguments for format()".to_owned();
                FunctionError::value("22023", message)
            })?;
            let texts = column.as_string::<i32>();
            Ok(texts.is_valid(row).then(|| texts.value(row)))
        };
        Ok(formatted(template, value)?)
    })?;
    Ok(Arc::new(StringArray::from(written)))
}

fn formatted<'a>(
    template: &str,
    value: impl Fn(usize) -> Result<Option<&'a str>, FunctionError>,
) -> Result<String, FunctionError> {
    let wrong = |message: &str| FunctionError::value("22023", message.to_owned());
    let mut out = String::with_capacity(template.len());
    let mut next = 0;
    let mut rest = template;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let number = |text: &mut &str| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let number = text[..digits].parse::<usize>().ok();
            *text = &text[digits..];
            number
        };
        let before = rest;
        let mut place = number(&mut rest);
        match rest.strip_prefix('$') {
            Some(after) => rest = after,
            None => {
                rest = before;
                place = None;
            }
        }
        let left = rest.starts_with('-');
        rest = rest.trim_start_matches('-');
        let width = checked_width(number(&mut rest).unwrap_or(0))?;
        let kind = rest.chars().next();
        let kind = kind.ok_or_else(|| wrong("unterminated format() type specifier"))?;
        rest = &rest[kind.len_utf8()..];
        if !matches!(kind, 's' | 'I' | 'L') {
            let message = format!("unrecognized format() type specifier \"{kind}\"");
            return Err(FunctionError::value("22023", message));
        }
        let index = match place {
            Some(0) => {
                return Err(wrong(
                    "format specifies argument 0, but arguments are numbered from 1",
                ));
            }
            Some(place) => place - 1,
            None => next,
        };
        next = index + 1;
        let text = match (value(index)?, kind) {
            (None, 'I') => {
                let message = "null values cannot be formatted as an SQL identifier".to_owned();
                return Err(FunctionError::value("22004", message));
            }
            (None, 'L') => "NULL".to_owned(),
            (None, _) => String::new(),
            (Some(text), 'I') => identifier(text),
            (Some(text), 'L') => literal(text),
            (Some(text), _) => text.to_owned(),
        };
        let _ = match left {
            true => write!(out, "{text:<width$}"),
            false => write!(out, "{text:>width$}"),
        };
    }
    out.push_str(rest);
    Ok(out)
}

fn checked_width(width: usize) -> Result<usize, FunctionError> {
    match width > WIDTH_MAX {
        true => {
            let message = "requested length too large".to_owned();
            Err(FunctionError::value("54000", message))
        }
        false => Ok(width),
    }
}

fn similar(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let patterns = columns[0].as_string::<i32>();
    let written = rows(columns, |row| {
        let escape = match columns.get(1) {
            Some(escapes) => {
                let mut chars = escapes.as_string::<i32>().value(row).chars();
                let escape = chars.next();
                if chars.next().is_some() {
                    let error = FunctionError::value("22019", "invalid escape string".to_owned());
                    return Err(error
                        .detail("Escape string must be empty or one character.".to_owned())
                        .into());
                }
                escape
            }
            None => Some('\\'),
        };
        Ok(expression(patterns.value(row), escape))
    })?;
    Ok(Arc::new(StringArray::from(written)))
}

/// The regular expression of a pattern: `%` is anything, `_` one character, and what has no meaning
/// in SQL stands for itself.
fn expression(pattern: &str, escape: Option<char>) -> String {
    let mut out = String::from("^(?s:");
    let mut escaped = false;
    let mut within = false;
    for c in pattern.chars() {
        if std::mem::take(&mut escaped) {
            if !c.is_alphanumeric() {
                out.push('\\');
            }
            out.push(c);
            continue;
        }
        match c {
            c if Some(c) == escape => escaped = true,
            ']' if within => {
                within = false;
                out.push(c);
            }
            '\\' => out.push_str("\\\\"),
            c if within => out.push(c),
            '[' => {
                within = true;
                out.push(c);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    out
}

fn length(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let lengths = rows(columns, |row| {
        let length = match columns[0].data_type() {
            DataType::Binary => columns[0].as_binary::<i32>().value(row).len(),
            _ => columns[0].as_string::<i32>().value(row).chars().count(),
        };
        Ok(i32::try_from(length).unwrap_or(i32::MAX))
    })?;
    Ok(Arc::new(Int32Array::from(lengths)))
}
