//! Columns under construction: values are appended to plain vectors, taken back by cutting them
//! off, and handed to Arrow without a copy. Knows no format.
//!
//! A row that turns out bad is undone by [`Column::truncate`] on every column, so it never disturbs
//! its neighbours.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, ListArray,
    NullBufferBuilder, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, ArrowTimestampType, DataType, Date32Type, FieldRef, Fields, Float32Type,
    Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;

/// A column under construction.
pub(crate) struct Column {
    pub(crate) data_type: DataType,
    pub(crate) nullable: bool,
    pub(crate) values: Values,
    nulls: NullBufferBuilder,
    len: usize,
}

/// The values of a column, one for each row, null or not.
pub(crate) enum Values {
    Boolean(BooleanBufferBuilder),
    Int8(Vec<i8>),
    Int16(Vec<i16>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float32(Vec<f32>),
    Float64(Vec<f64>),
    /// Scaled integers; `scale` digits are behind the point.
    Decimal {
        values: Vec<i128>,
        precision: u8,
        scale: i8,
    },
    Text(Bytes),
    Binary(Bytes),
    Date(Vec<i32>),
    Timestamp {
        values: Vec<i64>,
        unit: TimeUnit,
        zone: Option<Arc<str>>,
    },
    Struct {
        fields: Fields,
        columns: Vec<Column>,
    },
    List {
        element: FieldRef,
        offsets: Vec<i32>,
        column: Box<Column>,
    },
}

/// Byte strings end to end. `offsets` has one entry more than there are strings.
pub(crate) struct Bytes {
    offsets: Vec<i32>,
    pub(crate) data: Vec<u8>,
}

impl Bytes {
    fn new() -> Self {
        Self {
            offsets: vec![0],
            data: Vec::new(),
        }
    }

    /// Makes what was pushed to `data` since the last call the next string; false if offsets of 32
    /// bits end here.
    #[must_use]
    #[inline]
    pub(crate) fn seal(&mut self) -> bool {
        match i32::try_from(self.data.len()) {
            Ok(end) => {
                self.offsets.push(end);
                true
            }
            Err(_) => false,
        }
    }

    fn truncate(&mut self, len: usize) {
        self.offsets.truncate(len + 1);
        self.data
            .truncate(usize::try_from(self.offsets.last().copied().unwrap_or(0)).unwrap_or(0));
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let taken = std::mem::replace(self, Self::new());
        // Text of the next batch is likely as long.
        self.data.reserve(taken.data.len());
        (offset_buffer(taken.offsets), Buffer::from_vec(taken.data))
    }
}

impl Column {
    /// An empty column; `None` for a type that no format can fill.
    pub(crate) fn new(data_type: &DataType, nullable: bool) -> Option<Self> {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            DataType::Int8 => Values::Int8(Vec::new()),
            DataType::Int16 => Values::Int16(Vec::new()),
            DataType::Int32 => Values::Int32(Vec::new()),
            DataType::Int64 => Values::Int64(Vec::new()),
            DataType::Float32 => Values::Float32(Vec::new()),
            DataType::Float64 => Values::Float64(Vec::new()),
            DataType::Decimal128(precision, scale) => Values::Decimal {
                values: Vec::new(),
                precision: *precision,
                scale: *scale,
            },
            DataType::Utf8 => Values::Text(Bytes::new()),
            DataType::Binary => Values::Binary(Bytes::new()),
            DataType::Date32 => Values::Date(Vec::new()),
            DataType::Timestamp(unit, zone) => Values::Timestamp {
                values: Vec::new(),
                unit: *unit,
                zone: zone.clone(),
            },
            DataType::Struct(fields) => {
                let columns = fields
                    .iter()
                    .map(|f| Self::new(f.data_type(), f.is_nullable()));
                Values::Struct {
                    fields: fields.clone(),
                    columns: columns.collect::<Option<_>>()?,
                }
            }
            DataType::List(element) => Values::List {
                element: Arc::clone(element),
                offsets: vec![0],
                column: Box::new(Self::new(element.data_type(), element.is_nullable())?),
            },
            _ => return None,
        };
        let nulls = NullBufferBuilder::new(0);
        Some(Self {
            data_type: data_type.clone(),
            nullable,
            values,
            nulls,
            len: 0,
        })
    }

    /// Number of rows.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Notes that one value was pushed to `values`.
    #[inline]
    pub(crate) fn pushed(&mut self) {
        self.nulls.append_non_null();
        self.len += 1;
    }

