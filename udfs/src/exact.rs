//! Sums from which values can be taken away again without a trace: what aggregates over rows that
//! change are made of.
//!
//! What is read from such a sum depends on the values that are in it and on nothing else: not on
//! their order, nor on values that came and went.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, ListArray};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Float64Type, Int64Type, i256};
use datafusion::common::Result;

use crate::weighting::{Compensated, RunningSum};

/// The magnitude from which on a value is only counted: 2^990, of which more than 2^33 values can
/// be added before a double overflows.
const VALUE_MAX: f64 = f64::from_bits((990 + 1023) << 52);

/// A sum of parts `S` that can be taken away again.
pub(crate) trait ReversibleSum<S>: Clone + Debug + Default + Send + Sync + 'static {
    /// The types of the columns of one sum.
    fn column_types() -> Vec<DataType>;

    /// Writes sums as columns of `column_types`.
    ///
    /// # Errors
    /// If there are more parts than a list may hold.
    fn to_columns(sums: &[Self]) -> Result<Vec<ArrayRef>>;

    /// Reads the sum of `row` from columns that `to_columns` wrote.
    fn from_columns(columns: &[ArrayRef], row: usize) -> Self;

    /// Adds a part, or takes it away if `weight` is negative; `None` if the range is left.
    fn add(&mut self, part: S, weight: i8) -> Option<()>;

    /// Adds another sum; `None` if the range is left.
    fn merge(&mut self, other: &Self) -> Option<()>;

    /// Returns the sum.
    fn sum(&self) -> S;

    /// Returns the bytes that it owns outside itself.
    fn heap_bytes(&self) -> usize;
}

/// A sum of floats without any rounding.
///
/// It is kept as floats that do not overlap, least first (Shewchuk, "Adaptive Precision
/// Floating-Point Arithmetic", 1997); most sums need two or three.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ExactSum {
    parts: Vec<f64>,
    /// How many values are in it that are infinite, NaN or too large; it is NaN with any.
    lost: i64,
}

impl ExactSum {
    fn add_value(&mut self, value: f64, weight: i8) {
        if value.is_nan() || value.abs() >= VALUE_MAX {
            self.lost += i64::from(weight);
            return;
        }
        let mut sum = if weight < 0 { -value } else { value };
        let mut kept = 0;
        for index in 0..self.parts.len() {
            let part = self.parts[index];
            let total = sum + part;
            let shadow = total - sum;
            let error = (sum - (total - shadow)) + (part - shadow);
            if error != 0.0 {
                self.parts[kept] = error;
                kept += 1;
            }
            sum = total;
        }
        self.parts.truncate(kept);
        if sum != 0.0 {
            self.parts.push(sum);
        }
    }

    /// Returns the double that is nearest, of two the even one.
    fn rounded(&self) -> f64 {
        let mut parts = self.parts.iter().rev();
        let mut sum = parts.next().copied().unwrap_or(0.0);
        let mut rest = 0.0;
        for &part in parts.by_ref() {
            let total = sum + part;
            rest = part - (total - sum);
            sum = total;
            if rest != 0.0 {
                break;
            }
        }
        // Halfway between two doubles what is left decides.
        let decides = parts
            .next()
            .is_some_and(|part| (*part > 0.0) == (rest > 0.0));
        if rest != 0.0 && decides {
            let twice = 2.0 * rest;
            let other = sum + twice;
            if other - sum == twice {
                return other;
            }
        }
        sum
    }
}

impl ReversibleSum<Compensated> for ExactSum {
    fn column_types() -> Vec<DataType> {
        let parts = Arc::new(Field::new_list_field(DataType::Float64, false));
        vec![DataType::List(parts), DataType::Int64]
    }

    fn to_columns(sums: &[Self]) -> Result<Vec<ArrayRef>> {
        let parts = sums.iter().flat_map(|sum| sum.parts.iter().copied());
        let parts = Float64Array::from_iter_values(parts);
        let field = Arc::new(Field::new_list_field(DataType::Float64, false));
        let offsets = OffsetBuffer::from_lengths(sums.iter().map(|sum| sum.parts.len()));
        let lists = ListArray::try_new(field, offsets, Arc::new(parts), None)?;
        let lost = Int64Array::from_iter_values(sums.iter().map(|sum| sum.lost));
        Ok(vec![Arc::new(lists), Arc::new(lost)])
    }

    fn from_columns(columns: &[ArrayRef], row: usize) -> Self {
        let parts = columns[0].as_list::<i32>();
        if parts.is_null(row) {
            return Self::default();
        }
        let parts = parts.value(row);
        Self {
            parts: parts.as_primitive::<Float64Type>().values().to_vec(),
            lost: columns[1].as_primitive::<Int64Type>().value(row),
        }
    }

