//! Prices times sizes: which types may meet, how their products and sums are kept, and what a
//! volume-weighted price is.
//!
//! Three pairings: floats (compensated sums), decimals (exact 256-bit sums), and decimal prices
//! with float sizes (prices stay exact, sums are floats). No decimal sum wraps.

use std::fmt::Debug;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray, Decimal256Array, Float64Array};
use datafusion::arrow::datatypes::{
    ArrowPrimitiveType, DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType,
    Decimal128Type, Decimal256Type, Float64Type, i256,
};
use datafusion::common::Result;

use crate::error::FunctionError;
use crate::exact::{ExactSum, ReversibleSum};

/// Digits after the point that a price has at least which is a quotient, as those of `/` and `avg`.
const QUOTIENT_DIGITS_MIN: u8 = 16;

/// The type of prices that are quotients, of prices that are `DECIMAL(precision, scale)`, and how
/// many digits more they have after the point.
pub(crate) fn quotient_price(precision: u8, scale: i8) -> (DataType, u8) {
    let wanted = QUOTIENT_DIGITS_MIN.saturating_sub(u8::try_from(scale).unwrap_or(0));
    // A price of all digits that there are fits as it did.
    let extra = wanted.min(DECIMAL128_MAX_PRECISION.saturating_sub(precision));
    let (precision, scale) = (precision + extra, scale.saturating_add_unsigned(extra));
    (DataType::Decimal128(precision, scale), extra)
}

/// A sum of floats with the rounding error of every addition kept beside it.
///
/// Twice the precision of a plain sum, so that cutting and merging do not show in the result.
/// Error-free addition: Knuth's two-sum; the scheme is Neumaier's.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Compensated {
    sum: f64,
    error: f64,
}

impl Compensated {
    /// Adds one value.
    pub(crate) fn add(&mut self, value: f64) {
        let sum = self.sum + value;
        let shadow = sum - self.sum;
        self.error += (self.sum - (sum - shadow)) + (value - shadow);
        self.sum = sum;
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: Self) {
        self.add(other.sum);
        self.error += other.error;
    }

    /// Adds the product of two values without rounding it.
    ///
    /// Error-free product: Dekker's, with Veltkamp's splitting.
    pub(crate) fn add_product(&mut self, a: f64, b: f64) {
        self.merge(Self::product(a, b));
    }

    /// Returns sum and error, which `from_parts` takes.
    pub(crate) fn parts(self) -> [f64; 2] {
        [self.sum, self.error]
    }

    /// Makes a sum of its parts.
    pub(crate) fn from_parts(sum: f64, error: f64) -> Self {
        Self { sum, error }
    }

    /// Returns the product of two values; beyond 1e300 it is rounded.
    pub(crate) fn product(a: f64, b: f64) -> Self {
        /// 2^27 + 1 splits 53 bits into two halves.
        const SPLITTER: f64 = 134_217_729.0;
        let halves = |x: f64| {
            let head = x * SPLITTER - (x * SPLITTER - x);
            (head, x - head)
        };
        let (sum, (a_head, a_tail), (b_head, b_tail)) = (a * b, halves(a), halves(b));
        let error = ((a_head * b_head - sum) + a_head * b_tail + a_tail * b_head) + a_tail * b_tail;
        Self {
            sum,
            error: if error.is_finite() { error } else { 0.0 },
        }
    }

    /// Returns the product with another sum, of twice the precision of a double.
    pub(crate) fn times(self, other: Self) -> Self {
        let mut product = Self::product(self.sum, other.sum);
        product.error += self.sum * other.error + self.error * other.sum;
        product
    }

    /// Returns the difference from another sum.
    pub(crate) fn minus(mut self, other: Self) -> Self {
        self.merge(Self {
            sum: -other.sum,
            error: -other.error,
        });
        self
    }

    /// Returns the quotient by a number, of twice the precision of a double.
    pub(crate) fn over(self, divisor: f64) -> Self {
        let sum = self.sum / divisor;
        let rest = self.minus(Self::product(sum, divisor));
        Self {
            sum,
            error: (rest.sum + rest.error) / divisor,
        }
    }

