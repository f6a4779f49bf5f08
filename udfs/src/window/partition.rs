//! Runs a definition over one partition: picks the rows with values, computes, and puts the
//! results back beside their rows.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, Int32Array,
    StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::{cast, partition};
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::PartitionEvaluator;

use super::definition::{Compute, Entry, Gaps, InputKind, OutputKind, Series, fields};
use super::talib;

/// Evaluates a definition over one partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) entry: &'static Entry,
    pub(super) parameters: Vec<f64>,
}

impl PartitionEvaluator for Partition {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let definition = &self.entry.definition;
        if values.len() != definition.inputs.len() {
            return internal_err!("{} has {} inputs", definition.name, values.len());
        }
        let pairs = values.iter().zip(definition.inputs);
        let columns: Vec<Float64Array> = pairs
            .map(|(column, input)| numbers(column, input.kind))
            .collect::<Result<_>>()?;
        let has_value = |row: usize| {
            let mut columns = columns.iter();
            columns.all(|column| column.is_valid(row) && column.value(row).is_finite())
        };
        let rows: Vec<usize> = match definition.gaps {
            Gaps::PassedOver => (0..num_rows).filter(|&row| has_value(row)).collect(),
            Gaps::Kept => (0..num_rows).collect(),
        };
        let value = |column: &Float64Array, row: usize| {
            let known = column.is_valid(row) && column.value(row).is_finite();
            if known { column.value(row) } else { f64::NAN }
        };
        let inputs: Vec<Vec<f64>> = columns
            .iter()
            .map(|column| rows.iter().map(|&row| value(column, row)).collect())
            .collect();
        let outputs = self.compute(&inputs, rows.len())?;
        self.assemble(&outputs, &rows, num_rows)
    }
}

impl Partition {
    /// Computes every output over the rows with values; NaN stands for none.
    fn compute(&self, inputs: &[Vec<f64>], row_count: usize) -> Result<Vec<Vec<f64>>> {
        let definition = &self.entry.definition;
        let series = Series {
            inputs,
            parameters: &self.parameters,
        };
        let outputs = match definition.compute {
            _ if row_count == 0 => vec![Vec::new(); definition.outputs.len()],
            Compute::TaLib(id) => talib::run(id, &series)?,
            Compute::Ours(compute) => compute(&series)?,
        };
        let complete = outputs.len() == definition.outputs.len()
            && outputs.iter().all(|output| output.len() == row_count);
        if !complete {
            return internal_err!("{} left rows out", definition.name);
        }
        Ok(outputs)
    }

    /// Puts outputs beside their rows; several become a struct, null where all of them are.
    fn assemble(&self, outputs: &[Vec<f64>], rows: &[usize], num_rows: usize) -> Result<ArrayRef> {
        let definition = &self.entry.definition;
        let columns = definition.outputs.iter().zip(outputs);
        let mut columns: Vec<ArrayRef> = columns
            .map(|(output, values)| column(output.kind, values, rows, num_rows))
            .collect();
        if columns.len() == 1 {
            return Ok(columns.swap_remove(0));
        }
        let is_valid = |row| columns.iter().any(|column| column.is_valid(row));
        let nulls = NullBuffer::from_iter((0..num_rows).map(is_valid));
        let fields = fields(definition.outputs);
        Ok(Arc::new(StructArray::try_new(
            fields,
            columns,
            Some(nulls).filter(|nulls| nulls.null_count() > 0),
        )?))
    }
}

/// Returns an input as numbers.
fn numbers(column: &ArrayRef, kind: InputKind) -> Result<Float64Array> {
    let column = match kind {
        InputKind::Number => Arc::clone(column),
        InputKind::Flag => cast(column, &DataType::Float64)?,
        InputKind::Time => cast(&cast(column, &DataType::Int64)?, &DataType::Float64)?,
        InputKind::Run => {
            let runs = partition(&[Arc::clone(column)])?.ranges();
            let numbered = runs.into_iter().enumerate();
            let numbers = numbered.flat_map(|(number, run)| run.map(move |_| number as f64));
            return Ok(Float64Array::from_iter_values(numbers));
        }
    };
    Ok(column.as_primitive::<Float64Type>().clone())
}

/// Spreads values over `num_rows` rows.
fn column(kind: OutputKind, values: &[f64], rows: &[usize], num_rows: usize) -> ArrayRef {
    let mut builder = Float64Builder::with_capacity(num_rows);
    for (&row, &value) in rows.iter().zip(values) {
        builder.append_nulls(row - builder.len());
        builder.append_option(Some(value).filter(|value| value.is_finite()));
    }
    builder.append_nulls(num_rows - builder.len());
    let column = builder.finish();
    match kind {
        OutputKind::Number => Arc::new(column),
        OutputKind::Flag => Arc::new(
            column
                .iter()
                .map(|value| value.map(|value| value != 0.0))
                .collect::<BooleanArray>(),
        ),
        // The functions with integer outputs only give integers of 32 bits.
        OutputKind::Integer => Arc::new(
            column
                .iter()
                .map(|value| value.map(|value| value as i32))
                .collect::<Int32Array>(),
        ),
    }
}
