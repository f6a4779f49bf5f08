//! What a join by key alone makes of changes, before the rows are put together.

use rtsap_plan::join::{JoinKind, Side};
use rtsap_stream::change::Op;

use super::rows::{RowId, RowTable};

/// Rows of the result by where their halves lie: a row of the batch, a row of the other table.
#[derive(Default)]
pub struct Made {
    /// Rows of the batch.
    pub own: Vec<Option<u32>>,
    /// Rows of the other table.
    pub other: Vec<Option<RowId>>,
    /// Whether they come or go.
    pub ops: Vec<i8>,
}

impl Made {
    /// Adds a row `times` times.
    pub fn push(&mut self, own: Option<u32>, other: Option<RowId>, op: i8, times: u32) {
        for _ in 0..times {
            self.own.push(own);
            self.other.push(other);
            self.ops.push(op);
        }
    }
}

/// Pairs a left row with what is there; it is not kept.
pub fn look_up(
    kind: JoinKind,
    row: u32,
    partners: &[(u32, RowId)],
    right: &RowTable,
    made: &mut Made,
) {
    for (_, id) in partners {
        made.push(Some(row), Some(*id), Op::Insert as i8, right.count(*id));
    }
    if partners.is_empty() && kind.keeps(Side::Left) {
        made.push(Some(row), None, Op::Insert as i8, 1);
    }
}
