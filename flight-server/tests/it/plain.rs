//! Flight without SQL commands: text tickets, paths, listings.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::{Action, FlightDescriptor, Ticket};
use futures::TryStreamExt;
use rtsap_flight_server::{FlightServerConfig, bind};
use tonic::Code;

use crate::harness::{Server, rows, status};

async fn text(ticket: Ticket, server: &Server) -> Result<String, FlightError> {
    let batches: Vec<RecordBatch> = server.plain().do_get(ticket).await?.try_collect().await?;
    Ok(batches.iter().flat_map(rows).collect::<Vec<_>>().join("\n"))
}

#[tokio::test]
async fn a_ticket_may_be_sql_text() {
    let server = Server::with_trades().await;
    let answer = text(Ticket::new("SELECT n FROM counts ORDER BY n"), &server).await;
    assert_eq!(answer.unwrap(), "1\n2");
    let answer = text(Ticket::new("\nSELECT 1 AS one"), &server).await;
    assert_eq!(answer.unwrap(), "1");
    let garbage = text(Ticket::new(vec![0xff, 0xfe]), &server)
        .await
        .unwrap_err();
    assert_eq!(status(garbage).code(), Code::InvalidArgument);
}

#[tokio::test]
async fn paths_and_text_describe_what_they_give() {
    let server = Server::with_trades().await;
    let mut client = server.plain();
    for descriptor in [
        FlightDescriptor::new_path(vec!["counts".to_owned()]),
        FlightDescriptor::new_path(vec!["public".to_owned(), "counts".to_owned()]),
        FlightDescriptor::new_cmd("SELECT * FROM counts"),
    ] {
        let info = client.get_flight_info(descriptor.clone()).await.unwrap();
        let ticket = info.endpoint[0].ticket.clone().unwrap();
        let schema = info.try_decode_schema().unwrap();
        assert_eq!(schema.field(1).name(), "n");
        assert_eq!(client.get_schema(descriptor).await.unwrap(), schema);
        assert_eq!(text(ticket, &server).await.unwrap().lines().count(), 2);
    }
    let missing = FlightDescriptor::new_path(vec!["it\"s".to_owned()]);
    let missing = client.get_flight_info(missing).await.unwrap_err();
    assert_eq!(status(missing).code(), Code::NotFound);
    let deep = FlightDescriptor::new_path(vec!["a".into(), "b".into(), "c".into()]);
    let deep = client.get_flight_info(deep).await.unwrap_err();
    assert_eq!(status(deep).code(), Code::InvalidArgument);
}

#[tokio::test]
async fn flights_are_the_tables_and_views_of_users() {
    let server = Server::with_trades().await;
    let flights = server.plain().list_flights("").await.unwrap();
    let flights: Vec<_> = flights.try_collect().await.unwrap();
    let paths: Vec<_> = flights
        .iter()
        .map(|info| info.flight_descriptor.clone().unwrap().path)
        .collect();
    assert_eq!(paths, [["counts"], ["trades"]]);
    let ticket = flights[0].endpoint[0].ticket.clone().unwrap();
    assert_eq!(text(ticket, &server).await.unwrap().lines().count(), 2);
}

#[tokio::test]
async fn batches_put_to_a_path_are_ingested_by_column_name() {
    let server = Server::with_trades().await;
    let symbols: ArrayRef = Arc::new(StringArray::from(vec!["X", "Y"]));
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![8, 9]));
    let batch = RecordBatch::try_from_iter([("symbol", symbols), ("id", ids)]).unwrap();
    let put = |batch: RecordBatch, path: &str| {
        let descriptor = FlightDescriptor::new_path(vec![path.to_owned()]);
        FlightDataEncoderBuilder::new()
            .with_flight_descriptor(Some(descriptor))
            .build(futures::stream::iter([Ok(batch)]))
    };
    let mut client = server.plain();
    let done = client.do_put(put(batch.clone(), "trades")).await.unwrap();
    done.try_collect::<Vec<_>>().await.unwrap();
    server.client().update("FLUSH").await;
    let answer = text(
        Ticket::new("SELECT id, symbol FROM trades WHERE id > 7 ORDER BY id"),
        &server,
    );
    assert_eq!(answer.await.unwrap(), "8|X\n9|Y");
    let refused = client.do_put(put(batch, "counts")).await;
    let refused = match refused {
        Ok(answers) => answers.try_collect::<Vec<_>>().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert_eq!(status(refused.unwrap_err()).code(), Code::InvalidArgument);
}

#[tokio::test]
async fn unknown_actions_are_refused_and_known_ones_listed() {
    let server = Server::start().await;
    let mut client = server.plain();
    let actions: Vec<_> = client
        .list_actions()
        .await
        .unwrap()
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    assert_eq!(actions.len(), 2);
    let refused = match client.do_action(Action::new("CancelFlightInfo", "")).await {
        Ok(answers) => answers.try_collect::<Vec<_>>().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert_eq!(status(refused.unwrap_err()).code(), Code::Unimplemented);
}

#[tokio::test]
async fn an_open_address_is_refused_unless_it_is_asked_for() {
    let listen = "0.0.0.0:0".parse().unwrap();
    let refused = bind(FlightServerConfig {
        listen,
        insecure_listen: false,
    })
    .await;
    let message = refused.unwrap_err().to_string();
    assert!(
        message.contains("TLS and authentication are not in this version"),
        "{message}"
    );
    bind(FlightServerConfig {
        listen,
        insecure_listen: true,
    })
    .await
    .unwrap();
}
