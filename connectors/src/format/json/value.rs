//! JSON values to column values: one function a type, each saying which JSON it takes.
//!
//! | column | JSON |
//! |---|---|
//! | SMALLINT, INT, BIGINT | whole numbers (`12`, `12.0`, `1e3`), also in quotes |
//! | REAL, DOUBLE PRECISION | numbers, also in quotes; `"NaN"`, `"Infinity"`, `"-Infinity"` |
//! | DECIMAL(p,s) | numbers, also in quotes; excess digits are rounded half away from zero |
//! | BOOLEAN | `true`, `false`, also in quotes |
//! | TEXT | strings; anything else as its JSON text |
//! | BYTEA | strings of `\x` and hexadecimal digits, else base64 |
//! | DATE | `"2024-01-31"`; days since the epoch |
//! | TIMESTAMP(p) | ISO 8601 strings and numbers, see [`TimestampFormat`] |
//! | ROW | objects |
//! | array | arrays |

use std::borrow::Cow;

use arrow::datatypes::{DataType, TimeUnit};

use crate::format::column::{self, Column, Values as V};
use crate::format::datetime::stream::LastDay;
use crate::format::datetime::{self, DateTime};
use crate::format::{sql_type, timestamp_digits};

use super::cursor::Cursor;
use super::fault::{Fault, Parsed};
use super::number::{Number, POW10};
use super::object::Shape;
use super::text;

/// How timestamps are written (`json.timestamp-format`).
///
/// Digits beyond the column's precision are rounded half up, as PostgreSQL rounds: `.1235` becomes
/// `.124` in a TIMESTAMP(3). A string without offset from UTC is taken as UTC. In a column without
/// time zone a string with an offset other than UTC is a reject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimestampFormat {
    /// Strings are ISO 8601, numbers count the column's own unit since the epoch: milliseconds for
    /// TIMESTAMP(3).
    #[default]
    Auto,
    /// Strings only, ISO 8601.
    Iso,
    /// Numbers only, also in quotes, counting units of 10^-n seconds since the epoch.
    Epoch(u8),
}

/// Reads values into columns.
#[derive(Default)]
pub(super) struct Values {
    pub(super) timestamps: TimestampFormat,
    /// The day of the last timestamp that was written out.
    pub(super) last_day: LastDay,
}

/// The shape of the objects in a column of this type, if it holds objects.
pub(super) fn nested_shape(data_type: &DataType) -> Option<Box<Shape>> {
    match data_type {
        DataType::Struct(fields) => Some(Box::new(Shape::new(fields))),
        DataType::List(element) => nested_shape(element.data_type()),
        _ => None,
    }
}

