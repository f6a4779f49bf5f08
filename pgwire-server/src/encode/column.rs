//! One column of a batch, downcast once and brought to the few shapes that PostgreSQL has types
//! for.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array,
    Decimal256Array, Float32Array, Float64Array, Int16Array, Int32Array, Int64Array,
    IntervalMonthDayNanoArray, LargeStringArray, ListArray, StringArray, StringViewArray,
    StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Field, Float32Type, Float64Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};

use crate::encode::number::Places;
use crate::error::Failure;
use crate::oid;

/// A column made ready for writing.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its type on the wire.
    pub(crate) oid: u32,
    /// Its values.
    pub(crate) values: Values,
    nulls: Option<NullBuffer>,
}

/// The values of a column.
#[derive(Debug)]
pub(crate) enum Values {
    /// Nothing but nulls.
    Null,
    /// `bool`.
    Boolean(BooleanArray),
    /// `smallint`.
    Int2(Int16Array),
    /// `integer`.
    Int4(Int32Array),
    /// `bigint`.
    Int8(Int64Array),
    /// `real`.
    Float4(Float32Array),
    /// `double precision`.
    Float8(Float64Array),
    /// `numeric`.
    Decimal128(Decimal128Array, Places),
    /// `numeric`.
    Decimal256(Decimal256Array, Places),
    /// `text`.
    Text(StringArray),
    /// `text`.
    LargeText(LargeStringArray),
    /// `text`.
    TextView(StringViewArray),
    /// `bytea`.
    Bytes(BinaryArray),
    /// `date`.
    Date(Date32Array),
    /// `time`.
    Time(Time64MicrosecondArray),
    /// `timestamp`.
    Timestamp(TimestampMicrosecondArray),
    /// `timestamptz`.
    Instant(TimestampMicrosecondArray),
    /// `interval`.
    Interval(IntervalMonthDayNanoArray),
    /// An array, with its elements.
    List(ListArray, Box<Column>),
    /// A record, with its fields.
    Record(Vec<Column>),
}

impl Column {
    /// Makes a column ready.
    ///
    /// # Errors
    /// `22008` for instants out of range, `0A000` for types without a counterpart.
    pub(crate) fn new(array: &ArrayRef) -> Result<Self, Failure> {
        let oid = oid::pg_type(array.data_type()).oid;
        let nulls = array.logical_nulls();
        let values = values(array)?;
        Ok(Self { oid, values, nulls })
    }

    /// Whether the value in `row` is null.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Whether any value is null.
    pub(crate) fn has_nulls(&self) -> bool {
        self.nulls
            .as_ref()
            .is_some_and(|nulls| nulls.null_count() > 0)
    }
}

fn values(array: &ArrayRef) -> Result<Values, Failure> {
    use DataType as T;
    if let Some(wanted) = shape(array.data_type()) {
        return values(&cast(array, &wanted)?);
    }
    Ok(match array.data_type() {
        T::Null => Values::Null,
        T::Boolean => Values::Boolean(array.as_boolean().clone()),
        T::Int16 => Values::Int2(array.as_primitive::<Int16Type>().clone()),
        T::Int32 => Values::Int4(array.as_primitive::<Int32Type>().clone()),
        T::Int64 => Values::Int8(array.as_primitive::<Int64Type>().clone()),
        T::Float32 => Values::Float4(array.as_primitive::<Float32Type>().clone()),
        T::Float64 => Values::Float8(array.as_primitive::<Float64Type>().clone()),
        T::Decimal128(precision, scale) => {
            let places = Places::of(*precision, *scale);
            Values::Decimal128(array.as_primitive::<Decimal128Type>().clone(), places)
        }
        T::Decimal256(precision, scale) => {
            let places = Places::of(*precision, *scale);
            Values::Decimal256(array.as_primitive::<Decimal256Type>().clone(), places)
        }
        T::Utf8 => Values::Text(array.as_string::<i32>().clone()),
        T::LargeUtf8 => Values::LargeText(array.as_string::<i64>().clone()),
        T::Utf8View => Values::TextView(array.as_string_view().clone()),
        T::Binary => Values::Bytes(array.as_binary::<i32>().clone()),
        T::Date32 => Values::Date(array.as_primitive::<Date32Type>().clone()),
        T::Time64(TimeUnit::Microsecond) => {
            Values::Time(array.as_primitive::<Time64MicrosecondType>().clone())
        }
        T::Timestamp(unit, zone) => {
            let instants = microseconds(array, *unit)?;
            if zone.is_some() {
                Values::Instant(instants)
            } else {
                Values::Timestamp(instants)
            }
        }
        T::Interval(IntervalUnit::MonthDayNano) => {
            Values::Interval(array.as_primitive::<IntervalMonthDayNanoType>().clone())
        }
        T::List(_) => {
            let list = array.as_list::<i32>().clone();
            let elements = Column::new(list.values())?;
            Values::List(list, Box::new(elements))
        }
        T::Struct(_) => Values::Record(fields(array.as_struct())?),
        other => {
            let message = format!("results of type {other} cannot be sent over this protocol");
            return Err(Failure::new("0A000", message).hint("Cast the column to text."));
        }
    })
}

