//! `first_value` and `last_value`, ordered by at most one column that maps to 64 bits.
//!
//! Of rows that are equal in order, `first_value` takes the earliest arrival and `last_value` the
//! latest. Without ORDER BY all rows are equal in order. Where windows share slices, a row in a
//! later slice counts as the later one.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, UInt8Array};
use arrow::compute::SortOptions;
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::common::{Result, not_impl_err};

use super::Rows;
use super::native::{Kernel, argument, primitive};
use super::values::Values;

/// Rank of nulls that come first.
const NULL_FIRST: u8 = 0;
/// Rank of everything that is not null.
const VALUE: u8 = 1;
/// Rank of nulls that come last.
const NULL_LAST: u8 = 2;
/// Rank of a group without a row.
const UNSET: u8 = 255;

/// Whether [`FirstLast`] can order by a column of this type.
pub const fn orders_by(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32
            | DataType::UInt64
            | DataType::Float64
            | DataType::Date32
            | DataType::Date64
            | DataType::Timestamp(_, _)
    )
}

/// The first or the last value of each group.
pub struct FirstLast<V: Values> {
    values: V,
    last: bool,
    skips_nulls: bool,
    order: Option<SortOptions>,
    heap_bytes: usize,
}

/// The row of a group that is first (or last) up to now.
///
/// A million groups of doubles are 24 MB: that the value is valid is kept apart from it.
#[derive(Clone)]
pub struct Picked<I> {
    key: i64,
    value: I,
    rank: u8,
    valid: bool,
}

impl<I: Default> Default for Picked<I> {
    fn default() -> Self {
        Self {
            key: 0,
            value: I::default(),
            rank: UNSET,
            valid: false,
        }
    }
}

impl<I> Picked<I> {
    /// The value, unless it is null or there was no row.
    fn value(&self) -> Option<&I> {
        self.valid.then_some(&self.value)
    }

    /// Whether a row that arrives now takes the place.
    #[inline]
    fn yields(&self, last: bool, rank: u8, key: i64) -> bool {
        let (new, old) = ((rank, key), (self.rank, self.key));
        self.rank == UNSET || if last { new >= old } else { new < old }
    }
}

impl<V: Values> FirstLast<V> {
    /// `last`: the last value, else the first; `skips_nulls`: IGNORE NULLS; `order`: of the one
    /// ORDER BY column.
    pub const fn new(values: V, last: bool, skips_nulls: bool, order: Option<SortOptions>) -> Self {
        Self {
            values,
            last,
            skips_nulls,
            order,
            heap_bytes: 0,
        }
    }

    fn set(heap_bytes: &mut usize, state: &mut Picked<V::Item>, value: Option<V::Item>) {
        *heap_bytes -= V::heap_bytes(&state.value);
        state.valid = value.is_some();
        state.value = value.unwrap_or_default();
        *heap_bytes += V::heap_bytes(&state.value);
    }
}

impl<V: Values> Kernel for FirstLast<V> {
    type State = Picked<V::Item>;

    fn update(&mut self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        let array = argument(rows.values, 0)?;
        let column = self.values.column(array)?;
        let nulls = array.nulls();
        let order = match self.order {
            None => None,
            Some(options) => Some(OrderKeys::of(argument(rows.values, 1)?, options)?),
        };
        let (last, mut heap_bytes) = (self.last, self.heap_bytes);
        let skipped = if self.skips_nulls { nulls } else { None };
        rows.each(skipped, |row, group| {
            let (rank, key) = order.as_ref().map_or((VALUE, 0), |order| order.of_row(row));
            let state = &mut states[group];
            if state.yields(last, rank, key) {
                (state.rank, state.key) = (rank, key);
                let valid = nulls.is_none_or(|nulls| nulls.is_valid(row));
                let value = valid.then(|| V::own(V::view(&column, row)));
                Self::set(&mut heap_bytes, state, value);
            }
        });
        self.heap_bytes = heap_bytes;
        Ok(())
    }

    fn merge(
        &mut self,
        states: &mut [Self::State],
        partial: &[ArrayRef],
        groups: &[usize],
    ) -> Result<()> {
        let array = argument(partial, 0)?;
        let column = self.values.column(array)?;
        let keys = primitive::<Int64Type>(partial, 1)?;
        let ranks = primitive::<UInt8Type>(partial, 2)?;
        for (row, group) in groups.iter().enumerate() {
            let (key, rank) = (keys.value(row), ranks.value(row));
            let state = &mut states[*group];
            if rank != UNSET && state.yields(self.last, rank, key) {
                (state.rank, state.key) = (rank, key);
                let value = array.is_valid(row).then(|| V::own(V::view(&column, row)));
                Self::set(&mut self.heap_bytes, state, value);
            }
        }
        Ok(())
    }

