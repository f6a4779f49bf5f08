//! What is said of an answer before it is fetched, and answers that are there already.

use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::{FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use tonic::{Request, Response, Status};

use crate::error::broken;
use crate::stream::FlightStream;

/// The ticket of a statement that was executed when it was described: no columns, no rows.
pub(crate) const DONE: &[u8] = b"-- done";

/// One endpoint: this server.
pub(crate) fn flight_info(
    schema: &Schema,
    ticket: Bytes,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Status> {
    let info = FlightInfo::new().try_with_schema(schema).map_err(broken)?;
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
    Ok(info.with_endpoint(endpoint).with_descriptor(descriptor))
}

/// Describes the answer of a statement without rows, which is done by now: programs send everything
/// as a query, and expect the next one to see what this one did. Its ticket is [`DONE`].
pub(crate) fn done(descriptor: FlightDescriptor) -> Result<Response<FlightInfo>, Status> {
    let ticket = Bytes::from_static(DONE);
    flight_info(&Schema::empty(), ticket, descriptor).map(Response::new)
}

/// Describes a command whose ticket is the command itself.
pub(crate) fn command(
    schema: &Schema,
    request: Request<FlightDescriptor>,
) -> Result<Response<FlightInfo>, Status> {
    let descriptor = request.into_inner();
    let ticket = descriptor.cmd.clone();
    flight_info(schema, ticket, descriptor).map(Response::new)
}

/// Streams one batch that is there already.
pub(crate) fn sent(batch: RecordBatch) -> Result<Response<FlightStream>, Status> {
    let messages = FlightDataEncoderBuilder::new()
        .with_schema(batch.schema())
        .build(futures::stream::once(async move { Ok(batch) }))
        .map_err(Status::from);
    Ok(Response::new(messages.boxed()))
}
