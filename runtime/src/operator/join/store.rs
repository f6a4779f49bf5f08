//! The rows of one side of a join by event time: found by key, forgotten by time.
//!
//! ```text
//! chunk: the batch as it came, each row's time and key, the rows in order of time, how many of
//!        them are forgotten
//! index: key number → (time, place), in order of time, then of arrival
//! ```

use std::collections::VecDeque;

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::gather::Gather;
use super::{BATCH_ROWS, NO_KEY, Place};

/// A side has at least so many chunks before they are merged.
const CHUNKS_MIN: usize = 64;

/// Chunks of fewer rows than this, on average, are merged.
const CHUNK_ROWS_MIN: usize = 256;

/// The rows of one side.
pub struct Store {
    schema: SchemaRef,
    chunks: Vec<Option<Chunk>>,
    free: Vec<u32>,
    arrivals: u64,
    index: Vec<VecDeque<(i64, Place)>>,
    row_count: usize,
    /// Rows in all chunks, forgotten ones too.
    held: usize,
    chunk_count: usize,
    live_keys: usize,
    bytes: usize,
    /// What has changed since the last snapshot; none of a store that has no part in one.
    unsaved: Option<Unsaved>,
}

/// What has changed in the rows of a snapshot.
#[derive(Default)]
struct Unsaved {
    /// Chunks that came as number so and so many or later are new.
    first: u64,
    /// Rows that have found a partner.
    marked: Vec<Place>,
    /// Numbers of rows that are gone.
    gone: Vec<u64>,
}

/// Rows to be saved.
pub struct Saved {
    /// The rows.
    pub rows: RecordBatch,
    /// One entry a row: whether it had a partner.
    pub matched: Vec<bool>,
    /// One entry a row, growing: its place in the order of arrival.
    pub numbers: Vec<u64>,
}

struct Chunk {
    /// Chunks came in this order.
    arrival: u64,
    rows: RecordBatch,
    times: Vec<i64>,
    keys: Vec<u32>,
    matched: Vec<bool>,
    /// Rows that were given up before their time.
    removed: Vec<bool>,
    /// How many rows are neither forgotten nor given up.
    live: usize,
    /// The rows in order of time.
    order: Vec<u32>,
    /// How many of `order` are forgotten.
    gone: usize,
    bytes: usize,
}

impl Chunk {
    /// The number of a row in a snapshot.
    const fn number(&self, row: u32) -> u64 {
        self.arrival << 32 | row as u64
    }

    /// Whether a row is neither forgotten nor given up.
    fn has(&self, row: u32) -> bool {
        // Rows of one time are forgotten together.
        let forgotten = |next: i64| self.times[row as usize] < next;
        !self.removed[row as usize] && !self.next_time().is_none_or(forgotten)
    }

    fn next_time(&self) -> Option<i64> {
        let row = self.order.get(self.gone)?;
        Some(self.times[*row as usize])
    }
}

/// Rows to be put into a store.
pub struct Arrived {
    /// The rows.
    pub rows: RecordBatch,
    /// One entry a row, nanoseconds.
    pub times: Vec<i64>,
    /// One entry a row.
    pub keys: Vec<u32>,
    /// Whether the row has had a partner; empty for none.
    pub matched: Vec<bool>,
}

impl Store {
    /// An empty store of rows of `schema`.
    pub const fn new(schema: SchemaRef) -> Self {
        Self {
            schema,
            chunks: Vec::new(),
            free: Vec::new(),
            arrivals: 0,
            index: Vec::new(),
            row_count: 0,
            held: 0,
            chunk_count: 0,
            live_keys: 0,
            bytes: 0,
            unsaved: None,
        }
    }

    /// Number of rows.
    pub const fn row_count(&self) -> usize {
        self.row_count
    }

    /// Number of keys that have rows.
    pub const fn live_keys(&self) -> usize {
        self.live_keys
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let index = self.index.capacity() * size_of::<VecDeque<(i64, Place)>>();
        self.bytes + index
    }

    /// Takes rows; returns their chunk.
    pub fn insert(&mut self, arrived: Arrived) -> u32 {
        let Arrived {
            rows,
            times,
            keys,
            mut matched,
        } = arrived;
        let count = rows.num_rows();
        matched.resize(count, false);
        let mut order: Vec<u32> = (0..count as u32).collect();
        if !times.is_sorted() {
            order.sort_by_key(|row| times[*row as usize]);
        }
        let id = self.free.pop().unwrap_or(self.chunks.len() as u32);
        for (row, key) in keys.iter().enumerate().filter(|(_, key)| **key != NO_KEY) {
            let place = Place {
                chunk: id,
                row: row as u32,
            };
            self.enter(*key, times[row], place);
        }
        let per_row = size_of::<(i64, Place)>() + 2 * size_of::<i64>() + 1;
        let bytes = rows.get_array_memory_size() + count * per_row;
        self.bytes += bytes;
        self.row_count += count;
        self.held += count;
        self.chunk_count += 1;
        let chunk = Chunk {
            arrival: self.arrivals,
            rows,
            times,
            keys,
            matched,
            removed: vec![false; count],
            live: count,
            order,
            gone: 0,
            bytes,
        };
        self.arrivals += 1;
        match self.chunks.get_mut(id as usize) {
            Some(slot) => *slot = Some(chunk),
            None => self.chunks.push(Some(chunk)),
        }
        id
    }

