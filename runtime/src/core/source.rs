//! Sources as the core holds them.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use rtsap_stream::change::ChangeBatch;
use rtsap_stream::decode::Reject;
use rtsap_stream::time::WallTime;

use crate::checkpoint::manifest::SourceState;
use crate::serve::ServeError;
use crate::serve::table::{ServedTable, Shape};
use crate::spec::SourceSpec;
use crate::subscribe::Subscriber;

/// A source.
pub(crate) struct SourceEntry {
    pub spec: Arc<SourceSpec>,
    /// `<source>$errors`.
    pub errors: ServedTable,
    pub subscribers: Vec<Subscriber>,
    pub touched: bool,
    pub saved: SourceState,
    pub snapshot: Option<Arc<crate::serve::ServedSnapshot>>,
}

/// The columns of `<source>$errors`.
pub fn errors_schema() -> SchemaRef {
    let utc = Some(Arc::from("UTC"));
    Arc::new(Schema::new(vec![
        Field::new("split", DataType::Utf8, false),
        Field::new("offset", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("payload", DataType::Binary, false),
        Field::new(
            "seen_at",
            DataType::Timestamp(TimeUnit::Microsecond, utc),
            false,
        ),
    ]))
}

impl SourceEntry {
    pub(crate) fn new(spec: Arc<SourceSpec>) -> Result<Self, ServeError> {
        let errors = ServedTable::new(errors_schema(), Shape::Append)?;
        let saved = SourceState {
            id: spec.id.0,
            ..SourceState::default()
        };
        let subscribers = Vec::new();
        Ok(Self {
            spec,
            errors,
            subscribers,
            touched: false,
            saved,
            snapshot: None,
        })
    }

    /// Sets `rejects` aside as rows.
    pub(crate) fn set_aside(
        &mut self,
        rejects: &[Reject],
        now: WallTime,
    ) -> Result<ChangeBatch, ServeError> {
        let offset = |reject: &Reject| i64::try_from(reject.offset.0).unwrap_or(i64::MAX);
        let splits = rejects.iter().map(|reject| Some(reject.split.as_str()));
        let offsets: Int64Array = rejects.iter().map(offset).collect::<Vec<_>>().into();
        let reasons = rejects.iter().map(|reject| Some(reject.reason.as_str()));
        let payloads = rejects.iter().map(|reject| Some(reject.payload.as_ref()));
        let seen = TimestampMicrosecondArray::from(vec![now.micros(); rejects.len()]);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(splits.collect::<StringArray>()),
            Arc::new(offsets),
            Arc::new(reasons.collect::<StringArray>()),
            Arc::new(payloads.collect::<BinaryArray>()),
            Arc::new(seen.with_timezone("UTC")),
        ];
        let changes = ChangeBatch::inserts(RecordBatch::try_new(errors_schema(), columns)?);
        self.errors.keep(&changes)?;
        self.touched = true;
        Ok(changes)
    }
}
