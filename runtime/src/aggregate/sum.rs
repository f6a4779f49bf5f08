//! `sum` and `avg`: exact over integers and decimals, compensated over doubles where rows can be
//! taken back.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, Decimal128Array, Float64Array};
use arrow::array::{Int64Array, PrimitiveArray};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use datafusion::common::{Result, exec_datafusion_err, exec_err};

use super::Rows;
use super::native::{Kernel, primitive};

/// The type that exact sums are saved in: all 128 bits count, the precision is not looked at.
const SUM_TYPE: DataType = DataType::Decimal128(38, 0);

/// What an exact sum gives.
#[derive(Clone, Copy)]
pub enum ExactResult {
    /// The sum, at most `max` away from zero upwards and at least `min`.
    Sum {
        /// Smallest result.
        min: i128,
        /// Largest result.
        max: i128,
    },
    /// The sum times `factor` over the count, halves rounded away from zero as PostgreSQL does.
    Average {
        /// Ten to the digits that the result's scale has more than the argument's.
        factor: i128,
        /// Largest distance of a result from zero.
        max: i128,
    },
}

/// Sum or average of a column of `T` in 128-bit integers.
///
/// Sums may leave `T` on the way and come back: only a result outside its type is an error, so that
/// the answer does not depend on the order of rows.
pub struct ExactSum<T> {
    /// What to give.
    pub result: ExactResult,
    /// Type of the result.
    pub data_type: DataType,
    /// `T` is in the arrays only.
    pub phantom: PhantomData<fn(T)>,
}

/// The sum of the values that are not null, and how many they are.
#[derive(Clone, Copy, Default)]
pub struct ExactState {
    sum: i128,
    count: i64,
}

impl ExactResult {
    fn of(self, state: ExactState) -> Result<i128> {
        match self {
            Self::Sum { min, max } if (min..=max).contains(&state.sum) => Ok(state.sum),
            Self::Sum { .. } => exec_err!("sum {} does not fit its type", state.sum),
            Self::Average { factor, max } => {
                // Quotient and remainder apart, so that only a result too large can overflow.
                let count = i128::from(state.count);
                let (quotient, rest) = (state.sum / count, state.sum % count * factor);
                let (digits, rest) = (rest / count, rest % count);
                let half = 2 * rest.abs() >= count;
                let digits = digits + if half { rest.signum() } else { 0 };
                let average = quotient
                    .checked_mul(factor)
                    .and_then(|whole| whole.checked_add(digits))
                    .filter(|average| (-max..=max).contains(average));
                average.ok_or_else(|| exec_datafusion_err!("average does not fit its type"))
            }
        }
    }
}

impl<T> Kernel for ExactSum<T>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128> + TryFrom<i128>,
{
    type State = ExactState;

    const RETRACTS: bool = true;

    fn update(&mut self, states: &mut [ExactState], rows: &Rows<'_>) -> Result<()> {
        let column = primitive::<T>(rows.values, 0)?;
        let values = column.values();
        let mut overflow = false;
        rows.each_weighted(column.nulls(), |row, group, weight| {
            let state = &mut states[group];
            let value: i128 = values[row].into();
            let value = if weight < 0 {
                value.checked_neg()
            } else {
                Some(value)
            };
            match value.and_then(|value| state.sum.checked_add(value)) {
                Some(sum) => state.sum = sum,
                None => overflow = true,
            }
            state.count += weight;
        });
        if overflow {
            exec_err!("sum exceeds 128 bits")
        } else {
            Ok(())
        }
    }

    fn merge(
        &mut self,
        states: &mut [ExactState],
        partial: &[ArrayRef],
        groups: &[usize],
    ) -> Result<()> {
        let sums = primitive::<Decimal128Type>(partial, 0)?;
        let counts = primitive::<Int64Type>(partial, 1)?;
        for (row, group) in groups.iter().enumerate() {
            let state = &mut states[*group];
            let sum = state.sum.checked_add(sums.value(row));
            state.sum = sum.ok_or_else(|| exec_datafusion_err!("sum exceeds 128 bits"))?;
            state.count += counts.value(row);
        }
        Ok(())
    }

    fn read(&self, states: &[ExactState], groups: &[usize]) -> Result<ArrayRef> {
        let results = groups.iter().map(|group| {
            let state = states[*group];
            if state.count == 0 {
                return Ok(None);
            }
            let value = self.result.of(state)?;
            let value = T::Native::try_from(value);
            value
                .map(Some)
                .map_err(|_| exec_datafusion_err!("result does not fit its type"))
        });
        let array = results.collect::<Result<PrimitiveArray<T>>>()?;
        Ok(Arc::new(array.with_data_type(self.data_type.clone())))
    }

    fn partial(&self, states: &[ExactState]) -> Result<Vec<ArrayRef>> {
        let sums = Decimal128Array::from_iter_values(states.iter().map(|state| state.sum));
        let counts = Int64Array::from_iter_values(states.iter().map(|state| state.count));
        Ok(vec![
            Arc::new(sums.with_data_type(SUM_TYPE)),
            Arc::new(counts),
        ])
    }
}

/// Sum or average of doubles, added in order of arrival as DataFusion does.
pub struct FloatSum {
    /// Whether to give the average.
    pub average: bool,
}

/// The sum of the values that are not null, and how many they are.
#[derive(Clone, Copy, Default)]
pub struct FloatState {
    sum: f64,
    count: i64,
}

impl Kernel for FloatSum {
    type State = FloatState;

    fn update(&mut self, states: &mut [FloatState], rows: &Rows<'_>) -> Result<()> {
        let column = primitive::<Float64Type>(rows.values, 0)?;
        let values = column.values();
        rows.each(column.nulls(), |row, group| {
            let state = &mut states[group];
            state.sum += values[row];
            state.count += 1;
        });
        Ok(())
    }

