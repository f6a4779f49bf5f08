//! Runs a definition over the rows of a partition, all at once or as they come: picks the rows
//! with values, computes, and puts the results back beside their rows.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, Int32Array,
    StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float64Type};
use datafusion::arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, internal_datafusion_err, internal_err};
use datafusion::logical_expr::PartitionEvaluator;

use super::definition::{Compute, Entry, Gaps, InputKind, OutputKind, Series, fields};
use super::step::{Step, Walk};
use super::talib;
use crate::running::Running;

/// Evaluates a definition over one partition.
#[derive(Debug)]
pub(super) struct Partition {
    pub(super) entry: &'static Entry,
    pub(super) parameters: Vec<f64>,
}

impl PartitionEvaluator for Partition {
    fn evaluate_all(&mut self, values: &[ArrayRef], num_rows: usize) -> Result<ArrayRef> {
        let definition = &self.entry.definition;
        let mut keys = Keys::default();
        let seen = Seen::of(self.entry, values, num_rows, &mut keys)?;
        let inputs: Vec<&[f64]> = seen.inputs.iter().map(Vec::as_slice).collect();
        let series = Series {
            inputs: &inputs,
            parameters: &self.parameters,
        };
        let row_count = seen.rows.len();
        let outputs = match definition.compute {
            _ if row_count == 0 => vec![Vec::new(); definition.outputs.len()],
            Compute::TaLib(id, None) => talib::run(id, &series)?,
            Compute::TaLib(id, Some(part)) => vec![talib::run(id, &series)?.swap_remove(part)],
            Compute::Whole(compute) => compute(&series)?,
            Compute::Ours(begin) => {
                let mut step = begin(&self.parameters)?;
                stepped(step.as_mut(), &inputs, row_count, definition.outputs.len())?
            }
        };
        let complete = outputs.len() == definition.outputs.len()
            && outputs.iter().all(|output| output.len() == row_count);
        if !complete {
            return internal_err!("{} left rows out", definition.name);
        }
        assemble(self.entry, &outputs, &seen.rows, num_rows)
    }
}

/// A definition in the middle of a partition.
#[derive(Debug)]
pub(super) struct Course {
    entry: &'static Entry,
    step: Box<dyn Step>,
    keys: Keys,
    /// TA-Lib's output that is shown, if not all are.
    part: Option<usize>,
    /// How many outputs the step writes.
    width: usize,
}

impl Course {
    /// Before the first row; `None` if the definition cannot run along.
    ///
    /// # Errors
    /// What the definition refuses of its parameters.
    pub(super) fn begin(entry: &'static Entry, parameters: &[f64]) -> Result<Option<Self>> {
        let definition = &entry.definition;
        let (step, part, width) = match definition.compute {
            Compute::TaLib(id, part) => {
                (talib::begin(id, parameters)?, part, id.info().outputs.len())
            }
            Compute::Ours(begin) => (Some(begin(parameters)?), None, definition.outputs.len()),
            Compute::Whole(_) => (None, None, 0),
        };
        Ok(step.map(|step| Self {
            entry,
            step,
            keys: Keys::default(),
            part,
            width,
        }))
    }
}

impl Running for Course {
    fn advance(&mut self, series: &[ArrayRef], row_count: usize) -> Result<ArrayRef> {
        let seen = Seen::of(self.entry, series, row_count, &mut self.keys)?;
        let inputs: Vec<&[f64]> = seen.inputs.iter().map(Vec::as_slice).collect();
        let mut outputs = stepped(self.step.as_mut(), &inputs, seen.rows.len(), self.width)?;
        if let Some(part) = self.part {
            outputs = vec![outputs.swap_remove(part)];
        }
        assemble(self.entry, &outputs, &seen.rows, row_count)
    }

    fn save(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut walk = Walk::Save(&mut bytes);
        self.keys.walk(&mut walk);
        self.step.walk(&mut walk);
        bytes
    }

