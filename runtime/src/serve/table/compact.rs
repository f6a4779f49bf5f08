//! Compaction: dead chunks go, young chunks of like size become one.

use arrow::compute::concat_batches;

use super::{Place, ServedTable, index_u32};
use crate::serve::ServeError;
use crate::serve::chunk::Chunk;
use crate::serve::key::Keys;

/// How many chunks of like size are merged into one.
const MERGE_FAN_IN: usize = 4;

impl ServedTable {
    /// Drops dead chunks and merges the youngest ones of like size, so that their number stays
    /// logarithmic.
    pub(super) fn compact(&mut self) -> Result<(), ServeError> {
        let slot_of = &mut self.slot_of;
        self.chunks.retain(|id, chunk| {
            let keep = chunk.live().count() > 0;
            if !keep {
                slot_of.remove(id);
            }
            keep
        });
        let (mut run, mut total) = (Vec::new(), 0);
        for (id, chunk) in self.chunks.iter().rev() {
            let live = chunk.live().count();
            if !run.is_empty() && live > 2 * total {
                break;
            }
            total += live;
            run.push(*id);
        }
        if run.len() >= MERGE_FAN_IN {
            run.reverse();
            self.merge(&run)?;
        }
        let mostly_dead = |chunk: &Chunk| chunk.live().count() * 2 < chunk.rows.num_rows();
        let rewrite: Vec<u32> = self
            .chunks
            .iter()
            .filter(|(_, c)| mostly_dead(c))
            .map(|(id, _)| *id)
            .collect();
        for id in rewrite {
            self.merge(&[id])?;
        }
        Ok(())
    }

    /// Rewrites the live rows of chunks `ids` as one chunk in the place of the first.
    fn merge(&mut self, ids: &[u32]) -> Result<(), ServeError> {
        let mut parts = Vec::with_capacity(ids.len());
        let (mut slots, mut fresh) = (Vec::new(), Vec::new());
        for id in ids {
            let Some(chunk) = self.chunks.remove(id) else {
                continue;
            };
            parts.push(chunk.select(chunk.live())?);
            let chunk_slots = self.slot_of.remove(id);
            for row in (0..chunk.rows.num_rows()).filter(|row| chunk.live().get(*row)) {
                fresh.push(chunk.fresh.get(row));
                if let Some(chunk_slots) = &chunk_slots {
                    slots.push(chunk_slots[row]);
                }
            }
        }
        let rows = concat_batches(&self.schema, &parts)?;
        let keys = match &self.converter {
            Some(converter) => Some(Keys::of(&self.key_columns(&rows), converter)?),
            None => None,
        };
        let id = ids[0];
        let mut chunk = Chunk::new(rows, keys, true);
        for (row, _) in fresh.iter().enumerate().filter(|(_, fresh)| !**fresh) {
            chunk.fresh.unset(row);
        }
        for (row, slot) in slots.iter().enumerate() {
            self.slots[*slot as usize] = Place {
                chunk: id,
                row: index_u32(row),
            };
        }
        if self.converter.is_some() {
            self.slot_of.insert(id, slots);
        }
        self.chunks.insert(id, chunk);
        Ok(())
    }
}