    /// Returns the sum rounded once; NaN or infinite if it left the range of a double.
    pub(crate) fn rounded(self) -> f64 {
        self.sum + self.error
    }

    /// Returns the sum rounded once, or `None` if it left the range of a double.
    pub(crate) fn value(self) -> Option<f64> {
        Some(self.sum + self.error).filter(|value| value.is_finite())
    }
}

/// A running sum that can be written to columns and read back without loss.
pub(crate) trait RunningSum:
    Copy + Debug + Default + PartialEq + Send + Sync + 'static
{
    /// The same sum where values can be taken away again.
    type Reversible: ReversibleSum<Self>;

    /// The types of the columns of one sum.
    fn column_types() -> Vec<DataType>;
    /// Writes sums as columns of `column_types`.
    fn to_columns(sums: impl Iterator<Item = Self> + Clone) -> Vec<ArrayRef>;
    /// Reads the sum of `row` from columns that `to_columns` wrote.
    fn from_columns(columns: &[ArrayRef], row: usize) -> Self;
    /// Adds another sum; `None` if the range is left.
    fn merged(self, other: Self) -> Option<Self>;
}

impl RunningSum for Compensated {
    type Reversible = ExactSum;

    fn column_types() -> Vec<DataType> {
        vec![DataType::Float64, DataType::Float64]
    }

    fn to_columns(sums: impl Iterator<Item = Self> + Clone) -> Vec<ArrayRef> {
        let high = Float64Array::from_iter_values(sums.clone().map(|sum| sum.sum));
        let low = Float64Array::from_iter_values(sums.map(|sum| sum.error));
        vec![Arc::new(high), Arc::new(low)]
    }

    fn from_columns(columns: &[ArrayRef], row: usize) -> Self {
        let part = |index: usize| columns[index].as_primitive::<Float64Type>().value(row);
        Self {
            sum: part(0),
            error: part(1),
        }
    }

    fn merged(mut self, other: Self) -> Option<Self> {
        self.merge(other);
        Some(self)
    }
}

impl RunningSum for i256 {
    type Reversible = Self;

    fn column_types() -> Vec<DataType> {
        vec![DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0)]
    }

    fn to_columns(sums: impl Iterator<Item = Self> + Clone) -> Vec<ArrayRef> {
        let column = Decimal256Array::from_iter_values(sums)
            .with_data_type(DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0));
        vec![Arc::new(column)]
    }

    fn from_columns(columns: &[ArrayRef], row: usize) -> Self {
        columns[0].as_primitive::<Decimal256Type>().value(row)
    }

    fn merged(self, other: Self) -> Option<Self> {
        self.checked_add(other)
    }
}

/// A number that may be unusable: a float that is NaN or infinite.
pub(crate) trait Usable: Copy + PartialOrd + Default + Debug + Send + Sync {
    /// Returns whether the value may enter a result.
    fn usable(self) -> bool;
    /// Returns whether the value is above zero.
    fn positive(self) -> bool;
}

impl Usable for f64 {
    fn usable(self) -> bool {
        self.is_finite()
    }

    fn positive(self) -> bool {
        self > 0.0
    }
}

impl Usable for i128 {
    fn usable(self) -> bool {
        true
    }

    fn positive(self) -> bool {
        self > 0
    }
}

/// The native value of an Arrow type.
pub(crate) type Native<T> = <T as ArrowPrimitiveType>::Native;

