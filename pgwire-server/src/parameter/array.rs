//! Parameters that are arrays of one dimension.

use arrow::datatypes::DataType;
use bytes::Buf;
use rtsap_engine::session::ScalarValue;

use crate::error::Failure;
use crate::oid;

/// Reads the binary form of an array.
///
/// # Errors
/// `22P03` for bytes that are no array, `0A000` for more than one dimension.
pub(super) fn from_binary(element: u32, mut bytes: &[u8]) -> Result<ScalarValue, Failure> {
    let bad = |_| super::bad_binary();
    let dimensions = bytes.try_get_i32().map_err(bad)?;
    let _has_nulls = bytes.try_get_i32().map_err(bad)?;
    let sent = bytes.try_get_u32().map_err(bad)?;
    let element = if sent == 0 { element } else { sent };
    let mut values = Vec::new();
    match dimensions {
        0 => {}
        1 => {
            let count = bytes.try_get_i32().map_err(bad)?;
            let _lower_bound = bytes.try_get_i32().map_err(bad)?;
            for _ in 0..count {
                let length = bytes.try_get_i32().map_err(bad)?;
                values.push(next(element, length, &mut bytes)?);
            }
        }
        _ => return Err(nested()),
    }
    if bytes.is_empty() {
        list(element, &values)
    } else {
        Err(super::bad_binary())
    }
}

fn next(element: u32, length: i32, bytes: &mut &[u8]) -> Result<Option<ScalarValue>, Failure> {
    if length == -1 {
        return Ok(None);
    }
    let length = usize::try_from(length).map_err(|_| super::bad_binary())?;
    let (value, rest) = bytes
        .split_at_checked(length)
        .ok_or_else(super::bad_binary)?;
    *bytes = rest;
    super::binary(element, value).map(Some)
}

/// Reads the text of an array: `{1,"two",NULL}`.
///
/// # Errors
/// `22P02` for text that is no array, `0A000` for more than one dimension.
pub(super) fn from_text(element: u32, text: &str) -> Result<ScalarValue, Failure> {
    let malformed = || Failure::new("22P02", format!("malformed array literal: \"{text}\""));
    let inner = text
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.ok_or_else(malformed)?;
    let values = elements(inner).ok_or_else(malformed)?;
    let read = |(value, quoted): (String, bool)| match (quoted, value.trim()) {
        (false, "") => Err(malformed()),
        (false, bare) if bare.starts_with('{') => Err(nested()),
        (false, bare) if bare.eq_ignore_ascii_case("null") => Ok(None),
        (false, bare) => super::text(element, bare).map(Some),
        (true, _) => super::text(element, &value).map(Some),
    };
    let values: Vec<_> = values
        .into_iter()
        .map(read)
        .collect::<Result<_, Failure>>()?;
    list(element, &values)
}

/// The elements as written, each with whether it was quoted; `None` for a quote without its end.
fn elements(inner: &str) -> Option<Vec<(String, bool)>> {
    let mut values = Vec::new();
    let (mut value, mut quoted, mut inside) = (String::new(), false, false);
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => (quoted, inside) = (true, !inside),
            '\\' => value.push(characters.next()?),
            ',' if !inside => {
                values.push((std::mem::take(&mut value), std::mem::take(&mut quoted)))
            }
            other => value.push(other),
        }
    }
    if inside {
        return None;
    }
    if !inner.trim().is_empty() {
        values.push((value, quoted));
    }
    Some(values)
}

fn nested() -> Failure {
    Failure::new(
        "0A000",
        "arrays of more than one dimension cannot be parameters",
    )
}

fn list(element: u32, values: &[Option<ScalarValue>]) -> Result<ScalarValue, Failure> {
    // What is read as text is cast by the engine: its elements stay text until then.
    let given = values.iter().flatten().next().map(ScalarValue::data_type);
    let wanted = given
        .or_else(|| oid::value_type(element))
        .unwrap_or(DataType::Utf8);
    let null = ScalarValue::try_new_null(&wanted)
        .map_err(|error| Failure::new("0A000", error.to_string()))?;
    let values: Vec<ScalarValue> = values
        .iter()
        .map(|value| value.clone().unwrap_or_else(|| null.clone()))
        .collect();
    Ok(ScalarValue::List(ScalarValue::new_list(
        &values, &wanted, true,
    )))
}