    fn read(&self, states: &[Self::State], groups: &[usize]) -> Result<ArrayRef> {
        self.values
            .array(groups.iter().map(|group| states[*group].value()))
    }

    fn partial(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let values = self.values.array(states.iter().map(Picked::value))?;
        let keys = Int64Array::from_iter_values(states.iter().map(|state| state.key));
        let ranks = UInt8Array::from_iter_values(states.iter().map(|state| state.rank));
        Ok(vec![values, Arc::new(keys), Arc::new(ranks)])
    }

    fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }
}

/// An ORDER BY column as pairs that compare like its rows.
struct OrderKeys<'a> {
    keys: Cow<'a, [i64]>,
    /// Absent when no row is null.
    ranks: Option<Vec<u8>>,
}

impl<'a> OrderKeys<'a> {
    fn of(array: &'a ArrayRef, options: SortOptions) -> Result<Self> {
        let mut keys = sort_bits(array)?;
        if options.descending {
            keys.to_mut().iter_mut().for_each(|key| *key = !*key);
        }
        let null_rank = if options.nulls_first {
            NULL_FIRST
        } else {
            NULL_LAST
        };
        let ranks = array
            .nulls()
            .filter(|nulls| nulls.null_count() > 0)
            .map(|nulls| {
                // What stands in a null slot is arbitrary and must not order nulls among each
                // other.
                let keys = keys.to_mut();
                let rank = |row| {
                    if nulls.is_valid(row) {
                        VALUE
                    } else {
                        null_rank
                    }
                };
                (0..nulls.len())
                    .filter(|row| nulls.is_null(*row))
                    .for_each(|row| keys[row] = 0);
                (0..nulls.len()).map(rank).collect()
            });
        Ok(Self { keys, ranks })
    }

    #[inline]
    fn of_row(&self, row: usize) -> (u8, i64) {
        (
            self.ranks.as_ref().map_or(VALUE, |ranks| ranks[row]),
            self.keys[row],
        )
    }
}

/// Returns integers that compare like the values of `array`.
fn sort_bits(array: &ArrayRef) -> Result<Cow<'_, [i64]>> {
    macro_rules! widened {
        ($t:ty) => {
            array
                .as_primitive::<$t>()
                .values()
                .iter()
                .map(|value| i64::from(*value))
                .collect()
        };
    }
    Ok(match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().values().as_ref().into(),
        DataType::Date64 => array.as_primitive::<Date64Type>().values().as_ref().into(),
        DataType::Timestamp(unit, _) => match unit {
            TimeUnit::Second => array
                .as_primitive::<TimestampSecondType>()
                .values()
                .as_ref(),
            TimeUnit::Millisecond => array
                .as_primitive::<TimestampMillisecondType>()
                .values()
                .as_ref(),
            TimeUnit::Microsecond => array
                .as_primitive::<TimestampMicrosecondType>()
                .values()
                .as_ref(),
            TimeUnit::Nanosecond => array
                .as_primitive::<TimestampNanosecondType>()
                .values()
                .as_ref(),
        }
        .into(),
        DataType::Int8 => widened!(Int8Type),
        DataType::Int16 => widened!(Int16Type),
        DataType::Int32 => widened!(Int32Type),
        DataType::Date32 => widened!(Date32Type),
        DataType::UInt8 => widened!(UInt8Type),
        DataType::UInt16 => widened!(UInt16Type),
        DataType::UInt32 => widened!(UInt32Type),
        DataType::UInt64 => {
            let values = array.as_primitive::<UInt64Type>().values();
            values
                .iter()
                .map(|value| (value ^ (1 << 63)).cast_signed())
                .collect()
        }
        DataType::Float64 => {
            let values = array.as_primitive::<Float64Type>().values();
            values.iter().map(|value| float_bits(*value)).collect()
        }
        other => return not_impl_err!("first and last value ordered by {other}"),
    })
}

/// The bits of IEEE 754's total order, as Arrow sorts floats.
fn float_bits(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ (((bits >> 63).cast_unsigned() >> 1).cast_signed())
}
