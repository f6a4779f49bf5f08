//! The present row of each key of a source whose payloads put rows and take them away: its changes
//! become changes of a relation, an update a delete of the old row and an insert of the new one.

use arrow::datatypes::SchemaRef;
use rtsap_plan::graph::Node;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::time::EventTime;

use crate::serve::ServeError;
use crate::serve::delta::{Delta, fitted};
use crate::serve::table::ServedTable;
use crate::state::{StateError, StateReader, StateWriter};

use super::{Operator, OperatorError, Output};

/// As `EXPLAIN` shows it.
const NAME: &str = "LatestByKey";

/// The section that holds the rows.
const ROWS: &str = "rows";

/// Keeps the present row of each key.
pub struct LatestByKey {
    rows: ServedTable,
    schema: SchemaRef,
    /// With event time each row is a version that somebody may ask for.
    has_versions: bool,
}

impl LatestByKey {
    /// The operator over rows of `input` that are told apart by the columns `key`.
    ///
    /// # Errors
    /// [`OperatorError::Contract`] if a key column's type cannot be compared.
    pub fn new(node: &Node, input: &SchemaRef, key: &[usize]) -> Result<Self, OperatorError> {
        let rows = ServedTable::numbered(SchemaRef::clone(input), key.to_vec());
        Ok(Self {
            rows: rows.map_err(|error| failed(&error))?,
            schema: SchemaRef::clone(input),
            has_versions: node.properties.event_time.is_some(),
        })
    }
}

impl Operator for LatestByKey {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_changes(
        &mut self,
        _port: usize,
        changes: &ChangeBatch,
        out: &mut Output,
    ) -> Result<(), OperatorError> {
        let parts = match self.has_versions {
            true => self
                .rows
                .versions(changes.clone())
                .map_err(|error| failed(&error))?,
            false => vec![changes.clone()],
        };
        for part in parts {
            let net = self.rows.apply(&part).map_err(|error| failed(&error))?;
            out.changes.extend(net);
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        time: EventTime,
        _out: &mut Output,
    ) -> Result<EventTime, OperatorError> {
        Ok(time)
    }

    fn snapshot(&mut self, out: &mut StateWriter) -> Result<(), StateError> {
        let taken = self.rows.take_numbered(!out.is_delta());
        let taken = taken.map_err(|error| unwritten(&error))?;
        out.keep(ROWS);
        for (rows, numbers) in taken.rows {
            out.put_rows(ROWS, &fitted(ROWS, &rows, &self.schema)?, numbers)?;
        }
        out.drop_rows(ROWS, taken.gone)
    }

    fn restore(&mut self, from: &StateReader) -> Result<(), StateError> {
        let mut upserts = Vec::new();
        for rows in from.get(ROWS) {
            upserts.push(fitted(ROWS, rows, &self.schema)?);
        }
        let all = Delta {
            upserts,
            ..Delta::default()
        };
        self.rows.restore(&all).map_err(|error| unwritten(&error))
    }

    fn state_bytes(&self) -> usize {
        self.rows.bytes()
    }
}

fn failed(error: &ServeError) -> OperatorError {
    OperatorError::contract(NAME, format!("rows that cannot be kept: {error}"))
}

fn unwritten(error: &ServeError) -> StateError {
    StateError::Section {
        section: ROWS.to_owned(),
        found: error.to_string(),
    }
}
