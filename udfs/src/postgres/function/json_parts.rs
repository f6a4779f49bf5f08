//! Parts of a JSON value as lists, which become rows in FROM, and objects of rows.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use super::{Entry, Types, entry, is_text, rows};
use crate::error::FunctionError;
use crate::postgres::cast_array;
use crate::postgres::json::build::{self, Form};
use crate::postgres::json::scan;

const ELEMENTS: [&str; 3] = [
    "json_elements(json) -> json[]",
    "The elements of a JSON array: what json_array_elements in FROM and in the list of a SELECT \
     is planned as. With jsonb_ and with _text as the functions of PostgreSQL.",
    "SELECT json_elements('[1, {\"a\": 2}]') FROM trades",
];
const KEYS: [&str; 3] = [
    "json_keys(json) -> text[]",
    "The names of an object's members: what json_object_keys and json_each in FROM are planned as. \
     jsonb_keys orders them and has each once.",
    "SELECT json_keys('{\"a\": 2}') FROM trades",
];
const VALUES: [&str; 3] = [
    "json_values(json) -> json[]",
    "The values of an object's members, in the order of json_keys. With jsonb_ and with _text as \
     the functions of PostgreSQL.",
    "SELECT json_values('{\"a\": 2}') FROM trades",
];
const OBJECT: [&str; 3] = [
    "json_object_of_rows(list of rows) -> json",
    "An object of rows of a name and a value: what json_object_agg is planned as, over array_agg. \
     jsonb_object_of_rows orders the names and keeps each once.",
    "SELECT json_object_of_rows(array_agg(named_struct('name', symbol, 'value', price))) \
     FROM trades",
];

/// The form of `json`: as it was written.
const PLAIN: bool = false;
/// The form of `jsonb`: names in order, each once.
const BINARY: bool = true;
/// Parts that are JSON.
const JSON: bool = false;
/// Parts as texts.
const TEXT: bool = true;

pub(super) const ALL: [Entry; 12] = [
    entry(
        "json_elements",
        ELEMENTS,
        list_types,
        elements::<PLAIN, JSON>,
    ),
    entry(
        "jsonb_elements",
        ELEMENTS,
        list_types,
        elements::<BINARY, JSON>,
    ),
    entry(
        "json_elements_text",
        ELEMENTS,
        list_types,
        elements::<PLAIN, TEXT>,
    ),
    entry(
        "jsonb_elements_text",
        ELEMENTS,
        list_types,
        elements::<BINARY, TEXT>,
    ),
    entry("json_keys", KEYS, list_types, keys::<PLAIN>),
    entry("jsonb_keys", KEYS, list_types, keys::<BINARY>),
    entry("json_values", VALUES, list_types, values::<PLAIN, JSON>),
    entry("jsonb_values", VALUES, list_types, values::<BINARY, JSON>),
    entry(
        "json_values_text",
        VALUES,
        list_types,
        values::<PLAIN, TEXT>,
    ),
    entry(
        "jsonb_values_text",
        VALUES,
        list_types,
        values::<BINARY, TEXT>,
    ),
    entry("json_object_of_rows", OBJECT, row_types, object::<PLAIN>),
    entry("jsonb_object_of_rows", OBJECT, row_types, object::<BINARY>),
];

fn elements<const IN: bool, const AS: bool>(
    columns: &[ArrayRef],
    _result: &DataType,
) -> Result<ArrayRef> {
    lists(columns, |json| all_elements(json, shown(form(IN), AS)))
}

fn keys<const IN: bool>(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    lists(columns, |json| {
        members(json, form(IN), |name, _| Some(name))
    })
}

fn values<const IN: bool, const AS: bool>(
    columns: &[ArrayRef],
    _result: &DataType,
) -> Result<ArrayRef> {
    let of = shown(form(IN), AS);
    lists(columns, |json| {
        members(json, form(IN), |_, value| of(value))
    })
}

fn object<const IN: bool>(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    objects(columns, form(IN))
}

const fn form(is_binary: bool) -> Form {
    match is_binary {
        true => Form::Binary,
        false => Form::Dense,
    }
}

