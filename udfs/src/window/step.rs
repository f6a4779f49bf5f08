//! Functions that run along a partition row by row, and the saving of what they remember.
//!
//! A [`Step`] sees rows with values only, one at a time, so its outputs do not depend on how rows
//! are cut into batches; what it remembers is written and read by one walk ([`Step::walk`]), bit
//! for bit.

use std::fmt::Debug;

use datafusion::common::Result;

/// A function in the middle of a partition.
pub(crate) trait Step: Debug + Send {
    /// Takes the inputs of one row and writes the outputs, which are NaN before.
    ///
    /// # Errors
    /// If the function cannot be computed at all.
    fn step(&mut self, inputs: &[f64], outputs: &mut [f64]) -> Result<()>;

    /// Shows everything that is remembered to `walk`, always in the same order.
    fn walk(&mut self, walk: &mut Walk<'_>);

    /// Returns the bytes that it owns outside itself.
    fn heap_bytes(&self) -> usize {
        0
    }

    /// Returns how many rows a function keeps that would need all of them to be exact.
    #[cfg(test)]
    fn rows_kept(&self) -> usize {
        0
    }
}

/// A walk over what a function remembers: it saves or loads each thing that it is shown.
pub(crate) enum Walk<'a> {
    /// Appends.
    Save(&'a mut Vec<u8>),
    /// Takes from the front.
    Load {
        /// What is left.
        bytes: &'a [u8],
        /// Whether there was too little.
        damaged: bool,
    },
}

impl Walk<'_> {
    /// Walks over eight bytes.
    fn word(&mut self, word: u64) -> u64 {
        match self {
            Self::Save(bytes) => {
                bytes.extend(word.to_le_bytes());
                word
            }
            Self::Load { bytes, damaged } => match bytes.split_first_chunk() {
                Some((first, rest)) => {
                    *bytes = rest;
                    u64::from_le_bytes(*first)
                }
                None => {
                    *damaged = true;
                    0
                }
            },
        }
    }

    /// Walks over a number.
    pub(crate) fn number(&mut self, value: &mut f64) {
        *value = f64::from_bits(self.word(value.to_bits()));
    }

    /// Walks over numbers.
    pub(crate) fn numbers(&mut self, values: &mut [f64]) {
        for value in values {
            self.number(value);
        }
    }

    /// Walks over a count.
    pub(crate) fn count(&mut self, value: &mut usize) {
        *value = usize::try_from(self.word(*value as u64)).unwrap_or(0);
    }

    /// Walks over a truth.
    pub(crate) fn flag(&mut self, value: &mut bool) {
        *value = self.word(u64::from(*value)) != 0;
    }

    /// Walks over an exact integer.
    pub(crate) fn integer(&mut self, value: &mut i128) {
        let low = self.word(*value as u64);
        let high = self.word((*value >> 64) as u64);
        *value = (i128::from(high as i64) << 64) | i128::from(low);
    }

    /// Walks over the length of a list that is saved in full; when loading it is bounded by what
    /// is left, so that damaged bytes cannot ask for more memory than they have.
    pub(crate) fn length(&mut self, length: usize) -> usize {
        let found = usize::try_from(self.word(length as u64)).unwrap_or(usize::MAX);
        if let Self::Load { bytes, damaged } = self
            && found > bytes.len()
        {
            *damaged = true;
            return 0;
        }
        found
    }

    /// Walks over bytes.
    pub(crate) fn bytes(&mut self, value: &mut Vec<u8>) {
        let length = self.length(value.len());
        match self {
            Self::Save(bytes) => bytes.extend(&*value),
            Self::Load { bytes, damaged } => match bytes.split_at_checked(length) {
                Some((first, rest)) => {
                    *value = first.to_vec();
                    *bytes = rest;
                }
                None => *damaged = true,
            },
        }
    }
}

/// The last rows of one series, oldest first, in one piece.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    /// How many rows are kept at most.
    length: usize,
    /// Rows; those before `first` are gone.
    values: Vec<f64>,
    first: usize,
}

impl Ring {
    /// An empty one that will keep `length` rows.
    pub(crate) fn new(length: usize) -> Self {
        Self {
            length,
            values: Vec::new(),
            first: 0,
        }
    }

    /// Adds a row, and forgets the oldest if there are too many.
    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
        if self.values.len() - self.first > self.length {
            self.first += 1;
        }
        // Moving them together now and then costs each row once.
        if self.first > self.length.max(16) {
            self.values.drain(..self.first);
            self.first = 0;
        }
    }

    /// Returns the rows.
    pub(crate) fn values(&self) -> &[f64] {
        &self.values[self.first..]
    }

    /// Returns the row that was added `age` rows before the last one.
    pub(crate) fn back(&self, age: usize) -> Option<f64> {
        let values = self.values();
        let place = values.len().checked_sub(age + 1)?;
        values.get(place).copied()
    }

    /// Returns whether there are as many rows as are kept.
    pub(crate) fn is_full(&self) -> bool {
        self.values().len() == self.length
    }

    /// Walks over the rows.
    pub(crate) fn walk(&mut self, walk: &mut Walk<'_>) {
        self.values.drain(..self.first);
        self.first = 0;
        let length = walk.length(self.values.len());
        self.values.resize(length, 0.0);
        walk.numbers(&mut self.values);
    }

    /// Returns the bytes that it owns.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.values.capacity() * size_of::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::{Ring, Walk};

    #[test]
    fn a_ring_keeps_the_last_rows_in_order() {
        let mut ring = Ring::new(3);
        for value in 0..100 {
            ring.push(f64::from(value));
            let first = (value - 2).max(0);
            let expected: Vec<f64> = (first..=value).map(f64::from).collect();
            assert_eq!(ring.values(), expected);
            assert_eq!(ring.back(1), (value > 0).then(|| f64::from(value - 1)));
            assert_eq!(ring.is_full(), value >= 2);
        }
        assert_eq!(ring.back(3), None);
    }

    #[test]
    fn what_is_loaded_is_what_was_saved() {
        let mut bytes = Vec::new();
        let (mut number, mut count, mut truth) = (-0.0, 7, true);
        let (mut exact, mut text) = (-(10_i128.pow(37)) + 3, b"key".to_vec());
        let mut walk = Walk::Save(&mut bytes);
        walk.number(&mut number);
        walk.count(&mut count);
        walk.flag(&mut truth);
        walk.integer(&mut exact);
        walk.bytes(&mut text);
        let (mut a, mut b, mut c, mut d, mut e) = (1.0, 0, false, 0, Vec::new());
        let mut walk = Walk::Load {
            bytes: &bytes,
            damaged: false,
        };
        walk.number(&mut a);
        walk.count(&mut b);
        walk.flag(&mut c);
        walk.integer(&mut d);
        walk.bytes(&mut e);
        assert_eq!(a.to_bits(), number.to_bits());
        assert_eq!((b, c, d, e), (7, true, exact, b"key".to_vec()));
        walk.number(&mut a);
        assert!(matches!(walk, Walk::Load { damaged: true, .. }));
    }
}
