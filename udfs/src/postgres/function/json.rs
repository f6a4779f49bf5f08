//! JSON: what it is, what it has, and values as JSON. A JSON value is a text here; what is JSON
//! already is put into a document as it is where the planner sees it (`raw_json`).

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, StringArray, StructArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;

use super::{Entry, Types, entry, is_text, rows};
use crate::error::FunctionError;
use crate::postgres::cast::elements;
use crate::postgres::cast_array;
use crate::postgres::json::build::{self, Form, RAW};
use crate::postgres::json::scan;

const TYPEOF: [&str; 3] = [
    "json_typeof(json) -> text",
    "What a JSON value is: object, array, string, number, boolean or null. Also jsonb_typeof.",
    "SELECT json_typeof('[1, 2]') FROM trades",
];
const LENGTH: [&str; 3] = [
    "json_array_length(json) -> bigint",
    "How many elements a JSON array has. Also jsonb_array_length.",
    "SELECT json_array_length('[1, 2]') FROM trades",
];
const OBJECT: [&str; 3] = [
    "json_build_object(name, value, …) -> json",
    "An object of names and values; jsonb_build_object orders them and keeps each name once.",
    "SELECT json_build_object('symbol', symbol, 'price', price) FROM trades",
];
const ARRAY: [&str; 3] = [
    "json_build_array(value, …) -> json",
    "An array of values. Also jsonb_build_array.",
    "SELECT json_build_array(symbol, price) FROM trades",
];
const VALUE: [&str; 3] = [
    "to_json(value) -> json",
    "A value as JSON. Also to_jsonb.",
    "SELECT to_json(symbol) FROM trades",
];

pub(super) const ALL: [Entry; 15] = [
    entry("json_typeof", TYPEOF, json_types, type_of),
    entry("jsonb_typeof", TYPEOF, json_types, type_of),
    entry("json_array_length", LENGTH, length_types, length),
    entry("jsonb_array_length", LENGTH, length_types, length),
    entry("json_build_object", OBJECT, build_types, |columns, _| {
        object(columns, Form::Dense)
    }),
    entry("jsonb_build_object", OBJECT, build_types, |columns, _| {
        object(columns, Form::Binary)
    }),
    entry("json_build_array", ARRAY, build_types, |columns, _| {
        array(columns, Form::Dense)
    }),
    entry("jsonb_build_array", ARRAY, build_types, |columns, _| {
        array(columns, Form::Binary)
    }),
    entry("to_json", VALUE, value_types, |columns, _| {
        value(columns, Form::Dense)
    }),
    entry("to_jsonb", VALUE, value_types, |columns, _| {
        value(columns, Form::Binary)
    }),
    entry(
        "json_of_rows",
        [
            "json_of_rows(values list) -> json",
            "A list as a JSON array: what json_agg(value) is planned as, over array_agg.",
            "SELECT json_of_rows(array_agg(symbol)) FROM trades",
        ],
        value_types,
        of_rows,
    ),
    entry(
        "jsonb_concat",
        [
            "jsonb_concat(json, json) -> json",
            "The members of two objects, those of the second before those of the first; otherwise \
             the elements of two arrays, where a value alone is an array of one: json || json is \
             planned as it.",
            "SELECT jsonb_concat('{\"a\": 1}', '{\"b\": 2}') FROM trades",
        ],
        |types| match types {
            [l, r] if is_text(l) && is_text(r) => Some((vec![DataType::Utf8; 2], DataType::Utf8)),
            _ => None,
        },
        concat,
    ),
    entry(
        "jsonb_contains",
        [
            "jsonb_contains(json, json) -> boolean",
            "Whether the first JSON has all that the second has: json @> json is planned as it.",
            "SELECT jsonb_contains('{\"a\": 1, \"b\": 2}', '{\"a\": 1}') FROM trades",
        ],
        |types| match types {
            [l, r] if is_text(l) && is_text(r) => {
                Some((vec![DataType::Utf8; 2], DataType::Boolean))
            }
            _ => None,
        },
        contains,
    ),
    entry(
        "jsonb_exists",
        [
            "jsonb_exists(json, name) -> boolean",
            "Whether an object has a member, or an array a string: json ? name is planned as it.",
            "SELECT jsonb_exists('{\"a\": 1}', 'a') FROM trades",
        ],
        |types| match types {
            [l, r] if is_text(l) && is_text(r) => {
                Some((vec![DataType::Utf8; 2], DataType::Boolean))
            }
            _ => None,
        },
        exists,
    ),
    entry(
        "raw_json",
        [
            "raw_json(json) -> struct",
            "Says that a text is JSON, for the functions that put it into a document. Calls and \
             casts that give JSON say so by themselves.",
            "SELECT json_build_array(raw_json('{\"a\": 1}'), 2) FROM trades",
        ],
        |types| match types {
            [found] if is_text(found) => Some((vec![DataType::Utf8], raw())),
            _ => None,
        },
        |columns, _| {
            let DataType::Struct(fields) = raw() else {
                return datafusion::common::internal_err!("JSON is no structure");
            };
            let nulls = columns[0].nulls().cloned();
            let texts = vec![Arc::clone(&columns[0])];
            Ok(Arc::new(StructArray::try_new(fields, texts, nulls)?))
        },
    ),
];

