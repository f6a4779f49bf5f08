//! Errors with all their fields, notices, and addresses that are refused.

use rtsap_pgwire_server::error::PgServerError;
use rtsap_pgwire_server::server::{PgServerConfig, bind};
use tokio_postgres::error::ErrorPosition;

use crate::harness::Harness;
use crate::wire::{Wire, message};

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_what_where_and_what_to_do() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client
        .batch_execute("CREATE TABLE trades (symbol TEXT, price DOUBLE PRECISION)")
        .await
        .unwrap();
    for prepared in [false, true] {
        let sql = "SELECT prize FROM trades";
        let error = match prepared {
            true => client.prepare(sql).await.err().unwrap(),
            false => client.simple_query(sql).await.unwrap_err(),
        };
        let error = error.as_db_error().unwrap();
        assert_eq!((error.code().code(), error.severity()), ("42703", "ERROR"));
        assert_eq!(error.position(), Some(&ErrorPosition::Original(8)));
        assert!(error.hint().unwrap().contains("price"), "{error:?}");
        assert!(error.routine().unwrap().starts_with("RT"), "{error:?}");
    }
    let error = client.batch_execute("SELEC 1").await.unwrap_err();
    let error = error.as_db_error().unwrap();
    assert_eq!(
        (error.code().code(), error.position()),
        ("42601", Some(&ErrorPosition::Original(1)))
    );
    client.batch_execute("SELECT 1").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn notices_come_before_the_end_of_their_statement() {
    let harness = Harness::new().await;
    let mut wire = Wire::session(harness.address).await;
    wire.send(&message(b'Q', b"DROP TABLE IF EXISTS nothing\0"))
        .await;
    let replies = wire.until('Z').await;
    assert_eq!(crate::wire::tags(&replies), "NCZ");
    assert_eq!(replies[0].field(b'S'), "NOTICE");
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_others_reach_are_refused() {
    let open = PgServerConfig::new("0.0.0.0:0".parse().unwrap());
    let error = bind(open.clone()).await.unwrap_err();
    assert!(
        matches!(error, PgServerError::NotLoopback { .. }),
        "{error}"
    );
    let allowed = PgServerConfig {
        insecure_listen: true,
        ..open
    };
    assert!(bind(allowed).await.is_ok());
}
