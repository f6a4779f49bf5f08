//! Arrow values in PostgreSQL's binary COPY format, written straight from the columns into one
//! buffer.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray, Decimal128Array,
    GenericByteArray, GenericByteViewArray, ListArray, PrimitiveArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, BinaryType, BinaryViewType, DataType, Date32Type, Decimal128Type, FieldRef,
    Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, IntervalMonthDayNano,
    IntervalMonthDayNanoType, LargeBinaryType, LargeUtf8Type, StringViewType,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    Utf8Type,
};
use arrow_json::writer::{EncoderOptions, make_encoder};
use bytes::{BufMut, BytesMut};
use rtsap_stream::time::nanos_per;

use super::column::PgType;
use super::numeric::put_numeric;

/// What opens a binary COPY: signature, no flags, no extension.
pub const COPY_HEADER: &[u8] = b"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0";
/// What closes it.
pub const COPY_TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// PostgreSQL counts from 2000-01-01.
const EPOCH_US: i64 = 946_684_800_000_000;
/// The same in days.
const EPOCH_DAYS: i32 = 10_957;
/// Timestamps that PostgreSQL can hold, in microseconds since 2000: 4714 BC to 294276 AD.
const TIMESTAMP_US: std::ops::Range<i64> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// The values of one column, by row.
pub struct ColumnWriter<'a> {
    nulls: Option<NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Bool(&'a BooleanArray),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal(&'a Decimal128Array, u8),
    Text(&'a GenericByteArray<Utf8Type>),
    LargeText(&'a GenericByteArray<LargeUtf8Type>),
    TextView(&'a GenericByteViewArray<StringViewType>),
    Bytes(&'a GenericByteArray<BinaryType>),
    LargeBytes(&'a GenericByteArray<LargeBinaryType>),
    BytesView(&'a GenericByteViewArray<BinaryViewType>),
    Days(&'a [i32]),
    Time(&'a [i64]),
    Timestamp(&'a [i64], TimeUnit),
    Interval(&'a [IntervalMonthDayNano]),
    /// Rendered beforehand: Arrow's JSON encoders cannot be sent between threads.
    Json(BinaryArray),
    List(&'a ListArray, u32, Box<ColumnWriter<'a>>),
}

impl<'a> ColumnWriter<'a> {
    /// A writer of `array`, whose type is that of `field`.
    ///
    /// # Errors
    /// In words, for a type that [`PgType::of`] has no counterpart for.
    pub fn new(field: &'a FieldRef, array: &'a ArrayRef) -> Result<Self, String> {
        let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
        let values = match array.data_type() {
            DataType::Boolean => Values::Bool(array.as_boolean()),
            DataType::Int8 => Values::Int8(slice::<Int8Type>(array)),
            DataType::Int16 => Values::Int16(slice::<Int16Type>(array)),
            DataType::Int32 => Values::Int32(slice::<Int32Type>(array)),
            DataType::Int64 => Values::Int64(slice::<Int64Type>(array)),
            DataType::UInt8 => Values::UInt8(slice::<UInt8Type>(array)),
            DataType::UInt16 => Values::UInt16(slice::<UInt16Type>(array)),
            DataType::UInt32 => Values::UInt32(slice::<UInt32Type>(array)),
            DataType::UInt64 => Values::UInt64(slice::<UInt64Type>(array)),
            DataType::Float32 => Values::Float32(slice::<Float32Type>(array)),
            DataType::Float64 => Values::Float64(slice::<Float64Type>(array)),
            DataType::Decimal128(_, scale @ 0..) => {
                Values::Decimal(array.as_primitive::<Decimal128Type>(), scale.unsigned_abs())
            }
            DataType::Utf8 => Values::Text(array.as_string::<i32>()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string::<i64>()),
            DataType::Utf8View => Values::TextView(array.as_string_view()),
            DataType::Binary => Values::Bytes(array.as_binary::<i32>()),
            DataType::LargeBinary => Values::LargeBytes(array.as_binary::<i64>()),
            DataType::BinaryView => Values::BytesView(array.as_binary_view()),
            DataType::Date32 => Values::Days(slice::<Date32Type>(array)),
            DataType::Time64(TimeUnit::Microsecond) => {
                Values::Time(slice::<Time64MicrosecondType>(array))
            }
            DataType::Timestamp(unit, _) => Values::Timestamp(timestamps(array, *unit), *unit),
            DataType::Interval(_) => Values::Interval(slice::<IntervalMonthDayNanoType>(array)),
            DataType::List(element) => match PgType::of(array.data_type()) {
                Some(PgType::Array(element_type)) => {
                    let list = array.as_list::<i32>();
                    let child = ColumnWriter::new(element, list.values())?;
                    Values::List(list, element_type.oid(), Box::new(child))
                }
                _ => Values::Json(rendered_json(field, array)?),
            },
            DataType::Struct(_) | DataType::Map(..) => Values::Json(rendered_json(field, array)?),
            other => return Err(format!("type {other} cannot be written")),
        };
        Ok(Self { nulls, values })
    }

    /// Appends the value of `row` with its length in front; −1 for NULL.
    ///
    /// # Errors
    /// In words, for a value that PostgreSQL cannot hold.
    pub fn write(&mut self, row: usize, out: &mut BytesMut) -> Result<(), String> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            out.put_i32(-1);
            return Ok(());
        }
        let start = out.len();
        out.put_i32(0);
        self.write_value(row, out)?;
        let length = i32::try_from(out.len() - start - 4)
            .map_err(|_| "the value is longer than 2 GiB".to_owned())?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn write_value(&mut self, row: usize, out: &mut BytesMut) -> Result<(), String> {
        match &mut self.values {
            Values::Bool(values) => out.put_u8(u8::from(values.value(row))),
            Values::Int8(values) => out.put_i16(i16::from(values[row])),
            Values::Int16(values) => out.put_i16(values[row]),
            Values::Int32(values) => out.put_i32(values[row]),
            Values::Int64(values) => out.put_i64(values[row]),
            Values::UInt8(values) => out.put_i16(i16::from(values[row])),
            Values::UInt16(values) => out.put_i32(i32::from(values[row])),
            Values::UInt32(values) => out.put_i64(i64::from(values[row])),
            Values::UInt64(values) => put_numeric(i128::from(values[row]), 0, out),
            Values::Float32(values) => out.put_f32(values[row]),
            Values::Float64(values) => out.put_f64(values[row]),
            Values::Decimal(values, scale) => put_numeric(values.value(row), *scale, out),
            Values::Text(values) => out.put_slice(values.value(row).as_bytes()),
            Values::LargeText(values) => out.put_slice(values.value(row).as_bytes()),
            Values::TextView(values) => out.put_slice(values.value(row).as_bytes()),
            Values::Bytes(values) => out.put_slice(values.value(row)),
            Values::LargeBytes(values) => out.put_slice(values.value(row)),
            Values::BytesView(values) => out.put_slice(values.value(row)),
            Values::Days(values) => {
                let days = values[row].checked_sub(EPOCH_DAYS);
                out.put_i32(days.ok_or("the date is out of PostgreSQL's range")?);
            }
            Values::Time(values) => out.put_i64(values[row]),
            Values::Timestamp(values, unit) => out.put_i64(timestamp(values[row], *unit)?),
            Values::Interval(values) => put_interval(values[row], out)?,
            Values::Json(texts) => {
                // The version of jsonb's binary form.
                out.put_u8(1);
                out.put_slice(texts.value(row));
            }
            Values::List(list, oid, child) => {
                let offsets = list.value_offsets();
                put_list(
                    offsets[row] as usize..offsets[row + 1] as usize,
                    *oid,
                    child,
                    out,
                )?;
            }
        }
        Ok(())
    }
}

fn slice<T: ArrowPrimitiveType>(array: &ArrayRef) -> &[T::Native] {
    let array: &PrimitiveArray<T> = array.as_primitive();
    array.values()
}

fn timestamps(array: &ArrayRef, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => slice::<TimestampSecondType>(array),
        TimeUnit::Millisecond => slice::<TimestampMillisecondType>(array),
        TimeUnit::Microsecond => slice::<TimestampMicrosecondType>(array),
        TimeUnit::Nanosecond => slice::<TimestampNanosecondType>(array),
    }
}

fn rendered_json(field: &FieldRef, array: &ArrayRef) -> Result<BinaryArray, String> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let encoder = make_encoder(field, array.as_ref(), &options);
    let mut encoder = encoder.map_err(|error| error.to_string())?;
    let mut texts = BinaryBuilder::new();
    let mut text = Vec::new();
    for row in 0..array.len() {
        if encoder.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        encoder.encode(row, &mut text);
        texts.append_value(&text);
    }
    Ok(texts.finish())
}

/// A time in `unit` since 1970 as microseconds since 2000, nanoseconds rounded down.
fn timestamp(value: i64, unit: TimeUnit) -> Result<i64, String> {
    const MICRO_NS: i64 = 1_000;
    let micros = match unit {
        TimeUnit::Nanosecond => Some(value.div_euclid(MICRO_NS)),
        coarse => value.checked_mul(nanos_per(coarse) / MICRO_NS),
    };
    let micros = micros.and_then(|micros| micros.checked_sub(EPOCH_US));
    micros
        .filter(|micros| TIMESTAMP_US.contains(micros))
        .ok_or_else(|| "the timestamp is out of PostgreSQL's range".to_owned())
}

fn put_interval(value: IntervalMonthDayNano, out: &mut BytesMut) -> Result<(), String> {
    if value.nanoseconds % 1_000 != 0 {
        return Err("the interval has nanoseconds, which PostgreSQL cannot hold".to_owned());
    }
    out.put_i64(value.nanoseconds / 1_000);
    out.put_i32(value.days);
    out.put_i32(value.months);
    Ok(())
}

fn put_list(
    range: std::ops::Range<usize>,
    oid: u32,
    child: &mut ColumnWriter<'_>,
    out: &mut BytesMut,
) -> Result<(), String> {
    let is_null = |row| {
        child
            .nulls
            .as_ref()
            .is_some_and(|nulls: &NullBuffer| nulls.is_null(row))
    };
    let has_null = range.clone().any(is_null);
    out.put_i32(i32::from(!range.is_empty()));
    out.put_i32(i32::from(has_null));
    out.put_u32(oid);
    if range.is_empty() {
        return Ok(());
    }
    out.put_i32(i32::try_from(range.len()).map_err(|_| "the list is too long".to_owned())?);
    // The index of the first element.
    out.put_i32(1);
    for row in range {
        child.write(row, out)?;
    }
    Ok(())
}
