//! The rows of one partition in order, with their numbers, and what has been sent of them.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use rtsap_plan::rank::Numbering;

/// Which rows show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    /// How rows are numbered.
    pub numbering: Numbering,
    /// The least number that shows.
    pub first: u64,
    /// The greatest.
    pub last: u64,
}

/// A row that shows, with its number.
pub(super) type Numbered = (Arc<[u8]>, u64);

/// What is kept for rows that are equal.
struct Entry {
    /// How many there are.
    count: u64,
    /// How many bytes of the row say where it stands in order.
    order_bytes: usize,
}

/// The rows of one partition.
#[derive(Default)]
pub(super) struct Partition {
    rows: BTreeMap<Arc<[u8]>, Entry>,
    /// Number of rows.
    total: u64,
    /// The rows sent and not deleted since, in order.
    sent: Vec<Numbered>,
    /// Whether it is in the list of those that changed.
    pub changed: bool,
}

impl Partition {
    /// Adds a row; returns the bytes that are held more.
    pub fn add(&mut self, row: &[u8], order_bytes: usize, count: u64) -> usize {
        self.total += count;
        if let Some(entry) = self.rows.get_mut(row) {
            entry.count += count;
            return 0;
        }
        self.rows.insert(row.into(), Entry { count, order_bytes });
        row.len()
    }

    /// Takes a row back; returns the bytes that are held less, or nothing if there is no such row.
    pub fn remove(&mut self, row: &[u8]) -> Option<usize> {
        let entry = self.rows.get_mut(row)?;
        entry.count -= 1;
        self.total -= 1;
        if entry.count > 0 {
            return Some(0);
        }
        self.rows.remove(row);
        Some(row.len())
    }

    /// Whether a row that is added could never show, as long as no row is taken back.
    pub fn is_beyond(&self, row: &[u8], range: Range) -> bool {
        range.numbering == Numbering::RowNumber
            && self.total >= range.last
            && self
                .rows
                .last_key_value()
                .is_some_and(|(last, _)| row >= last.as_ref())
    }

    /// Drops the rows behind those that show, which nothing can bring forward; returns the bytes
    /// that are held less.
    pub fn prune(&mut self, range: Range) -> usize {
        let mut bytes = 0;
        if range.numbering == Numbering::RowNumber {
            while self.total > range.last {
                let Some(mut last) = self.rows.last_entry() else {
                    break;
                };
                let surplus = self.total - range.last;
                if last.get().count > surplus {
                    last.get_mut().count -= surplus;
                    self.total -= surplus;
                    break;
                }
                self.total -= last.get().count;
                bytes += last.remove_entry().0.len();
            }
            return bytes;
        }
        let (mut number, mut position, mut beyond) = (Number::default(), 0, None);
        for (row, entry) in &self.rows {
            number.step(range.numbering, &row[..entry.order_bytes], position);
            if number.value > range.last {
                beyond = Some(Arc::clone(row));
                break;
            }
            position += entry.count;
        }
        if let Some(beyond) = beyond {
            let dropped = self.rows.split_off(&beyond);
            self.total -= dropped.values().map(|entry| entry.count).sum::<u64>();
            bytes = dropped.keys().map(|row| row.len()).sum();
        }
        bytes
    }

    /// The rows that show, in order.
    pub fn shown(&self, range: Range) -> Vec<Numbered> {
        let mut shown = Vec::new();
        let (mut number, mut position) = (Number::default(), 0);
        for (row, entry) in &self.rows {
            for _ in 0..entry.count {
                number.step(range.numbering, &row[..entry.order_bytes], position);
                if number.value > range.last {
                    return shown;
                }
                position += 1;
                if number.value >= range.first {
                    shown.push((Arc::clone(row), number.value));
                }
            }
        }
        shown
    }

    /// Notes that `shown` is what has been sent, and hands out what that changes: rows that go and
    /// rows that come. Where numbers do not show, only the rows count.
    pub fn replace_sent(
        &mut self,
        shown: Vec<Numbered>,
        numbers: bool,
        gone: &mut Vec<Numbered>,
        come: &mut Vec<Numbered>,
    ) {
        let compare = |a: &Numbered, b: &Numbered| {
            let rows = a.0.cmp(&b.0);
            if numbers {
                rows.then(a.1.cmp(&b.1))
            } else {
                rows
            }
        };
        let (mut old, mut new) = (self.sent.iter().peekable(), shown.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(before), Some(after)) => compare(before, after),
            };
            if order != Ordering::Greater {
                let before = old.next();
                gone.extend(before.filter(|_| order == Ordering::Less).cloned());
            }
            if order != Ordering::Less {
                let after = new.next();
                come.extend(after.filter(|_| order == Ordering::Greater).cloned());
            }
        }
        self.sent = shown;
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.sent.is_empty()
    }

    /// The rows with their numbers, in order.
    pub fn rows(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.rows
            .iter()
            .map(|(row, entry)| (row.as_ref(), entry.count))
    }

    /// Bytes of the rows.
    pub fn row_bytes(&self) -> usize {
        self.rows.keys().map(|row| row.len()).sum()
    }
}

/// The number of the row at hand.
#[derive(Default)]
struct Number<'a> {
    value: u64,
    order: Option<&'a [u8]>,
}

impl<'a> Number<'a> {
    /// Goes on to the row that `position` rows precede.
    fn step(&mut self, numbering: Numbering, order: &'a [u8], position: u64) {
        let tied = self.order == Some(order);
        self.order = Some(order);
        match numbering {
            Numbering::RowNumber => self.value = position + 1,
            Numbering::Rank if !tied => self.value = position + 1,
            Numbering::DenseRank if !tied => self.value += 1,
            Numbering::Rank | Numbering::DenseRank => {}
        }
    }
}
