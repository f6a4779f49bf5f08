//! What of views goes by the clock: results that are shown at most so often, and windows that close
//! when no rows come.
//!
//! Operators know nothing of it: a result waits here, and a silence becomes a promise about event
//! time like any other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, Int8Array};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use rtsap_stream::change::ChangeBatch;

use super::Core;
use super::relation::{Body, Relation};
use crate::serve::ServeError;
use crate::state::{StateError, StateReader, StateWriter};

/// The section of results that wait to be shown.
pub(super) const HELD: &str = "held";
/// The column that says whether a row comes or goes.
const OP: &str = "__op";

/// Why there is a publish, which says what becomes of views that are shown at most so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// Something came.
    Step,
    /// Somebody waits for everything that came before.
    Flush,
    /// State is saved next: nothing may be held in operators.
    Checkpoint,
}

/// What one publish does with a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Showing {
    /// Shows its results.
    All,
    /// Takes what has come.
    Nothing,
    /// Takes what has come, and has operators give out what they hold.
    Held,
    /// Leaves everything as it is: it is paused.
    Still,
}

impl Relation {
    /// What a publish at `now` does with it.
    pub(super) fn showing(&self, now: Duration, occasion: Occasion) -> Showing {
        if self.saved.paused {
            return Showing::Still;
        }
        let due = match self.turn() {
            None => true,
            Some(turn) => now >= turn || occasion == Occasion::Flush,
        };
        match occasion {
            _ if due => Showing::All,
            Occasion::Checkpoint => Showing::Held,
            Occasion::Step | Occasion::Flush => Showing::Nothing,
        }
    }

    /// When it may be shown next, if it must wait at all.
    pub(super) fn turn(&self) -> Option<Duration> {
        let every = self.pace.every?;
        Some(self.shown_at.map_or(Duration::ZERO, |at| at + every))
    }
}

impl Core {
    /// Closes what is open in views to which no rows have come for their timeout.
    pub(super) fn time_out_silent(&mut self, now: Duration) {
        for relation in self
            .relations
            .values_mut()
            .filter(|r| r.suspended.is_none() && !r.saved.paused)
        {
            let Some(timeout) = relation.pace.timeout else {
                continue;
            };
            let rows = relation.ledger().rows_in;
            let heard = &mut relation.heard;
            if rows != heard.rows {
                heard.rows = rows;
                heard.at = now;
                heard.timed_out = false;
                continue;
            }
            if heard.timed_out || now.saturating_sub(heard.at) < timeout {
                continue;
            }
            heard.timed_out = true;
            let Body::View { dataflow } = &mut relation.body else {
                continue;
            };
            match dataflow.close_open() {
                Ok(false) => {}
                Ok(true) => {
                    relation.touched = true;
                    self.touched = true;
                    self.changed_since_checkpoint = true;
                }
                Err(error) => {
                    relation.suspend(error.to_string());
                    self.touched = true;
                }
            }
        }
    }
}

/// Net changes as if they had come at once: of what came and went nothing is left.
pub(super) fn conflated(net: Vec<ChangeBatch>) -> Result<Vec<ChangeBatch>, ServeError> {
    let Some(first) = net
        .first()
        .filter(|_| net.iter().any(|batch| batch.ops().is_some()))
    else {
        return Ok(net);
    };
    let schema = first.rows().schema();
    let fields = schema.fields().iter();
    let fields = fields.map(|field| SortField::new(field.data_type().clone()));
    let converter = RowConverter::new(fields.collect())?;
    let hasher = RandomState::with_seeds(1, 2, 3, 4);
    let mut counts: HashMap<Box<[u8]>, (usize, i64), RandomState> = HashMap::with_hasher(hasher);
    let mut places = Vec::new();
    for (batch, changes) in net.iter().enumerate() {
        let rows = converter.convert_columns(changes.rows().columns())?;
        for (row, bytes) in rows.iter().enumerate() {
            let op = changes.ops().map_or(1, |ops| i64::from(ops.value(row)));
            let next = places.len();
            let (place, count) = counts.entry(bytes.as_ref().into()).or_insert((next, 0));
            if *place == next {
                places.push((batch, row));
            }
            *count += op;
        }
    }
    let mut order: Vec<(usize, i64)> = counts
        .into_values()
        .filter(|(_, count)| *count != 0)
        .collect();
    // What goes comes first, so that a key is never there twice.
    order.sort_unstable_by_key(|(place, count)| (*count > 0, *place));
    let (mut chosen, mut ops) = (Vec::new(), Vec::new());
    for (place, count) in order {
        for _ in 0..count.unsigned_abs() {
            chosen.push(places[place]);
            ops.push(if count > 0 { 1_i8 } else { -1 });
        }
    }
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let batches: Vec<&RecordBatch> = net.iter().map(ChangeBatch::rows).collect();
    let rows = interleave_record_batch(&batches, &chosen)?;
    // Both lists are as long as each other.
    Ok(ChangeBatch::try_new(rows, Int8Array::from(ops))
        .into_iter()
        .collect())
}

/// Writes results that wait.
pub(super) fn write_held(
    prefix: &str,
    held: &[ChangeBatch],
    out: &mut StateWriter,
) -> Result<(), StateError> {
    out.set_prefix(prefix.to_owned());
    for changes in held.iter().filter(|changes| !changes.is_empty()) {
        let rows = changes.rows();
        let ops = match changes.ops() {
            Some(ops) => ops.clone(),
            None => Int8Array::from(vec![1; rows.num_rows()]),
        };
        let mut fields: Vec<_> = rows.schema().fields().iter().map(Arc::clone).collect();
        fields.push(Arc::new(Field::new(OP, DataType::Int8, false)));
        let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
        columns.push(Arc::new(ops));
        out.put(
            HELD,
            RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?,
        );
    }
    Ok(())
}

/// Reads what [`write_held`] wrote.
pub(super) fn read_held(from: &StateReader) -> Result<Vec<ChangeBatch>, StateError> {
    let mut held = Vec::new();
    for batch in from.get(HELD) {
        let last = batch.num_columns().saturating_sub(1);
        let ops = batch
            .columns()
            .last()
            .and_then(|ops| ops.as_any().downcast_ref::<Int8Array>());
        let Some(ops) = ops else {
            return Err(StateError::section(HELD, "lacks a column"));
        };
        let rows = batch.project(&(0..last).collect::<Vec<_>>())?;
        let comes = ops.values().iter().all(|op| *op > 0) && ops.null_count() == 0;
        held.push(match comes {
            true => ChangeBatch::inserts(rows),
            false => match ChangeBatch::try_new(rows, ops.clone()) {
                Ok(changes) => changes,
                Err(error) => {
                    return Err(StateError::section(HELD, error.to_string()));
                }
            },
        });
    }
    Ok(held)
}
