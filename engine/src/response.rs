//! What a statement answers with: rows, an endless changelog, a tag, or a COPY in either direction.

use std::fmt;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::stream::BoxStream;

use crate::copy::{CopyIn, CopyOptions};
use crate::error::EngineError;

/// Batches as they are computed. Dropping it stops the statement.
pub type BatchStream = BoxStream<'static, Result<RecordBatch, EngineError>>;

/// What a statement answers with.
pub enum Response {
    /// Rows, all of one cut. `tag` counts them once they are all sent.
    Rows {
        /// Their columns.
        schema: SchemaRef,
        /// The rows. Batches may be empty.
        batches: BatchStream,
        /// What to say at the end.
        tag: CommandTag,
    },
    /// An endless changelog, from `SUBSCRIBE`. The schema begins with `rtsap_time timestamptz` and
    /// `rtsap_op text` (`insert`, `delete`; with PROGRESS also `progress`, all view columns null).
    Changes {
        /// Its columns.
        schema: SchemaRef,
        /// The changes; send each batch at once.
        changes: BatchStream,
    },
    /// Rows to be written in a COPY format; endless when it copies a `SUBSCRIBE`.
    CopyOut {
        /// Their columns.
        schema: SchemaRef,
        /// The rows.
        batches: BatchStream,
        /// How to write them.
        options: CopyOptions,
        /// What to say at the end.
        tag: CommandTag,
    },
    /// The client should send rows now: push them into `target`, then call [`CopyIn::finish`].
    CopyIn {
        /// Where they go; says which columns and in which format.
        target: CopyIn,
    },
    /// Done; there are no rows.
    Done(CommandTag),
    /// The text held no statement.
    Empty,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows { schema, tag, .. } => write!(f, "Rows({tag:?}, {schema:?})"),
            Self::Changes { schema, .. } => write!(f, "Changes({schema:?})"),
            Self::CopyOut { schema, .. } => write!(f, "CopyOut({schema:?})"),
            Self::CopyIn { .. } => f.write_str("CopyIn"),
            Self::Done(tag) => write!(f, "Done({tag:?})"),
            Self::Empty => f.write_str("Empty"),
        }
    }
}

/// What PostgreSQL calls a command tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandTag {
    /// The words alone: `CREATE SOURCE`, `BEGIN`, `SHOW`.
    Plain(&'static str),
    /// The word and the number of rows returned: `SELECT 5`, `FETCH 5`, `COPY 5`.
    Returned(&'static str),
    /// The words and a number that is known already: `INSERT 0 5`.
    Affected(&'static str, u64),
}

impl CommandTag {
    /// The tag's text after `returned` rows were sent.
    pub fn text(&self, returned: u64) -> String {
        match self {
            Self::Plain(words) => (*words).to_owned(),
            Self::Returned(word) => format!("{word} {returned}"),
            Self::Affected(words, rows) => format!("{words} {rows}"),
        }
    }
}
