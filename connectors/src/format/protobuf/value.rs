//! Protobuf values to column values.
//!
//! | column | Protobuf |
//! |---|---|
//! | SMALLINT, INT, BIGINT | whole numbers, in range; enums by number |
//! | REAL, DOUBLE PRECISION | float; DOUBLE PRECISION also double; whole numbers |
//! | DECIMAL(p,s) | numbers, and text that is one; excess digits are rounded half away from zero |
//! | BOOLEAN, TEXT, BYTEA | bool; string, enums by name; bytes |
//! | DATE | whole numbers (days) |
//! | TIMESTAMP(p) | `google.protobuf.Timestamp`, whole numbers (the column's unit), ISO 8601 text |
//! | ROW, array | messages, repeated fields |
//!
//! The messages of `google/protobuf/wrappers.proto` are the values in them.

use crate::format::column::{Column, Values};
use crate::format::datetime::DateTime;
use crate::format::number;
use crate::format::{sql_type, timestamp_digits};

use super::plan::{ColumnPlan, MessagePlan};
use super::schema::Kind;
use super::wire::{Wire, Written, zigzag};

/// Nesting beyond which a message is refused.
const DEPTH_MAX: usize = 100;

/// Reads a message into the next row of `columns`.
pub(super) fn read(
    plan: &MessagePlan,
    payload: &[u8],
    columns: &mut [Column],
) -> Result<(), String> {
    message(plan, payload, columns, 0)
}

fn message(
    plan: &MessagePlan,
    payload: &[u8],
    columns: &mut [Column],
    depth: usize,
) -> Result<(), String> {
    if depth > DEPTH_MAX {
        return Err("it is nested too deeply".to_owned());
    }
    let row = columns.first().map_or(0, Column::len);
    let mut wire = Wire { rest: payload };
    while let Some((number, written)) = wire.field()? {
        let Some(index) = plan.by_number.get(&number) else {
            continue;
        };
        let (to, column) = (&plan.columns[*index], &mut columns[*index]);
        let done = match &mut column.values {
            Values::List { column, .. } if to.repeated => elements(to, written, column, depth),
            _ if to.repeated => Err("the column is no array".to_owned()),
            _ => {
                // Of a field that comes twice the last one counts.
                column.truncate(row);
                value(to, written, column, depth)
            }
        };
        done.map_err(|reason| format!("field \"{}\": {reason}", to.name))?;
    }
    for (to, column) in plan.columns.iter().zip(columns) {
        finish(to, column, row).map_err(|reason| format!("field \"{}\": {reason}", to.name))?;
    }
    Ok(())
}

/// Ends the row of a column: a list's end, or what stands for a field that did not come.
fn finish(to: &ColumnPlan, column: &mut Column, row: usize) -> Result<(), String> {
    if to.repeated
        && let Values::List {
            offsets,
            column: elements,
            ..
        } = &mut column.values
    {
        let end = i32::try_from(elements.len());
        offsets.push(end.map_err(|_| "too many elements in one batch".to_owned())?);
        column.pushed();
        return Ok(());
    }
    if column.len() > row {
        return Ok(());
    }
    match default(to) {
        Some(default) => value(to, default, column, 0),
        None if column.nullable => {
            column.push_null();
            Ok(())
        }
        None => Err("missing, but the column is NOT NULL".to_owned()),
    }
}

/// What an absent field is, if it is anything.
fn default(to: &ColumnPlan) -> Option<Written<'static>> {
    match &to.kind {
        Some(Kind::Message(_) | Kind::Other(_)) | None => None,
        Some(_) if to.has_presence || to.repeated => None,
        Some(Kind::Text | Kind::Bytes) => Some(Written::Bytes(&[])),
        Some(Kind::Double | Kind::Fixed64 | Kind::SignedFixed64) => Some(Written::Fixed64(0)),
        Some(Kind::Float | Kind::Fixed32 | Kind::SignedFixed32) => Some(Written::Fixed32(0)),
        Some(_) => Some(Written::Varint(0)),
    }
}

/// Appends one element, or all of a packed field.
fn elements(
    to: &ColumnPlan,
    written: Written<'_>,
    column: &mut Column,
    depth: usize,
) -> Result<(), String> {
    let Written::Bytes(packed) = written else {
        return value(to, written, column, depth);
    };
    let mut wire = Wire { rest: packed };
    match &to.kind {
        Some(Kind::Int | Kind::Unsigned | Kind::Zigzag | Kind::Bool | Kind::Enum(_)) => {
            while !wire.rest.is_empty() {
                let number = Written::Varint(wire.varint()?);
                value(to, number, column, depth)?;
            }
            Ok(())
        }
        Some(Kind::Double | Kind::Fixed64 | Kind::SignedFixed64) => {
            while !wire.rest.is_empty() {
                let number = Written::Fixed64(wire.fixed64()?);
                value(to, number, column, depth)?;
            }
            Ok(())
        }
        Some(Kind::Float | Kind::Fixed32 | Kind::SignedFixed32) => {
            while !wire.rest.is_empty() {
                let number = Written::Fixed32(wire.fixed32()?);
                value(to, number, column, depth)?;
            }
            Ok(())
        }
        _ => value(to, written, column, depth),
    }
}

