//! The rows of one side of a regular join: counted, found by content and by key, removed one by
//! one.
//!
//! Rows lie in Arrow's row format: a delete finds its row by its bytes, and rows of many batches
//! become columns again at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashTable;

use crate::state::marks::Marks;

/// The number of a row in its table.
pub type RowId = u32;

/// Bytes that a row costs besides its own.
const ROW_OVERHEAD_BYTES: usize = size_of::<Entry>() + 24;

/// The rows of one side.
pub struct RowTable {
    schema: SchemaRef,
    converter: RowConverter,
    entries: Vec<Option<Entry>>,
    free: Vec<RowId>,
    by_content: HashTable<RowId>,
    by_key: Vec<Vec<RowId>>,
    /// By time; empty where rows are kept for ever.
    by_time: BTreeMap<i64, Vec<RowId>>,
    hasher: RandomState,
    row_count: usize,
    live_keys: usize,
    bytes: usize,
    /// Rows that came, changed or went since the last snapshot; of a new table, which has no part
    /// in one, all.
    unsaved: Marks,
    was_saved: bool,
}

struct Entry {
    content: Box<[u8]>,
    hash: u64,
    key: u32,
    /// Where it stands among the rows of its key.
    place: u32,
    /// How many equal rows there are.
    count: u32,
    /// How many rows of the other side it has met that were not taken back.
    matches: i64,
}

impl RowTable {
    /// An empty table of rows of `schema`.
    ///
    /// # Errors
    /// Arrow's, if a column's type has no row format.
    pub fn new(schema: &SchemaRef) -> Result<Self, ArrowError> {
        let fields = schema.fields().iter();
        let fields = fields.map(|field| SortField::new(field.data_type().clone()));
        Ok(Self {
            schema: Arc::clone(schema),
            converter: RowConverter::new(fields.collect())?,
            entries: Vec::new(),
            free: Vec::new(),
            by_content: HashTable::new(),
            by_key: Vec::new(),
            by_time: BTreeMap::new(),
            // Fixed seeds: nothing observable depends on them, and a run repeats itself.
            hasher: RandomState::with_seeds(5, 6, 7, 8),
            row_count: 0,
            live_keys: 0,
            bytes: 0,
            unsaved: Marks::default(),
            was_saved: false,
        })
    }

    /// A batch in row format.
    ///
    /// # Errors
    /// Arrow's, if a column has another type than the table's.
    pub fn contents(&self, rows: &RecordBatch) -> Result<Rows, ArrowError> {
        self.converter.convert_columns(rows.columns())
    }

    /// Number of different rows.
    pub const fn row_count(&self) -> usize {
        self.row_count
    }

    /// Number of keys that have rows.
    pub const fn live_keys(&self) -> usize {
        self.live_keys
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes + self.unsaved.size() + self.by_key.capacity() * size_of::<Vec<RowId>>()
    }

    /// The rows of a key.
    pub fn of_key(&self, key: u32) -> &[RowId] {
        self.by_key.get(key as usize).map_or(&[], Vec::as_slice)
    }

    /// How many rows equal row `id` there are.
    pub fn count(&self, id: RowId) -> u32 {
        self.entry(id).map_or(0, |entry| entry.count)
    }

    /// How many partners a row has met.
    pub fn matches(&self, id: RowId) -> i64 {
        self.entry(id).map_or(0, |entry| entry.matches)
    }

    /// Adds to the partners that a row has met; returns how many there were before and are now.
    pub fn add_matches(&mut self, id: RowId, more: i64) -> (i64, i64) {
        match self.entries.get_mut(id as usize).and_then(Option::as_mut) {
            Some(entry) => {
                self.unsaved.mark(id as usize);
                let before = entry.matches;
                entry.matches += more;
                (before, entry.matches)
            }
            None => (0, 0),
        }
    }

    fn entry(&self, id: RowId) -> Option<&Entry> {
        self.entries.get(id as usize)?.as_ref()
    }

    /// The row of this content, if there is one.
    pub fn find(&self, content: &[u8]) -> Option<RowId> {
        let hash = self.hasher.hash_one(content);
        let same = |id: &RowId| {
            self.entry(*id)
                .is_some_and(|entry| *entry.content == *content)
        };
        self.by_content.find(hash, same).copied()
    }

    /// Adds `count` rows of one content, key and time; a new one has met `matches` partners.
    pub fn add(
        &mut self,
        content: &[u8],
        key: u32,
        time: Option<i64>,
        count: u32,
        matches: i64,
    ) -> RowId {
        if let Some(id) = self.find(content) {
            self.unsaved.mark(id as usize);
            if let Some(entry) = self.entries.get_mut(id as usize).and_then(Option::as_mut) {
                entry.count += count;
            }
            return id;
        }
        let hash = self.hasher.hash_one(content);
        let id = self.free.pop().unwrap_or(self.entries.len() as RowId);
        let index = key as usize;
        if self.by_key.len() <= index {
            self.by_key.resize_with(index + 1, Vec::new);
        }
        let entry = Entry {
            content: content.into(),
            hash,
            key,
            place: self.by_key[index].len() as u32,
            count,
            matches,
        };
        self.live_keys += usize::from(self.by_key[index].is_empty());
        self.by_key[index].push(id);
        if let Some(time) = time {
            self.by_time.entry(time).or_default().push(id);
        }
        self.unsaved.mark(id as usize);
        self.bytes += content.len() + ROW_OVERHEAD_BYTES;
        self.row_count += 1;
        match self.entries.get_mut(id as usize) {
            Some(slot) => *slot = Some(entry),
            None => self.entries.push(Some(entry)),
        }
        let entries = &self.entries;
        let rehash = |id: &RowId| entries[*id as usize].as_ref().map_or(0, |entry| entry.hash);
        self.by_content.insert_unique(hash, id, rehash);
        id
    }