    fn load(&mut self, saved: &[u8]) -> Result<()> {
        let mut walk = Walk::Load {
            bytes: saved,
            damaged: false,
        };
        self.keys.walk(&mut walk);
        self.step.walk(&mut walk);
        match walk {
            Walk::Load {
                bytes: [],
                damaged: false,
            } => Ok(()),
            _ => internal_err!(
                "the state of {} does not fit it",
                self.entry.definition.name
            ),
        }
    }

    fn size(&self) -> usize {
        size_of::<Self>() + self.step.heap_bytes() + self.keys.bytes.capacity()
    }
}

/// Runs a step over rows with values.
fn stepped(
    step: &mut dyn Step,
    inputs: &[&[f64]],
    row_count: usize,
    width: usize,
) -> Result<Vec<Vec<f64>>> {
    let mut outputs = vec![Vec::with_capacity(row_count); width];
    let mut values = vec![0.0; inputs.len()];
    let mut shown = vec![f64::NAN; width];
    for row in 0..row_count {
        for (value, input) in values.iter_mut().zip(inputs) {
            *value = input[row];
        }
        shown.fill(f64::NAN);
        step.step(&values, &mut shown)?;
        for (output, value) in outputs.iter_mut().zip(&shown) {
            output.push(*value);
        }
    }
    Ok(outputs)
}

/// The rows that a definition sees.
struct Seen {
    /// Their places.
    rows: Vec<usize>,
    /// The inputs by column.
    inputs: Vec<Vec<f64>>,
}

impl Seen {
    fn of(
        entry: &'static Entry,
        values: &[ArrayRef],
        num_rows: usize,
        keys: &mut Keys,
    ) -> Result<Self> {
        let definition = &entry.definition;
        if values.len() != definition.inputs.len() {
            return internal_err!("{} has {} inputs", definition.name, values.len());
        }
        let pairs = values.iter().zip(definition.inputs);
        let columns: Vec<Float64Array> = pairs
            .map(|(column, input)| numbers(column, input.kind, keys))
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
        let inputs = columns
            .iter()
            .map(|column| rows.iter().map(|&row| value(column, row)).collect());
        Ok(Self {
            inputs: inputs.collect(),
            rows,
        })
    }
}

/// The key that was seen last, and how many times it has changed.
#[derive(Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    has_begun: bool,
    changes: usize,
}

impl Keys {
    /// Returns for each row the number of the run of equal keys that it is in.
    fn numbers(&mut self, column: &ArrayRef) -> Result<Float64Array> {
        let field = SortField::new(column.data_type().clone());
        let rows = RowConverter::new(vec![field])
            .and_then(|converter| converter.convert_columns(&[Arc::clone(column)]));
        let rows =
            rows.map_err(|error| internal_datafusion_err!("cannot compare keys: {error}"))?;
        let numbers = rows.iter().map(|row| {
            if self.has_begun && self.bytes != row.data() {
                self.changes += 1;
            }
            if !self.has_begun || self.bytes != row.data() {
                self.bytes.clear();
                self.bytes.extend(row.data());
            }
            self.has_begun = true;
            self.changes as f64
        });
        Ok(Float64Array::from_iter_values(numbers))
    }

    fn walk(&mut self, walk: &mut Walk<'_>) {
        walk.bytes(&mut self.bytes);
        walk.flag(&mut self.has_begun);
        walk.count(&mut self.changes);
    }
}

/// Puts outputs beside their rows; several become a struct, null where all of them are.
fn assemble(
    entry: &'static Entry,
    outputs: &[Vec<f64>],
    rows: &[usize],
    num_rows: usize,
) -> Result<ArrayRef> {
    let definition = &entry.definition;
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

/// Returns an input as numbers.
fn numbers(column: &ArrayRef, kind: InputKind, keys: &mut Keys) -> Result<Float64Array> {
    let column = match kind {
        InputKind::Number => Arc::clone(column),
        InputKind::Flag => cast(column, &DataType::Float64)?,
        InputKind::Time => cast(&cast(column, &DataType::Int64)?, &DataType::Float64)?,
        InputKind::Run => return keys.numbers(column),
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

#[cfg(test)]
mod tests;