fn raw() -> DataType {
    let field = Field::new(RAW, DataType::Utf8, true);
    DataType::Struct(Fields::from(vec![field]))
}

fn json_types(types: &[DataType]) -> Option<Types> {
    match types {
        [found] if is_text(found) => Some((vec![DataType::Utf8], DataType::Utf8)),
        _ => None,
    }
}

fn length_types(types: &[DataType]) -> Option<Types> {
    json_types(types).map(|(types, _)| (types, DataType::Int64))
}

fn build_types(types: &[DataType]) -> Option<Types> {
    (!types.is_empty()).then(|| (types.to_vec(), DataType::Utf8))
}

fn value_types(types: &[DataType]) -> Option<Types> {
    (types.len() == 1).then(|| (types.to_vec(), DataType::Utf8))
}

fn checked(text: &str) -> Result<&str, FunctionError> {
    match scan::whole(text) {
        true => Ok(text.trim()),
        false => Err(FunctionError::value(
            "22P02",
            "invalid input syntax for type json".to_owned(),
        )),
    }
}

fn type_of(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let texts = columns[0].as_string::<i32>();
    let kinds = rows(columns, |row| {
        Ok(match checked(texts.value(row))?.as_bytes().first() {
            Some(b'{') => "object",
            Some(b'[') => "array",
            Some(b'"') => "string",
            Some(b't' | b'f') => "boolean",
            Some(b'n') => "null",
            _ => "number",
        })
    })?;
    Ok(Arc::new(StringArray::from(kinds)))
}

fn length(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let texts = columns[0].as_string::<i32>();
    let lengths = rows(columns, |row| {
        let text = checked(texts.value(row))?;
        if let Some(elements) = scan::all_elements(text) {
            return Ok(i64::try_from(elements.len()).unwrap_or(i64::MAX));
        }
        let what = match text.starts_with('{') {
            true => "cannot get array length of a non-array",
            false => "cannot get array length of a scalar",
        };
        Err(FunctionError::value("22023", what.to_owned()).into())
    })?;
    Ok(Arc::new(Int64Array::from(lengths)))
}

/// Every row, nulls too: they are values of a document.
fn documents(
    columns: &[ArrayRef],
    each: impl Fn(usize, &mut String) -> Result<()>,
) -> Result<ArrayRef> {
    let count = columns.first().map_or(1, |column| column.len());
    let texts = (0..count).map(|row| {
        let mut text = String::new();
        each(row, &mut text).map(|()| text)
    });
    let texts = texts.collect::<Result<Vec<String>>>()?;
    Ok(Arc::new(StringArray::from(texts)))
}

