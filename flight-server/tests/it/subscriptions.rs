//! `SUBSCRIBE` over DoGet.

use arrow_flight::Ticket;
use futures::TryStreamExt;
use tonic::Code;

use crate::harness::{Server, rows, status};

#[tokio::test]
async fn changes_come_as_they_happen_and_silence_is_filled() {
    let server = Server::with_trades().await;
    let mut client = server.client();
    let mut changes = client.stream("SUBSCRIBE counts").await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(rows(&changes.try_next().await.unwrap().unwrap()));
    }
    seen.sort_by_key(|row| row.split('|').nth(2).map(ToOwned::to_owned));
    assert!(
        seen[0].ends_with("|insert|A|2") && seen[1].ends_with("|insert|B|1"),
        "{seen:?}"
    );
    let silence = changes.try_next().await.unwrap().unwrap();
    assert_eq!((silence.num_rows(), silence.num_columns()), (0, 4));
    server
        .client()
        .update("INSERT INTO trades (id, symbol) VALUES (4, 'B')")
        .await;
    let mut later = Vec::new();
    while later.len() < 2 {
        later.extend(rows(&changes.try_next().await.unwrap().unwrap()));
    }
    assert!(
        later.iter().any(|row| row.ends_with("|delete|B|1")),
        "{later:?}"
    );
    assert!(
        later.iter().any(|row| row.ends_with("|insert|B|2")),
        "{later:?}"
    );
}

#[tokio::test]
async fn abandoned_subscriptions_stand_in_the_way_of_nothing() {
    let server = Server::with_trades().await;
    for _ in 0..20 {
        let ticket = Ticket::new("SUBSCRIBE (SELECT symbol, n FROM counts)");
        let mut changes = server.plain().do_get(ticket).await.unwrap();
        changes.try_next().await.unwrap().unwrap();
    }
    server.client().update("DROP TABLE trades CASCADE").await;
    assert_eq!(server.engine.status().sessions, 0);
    assert_eq!(
        server.client().error("SELECT * FROM counts").await.code(),
        Code::NotFound
    );
}

#[tokio::test]
async fn a_stopping_server_ends_its_subscriptions() {
    let mut server = Server::with_trades().await;
    let mut changes = server.client().stream("SUBSCRIBE counts").await.unwrap();
    changes.try_next().await.unwrap().unwrap();
    server.stop();
    let error = loop {
        match changes.try_next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the subscription ended without a reason"),
            Err(error) => break status(error),
        }
    };
    assert_eq!(error.code(), Code::Unavailable);
    drop(changes);
    server.stopped().await;
}
