//! Rows that are served no longer because event time has left them behind.

use arrow::array::Array;
use rtsap_stream::time::EventTime;

use super::{Place, ServedTable, index_u32};
use crate::reader;
use crate::serve::ServeError;

impl ServedTable {
    /// Takes away the rows whose event time, in `column`, is before `limit` and which are in a
    /// checkpoint. They are not deleted: no delta names them, and recovery brings them back, to be
    /// taken away again. Returns whether there were any.
    ///
    /// # Errors
    /// [`ServeError::Arrow`] if a kernel refuses.
    pub fn expire(&mut self, column: usize, limit: EventTime) -> Result<bool, ServeError> {
        let limit = limit.nanos();
        let mut expired: Vec<Place> = Vec::new();
        for (id, chunk) in &mut self.chunks {
            if chunk.oldest.is_some_and(|oldest| oldest >= limit) {
                continue;
            }
            let Some(times) = reader::nanos(chunk.rows.column(column)) else {
                continue;
            };
            let mut oldest = i64::MAX;
            let live = (0..times.len()).filter(|row| chunk.live().get(*row));
            for row in live.filter(|row| times.is_valid(*row)) {
                let time = times.value(row);
                if time >= limit || chunk.fresh.get(row) {
                    oldest = oldest.min(time);
                    continue;
                }
                expired.push(Place {
                    chunk: *id,
                    row: index_u32(row),
                });
            }
            chunk.oldest = Some(oldest);
        }
        for place in &expired {
            let slots = self.slot_of.get(&place.chunk);
            if let Some(slot) = slots.map(|slots| slots[place.row as usize]) {
                self.remove_slot(slot, *place);
            }
            self.kill(*place);
        }
        if !expired.is_empty() {
            self.compact()?;
        }
        Ok(!expired.is_empty())
    }
}

#[cfg(test)]
mod tests;
