//! Windows out of the slices they share, each with a few merges however many slices it has.
//!
//! The two stacks of a queue that is aggregated (Tangwongsan and others, "Low-latency
//! sliding-window aggregation"): behind a middle, every slice has the merge of itself with all
//! slices up to the middle; ahead of it one table collects the slices as windows reach them. A
//! window is then the merge of one of the former with the latter. When a window starts past the
//! middle, the middle moves to its end. What is kept here can be computed from the slices again and
//! is never saved; where it is cut shows in the last digits of float sums only.

use std::collections::BTreeMap;

use datafusion::common::Result;
use rtsap_plan::window::WindowSpec;

use crate::aggregate::calls::Calls;
use crate::aggregate::table::GroupTable;

/// Up to this many slices a window is merged from them directly: as many merges, and no memory.
const SLICES_DIRECT_MAX: i64 = 6;

/// The merges between slices and windows.
pub struct SharedSlices {
    direct: bool,
    /// By slice: the merge of the slices from it to `middle`.
    behind: BTreeMap<i64, GroupTable>,
    /// The merge of the slices from `middle` to `reached`.
    ahead: Option<GroupTable>,
    middle: i64,
    reached: i64,
}

impl SharedSlices {
    /// Nothing merged yet.
    pub fn new(window: &WindowSpec) -> Self {
        let direct = window.size_nanos() / window.slice_nanos() <= SLICES_DIRECT_MAX;
        let (middle, reached) = (i64::MIN, i64::MIN);
        Self {
            direct,
            behind: BTreeMap::new(),
            ahead: None,
            middle,
            reached,
        }
    }

    /// Rows have come into `slice`: what was merged of it no longer holds.
    pub fn touch(&mut self, slice: i64) {
        if slice < self.reached {
            self.clear();
        }
    }

    /// Forgets all merges.
    pub fn clear(&mut self) {
        self.behind.clear();
        self.ahead = None;
        (self.middle, self.reached) = (i64::MIN, i64::MIN);
    }

    /// Returns the groups of the window from `start` to `end`, first sight in order of slices.
    /// Windows are asked for in order.
    ///
    /// # Errors
    /// If states cannot be merged.
    pub fn window(
        &mut self,
        calls: &Calls,
        slices: &mut BTreeMap<i64, GroupTable>,
        (start, end): (i64, i64),
        groups: &mut Vec<usize>,
    ) -> Result<GroupTable> {
        let mut window = GroupTable::new(calls, false)?;
        if self.direct {
            for (_, slice) in slices.range_mut(start..end) {
                window.merge(slice, groups)?;
            }
            return Ok(window);
        }
        let mut ahead = match self.ahead.take() {
            Some(ahead) if start < self.middle && end >= self.reached => ahead,
            _ => {
                self.move_middle(calls, slices, (start, end), groups)?;
                GroupTable::new(calls, false)?
            }
        };
        for (_, slice) in slices.range_mut(self.reached..end) {
            ahead.merge(slice, groups)?;
        }
        self.reached = end;
        self.behind = self.behind.split_off(&start);
        if let Some(mut behind) = self.behind.first_entry() {
            window.merge(behind.get_mut(), groups)?;
        }
        window.merge(&mut ahead, groups)?;
        self.ahead = Some(ahead);
        Ok(window)
    }

    fn move_middle(
        &mut self,
        calls: &Calls,
        slices: &mut BTreeMap<i64, GroupTable>,
        (start, end): (i64, i64),
        groups: &mut Vec<usize>,
    ) -> Result<()> {
        self.behind.clear();
        for (slice_start, slice) in slices.range_mut(start..end).rev() {
            let mut merged = GroupTable::new(calls, false)?;
            merged.merge(slice, groups)?;
            if let Some(mut later) = self.behind.first_entry() {
                merged.merge(later.get_mut(), groups)?;
            }
            self.behind.insert(*slice_start, merged);
        }
        (self.middle, self.reached) = (end, end);
        Ok(())
    }

    /// Bytes held.
    pub fn size(&self) -> usize {
        let behind: usize = self.behind.values().map(GroupTable::size).sum();
        behind + self.ahead.as_ref().map_or(0, GroupTable::size)
    }
}
