//! Rows to the client: described once, written as they come, with the client's own pace as the
//! brake.

use std::sync::Arc;
use std::task::Poll;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use pgwire::messages::data::{FieldDescription, RowDescription};
use rtsap_engine::error::EngineError;
use rtsap_engine::response::{BatchStream, CommandTag};

use crate::connection::Connection;
use crate::encode::{Columns, Format, too_many_columns};
use crate::error::Failure;
use crate::oid;
use crate::socket::Stop;

/// Rows on their way to a client.
pub(super) struct RowStream {
    /// Their columns.
    pub(super) schema: SchemaRef,
    /// How each column is written.
    pub(super) formats: Vec<Format>,
    /// What to say at the end.
    pub(super) tag: CommandTag,
    /// How many were sent since the last Execute began.
    pub(super) sent: u64,
    batches: BatchStream,
    /// A batch of which some rows are still to be sent.
    rest: Option<(Columns, usize)>,
    endless: bool,
}

/// Why no more rows are sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// There are no more.
    All,
    /// As many as were asked for, or all that an endless stream has for now.
    Enough,
}

impl RowStream {
    /// Rows that end.
    pub(super) fn rows(schema: SchemaRef, batches: BatchStream, tag: CommandTag) -> Self {
        let formats = Vec::new();
        Self {
            schema,
            formats,
            tag,
            sent: 0,
            batches,
            rest: None,
            endless: false,
        }
    }

    /// Changes, which never end by themselves.
    pub(super) fn changes(schema: SchemaRef, batches: BatchStream) -> Self {
        let tag = CommandTag::Returned("SUBSCRIBE");
        Self {
            endless: true,
            ..Self::rows(schema, batches, tag)
        }
    }
}

/// Describes columns.
///
/// # Errors
/// `54011` for more columns than the protocol can count.
pub(super) fn describe(schema: &SchemaRef, formats: &[Format]) -> Result<RowDescription, Failure> {
    // The crate counts them in 15 bits.
    i16::try_from(schema.fields().len()).map_err(|_| too_many_columns())?;
    let field = |(index, field): (usize, &Arc<arrow::datatypes::Field>)| {
        let data_type = oid::pg_type(field.data_type());
        let format = formats.get(index).copied().unwrap_or(Format::Text).code();
        let name = field.name().replace('\0', "\u{fffd}");
        FieldDescription::new(
            name,
            0,
            0,
            data_type.oid,
            data_type.length,
            data_type.modifier,
            format,
        )
    };
    Ok(RowDescription::new(
        schema.fields().iter().enumerate().map(field).collect(),
    ))
}

impl Connection {
    /// Sends rows until there are none, or `rows_max` are sent.
    ///
    /// From an endless stream with a limit: waits for the first rows, then sends what is there.
    pub(super) async fn send_rows(
        &mut self,
        rows: &mut RowStream,
        rows_max: Option<u64>,
    ) -> Result<Sent, Stop> {
        let zone = self.zone();
        rows.sent = 0;
        loop {
            if let Some((columns, next)) = &mut rows.rest {
                while *next < columns.rows() {
                    if rows_max.is_some_and(|most| rows.sent >= most) {
                        return Ok(Sent::Enough);
                    }
                    let out = self.outbox.bytes();
                    columns.put_data_row(*next, &rows.formats, &zone, out)?;
                    *next += 1;
                    rows.sent += 1;
                    self.outbox.flush_if_full().await?;
                }
            }
            rows.rest = None;
            if rows_max.is_some_and(|most| rows.sent >= most) {
                return Ok(Sent::Enough);
            }
            let patient = rows_max.is_none() || rows.sent == 0 || !rows.endless;
            let Some(batch) = self
                .next_batch(&mut rows.batches, rows.endless, patient)
                .await?
            else {
                return Ok(Sent::All);
            };
            let Some(batch) = batch else {
                return Ok(Sent::Enough);
            };
            rows.rest = Some((Columns::new(&batch)?, 0));
        }
    }

    /// The next batch; what is written goes out before waiting. `Some(None)` if none is there and
    /// there is no patience to wait.
    pub(super) async fn next_batch(
        &mut self,
        batches: &mut BatchStream,
        endless: bool,
        patient: bool,
    ) -> Result<Option<Option<RecordBatch>>, Stop> {
        let found = |batch: Option<Result<RecordBatch, EngineError>>| match batch.transpose() {
            Ok(batch) => Ok(batch.map(Some)),
            Err(error) => Err(Stop::from(error)),
        };
        if let Poll::Ready(batch) = futures::poll!(batches.next()) {
            return found(batch);
        }
        if !patient {
            return Ok(Some(None));
        }
        self.outbox.flush().await?;
        tokio::select! {
            batch = batches.next() => found(batch),
            changed = self.canceled.changed() => match changed {
                Ok(()) => Err(Failure::canceled().into()),
                Err(_) => Err(Stop::Gone),
            },
            () = self.inbox.closed() => Err(Stop::Gone),
            () = self.stop.cancelled(), if endless => Err(Failure::shutdown().into()),
        }
    }
}
