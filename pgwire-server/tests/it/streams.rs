//! Subscriptions: live over each protocol, ended by a cancel request.

use futures::{StreamExt, pin_mut};
use tokio_postgres::NoTls;

use crate::harness::{Harness, rows};
use crate::wire::{Wire, message, parse, tags};

async fn followed() -> (Harness, tokio_postgres::Client) {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client
        .batch_execute("CREATE TABLE t (k TEXT, v BIGINT)")
        .await
        .unwrap();
    let view = "CREATE STREAMING VIEW sums AS SELECT k, sum(v) AS total FROM t GROUP BY k";
    client.batch_execute(view).await.unwrap();
    client
        .batch_execute("INSERT INTO t VALUES ('a', 1); FLUSH")
        .await
        .unwrap();
    (harness, client)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_streams_until_it_is_cancelled() {
    let (harness, writer) = followed().await;
    let reader = harness.client().await;
    let none: [&str; 0] = [];
    let changes = reader.query_raw("SUBSCRIBE sums", none).await.unwrap();
    pin_mut!(changes);
    let mut seen = Vec::new();
    for round in 0..3 {
        let wanted = 1 + 2 * round;
        while seen.len() < wanted {
            let row = changes.next().await.unwrap().unwrap();
            seen.push(format!(
                "{} {}",
                row.get::<_, &str>("rtsap_op"),
                row.get::<_, i64>("total")
            ));
        }
        writer
            .batch_execute("INSERT INTO t VALUES ('a', 1)")
            .await
            .unwrap();
    }
    assert_eq!(
        seen,
        ["insert 1", "delete 1", "insert 2", "delete 2", "insert 3"]
    );
    reader.cancel_token().cancel_query(NoTls).await.unwrap();
    let error = loop {
        match changes.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the subscription came to an end"),
        }
    };
    assert_eq!(error.code().unwrap().code(), "57014");
    assert_eq!(rows(&reader, "SELECT 1").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fetch_size_takes_what_is_there_and_waits_for_the_first_only() {
    let (harness, writer) = followed().await;
    let mut wire = Wire::session(harness.address).await;
    wire.send(&message(b'Q', b"BEGIN\0")).await;
    wire.until('Z').await;
    let bind = message(b'B', b"p\0\0\0\0\0\0\0\0");
    let execute = message(b'E', b"p\0\0\0\0\x64");
    let sync = message(b'S', b"");
    wire.send(&[parse("SUBSCRIBE sums"), bind, execute.clone(), sync.clone()].concat())
        .await;
    assert_eq!(tags(&wire.until('Z').await), "12DsZ");
    writer
        .batch_execute("INSERT INTO t VALUES ('a', 1)")
        .await
        .unwrap();
    let mut rows = 0;
    while rows < 2 {
        wire.send(&[execute.clone(), sync.clone()].concat()).await;
        let replies = wire.until('Z').await;
        assert!(tags(&replies).ends_with("sZ"), "{}", tags(&replies));
        rows += replies.iter().filter(|reply| reply.tag == 'D').count();
    }
    assert_eq!(rows, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_follows_a_view() {
    let (harness, writer) = followed().await;
    let reader = harness.client().await;
    reader
        .batch_execute("BEGIN; DECLARE c CURSOR FOR SUBSCRIBE sums")
        .await
        .unwrap();
    let first = rows(&reader, "FETCH 10 FROM c").await;
    assert!(
        first.len() == 1 && first[0].ends_with("|insert|a|1"),
        "{first:?}"
    );
    writer
        .batch_execute("INSERT INTO t VALUES ('a', 1)")
        .await
        .unwrap();
    let mut next = rows(&reader, "FETCH 10 FROM c").await;
    while next.len() < 2 {
        next.extend(rows(&reader, "FETCH 10 FROM c").await);
    }
    assert!(
        next[0].ends_with("|delete|a|1") && next[1].ends_with("|insert|a|2"),
        "{next:?}"
    );
    reader.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_request_needs_the_right_key_and_hits_suspended_portals_too() {
    let (harness, _writer) = followed().await;
    let mut wire = Wire::connect(harness.address).await;
    let packet = crate::wire::startup(3 << 16, &[("user", "rtsap")]);
    wire.send(&packet).await;
    let greeting = wire.until('Z').await;
    let key = greeting
        .iter()
        .find(|reply| reply.tag == 'K')
        .unwrap()
        .body
        .clone();
    wire.send(&message(b'Q', b"SUBSCRIBE sums\0")).await;
    wire.until('D').await;
    let mut wrong = key.clone();
    wrong[7] ^= 1;
    for key in [wrong, key] {
        let mut request = Wire::connect(harness.address).await;
        let code = 80_877_102_i32.to_be_bytes();
        request
            .send(&[&16_i32.to_be_bytes()[..], &code, &key].concat())
            .await;
        assert!(request.rest().await.is_empty());
    }
    let replies = wire.until('Z').await;
    assert_eq!(
        (tags(&replies).as_str(), replies[0].field(b'C').as_str()),
        ("EZ", "57014")
    );
}
