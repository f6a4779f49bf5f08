//! Texts that must have a form: UUIDs and JSON.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::Result;

use crate::error::FunctionError;
use crate::postgres::{invalid_text, json};

/// Hexadecimal digits of a UUID.
const UUID_DIGITS: usize = 32;

/// UUIDs in PostgreSQL's spelling: lowercase, with hyphens.
///
/// # Errors
/// A text that is no UUID.
pub(super) fn uuids(array: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(array, &DataType::Utf8)?;
    let uuids = texts
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(uuid).transpose());
    Ok(Arc::new(uuids.collect::<Result<StringArray, _>>()?))
}

fn uuid(text: &str) -> Result<String, FunctionError> {
    let wrong = || invalid_text("uuid", text);
    let bare = text
        .strip_prefix('{')
        .and_then(|inner| inner.strip_suffix('}'));
    let mut digits = String::with_capacity(UUID_DIGITS);
    let mut after_hyphen = false;
    for c in bare.unwrap_or(text).chars() {
        // A hyphen may stand after every fourth digit.
        if c == '-' && !after_hyphen && !digits.is_empty() && digits.len().is_multiple_of(4) {
            after_hyphen = true;
            continue;
        }
        if !c.is_ascii_hexdigit() || digits.len() == UUID_DIGITS {
            return Err(wrong());
        }
        after_hyphen = false;
        digits.push(c.to_ascii_lowercase());
    }
    if digits.len() != UUID_DIGITS || after_hyphen {
        return Err(wrong());
    }
    let [a, b, c, d, e] = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]);
    Ok(format!("{a}-{b}-{c}-{d}-{e}"))
}

/// JSON as it was written.
///
/// # Errors
/// A text that is no JSON.
pub(super) fn jsons(array: &ArrayRef) -> Result<ArrayRef> {
    let texts = cast(array, &DataType::Utf8)?;
    for text in texts.as_string::<i32>().iter().flatten() {
        check_json(text)?;
    }
    Ok(texts)
}

fn check_json(text: &str) -> Result<(), FunctionError> {
    match json::scan::whole(text) {
        true => Ok(()),
        false => Err(FunctionError::value(
            "22P02",
            "invalid input syntax for type json".to_owned(),
        )),
    }
}
