//! Columns as comparable keys: timestamps, integers, floats and decimals become `i64` or `i128`
//! whose order is that of the values. NaN and infinities have no place in it and count as null.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array};
use datafusion::arrow::buffer::{NullBuffer, ScalarBuffer};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    ArrowNativeType, ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DataType, Decimal128Type,
    Float64Type, Int64Type, UInt64Type,
};
use datafusion::common::{Result, internal_err};

/// The keys of one column: *n* values, of which the null ones mean nothing.
pub(crate) struct Keys<K: ArrowNativeType> {
    /// The key of each row.
    pub(crate) values: ScalarBuffer<K>,
    /// Rows without a key.
    pub(crate) nulls: Option<NullBuffer>,
}

impl<K: ArrowNativeType> Keys<K> {
    /// Returns whether `row` has no key.
    pub(crate) fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

/// A comparable key, read from columns and kept in partial states.
pub(crate) trait Key: ArrowNativeType + Ord {
    /// The type of the key in a partial state.
    const STATE_TYPE: DataType;

    /// Reads the keys of an argument column.
    ///
    /// # Errors
    /// If the column has no order of this kind; planning refuses those.
    fn read(column: &ArrayRef) -> Result<Keys<Self>>;

    /// Writes keys of a partial state.
    fn write(keys: impl Iterator<Item = Option<Self>>) -> ArrayRef;

    /// Reads keys that `write` wrote.
    fn restore(column: &ArrayRef) -> Keys<Self>;
}

/// Returns whether `data_type` can be a key, and whether it needs 128 bits.
pub(crate) fn key_width(data_type: &DataType) -> Option<KeyWidth> {
    match data_type {
        DataType::Decimal128(..) => Some(KeyWidth::Wide),
        DataType::Null | DataType::Float64 | DataType::Boolean => Some(KeyWidth::Narrow),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Some(KeyWidth::Narrow),
        DataType::Time32(_) | DataType::Time64(_) | DataType::Duration(_) => Some(KeyWidth::Narrow),
        _ if data_type.is_integer() || data_type.is_floating() => Some(KeyWidth::Narrow),
        _ => None,
    }
}

/// How many bits a key needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyWidth {
    /// 64 bits.
    Narrow,
    /// 128 bits.
    Wide,
}

impl Key for i64 {
    const STATE_TYPE: DataType = DataType::Int64;

    fn read(column: &ArrayRef) -> Result<Keys<i64>> {
        match column.data_type() {
            DataType::Float64 => Ok(float_keys(column)),
            DataType::Float16 | DataType::Float32 => {
                Ok(float_keys(&cast(column, &DataType::Float64)?))
            }
            DataType::UInt64 => {
                let values = column.as_primitive::<UInt64Type>();
                let keys = values.unary::<_, Int64Type>(|value| (value ^ (1 << 63)).cast_signed());
                Ok(parts(&keys))
            }
            _ => Ok(parts(
                cast(column, &DataType::Int64)?.as_primitive::<Int64Type>(),
            )),
        }
    }

    fn write(keys: impl Iterator<Item = Option<i64>>) -> ArrayRef {
        Arc::new(keys.collect::<Int64Array>())
    }

    fn restore(column: &ArrayRef) -> Keys<i64> {
        parts(column.as_primitive::<Int64Type>())
    }
}

impl Key for i128 {
    const STATE_TYPE: DataType = DataType::Decimal128(DECIMAL128_MAX_PRECISION, 0);

    fn read(column: &ArrayRef) -> Result<Keys<i128>> {
        match column.data_type() {
            DataType::Decimal128(..) => Ok(parts(column.as_primitive::<Decimal128Type>())),
            other => internal_err!("cannot read keys of 128 bits from {other}"),
        }
    }

    fn write(keys: impl Iterator<Item = Option<i128>>) -> ArrayRef {
        Arc::new(
            keys.collect::<Decimal128Array>()
                .with_data_type(Self::STATE_TYPE),
        )
    }

    fn restore(column: &ArrayRef) -> Keys<i128> {
        parts(column.as_primitive::<Decimal128Type>())
    }
}

fn parts<T: ArrowPrimitiveType>(
    column: &datafusion::arrow::array::PrimitiveArray<T>,
) -> Keys<T::Native> {
    Keys {
        values: column.values().clone(),
        nulls: column.nulls().cloned(),
    }
}

/// Maps floats to integers of the same order (IEEE 754 totalOrder, with one zero).
fn float_keys(column: &ArrayRef) -> Keys<i64> {
    let column = column.as_primitive::<Float64Type>();
    let key = |value: f64| {
        let bits = (value + 0.0).to_bits().cast_signed();
        bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
    };
    let keys: ScalarBuffer<i64> = column.values().iter().map(|&value| key(value)).collect();
    let finite = NullBuffer::from_iter(column.values().iter().map(|value| value.is_finite()));
    let nulls = NullBuffer::union(column.nulls(), Some(&finite));
    Keys {
        values: keys,
        nulls: nulls.filter(|nulls| nulls.null_count() > 0),
    }
}

#[cfg(test)]
mod tests;
