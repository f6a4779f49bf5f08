//! Aggregates whose state is a few sums over rows: moments of one or two variables, ratios of
//! sums. As tables: what a row adds, and what the sums become.
//!
//! Squares and products are added without rounding and sums keep their rounding errors beside
//! them, so that a variance loses no digits to a large mean, and neither the order of the rows nor
//! the cuts between partial states show in the result. Rows with a null, NaN or infinite argument
//! do not count.

mod execution;
mod exposure;
mod moments;
mod performance;
mod relative;
pub(crate) mod rollup;
mod shape;
pub(crate) mod stats;

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, Float64Array, Int64Array, StructArray};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::Result;
use datafusion::physical_plan::PhysicalExpr;

use super::{Aggregate, identified_by_name};
use crate::argument::{self, Argument, Kind};
use crate::arguments::Call;
use crate::fold::reversible::{Reversible, RowSums, Visit};
use crate::fold::{AnyFold, Fold, Rows};
use crate::registry::{FunctionDoc, FunctionKind};
use crate::weighting::{Compensated, RunningSum};

/// How many sums a state has. The first counts rows.
const SUMS: usize = 6;

/// How many columns a partial state has: each sum is two.
const COLUMNS: usize = 2 * SUMS;

/// The most arguments of a row.
const ARGUMENTS_MAX: usize = 7;

/// The sums of one group.
type Sums = [Compensated; SUMS];

/// One aggregate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Linear {
    /// Name, signature and words.
    doc: FunctionDoc,
    /// The arguments of every row.
    arguments: &'static [Argument],
    /// The constants that may follow.
    constants: &'static [Argument],
    /// Names of the fields of a struct, integers where they are counts; none for one number.
    outputs: &'static [(&'static str, bool)],
    /// Adds a row of finite arguments to the sums, given the constants; false if it does not
    /// count. It must not have added anything then.
    add: fn(&[f64; ARGUMENTS_MAX], &[f64], &mut Sums) -> bool,
    /// Returns the outputs of sums over at least one row; what is not finite means null.
    finish: fn(&Sums, &[f64]) -> Vec<f64>,
}

identified_by_name!(Linear);

/// Returns every aggregate of sums.
pub(crate) fn all() -> impl Iterator<Item = &'static Linear> {
    let tables: [&'static [Linear]; 5] = [
        &execution::AGGREGATES,
        &exposure::AGGREGATES,
        &performance::AGGREGATES,
        &relative::AGGREGATES,
        &shape::AGGREGATES,
    ];
    tables.into_iter().flatten()
}

impl Linear {
    /// Returns the documentation of each name.
    pub(crate) fn docs(&self) -> impl Iterator<Item = FunctionDoc> {
        let named = |name| FunctionDoc { name, ..self.doc };
        let aliases = self.aliases().iter().copied();
        std::iter::once(self.doc.name).chain(aliases).map(named)
    }
}

impl Aggregate for Linear {
    fn call(&self) -> Call {
        Call {
            function: self.doc.name,
            signature: argument::before_arrow(self.doc.signature),
        }
    }

    fn aliases(&self) -> &'static [&'static str] {
        match self.doc.name {
            "skewness" => &["skew"],
            "treynor_ratio" => &["treynor"],
            _ => &[],
        }
    }

    fn argument_names(&self) -> Vec<&'static str> {
        argument::names(self.arguments, self.constants)
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let all = [self.arguments, self.constants].concat();
        argument::coerce(self.call(), &all, types)
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(match self.outputs {
            [] => DataType::Float64,
            outputs => DataType::Struct(fields(outputs)),
        })
    }

    fn fold(
        &self,
        types: &[DataType],
        exprs: Option<&[Arc<dyn PhysicalExpr>]>,
    ) -> Result<Box<dyn AnyFold>> {
        let rows = self.arguments.len().min(types.len());
        let exprs = exprs.map(|exprs| exprs.get(rows..).unwrap_or_default());
        Ok(Box::new(LinearFold {
            linear: *self,
            rows,
            constants: argument::constants(self.call(), self.constants, exprs)?,
        }))
    }
}

