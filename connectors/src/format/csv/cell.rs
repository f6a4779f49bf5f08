//! One field as a typed value, and columns of them. Digits beyond a column's precision are rounded
//! as PostgreSQL and the JSON format round them; what does not fit is refused.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Decimal128Array, Float64Array, Int64Array,
    StringBuilder, UInt64Array,
};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::error::ArrowError;

use crate::format::datetime::{DateTime, parse_days};
use crate::format::{sql_type, timestamp_digits};

/// A parsed field.
#[derive(Debug, PartialEq)]
pub enum Cell<'r> {
    /// NULL.
    Null,
    /// BOOLEAN.
    Flag(bool),
    /// Any integer that fits, days of a DATE, or a TIMESTAMP in its unit.
    Integer(i64),
    /// An unsigned integer of 64 bits.
    Unsigned(u64),
    /// REAL or DOUBLE.
    Fraction(f64),
    /// DECIMAL in units of its scale.
    Decimal(i128),
    /// TEXT.
    Text(Cow<'r, str>),
    /// BYTEA.
    Bytes(Vec<u8>),
}

impl Cell<'_> {
    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The same, borrowing nothing.
    pub fn into_owned<'any>(self) -> Cell<'any> {
        match self {
            Self::Null => Cell::Null,
            Self::Flag(value) => Cell::Flag(value),
            Self::Integer(value) => Cell::Integer(value),
            Self::Unsigned(value) => Cell::Unsigned(value),
            Self::Fraction(value) => Cell::Fraction(value),
            Self::Decimal(value) => Cell::Decimal(value),
            Self::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Self::Bytes(bytes) => Cell::Bytes(bytes),
        }
    }
}

/// The cells of one column on their way into an array.
pub struct ColumnBuilder {
    data_type: DataType,
    cells: Cells,
}

enum Cells {
    Flags(BooleanBuilder),
    Integers(Vec<Option<i64>>),
    Unsigned(Vec<Option<u64>>),
    Fractions(Vec<Option<f64>>),
    Decimals(Vec<Option<i128>>),
    Texts(StringBuilder),
    Bytes(BinaryBuilder),
}

impl ColumnBuilder {
    /// An empty column.
    ///
    /// # Errors
    /// In words, for a type that no field can have.
    pub fn new(data_type: &DataType) -> Result<Self, String> {
        let cells = match data_type {
            DataType::Boolean => Cells::Flags(BooleanBuilder::new()),
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => {
                Cells::Integers(Vec::new())
            }
            DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => Cells::Integers(Vec::new()),
            DataType::UInt64 => Cells::Unsigned(Vec::new()),
            DataType::Float32 | DataType::Float64 => Cells::Fractions(Vec::new()),
            DataType::Decimal128(_, 0..) => Cells::Decimals(Vec::new()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Cells::Texts(StringBuilder::new())
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                Cells::Bytes(BinaryBuilder::new())
            }
            DataType::Date32 | DataType::Timestamp(..) => Cells::Integers(Vec::new()),
            other => return Err(format!("type {} has no CSV form", sql_type(other))),
        };
        Ok(Self {
            data_type: data_type.clone(),
            cells,
        })
    }

