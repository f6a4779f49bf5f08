//! What one application of changes did to the relation: for views downstream and for subscribers.

use std::collections::HashMap;

use arrow::array::Int8Array;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rtsap_stream::change::ChangeBatch;

use super::{Place, ServedTable, Step};
use crate::serve::ServeError;

impl ServedTable {
    /// The net effect of a step as a change batch, for downstream views and subscribers.
    pub(super) fn net(
        &self,
        step: &Step,
        changes: &ChangeBatch,
    ) -> Result<Option<ChangeBatch>, ServeError> {
        let mut sources: Vec<&RecordBatch> = vec![changes.rows()];
        let mut source_of: HashMap<u32, usize> = HashMap::new();
        let mut picks: Vec<(usize, usize)> = Vec::new();
        let mut ops: Vec<i8> = Vec::new();
        let mut delete = |place: Place, picks: &mut Vec<(usize, usize)>, ops: &mut Vec<i8>| {
            if let Some(chunk) = self.chunks.get(&place.chunk) {
                let source = *source_of.entry(place.chunk).or_insert_with(|| {
                    sources.push(&chunk.rows);
                    sources.len() - 1
                });
                picks.push((source, place.row as usize));
                ops.push(-1);
            }
        };
        for before in step.tombs.values().flatten() {
            delete(*before, &mut picks, &mut ops);
        }
        let Some(chunk) = self.chunks.get(&step.id) else {
            return Ok(None);
        };
        for row in 0..changes.len() {
            if chunk.live().get(row) {
                if let Some(before) = step.before[row] {
                    delete(before, &mut picks, &mut ops);
                }
                picks.push((0, row));
                ops.push(1);
            }
        }
        if picks.is_empty() {
            return Ok(None);
        }
        let rows = interleave_record_batch(&sources, &picks)?;
        let batch = ChangeBatch::try_new(rows, Int8Array::from(ops))
            .map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?;
        Ok(Some(batch))
    }
}
