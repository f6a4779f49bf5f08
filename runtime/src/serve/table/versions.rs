//! Splits changes so that no key comes twice in one batch: what a batch does to the relation then
//! shows every version of every row.

use std::collections::HashSet;

use ahash::RandomState;
use arrow::array::Int8Array;
use rtsap_stream::change::ChangeBatch;

use super::{ServedTable, Shape};
use crate::serve::ServeError;

impl ServedTable {
    /// The same changes in the same order, cut before each row whose key came before since the last
    /// cut.
    ///
    /// # Errors
    /// [`ServeError::Arrow`] if the keys cannot be compared.
    pub fn versions(&self, changes: ChangeBatch) -> Result<Vec<ChangeBatch>, ServeError> {
        let (Shape::Keyed(_), Some(converter)) = (&self.shape, &self.converter) else {
            return Ok(vec![changes]);
        };
        let keys = converter.convert_columns(&self.key_columns(changes.rows()))?;
        let mut seen: HashSet<&[u8], RandomState> =
            HashSet::with_hasher(RandomState::with_seeds(1, 2, 3, 4));
        let mut cuts = vec![0];
        for row in 0..changes.len() {
            if !seen.insert(keys.row(row).data()) {
                seen.clear();
                seen.insert(keys.row(row).data());
                cuts.push(row);
            }
        }
        if cuts.len() == 1 {
            return Ok(vec![changes]);
        }
        cuts.push(changes.len());
        let (rows, ops) = changes.into_parts();
        let mut parts = Vec::with_capacity(cuts.len() - 1);
        for cut in cuts.windows(2) {
            let (start, length) = (cut[0], cut[1] - cut[0]);
            let part = rows.slice(start, length);
            let ops: Option<Int8Array> = ops.as_ref().map(|ops| ops.slice(start, length));
            parts.push(
                match ops.map(|ops| ChangeBatch::try_new(part.clone(), ops)) {
                    Some(Ok(part)) => part,
                    Some(Err(_)) | None => ChangeBatch::inserts(part),
                },
            );
        }
        Ok(parts)
    }
}
