//! The rows that a statement changes: found, checked, and written as changes.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::Int8Array;
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, SortField};
use rtsap_stream::change::ChangeBatch;

use super::{Modification, Target};
use crate::error::EngineError;
use crate::response::BatchStream;
use crate::session::block::PendingRows;
use crate::session::{Session, computed, writes};

/// The rows that a statement concerns.
pub(in crate::session) struct Found {
    /// Rows that go, of a table without a key: each as often as it is there.
    before: Vec<RecordBatch>,
    /// What is written, or what goes, in the table's schema.
    pub(in crate::session) rows: Vec<RecordBatch>,
}

/// The rows that are concerned.
///
/// # Errors
/// Those of `rows`; `RT0536` for a null where none may be; `RT0527` for a key that is merged twice;
/// limits.
pub(in crate::session) async fn found(
    session: &Session,
    target: &Target,
    name: &str,
    modification: Modification,
    rows: BatchStream,
) -> Result<Found, EngineError> {
    let schema = target.found(modification);
    let batches = writes::collected(&session.instance, &schema, name, rows).await?;
    if target.is_paired(modification) {
        let width = target.schema.fields().len();
        let part = |batch: &RecordBatch, from: usize| {
            let columns = batch.columns()[from..from + width].to_vec();
            RecordBatch::try_new(Arc::clone(&target.schema), columns)
                .map_err(|error| EngineError::internal(error.to_string()))
        };
        let parts = |from| batches.iter().map(|batch| part(batch, from)).collect();
        let before: Result<_, EngineError> = parts(0);
        let after: Result<_, EngineError> = parts(width);
        return Ok(Found {
            before: before?,
            rows: computed::filled(&session.instance, target.table, after?)?,
        });
    }
    if modification == Modification::Merge {
        let mut merged = Merged::of(target)?;
        for batch in &batches {
            merged.check(batch)?;
        }
    }
    let rows = match modification {
        Modification::Update | Modification::Merge => {
            computed::filled(&session.instance, target.table, batches)?
        }
        // They go as they are.
        Modification::Delete | Modification::Truncate => batches,
    };
    Ok(Found {
        before: Vec::new(),
        rows,
    })
}

/// Writes what becomes of `rows`, or keeps it for `COMMIT`. Returns how many they are.
///
/// # Errors
/// Limits; failures to make it durable.
pub(in crate::session) async fn apply(
    session: &mut Session,
    target: &Target,
    name: &str,
    modification: Modification,
    found: Found,
) -> Result<u64, EngineError> {
    let Found { before, rows } = found;
    let count = rows.iter().map(|batch| batch.num_rows() as u64).sum();
    let changes = rows.into_iter().map(|batch| match modification {
        Modification::Update | Modification::Merge => Ok(ChangeBatch::inserts(batch)),
        Modification::Delete | Modification::Truncate => deletes(batch),
    });
    // All rows go before the first comes: a new row may be equal to an old one.
    let changes = before.into_iter().map(deletes).chain(changes);
    let pending = PendingRows {
        table: target.table,
        name: name.to_owned(),
        changes: changes.collect::<Result<_, _>>()?,
    };
    writes::accept_locked(session, pending).await?;
    Ok(count)
}

/// The keys that a statement has merged: each once, for the rows of one statement have no order.
struct Merged {
    key: Vec<usize>,
    rows: RowConverter,
    seen: HashSet<Box<[u8]>>,
}

impl Merged {
    fn of(target: &Target) -> Result<Self, EngineError> {
        let fields = target.key.iter();
        let fields = fields.map(|at| SortField::new(target.schema.field(*at).data_type().clone()));
        let rows = RowConverter::new(fields.collect());
        Ok(Self {
            key: target.key.clone(),
            rows: rows.map_err(|error| EngineError::internal(error.to_string()))?,
            seen: HashSet::new(),
        })
    }

    fn check(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        let keys = self.key.iter().map(|at| Arc::clone(batch.column(*at)));
        let keys = self.rows.convert_columns(&keys.collect::<Vec<_>>());
        let keys = keys.map_err(|error| EngineError::internal(error.to_string()))?;
        if keys.iter().all(|key| self.seen.insert(key.data().into())) {
            return Ok(());
        }
        let message = "ON CONFLICT DO UPDATE command cannot affect row a second time";
        Err(EngineError::invalid("RT0527", message)
            .sqlstate("21000")
            .hint("Give each key once in one statement."))
    }
}

fn deletes(batch: RecordBatch) -> Result<ChangeBatch, EngineError> {
    let ops = Int8Array::from(vec![-1; batch.num_rows()]);
    ChangeBatch::try_new(batch, ops).map_err(|error| EngineError::internal(error.to_string()))
}
