//! Avro values to column values.
//!
//! | column | Avro |
//! |---|---|
//! | SMALLINT, INT, BIGINT | int, long, in range |
//! | REAL | float, int, long; DOUBLE PRECISION also double |
//! | DECIMAL(p,s) | decimal, int, long, float, double; excess digits rounded half away from zero |
//! | BOOLEAN | boolean |
//! | TEXT | string, enum, uuid |
//! | BYTEA | bytes, fixed |
//! | DATE | date, int (days) |
//! | TIMESTAMP(p) | timestamps, long (the column's own unit), string (ISO 8601) |
//! | ROW, array | record, array |
//!
//! A union is whichever branch was written; null is the branch null.

use arrow::datatypes::TimeUnit;

use crate::format::column::{Column, Values};
use crate::format::datetime::DateTime;
use crate::format::number;
use crate::format::{sql_type, timestamp_digits};

use super::plan::{Plan, RecordPlan};
use super::schema::{Kind, Logical, Schema, Type};

/// Nesting beyond which a datum is refused: a type may contain itself.
const DEPTH_MAX: usize = 128;

/// Reads a datum, which must end with `payload`, into the next row of `columns`.
pub(super) fn read_datum(
    schema: &Schema,
    plan: &RecordPlan,
    payload: &[u8],
    columns: &mut [Column],
) -> Result<(), String> {
    let mut reader = Reader {
        schema,
        rest: payload,
    };
    reader.record(plan, columns, 0)?;
    match reader.rest.len() {
        0 => Ok(()),
        left => Err(format!("{left} bytes are left behind the datum")),
    }
}