fn fields(record: &StructArray) -> Result<Vec<Column>, Failure> {
    record.columns().iter().map(Column::new).collect()
}

/// The type to cast to first, for types that are written like another.
fn shape(data_type: &DataType) -> Option<DataType> {
    use DataType as T;
    Some(match data_type {
        T::Int8 | T::UInt8 => T::Int16,
        T::UInt16 => T::Int32,
        T::UInt32 | T::UInt64 => T::Int64,
        T::Float16 => T::Float32,
        T::Decimal32(precision, scale) | T::Decimal64(precision, scale) => {
            T::Decimal128(*precision, *scale)
        }
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => T::Binary,
        T::Date64 => T::Date32,
        T::Time32(_)
        | T::Time64(TimeUnit::Nanosecond | TimeUnit::Second | TimeUnit::Millisecond) => {
            T::Time64(TimeUnit::Microsecond)
        }
        T::Interval(IntervalUnit::YearMonth | IntervalUnit::DayTime) | T::Duration(_) => {
            T::Interval(IntervalUnit::MonthDayNano)
        }
        T::LargeList(item)
        | T::FixedSizeList(item, _)
        | T::ListView(item)
        | T::LargeListView(item) => T::List(Arc::clone(item)),
        T::Map(entries, _) => {
            let item = Field::new("item", entries.data_type().clone(), true);
            T::List(Arc::new(item))
        }
        T::Dictionary(_, value) => value.as_ref().clone(),
        T::RunEndEncoded(_, values) => values.data_type().clone(),
        _ => return None,
    })
}

/// A cast that fails rather than put nulls where values do not fit.
fn cast(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Failure> {
    if matches!(array.data_type(), DataType::Duration(_)) {
        return Ok(Arc::new(in_days(&plain_cast(array, wanted)?)));
    }
    plain_cast(array, wanted)
}

/// What lies between two timestamps, in days and a time, as PostgreSQL subtracts them.
fn in_days(array: &ArrayRef) -> IntervalMonthDayNanoArray {
    const DAY: i64 = 86_400_000_000_000;
    let between = array.as_primitive::<IntervalMonthDayNanoType>();
    between.unary(|value| {
        let days = i32::try_from(value.nanoseconds / DAY).unwrap_or(i32::MAX);
        IntervalMonthDayNano::new(value.months, value.days + days, value.nanoseconds % DAY)
    })
}

fn plain_cast(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Failure> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    Ok(cast_with_options(array, wanted, &strict)?)
}

/// Instants in microseconds. Nanoseconds are rounded down, so that no instant moves into the
/// future.
fn microseconds(array: &ArrayRef, unit: TimeUnit) -> Result<TimestampMicrosecondArray, Failure> {
    let out_of_range = || Failure::new("22008", "timestamp out of range");
    Ok(match unit {
        TimeUnit::Microsecond => array.as_primitive::<TimestampMicrosecondType>().clone(),
        TimeUnit::Nanosecond => {
            let nanoseconds = array.as_primitive::<TimestampNanosecondType>();
            nanoseconds.unary(|value| value.div_euclid(1_000))
        }
        TimeUnit::Second | TimeUnit::Millisecond => {
            let DataType::Timestamp(_, zone) = array.data_type() else {
                return Err(out_of_range());
            };
            let wanted = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let cast = cast(array, &wanted).map_err(|_| out_of_range())?;
            cast.as_primitive::<TimestampMicrosecondType>().clone()
        }
    })
}
