//! Which partitions of an operator have changed since its last snapshot, and the numbers that their
//! rows have in it.
//!
//! A partition that changed is written whole, under new numbers, and its old ones are dropped.

use std::hash::Hash;
use std::ops::Range;

use ahash::RandomState;
use hashbrown::{HashMap, HashSet};

use super::{StateError, StateWriter};

/// The numbers of the saved rows of one section, by partition.
#[derive(Debug)]
pub struct SavedPartitions<K> {
    numbers: HashMap<K, Range<u64>, RandomState>,
    touched: HashSet<K, RandomState>,
    next: u64,
}

impl<K> Default for SavedPartitions<K> {
    fn default() -> Self {
        // Fixed seeds: a run repeats itself.
        let hasher = RandomState::with_seeds(1, 2, 3, 4);
        Self {
            numbers: HashMap::with_hasher(hasher.clone()),
            touched: HashSet::with_hasher(hasher),
            next: 0,
        }
    }
}

impl<K: Clone + Eq + Hash + Ord> SavedPartitions<K> {
    /// Notes that rows of the partition `key` have come, changed or gone.
    pub fn touch(&mut self, key: &K) {
        if !self.touched.contains(key) {
            self.touched.insert(key.clone());
        }
    }

    /// Begins a snapshot of `section`. In a delta it drops the rows of the partitions that changed
    /// and returns these; else it returns nothing, and all partitions are to be written.
    ///
    /// # Errors
    /// As [`StateWriter::drop_rows`].
    pub fn begin(
        &mut self,
        section: &str,
        out: &mut StateWriter,
    ) -> Result<Option<Vec<K>>, StateError> {
        if !out.is_delta() {
            self.numbers.clear();
            self.touched.clear();
            self.next = 0;
            return Ok(None);
        }
        let mut keys: Vec<K> = self.touched.drain().collect();
        keys.sort_unstable();
        let gone = keys.iter().filter_map(|key| self.numbers.remove(key));
        let gone = gone.flatten().collect();
        out.keep(section);
        out.drop_rows(section, gone)?;
        Ok(Some(keys))
    }

    /// The numbers under which `count` rows of the partition `key` are written.
    pub fn number(&mut self, key: &K, count: usize) -> Range<u64> {
        let numbers = self.next..self.next + count as u64;
        self.next = numbers.end;
        if count > 0 {
            self.numbers.insert(key.clone(), numbers.clone());
        }
        numbers
    }
}
