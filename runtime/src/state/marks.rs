//! Which of many numbered things have changed since somebody last asked.

/// Marked numbers, in order of their first mark.
#[derive(Debug, Default)]
pub struct Marks {
    marked: Vec<bool>,
    numbers: Vec<usize>,
}

impl Marks {
    /// Marks `number`.
    #[inline]
    pub fn mark(&mut self, number: usize) {
        if self.marked.len() <= number {
            self.marked.resize(number + 1, false);
        }
        if !self.marked[number] {
            self.marked[number] = true;
            self.numbers.push(number);
        }
    }

    /// Whether `number` is marked.
    pub fn has(&self, number: usize) -> bool {
        self.marked.get(number).is_some_and(|marked| *marked)
    }

    /// Whether nothing is marked.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Returns the marked numbers, in order of their first mark, and starts anew.
    pub fn take(&mut self) -> Vec<usize> {
        let numbers = std::mem::take(&mut self.numbers);
        for number in &numbers {
            self.marked[*number] = false;
        }
        numbers
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.marked.capacity() + self.numbers.capacity() * size_of::<usize>()
    }
}
