//! Texts made longer: repeated, and filled up to a length. What a batch of them may take is
//! limited, as texts are in PostgreSQL.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::common::Result;

use super::{Entry, Types, entry, is_text, rows};
use crate::error::FunctionError;

/// Bytes of all results for one batch of rows.
const BYTES_MAX: usize = 256 << 20;

pub(super) const ALL: [Entry; 3] = [
    entry(
        "repeat",
        [
            "repeat(value text, count bigint) -> text",
            "A text so many times.",
            "SELECT repeat(symbol, 2) FROM trades",
        ],
        |types| filled_types(types).filter(|(types, _)| types.len() == 2),
        |columns, _| {
            filled(columns, |value, count, _, out| {
                for _ in 0..count {
                    out.push_str(value);
                    if out.len() > BYTES_MAX {
                        break;
                    }
                }
            })
        },
    ),
    entry(
        "lpad",
        [
            "lpad(value text, length bigint [, fill text]) -> text",
            "A text of so many characters: filled up on the left, by default with blanks, or cut.",
            "SELECT lpad(symbol, 8, '.') FROM trades",
        ],
        filled_types,
        |columns, _| {
            filled(columns, |value, length, fill, out| {
                fill_up(value, length, fill, out);
                out.extend(value.chars().take(length));
            })
        },
    ),
    entry(
        "rpad",
        [
            "rpad(value text, length bigint [, fill text]) -> text",
            "A text of so many characters: filled up on the right, by default with blanks, or cut.",
            "SELECT rpad(symbol, 8, '.') FROM trades",
        ],
        filled_types,
        |columns, _| {
            filled(columns, |value, length, fill, out| {
                out.extend(value.chars().take(length));
                fill_up(value, length, fill, out);
            })
        },
    ),
];

fn filled_types(types: &[DataType]) -> Option<Types> {
    let all = [DataType::Utf8, DataType::Int64, DataType::Utf8];
    let fits = match types {
        [value, count] => is_text(value) && (count.is_integer() || *count == DataType::Null),
        [value, count, fill] => {
            is_text(value) && (count.is_integer() || *count == DataType::Null) && is_text(fill)
        }
        _ => false,
    };
    fits.then(|| (all[..types.len()].to_vec(), DataType::Utf8))
}

/// The characters that `value` lacks.
fn fill_up(value: &str, length: usize, fill: &str, out: &mut String) {
    let missing = length.saturating_sub(value.chars().count());
    for char in fill.chars().cycle().take(missing) {
        out.push(char);
        if out.len() > BYTES_MAX {
            break;
        }
    }
}

fn filled(columns: &[ArrayRef], of: fn(&str, usize, &str, &mut String)) -> Result<ArrayRef> {
    let values = columns[0].as_string::<i32>();
    let counts = columns[1].as_primitive::<Int64Type>();
    let fills = columns.get(2).map(|fills| fills.as_string::<i32>());
    let mut bytes = 0_usize;
    let texts = rows(columns, |row| {
        let mut text = String::new();
        let count = usize::try_from(counts.value(row)).unwrap_or(0);
        let fill = fills.map_or(" ", |fills| fills.value(row));
        of(values.value(row), count, fill, &mut text);
        bytes += text.len();
        match bytes > BYTES_MAX {
            true => {
                let message = "requested length too large".to_owned();
                Err(FunctionError::value("54000", message).into())
            }
            false => Ok(text),
        }
    })?;
    Ok(Arc::new(texts.into_iter().collect::<StringArray>()))
}