/// How a price and a size of two given types are multiplied, summed and divided again.
pub(crate) trait Weighting: Clone + Debug + Send + Sync + 'static {
    /// The type of prices.
    type Price: ArrowPrimitiveType<Native: Usable>;
    /// The type of sizes, and of volumes up to precision.
    type Size: ArrowPrimitiveType<Native: Usable>;
    /// The type of volume-weighted prices up to precision.
    type Vwap: ArrowPrimitiveType<Native: Usable>;
    /// A sum of sizes or of products.
    type Sum: RunningSum;

    /// Returns the type of a volume.
    fn volume_type(&self) -> DataType;
    /// Returns the type of a volume-weighted price.
    fn vwap_type(&self) -> DataType;
    /// Adds a size to a sum; `None` if the range is left.
    fn add_size(&self, sum: Self::Sum, size: Native<Self::Size>) -> Option<Self::Sum>;
    /// Adds price times size to a sum; `None` if the range is left.
    fn add_product(
        &self,
        sum: Self::Sum,
        price: Native<Self::Price>,
        size: Native<Self::Size>,
    ) -> Option<Self::Sum>;
    /// Returns a sum of sizes as a volume; `None` if it does not fit.
    fn volume(&self, sum: Self::Sum) -> Option<Native<Self::Size>>;
    /// Returns products over sizes, rounded half away from zero; `None` if the sizes sum to zero.
    fn ratio(&self, products: Self::Sum, sizes: Self::Sum) -> Option<Native<Self::Vwap>>;
    /// Returns the product of a volume-weighted price and its volume, as `ratio` expects it.
    fn product_of_vwap(
        &self,
        vwap: Native<Self::Vwap>,
        volume: Native<Self::Size>,
    ) -> Option<Self::Sum>;
}

/// Float prices and float sizes.
#[derive(Clone, Debug)]
pub(crate) struct Floats;

impl Weighting for Floats {
    type Price = Float64Type;
    type Size = Float64Type;
    type Vwap = Float64Type;
    type Sum = Compensated;

    fn volume_type(&self) -> DataType {
        DataType::Float64
    }

    fn vwap_type(&self) -> DataType {
        DataType::Float64
    }

    fn add_size(&self, mut sum: Compensated, size: f64) -> Option<Compensated> {
        sum.add(size);
        Some(sum)
    }

    fn add_product(&self, mut sum: Compensated, price: f64, size: f64) -> Option<Compensated> {
        sum.add(price * size);
        Some(sum)
    }

    fn volume(&self, sum: Compensated) -> Option<f64> {
        sum.value()
    }

    fn ratio(&self, products: Compensated, sizes: Compensated) -> Option<f64> {
        float_ratio(products, sizes)
    }

    fn product_of_vwap(&self, vwap: f64, volume: f64) -> Option<Compensated> {
        self.add_product(Compensated::default(), vwap, volume)
    }
}

/// Decimal prices and float sizes: sums are floats.
#[derive(Clone, Debug)]
pub(crate) struct DecimalPrices {
    /// 10 to the scale of prices.
    unit: f64,
}

impl DecimalPrices {
    /// Prices have `scale` digits after the point.
    pub(crate) fn new(scale: i8) -> Self {
        Self {
            unit: 10_f64.powi(i32::from(scale)),
        }
    }
}

impl Weighting for DecimalPrices {
    type Price = Decimal128Type;
    type Size = Float64Type;
    type Vwap = Float64Type;
    type Sum = Compensated;

    fn volume_type(&self) -> DataType {
        DataType::Float64
    }

    fn vwap_type(&self) -> DataType {
        DataType::Float64
    }

    fn add_size(&self, mut sum: Compensated, size: f64) -> Option<Compensated> {
        sum.add(size);
        Some(sum)
    }

    fn add_product(&self, mut sum: Compensated, price: i128, size: f64) -> Option<Compensated> {
        sum.add(nearest(price) / self.unit * size);
        Some(sum)
    }

    fn volume(&self, sum: Compensated) -> Option<f64> {
        sum.value()
    }

    fn ratio(&self, products: Compensated, sizes: Compensated) -> Option<f64> {
        float_ratio(products, sizes)
    }

    fn product_of_vwap(&self, vwap: f64, volume: f64) -> Option<Compensated> {
        Floats.product_of_vwap(vwap, volume)
    }
}

/// Decimal prices and decimal sizes: everything is exact until the one rounding of the ratio.
#[derive(Clone, Debug)]
pub(crate) struct Decimals {
    volume: DataType,
    vwap: DataType,
    /// 10 to the number of digits that a volume-weighted price has after those of a product's
    /// first factor.
    shift: i256,
}