fn fields(outputs: &[(&'static str, bool)]) -> Fields {
    let field = |(name, is_count): &(&'static str, bool)| {
        let kind = if *is_count {
            DataType::Int64
        } else {
            DataType::Float64
        };
        Arc::new(Field::new(*name, kind, true))
    };
    outputs.iter().map(field).collect()
}

/// Adds rows and finishes sums.
#[derive(Clone, Debug)]
struct LinearFold {
    linear: Linear,
    /// How many arguments of a row the call has.
    rows: usize,
    constants: Vec<f64>,
}

impl LinearFold {
    /// Calls `visit` with the arguments of each row whose arguments are there.
    fn each(
        &self,
        rows: &Rows<'_>,
        mut visit: impl FnMut(usize, usize, &[f64; ARGUMENTS_MAX]) -> Result<()>,
    ) -> Result<()> {
        let call = self.linear.call();
        let pairs = rows
            .columns
            .iter()
            .zip(self.linear.arguments)
            .take(self.rows);
        let columns: Vec<Float64Array> = pairs
            .map(|(column, argument)| argument.numbers(call, column))
            .collect::<Result<_>>()?;
        let arguments = self.linear.arguments;
        let required: Vec<usize> = (0..columns.len())
            .filter(|&index| !arguments[index].may_be_null)
            .collect();
        let mut values = [f64::NAN; ARGUMENTS_MAX];
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = argument.default.unwrap_or(f64::NAN);
        }
        rows.each(&required, |row, group| {
            for (index, column) in columns.iter().enumerate() {
                let given = column.is_valid(row).then(|| column.value(row));
                let value = given.filter(|value| value.is_finite()).unwrap_or(f64::NAN);
                // A side that is no side is for the aggregate to judge.
                if value.is_nan() && !arguments[index].may_be_null {
                    return Ok(());
                }
                values[index] = value;
            }
            visit(row, group, &values)
        })
    }
}

impl Fold for LinearFold {
    type State = Sums;

    fn state_fields(&self) -> Vec<(&'static str, DataType)> {
        let names = ["count", "sum1", "sum2", "sum3", "sum4", "sum5"];
        let pairs = names.into_iter().flat_map(|name| [name, name]);
        pairs.map(|name| (name, DataType::Float64)).collect()
    }

    fn update(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        self.each(rows, |_, group, values| {
            let sums = &mut states[group];
            if (self.linear.add)(values, &self.constants, sums) {
                sums[0].add(1.0);
            }
            Ok(())
        })
    }

    fn merge(&self, states: &mut [Self::State], rows: &Rows<'_>) -> Result<()> {
        rows.each(&[], |row, group| {
            let columns = rows.columns.chunks_exact(COLUMNS / SUMS);
            for (sum, columns) in states[group].iter_mut().zip(columns) {
                sum.merge(Compensated::from_columns(columns, row));
            }
            Ok(())
        })
    }

    fn state(&self, states: &[Self::State]) -> Result<Vec<ArrayRef>> {
        let column =
            |index: usize| Compensated::to_columns(states.iter().map(move |sums| sums[index]));
        Ok((0..SUMS).flat_map(column).collect())
    }

    fn evaluate(&self, states: &[Self::State]) -> Result<ArrayRef> {
        let finished: Vec<Option<Vec<f64>>> = states
            .iter()
            .map(|sums| {
                let any = sums[0].rounded() > 0.0;
                any.then(|| (self.linear.finish)(sums, &self.constants))
            })
            .collect();
        let output = |index: usize| {
            let values = finished
                .iter()
                .map(move |outputs| outputs.as_ref()?.get(index).copied());
            values.map(|value| value.filter(|value| value.is_finite()))
        };
        if self.linear.outputs.is_empty() {
            return Ok(Arc::new(output(0).collect::<Float64Array>()));
        }
        let outputs = self.linear.outputs.iter().enumerate();
        let columns = outputs.map(|(index, (_, is_count))| -> ArrayRef {
            if *is_count {
                // A count of rows is exact up to 2^53.
                let counts = output(index).map(|count| count.map(|count| count as i64));
                return Arc::new(counts.collect::<Int64Array>());
            }
            Arc::new(output(index).collect::<Float64Array>())
        });
        let nulls = NullBuffer::from_iter(finished.iter().map(Option::is_some));
        Ok(Arc::new(StructArray::try_new(
            fields(self.linear.outputs),
            columns.collect(),
            Some(nulls).filter(|nulls| nulls.null_count() > 0),
        )?))
    }

    fn reversible(&self) -> Option<Box<dyn AnyFold>> {
        Some(Box::new(Reversible(self.clone())))
    }
}

impl RowSums for LinearFold {
    type Sum = Compensated;

    fn function(&self) -> &'static str {
        self.linear.doc.name
    }

    fn sum_count(&self) -> usize {
        SUMS
    }

    fn each(&self, rows: &Rows<'_>, visit: Visit<'_, Compensated>) -> Result<()> {
        Self::each(self, rows, |row, group, values| {
            let mut sums = Sums::default();
            if !(self.linear.add)(values, &self.constants, &mut sums) {
                return Ok(());
            }
            sums[0].add(1.0);
            visit(row, group, &sums)
        })
    }

    fn finish(&self, sums: &[Vec<Compensated>]) -> Result<ArrayRef> {
        self.evaluate(&states(sums))
    }
}

/// Returns sums as states.
fn states(sums: &[Vec<Compensated>]) -> Vec<Sums> {
    let state = |sums: &Vec<Compensated>| std::array::from_fn(|index| sums[index]);
    sums.iter().map(state).collect()
}

/// Writes the documentation of an aggregate.
const fn doc(
    name: &'static str,
    signature: &'static str,
    description: &'static str,
    formula: &'static str,
    reference: &'static str,
    example: &'static str,
) -> FunctionDoc {
    FunctionDoc {
        name,
        kind: FunctionKind::Aggregate,
        signature,
        description,
        formula,
        reference,
        example,
    }
}

/// Returns the slope of the second over the first of two variables; NaN if the first does not
/// vary.
fn slope(sums: &Sums) -> f64 {
    let squares = moments::squares(sums, 1, 3);
    if squares > 0.0 {
        moments::deviations(sums, 1, 2, 4) / squares
    } else {
        f64::NAN
    }
}

/// A side that may be unknown.
const ANY_SIDE: Argument = Argument {
    name: "side",
    kind: Kind::Side,
    default: None,
    may_be_null: true,
};

#[cfg(test)]
mod tests;