    fn enter(&mut self, key: u32, time: i64, place: Place) {
        let key = key as usize;
        if self.index.len() <= key {
            self.index.resize_with(key + 1, VecDeque::new);
        }
        let rows = &mut self.index[key];
        self.live_keys += usize::from(rows.is_empty());
        if rows.back().is_none_or(|(last, _)| *last <= time) {
            rows.push_back((time, place));
        } else {
            let at = rows.partition_point(|(other, _)| *other <= time);
            rows.insert(at, (time, place));
        }
    }

    /// The rows of `key`, in order of time.
    pub fn of_key(&self, key: u32) -> Option<&VecDeque<(i64, Place)>> {
        self.index.get(key as usize)
    }

    /// The rows of `key` with times from `first` to `last`, in order of time.
    pub fn between(&self, key: u32, first: i64, last: i64) -> impl Iterator<Item = Place> + '_ {
        let rows = self.index.get(key as usize);
        rows.into_iter().flat_map(move |rows| {
            let start = rows.partition_point(|(time, _)| *time < first);
            let found = rows
                .range(start..)
                .take_while(move |(time, _)| *time <= last);
            found.map(|(_, place)| *place)
        })
    }

    /// The rows of a chunk.
    pub fn rows_of(&self, chunk: u32) -> Option<&RecordBatch> {
        let chunk = self.chunks.get(chunk as usize)?.as_ref()?;
        Some(&chunk.rows)
    }

    /// Marks a row as having a partner; returns whether it had none.
    pub fn mark(&mut self, place: Place) -> bool {
        let chunk = self.chunks.get_mut(place.chunk as usize);
        match chunk.and_then(Option::as_mut) {
            Some(chunk) => {
                let is_first = !std::mem::replace(&mut chunk.matched[place.row as usize], true);
                if let Some(unsaved) = self.unsaved.as_mut().filter(|_| is_first) {
                    unsaved.marked.push(place);
                }
                is_first
            }
            None => false,
        }
    }

    /// Whether a row is marked.
    pub fn is_marked(&self, place: Place) -> bool {
        let chunk = self.chunks.get(place.chunk as usize);
        let chunk = chunk.and_then(Option::as_ref);
        chunk.is_some_and(|chunk| chunk.matched[place.row as usize])
    }

    /// The time and key of a row.
    pub fn time_and_key(&self, place: Place) -> Option<(i64, u32)> {
        let chunk = self.chunks.get(place.chunk as usize)?.as_ref()?;
        let row = place.row as usize;
        Some((chunk.times[row], chunk.keys[row]))
    }

    /// Gives up the rows of `key` before its last one that is before `limit`.
    pub fn supersede(&mut self, key: u32, limit: i64) {
        let Some(rows) = self.index.get_mut(key as usize) else {
            return;
        };
        while rows.get(1).is_some_and(|(next, _)| *next < limit) {
            let Some((_, place)) = rows.pop_front() else {
                return;
            };
            let chunk = self.chunks.get_mut(place.chunk as usize);
            if let Some(chunk) = chunk.and_then(Option::as_mut) {
                chunk.removed[place.row as usize] = true;
                chunk.live -= 1;
                self.row_count -= 1;
                if let Some(unsaved) = &mut self.unsaved {
                    unsaved.gone.push(chunk.number(place.row));
                }
            }
        }
    }

    /// Gives up rows with times before `limit`, in order of time, then of arrival: what is returned
    /// can be gathered until [`Store::free`] is called. The flag says whether it had a partner.
    pub fn expire(&mut self, limit: i64) -> Vec<(Place, bool)> {
        let mut expired = Vec::new();
        let mut touched = Vec::new();
        for (id, chunk) in self.chunks.iter_mut().enumerate() {
            let Some(chunk) = chunk else { continue };
            while let Some(time) = chunk.next_time().filter(|time| *time < limit) {
                let row = chunk.order[chunk.gone];
                chunk.gone += 1;
                if chunk.removed[row as usize] {
                    continue;
                }
                chunk.live -= 1;
                if let Some(unsaved) = &mut self.unsaved {
                    unsaved.gone.push(chunk.number(row));
                }
                let place = Place {
                    chunk: id as u32,
                    row,
                };
                expired.push((time, chunk.arrival, place, chunk.matched[row as usize]));
                touched.push(chunk.keys[row as usize]);
            }
        }
        self.row_count -= expired.len();
        for key in touched.into_iter().filter(|key| *key != NO_KEY) {
            let rows = &mut self.index[key as usize];
            let before = rows.len();
            while rows.front().is_some_and(|(time, _)| *time < limit) {
                rows.pop_front();
            }
            if rows.is_empty() && before > 0 {
                // Its room as well: a key may never come again.
                *rows = VecDeque::new();
                self.live_keys -= 1;
            }
        }
        expired.sort_by_key(|(time, arrival, place, _)| (*time, *arrival, place.row));
        let places = expired.into_iter();
        places
            .map(|(_, _, place, matched)| (place, matched))
            .collect()
    }

    /// Lets go of chunks all of whose rows are given up.
    pub fn free(&mut self) {
        for (id, slot) in self.chunks.iter_mut().enumerate() {
            if let Some(chunk) = slot.take_if(|chunk| chunk.live == 0) {
                self.bytes -= chunk.bytes;
                self.held -= chunk.rows.num_rows();
                self.chunk_count -= 1;
                self.free.push(id as u32);
            }
        }
    }

    /// Whether rows lie in so many small chunks, or among so many that are given up, that they
    /// should be put together anew.
    pub fn is_scattered(&self) -> bool {
        let sparse = self.held > 4 * self.row_count + 8 * BATCH_ROWS;
        sparse || self.chunk_count > CHUNKS_MIN.max(self.row_count / CHUNK_ROWS_MIN)
    }

    /// All rows in order of arrival, in batches, with whether they had a partner.
    ///
    /// # Errors
    /// Arrow's, if rows cannot be gathered.
    pub fn everything(&self) -> Result<Vec<(RecordBatch, Vec<bool>)>, ArrowError> {
        let all = self.saved(self.places(|_| true))?;
        Ok(all.into_iter().map(|all| (all.rows, all.matched)).collect())
    }

    /// The rows that are there of the chunks that `wanted` names by their arrival, in order of
    /// arrival.
    fn places(&self, wanted: impl Fn(u64) -> bool) -> Vec<Place> {
        let chunks = self.chunks.iter().enumerate();
        let chunks = chunks.filter_map(|(id, chunk)| Some((id as u32, chunk.as_ref()?)));
        let mut chunks: Vec<(u32, &Chunk)> =
            chunks.filter(|(_, chunk)| wanted(chunk.arrival)).collect();
        chunks.sort_by_key(|(_, chunk)| chunk.arrival);
        let mut places = Vec::with_capacity(self.row_count);
        for (chunk, held) in chunks {
            let rows = (0..held.times.len() as u32).filter(|row| held.has(*row));
            places.extend(rows.map(|row| Place { chunk, row }));
        }
        places
    }

    fn saved(&self, places: Vec<Place>) -> Result<Vec<Saved>, ArrowError> {
        let mut batches = Vec::with_capacity(places.len() / BATCH_ROWS + 1);
        for places in places.chunks(BATCH_ROWS) {
            let chunk = |place: &Place| self.chunks.get(place.chunk as usize)?.as_ref();
            let held = places
                .iter()
                .filter_map(|place| Some((chunk(place)?, place.row)));
            let (matched, numbers) = held
                .map(|(chunk, row)| (chunk.matched[row as usize], chunk.number(row)))
                .unzip();
            batches.push(Saved {
                rows: self.gather(places)?,
                matched,
                numbers,
            });
        }
        Ok(batches)
    }

    /// Whether a delta can build on what was saved of this store.
    pub const fn was_saved(&self) -> bool {
        self.unsaved.is_some()
    }

    /// The rows to be saved: all, or with `delta` those that came or found a partner since the last
    /// call, with the numbers of those that went.
    ///
    /// # Errors
    /// As [`Store::everything`].
    pub fn take_unsaved(&mut self, delta: bool) -> Result<(Vec<Saved>, Vec<u64>), ArrowError> {
        let next = Unsaved {
            first: self.arrivals,
            ..Unsaved::default()
        };
        let Some(unsaved) = self.unsaved.replace(next).filter(|_| delta) else {
            return Ok((self.saved(self.places(|_| true))?, Vec::new()));
        };
        let mut places = self.places(|arrival| arrival >= unsaved.first);
        let is_old = |place: &Place| {
            let chunk = self.chunks.get(place.chunk as usize);
            let chunk = chunk.and_then(Option::as_ref);
            // What is gone by now is among those that went; its place may have another row.
            chunk.is_some_and(|chunk| chunk.arrival < unsaved.first && chunk.has(place.row))
        };
        places.extend(unsaved.marked.into_iter().filter(is_old));
        let mut gone = unsaved.gone;
        gone.retain(|number| number >> 32 < unsaved.first);
        Ok((self.saved(places)?, gone))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::new(std::sync::Arc::clone(&self.schema));
    }

    /// The rows at `places`.
    fn gather(&self, places: &[Place]) -> Result<RecordBatch, ArrowError> {
        let places = places.iter().map(|place| Some(*place));
        let gather = Gather::new(places, |chunk| self.rows_of(chunk))?;
        let fields = self.schema.fields().iter().enumerate();
        let columns = fields.map(|(index, field)| gather.column(index, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        RecordBatch::try_new(std::sync::Arc::clone(&self.schema), columns)
    }
}
