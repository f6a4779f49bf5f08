//! Rows that are there from the start and never change: sent with the first publish.

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use std::sync::Arc;

use super::{Operator, OperatorError, Output};
use crate::state::{StateError, StateReader, StateWriter};

/// As `EXPLAIN` shows it.
const NAME: &str = "Values";
/// The section that says that the rows were sent.
const SENT: &str = "sent";

/// The rows of a `VALUES` list.
pub struct Values {
    rows: RecordBatch,
    sent: bool,
}

impl Values {
    /// Those of `rows`.
    pub fn new(rows: &RecordBatch) -> Self {
        Self {
            rows: rows.clone(),
            sent: false,
        }
    }
}

impl Operator for Values {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        _changes: &ChangeBatch,
        _out: &mut Output,
    ) -> Result<(), OperatorError> {
        Err(OperatorError::contract(NAME, "rows of others".to_owned()))
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        Ok(time)
    }

    fn on_publish(&mut self, out: &mut Output) -> Result<(), OperatorError> {
        if !std::mem::replace(&mut self.sent, true) && self.rows.num_rows() > 0 {
            out.changes.push(ChangeBatch::inserts(self.rows.clone()));
        }
        Ok(())
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        let column: ArrayRef = Arc::new(BooleanArray::from(vec![self.sent]));
        let schema = Schema::new(vec![Field::new(SENT, DataType::Boolean, false)]);
        out.put(SENT, RecordBatch::try_new(Arc::new(schema), vec![column])?);
        Ok(())
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        let sent = from
            .get(SENT)
            .first()
            .and_then(|batch| batch.columns().first());
        let Some(sent) = sent.and_then(|column| column.as_boolean_opt()) else {
            return Err(StateError::section(SENT, "lacks a column"));
        };
        self.sent = sent.iter().any(|sent| sent == Some(true));
        Ok(())
    }
}
