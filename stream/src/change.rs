//! Row-level changes: the unit of data on every edge.

use arrow_array::{Int8Array, RecordBatch};

/// What a row does to the relation it belongs to. The value is the row's weight in a Z-set.
///
/// An update is a `Delete` of the old row followed at once, in the same batch, by an `Insert` of
/// the new row with the same key (the pairing rule is RisingWave's; the weights are DBSP's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Op {
    /// Adds the row.
    Insert = 1,
    /// Takes the row away.
    Delete = -1,
}

/// A batch of row-level changes.
///
/// `rows` has *n* rows in the edge's schema. `ops`, when present, has *n* entries, each +1 or −1
/// and never null; `None` means all +1, so the append-only edge carries no extra column. Cloning
/// copies no data.
#[derive(Clone, Debug)]
pub struct ChangeBatch {
    rows: RecordBatch,
    ops: Option<Int8Array>,
}

/// Why rows and ops do not make a batch of changes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeBatchError {
    /// The two differ in length.
    #[error("{rows} rows but {ops} ops")]
    Length {
        /// Rows in the batch.
        rows: usize,
        /// Entries in the op column.
        ops: usize,
    },
    /// An entry is null or neither +1 nor −1.
    #[error("op {index} is neither +1 nor -1")]
    Op {
        /// The entry, 0-based.
        index: usize,
    },
}

impl ChangeBatch {
    /// Wraps rows that are all inserts.
    pub fn inserts(rows: RecordBatch) -> Self {
        Self { rows, ops: None }
    }

    /// Pairs `rows` (*n* rows) with `ops` (*n* entries of +1 or −1).
    ///
    /// # Errors
    /// [`ChangeBatchError::Length`] if the two differ in length; [`ChangeBatchError::Op`] at the
    /// first entry that is null or neither +1 nor −1.
    pub fn try_new(rows: RecordBatch, ops: Int8Array) -> Result<Self, ChangeBatchError> {
        if rows.num_rows() != ops.len() {
            return Err(ChangeBatchError::Length {
                rows: rows.num_rows(),
                ops: ops.len(),
            });
        }
        let bad = ops.iter().position(|op| !matches!(op, Some(1 | -1)));
        if let Some(index) = bad {
            return Err(ChangeBatchError::Op { index });
        }
        let all_inserts = ops.values().iter().all(|op| *op == 1);
        Ok(Self {
            rows,
            ops: (!all_inserts).then_some(ops),
        })
    }

    /// The rows, inserted and deleted.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// The ops, or `None` when every row is an insert.
    pub fn ops(&self) -> Option<&Int8Array> {
        self.ops.as_ref()
    }

    /// The op of row `index`.
    pub fn op(&self, index: usize) -> Op {
        match &self.ops {
            Some(ops) if ops.value(index) < 0 => Op::Delete,
            _ => Op::Insert,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.num_rows() == 0
    }

    /// The parts: rows and ops.
    pub fn into_parts(self) -> (RecordBatch, Option<Int8Array>) {
        (self.rows, self.ops)
    }
}

/// Which changes an edge may carry. Ordered: a consumer of a later mode can read every earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangelogMode {
    /// Inserts only; rows never change.
    Append,
    /// At most one live row per key; an insert replaces the row of its key, a delete carries at
    /// least the key.
    Upsert,
    /// Any mixture of inserts and deletes; every delete matches an earlier insert of an equal row.
    Retract,
}

impl ChangelogMode {
    /// As `EXPLAIN` and `SHOW` print it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Upsert => "upsert",
            Self::Retract => "retract",
        }
    }
}

#[cfg(test)]
mod tests;
