//! Which rows of a batch fall into which slice of event time.
//!
//! Most batches lie in one slice, which one pass of comparisons finds out; the others are told
//! apart row by row, remembering the slice of the row before.

use hashbrown::HashMap;
use rtsap_plan::window::WindowSpec;

use super::time::Times;

/// The rows of a batch by slice.
#[derive(Debug, PartialEq, Eq)]
pub enum Slices {
    /// All rows are in the slice that starts here.
    One(i64),
    /// Rows are in several, or have no usable time.
    Many {
        /// The slices, in order of their first row.
        slices: Vec<SliceRows>,
        /// The rows without a usable time, in order.
        timeless: Vec<u32>,
    },
}

/// The rows of one slice.
#[derive(Debug, PartialEq, Eq)]
pub struct SliceRows {
    /// Where the slice starts, in nanoseconds.
    pub start: i64,
    /// Row indices, growing.
    pub rows: Vec<u32>,
}

/// The values, in the unit of the column, that lie in one slice.
#[derive(Clone, Copy)]
struct Range {
    first: i64,
    /// Number of values, wrapping.
    count: u64,
}

impl Range {
    fn of(start: i64, window: &WindowSpec, unit_nanos: i64) -> Self {
        let up = |nanos: i64| nanos.div_euclid(unit_nanos) + i64::from(nanos % unit_nanos != 0);
        let (first, end) = (up(start), up(window.slice_end(start)));
        Self {
            first,
            count: end.wrapping_sub(first).cast_unsigned(),
        }
    }

    #[inline]
    const fn holds(self, value: i64) -> bool {
        value.wrapping_sub(self.first).cast_unsigned() < self.count
    }
}

/// Tells the rows of a batch apart by slice.
pub fn split(times: &Times, window: &WindowSpec) -> Slices {
    if times.nulls.is_none()
        && !times.values.is_empty()
        && let Some(nanos) = times.nanos(0, window)
    {
        let start = window.slice_start(nanos);
        let range = Range::of(start, window, times.unit_nanos);
        // No early exit: a loop without branches compares several values an instruction.
        if times
            .values
            .iter()
            .fold(true, |all, value| all & range.holds(*value))
        {
            return Slices::One(start);
        }
    }
    split_rows(times, window)
}

fn split_rows(times: &Times, window: &WindowSpec) -> Slices {
    let mut slices: Vec<SliceRows> = Vec::new();
    let mut timeless = Vec::new();
    let mut places: HashMap<i64, usize, ahash::RandomState> =
        HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4));
    let mut before: Option<(Range, usize)> = None;
    for (row, value) in times.values.iter().enumerate() {
        let valid = times.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        if let Some((range, place)) = before
            && valid
            && range.holds(*value)
        {
            slices[place].rows.push(row as u32);
            continue;
        }
        let Some(nanos) = times.nanos(row, window) else {
            timeless.push(row as u32);
            continue;
        };
        let start = window.slice_start(nanos);
        let place = *places.entry(start).or_insert(slices.len());
        if place == slices.len() {
            slices.push(SliceRows {
                start,
                rows: Vec::new(),
            });
        }
        slices[place].rows.push(row as u32);
        before = Some((Range::of(start, window, times.unit_nanos), place));
    }
    Slices::Many { slices, timeless }
}
