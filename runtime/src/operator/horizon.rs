//! Each row once for each of several distances from its time. Remembers only how far event time is:
//! a row that is late is late at every distance.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rtsap_plan::graph::Node;
use rtsap_plan::horizon::HorizonSpec;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::state::{StateError, StateReader, StateWriter};

use super::join::{BATCH_ROWS, punctual, report_late, saved};
use super::window_aggregate::time::TimeColumn;
use super::{Operator, OperatorError, Output, append_only};

/// As `EXPLAIN` shows it.
const NAME: &str = "Horizon";

/// The operator of a [`HorizonSpec`].
pub struct Horizon {
    spec: HorizonSpec,
    schema: SchemaRef,
    time: TimeColumn,
    now: EventTime,
    /// The least distance: what is promised of the moved times.
    least_nanos: i64,
}

impl Horizon {
    /// The operator of `node`, which is `spec`, over rows of `input`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if the node contradicts itself.
    pub fn new(node: &Node, input: &SchemaRef, spec: &HorizonSpec) -> Result<Self, OperatorError> {
        let schema = Arc::clone(&node.properties.schema);
        let least = spec.offsets_nanos.iter().min();
        let fits = schema.fields().len() == input.fields().len() + 2;
        let Some(least_nanos) = least.copied().filter(|_| fits) else {
            return Err(OperatorError::contract(
                NAME,
                format!("the specification {spec}"),
            ));
        };
        Ok(Self {
            time: TimeColumn::of(NAME, input, spec.time)?,
            spec: spec.clone(),
            schema,
            now: EventTime::MIN,
            least_nanos,
        })
    }

    /// The rows of `rows` from `first` on, `count` of them, at every distance.
    fn moved(
        &self,
        rows: &RecordBatch,
        times: &[i64],
        first: usize,
        count: usize,
    ) -> Result<RecordBatch, ArrowError> {
        let offsets = &self.spec.offsets_nanos;
        let made = count * offsets.len();
        let (mut own, mut distances, mut moved) = (
            Vec::with_capacity(made),
            Vec::with_capacity(made),
            Vec::with_capacity(made),
        );
        let stamp = self
            .schema
            .field(self.schema.fields().len() - 1)
            .data_type();
        let unit = unit_nanos(stamp);
        for (row, time) in times.iter().enumerate().skip(first).take(count) {
            for offset in offsets {
                own.push(row as u32);
                distances.push(offset / 1_000);
                moved.push(time.saturating_add(*offset).div_euclid(unit));
            }
        }
        let own = UInt32Array::from(own);
        let columns = rows.columns().iter().map(|column| take(column, &own, None));
        let mut columns = columns.collect::<Result<Vec<ArrayRef>, _>>()?;
        columns.push(Arc::new(Int64Array::from(distances)));
        columns.push(cast(&Int64Array::from(moved), stamp)?);
        RecordBatch::try_new(Arc::clone(&self.schema), columns)
    }
}

fn unit_nanos(stamp: &arrow::datatypes::DataType) -> i64 {
    match stamp {
        arrow::datatypes::DataType::Timestamp(unit, _) => rtsap_stream::time::nanos_per(*unit),
        _ => 1,
    }
}

impl Operator for Horizon {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        append_only(NAME, changes)?;
        let arrived = punctual(NAME, &self.time, changes.rows(), self.now)?;
        report_late(arrived.late, out);
        let rows = arrived.rows;
        let at_once = (BATCH_ROWS / self.spec.offsets_nanos.len()).max(1);
        let mut first = 0;
        while first < rows.num_rows() {
            let count = at_once.min(rows.num_rows() - first);
            let moved = self.moved(&rows, &arrived.times, first, count);
            out.changes.push(ChangeBatch::inserts(
                moved.map_err(OperatorError::arrow(NAME))?,
            ));
            first += count;
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        self.now = self.now.max(time);
        if time == EventTime::MAX {
            return Ok(time);
        }
        Ok(EventTime::from_nanos(
            time.nanos().saturating_add(self.least_nanos),
        ))
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        saved::put_time(self.now, out)
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        self.now = saved::time(from)?;
        Ok(())
    }
}
