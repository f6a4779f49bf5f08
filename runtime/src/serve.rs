//! Served tables: what readers see, one immutable cut at a time.
//!
//! The core writes, readers take an `Arc`; nobody waits for anybody. Never touches storage.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use arrow::array::BooleanArray;
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use rtsap_plan::operator::ObjectId;
use rtsap_stream::time::EventTime;

pub mod chunk;
pub mod delta;
pub mod key;
pub mod table;

/// Why a served table refused changes or cannot show its rows.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Arrow refused.
    #[error("cannot keep served rows: {0}")]
    Arrow(#[from] ArrowError),
    /// A delete without an insert before it: a bug upstream.
    #[error("delete of a row that is not there")]
    UnmatchedDelete,
}

/// Which relation of an object is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Its rows.
    Rows,
    /// `<view>$late`.
    Late,
    /// `<source>$errors`.
    Errors,
}

impl Part {
    /// As it stands in persisted names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Late => "late",
            Self::Errors => "errors",
        }
    }
}

/// One consistent cut of all relations of the process.
#[derive(Debug, Default)]
pub struct Cut {
    /// Number of the publish that made it.
    pub publish: u64,
    /// Wall time of that publish, in microseconds since the Unix epoch.
    pub at_us: i64,
    pub(crate) tables: HashMap<(ObjectId, Part), Arc<ServedSnapshot>>,
}

impl Cut {
    /// The rows of one relation, or `None` if it does not exist (yet).
    pub fn table(&self, object: ObjectId, part: Part) -> Option<Arc<ServedSnapshot>> {
        self.tables.get(&(object, part)).map(Arc::clone)
    }
}

/// Rows of one relation at one cut.
#[derive(Debug)]
pub struct ServedSnapshot {
    schema: SchemaRef,
    chunks: Vec<(RecordBatch, Option<BooleanBuffer>)>,
    rows: usize,
    watermark: Option<EventTime>,
    filtered: OnceLock<Vec<RecordBatch>>,
}

impl ServedSnapshot {
    pub(crate) fn new(
        schema: SchemaRef,
        chunks: Vec<(RecordBatch, Option<BooleanBuffer>)>,
        rows: usize,
        watermark: Option<EventTime>,
    ) -> Self {
        Self {
            schema,
            chunks,
            rows,
            watermark,
            filtered: OnceLock::new(),
        }
    }

    /// Columns and types.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How far event time had come.
    pub fn watermark(&self) -> Option<EventTime> {
        self.watermark
    }

    /// The rows, in no particular order. The first reader of a cut pays for leaving out replaced
    /// rows.
    ///
    /// # Errors
    /// [`ServeError::Arrow`] if the filter kernel refuses.
    pub fn batches(&self) -> Result<&[RecordBatch], ServeError> {
        if let Some(batches) = self.filtered.get() {
            return Ok(batches);
        }
        let mut batches = Vec::with_capacity(self.chunks.len());
        for (rows, live) in &self.chunks {
            let batch = match live {
                None => rows.clone(),
                Some(live) => filter_record_batch(rows, &BooleanArray::new(live.clone(), None))?,
            };
            if batch.num_rows() > 0 {
                batches.push(batch);
            }
        }
        Ok(self.filtered.get_or_init(|| batches))
    }
}
