//! Groups whose key is event time: once watermarks have passed it, nothing comes for them any more,
//! and they are forgotten. What was sent of them stays.

use arrow::array::{Array, ArrayRef, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use rtsap_stream::time::{EventTime, nanos_per};

/// The times of groups, by their numbers.
pub(super) struct Closing {
    /// Which key.
    key: usize,
    /// Of each group, in nanoseconds; a group without a time never closes.
    times: Vec<i64>,
    /// The least of them.
    first: i64,
    /// How far event time has come.
    reached: EventTime,
}

impl Closing {
    /// By key `key`, before there are groups.
    pub fn by(key: usize) -> Self {
        Self {
            key,
            times: Vec::new(),
            first: i64::MAX,
            reached: EventTime::MIN,
        }
    }

    /// Event time has come to `time`.
    pub fn advance(&mut self, time: EventTime) {
        self.reached = self.reached.max(time);
    }

    /// Learns the times of groups that are new among `groups`, which are those of the rows with
    /// these `keys`.
    ///
    /// # Errors
    /// If the key is no timestamp.
    pub fn learn(&mut self, keys: &[ArrayRef], groups: &[usize]) -> Result<(), ArrowError> {
        let known = self.times.len();
        if groups.iter().all(|group| *group < known) {
            return Ok(());
        }
        let Some(column) = keys.get(self.key) else {
            let found = format!("{} keys and none with number {}", keys.len(), self.key);
            return Err(ArrowError::SchemaError(found));
        };
        let DataType::Timestamp(unit, _) = column.data_type() else {
            let found = format!("groups close by a {}", column.data_type());
            return Err(ArrowError::SchemaError(found));
        };
        let unit_nanos = nanos_per(*unit);
        let values = cast(column, &DataType::Int64)?;
        let values: Int64Array = values.to_data().into();
        for (row, group) in groups.iter().enumerate() {
            if *group < self.times.len() {
                continue;
            }
            let time = match values.is_valid(row) {
                true => values.value(row).saturating_mul(unit_nanos),
                false => i64::MAX,
            };
            self.times.resize(*group, i64::MAX);
            self.times.push(time);
            self.first = self.first.min(time);
        }
        Ok(())
    }

    /// The groups that are still open, if some are not.
    pub fn open(&self) -> Option<Vec<usize>> {
        if self.reached.nanos() <= self.first {
            return None;
        }
        let open = |group: &usize| self.times[*group] >= self.reached.nanos();
        Some((0..self.times.len()).filter(open).collect())
    }

    /// Keeps these groups alone, which get the numbers from 0.
    pub fn retain(&mut self, groups: &[usize]) {
        self.times = groups.iter().map(|group| self.times[*group]).collect();
        self.first = self.times.iter().copied().min().unwrap_or(i64::MAX);
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        self.times.capacity() * size_of::<i64>()
    }
}