    fn add(&mut self, part: Compensated, weight: i8) -> Option<()> {
        for value in part.parts() {
            self.add_value(value, weight);
        }
        Some(())
    }

    fn merge(&mut self, other: &Self) -> Option<()> {
        for part in &other.parts {
            self.add_value(*part, 1);
        }
        self.lost += other.lost;
        Some(())
    }

    fn sum(&self) -> Compensated {
        if self.lost != 0 {
            return Compensated::from_parts(f64::NAN, f64::NAN);
        }
        // The sum rounded, and what that leaves rounded once more: both depend on its value only,
        // whatever parts it happens to be kept as.
        let sum = self.rounded();
        let mut rest = self.clone();
        rest.add_value(sum, -1);
        Compensated::from_parts(sum, rest.rounded())
    }

    fn heap_bytes(&self) -> usize {
        self.parts.capacity() * size_of::<f64>()
    }
}

impl ReversibleSum<i256> for i256 {
    fn column_types() -> Vec<DataType> {
        <Self as RunningSum>::column_types()
    }

    fn to_columns(sums: &[Self]) -> Result<Vec<ArrayRef>> {
        Ok(<Self as RunningSum>::to_columns(sums.iter().copied()))
    }

    fn from_columns(columns: &[ArrayRef], row: usize) -> Self {
        <Self as RunningSum>::from_columns(columns, row)
    }

    fn add(&mut self, part: Self, weight: i8) -> Option<()> {
        *self = match weight < 0 {
            true => self.checked_sub(part)?,
            false => self.checked_add(part)?,
        };
        Some(())
    }

    fn merge(&mut self, other: &Self) -> Option<()> {
        *self = self.checked_add(*other)?;
        Some(())
    }

    fn sum(&self) -> Self {
        *self
    }

    fn heap_bytes(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::ArrayRef;
    use proptest::prelude::*;

    use super::{ExactSum, ReversibleSum as _};
    use crate::weighting::Compensated;

    fn of(values: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        for value in values {
            sum.add_value(*value, 1);
        }
        sum
    }

    #[test]
    fn nothing_is_rounded_away() {
        assert_eq!(of(&[1e100, 1.0, -1e100]).rounded(), 1.0);
        assert_eq!(of(&[0.1; 10]).rounded(), 1.0);
        assert_eq!(of(&[1.0, 1e16, 1.0]).rounded(), 10_000_000_000_000_002.0);
        // 2^53 + 1 lies halfway; the least bit more decides.
        let half = 9_007_199_254_740_992.0;
        assert_eq!(of(&[half, 1.0]).rounded(), half);
        assert_eq!(of(&[half, 1.0, 1e-300]).rounded(), half + 2.0);
        assert_eq!(of(&[half, 1.0, -1e-300]).rounded(), half);
    }

    #[test]
    fn values_without_a_sum_are_counted_until_they_go() {
        let mut sum = of(&[1.5, f64::INFINITY, 1e300, f64::NAN]);
        assert!(sum.sum().rounded().is_nan());
        for value in [f64::NAN, f64::INFINITY, 1e300] {
            sum.add_value(value, -1);
        }
        assert_eq!(sum, of(&[1.5]));
    }

    proptest! {
        #[test]
        fn what_comes_and_goes_leaves_no_trace(
            stay in prop::collection::vec(-1e9..1e9_f64, 0..20),
            go in prop::collection::vec(prop::num::f64::NORMAL, 0..20),
            seed in any::<u64>(),
        ) {
            let mut order: Vec<(f64, bool)> = stay.iter().map(|value| (*value, true)).collect();
            order.extend(go.iter().map(|value| (*value, false)));
            order.sort_by_key(|(value, _)| value.to_bits().wrapping_mul(seed | 1));
            let mut sum = ExactSum::default();
            for (value, _) in &order {
                sum.add(Compensated::product(*value, 3.1), 1).unwrap();
            }
            let columns: Vec<ArrayRef> = ExactSum::to_columns(&[ExactSum::default(), sum]).unwrap();
            let mut sum = ExactSum::from_columns(&columns, 1);
            for (value, _) in order.iter().filter(|(_, stays)| !stays) {
                sum.add(Compensated::product(*value, 3.1), -1).unwrap();
            }
            let mut expected = ExactSum::default();
            for value in &stay {
                expected.add(Compensated::product(*value, 3.1), 1).unwrap();
            }
            let bits = |sum: &ExactSum| sum.sum().parts().map(f64::to_bits);
            prop_assert_eq!(bits(&sum), bits(&expected));
        }
    }
}