struct Reader<'a> {
    schema: &'a Schema,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn type_of(&self, index: usize) -> &'a Type {
        &self.schema.types[index]
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(ended)?;
        self.rest = rest;
        Ok(taken)
    }

    /// A number in zigzag and groups of seven bits.
    fn long(&mut self) -> Result<i64, String> {
        let mut value = 0_u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[index + 1..];
                let sign = (value & 1).wrapping_neg();
                return Ok(((value >> 1) ^ sign).cast_signed());
            }
        }
        Err(match self.rest.len() {
            0..10 => ended(),
            _ => "a number is longer than 10 bytes".to_owned(),
        })
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let length = self.long()?;
        let length = usize::try_from(length).map_err(|_| "a length is negative".to_owned())?;
        self.take(length)
    }

    fn record(
        &mut self,
        plan: &RecordPlan,
        columns: &mut [Column],
        depth: usize,
    ) -> Result<(), String> {
        for (of, to) in &plan.fields {
            match to {
                None => self.skip(*of, depth)?,
                Some((column, below)) => {
                    let done = self.value(*of, below, &mut columns[*column], depth);
                    done.map_err(|reason| format!("field \"{}\": {reason}", plan.names[*column]))?;
                }
            }
        }
        for column in &plan.absent {
            if !columns[*column].nullable {
                let name = &plan.names[*column];
                return Err(format!(
                    "field \"{name}\": missing, but the column is NOT NULL"
                ));
            }
            columns[*column].push_null();
        }
        Ok(())
    }

    fn value(
        &mut self,
        of: usize,
        plan: &Plan,
        column: &mut Column,
        depth: usize,
    ) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        let written = self.type_of(of);
        match (&written.kind, plan) {
            (Kind::Null, _) => {
                if !column.nullable {
                    return Err("null, but the column is NOT NULL".to_owned());
                }
                column.push_null();
                return Ok(());
            }
            (Kind::Union(branches), Plan::Union(plans)) => {
                let branch = usize::try_from(self.long()?).unwrap_or(usize::MAX);
                let (Some(of), Some(plan)) = (branches.get(branch), plans.get(branch)) else {
                    return Err("a union has no such branch".to_owned());
                };
                return self.value(*of, plan, column, depth + 1);
            }
            (Kind::Array(items), Plan::List(below)) => self.list(*items, below, column, depth)?,
            (Kind::Record(_), Plan::Record(below)) => {
                if let Values::Struct { columns, .. } = &mut column.values {
                    self.record(below, columns, depth + 1)?;
                }
            }
            _ => self.plain(written, column)?,
        }
        column.pushed();
        Ok(())
    }

    fn list(
        &mut self,
        items: usize,
        plan: &Plan,
        column: &mut Column,
        depth: usize,
    ) -> Result<(), String> {
        let Values::List {
            offsets,
            column: elements,
            ..
        } = &mut column.values
        else {
            return Err("the column is no array".to_owned());
        };
        while let Some(count) = self.block()? {
            for _ in 0..count {
                self.value(items, plan, elements, depth + 1)?;
            }
        }
        let end = i32::try_from(elements.len());
        offsets.push(end.map_err(|_| "too many elements in one batch".to_owned())?);
        Ok(())
    }

    /// How many items the next block has; none at the end. Every item takes a byte at least: nobody
    /// writes lists of nulls, and a few bytes must not stand for millions of items.
    fn block(&mut self) -> Result<Option<i64>, String> {
        let mut count = self.long()?;
        if count < 0 {
            // Then the block's size in bytes follows.
            self.long()?;
            count = count.checked_neg().unwrap_or(i64::MAX);
        }
        if usize::try_from(count).is_ok_and(|count| count > self.rest.len()) {
            return Err(format!(
                "a block of {count} items in {} bytes",
                self.rest.len()
            ));
        }
        Ok((count > 0).then_some(count))
    }

    /// Reads a value of type `written` into a column without parts.
    fn plain(&mut self, written: &Type, column: &mut Column) -> Result<(), String> {
        let done = match &written.kind {
            Kind::Boolean => {
                let byte = self.take(1)?[0];
                match (&mut column.values, byte) {
                    (_, 2..) => return Err(format!("{byte} is no boolean")),
                    (Values::Boolean(values), byte) => {
                        values.append(byte == 1);
                        Ok(())
                    }
                    _ => Err(String::new()),
                }
            }
            Kind::Int | Kind::Long => {
                let value = self.long()?;
                integer(value, written.logical, &mut column.values)
            }
            Kind::Float => {
                let bytes = self.take(4)?.first_chunk().copied().unwrap_or_default();
                float(f32::from_le_bytes(bytes), &mut column.values)
            }
            Kind::Double => {
                let bytes = self.take(8)?.first_chunk().copied().unwrap_or_default();
                double(f64::from_le_bytes(bytes), &mut column.values)
            }
            Kind::Bytes => octets(self.bytes()?, written.logical, &mut column.values),
            Kind::Fixed(size) => octets(self.take(*size)?, written.logical, &mut column.values),
            Kind::Text => text(self.bytes()?, &mut column.values),
            Kind::Enum(symbols) => {
                let index = usize::try_from(self.long()?).unwrap_or(usize::MAX);
                let symbol = symbols.get(index).ok_or("an enum has no such symbol")?;
                text(symbol.as_bytes(), &mut column.values)
            }
            Kind::Null | Kind::Array(_) | Kind::Map(_) | Kind::Union(_) | Kind::Record(_) => {
                Err(String::new())
            }
        };
        done.map_err(|why| {
            let sql_type = sql_type(&column.data_type);
            let from = name(written);
            match why.is_empty() {
                true => format!("Avro's {from} cannot be read as {sql_type}"),
                false => format!("Avro's {from} cannot be read as {sql_type}: {why}"),
            }
        })
    }

    /// Goes over a value that nobody wants.
    fn skip(&mut self, of: usize, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        match &self.type_of(of).kind {
            Kind::Null => {}
            Kind::Boolean => {
                self.take(1)?;
            }
            Kind::Int | Kind::Long | Kind::Enum(_) => {
                self.long()?;
            }
            Kind::Float => {
                self.take(4)?;
            }
            Kind::Double => {
                self.take(8)?;
            }
            Kind::Bytes | Kind::Text => {
                self.bytes()?;
            }
            Kind::Fixed(size) => {
                self.take(*size)?;
            }
            Kind::Array(items) => {
                while let Some(count) = self.block()? {
                    for _ in 0..count {
                        self.skip(*items, depth + 1)?;
                    }
                }
            }
            Kind::Map(values) => {
                while let Some(count) = self.block()? {
                    for _ in 0..count {
                        self.bytes()?;
                        self.skip(*values, depth + 1)?;
                    }
                }
            }
            Kind::Union(branches) => {
                let branch = usize::try_from(self.long()?).unwrap_or(usize::MAX);
                let of = branches.get(branch).ok_or("a union has no such branch")?;
                self.skip(*of, depth + 1)?;
            }
            Kind::Record(fields) => {
                for (_, of) in fields {
                    self.skip(*of, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

fn ended() -> String {
    "the datum ends too early".to_owned()
}

/// The name of a type, for messages.
fn name(written: &Type) -> &'static str {
    match (written.logical, &written.kind) {
        (Logical::Decimal { .. }, _) => "decimal",
        (Logical::Date, _) => "date",
        (Logical::Time, _) => "time",
        (Logical::Timestamp { .. }, _) => "timestamp",
        (_, Kind::Null) => "null",
        (_, Kind::Boolean) => "boolean",
        (_, Kind::Int) => "int",
        (_, Kind::Long) => "long",
        (_, Kind::Float) => "float",
        (_, Kind::Double) => "double",
        (_, Kind::Bytes) => "bytes",
        (_, Kind::Text) => "string",
        (_, Kind::Enum(_)) => "enum",
        (_, Kind::Fixed(_)) => "fixed",
        (_, Kind::Array(_)) => "array",
        (_, Kind::Map(_)) => "map",
        (_, Kind::Union(_)) => "union",
        (_, Kind::Record(_)) => "record",
    }
}

/// Appends a whole number. The empty reason says that the types do not meet.
fn integer(value: i64, logical: Logical, to: &mut Values) -> Result<(), String> {
    match (logical, to) {
        (Logical::None, to) => number::push_integer(value, to),
        (Logical::Date, Values::Date(values)) => {
            values.push(i32::try_from(value).map_err(|_| "out of range")?);
            Ok(())
        }
        (Logical::Timestamp { digits, local }, Values::Timestamp { values, unit, zone }) => {
            if local && zone.is_some() {
                return Err("it is a local time, but the column is WITH TIME ZONE".to_owned());
            }
            values.push(number::rescaled(value, digits, *unit).ok_or("out of range")?);
            Ok(())
        }
        (_, Values::Int64(values)) => {
            values.push(value);
            Ok(())
        }
        _ => Err(String::new()),
    }
}

fn float(value: f32, to: &mut Values) -> Result<(), String> {
    match to {
        Values::Float32(values) => values.push(value),
        Values::Float64(values) => values.push(value.into()),
        Values::Decimal {
            values,
            precision,
            scale,
        } => values.push(number::decimal_of_text(
            &value.to_string(),
            *precision,
            *scale,
        )?),
        _ => return Err(String::new()),
    }
    Ok(())
}

fn double(value: f64, to: &mut Values) -> Result<(), String> {
    match to {
        Values::Float64(values) => values.push(value),
        Values::Decimal {
            values,
            precision,
            scale,
        } => values.push(number::decimal_of_text(
            &value.to_string(),
            *precision,
            *scale,
        )?),
        _ => return Err(String::new()),
    }
    Ok(())
}

fn octets(value: &[u8], logical: Logical, to: &mut Values) -> Result<(), String> {
    match (logical, to) {
        (
            Logical::Decimal { scale: written },
            Values::Decimal {
                values,
                precision,
                scale,
            },
        ) => {
            let unscaled = number::big_endian(value).ok_or("out of range")?;
            values.push(number::rescaled_decimal(
                unscaled, written, *precision, *scale,
            )?);
            Ok(())
        }
        (Logical::None, Values::Binary(bytes)) => number::push_bytes(value, bytes),
        _ => Err(String::new()),
    }
}

fn text(value: &[u8], to: &mut Values) -> Result<(), String> {
    match to {
        Values::Text(bytes) => number::push_text(value, bytes),
        Values::Timestamp { values, unit, zone } => {
            values.push(instant(value, *unit, zone.is_some())?);
            Ok(())
        }
        _ => Err(String::new()),
    }
}

/// An ISO 8601 timestamp, by the rules of JSON's.
fn instant(text: &[u8], unit: TimeUnit, with_zone: bool) -> Result<i64, String> {
    let parsed = DateTime::parse(text.trim_ascii()).ok_or("not an ISO 8601 timestamp")?;
    if !with_zone && parsed.offset_seconds.is_some_and(|offset| offset != 0) {
        return Err("it has a UTC offset, but the column is without time zone".to_owned());
    }
    Ok(parsed
        .to_epoch(timestamp_digits(unit))
        .ok_or("out of range")?)
}