    /// Appends a null, or, in a column that has none, a placeholder below a null parent.
    pub(crate) fn push_null(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.append(false),
            Values::Int8(values) => values.push(0),
            Values::Int16(values) => values.push(0),
            Values::Int32(values) | Values::Date(values) => values.push(0),
            Values::Int64(values) | Values::Timestamp { values, .. } => values.push(0),
            Values::Float32(values) => values.push(0.0),
            Values::Float64(values) => values.push(0.0),
            Values::Decimal { values, .. } => values.push(0),
            Values::Text(bytes) | Values::Binary(bytes) => {
                let end = bytes.offsets.last().copied().unwrap_or(0);
                bytes.offsets.push(end);
            }
            Values::Struct { columns, .. } => columns.iter_mut().for_each(Self::push_null),
            Values::List { offsets, .. } => offsets.push(offsets.last().copied().unwrap_or(0)),
        }
        self.nulls.append(!self.nullable);
        self.len += 1;
    }

    /// Cuts everything behind the first `len` rows off, half-written values included.
    pub(crate) fn truncate(&mut self, len: usize) {
        match &mut self.values {
            Values::Boolean(values) => values.truncate(len),
            Values::Int8(values) => values.truncate(len),
            Values::Int16(values) => values.truncate(len),
            Values::Int32(values) | Values::Date(values) => values.truncate(len),
            Values::Int64(values) | Values::Timestamp { values, .. } => values.truncate(len),
            Values::Float32(values) => values.truncate(len),
            Values::Float64(values) => values.truncate(len),
            Values::Decimal { values, .. } => values.truncate(len),
            Values::Text(bytes) | Values::Binary(bytes) => bytes.truncate(len),
            Values::Struct { columns, .. } => columns.iter_mut().for_each(|c| c.truncate(len)),
            Values::List {
                offsets, column, ..
            } => {
                offsets.truncate(len + 1);
                let end = offsets.last().copied().unwrap_or(0);
                column.truncate(usize::try_from(end).unwrap_or(0));
            }
        }
        if len < self.len {
            self.nulls.truncate(len);
            self.len = len;
        }
    }

    /// Makes room for `rows` more.
    pub(crate) fn reserve(&mut self, rows: usize) {
        match &mut self.values {
            Values::Boolean(values) => values.reserve(rows),
            Values::Int8(values) => values.reserve(rows),
            Values::Int16(values) => values.reserve(rows),
            Values::Int32(values) | Values::Date(values) => values.reserve(rows),
            Values::Int64(values) | Values::Timestamp { values, .. } => values.reserve(rows),
            Values::Float32(values) => values.reserve(rows),
            Values::Float64(values) => values.reserve(rows),
            Values::Decimal { values, .. } => values.reserve(rows),
            Values::Text(bytes) | Values::Binary(bytes) => bytes.offsets.reserve(rows),
            Values::Struct { columns, .. } => columns.iter_mut().for_each(|c| c.reserve(rows)),
            Values::List { offsets, .. } => offsets.reserve(rows),
        }
    }

    /// The rows so far as an array; the column is empty afterwards.
    ///
    /// # Errors
    /// If Arrow finds the parts inconsistent, which would be a bug here.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let nulls = self.nulls.finish();
        let len = std::mem::take(&mut self.len);
        Ok(match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::Int8(values) => primitive::<Int8Type>(values, nulls)?,
            Values::Int16(values) => primitive::<Int16Type>(values, nulls)?,
            Values::Int32(values) => primitive::<Int32Type>(values, nulls)?,
            Values::Int64(values) => primitive::<Int64Type>(values, nulls)?,
            Values::Float32(values) => primitive::<Float32Type>(values, nulls)?,
            Values::Float64(values) => primitive::<Float64Type>(values, nulls)?,
            Values::Date(values) => primitive::<Date32Type>(values, nulls)?,
            Values::Decimal {
                values,
                precision,
                scale,
            } => {
                let values = ScalarBuffer::from(std::mem::take(values));
                let array = Decimal128Array::try_new(values, nulls)?;
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            Values::Text(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(StringArray::try_new(offsets, data, nulls)?)
            }
            Values::Binary(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(BinaryArray::try_new(offsets, data, nulls)?)
            }
            Values::Timestamp { values, unit, zone } => match unit {
                TimeUnit::Second => timestamps::<TimestampSecondType>(values, nulls, zone)?,
                TimeUnit::Millisecond => {
                    timestamps::<TimestampMillisecondType>(values, nulls, zone)?
                }
                TimeUnit::Microsecond => {
                    timestamps::<TimestampMicrosecondType>(values, nulls, zone)?
                }
                TimeUnit::Nanosecond => timestamps::<TimestampNanosecondType>(values, nulls, zone)?,
            },
            Values::Struct { fields, columns } => {
                let arrays = columns
                    .iter_mut()
                    .map(Self::finish)
                    .collect::<Result<Vec<_>, _>>()?;
                let fields = fields.clone();
                Arc::new(StructArray::try_new_with_length(
                    fields, arrays, nulls, len,
                )?)
            }
            Values::List {
                element,
                offsets,
                column,
            } => {
                let offsets = offset_buffer(std::mem::replace(offsets, vec![0]));
                let element = Arc::clone(element);
                Arc::new(ListArray::try_new(
                    element,
                    offsets,
                    column.finish()?,
                    nulls,
                )?)
            }
        })
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef, ArrowError> {
    let values = ScalarBuffer::from(std::mem::take(values));
    let array: Arc<dyn Array> = Arc::new(PrimitiveArray::<T>::try_new(values, nulls)?);
    Ok(array)
}

fn timestamps<T: ArrowTimestampType>(
    values: &mut Vec<i64>,
    nulls: Option<NullBuffer>,
    zone: &Option<Arc<str>>,
) -> Result<ArrayRef, ArrowError> {
    let values = ScalarBuffer::from(std::mem::take(values));
    let array = PrimitiveArray::<T>::try_new(values, nulls)?;
    Ok(Arc::new(array.with_timezone_opt(zone.clone())))
}

fn offset_buffer(offsets: Vec<i32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::from(offsets))
}
