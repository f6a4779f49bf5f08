//! The writer's side of a served table: applies changes, gives out snapshots and deltas.
//!
//! Rows lie in chunks that never change; an update marks the old row dead and appends the new one.
//! A hash index leads from a key to a *slot*, and the slot to the row's present place, so that
//! merging chunks never rehashes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{Int8Array, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::RowConverter;
use hashbrown::HashTable;
use rtsap_stream::change::{ChangeBatch, Op};
use rtsap_stream::time::EventTime;

use crate::serve::chunk::Chunk;
use crate::serve::delta::Delta;
use crate::serve::key::{self, Keys};
use crate::serve::{ServeError, ServedSnapshot};

mod compact;
mod expire;
mod net;
mod numbered;
mod versions;

/// How rows of a table are told apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Rows only come; they need no identity.
    Append,
    /// By these columns; an insert replaces.
    Keyed(Vec<usize>),
    /// By all columns; equal rows are counted.
    Multiset,
}

/// Where a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    chunk: u32,
    row: u32,
}

/// A served table.
pub struct ServedTable {
    schema: SchemaRef,
    shape: Shape,
    converter: Option<RowConverter>,
    chunks: BTreeMap<u32, Chunk>,
    chunk_next: u32,
    index: HashTable<u32>,
    slots: Vec<Place>,
    slots_free: Vec<u32>,
    slot_of: HashMap<u32, Vec<u32>>,
    hasher: RandomState,
    /// Keys deleted in this epoch, with their last rows.
    gone: HashMap<Box<[u8]>, Vec<RecordBatch>>,
    /// Slots whose keys are gone, if changes are taken by number; then `gone` stays empty.
    slots_gone: Option<HashSet<u32>>,
    rows: usize,
}

pub use numbered::Numbered;

impl ServedTable {
    /// An empty table.
    ///
    /// # Errors
    /// [`ServeError::Arrow`] if a key column's type cannot be compared.
    pub fn new(schema: SchemaRef, shape: Shape) -> Result<Self, ServeError> {
        let columns: Option<Vec<usize>> = match &shape {
            Shape::Append => None,
            Shape::Keyed(key) => Some(key.clone()),
            Shape::Multiset => Some((0..schema.fields().len()).collect()),
        };
        let converter = columns
            .map(|columns| {
                let fields = columns.iter();
                key::converter(fields.map(|c| schema.field(*c).data_type().clone()))
            })
            .transpose()?;
        Ok(Self {
            schema,
            shape,
            converter,
            chunks: BTreeMap::new(),
            chunk_next: 0,
            index: HashTable::new(),
            slots: Vec::new(),
            slots_free: Vec::new(),
            slot_of: HashMap::new(),
            // Fixed seeds: nothing observable depends on them, and a run repeats itself.
            hasher: RandomState::with_seeds(1, 2, 3, 4),
            gone: HashMap::new(),
            slots_gone: None,
            rows: 0,
        })
    }