/// How a part is shown.
fn shown(form: Form, as_text: bool) -> fn(&str) -> Option<String> {
    match (form, as_text) {
        (Form::Dense, false) => written,
        (Form::Dense, true) => text,
        (Form::Binary, false) => canonical,
        (Form::Binary, true) => canonical_text,
    }
}

fn list_types(types: &[DataType]) -> Option<Types> {
    match types {
        [found] if is_text(found) => {
            let list = DataType::new_list(DataType::Utf8, true);
            Some((vec![DataType::Utf8], list))
        }
        _ => None,
    }
}

fn row_types(types: &[DataType]) -> Option<Types> {
    match types {
        [DataType::List(item)] => match item.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Some((types.to_vec(), DataType::Utf8)),
            _ => None,
        },
        _ => None,
    }
}

/// A part as it was written.
fn written(part: &str) -> Option<String> {
    Some(part.to_owned())
}

/// A part as `jsonb` shows it.
fn canonical(part: &str) -> Option<String> {
    let mut out = String::new();
    build::canonical(part.trim(), &mut out);
    Some(out)
}

/// A string without its quotes, a null as null, anything else as it was written.
fn text(part: &str) -> Option<String> {
    match (part, scan::unquoted(part)) {
        ("null", _) => None,
        (_, Some(string)) => Some(string.into_owned()),
        _ => Some(part.to_owned()),
    }
}

fn canonical_text(part: &str) -> Option<String> {
    text(&canonical(part)?)
}

type List = Vec<Option<String>>;

fn all_elements(json: &str, of: fn(&str) -> Option<String>) -> Result<List, FunctionError> {
    if let Some(elements) = scan::all_elements(json) {
        return Ok(elements.into_iter().map(of).collect());
    }
    let what = match json.starts_with('{') {
        true => "cannot extract elements from an object",
        false => "cannot extract elements from a scalar",
    };
    Err(FunctionError::value("22023", what.to_owned()))
}

fn members(
    json: &str,
    form: Form,
    of: impl Fn(String, &str) -> Option<String>,
) -> Result<List, FunctionError> {
    let shown;
    let json = match form {
        Form::Dense => json,
        // In order, each name once.
        Form::Binary => {
            shown = canonical(json).unwrap_or_default();
            shown.as_str()
        }
    };
    if let Some(members) = scan::members(json) {
        let members = members.into_iter().map(|(name, value)| {
            let name = scan::unquoted(name).unwrap_or_default().into_owned();
            of(name, value)
        });
        return Ok(members.collect());
    }
    let what = match json.starts_with('[') {
        true => "cannot deconstruct an array as an object",
        false => "cannot deconstruct a scalar",
    };
    Err(FunctionError::value("22023", what.to_owned()))
}

fn lists(
    columns: &[ArrayRef],
    of: impl Fn(&str) -> Result<List, FunctionError>,
) -> Result<ArrayRef> {
    let texts = columns[0].as_string::<i32>();
    let lists = rows(columns, |row| {
        let json = texts.value(row);
        if !scan::whole(json) {
            let message = "invalid input syntax for type json".to_owned();
            return Err(FunctionError::value("22P02", message).into());
        }
        Ok(of(json.trim())?)
    })?;
    let mut builder = ListBuilder::new(StringBuilder::new());
    for list in lists {
        builder.append_option(list);
    }
    Ok(Arc::new(builder.finish()))
}

fn objects(columns: &[ArrayRef], form: Form) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let texts = rows(columns, |row| {
        let items = lists.value(row);
        let pairs = items.as_struct();
        let names = cast_array(pairs.column(0), &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        let mut members = Vec::with_capacity(names.len());
        for item in 0..names.len() {
            if names.is_null(item) {
                let message = "field name must not be null".to_owned();
                return Err(FunctionError::value("22004", message).into());
            }
            let mut value = String::new();
            build::put(pairs.column(1), item, form, &mut value)?;
            members.push((build::quoted(names.value(item)), value));
        }
        let mut text = String::new();
        let colon = if form == Form::Binary { ": " } else { " : " };
        build::object(members, form, colon, ", ", &mut text);
        Ok(match form {
            Form::Binary => text,
            // PostgreSQL puts blanks inside of the braces of json_object_agg.
            Form::Dense => format!("{{ {} }}", &text[1..text.len() - 1]),
        })
    })?;
    Ok(Arc::new(StringArray::from(texts)))
}