impl Decimals {
    /// Prices are `DECIMAL(precision, scale)`, sizes have `size_scale` digits after the point.
    pub(crate) fn new(precision: u8, scale: i8, size_scale: i8) -> Self {
        let (vwap, extra) = quotient_price(precision, scale);
        Self {
            volume: DataType::Decimal128(DECIMAL128_MAX_PRECISION, size_scale),
            vwap,
            shift: power_of_ten(extra),
        }
    }

    /// Prices come from finished bars: products are those of their `vwap` and `volume` columns.
    pub(crate) fn of_bars(vwap: DataType, volume: DataType) -> Self {
        Self {
            volume,
            vwap,
            shift: i256::ONE,
        }
    }
}

impl Weighting for Decimals {
    type Price = Decimal128Type;
    type Size = Decimal128Type;
    type Vwap = Decimal128Type;
    type Sum = i256;

    fn volume_type(&self) -> DataType {
        self.volume.clone()
    }

    fn vwap_type(&self) -> DataType {
        self.vwap.clone()
    }

    fn add_size(&self, sum: i256, size: i128) -> Option<i256> {
        sum.checked_add(i256::from_i128(size))
    }

    fn add_product(&self, sum: i256, price: i128, size: i128) -> Option<i256> {
        // Market prices and sizes fit 64 bits each; the wider products are the rare cases.
        let product = match (i64::try_from(price), i64::try_from(size)) {
            (Ok(price), Ok(size)) => i256::from_i128(i128::from(price) * i128::from(size)),
            _ => i256::from_i128(price).checked_mul(i256::from_i128(size))?,
        };
        sum.checked_add(product)
    }

    fn volume(&self, sum: i256) -> Option<i128> {
        fitting(sum)
    }

    fn ratio(&self, products: i256, sizes: i256) -> Option<i128> {
        // Dividing before shifting keeps every intermediate inside 256 bits.
        let whole = products.checked_div(sizes)?;
        let rest = products.checked_rem(sizes)?.checked_mul(self.shift)?;
        let mut digits = rest.checked_div(sizes)?;
        let remainder = rest.checked_rem(sizes)?.checked_abs()?;
        if remainder.checked_add(remainder)? >= sizes.checked_abs()? {
            let away = if products.is_negative() == sizes.is_negative() {
                1
            } else {
                -1
            };
            digits = digits.checked_add(i256::from_i128(away))?;
        }
        fitting(whole.checked_mul(self.shift)?.checked_add(digits)?)
    }

    fn product_of_vwap(&self, vwap: i128, volume: i128) -> Option<i256> {
        self.add_product(i256::ZERO, vwap, volume)
    }
}

/// Returns the nearest double; most prices fit 64 bits, which convert in one instruction.
fn nearest(value: i128) -> f64 {
    i64::try_from(value).map_or_else(|_| value as f64, |value| value as f64)
}

fn float_ratio(products: Compensated, sizes: Compensated) -> Option<f64> {
    let sizes = sizes.value().filter(|&sizes| sizes != 0.0)?;
    Some(products.value()? / sizes).filter(|ratio| ratio.is_finite())
}

fn power_of_ten(exponent: u8) -> i256 {
    i256::from_i128(10_i128.pow(u32::from(exponent)))
}

/// Returns `value` if it has at most 38 digits.
fn fitting(value: i256) -> Option<i128> {
    let limit = 10_i128.pow(u32::from(DECIMAL128_MAX_PRECISION));
    value
        .to_i128()
        .filter(|&value| -limit < value && value < limit)
}

/// Returns `sum`, or says that `what` of `function` left the range of its running sum.
pub(crate) fn in_range<S>(sum: Option<S>, function: &'static str, what: &'static str) -> Result<S> {
    sum.ok_or_else(|| {
        let data_type = DataType::Decimal256(DECIMAL256_MAX_PRECISION, 0);
        FunctionError::Overflow {
            function,
            what,
            data_type,
        }
        .into()
    })
}

#[cfg(test)]
mod tests;
