//! A chunk: rows that never move, with marks for those that were replaced and those that are new in
//! this epoch.

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::key::Keys;

/// A set of row indices as bits.
#[derive(Clone, Debug)]
pub struct Marks {
    words: Vec<u64>,
    len: usize,
    count: usize,
}

impl Marks {
    /// `len` marks, all set or none.
    pub fn new(len: usize, set: bool) -> Self {
        let mut words = vec![if set { u64::MAX } else { 0 }; len.div_ceil(64)];
        if set
            && let Some(last) = words.last_mut()
            && !len.is_multiple_of(64)
        {
            *last = (1 << (len % 64)) - 1;
        }
        Self {
            words,
            len,
            count: if set { len } else { 0 },
        }
    }

    /// How many are set.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether `index` is set.
    pub fn get(&self, index: usize) -> bool {
        self.words[index / 64] >> (index % 64) & 1 == 1
    }

    /// Unsets `index`.
    pub fn unset(&mut self, index: usize) {
        let (word, bit) = (index / 64, 1 << (index % 64));
        if self.words[word] & bit != 0 {
            self.words[word] &= !bit;
            self.count -= 1;
        }
    }

    /// As an Arrow buffer.
    pub fn buffer(&self) -> BooleanBuffer {
        let bytes: Vec<u8> = self
            .words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        BooleanBuffer::new(bytes.into(), 0, self.len)
    }

    /// The bits that are set in both.
    pub fn and(&self, other: &Self) -> Self {
        let words: Vec<u64> = self
            .words
            .iter()
            .zip(&other.words)
            .map(|(a, b)| a & b)
            .collect();
        let count = words.iter().map(|word| word.count_ones() as usize).sum();
        Self {
            words,
            len: self.len,
            count,
        }
    }
}

/// Rows with their marks.
pub struct Chunk {
    /// The rows; never changed.
    pub rows: RecordBatch,
    /// Their keys; `None` in tables without a key.
    pub keys: Option<Keys>,
    /// Which of them are not in a checkpoint yet.
    pub fresh: Marks,
    /// Nothing in it is older, by the event time that [`super::table`] expires rows by.
    pub oldest: Option<i64>,
    live: Marks,
    live_buffer: Option<BooleanBuffer>,
}

impl Chunk {
    /// Rows that are all live; `fresh` unless they come from a checkpoint.
    pub fn new(rows: RecordBatch, keys: Option<Keys>, fresh: bool) -> Self {
        let len = rows.num_rows();
        let (live, fresh) = (Marks::new(len, true), Marks::new(len, fresh));
        Self {
            rows,
            keys,
            fresh,
            oldest: None,
            live,
            live_buffer: None,
        }
    }

    /// Which rows are still there.
    pub fn live(&self) -> &Marks {
        &self.live
    }

    /// Takes row `index` away.
    pub fn kill(&mut self, index: usize) {
        self.live.unset(index);
        self.live_buffer = None;
    }

    /// The rows and their live marks as readers take them: no marks when all are live.
    pub fn for_readers(&mut self) -> (RecordBatch, Option<BooleanBuffer>) {
        if self.live.count() == self.rows.num_rows() {
            return (self.rows.clone(), None);
        }
        let live = self.live_buffer.get_or_insert_with(|| self.live.buffer());
        (self.rows.clone(), Some(live.clone()))
    }

    /// The rows that `marks` names.
    pub fn select(&self, marks: &Marks) -> Result<RecordBatch, ArrowError> {
        filter_record_batch(&self.rows, &BooleanArray::new(marks.buffer(), None))
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let keys = self.keys.as_ref().map_or(0, Keys::size);
        self.rows.get_array_memory_size() + keys + self.live.words.len() * 16
    }
}