    fn merge(
        &mut self,
        states: &mut [FloatState],
        partial: &[ArrayRef],
        groups: &[usize],
    ) -> Result<()> {
        let sums = primitive::<Float64Type>(partial, 0)?;
        let counts = primitive::<Int64Type>(partial, 1)?;
        for (row, group) in groups.iter().enumerate() {
            let state = &mut states[*group];
            state.sum += sums.value(row);
            state.count += counts.value(row);
        }
        Ok(())
    }

    fn read(&self, states: &[FloatState], groups: &[usize]) -> Result<ArrayRef> {
        let results = groups.iter().map(|group| {
            let state = states[*group];
            let divisor = if self.average {
                state.count as f64
            } else {
                1.0
            };
            (state.count != 0).then(|| state.sum / divisor)
        });
        Ok(Arc::new(results.collect::<Float64Array>()))
    }

    fn partial(&self, states: &[FloatState]) -> Result<Vec<ArrayRef>> {
        let sums = Float64Array::from_iter_values(states.iter().map(|state| state.sum));
        let counts = Int64Array::from_iter_values(states.iter().map(|state| state.count));
        Ok(vec![Arc::new(sums), Arc::new(counts)])
    }
}

/// As [`FloatSum`], and rows can be taken back.
///
/// The rounding error is carried along (Neumaier), so that taking back a large value leaves the
/// small ones, and values that are not finite are counted apart, since an infinity cannot be
/// subtracted.
pub struct RetractableFloatSum {
    /// Whether to give the average.
    pub average: bool,
}

/// A compensated sum.
#[derive(Clone, Default)]
pub struct RetractableState {
    sum: f64,
    error: f64,
    count: i64,
    special: Option<Box<Special>>,
}

/// How many values of the group are not finite.
#[derive(Clone, Default)]
struct Special {
    nan: i64,
    positive: i64,
    negative: i64,
}

impl RetractableState {
    fn add(&mut self, value: f64, weight: i64) {
        self.count += weight;
        if !value.is_finite() {
            let special = self.special.get_or_insert_default();
            match (value.is_nan(), value > 0.0) {
                (true, _) => special.nan += weight,
                (false, true) => special.positive += weight,
                (false, false) => special.negative += weight,
            }
        } else {
            self.add_finite(if weight < 0 { -value } else { value });
        }
        if self.count == 0 {
            *self = Self::default();
        }
    }

    fn add_finite(&mut self, value: f64) {
        let sum = self.sum + value;
        self.error += if self.sum.abs() >= value.abs() {
            (self.sum - sum) + value
        } else {
            (value - sum) + self.sum
        };
        self.sum = sum;
    }

    fn total(&self) -> f64 {
        let sum = if self.sum.is_finite() {
            self.sum + self.error
        } else {
            self.sum
        };
        match self.special.as_deref() {
            None => sum,
            Some(special) if special.nan > 0 => f64::NAN,
            Some(special) => match (special.positive > 0, special.negative > 0) {
                (true, true) => f64::NAN,
                (true, false) => f64::INFINITY,
                (false, true) => f64::NEG_INFINITY,
                (false, false) => sum,
            },
        }
    }
}

impl Kernel for RetractableFloatSum {
    type State = RetractableState;

    const RETRACTS: bool = true;

    fn update(&mut self, states: &mut [RetractableState], rows: &Rows<'_>) -> Result<()> {
        let column = primitive::<Float64Type>(rows.values, 0)?;
        let values = column.values();
        rows.each_weighted(column.nulls(), |row, group, weight| {
            states[group].add(values[row], weight);
        });
        Ok(())
    }

    fn merge(
        &mut self,
        states: &mut [RetractableState],
        partial: &[ArrayRef],
        groups: &[usize],
    ) -> Result<()> {
        let sums = primitive::<Float64Type>(partial, 0)?;
        let errors = primitive::<Float64Type>(partial, 1)?;
        let counts = primitive::<Int64Type>(partial, 2)?;
        let mut special = Vec::with_capacity(3);
        for index in 3..6 {
            special.push(primitive::<Int64Type>(partial, index)?);
        }
        for (row, group) in groups.iter().enumerate() {
            let state = &mut states[*group];
            state.add_finite(sums.value(row));
            state.error += errors.value(row);
            state.count += counts.value(row);
            if special.iter().any(|column| column.value(row) != 0) {
                let found = state.special.get_or_insert_default();
                found.nan += special[0].value(row);
                found.positive += special[1].value(row);
                found.negative += special[2].value(row);
            }
        }
        Ok(())
    }

    fn read(&self, states: &[RetractableState], groups: &[usize]) -> Result<ArrayRef> {
        let results = groups.iter().map(|group| {
            let state = &states[*group];
            let divisor = if self.average {
                state.count as f64
            } else {
                1.0
            };
            (state.count != 0).then(|| state.total() / divisor)
        });
        Ok(Arc::new(results.collect::<Float64Array>()))
    }

    fn partial(&self, states: &[RetractableState]) -> Result<Vec<ArrayRef>> {
        let floats = |of: fn(&RetractableState) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(states.iter().map(of)))
        };
        let counts = |of: fn(&RetractableState) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(states.iter().map(of)))
        };
        Ok(vec![
            floats(|state| state.sum),
            floats(|state| state.error),
            counts(|state| state.count),
            counts(|state| state.special.as_ref().map_or(0, |special| special.nan)),
            counts(|state| state.special.as_ref().map_or(0, |special| special.positive)),
            counts(|state| state.special.as_ref().map_or(0, |special| special.negative)),
        ])
    }
}
