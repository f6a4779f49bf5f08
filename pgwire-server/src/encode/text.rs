//! Values as text, letter for letter as PostgreSQL's output functions write them.

use std::fmt::Write;

use bytes::BytesMut;

use crate::encode::column::{Column, Values};
use crate::encode::zone::Zone;
use crate::encode::{calendar, number};
use crate::error::Failure;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes the value in `row`, which is not null.
///
/// # Errors
/// None today; nested values may hold such.
pub(crate) fn put(
    column: &Column,
    row: usize,
    zone: &Zone,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    match &column.values {
        Values::Null => {}
        Values::Boolean(values) => {
            out.extend_from_slice(if values.value(row) { b"t" } else { b"f" });
        }
        Values::Int2(values) => display(values.value(row), out),
        Values::Int4(values) => display(values.value(row), out),
        Values::Int8(values) => display(values.value(row), out),
        Values::Float4(values) => number::put_float4(values.value(row), out),
        Values::Float8(values) => number::put_float8(values.value(row), out),
        Values::Decimal128(values, places) => {
            number::put_decimal(&values.value(row).to_string(), *places, out);
        }
        Values::Decimal256(values, places) => {
            number::put_decimal(&values.value(row).to_string(), *places, out);
        }
        Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
        Values::LargeText(values) => out.extend_from_slice(values.value(row).as_bytes()),
        Values::TextView(values) => out.extend_from_slice(values.value(row).as_bytes()),
        Values::Bytes(values) => put_hex(values.value(row), out),
        Values::Date(values) => calendar::put_date(values.value(row), out),
        Values::Time(values) => calendar::put_time(values.value(row), out),
        Values::Timestamp(values) => calendar::put_timestamp(values.value(row), None, out),
        Values::Instant(values) => {
            let us = values.value(row);
            calendar::put_timestamp(us, Some(zone.offset_at(us)), out);
        }
        Values::Interval(values) => {
            let value = values.value(row);
            calendar::put_interval(value.months, value.days, value.nanoseconds, out);
        }
        Values::List(list, elements) => {
            let offsets = list.value_offsets();
            let range = offset(offsets, row)..offset(offsets, row + 1);
            put_array(elements, range, zone, out)?;
        }
        Values::Record(fields) => put_record(fields, row, zone, out)?,
    }
    Ok(())
}

fn display(value: impl std::fmt::Display, out: &mut BytesMut) {
    let _ = write!(out, "{value}");
}

/// The position in a list's elements: never negative.
pub(crate) fn offset(offsets: &[i32], index: usize) -> usize {
    offsets
        .get(index)
        .and_then(|offset| usize::try_from(*offset).ok())
        .unwrap_or_default()
}

fn put_hex(bytes: &[u8], out: &mut BytesMut) {
    out.reserve(2 + 2 * bytes.len());
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        out.extend_from_slice(&digits);
    }
}

/// `{1,2,NULL}`; arrays within arrays stand bare, other text is quoted where it must be.
fn put_array(
    elements: &Column,
    range: std::ops::Range<usize>,
    zone: &Zone,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    let nested = matches!(elements.values, Values::List(..));
    let mut scratch = BytesMut::new();
    out.extend_from_slice(b"{");
    for (position, index) in range.enumerate() {
        if position > 0 {
            out.extend_from_slice(b",");
        }
        if elements.is_null(index) {
            out.extend_from_slice(b"NULL");
        } else if nested || is_bare(&elements.values) {
            put(elements, index, zone, out)?;
        } else {
            scratch.clear();
            put(elements, index, zone, &mut scratch)?;
            let quoted = scratch.is_empty()
                || scratch.eq_ignore_ascii_case(b"null")
                || scratch.iter().any(|byte| is_array_syntax(*byte));
            put_quoted(&scratch, quoted, Escape::Backslash, out);
        }
    }
    out.extend_from_slice(b"}");
    Ok(())
}

/// `(1,"a b",)`: null is nothing at all.
fn put_record(
    fields: &[Column],
    row: usize,
    zone: &Zone,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    let mut scratch = BytesMut::new();
    out.extend_from_slice(b"(");
    for (position, field) in fields.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b",");
        }
        if field.is_null(row) {
            continue;
        }
        scratch.clear();
        put(field, row, zone, &mut scratch)?;
        let quoted = scratch.is_empty() || scratch.iter().any(|byte| is_record_syntax(*byte));
        put_quoted(&scratch, quoted, Escape::Double, out);
    }
    out.extend_from_slice(b")");
    Ok(())
}

/// Whether no value of the type ever needs quotes.
fn is_bare(values: &Values) -> bool {
    matches!(
        values,
        Values::Boolean(_)
            | Values::Int2(_)
            | Values::Int4(_)
            | Values::Int8(_)
            | Values::Float4(_)
            | Values::Float8(_)
            | Values::Decimal128(..)
            | Values::Decimal256(..)
    )
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_array_syntax(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b',' | b'"' | b'\\') || is_space(byte)
}

fn is_record_syntax(byte: u8) -> bool {
    matches!(byte, b'(' | b')' | b',' | b'"' | b'\\') || is_space(byte)
}

/// How a quote within quotes is written.
#[derive(Clone, Copy)]
enum Escape {
    /// `\"` and `\\`.
    Backslash,
    /// `""` and `\\`.
    Double,
}

fn put_quoted(text: &[u8], quoted: bool, escape: Escape, out: &mut BytesMut) {
    if !quoted {
        out.extend_from_slice(text);
        return;
    }
    out.extend_from_slice(b"\"");
    for byte in text {
        match (byte, escape) {
            (b'"', Escape::Double) => out.extend_from_slice(b"\""),
            (b'"' | b'\\', _) => out.extend_from_slice(b"\\"),
            _ => {}
        }
        out.extend_from_slice(&[*byte]);
    }
    out.extend_from_slice(b"\"");
}
