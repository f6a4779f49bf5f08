//! Bytes to columns, failing row by row.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;

use crate::error::ConnectorError;
use crate::source::{Offset, RawBatch, SplitId};

/// Where a physical column's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnOrigin {
    /// The field of this name in the payload.
    Payload,
    /// Something the transport knows about the payload.
    Metadata(Metadata),
}

/// What a transport knows about a payload (`METADATA FROM '…'`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// The split's name; for Kafka the partition number, as INT.
    Partition,
    /// The payload's offset, as BIGINT.
    Offset,
    /// The broker's timestamp, as TIMESTAMP(3|6) WITH TIME ZONE.
    Timestamp,
    /// The key, as BYTEA or, when it is UTF-8, TEXT.
    Key,
    /// The topic or path, as TEXT.
    Topic,
    /// The headers, as a MAP-like list of {key, value} structs.
    Headers,
}

/// The physical columns a decoder must fill, in order.
///
/// `schema` field *i* takes its value from `origins[i]`; a field that is not nullable and is null
/// or missing in the payload makes the payload a reject.
#[derive(Clone, Debug)]
pub struct DecodeSchema {
    /// Names and types.
    pub schema: SchemaRef,
    /// As many entries as fields.
    pub origins: Arc<[ColumnOrigin]>,
}

/// Turns payloads into rows of one schema.
pub trait Decoder: Send {
    /// The schema of the rows it makes.
    fn schema(&self) -> &SchemaRef;

    /// Decodes every payload of `raw`. Each ends up in `rows` or in `rejects`; none in both, none
    /// in neither.
    ///
    /// Returns no `Result` on purpose: a bad payload is data, not a failure of the stream
    /// (rust-analyzer's `(T, Vec<Error>)`; Feldera's `Parser`; Materialize's errors as data).
    fn decode(&mut self, split: &SplitId, raw: &dyn RawBatch) -> Decoded;

    /// Fetches what decoding `raw` needs from outside, such as schemas from a registry. Called
    /// before [`Decoder::decode`] of the same batch, and again until it succeeds.
    ///
    /// # Errors
    /// `Unavailable` to be asked again later; any other kind ends the source.
    fn prepare(&mut self, _raw: &dyn RawBatch) -> Result<(), ConnectorError> {
        Ok(())
    }
}

/// What a decoder made of a batch.
pub struct Decoded {
    /// The good rows, in order.
    pub rows: RecordBatch,
    /// The bad payloads, in order.
    pub rejects: Vec<Reject>,
    /// What each row does to the relation of a source with a primary key: +1 to put it in the place
    /// of its key's row, −1 to take that away (its other columns mean nothing), 0 for nothing.
    /// `None` means all +1.
    pub ops: Option<Vec<i8>>,
}

/// A payload that could not be decoded, with what somebody needs to find it.
///
/// Rejects become rows of the relation `<source>$errors`, in the same epoch as the rows around
/// them: counted in the ledger, checkpointed, subscribable. Nothing is dropped because a queue is
/// full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// The split it came from.
    pub split: SplitId,
    /// Where in it.
    pub offset: Offset,
    /// Why: `field "price": cannot read "abc" as DECIMAL(18,8)`.
    pub reason: String,
    /// The bytes as they came.
    pub payload: Bytes,
}
