//! Values as JSON, and JSON in the form that PostgreSQL's `jsonb` has.

use std::collections::BTreeMap;
use std::fmt::Write;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use super::scan;
use crate::postgres::cast_array;

/// The one field of a structure that stands for a text which is JSON already.
pub(crate) const RAW: &str = "json";

/// What stands between the parts of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `json` out of a value: nothing.
    Dense,
    /// `jsonb`: a blank after each comma and colon, names in order, each once.
    Binary,
}

/// Writes the value of a row as JSON.
///
/// # Errors
/// A type without a text.
pub(crate) fn put(array: &ArrayRef, row: usize, form: Form, out: &mut String) -> Result<()> {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        out.push_str("null");
        return Ok(());
    }
    let comma = if form == Form::Binary { ", " } else { "," };
    match array.data_type() {
        DataType::Struct(fields) if fields.len() == 1 && fields[0].name() == RAW => {
            let text = array.as_struct().column(0).as_string::<i32>().value(row);
            match form {
                Form::Binary => canonical(text.trim(), out),
                Form::Dense => out.push_str(text),
            }
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let mut members = Vec::with_capacity(columns.len());
            for (field, column) in fields.iter().zip(columns) {
                let mut value = String::new();
                put(column, row, form, &mut value)?;
                members.push((quoted(field.name()), value));
            }
            let colon = if form == Form::Binary { ": " } else { ":" };
            object(members, form, colon, comma, out);
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            out.push('[');
            for item in 0..items.len() {
                if item > 0 {
                    out.push_str(comma);
                }
                put(&items, item, form, out)?;
            }
            out.push(']');
        }
        DataType::Boolean => {
            let word = if array.as_boolean().value(row) {
                "true"
            } else {
                "false"
            };
            out.push_str(word);
        }
        found => {
            let text = cast_array(&array.slice(row, 1), &DataType::Utf8)?;
            let text = text.as_string::<i32>().value(0);
            let is_number = found.is_numeric() && !text.ends_with(['N', 'y']);
            match found {
                _ if is_number => out.push_str(text),
                DataType::Timestamp(_, zone) => {
                    let mut text = text.replacen(' ', "T", 1);
                    if zone.is_some() {
                        text.push_str(":00");
                    }
                    out.push_str(&quoted(&text));
                }
                _ => out.push_str(&quoted(text)),
            }
        }
    }
    Ok(())
}

/// An object of names in quotes and values.
pub(crate) fn object(
    members: Vec<(String, String)>,
    form: Form,
    colon: &str,
    comma: &str,
    out: &mut String,
) {
    let members = match form {
        Form::Dense => members,
        // Shorter names first; the last value of a name stands.
        Form::Binary => {
            let key = |name: &str| scan::unquoted(name).unwrap_or_default().into_owned();
            let keyed = members.into_iter().map(|(name, value)| {
                let text = key(&name);
                ((text.len(), text), (name, value))
            });
            let sorted: BTreeMap<_, _> = keyed.collect();
            sorted.into_values().collect()
        }
    };
    out.push('{');
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            out.push_str(comma);
        }
        let _ = write!(out, "{name}{colon}{value}");
    }
    out.push('}');
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Writes a JSON text as `jsonb` shows it.
pub(crate) fn canonical(text: &str, out: &mut String) {
    if let Some(members) = scan::members(text) {
        let members = members.into_iter().map(|(name, value)| {
            let mut text = String::new();
            canonical(value, &mut text);
            (quoted(&scan::unquoted(name).unwrap_or_default()), text)
        });
        return object(members.collect(), Form::Binary, ": ", ", ", out);
    }
    if let Some(elements) = scan::all_elements(text) {
        out.push('[');
        for (index, element) in elements.into_iter().enumerate() {
            if index > 0 {
                out.push_str(", ");
            }
            canonical(element, out);
        }
        return out.push(']');
    }
    match scan::unquoted(text) {
        Some(string) => out.push_str(&quoted(&string)),
        None => out.push_str(text),
    }
}

/// Whether `whole` has all that `part` has, as `@>` asks. Both are JSON.
pub(crate) fn contains(whole: &str, part: &str) -> bool {
    match (scan::members(whole), scan::members(part)) {
        (Some(_), Some(wanted)) => {
            return wanted.iter().all(|(name, value)| {
                let name = scan::unquoted(name).unwrap_or_default();
                scan::member(whole, &name).is_some_and(|found| contains(found, value))
            });
        }
        (None, None) => {}
        _ => return false,
    }
    match (scan::all_elements(whole), scan::all_elements(part)) {
        (Some(found), Some(wanted)) => wanted
            .iter()
            .all(|wanted| found.iter().any(|found| is_element(found, wanted))),
        (Some(_), None) | (None, Some(_)) => false,
        (None, None) => equal(whole, part),
    }
}

/// Whether an element of an array has what is wanted of it: a value inside of it does not count.
fn is_element(found: &str, wanted: &str) -> bool {
    let is_list = |text: &str| text.starts_with('[');
    is_list(found) == is_list(wanted) && contains(found, wanted)
}

fn equal(left: &str, right: &str) -> bool {
    match (scan::unquoted(left), scan::unquoted(right)) {
        (Some(left), Some(right)) => left == right,
        (None, None) => {
            left == right
                || matches!((left.parse::<f64>(), right.parse::<f64>()), (Ok(l), Ok(r)) if l == r)
        }
        _ => false,
    }
}
