//! How a picked value is kept per group: fixed-width values as they are, all others as scalars.

use std::fmt::{Debug, Formatter};
use std::marker::PhantomData;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, ArrowNativeTypeOp, AsArray, PrimitiveArray, PrimitiveBuilder, new_empty_array,
};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal128Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use datafusion::common::{Result, ScalarValue};

use super::{Pick, PickFold};
use crate::fold::AnyFold;
use crate::ordering::Key;

/// Keeps values of one type beside keys of one kind.
pub(super) trait Store: Debug + Send + Sync + 'static {
    /// The keys that values compete by.
    type Key: Key;
    /// A kept value.
    type Value: Clone + Debug + Default + Send + Sync;
    /// A column of values, opened.
    type Column;

    /// Returns the type of the values.
    fn data_type(&self) -> DataType;
    /// Opens a column of values.
    ///
    /// # Errors
    /// If it is not of the store's type.
    fn open(&self, column: &ArrayRef) -> Result<Self::Column>;
    /// Returns whether the value of a row that is not null may win: no NaN, no infinity.
    fn usable(&self, column: &Self::Column, row: usize) -> bool;
    /// Keeps the value of `row`.
    ///
    /// # Errors
    /// If the value cannot be read.
    fn set(&self, value: &mut Self::Value, column: &Self::Column, row: usize) -> Result<()>;
    /// Writes kept values as a column.
    ///
    /// # Errors
    /// If the values do not make a column.
    fn column<'a>(
        &self,
        values: impl ExactSizeIterator<Item = Option<&'a Self::Value>>,
    ) -> Result<ArrayRef>;
    /// Returns the bytes a value owns outside itself.
    fn heap_bytes(&self, _value: &Self::Value) -> usize {
        0
    }
}

/// Fixed-width values.
pub(super) struct Fixed<K, T> {
    data_type: DataType,
    marker: PhantomData<fn() -> (K, T)>,
}

impl<K, T> Debug for Fixed<K, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fixed({})", self.data_type)
    }
}

impl<K: Key, T: ArrowPrimitiveType<Native: Default>> Store for Fixed<K, T> {
    type Key = K;
    type Value = T::Native;
    type Column = PrimitiveArray<T>;

    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn open(&self, column: &ArrayRef) -> Result<Self::Column> {
        Ok(column.as_primitive::<T>().clone())
    }

    fn usable(&self, column: &Self::Column, row: usize) -> bool {
        finite::<T>(column.value(row))
    }

    fn set(&self, value: &mut Self::Value, column: &Self::Column, row: usize) -> Result<()> {
        *value = column.value(row);
        Ok(())
    }

    fn column<'a>(
        &self,
        values: impl ExactSizeIterator<Item = Option<&'a Self::Value>>,
    ) -> Result<ArrayRef> {
        let mut builder = PrimitiveBuilder::<T>::with_capacity(values.len());
        for value in values {
            builder.append_option(value.copied());
        }
        Ok(Arc::new(
            builder.finish().with_data_type(self.data_type.clone()),
        ))
    }
}

/// Values of any other type.
#[derive(Debug)]
pub(super) struct Scalars<K> {
    data_type: DataType,
    marker: PhantomData<K>,
}

impl<K: Key> Store for Scalars<K> {
    type Key = K;
    type Value = Option<ScalarValue>;
    type Column = ArrayRef;

    fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    fn open(&self, column: &ArrayRef) -> Result<Self::Column> {
        Ok(Arc::clone(column))
    }

    fn usable(&self, _column: &Self::Column, _row: usize) -> bool {
        true
    }

    fn set(&self, value: &mut Self::Value, column: &Self::Column, row: usize) -> Result<()> {
        // Compacted, so that one kept row does not keep its whole batch in memory.
        *value = Some(ScalarValue::try_from_array(column, row)?.compacted());
        Ok(())
    }

    fn column<'a>(
        &self,
        values: impl ExactSizeIterator<Item = Option<&'a Self::Value>>,
    ) -> Result<ArrayRef> {
        let null = ScalarValue::try_from(&self.data_type)?;
        let scalar = |value: Option<&Self::Value>| value.cloned().flatten();
        let scalars: Vec<_> = values
            .map(|value| scalar(value).unwrap_or_else(|| null.clone()))
            .collect();
        if scalars.is_empty() {
            return Ok(new_empty_array(&self.data_type));
        }
        ScalarValue::iter_to_array(scalars)
    }

    fn heap_bytes(&self, value: &Self::Value) -> usize {
        value.as_ref().map_or(0, |value| {
            value.size().saturating_sub(size_of::<ScalarValue>())
        })
    }
}

/// Chooses the store for values of `value` and makes the fold.
pub(super) fn with_store<K: Key>(pick: Pick, value: DataType) -> Box<dyn AnyFold> {
    fn fixed<K: Key, T: ArrowPrimitiveType<Native: Default>>(
        pick: Pick,
        data_type: DataType,
    ) -> Box<dyn AnyFold> {
        Box::new(PickFold {
            pick,
            store: Fixed::<K, T> {
                data_type,
                marker: PhantomData,
            },
        })
    }
    let make = match &value {
        DataType::Int8 => fixed::<K, Int8Type>,
        DataType::Int16 => fixed::<K, Int16Type>,
        DataType::Int32 => fixed::<K, Int32Type>,
        DataType::Int64 => fixed::<K, Int64Type>,
        DataType::UInt8 => fixed::<K, UInt8Type>,
        DataType::UInt16 => fixed::<K, UInt16Type>,
        DataType::UInt32 => fixed::<K, UInt32Type>,
        DataType::UInt64 => fixed::<K, UInt64Type>,
        DataType::Float32 => fixed::<K, Float32Type>,
        DataType::Float64 => fixed::<K, Float64Type>,
        DataType::Decimal128(..) => fixed::<K, Decimal128Type>,
        DataType::Date32 => fixed::<K, Date32Type>,
        DataType::Date64 => fixed::<K, Date64Type>,
        DataType::Timestamp(TimeUnit::Second, _) => fixed::<K, TimestampSecondType>,
        DataType::Timestamp(TimeUnit::Millisecond, _) => fixed::<K, TimestampMillisecondType>,
        DataType::Timestamp(TimeUnit::Microsecond, _) => fixed::<K, TimestampMicrosecondType>,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => fixed::<K, TimestampNanosecondType>,
        _ => {
            let store = Scalars::<K> {
                data_type: value,
                marker: PhantomData,
            };
            return Box::new(PickFold { pick, store });
        }
    };
    make(pick, value)
}

/// Returns whether a value is neither NaN nor infinite: only those differ from themselves by
/// something else than zero.
fn finite<T: ArrowPrimitiveType>(value: T::Native) -> bool {
    value.sub_wrapping(value).is_zero()
}