    /// Reads one field as a cell of this column.
    ///
    /// # Errors
    /// In words: `cannot read "abc" as Int64`.
    pub fn parse<'r>(&self, text: Cow<'r, str>, quoted: bool) -> Result<Cell<'r>, String> {
        if text.is_empty() && !quoted {
            return Ok(Cell::Null);
        }
        let trimmed = text.trim();
        let cell = match &self.data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                return Ok(Cell::Text(text));
            }
            DataType::Boolean => flag(trimmed).map(Cell::Flag),
            DataType::UInt64 => trimmed.parse().ok().map(Cell::Unsigned),
            DataType::Float32 | DataType::Float64 => trimmed.parse().ok().map(Cell::Fraction),
            DataType::Decimal128(precision, scale) => {
                decimal(trimmed, *precision, *scale).map(Cell::Decimal)
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
                hex(trimmed).map(Cell::Bytes)
            }
            DataType::Date32 => {
                parse_days(trimmed.as_bytes()).map(|days| Cell::Integer(i64::from(days)))
            }
            DataType::Timestamp(unit, zone) => {
                timestamp(trimmed, *unit, zone.is_some()).map(Cell::Integer)
            }
            integer => ranged(trimmed, integer).map(Cell::Integer),
        };
        cell.ok_or_else(|| format!("cannot read \"{text}\" as {}", sql_type(&self.data_type)))
    }

    /// Appends a cell that [`ColumnBuilder::parse`] of this column has made; any other becomes
    /// NULL.
    pub fn push(&mut self, cell: Cell<'_>) {
        match (&mut self.cells, cell) {
            (Cells::Flags(out), Cell::Flag(value)) => out.append_value(value),
            (Cells::Flags(out), _) => out.append_null(),
            (Cells::Integers(out), Cell::Integer(value)) => out.push(Some(value)),
            (Cells::Integers(out), _) => out.push(None),
            (Cells::Unsigned(out), Cell::Unsigned(value)) => out.push(Some(value)),
            (Cells::Unsigned(out), _) => out.push(None),
            (Cells::Fractions(out), Cell::Fraction(value)) => out.push(Some(value)),
            (Cells::Fractions(out), _) => out.push(None),
            (Cells::Decimals(out), Cell::Decimal(value)) => out.push(Some(value)),
            (Cells::Decimals(out), _) => out.push(None),
            (Cells::Texts(out), Cell::Text(text)) => out.append_value(text),
            (Cells::Texts(out), _) => out.append_null(),
            (Cells::Bytes(out), Cell::Bytes(bytes)) => out.append_value(bytes),
            (Cells::Bytes(out), _) => out.append_null(),
        }
    }

    /// The column as an array of its type.
    ///
    /// # Errors
    /// Arrow's, if a value does not fit; `parse` lets none through.
    pub fn finish(self) -> Result<ArrayRef, ArrowError> {
        let array: ArrayRef = match self.cells {
            Cells::Flags(mut cells) => Arc::new(cells.finish()),
            Cells::Integers(cells) => Arc::new(Int64Array::from(cells)),
            Cells::Unsigned(cells) => Arc::new(UInt64Array::from(cells)),
            Cells::Fractions(cells) => Arc::new(Float64Array::from(cells)),
            Cells::Texts(mut cells) => Arc::new(cells.finish()),
            Cells::Bytes(mut cells) => Arc::new(cells.finish()),
            Cells::Decimals(cells) => {
                let DataType::Decimal128(precision, scale) = self.data_type else {
                    return Err(ArrowError::CastError("not a decimal column".to_owned()));
                };
                let array = Decimal128Array::from(cells);
                return Ok(Arc::new(array.with_precision_and_scale(precision, scale)?));
            }
        };
        let options = CastOptions {
            safe: false,
            ..CastOptions::default()
        };
        let array = match self.data_type {
            DataType::Date32 => cast_with_options(&array, &DataType::Int32, &options)?,
            _ => array,
        };
        cast_with_options(&array, &self.data_type, &options)
    }
}

fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Some(true),
        "false" | "f" | "0" => Some(false),
        _ => None,
    }
}

fn ranged(text: &str, data_type: &DataType) -> Option<i64> {
    let value: i64 = text.parse().ok()?;
    let fits = match data_type {
        DataType::Int8 => i8::try_from(value).is_ok(),
        DataType::Int16 => i16::try_from(value).is_ok(),
        DataType::Int32 => i32::try_from(value).is_ok(),
        DataType::UInt8 => u8::try_from(value).is_ok(),
        DataType::UInt16 => u16::try_from(value).is_ok(),
        DataType::UInt32 => u32::try_from(value).is_ok(),
        _ => true,
    };
    fits.then_some(value)
}

fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let read = read_decimal(text, u32::try_from(scale).ok()?)?;
    let magnitude = read.magnitude.checked_add(i128::from(read.rounds_up))?;
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (magnitude < limit).then_some(if read.negative { -magnitude } else { magnitude })
}

/// A decimal number in units of ten to the power of minus `scale`. `None` if it is none, overflows,
/// or has more decimals than that (zeros apart). No exponent.
pub fn parse_decimal(text: &str, scale: u32) -> Option<i128> {
    let read = read_decimal(text, scale)?;
    read.exact.then_some(if read.negative {
        -read.magnitude
    } else {
        read.magnitude
    })
}

/// A decimal number cut off after some decimals.
struct ReadDecimal {
    negative: bool,
    magnitude: i128,
    /// Whether only zeros were cut off.
    exact: bool,
    /// Whether half a unit or more was cut off.
    rounds_up: bool,
}

fn read_decimal(text: &str, scale: u32) -> Option<ReadDecimal> {
    let (negative, digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        all => (false, all),
    };
    let point = memchr::memchr(b'.', digits).unwrap_or(digits.len());
    let (whole, part) = (
        &digits[..point],
        digits.get(point + 1..).unwrap_or_default(),
    );
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let (kept, lost) = part.split_at(part.len().min(scale as usize));
    if !lost.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.iter().chain(kept) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value
            .checked_mul(10)?
            .checked_add(i128::from(digit - b'0'))?;
    }
    let missing = scale - kept.len() as u32;
    Some(ReadDecimal {
        negative,
        magnitude: value.checked_mul(10_i128.checked_pow(missing)?)?,
        exact: lost.iter().all(|digit| *digit == b'0'),
        rounds_up: lost.first().is_some_and(|digit| *digit >= b'5'),
    })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("\\x")?.as_bytes();
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    if digits.len() % 2 != 0 {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| Some((nibble(pair[0])? * 16 + nibble(pair[1])?) as u8))
        .collect()
}

/// ISO 8601 by the rules of the JSON format: without an offset it is UTC; in a column without time
/// zone another offset than UTC is refused, for dropping it would shift the value silently.
fn timestamp(text: &str, unit: TimeUnit, with_zone: bool) -> Option<i64> {
    let time = DateTime::parse(text.as_bytes())?;
    if !with_zone && time.offset_seconds.is_some_and(|offset| offset != 0) {
        return None;
    }
    time.to_epoch(timestamp_digits(unit))
}
