//! Arrays as PostgreSQL writes them: `{1,2,NULL}`, `{"a b","q\\"x"}`, `{{1,2},{3,4}}`.

use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, ListArray, StringArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::Result;

use super::{Target, convert};
use crate::error::FunctionError;

/// The texts as lists whose elements are those of `item`.
///
/// # Errors
/// A text that is no array, or an element that is no value of the element's type.
pub(super) fn lists(texts: &StringArray, item: &FieldRef) -> Result<ArrayRef> {
    let mut all: Vec<Option<String>> = Vec::new();
    let mut lengths = Vec::with_capacity(texts.len());
    let mut valid = Vec::with_capacity(texts.len());
    for text in texts {
        let elements = text.map(elements).transpose()?;
        if !matches!(item.data_type(), DataType::List(_)) && text.is_some_and(is_nested) {
            let message = "arrays of arrays are not read from texts".to_owned();
            let detail = "Write ARRAY[ARRAY[…], …] instead.".to_owned();
            return Err(FunctionError::value("0A000", message).detail(detail).into());
        }
        valid.push(elements.is_some());
        let elements = elements.unwrap_or_default();
        lengths.push(elements.len());
        all.extend(elements);
    }
    let all: ArrayRef = Arc::new(StringArray::from(all));
    let values = convert(&all, &Target::Type(item.data_type().clone()))?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = Some(NullBuffer::from(valid));
    let lists = ListArray::try_new(Arc::clone(item), offsets, values, nulls)?;
    Ok(Arc::new(lists))
}

/// Whether an element of an array is one itself.
fn is_nested(text: &str) -> bool {
    let mut in_quotes = false;
    let mut chars = text.trim().chars().skip(1);
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => in_quotes = !in_quotes,
            '{' if !in_quotes => return true,
            _ => {}
        }
    }
    false
}

/// The elements of an array as texts; those that are arrays themselves with their braces.
///
/// # Errors
/// A text that is no array.
pub(crate) fn elements(text: &str) -> Result<Vec<Option<String>>, FunctionError> {
    let wrong = || {
        let message = format!("malformed array literal: \"{text}\"");
        FunctionError::value("22P02", message)
    };
    let Some(inner) = text.trim().strip_prefix('{') else {
        let detail = "Array value must start with \"{\" or dimension information.";
        return Err(wrong().detail(detail.to_owned()));
    };
    let mut chars = inner.chars().peekable();
    let read = read(&mut chars).filter(|_| chars.next().is_none());
    read.ok_or_else(wrong)
}

fn read(chars: &mut Peekable<Chars<'_>>) -> Option<Vec<Option<String>>> {
    let mut elements = Vec::new();
    skip_spaces(chars);
    if chars.next_if_eq(&'}').is_some() {
        return Some(elements);
    }
    loop {
        skip_spaces(chars);
        elements.push(match chars.peek()? {
            '"' => Some(quoted(chars)?),
            '{' => Some(nested(chars)?),
            _ => Some(bare(chars)?).filter(|word| !word.eq_ignore_ascii_case("null")),
        });
        skip_spaces(chars);
        match chars.next()? {
            ',' => {}
            '}' => return Some(elements),
            _ => return None,
        }
    }
}

fn skip_spaces(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(char::is_ascii_whitespace).is_some() {}
}

fn quoted(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    chars.next();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => text.push(chars.next()?),
            c => text.push(c),
        }
    }
}

fn bare(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    loop {
        match chars.peek()? {
            ',' | '}' => break,
            '{' | '"' => return None,
            _ => match chars.next()? {
                '\\' => text.push(chars.next()?),
                c => text.push(c),
            },
        }
    }
    let trimmed = text.trim_end();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

fn nested(chars: &mut Peekable<Chars<'_>>) -> Option<String> {
    let mut text = String::new();
    let (mut depth, mut in_quotes) = (0_usize, false);
    loop {
        let c = chars.next()?;
        text.push(c);
        match c {
            '\\' => text.push(chars.next()?),
            '"' => in_quotes = !in_quotes,
            '{' if !in_quotes => depth += 1,
            '}' if !in_quotes => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(text);
        }
    }
}