/// Appends a value to a column.
fn value(
    to: &ColumnPlan,
    written: Written<'_>,
    column: &mut Column,
    depth: usize,
) -> Result<(), String> {
    match fill(to, written, column, depth) {
        Ok(()) => {
            column.pushed();
            Ok(())
        }
        Err(Fault::Unreadable(why)) => Err(unreadable(to, column, &why)),
        Err(Fault::Other(why)) => Err(why),
    }
}

/// Why a value cannot be appended.
enum Fault {
    /// It does not fit the column; empty if the types do not meet.
    Unreadable(String),
    /// In whole words.
    Other(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Self {
        Self::Unreadable(why)
    }
}

/// Appends a value to the vector of a column.
fn fill(
    to: &ColumnPlan,
    written: Written<'_>,
    column: &mut Column,
    depth: usize,
) -> Result<(), Fault> {
    Ok(match (&to.kind, written) {
        (Some(Kind::Message(name)), Written::Bytes(bytes)) => match &to.below {
            Some(below) => match &mut column.values {
                Values::Struct { columns, .. } => message(below, bytes, columns, depth + 1),
                _ => Err(String::new()),
            },
            None => well_known(name, bytes, column),
        },
        (Some(Kind::Bool), Written::Varint(number)) => match &mut column.values {
            Values::Boolean(values) => {
                values.append(number != 0);
                Ok(())
            }
            _ => Err(String::new()),
        },
        (Some(Kind::Enum(names)), Written::Varint(number)) => {
            let number = number.cast_signed();
            match &mut column.values {
                Values::Text(bytes) => {
                    let known = names.iter().find(|(value, _)| *value == number);
                    match known {
                        Some((_, name)) => number::push_text(name.as_bytes(), bytes),
                        // A newer writer's value has no name here.
                        None => number::push_text(number.to_string().as_bytes(), bytes),
                    }
                }
                other => number::push_integer(number, other),
            }
        }
        (Some(Kind::Int), Written::Varint(number)) => {
            number::push_integer(number.cast_signed(), &mut column.values)
        }
        (Some(Kind::Zigzag), Written::Varint(number)) => {
            number::push_integer(zigzag(number), &mut column.values)
        }
        (Some(Kind::Unsigned), Written::Varint(number)) => unsigned(number, column),
        (Some(Kind::Fixed64), Written::Fixed64(number)) => unsigned(number, column),
        (Some(Kind::Fixed32), Written::Fixed32(number)) => unsigned(number.into(), column),
        (Some(Kind::SignedFixed64), Written::Fixed64(number)) => {
            number::push_integer(number.cast_signed(), &mut column.values)
        }
        (Some(Kind::SignedFixed32), Written::Fixed32(number)) => {
            number::push_integer(number.cast_signed().into(), &mut column.values)
        }
        (Some(Kind::Double), Written::Fixed64(bits)) => double(f64::from_bits(bits), column),
        (Some(Kind::Float), Written::Fixed32(bits)) => float(f32::from_bits(bits), column),
        (Some(Kind::Text), Written::Bytes(bytes)) => text(bytes, column),
        (Some(Kind::Bytes), Written::Bytes(bytes)) => match &mut column.values {
            Values::Binary(to) => number::push_bytes(bytes, to),
            _ => Err(String::new()),
        },
        (Some(Kind::Other(name)), _) => Err(format!("type {name} is not known")),
        _ => {
            let why = "the field is written as another type than its schema says";
            return Err(Fault::Other(why.to_owned()));
        }
    }?)
}

fn unreadable(to: &ColumnPlan, column: &Column, why: &str) -> String {
    let from = match &to.kind {
        Some(Kind::Message(name) | Kind::Other(name)) => name.as_str(),
        Some(Kind::Double) => "double",
        Some(Kind::Float) => "float",
        Some(Kind::Bool) => "bool",
        Some(Kind::Text) => "string",
        Some(Kind::Bytes) => "bytes",
        Some(Kind::Enum(_)) => "enum",
        _ => "number",
    };
    if to.below.is_some() && !why.is_empty() {
        return why.to_owned();
    }
    let sql_type = sql_type(&column.data_type);
    match why.is_empty() {
        true => format!("Protobuf's {from} cannot be read as {sql_type}"),
        false => format!("Protobuf's {from} cannot be read as {sql_type}: {why}"),
    }
}

fn unsigned(number: u64, column: &mut Column) -> Result<(), String> {
    match (&mut column.values, i64::try_from(number)) {
        (values, Ok(number)) => number::push_integer(number, values),
        (
            Values::Decimal {
                values,
                precision,
                scale,
            },
            Err(_),
        ) => {
            values.push(number::rescaled_decimal(
                number.into(),
                0,
                *precision,
                *scale,
            )?);
            Ok(())
        }
        (Values::Float64(values), Err(_)) => {
            values.push(number as f64);
            Ok(())
        }
        (_, Err(_)) => Err("out of range".to_owned()),
    }
}

fn double(number: f64, column: &mut Column) -> Result<(), String> {
    match &mut column.values {
        Values::Float64(values) => values.push(number),
        Values::Decimal {
            values,
            precision,
            scale,
        } => values.push(number::decimal_of_text(
            &number.to_string(),
            *precision,
            *scale,
        )?),
        _ => return Err(String::new()),
    }
    Ok(())
}

fn float(number: f32, column: &mut Column) -> Result<(), String> {
    match &mut column.values {
        Values::Float32(values) => values.push(number),
        Values::Float64(values) => values.push(number.into()),
        Values::Decimal {
            values,
            precision,
            scale,
        } => values.push(number::decimal_of_text(
            &number.to_string(),
            *precision,
            *scale,
        )?),
        _ => return Err(String::new()),
    }
    Ok(())
}

fn text(value: &[u8], column: &mut Column) -> Result<(), String> {
    match &mut column.values {
        Values::Text(bytes) => number::push_text(value, bytes),
        Values::Decimal {
            values,
            precision,
            scale,
        } => {
            let text = std::str::from_utf8(value).map_err(|_| "it is not UTF-8".to_owned())?;
            values.push(number::decimal_of_text(text.trim(), *precision, *scale)?);
            Ok(())
        }
        Values::Timestamp { values, unit, zone } => {
            let parsed = DateTime::parse(value.trim_ascii()).ok_or("not an ISO 8601 timestamp")?;
            if zone.is_none() && parsed.offset_seconds.is_some_and(|offset| offset != 0) {
                let why = "it has a UTC offset, but the column is without time zone";
                return Err(why.to_owned());
            }
            values.push(
                parsed
                    .to_epoch(timestamp_digits(*unit))
                    .ok_or("out of range")?,
            );
            Ok(())
        }
        _ => Err(String::new()),
    }
}

/// The messages of Google's that are values.
fn well_known(name: &str, bytes: &[u8], column: &mut Column) -> Result<(), String> {
    if name == "google.protobuf.Timestamp" {
        return timestamp(bytes, column);
    }
    let kind = match name {
        "google.protobuf.DoubleValue" => Kind::Double,
        "google.protobuf.FloatValue" => Kind::Float,
        "google.protobuf.Int64Value" | "google.protobuf.Int32Value" => Kind::Int,
        "google.protobuf.UInt64Value" | "google.protobuf.UInt32Value" => Kind::Unsigned,
        "google.protobuf.BoolValue" => Kind::Bool,
        "google.protobuf.StringValue" => Kind::Text,
        "google.protobuf.BytesValue" => Kind::Bytes,
        _ => return Err(String::new()),
    };
    let inner = ColumnPlan {
        name: "value".to_owned(),
        kind: Some(kind),
        repeated: false,
        has_presence: false,
        below: None,
    };
    let mut last = None;
    let mut wire = Wire { rest: bytes };
    while let Some((number, written)) = wire.field()? {
        if number == 1 {
            last = Some(written);
        }
    }
    let Some(written) = last.or(default(&inner)) else {
        return Err(String::new());
    };
    fill(&inner, written, column, 0).map_err(|fault| match fault {
        Fault::Unreadable(why) | Fault::Other(why) => why,
    })
}

fn timestamp(bytes: &[u8], column: &mut Column) -> Result<(), String> {
    let Values::Timestamp { values, unit, .. } = &mut column.values else {
        return Err(String::new());
    };
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let mut wire = Wire { rest: bytes };
    while let Some((number, written)) = wire.field()? {
        match (number, written) {
            (1, Written::Varint(value)) => seconds = value.cast_signed(),
            (2, Written::Varint(value)) => nanos = value.cast_signed(),
            _ => {}
        }
    }
    let digits = timestamp_digits(*unit);
    let whole = seconds.checked_mul(10_i64.pow(u32::from(digits)));
    let part = number::rescaled(nanos, 9, *unit);
    let value = whole
        .zip(part)
        .and_then(|(whole, part)| whole.checked_add(part));
    values.push(value.ok_or("out of range")?);
    Ok(())
}
