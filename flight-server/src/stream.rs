//! Batches on their way to the wire: cut to size, encoded, kept alive. Never waits for more than
//! the next batch.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{Stream, StreamExt, TryStreamExt};
use tokio::sync::watch;
use tonic::Status;

use crate::error::{broken, status};
use crate::statement::Rows;

#[cfg(test)]
mod tests;

/// A subscription without changes sends an empty batch this often, so that a reader can look up
/// from waiting.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Size of a message to aim at: half of the 4 MiB that gRPC libraries take by default.
const MESSAGE_BYTES: usize = 2 << 20;

/// What DoGet answers with.
pub(crate) type FlightStream = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// The columns of a result as clients see them: all may be null, as in PostgreSQL, whose clients
/// expect no promise.
pub(crate) fn wire_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter();
    let nullable = fields.map(|field| field.as_ref().clone().with_nullable(true));
    let schema = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
    // Dictionaries travel as their values: the encoder says what becomes of the schema.
    let encoder = FlightDataEncoderBuilder::new().with_schema(Arc::clone(&schema));
    let known = encoder.build(stream::empty()).known_schema();
    known.unwrap_or(schema)
}

/// A schema as Flight SQL wants it inside of messages.
///
/// # Errors
/// `INTERNAL` if it cannot be encoded.
pub(crate) fn schema_bytes(schema: &Schema) -> Result<Bytes, Status> {
    let options = IpcWriteOptions::default();
    let IpcMessage(bytes) = SchemaAsIpc::new(schema, &options)
        .try_into()
        .map_err(broken)?;
    Ok(bytes)
}

/// The messages of `rows`; subscriptions end when `stopping` says so.
///
/// # Errors
/// `INTERNAL` if the columns cannot be encoded.
pub(crate) fn encoded(rows: Rows, stopping: watch::Receiver<bool>) -> Result<FlightStream, Status> {
    let Rows {
        schema,
        batches,
        live,
    } = rows;
    let heartbeat = live.then(|| empty_message(&schema)).transpose()?;
    let announced = Arc::clone(&schema);
    let pieces = batches.map(move |batch| {
        let pieces = batch.map_err(status).and_then(|batch| {
            let batch = fitted(&batch, &announced).map_err(broken)?;
            Ok(pieces(&batch))
        });
        match pieces {
            Ok(pieces) => stream::iter(pieces.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(status) => stream::iter(vec![Err(FlightError::from(status))]),
        }
    });
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(schema)
        // Already cut, by what is really sent and not by the size of shared buffers.
        .with_max_flight_data_size(usize::MAX)
        .build(pieces.flatten())
        .map_err(Status::from)
        .boxed();
    Ok(match heartbeat {
        Some(heartbeat) => kept_alive(messages, heartbeat, stopping),
        None => messages,
    })
}

/// `messages` with `heartbeat` in every silence, until `stopping`.
fn kept_alive(
    messages: BoxStream<'static, Result<FlightData, Status>>,
    heartbeat: FlightData,
    stopping: watch::Receiver<bool>,
) -> FlightStream {
    let state = Some((messages, heartbeat, stopping));
    let alive = stream::unfold(state, |state| async move {
        let (mut messages, heartbeat, mut stopping) = state?;
        let event = tokio::select! {
            biased;
            () = stopped(&mut stopping) => Event::Stopped,
            message = messages.next() => Event::Message(message),
            () = tokio::time::sleep(HEARTBEAT) => Event::Silence,
        };
        let next = match event {
            Event::Stopped => Err(Status::unavailable("server is stopping")),
            Event::Message(message) => message?,
            Event::Silence => Ok(heartbeat.clone()),
        };
        let state = next.is_ok().then_some((messages, heartbeat, stopping));
        Some((next, state))
    });
    Box::pin(alive)
}

/// What a subscription's client waits for.
enum Event {
    Message(Option<Result<FlightData, Status>>),
    Silence,
    Stopped,
}

async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // An error says that nobody will ever tell: also a reason to stop.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// A batch without rows, which the encoder would leave out.
fn empty_message(schema: &SchemaRef) -> Result<FlightData, Status> {
    let batch = RecordBatch::new_empty(Arc::clone(schema));
    let (_, data) = IpcDataGenerator::default()
        .encode(
            &batch,
            &mut DictionaryTracker::new(false),
            &IpcWriteOptions::default(),
            &mut IpcWriteContext::default(),
        )
        .map_err(broken)?;
    Ok(data.into())
}

/// `batch` in exactly the announced columns.
fn fitted(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    if batch.num_columns() != schema.fields().len() {
        return Err(ArrowError::SchemaError(format!(
            "{} columns were announced, {} came",
            schema.fields().len(),
            batch.num_columns()
        )));
    }
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| {
        if column.data_type() == field.data_type() {
            Ok(Arc::clone(column))
        } else {
            cast_with_options(column, field.data_type(), &strict)
        }
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
}

/// `batch` in pieces of about [`MESSAGE_BYTES`], each with no more bytes behind it than its rows
/// have.
fn pieces(batch: &RecordBatch) -> Vec<RecordBatch> {
    let bytes: usize = batch.columns().iter().map(sent_bytes).sum();
    let count = bytes.div_ceil(MESSAGE_BYTES).max(1);
    let rows = batch.num_rows().div_ceil(count).max(1);
    let starts = (0..batch.num_rows()).step_by(rows);
    starts
        .map(|start| {
            let piece = batch.slice(start, rows.min(batch.num_rows() - start));
            compact(&piece)
        })
        .collect()
}

/// About how many bytes a column takes on the wire.
fn sent_bytes(column: &ArrayRef) -> usize {
    const VIEW_BYTES: usize = 16;
    match column.data_type() {
        DataType::Utf8View => {
            let views = column.as_string_view();
            views.total_buffer_bytes_used() + views.len() * VIEW_BYTES
        }
        DataType::BinaryView => {
            let views = column.as_binary_view();
            views.total_buffer_bytes_used() + views.len() * VIEW_BYTES
        }
        _ => {
            let data = column.to_data();
            data.get_slice_memory_size()
                .unwrap_or_else(|_| column.get_buffer_memory_size())
        }
    }
}

/// Views bring all of their buffers along, which may hold the rows of others.
fn compact(batch: &RecordBatch) -> RecordBatch {
    let columns = batch
        .columns()
        .iter()
        .map(|column| match column.data_type() {
            DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
            DataType::BinaryView => Arc::new(column.as_binary_view().gc()) as ArrayRef,
            _ => Arc::clone(column),
        });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = columns.collect();
    // The same columns in fewer bytes: they cannot stop fitting.
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
        .unwrap_or_else(|_| batch.clone())
}
