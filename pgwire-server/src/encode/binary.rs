//! Values in PostgreSQL's binary form, byte for byte as its send functions write them.

use bytes::{BufMut, BytesMut};

use crate::encode::calendar::{DAY_US, EPOCH_DAYS};
use crate::encode::column::{Column, Values};
use crate::encode::text::offset;
use crate::encode::zone::Zone;
use crate::encode::{Format, number, put_value};
use crate::error::Failure;

/// Writes the value in `row`, which is not null.
///
/// # Errors
/// `22008` for instants that PostgreSQL's epoch cannot reach, `0A000` for arrays of arrays.
pub(crate) fn put(column: &Column, row: usize, out: &mut BytesMut) -> Result<(), Failure> {
    match &column.values {
        Values::Null => {}
        Values::Boolean(values) => out.put_u8(values.value(row).into()),
        Values::Int2(values) => out.put_i16(values.value(row)),
        Values::Int4(values) => out.put_i32(values.value(row)),
        Values::Int8(values) => out.put_i64(values.value(row)),
        Values::Float4(values) => out.put_f32(values.value(row)),
        Values::Float8(values) => out.put_f64(values.value(row)),
        Values::Decimal128(values, places) => {
            number::put_decimal_binary(&values.value(row).to_string(), *places, out)?;
        }
        Values::Decimal256(values, places) => {
            number::put_decimal_binary(&values.value(row).to_string(), *places, out)?;
        }
        Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
        Values::LargeText(values) => out.extend_from_slice(values.value(row).as_bytes()),
        Values::TextView(values) => out.extend_from_slice(values.value(row).as_bytes()),
        Values::Bytes(values) => out.extend_from_slice(values.value(row)),
        Values::Date(values) => {
            let days = values.value(row).checked_sub(EPOCH_DAYS);
            out.put_i32(days.ok_or_else(|| Failure::new("22008", "date out of range"))?);
        }
        Values::Time(values) => out.put_i64(values.value(row)),
        Values::Timestamp(values) | Values::Instant(values) => {
            let us = values
                .value(row)
                .checked_sub(i64::from(EPOCH_DAYS) * DAY_US);
            out.put_i64(us.ok_or_else(|| Failure::new("22008", "timestamp out of range"))?);
        }
        Values::Interval(values) => {
            let value = values.value(row);
            out.put_i64(value.nanoseconds.div_euclid(1_000));
            out.put_i32(value.days);
            out.put_i32(value.months);
        }
        Values::List(list, elements) => {
            let offsets = list.value_offsets();
            put_array(
                elements,
                offset(offsets, row)..offset(offsets, row + 1),
                out,
            )?;
        }
        Values::Record(fields) => {
            out.put_i32(length(fields.len())?);
            for field in fields {
                out.put_u32(field.oid);
                put_nested(field, row, out)?;
            }
        }
    }
    Ok(())
}

fn put_array(
    elements: &Column,
    range: std::ops::Range<usize>,
    out: &mut BytesMut,
) -> Result<(), Failure> {
    if matches!(elements.values, Values::List(..)) {
        let message = "arrays of arrays cannot be sent in binary";
        return Err(Failure::new("0A000", message).hint("Ask for text, or cast to text."));
    }
    out.put_i32(i32::from(!range.is_empty()));
    out.put_i32(elements.has_nulls().into());
    out.put_u32(elements.oid);
    if range.is_empty() {
        return Ok(());
    }
    out.put_i32(length(range.len())?);
    // The first element of an array has the number 1.
    out.put_i32(1);
    for index in range {
        put_nested(elements, index, out)?;
    }
    Ok(())
}

fn put_nested(column: &Column, row: usize, out: &mut BytesMut) -> Result<(), Failure> {
    // No binary form depends on the time zone.
    put_value(column, row, Format::Binary, &Zone::Fixed(0), out)
}

fn length(count: usize) -> Result<i32, Failure> {
    i32::try_from(count).map_err(|_| Failure::new("54000", "a value has too many elements"))
}