impl Values {
    /// Reads the value that begins at `cursor` into the next row of `column`; `shape` is that of
    /// the objects in it.
    #[inline]
    pub(super) fn read(
        &mut self,
        column: &mut Column,
        shape: Option<&mut Shape>,
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Parsed<()> {
        let Some(first) = cursor.peek() else {
            return Err(Fault::syntax(cursor.at, "a value"));
        };
        if first == b'n' {
            cursor.word("null")?;
            if !column.nullable {
                return Err(Fault::null());
            }
            column.push_null();
            return Ok(());
        }
        self.read_value(column, shape, cursor, depth)?;
        column.pushed();
        Ok(())
    }

    /// Reads the value, which is not null, into the vector of `column`.
    #[inline]
    fn read_value(
        &mut self,
        column: &mut Column,
        shape: Option<&mut Shape>,
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Parsed<()> {
        let (start, row) = (cursor.at, column.len());
        let first = cursor.peek();
        let data_type = &column.data_type;
        match &mut column.values {
            V::Int64(values) => values.push(integer(cursor, data_type, Some)?),
            V::Int32(values) => values.push(integer(cursor, data_type, |w| i32::try_from(w).ok())?),
            V::Int16(values) => values.push(integer(cursor, data_type, |w| i16::try_from(w).ok())?),
            V::Int8(values) => values.push(integer(cursor, data_type, |w| i8::try_from(w).ok())?),
            V::Float64(values) => {
                let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
                values.push(float(cursor, data_type, |n| n.to_f64(), special)?);
            }
            V::Float32(values) => {
                let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
                values.push(float(cursor, data_type, |n| n.to_f32(), special)?);
            }
            V::Decimal {
                values,
                precision,
                scale,
            } => {
                let (precision, scale) = (*precision, *scale);
                values.push(decimal(cursor, data_type, precision, scale)?);
            }
            V::Text(bytes) => text_value(cursor, bytes, data_type, depth)?,
            V::Timestamp { values, unit, zone } => {
                let (unit, with_zone) = (*unit, zone.is_some());
                values.push(self.timestamp(cursor, data_type, unit, with_zone)?);
            }
            V::Boolean(values) => values.append(boolean(cursor, data_type)?),
            V::Date(values) => values.push(date(cursor, data_type)?),
            V::Binary(bytes) => binary_value(cursor, bytes, data_type)?,
            V::Struct { columns, .. } => {
                let Some(shape) = shape.filter(|_| first == Some(b'{')) else {
                    return Err(wrong_kind(cursor, start, data_type, depth));
                };
                shape.read(columns, row, cursor, self, depth)?;
            }
            V::List {
                offsets,
                column: elements,
                ..
            } => {
                if first != Some(b'[') {
                    return Err(wrong_kind(cursor, start, data_type, depth));
                }
                self.elements(elements, shape, cursor, depth)?;
                let end = i32::try_from(elements.len());
                offsets.push(end.map_err(|_| Fault::other("too many elements in one batch"))?);
            }
        }
        Ok(())
    }

    /// Reads a timestamp of 10^-digits seconds, where `unit` says how many digits.
    #[inline]
    fn timestamp(
        &mut self,
        cursor: &mut Cursor<'_>,
        data_type: &DataType,
        unit: TimeUnit,
        with_zone: bool,
    ) -> Parsed<i64> {
        let start = cursor.at;
        let digits = timestamp_digits(unit);
        let quoted = cursor.peek() == Some(b'"');
        let written_digits = match (self.timestamps, quoted) {
            (TimestampFormat::Epoch(written), _) => written,
            (TimestampFormat::Auto, false) => digits,
            (TimestampFormat::Iso, false) => return Err(wrong_kind(cursor, start, data_type, 0)),
            (TimestampFormat::Auto | TimestampFormat::Iso, true) => {
                if let Some(value) = self.last_day.read(cursor.string()?.raw, digits) {
                    return Ok(value);
                }
                cursor.at = start;
                let plain = plain(cursor, data_type)?;
                let iso = iso_timestamp(&plain, digits, with_zone, &mut self.last_day);
                return iso.map_err(|why| unreadable(cursor, start, data_type, why));
            }
        };
        number(cursor, data_type, |number| {
            // The number counts units of 10^-written seconds; the column those of 10^-digits.
            let scaled = number.to_scaled(i32::from(digits) - i32::from(written_digits));
            scaled
                .and_then(|scaled| i64::try_from(scaled).ok())
                .ok_or("out of range")
        })
    }

    /// Reads the elements of the array that begins at `cursor`.
    fn elements(
        &mut self,
        column: &mut Column,
        mut shape: Option<&mut Shape>,
        cursor: &mut Cursor<'_>,
        depth: usize,
    ) -> Parsed<()> {
        cursor.enter(depth)?;
        cursor.skip_white_space();
        if cursor.peek() == Some(b']') {
            cursor.at += 1;
            return Ok(());
        }
        let first = column.len();
        loop {
            if let Err(fault) = self.read(column, shape.as_deref_mut(), cursor, depth + 1) {
                return Err(fault.in_element(column.len() - first));
            }
            cursor.skip_white_space();
            match cursor.peek() {
                Some(b',') => cursor.at += 1,
                Some(b']') => {
                    cursor.at += 1;
                    return Ok(());
                }
                _ => return Err(Fault::syntax(cursor.at, "',' or ']'")),
            }
            cursor.skip_white_space();
        }
    }
}

/// The fault of the value from `start` on, whatever it is, in a column that takes none like it.
#[cold]
fn wrong_kind(
    cursor: &mut Cursor<'_>,
    start: usize,
    data_type: &DataType,
    depth: usize,
) -> Box<Fault> {
    cursor.at = start;
    match cursor.skip_value(depth) {
        Ok(()) => Fault::unreadable(start, cursor.at, sql_type(data_type), ""),
        Err(fault) => fault,
    }
}

/// The fault of the value from `start` to the cursor.
#[cold]
fn unreadable(
    cursor: &Cursor<'_>,
    start: usize,
    data_type: &DataType,
    why: &'static str,
) -> Box<Fault> {
    Fault::unreadable(start, cursor.at, sql_type(data_type), why)
}

/// The number at the cursor, in quotes or not; in quotes it may be written loosely. What is neither
/// is a fault.
#[inline]
fn number<T>(
    cursor: &mut Cursor<'_>,
    data_type: &DataType,
    convert: impl Fn(Number<'_>) -> Result<T, &'static str>,
) -> Parsed<T> {
    let start = cursor.at;
    match cursor.peek() {
        Some(b'-' | b'0'..=b'9') => {
            let number = cursor.number()?;
            convert(number).map_err(|why| unreadable(cursor, start, data_type, why))
        }
        Some(b'"') => {
            let plain = plain(cursor, data_type)?;
            match Number::from_text(&plain).ok_or("").and_then(convert) {
                Ok(value) => Ok(value),
                Err(why) => Err(unreadable(cursor, start, data_type, why)),
            }
        }
        _ => Err(wrong_kind(cursor, start, data_type, 0)),
    }
}

/// The string at the cursor without its escapes.
fn plain<'a>(cursor: &mut Cursor<'a>, data_type: &DataType) -> Parsed<Cow<'a, [u8]>> {
    let start = cursor.at;
    let text = cursor.string()?;
    text.plain()
        .map_err(|why| unreadable(cursor, start, data_type, why))
}

#[inline]
fn integer<T>(
    cursor: &mut Cursor<'_>,
    data_type: &DataType,
    narrow: impl Fn(i64) -> Option<T>,
) -> Parsed<T> {
    const WHY: &str = "not a whole number in its range";
    number(cursor, data_type, |number| {
        number.to_i64().and_then(&narrow).ok_or(WHY)
    })
}

#[inline]
fn float<T: Copy>(
    cursor: &mut Cursor<'_>,
    data_type: &DataType,
    convert: impl Fn(Number<'_>) -> Option<T>,
    [nan, infinity, negative_infinity]: [T; 3],
) -> Parsed<T> {
    let start = cursor.at;
    if cursor.peek() == Some(b'"') {
        let plain = plain(cursor, data_type)?;
        let special = match plain.trim_ascii().to_ascii_lowercase().as_slice() {
            b"nan" => Some(nan),
            b"infinity" | b"+infinity" | b"inf" | b"+inf" => Some(infinity),
            b"-infinity" | b"-inf" => Some(negative_infinity),
            _ => None,
        };
        if let Some(special) = special {
            return Ok(special);
        }
        cursor.at = start;
    }
    number(cursor, data_type, |number| {
        convert(number).ok_or("out of range")
    })
}

#[inline]
fn decimal(
    cursor: &mut Cursor<'_>,
    data_type: &DataType,
    precision: u8,
    scale: i8,
) -> Parsed<i128> {
    number(cursor, data_type, |number| {
        let limit = POW10[usize::from(precision.min(38))];
        let scaled = number.to_scaled(i32::from(scale));
        scaled
            .filter(|scaled| -limit < *scaled && *scaled < limit)
            .ok_or("out of range")
    })
}

fn boolean(cursor: &mut Cursor<'_>, data_type: &DataType) -> Parsed<bool> {
    let start = cursor.at;
    match cursor.peek() {
        Some(b't') => cursor.word("true").map(|()| true),
        Some(b'f') => cursor.word("false").map(|()| false),
        Some(b'"') => {
            let plain = plain(cursor, data_type)?;
            match plain.trim_ascii().to_ascii_lowercase().as_slice() {
                b"true" => Ok(true),
                b"false" => Ok(false),
                _ => Err(unreadable(cursor, start, data_type, "")),
            }
        }
        _ => Err(wrong_kind(cursor, start, data_type, 0)),
    }
}

#[inline]
fn text_value(
    cursor: &mut Cursor<'_>,
    bytes: &mut column::Bytes,
    data_type: &DataType,
    depth: usize,
) -> Parsed<()> {
    let start = cursor.at;
    if cursor.peek() == Some(b'"') {
        let text = cursor.string()?;
        let appended = text.append_to(&mut bytes.data);
        appended.map_err(|why| unreadable(cursor, start, data_type, why))?;
    } else {
        cursor.skip_value(depth)?;
        let json = &cursor.bytes[start..cursor.at];
        if std::str::from_utf8(json).is_err() {
            return Err(unreadable(cursor, start, data_type, "not UTF-8"));
        }
        bytes.data.extend_from_slice(json);
    }
    if bytes.seal() {
        Ok(())
    } else {
        Err(Fault::other("more than 2 GiB of text in one batch"))
    }
}

fn binary_value(
    cursor: &mut Cursor<'_>,
    bytes: &mut column::Bytes,
    data_type: &DataType,
) -> Parsed<()> {
    let start = cursor.at;
    if cursor.peek() != Some(b'"') {
        return Err(wrong_kind(cursor, start, data_type, 0));
    }
    let plain = plain(cursor, data_type)?;
    if text::binary(&plain, &mut bytes.data).is_none() {
        return Err(unreadable(
            cursor,
            start,
            data_type,
            "neither \\x and hexadecimal nor base64",
        ));
    }
    if bytes.seal() {
        Ok(())
    } else {
        Err(Fault::other("more than 2 GiB of bytes in one batch"))
    }
}

fn date(cursor: &mut Cursor<'_>, data_type: &DataType) -> Parsed<i32> {
    let start = cursor.at;
    if cursor.peek() != Some(b'"') {
        return integer(cursor, data_type, |days| i32::try_from(days).ok());
    }
    let plain = plain(cursor, data_type)?;
    datetime::parse_days(&plain).ok_or_else(|| unreadable(cursor, start, data_type, ""))
}

/// Without an offset the text is taken as UTC. In a column without time zone an offset other than
/// UTC is refused: dropping it would shift the value silently.
fn iso_timestamp(
    text: &[u8],
    digits: u8,
    with_zone: bool,
    last_day: &mut LastDay,
) -> Result<i64, &'static str> {
    let text = text.trim_ascii();
    let parsed = DateTime::parse(text).ok_or("not an ISO 8601 timestamp")?;
    last_day.remember(text, &parsed);
    if !with_zone && parsed.offset_seconds.is_some_and(|offset| offset != 0) {
        return Err("it has a UTC offset, but the column is without time zone");
    }
    parsed.to_epoch(digits).ok_or("out of range")
}