fn object(columns: &[ArrayRef], form: Form) -> Result<ArrayRef> {
    if !columns.len().is_multiple_of(2) {
        let message = "argument list must have even number of elements".to_owned();
        return Err(FunctionError::value("22023", message).into());
    }
    let names = columns.iter().step_by(2);
    let names = names.map(|column| cast_array(column, &DataType::Utf8));
    let names = names.collect::<Result<Vec<_>>>()?;
    documents(columns, |row, out| {
        let mut members = Vec::with_capacity(names.len());
        for (place, name) in names.iter().enumerate() {
            if name.is_null(row) {
                let message = format!("argument {}: key must not be null", place * 2 + 1);
                return Err(FunctionError::value("22004", message).into());
            }
            let mut value = String::new();
            build::put(&columns[place * 2 + 1], row, form, &mut value)?;
            members.push((build::quoted(name.as_string::<i32>().value(row)), value));
        }
        let colon = if form == Form::Binary { ": " } else { " : " };
        build::object(members, form, colon, ", ", out);
        Ok(())
    })
}

fn array(columns: &[ArrayRef], form: Form) -> Result<ArrayRef> {
    documents(columns, |row, out| {
        out.push('[');
        for (place, column) in columns.iter().enumerate() {
            if place > 0 {
                out.push_str(", ");
            }
            build::put(column, row, form, out)?;
        }
        out.push(']');
        Ok(())
    })
}

fn value(columns: &[ArrayRef], form: Form) -> Result<ArrayRef> {
    let texts = rows(columns, |row| {
        let mut text = String::new();
        build::put(&columns[0], row, form, &mut text)?;
        Ok(text)
    })?;
    Ok(Arc::new(StringArray::from(texts)))
}

fn of_rows(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let texts = rows(columns, |row| {
        let mut text = String::from("[");
        let items = match columns[0].data_type() {
            DataType::List(_) => columns[0].as_list::<i32>().value(row),
            _ => columns[0].slice(row, 1),
        };
        for item in 0..items.len() {
            if item > 0 {
                text.push_str(", ");
            }
            build::put(&items, item, Form::Dense, &mut text)?;
        }
        text.push(']');
        Ok(text)
    })?;
    Ok(Arc::new(StringArray::from(texts)))
}

fn concat(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let both = rows(columns, |row| {
        let sides = [checked(left.value(row))?, checked(right.value(row))?];
        let mut text = String::new();
        match sides.map(scan::members) {
            [Some(mut members), Some(others)] => {
                members.extend(others);
                let members = members.into_iter().map(|(name, value)| {
                    let mut text = String::new();
                    build::canonical(value, &mut text);
                    (name.to_owned(), text)
                });
                build::object(members.collect(), Form::Binary, ": ", ", ", &mut text);
            }
            _ => {
                let elements = sides.map(|side| scan::all_elements(side).unwrap_or(vec![side]));
                let all = elements.concat().join(", ");
                build::canonical(&format!("[{all}]"), &mut text);
            }
        }
        Ok(text)
    })?;
    Ok(Arc::new(StringArray::from(both)))
}

fn contains(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (left, right) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let found = rows(columns, |row| {
        // As texts that are lists: `'{1,2}' @> '{1}'` asks for elements.
        let (whole, part) = (left.value(row), right.value(row));
        if !scan::whole(whole)
            && let (Ok(whole), Ok(part)) = (elements(whole), elements(part))
        {
            return Ok(part.iter().all(|element| whole.contains(element)));
        }
        let (whole, part) = (checked(whole)?, checked(part)?);
        // An array has a value that stands alone.
        let alone = !part.starts_with(['{', '[']);
        Ok(match scan::all_elements(whole).filter(|_| alone) {
            Some(elements) => elements
                .iter()
                .any(|element| build::contains(element, part)),
            None => build::contains(whole, part),
        })
    })?;
    Ok(Arc::new(BooleanArray::from(found)))
}

fn exists(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (jsons, names) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let found = rows(columns, |row| {
        let (json, name) = (checked(jsons.value(row))?, names.value(row));
        let is_name = |part: &str| scan::unquoted(part).is_some_and(|text| text == name);
        Ok(match (scan::members(json), scan::all_elements(json)) {
            (Some(members), _) => members.iter().any(|(key, _)| is_name(key)),
            (None, Some(elements)) => elements.into_iter().any(is_name),
            (None, None) => is_name(json),
        })
    })?;
    Ok(Arc::new(BooleanArray::from(found)))
}
