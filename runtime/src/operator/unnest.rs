//! One row for each element of a row's lists. Remembers nothing: the delete of a row gives the
//! deletes of its elements' rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int8Array, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use rtsap_plan::graph::Node;
use rtsap_plan::unnest::{UnnestSpec, WithoutElements};
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use super::join::BATCH_ROWS;
use super::stateless::changes as changed;
use super::{Operator, OperatorError, Output};

/// As `EXPLAIN` shows it.
const NAME: &str = "Unnest";

/// The operator of an [`UnnestSpec`].
pub struct Unnest {
    spec: UnnestSpec,
    schema: SchemaRef,
}

/// The elements of a column of lists.
struct Elements {
    values: ArrayRef,
    /// Where the elements of each row begin, and how many there are; `None` for a null list.
    ranges: Vec<Option<(u32, u32)>>,
}

impl Elements {
    fn of(column: &ArrayRef) -> Result<Self, OperatorError> {
        let range = |row: usize, start: usize, count: usize| {
            let place = (start as u32, count as u32);
            column.is_valid(row).then_some(place)
        };
        let rows = 0..column.len();
        let (values, ranges) = match column.data_type() {
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                let ranges = rows.map(|row| {
                    let start = list.value_offsets()[row] as usize;
                    range(row, start, list.value_length(row) as usize)
                });
                (Arc::clone(list.values()), ranges.collect())
            }
            DataType::LargeList(_) => {
                let list = column.as_list::<i64>();
                let ranges = rows.map(|row| {
                    let start = list.value_offsets()[row] as usize;
                    range(row, start, list.value_length(row) as usize)
                });
                (Arc::clone(list.values()), ranges.collect())
            }
            DataType::FixedSizeList(_, size) => {
                let list = column.as_fixed_size_list();
                let size = *size as usize;
                let ranges = rows.map(|row| range(row, list.value_offset(row) as usize, size));
                (Arc::clone(list.values()), ranges.collect())
            }
            other => {
                return Err(OperatorError::contract(
                    NAME,
                    format!("a list of type {other}"),
                ));
            }
        };
        // Places are counted in 32 bits.
        if u32::try_from(values.len()).is_err() {
            let found = format!("lists of {} elements in one batch", values.len());
            return Err(OperatorError::contract(NAME, found));
        }
        Ok(Self { values, ranges })
    }

    fn count(&self, row: usize) -> u32 {
        self.ranges[row].map_or(0, |(_, count)| count)
    }

    fn element(&self, row: usize, index: u32) -> Option<u32> {
        let (start, count) = self.ranges[row]?;
        (index < count).then_some(start + index)
    }
}

/// Rows of the result: the row that each is of, and its elements by list.
struct Made {
    rows: Vec<u32>,
    elements: Vec<Vec<Option<u32>>>,
}

impl Unnest {
    /// The operator of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if the node contradicts itself.
    pub fn new(node: &Node, input: &SchemaRef, spec: &UnnestSpec) -> Result<Self, OperatorError> {
        let schema = Arc::clone(&node.properties.schema);
        let width = input.fields().len();
        let known = spec.output.iter().chain(&spec.lists).all(|at| *at < width);
        if !known || spec.output.len() != schema.fields().len() || spec.lists.is_empty() {
            return Err(OperatorError::contract(
                NAME,
                format!("the specification {spec}"),
            ));
        }
        let spec = spec.clone();
        Ok(Self { spec, schema })
    }

    fn send(
        &self,
        changes: &ChangeBatch,
        lists: &[Elements],
        made: &mut Made,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let own = UInt32Array::from(std::mem::take(&mut made.rows));
        if own.is_empty() {
            return Ok(());
        }
        let elements = made.elements.iter_mut().map(std::mem::take);
        let elements: Vec<UInt32Array> = elements.map(UInt32Array::from).collect();
        let columns = self.spec.output.iter().map(|column| {
            match self.spec.lists.iter().position(|list| list == column) {
                Some(list) => take(&lists[list].values, &elements[list], None),
                None => take(changes.rows().column(*column), &own, None),
            }
        });
        let columns = columns
            .collect::<Result<Vec<_>, _>>()
            .map_err(OperatorError::arrow(NAME))?;
        let options = RecordBatchOptions::new().with_row_count(Some(own.len()));
        let schema = Arc::clone(&self.schema);
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)
            .map_err(OperatorError::arrow(NAME))?;
        let ops = changes.ops().map(|ops| {
            let ops = own.values().iter().map(|row| ops.value(*row as usize));
            Int8Array::from_iter_values(ops)
        });
        out.changes.push(changed(NAME, rows, ops)?);
        Ok(())
    }
}

impl Operator for Unnest {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let rows = changes.rows();
        let lists = self.spec.lists.iter();
        let lists = lists.map(|column| Elements::of(rows.column(*column)));
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        let mut made = Made {
            rows: Vec::new(),
            elements: vec![Vec::new(); lists.len()],
        };
        for row in 0..rows.num_rows() {
            let longest = lists.iter().map(|list| list.count(row)).max();
            let is_null = lists.iter().all(|list| list.ranges[row].is_none());
            let kept = match self.spec.empty {
                WithoutElements::Vanish => 0,
                WithoutElements::KeepNull => u32::from(is_null),
                WithoutElements::Keep => 1,
            };
            for index in 0..longest.unwrap_or(0).max(kept) {
                made.rows.push(row as u32);
                for (list, elements) in lists.iter().zip(&mut made.elements) {
                    elements.push(list.element(row, index));
                }
                if made.rows.len() >= BATCH_ROWS {
                    self.send(changes, &lists, &mut made, out)?;
                }
            }
        }
        self.send(changes, &lists, &mut made, out)
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        Ok(time)
    }
}
