//! Prepared statements, parameters of unknown types, portals read piece by piece, transactions.

use futures::{StreamExt, pin_mut};
use tokio_postgres::types::Type;

use crate::harness::Harness;
use crate::wire::{Wire, message, parse, tags};

#[tokio::test(flavor = "multi_thread")]
async fn types_of_parameters_come_from_what_stands_around_them() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client
        .batch_execute("CREATE TABLE t (k TEXT, v BIGINT, p DOUBLE PRECISION)")
        .await
        .unwrap();
    client
        .batch_execute("INSERT INTO t VALUES ('a', 1, 1.5), ('b', 2, 2.5); FLUSH")
        .await
        .unwrap();
    let sql = "SELECT k, v FROM t WHERE v >= $1 AND p < $2 AND k <> $3 ORDER BY k LIMIT $4";
    let statement = client.prepare(sql).await.unwrap();
    assert_eq!(
        statement.params(),
        [Type::INT8, Type::FLOAT8, Type::TEXT, Type::INT8]
    );
    let names: Vec<_> = statement
        .columns()
        .iter()
        .map(|column| column.name())
        .collect();
    assert_eq!(names, ["k", "v"]);
    let found = client
        .query(&statement, &[&1_i64, &9.0_f64, &"b", &5_i64])
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].get::<_, &str>(0), found[0].get::<_, i64>(1)),
        ("a", 1)
    );
    let none: Option<&str> = None;
    assert!(
        client
            .query("SELECT k FROM t WHERE k = $1", &[&none])
            .await
            .unwrap()
            .is_empty()
    );
    let declared = client
        .prepare_typed("SELECT $1", &[Type::INT4])
        .await
        .unwrap();
    assert_eq!(
        client
            .query_one(&declared, &[&7_i32])
            .await
            .unwrap()
            .get::<_, i32>(0),
        7
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_is_read_piece_by_piece_within_its_transaction() {
    let harness = Harness::new().await;
    let mut client = harness.client().await;
    let transaction = client.transaction().await.unwrap();
    let portal = transaction
        .bind(
            "SELECT value FROM generate_series(1, 20000) AS g (value) ORDER BY value",
            &[],
        )
        .await
        .unwrap();
    let mut seen = Vec::new();
    for wanted in [3, 10_000, 9_997, 0] {
        let piece = transaction
            .query_portal(&portal, 10_000.min(wanted.max(1)))
            .await
            .unwrap();
        assert_eq!(piece.len(), usize::try_from(wanted).unwrap());
        seen.extend(piece.iter().map(|row| row.get::<_, i64>(0)));
    }
    assert!(seen.iter().copied().eq(1..=20_000));
    transaction.commit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_end_with_their_transaction_and_failed_blocks_say_so() {
    let harness = Harness::new().await;
    let mut wire = Wire::session(harness.address).await;
    let bind = message(b'B', b"p\0\0\0\0\0\0\0\0");
    let execute = message(b'E', b"p\0\0\0\0\x01");
    let sync = message(b'S', b"");
    wire.send(
        &[
            parse("SELECT 1 UNION ALL SELECT 2"),
            bind.clone(),
            execute.clone(),
            sync.clone(),
        ]
        .concat(),
    )
    .await;
    assert_eq!(tags(&wire.until('Z').await), "12DsZ");
    wire.send(&[execute.clone(), sync.clone()].concat()).await;
    let replies = wire.until('Z').await;
    assert_eq!(
        (tags(&replies).as_str(), replies[0].field(b'C').as_str()),
        ("EZ", "34000")
    );

    wire.send(&message(b'Q', b"BEGIN\0")).await;
    assert_eq!(wire.until('Z').await.last().unwrap().body, b"T");
    wire.send(
        &[
            parse("SELECT 1 UNION ALL SELECT 2"),
            bind,
            execute.clone(),
            sync.clone(),
        ]
        .concat(),
    )
    .await;
    wire.until('Z').await;
    wire.send(&[execute, sync.clone()].concat()).await;
    assert_eq!(tags(&wire.until('Z').await), "DsZ");
    wire.send(&[parse("SELECT wrong"), sync.clone()].concat())
        .await;
    assert_eq!(wire.until('Z').await.last().unwrap().body, b"E");
    wire.send(&[parse("SELECT 1"), sync].concat()).await;
    assert_eq!(wire.until('Z').await[0].field(b'C'), "25P02");
    wire.send(&message(b'Q', b"ROLLBACK\0")).await;
    assert_eq!(wire.until('Z').await.last().unwrap().body, b"I");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_stream_to_a_client_that_takes_its_time() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    let none: [&str; 0] = [];
    let stream = client
        .query_raw(
            "SELECT value FROM generate_series(1, 1000000000) AS g (value)",
            none,
        )
        .await;
    let stream = stream.unwrap();
    pin_mut!(stream);
    // The first rows are here long before the last could be computed.
    for _ in 0..10 {
        stream.next().await.unwrap().unwrap();
    }
    client
        .cancel_token()
        .cancel_query(tokio_postgres::NoTls)
        .await
        .unwrap();
    let error = loop {
        match stream.next().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => break error,
            None => panic!("the rows came to their end"),
        }
    };
    assert_eq!(error.code().unwrap().code(), "57014");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_of_sql_can_be_described_like_a_portal() {
    let harness = Harness::new().await;
    let mut wire = Wire::session(harness.address).await;
    let declare = b"BEGIN; DECLARE \"a b\" CURSOR FOR SELECT 1 AS one\0";
    wire.send(&message(b'Q', declare)).await;
    wire.until('Z').await;
    wire.send(&[message(b'D', b"Pa b\0"), message(b'S', b"")].concat())
        .await;
    let replies = wire.until('Z').await;
    assert_eq!(tags(&replies), "TZ");
    assert!(replies[0].body.starts_with(b"\0\x01one\0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_is_kept_to() {
    let harness = Harness::new().await;
    let mut wire = Wire::session(harness.address).await;
    let sync = message(b'S', b"");
    let failures: [(Vec<u8>, &str); 6] = [
        (parse("SELECT 1; SELECT 2"), "42601"),
        (message(b'B', b"\0nothing\0\0\0\0\0\0\0"), "26000"),
        (message(b'E', b"nothing\0\0\0\0\0"), "34000"),
        (message(b'D', b"Pnothing\0"), "34000"),
        (
            [parse("SELECT $1"), message(b'B', b"\0\0\0\0\0\0\0\0")].concat(),
            "08P01",
        ),
        (
            [
                parse("SELECT 1"),
                message(b'B', b"\0\0\0\0\0\0\0\x01\0\x07"),
            ]
            .concat(),
            "08P01",
        ),
    ];
    for (request, wanted) in failures {
        wire.send(&[request, sync.clone()].concat()).await;
        let replies = wire.until('Z').await;
        let error = replies.iter().find(|reply| reply.tag == 'E').unwrap();
        assert_eq!(error.field(b'C'), wanted, "{replies:?}");
    }
    // An error does not wait for the Sync: asyncpg asks for it with Flush.
    wire.send(&[parse("SELECT wrong"), message(b'H', b"")].concat())
        .await;
    assert_eq!(wire.until('E').await[0].field(b'C'), "42703");
    wire.send(&sync).await;
    assert_eq!(tags(&wire.until('Z').await), "Z");
    // Closing what is not there is no error, an empty statement has no rows.
    wire.send(&[message(b'C', b"Snothing\0"), sync.clone()].concat())
        .await;
    assert_eq!(tags(&wire.until('Z').await), "3Z");
    let empty = [
        parse(""),
        message(b'D', b"S\0"),
        message(b'B', b"\0\0\0\0\0\0\0\0"),
    ];
    wire.send(&[empty.concat(), message(b'E', b"\0\0\0\0\0"), sync].concat())
        .await;
    assert_eq!(tags(&wire.until('Z').await), "1tn2IZ");
}
