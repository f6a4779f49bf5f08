//! Builds columns from places: rows of many chunks become one array.

use std::collections::HashMap;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::interleave;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::Place;

/// The chunks that a list of places names, numbered densely.
pub struct Gather<'a> {
    chunks: Vec<&'a RecordBatch>,
    /// For each place: which of `chunks`, and the row; a missing place is one past the last.
    indices: Vec<(usize, usize)>,
    missing: bool,
}

impl<'a> Gather<'a> {
    /// Looks the chunks of `places` up. `None` stands for a row of nulls.
    pub fn new(
        places: impl Iterator<Item = Option<Place>>,
        chunk: impl Fn(u32) -> Option<&'a RecordBatch>,
    ) -> Result<Self, ArrowError> {
        let mut chunks = Vec::new();
        let mut numbers: HashMap<u32, usize, RandomState> =
            HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4));
        let mut indices = Vec::with_capacity(places.size_hint().0);
        let mut last = None;
        let mut missing = false;
        for place in places {
            let Some(place) = place else {
                missing = true;
                indices.push((usize::MAX, 0));
                continue;
            };
            let number = match last {
                Some((chunk, number)) if chunk == place.chunk => number,
                _ => *numbers.entry(place.chunk).or_insert(chunks.len()),
            };
            if number == chunks.len() {
                let rows = chunk(place.chunk).ok_or_else(|| {
                    ArrowError::InvalidArgumentError(format!("no chunk {}", place.chunk))
                })?;
                chunks.push(rows);
            }
            last = Some((place.chunk, number));
            indices.push((number, place.row as usize));
        }
        for (chunk, _) in &mut indices {
            *chunk = (*chunk).min(chunks.len());
        }
        Ok(Self {
            chunks,
            indices,
            missing,
        })
    }

    /// Column `index` of the rows, of type `data_type`.
    pub fn column(&self, index: usize, data_type: &DataType) -> Result<ArrayRef, ArrowError> {
        if self.chunks.is_empty() {
            return Ok(new_null_array(data_type, self.indices.len()));
        }
        let nulls = self.missing.then(|| new_null_array(data_type, 1));
        let columns = self.chunks.iter().map(|chunk| chunk.column(index).as_ref());
        let mut columns: Vec<&dyn Array> = columns.collect();
        columns.extend(nulls.as_ref().map(|nulls| nulls.as_ref()));
        interleave(&columns, &self.indices)
    }
}
