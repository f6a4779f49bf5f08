//! What becomes of a view's rows when its new version takes over: what is final stays, the rest is
//! replaced, and whoever follows the view is told the difference as ordinary changes.

use arrow::array::{BooleanArray, Int8Array};
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use rtsap_plan::operator::ObjectId;
use rtsap_plan::properties::StreamProperties;
use rtsap_stream::change::{ChangeBatch, ChangelogMode};
use rtsap_stream::time::EventTime;

use crate::core::pace::conflated;
use crate::core::publish::Published;
use crate::core::relation::{Body, Relation};
use crate::error::RuntimeError;
use crate::reader;
use crate::serve::table::{ServedTable, Shape};
use crate::serve::{Part, ServeError};

/// Why a view stands still whose old version did when the new one came.
pub(super) fn stopped_first(reason: &str) -> String {
    format!("its old version had stopped before the new one took its place: {reason}")
}

/// The column by which rows of a view are windows, if event time says which of them are final.
pub(in crate::core) fn windows(output: &StreamProperties) -> Option<usize> {
    let column = output.event_time?;
    let closes = output.mode == ChangelogMode::Upsert && output.key.contains(&column);
    closes.then_some(column)
}

/// What leads from the rows of the old version to those that the view has from now on.
pub(super) fn difference(
    old: &ServedTable,
    new: &ServedTable,
    windows: Option<usize>,
    line: Option<EventTime>,
) -> Result<Vec<ChangeBatch>, ServeError> {
    if matches!(old.shape(), Shape::Append) {
        return Ok(Vec::new());
    }
    let mut changes = Vec::new();
    for rows in old.everything()?.upserts {
        let rows = open_rows(rows, windows, line)?;
        let ops = Int8Array::from(vec![-1; rows.num_rows()]);
        // Both are as long as each other.
        changes.extend(ChangeBatch::try_new(rows, ops));
    }
    for rows in new.everything()?.upserts {
        changes.push(ChangeBatch::inserts(open_rows(rows, windows, line)?));
    }
    changes.retain(|changes| !changes.is_empty());
    conflated(changes)
}

/// The rows that are not final: windows that event time has not passed.
fn open_rows(
    rows: RecordBatch,
    windows: Option<usize>,
    line: Option<EventTime>,
) -> Result<RecordBatch, ServeError> {
    let (Some(column), Some(line)) = (windows, line) else {
        return Ok(rows);
    };
    let Some(times) = reader::nanos(rows.column(column)) else {
        return Ok(rows);
    };
    let open: BooleanArray = times
        .iter()
        .map(|time| Some(time.is_none_or(|time| time >= line.nanos())))
        .collect();
    Ok(filter_record_batch(&rows, &open)?)
}

impl Relation {
    /// The objects it reads.
    pub(in crate::core) fn inputs(&self) -> Vec<ObjectId> {
        match &self.body {
            Body::View { dataflow } => dataflow.inputs().iter().map(|i| i.object).collect(),
            Body::Table { .. } => Vec::new(),
        }
    }

    /// Goes on as `new`, which stands at the same offsets; returns what that changes.
    pub(super) fn give_way(&mut self, new: Self) -> Result<Published, RuntimeError> {
        let line = self.watermark.min(new.watermark);
        let changes = difference(&self.served, &new.served, self.windows, line)?;
        let mut published = Published::default();
        for changes in changes {
            published.changed |= !changes.is_empty();
            published.net.extend(self.served.apply(&changes)?);
        }
        // Those who follow rows of another form have nothing more to expect.
        let same_late = match (&self.late, &new.late) {
            (Some(old), Some(new)) => old.schema() == new.schema(),
            _ => false,
        };
        self.subscribers
            .retain(|(part, _)| *part == Part::Rows || same_late);
        self.snapshots.remove(&Part::Late);
        if let Some(reason) = self.suspended.take() {
            self.suspended = Some(stopped_first(&reason));
        } else {
            self.suspended = new.suspended;
        }
        self.saved.late = new.saved.late;
        self.saved.fingerprint = new.saved.fingerprint;
        (self.body, self.late) = (new.body, new.late);
        (self.pace, self.retention) = (new.pace, new.retention);
        (self.heard, self.windows) = (new.heard, new.windows);
        (self.held, self.inbox) = (new.held, new.inbox);
        self.watermark = self.watermark.max(new.watermark);
        self.touched = true;
        Ok(published)
    }
}
