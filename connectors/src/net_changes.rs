//! The net effect of an epoch: one change a key, or one count a row where there is no key.

use ahash::RandomState;
use arrow::array::ArrayRef;
use arrow::row::{RowConverter, Rows, SortField};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use rtsap_stream::change::{ChangeBatch, ChangelogMode, Op};
use rtsap_stream::error::{ConnectorError, ErrorKind};

/// A row of an epoch: which batch, which row in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowAt {
    /// Index of the batch.
    pub batch: usize,
    /// Index of the row in it.
    pub row: usize,
}

/// What one row asks of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetChange {
    /// The row.
    pub at: RowAt,
    /// How many times it is there more (above 0) or less (below 0) than before. With a key: 1 sets
    /// the row of the key, −1 takes it away.
    pub weight: i64,
}

/// The net changes of an epoch, in the order of their keys (rows), so that two writers lock in the
/// same order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetChanges {
    /// One entry a key or a distinct row; weights are not 0.
    pub changes: Vec<NetChange>,
    /// How many of the deletes must find their row: all that were there before the epoch.
    pub deletes_certain: u64,
}

impl NetChanges {
    /// How many rows are set or added.
    pub fn inserts(&self) -> u64 {
        self.changes
            .iter()
            .map(|change| change.weight.max(0).unsigned_abs())
            .sum()
    }

    /// How many rows are taken away.
    pub fn deletes(&self) -> u64 {
        self.changes
            .iter()
            .map(|change| change.weight.min(0).unsigned_abs())
            .sum()
    }
}

/// The net change of each key: the last operation on it wins.
///
/// # Errors
/// `Internal` if the key columns cannot be compared.
pub fn by_key(
    batches: &[ChangeBatch],
    key: &[usize],
    mode: ChangelogMode,
) -> Result<NetChanges, ConnectorError> {
    struct Seen {
        first: Op,
        last: Op,
        at: RowAt,
    }
    let keys = rows_of(batches, Some(key))?;
    let count = batches.iter().map(ChangeBatch::len).sum();
    let mut seen: HashMap<&[u8], Seen, RandomState> =
        HashMap::with_capacity_and_hasher(count, RandomState::new());
    for (batch, (changes, keys)) in batches.iter().zip(&keys).enumerate() {
        for row in 0..changes.len() {
            let (op, at) = (changes.op(row), RowAt { batch, row });
            match seen.entry(keys.row(row).data()) {
                Entry::Occupied(mut entry) => {
                    entry.get_mut().last = op;
                    entry.get_mut().at = at;
                }
                Entry::Vacant(entry) => {
                    entry.insert(Seen {
                        first: op,
                        last: op,
                        at,
                    });
                }
            }
        }
    }
    let mut entries: Vec<(&[u8], Seen)> = seen.into_iter().collect();
    entries.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let mut net = NetChanges {
        changes: Vec::with_capacity(entries.len()),
        deletes_certain: 0,
    };
    for (_, seen) in entries {
        if seen.last == Op::Insert {
            net.changes.push(NetChange {
                at: seen.at,
                weight: 1,
            });
            continue;
        }
        // In a changelog of retractions a key whose first change is an insert was not there before.
        let born_here = seen.first == Op::Insert && mode == ChangelogMode::Retract;
        if !born_here {
            net.changes.push(NetChange {
                at: seen.at,
                weight: -1,
            });
            net.deletes_certain += u64::from(mode == ChangelogMode::Retract);
        }
    }
    Ok(net)
}

/// The net count of each distinct row.
///
/// # Errors
/// `Invalid` if a column's type cannot be compared.
pub fn by_row(batches: &[ChangeBatch]) -> Result<NetChanges, ConnectorError> {
    if batches.iter().all(|changes| changes.ops().is_none()) {
        return Ok(all_inserts(batches));
    }
    let rows = rows_of(batches, None)?;
    let mut weights: HashMap<&[u8], (RowAt, i64), RandomState> = HashMap::default();
    for (batch, (changes, rows)) in batches.iter().zip(&rows).enumerate() {
        for row in 0..changes.len() {
            let entry = weights.entry(rows.row(row).data());
            entry.or_insert((RowAt { batch, row }, 0)).1 += changes.op(row) as i64;
        }
    }
    let mut entries: Vec<_> = weights
        .into_iter()
        .filter(|(_, (_, weight))| *weight != 0)
        .collect();
    entries.sort_unstable_by(|a, b| a.0.cmp(b.0));
    let changes = entries
        .into_iter()
        .map(|(_, (at, weight))| NetChange { at, weight })
        .collect();
    let mut net = NetChanges {
        changes,
        deletes_certain: 0,
    };
    net.deletes_certain = net.deletes();
    Ok(net)
}

fn all_inserts(batches: &[ChangeBatch]) -> NetChanges {
    let rows = batches.iter().enumerate().flat_map(|(batch, changes)| {
        (0..changes.len()).map(move |row| NetChange {
            at: RowAt { batch, row },
            weight: 1,
        })
    });
    NetChanges {
        changes: rows.collect(),
        deletes_certain: 0,
    }
}

/// Comparable rows of the columns `key`, or of all columns.
fn rows_of(batches: &[ChangeBatch], key: Option<&[usize]>) -> Result<Vec<Rows>, ConnectorError> {
    let Some(first) = batches.first() else {
        return Ok(Vec::new());
    };
    let all: Vec<usize> = (0..first.rows().num_columns()).collect();
    let key = key.unwrap_or(&all);
    let failed = |error| {
        ConnectorError::new(ErrorKind::Internal, "cannot compare the rows of an epoch")
            .with_source(error)
    };
    let schema = first.rows().schema();
    let fields = key
        .iter()
        .map(|index| SortField::new(schema.field(*index).data_type().clone()));
    let converter = RowConverter::new(fields.collect()).map_err(failed)?;
    let convert = |changes: &ChangeBatch| {
        let columns: Vec<ArrayRef> = key
            .iter()
            .map(|index| ArrayRef::clone(changes.rows().column(*index)))
            .collect();
        converter.convert_columns(&columns).map_err(failed)
    };
    batches.iter().map(convert).collect()
}

#[cfg(test)]
mod tests;
