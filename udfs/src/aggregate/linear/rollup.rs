//! Moments of several groups as those of all rows: what `rollup` does with the results of
//! `stats_agg`.
//!
//! The sums behind the moments are computed back from them, in twice the precision of a double, so
//! that a large mean costs no digits here either.

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Float64Array, StructArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;

use super::stats::{OF_ONE, OF_TWO};
use super::{Linear, LinearFold, SUMS, Sums, fields, states};
use crate::fold::reversible::{Reversible, RowSums, Visit};
use crate::fold::{AnyFold, Fold, Rows};
use crate::weighting::Compensated;

/// Returns the fold of moments of type `found`; `None` for what `stats_agg` does not give.
pub(crate) fn fold(found: &DataType) -> Option<Box<dyn AnyFold>> {
    let forms: [(Linear, Read); 2] = [(OF_ONE, one), (OF_TWO, two)];
    let (linear, read) = forms
        .into_iter()
        .find(|(linear, _)| *found == DataType::Struct(fields(linear.outputs)))?;
    let rows = LinearFold {
        linear,
        rows: 0,
        constants: Vec::new(),
    };
    Some(Box::new(Moments { rows, read }))
}

/// Returns the sums behind moments, NaN where one is null.
type Read = fn(&[f64]) -> Sums;

/// Adds up moments.
#[derive(Clone, Debug)]
struct Moments {
    /// The fold of the rows themselves, whose state is the same.
    rows: LinearFold,
    read: Read,
}

impl Moments {
    /// Calls `visit` with the sums of each row and its group.
    fn each(
        &self,
        rows: &Rows<'_>,
        mut visit: impl FnMut(usize, usize, &Sums) -> Result<()>,
    ) -> Result<()> {
        let moments = rows.columns[0].as_struct();
        let columns = columns(moments)?;
        let mut values = vec![f64::NAN; columns.len()];
        rows.each(&[0], |row, group| {
            for (value, column) in values.iter_mut().zip(&columns) {
                *value = if column.is_valid(row) {
                    column.value(row)
                } else {
                    f64::NAN
                };
            }
            // A struct built by hand may have no rows.
            if values.first().is_some_and(|count| *count > 0.0) {
                visit(row, group, &(self.read)(&values))?;
            }
            Ok(())
        })
    }
}

fn columns(moments: &StructArray) -> Result<Vec<Float64Array>> {
    let numbers = |column: &ArrayRef| -> Result<Float64Array> {
        let numbers = cast(column, &DataType::Float64)?;
        Ok(numbers.as_primitive::<Float64Type>().clone())
    };
    moments.columns().iter().map(numbers).collect()
}

impl Fold for Moments {
    type State = Sums;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        self.rows.state_fields()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        self.each(rows, |_, group, sums| {
            for (sum, other) in states[group].iter_mut().zip(sums) {
                sum.merge(*other);
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        self.rows.merge(states, rows)
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        self.rows.state(states)
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        self.rows.evaluate(states)
    }

    fn reversible(&self) -> Option<Box<dyn AnyFold>> {
        Some(Box::new(Reversible(self.clone())))
    }
}

impl RowSums for Moments {
    type Sum = Compensated;

    fn function(&self) -> &'static str {
        "rollup"
    }

    fn sum_count(&self) -> usize {
        SUMS
    }

    fn each(&self, rows: &Rows<'_>, visit: Visit<'_, Compensated>) -> Result<()> {
        Self::each(self, rows, |row, group, sums| visit(row, group, sums))
    }

    fn finish(&self, sums: &[Vec<Compensated>]) -> Result<ArrayRef> {
        self.evaluate(&states(sums))
    }
}

fn exactly(value: f64) -> Compensated {
    Compensated::product(value, 1.0)
}

/// Returns a sum of squares about the mean from a sample variance, which one row does not have.
fn squares(variance: f64, count: f64) -> f64 {
    if count > 1.0 {
        variance * (count - 1.0)
    } else {
        0.0
    }
}

/// Σx, Σx², Σx³, Σx⁴ from the fields of one variable.
fn one(moments: &[f64]) -> Sums {
    let mut sums = Sums::default();
    let &[count, sum, _, variance, _, skewness, kurtosis] = moments else {
        return sums;
    };
    let second = squares(variance, count);
    let spread = second / count;
    // Values that are all equal have neither skewness nor kurtosis, and no higher moments.
    let (third, fourth) = if second == 0.0 {
        (0.0, 0.0)
    } else {
        (
            skewness * count * spread.powf(1.5),
            kurtosis * count * spread * spread,
        )
    };
    let total = exactly(sum);
    let mean = total.over(count);
    let square = mean.times(mean);
    let scaled = |value: Compensated, by: f64| value.times(exactly(by));
    sums[0] = exactly(count);
    sums[1] = total;
    // Σx² = Σd² + n m², with d the deviations from the mean m.
    sums[2] = exactly(second);
    sums[2].merge(total.times(mean));
    // Σx³ = Σd³ + 3 m Σd² + n m³
    sums[3] = exactly(third);
    sums[3].merge(scaled(mean, 3.0).times(exactly(second)));
    sums[3].merge(square.times(total));
    // Σx⁴ = Σd⁴ + 4 m Σd³ + 6 m² Σd² + n m⁴
    sums[4] = exactly(fourth);
    sums[4].merge(scaled(mean, 4.0).times(exactly(third)));
    sums[4].merge(scaled(square, 6.0).times(exactly(second)));
    sums[4].merge(square.times(mean).times(total));
    sums
}

/// Σx, Σy, Σx², Σxy, Σy² from the fields of two variables.
fn two(moments: &[f64]) -> Sums {
    let mut sums = Sums::default();
    let &[
        count,
        sum_y,
        sum_x,
        _,
        _,
        variance_y,
        variance_x,
        _,
        _,
        covariance,
        ..,
    ] = moments
    else {
        return sums;
    };
    let (x, y) = (exactly(sum_x), exactly(sum_y));
    let product = |deviations: f64, a: Compensated, b: Compensated| {
        let mut product = exactly(squares(deviations, count));
        product.merge(a.times(b).over(count));
        product
    };
    sums[0] = exactly(count);
    sums[1] = x;
    sums[2] = y;
    sums[3] = product(variance_x, x, x);
    sums[4] = product(covariance, x, y);
    sums[5] = product(variance_y, y, y);
    sums
}

#[cfg(test)]
mod tests;
