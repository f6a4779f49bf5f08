//! Parts of a text between delimiters, and texts put together with delimiters of their own.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListBuilder, StringArray, StringBuilder};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;

use super::{Entry, is_text, rows};

pub(super) const ALL: [Entry; 3] = [
    Entry {
        name: "split_index",
        signature: "split_index(value text, delimiter text, place bigint) -> text",
        description: "The part of a text at a place, counted from 0, as Flink has it: null where \
                      there is none.",
        example: "SELECT split_index(symbol, '-', 0) FROM trades",
        parameters: &[],
        types: |types| match types {
            [value, delimiter, place]
                if is_text(value)
                    && is_text(delimiter)
                    && (place.is_integer() || *place == DataType::Null) =>
            {
                let types = vec![DataType::Utf8, DataType::Utf8, DataType::Int64];
                Some((types, DataType::Utf8))
            }
            _ => None,
        },
        compute: part,
    },
    Entry {
        name: "string_to_array",
        signature: "string_to_array(value text, delimiter text [, null text]) -> text[]",
        description: "The parts of a text between delimiters; with a null delimiter its \
                      characters, with an empty one the whole text. A part that is the third text \
                      becomes null.",
        example: "SELECT string_to_array(symbol, '-') FROM trades",
        parameters: &[],
        types: |types| {
            let fits = matches!(types.len(), 2 | 3) && types.iter().all(is_text);
            let list = DataType::new_list(DataType::Utf8, true);
            fits.then(|| (vec![DataType::Utf8; types.len()], list))
        },
        compute: parts,
    },
    Entry {
        name: "joined_text",
        signature: "joined_text(list of rows) -> text",
        description: "The first values of rows as one text, with the second value of each row \
                      but the first before its value: what string_agg is planned as where its \
                      delimiter is no constant.",
        example: "SELECT joined_text(array_agg(named_struct('value', symbol, 'delimiter', ', '))) \
                  FROM trades",
        parameters: &[],
        types: |types| match types {
            [DataType::List(item)] => match item.data_type() {
                DataType::Struct(fields)
                    if fields.len() == 2
                        && fields.iter().all(|field| is_plain_text(field.data_type())) =>
                {
                    Some((types.to_vec(), DataType::Utf8))
                }
                _ => None,
            },
            _ => None,
        },
        compute: joined,
    },
];

fn is_plain_text(found: &DataType) -> bool {
    is_text(found) || matches!(found, DataType::LargeUtf8 | DataType::Utf8View)
}

fn part(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (values, delimiters) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let places = columns[2].as_primitive::<Int64Type>();
    let found = rows(columns, |row| {
        let place = usize::try_from(places.value(row)).ok();
        let delimiter = delimiters.value(row);
        let value = values.value(row);
        Ok(match delimiter {
            "" => place.filter(|place| *place == 0).map(|_| value),
            _ => place.and_then(|place| value.split(delimiter).nth(place)),
        })
    })?;
    let found: StringArray = found.into_iter().map(Option::flatten).collect();
    Ok(Arc::new(found))
}

fn parts(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let (values, delimiters) = (columns[0].as_string::<i32>(), columns[1].as_string::<i32>());
    let nulls = columns.get(2).map(|nulls| nulls.as_string::<i32>());
    let mut builder = ListBuilder::new(StringBuilder::new());
    for row in 0..values.len() {
        if values.is_null(row) {
            builder.append_null();
            continue;
        }
        let value = values.value(row);
        let null = nulls.filter(|nulls| nulls.is_valid(row));
        let null = null.map(|nulls| nulls.value(row));
        let kept = |part: &str| (Some(part) != null).then(|| part.to_owned());
        let parts: Vec<Option<String>> = match (value, delimiters.is_valid(row)) {
            ("", _) => Vec::new(),
            (_, false) => value.chars().map(|c| kept(&c.to_string())).collect(),
            (_, true) => match delimiters.value(row) {
                "" => vec![kept(value)],
                delimiter => value.split(delimiter).map(kept).collect(),
            },
        };
        builder.append_value(parts);
    }
    Ok(Arc::new(builder.finish()))
}

fn joined(columns: &[ArrayRef], _result: &DataType) -> Result<ArrayRef> {
    let lists = columns[0].as_list::<i32>();
    let texts = rows(columns, |row| {
        let items = lists.value(row);
        let column = |place: usize| {
            let column = items.as_struct().column(place);
            datafusion::arrow::compute::cast(column, &DataType::Utf8)
        };
        let (values, delimiters) = (column(0)?, column(1)?);
        let (values, delimiters) = (values.as_string::<i32>(), delimiters.as_string::<i32>());
        let mut text = String::new();
        let mut first = true;
        for item in (0..values.len()).filter(|item| values.is_valid(*item)) {
            if !first && delimiters.is_valid(item) {
                text.push_str(delimiters.value(item));
            }
            text.push_str(values.value(item));
            first = false;
        }
        Ok((!first).then_some(text))
    })?;
    let texts: StringArray = texts.into_iter().map(Option::flatten).collect();
    Ok(Arc::new(texts))
}
