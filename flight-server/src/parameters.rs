//! Values that a client binds: rows read from a DoPut stream.

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::server::PeekableFlightDataStream;
use futures::{StreamExt, TryStreamExt};
use rtsap_engine::session::ScalarValue;
use tonic::Status;

/// Values of one statement that may be bound at once. More belongs into bulk ingestion, which has
/// no such limit.
const VALUES_MAX: usize = 1_000_000;

/// The batches that a client puts. Messages without data only carry commands.
pub(crate) fn batches(stream: PeekableFlightDataStream) -> FlightRecordBatchStream {
    let data = stream.map_err(FlightError::from);
    let data = data.try_filter(|data| futures::future::ready(!data.data_header.is_empty()));
    FlightRecordBatchStream::new_from_flight_data(data)
}

/// A failure of a client's own batches: whoever sent them must act, unless the connection broke.
pub(crate) fn unreadable(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => Status::invalid_argument(format!("cannot read the batches sent: {other}")),
    }
}

/// Every row that a client binds, one value a column.
///
/// # Errors
/// `INVALID_ARGUMENT` for what is no Arrow data, `RESOURCE_EXHAUSTED` beyond the limit.
pub(crate) async fn rows(
    stream: PeekableFlightDataStream,
) -> Result<Vec<Vec<ScalarValue>>, Status> {
    let mut batches = batches(stream);
    let mut rows = Vec::new();
    let mut count = 0;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(unreadable)?;
        count += batch.num_rows() * batch.num_columns().max(1);
        if count > VALUES_MAX {
            return Err(Status::resource_exhausted(format!(
                "cannot bind more than {VALUES_MAX} values to one statement\n\
                 HINT: Ingest the rows instead (adbc_ingest with mode append)."
            )));
        }
        for row in 0..batch.num_rows() {
            let values = batch.columns().iter().map(|column| value(column, row));
            rows.push(values.collect::<Result<_, _>>()?);
        }
    }
    Ok(rows)
}

fn value(column: &dyn Array, row: usize) -> Result<ScalarValue, Status> {
    ScalarValue::try_from_array(column, row).map_err(|error| {
        let data_type = column.data_type();
        Status::invalid_argument(format!(
            "cannot bind a parameter of type {data_type}: {error}"
        ))
    })
}

/// The parameters of a statement as columns: `$1`, `$2`, ….
pub(crate) fn schema(types: &[DataType]) -> Schema {
    let fields = types.iter().enumerate();
    let fields =
        fields.map(|(index, kind)| Field::new(format!("${}", index + 1), kind.clone(), true));
    Schema::new(fields.collect::<Vec<_>>())
}