    /// Takes one row back.
    pub fn take_one(&mut self, id: RowId) {
        self.unsaved.mark(id as usize);
        match self.entries.get_mut(id as usize).and_then(Option::as_mut) {
            Some(entry) if entry.count > 1 => entry.count -= 1,
            _ => self.remove(id),
        }
    }

    fn remove(&mut self, id: RowId) {
        let Some(entry) = self.entries.get_mut(id as usize).and_then(Option::take) else {
            return;
        };
        self.unsaved.mark(id as usize);
        let rows = &mut self.by_key[entry.key as usize];
        rows.swap_remove(entry.place as usize);
        if let Some(moved) = rows.get(entry.place as usize)
            && let Some(moved) = self.entries[*moved as usize].as_mut()
        {
            moved.place = entry.place;
        }
        if rows.is_empty() {
            // Its room as well: a key may never come again.
            *rows = Vec::new();
            self.live_keys -= 1;
        }
        if let Ok(found) = self.by_content.find_entry(entry.hash, |other| *other == id) {
            found.remove();
        }
        self.bytes -= entry.content.len() + ROW_OVERHEAD_BYTES;
        self.row_count -= 1;
        self.free.push(id);
    }

    /// Forgets rows with times before `limit`.
    pub fn expire(&mut self, limit: i64) {
        let kept = self.by_time.split_off(&limit);
        let expired = std::mem::replace(&mut self.by_time, kept);
        for id in expired.into_values().flatten() {
            self.remove(id);
        }
    }

    /// The columns of rows `ids`.
    ///
    /// # Errors
    /// Arrow's, if the rows do not fit one array.
    pub fn columns(&self, ids: impl Iterator<Item = RowId>) -> Result<Vec<ArrayRef>, ArrowError> {
        let parser = self.converter.parser();
        let rows = ids.filter_map(|id| self.entry(id));
        self.converter
            .convert_rows(rows.map(|entry| parser.parse(&entry.content)))
    }

    /// All rows in order of their numbers, in batches of at most `rows_max`, with the count and the
    /// partners of each.
    ///
    /// # Errors
    /// As [`RowTable::columns`].
    pub fn everything(&self, rows_max: usize) -> Result<Vec<Counted>, ArrowError> {
        let all: Vec<RowId> = (0..self.entries.len() as RowId).collect();
        self.of_ids(&all, rows_max)
    }

    /// Those of rows `ids` that are there, as [`RowTable::everything`].
    fn of_ids(&self, ids: &[RowId], rows_max: usize) -> Result<Vec<Counted>, ArrowError> {
        let there = ids.iter().filter(|id| self.entry(**id).is_some());
        let ids: Vec<RowId> = there.copied().collect();
        let mut batches = Vec::with_capacity(ids.len() / rows_max + 1);
        for ids in ids.chunks(rows_max) {
            let columns = self.columns(ids.iter().copied())?;
            batches.push(Counted {
                rows: RecordBatch::try_new(Arc::clone(&self.schema), columns)?,
                counts: ids.iter().map(|id| self.count(*id)).collect(),
                matches: ids.iter().map(|id| self.matches(*id)).collect(),
                ids: ids.to_vec(),
            });
        }
        Ok(batches)
    }

    /// Whether a delta can build on what was saved of this table.
    pub const fn was_saved(&self) -> bool {
        self.was_saved
    }

    /// The rows to be saved, in batches of at most `rows_max`: all, or with `delta` those that came
    /// or changed since the last call, with the numbers of those that went.
    ///
    /// # Errors
    /// As [`RowTable::columns`].
    pub fn take_unsaved(
        &mut self,
        delta: bool,
        rows_max: usize,
    ) -> Result<(Vec<Counted>, Vec<RowId>), ArrowError> {
        let mut touched: Vec<RowId> = self.unsaved.take().iter().map(|id| *id as RowId).collect();
        self.was_saved = true;
        if !delta {
            return Ok((self.everything(rows_max)?, Vec::new()));
        }
        touched.sort_unstable();
        let rows = self.of_ids(&touched, rows_max)?;
        touched.retain(|id| self.entry(*id).is_none());
        Ok((rows, touched))
    }
}

/// Rows with how many of each there are and how many partners each has met.
pub struct Counted {
    /// The rows, all different.
    pub rows: RecordBatch,
    /// One entry a row.
    pub counts: Vec<u32>,
    /// One entry a row.
    pub matches: Vec<i64>,
    /// One entry a row; none if it was read from a snapshot.
    pub ids: Vec<RowId>,
}
