//! How batches are cut and kept alive.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use futures::{StreamExt, TryStreamExt};
use tokio::sync::watch;
use tonic::Code;

use super::{MESSAGE_BYTES, encoded, pieces, wire_schema};
use crate::statement::Rows;

fn numbers(count: i64) -> RecordBatch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
    RecordBatch::try_from_iter([("v", column)]).unwrap()
}

#[test]
fn a_slice_is_not_cut_by_the_size_of_what_it_was_cut_from() {
    let large = numbers(4_000_000);
    assert_eq!(pieces(&large.slice(5, 10)).len(), 1);
    let cut = pieces(&large);
    assert_eq!(cut.len(), (4_000_000 * 8_usize).div_ceil(MESSAGE_BYTES));
    assert_eq!(
        cut.iter().map(RecordBatch::num_rows).sum::<usize>(),
        4_000_000
    );
    let last = cut
        .last()
        .unwrap()
        .column(0)
        .as_primitive::<Int64Type>()
        .clone();
    assert_eq!(last.value(last.len() - 1), 3_999_999);
}

#[test]
fn a_piece_does_not_carry_the_text_of_other_rows() {
    let texts = (0..1000).map(|i| format!("a text that is too long to be inline {i}"));
    let column: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
    let batch = RecordBatch::try_from_iter([("t", column)]).unwrap();
    let cut = pieces(&batch.slice(7, 1));
    let column = cut[0].column(0).as_string_view();
    assert_eq!(column.value(0), "a text that is too long to be inline 7");
    let kept: usize = column
        .data_buffers()
        .iter()
        .map(|buffer| buffer.len())
        .sum();
    assert_eq!(kept, column.value(0).len());
}

#[tokio::test]
async fn a_silent_subscription_sends_empty_batches_until_the_server_stops() {
    let batch = numbers(3);
    let rows = Rows {
        schema: wire_schema(&batch.schema()),
        batches: futures::stream::once(async move { Ok(batch) })
            .chain(futures::stream::pending())
            .boxed(),
        live: true,
    };
    let (stop, stopping) = watch::channel(false);
    let messages = encoded(rows, stopping).unwrap().map_err(FlightError::from);
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    for expected in [3, 0] {
        assert_eq!(
            batches.try_next().await.unwrap().unwrap().num_rows(),
            expected
        );
    }
    stop.send_replace(true);
    match batches.try_next().await {
        Err(FlightError::Tonic(status)) => assert_eq!(status.code(), Code::Unavailable),
        other => panic!("{other:?}"),
    }
}