    /// Columns and types.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How its rows are told apart.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Rows now.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes held, the index included.
    pub fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.values().map(Chunk::bytes).sum();
        chunks + self.index.capacity() * 5 + self.slots.capacity() * 12
    }

    /// Applies `changes` and returns what it did to the relation: an update is a delete of the old
    /// row followed at once by an insert of the new one.
    ///
    /// # Errors
    /// As [`ServedTable::keep`].
    pub fn apply(&mut self, changes: &ChangeBatch) -> Result<Option<ChangeBatch>, ServeError> {
        if changes.is_empty() {
            return Ok(None);
        }
        let net = match self.shape {
            Shape::Append => {
                self.append(changes)?;
                Some(changes.clone())
            }
            Shape::Keyed(_) | Shape::Multiset => {
                let step = self.apply_keyed(changes, true)?;
                let net = self.net(&step, changes)?;
                self.bury(&step)?;
                net
            }
        };
        self.compact()?;
        Ok(net)
    }

    /// Applies `changes` where nobody asks what that did to the relation.
    ///
    /// # Errors
    /// [`ServeError::UnmatchedDelete`] for a delete of a row that is not there in a table without a
    /// key.
    pub fn keep(&mut self, changes: &ChangeBatch) -> Result<(), ServeError> {
        if changes.is_empty() {
            return Ok(());
        }
        if self.shape == Shape::Append {
            self.append(changes)?;
        } else {
            let step = self.apply_keyed(changes, true)?;
            self.bury(&step)?;
        }
        self.compact()
    }

    fn append(&mut self, changes: &ChangeBatch) -> Result<(), ServeError> {
        if changes.ops().is_some() {
            return Err(ServeError::UnmatchedDelete);
        }
        self.push_chunk(changes.rows().clone(), None, true);
        self.rows += changes.len();
        Ok(())
    }

    /// Applies what a checkpoint holds; it is not part of the next delta.
    ///
    /// # Errors
    /// As [`ServedTable::apply`].
    pub fn restore(&mut self, delta: &Delta) -> Result<(), ServeError> {
        for rows in &delta.deletes {
            let ops = Int8Array::from(vec![-1; rows.num_rows()]);
            if let Ok(batch) = ChangeBatch::try_new(rows.clone(), ops) {
                let step = self.apply_keyed(&batch, false)?;
                self.bury(&step)?;
            }
        }
        for rows in &delta.upserts {
            if self.shape == Shape::Append {
                self.push_chunk(rows.clone(), None, false);
                self.rows += rows.num_rows();
            } else {
                let step = self.apply_keyed(&ChangeBatch::inserts(rows.clone()), false)?;
                self.bury(&step)?;
            }
        }
        self.gone.clear();
        self.compact()
    }

    /// What changed since the last call.
    ///
    /// # Errors
    /// [`ServeError::Arrow`] if a kernel refuses.
    pub fn take_delta(&mut self) -> Result<Delta, ServeError> {
        let mut delta = Delta::default();
        for chunk in self.chunks.values_mut() {
            if chunk.fresh.count() == 0 {
                continue;
            }
            let marks = chunk.live().and(&chunk.fresh);
            if marks.count() > 0 {
                delta.upserts.push(chunk.select(&marks)?);
            }
            chunk.fresh = crate::serve::chunk::Marks::new(chunk.rows.num_rows(), false);
        }
        let gone: Vec<RecordBatch> = self.gone.drain().flat_map(|(_, rows)| rows).collect();
        if !gone.is_empty() {
            delta.deletes.push(concat_batches(&self.schema, &gone)?);
        }
        Ok(delta)
    }

    /// All rows, as a delta onto nothing.
    ///
    /// # Errors
    /// [`ServeError::Arrow`] if a kernel refuses.
    pub fn everything(&self) -> Result<Delta, ServeError> {
        let mut delta = Delta::default();
        for chunk in self
            .chunks
            .values()
            .filter(|chunk| chunk.live().count() > 0)
        {
            delta.upserts.push(chunk.select(chunk.live())?);
        }
        Ok(delta)
    }

    /// The present rows for readers.
    pub fn snapshot(&mut self, watermark: Option<EventTime>) -> Arc<ServedSnapshot> {
        let chunks = self.chunks.values_mut().map(Chunk::for_readers).collect();
        Arc::new(ServedSnapshot::new(
            Arc::clone(&self.schema),
            chunks,
            self.rows,
            watermark,
        ))
    }

    /// Drops the oldest rows until at most `rows_max` remain, chunk by chunk. Only for append
    /// tables.
    pub fn trim(&mut self, rows_max: usize) {
        while self.rows > rows_max && self.chunks.len() > 1 {
            if let Some((_, chunk)) = self.chunks.pop_first() {
                self.rows -= chunk.live().count();
            }
        }
    }

    fn push_chunk(&mut self, rows: RecordBatch, keys: Option<Keys>, fresh: bool) -> u32 {
        let id = self.chunk_next;
        self.chunk_next += 1;
        self.chunks.insert(id, Chunk::new(rows, keys, fresh));
        id
    }

    fn key_columns(&self, rows: &RecordBatch) -> Vec<arrow::array::ArrayRef> {
        match &self.shape {
            Shape::Keyed(key) => key.iter().map(|c| Arc::clone(rows.column(*c))).collect(),
            Shape::Append | Shape::Multiset => rows.columns().to_vec(),
        }
    }

    fn apply_keyed(&mut self, changes: &ChangeBatch, fresh: bool) -> Result<Step, ServeError> {
        let rows = changes.rows();
        let keys = self.key_columns(rows);
        let Some(converter) = &self.converter else {
            return Err(ServeError::UnmatchedDelete);
        };
        let keys = Keys::of(&keys, converter)?;
        let id = self.push_chunk(rows.clone(), Some(keys), fresh);
        let mut step = Step {
            id,
            before: vec![None; rows.num_rows()],
            tombs: BTreeMap::new(),
        };
        self.slot_of.insert(id, vec![u32::MAX; rows.num_rows()]);
        for row in 0..rows.num_rows() {
            match changes.op(row) {
                Op::Insert => self.insert_row(&mut step, row),
                Op::Delete => self.delete_row(&mut step, row)?,
            }
        }
        Ok(step)
    }

    fn hash_of(&self, place: Place) -> u64 {
        hash(&self.chunks, &self.hasher, place)
    }

    /// The key of `place` as bytes.
    fn key_of(&self, place: Place) -> Box<[u8]> {
        let keys = keys_of(&self.chunks, place.chunk);
        keys.map_or_else(Box::default, |keys| keys.bytes(place.row as usize))
    }

    /// The slot that holds the key of `place` and is `wanted`, if there is one.
    fn find(&self, place: Place, hash: u64, wanted: impl Fn(u32) -> bool) -> Option<u32> {
        let keys = keys_of(&self.chunks, place.chunk)?;
        let same = |slot: &u32| {
            let other = self.slots[*slot as usize];
            wanted(*slot)
                && keys_of(&self.chunks, other.chunk).is_some_and(|other_keys| {
                    keys.same(place.row as usize, other_keys, other.row as usize)
                })
        };
        self.index.find(hash, same).copied()
    }

    fn insert_row(&mut self, step: &mut Step, row: usize) {
        let place = Place {
            chunk: step.id,
            row: index_u32(row),
        };
        let hash = self.hash_of(place);
        if !self.gone.is_empty() && matches!(self.shape, Shape::Keyed(_)) {
            self.gone.remove(&self.key_of(place));
        }
        let found = match self.shape {
            Shape::Keyed(_) => self.find(place, hash, |_| true),
            Shape::Append | Shape::Multiset => None,
        };
        let slot = match found {
            Some(slot) => {
                let old = self.slots[slot as usize];
                if let Some(before) = step.tombs.remove(&slot) {
                    step.before[row] = before;
                } else if old.chunk == step.id {
                    step.before[row] = step.before[old.row as usize].take();
                    self.kill(old);
                } else {
                    step.before[row] = Some(old);
                    self.kill(old);
                }
                self.slots[slot as usize] = place;
                slot
            }
            None => self.add_slot(place, hash),
        };
        self.rows += 1;
        if let Some(slots) = self.slot_of.get_mut(&step.id) {
            slots[row] = slot;
        }
    }

    fn delete_row(&mut self, step: &mut Step, row: usize) -> Result<(), ServeError> {
        let place = Place {
            chunk: step.id,
            row: index_u32(row),
        };
        // The row that carries the delete is not part of the relation.
        if let Some(chunk) = self.chunks.get_mut(&step.id) {
            chunk.kill(row);
        }
        let hash = self.hash_of(place);
        let live = |slot| !step.tombs.contains_key(&slot);
        let Some(slot) = self.find(place, hash, live) else {
            return match self.shape {
                Shape::Keyed(_) => Ok(()),
                Shape::Append | Shape::Multiset => Err(ServeError::UnmatchedDelete),
            };
        };
        let old = self.slots[slot as usize];
        let before = if old.chunk == step.id {
            step.before[old.row as usize].take()
        } else {
            Some(old)
        };
        self.kill(old);
        step.tombs.insert(slot, before);
        Ok(())
    }

    fn kill(&mut self, place: Place) {
        if let Some(chunk) = self.chunks.get_mut(&place.chunk) {
            chunk.kill(place.row as usize);
            self.rows -= 1;
        }
    }

    fn add_slot(&mut self, place: Place, hash: u64) -> u32 {
        let slot = match self.slots_free.pop() {
            Some(slot) => {
                if let Some(gone) = &mut self.slots_gone {
                    gone.remove(&slot);
                }
                self.slots[slot as usize] = place;
                slot
            }
            None => {
                self.slots.push(place);
                index_u32(self.slots.len() - 1)
            }
        };
        let (slots, chunks, hasher) = (&self.slots, &self.chunks, &self.hasher);
        let rehash = |slot: &u32| self::hash(chunks, hasher, slots[*slot as usize]);
        self.index.insert_unique(hash, slot, rehash);
        slot
    }

    /// Forgets the key of `place`, which `slot` leads to.
    fn remove_slot(&mut self, slot: u32, place: Place) {
        let hash = self.hash_of(place);
        if let Ok(entry) = self.index.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        if let Some(gone) = &mut self.slots_gone {
            gone.insert(slot);
        }
        self.slots_free.push(slot);
    }

    /// Removes the keys that a step deleted for good and remembers them for the delta.
    fn bury(&mut self, step: &Step) -> Result<(), ServeError> {
        for (slot, before) in &step.tombs {
            let place = self.slots[*slot as usize];
            let key = self.key_of(place);
            self.remove_slot(*slot, place);
            if self.slots_gone.is_some() {
                continue;
            }
            let checkpointed = |place: &Place| {
                let chunk = self.chunks.get(&place.chunk);
                chunk.is_some_and(|chunk| !chunk.fresh.get(place.row as usize))
            };
            let note = match (&self.shape, before) {
                // A key's earlier row may be in a checkpoint even if the one deleted now is not.
                (Shape::Keyed(_), Some(before)) => Some(*before),
                (Shape::Keyed(_), None) => Some(place),
                (_, Some(before)) if checkpointed(before) => Some(*before),
                _ => None,
            };
            if let Some(place) = note
                && let Some(chunk) = self.chunks.get(&place.chunk)
            {
                let row = UInt32Array::from(vec![place.row]);
                self.gone
                    .entry(key)
                    .or_default()
                    .push(take_record_batch(&chunk.rows, &row)?);
            }
        }
        Ok(())
    }
}

/// One application of changes in progress.
struct Step {
    /// The chunk that the new rows lie in.
    id: u32,
    /// For each new row the row that its key had before this step.
    before: Vec<Option<Place>>,
    /// Slots deleted in this step, with the row that the key had before it.
    tombs: BTreeMap<u32, Option<Place>>,
}

fn keys_of(chunks: &BTreeMap<u32, Chunk>, chunk: u32) -> Option<&Keys> {
    chunks.get(&chunk).and_then(|chunk| chunk.keys.as_ref())
}

fn hash(chunks: &BTreeMap<u32, Chunk>, hasher: &RandomState, place: Place) -> u64 {
    keys_of(chunks, place.chunk).map_or(0, |keys| keys.hash(place.row as usize, hasher))
}

fn index_u32(index: usize) -> u32 {
    // Chunks are far smaller than 2^32 rows: `view_bytes_max` is reached first.
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
