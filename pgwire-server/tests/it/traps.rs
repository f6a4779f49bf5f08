//! What has broken other servers on the same crate: frames that lie, and bytes that come too early.

use std::time::Duration;

use tokio::io::AsyncReadExt;

use crate::harness::Harness;
use crate::wire::{Wire, bind, execute, message, parse, startup, tags};

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
const GSS_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 48];

#[tokio::test(flavor = "multi_thread")]
async fn a_query_before_authentication_is_never_answered_with_ready() {
    let harness = Harness::new().await;
    let mut wire = Wire::connect(harness.address).await;
    wire.send(&message(b'Q', b"SELECT 1\0")).await;
    let replies = wire.rest().await;
    assert_eq!(tags(&replies), "E");
    assert_eq!(replies[0].field(b'S'), "FATAL");
    assert_eq!(replies[0].field(b'C'), "08P01");
    // Without a user nobody gets in, whatever follows in the same write.
    let mut wire = Wire::connect(harness.address).await;
    let pipelined = [
        startup(3 << 16, &[("database", "x")]),
        message(b'Q', b"SELECT 1\0"),
    ]
    .concat();
    wire.send(&pipelined).await;
    let replies = wire.rest().await;
    assert_eq!(tags(&replies), "E");
    assert_eq!(replies[0].field(b'C'), "28000");
    assert_eq!(harness.engine.status().sessions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_behind_an_ssl_request_end_the_connection() {
    let harness = Harness::new().await;
    let mut wire = Wire::connect(harness.address).await;
    wire.send(
        &[
            SSL_REQUEST.as_slice(),
            &startup(3 << 16, &[("user", "rtsap")]),
        ]
        .concat(),
    )
    .await;
    let replies = wire.rest().await;
    assert_eq!(tags(&replies), "E");
    assert_eq!(
        replies[0].field(b'M'),
        "received unencrypted data after SSL request"
    );
    // One request after the other, each answered, is fine.
    let mut wire = Wire::connect(harness.address).await;
    for request in [GSS_REQUEST, SSL_REQUEST] {
        wire.send(&request).await;
        assert_eq!(wire.socket.read_u8().await.unwrap(), b'N');
    }
    wire.send(&startup(3 << 16, &[("user", "rtsap")])).await;
    assert_eq!(wire.until('Z').await[0].tag, 'R');
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_with_absurd_lengths_are_refused_at_once() {
    let harness = Harness::new().await;
    for length in [0_u32, 7, 8193, 0x7fff_ffff, 0xffff_ffff] {
        let mut wire = Wire::connect(harness.address).await;
        wire.send(&[&length.to_be_bytes()[..], &[0, 3, 0, 0]].concat())
            .await;
        let replies = wire.rest().await;
        assert_eq!(
            replies[0].field(b'M'),
            "invalid length of startup packet",
            "{length}"
        );
    }
    for (tag, length) in [
        (b'Q', 3_u32),
        (b'Q', 0x7fff_ffff),
        (b'X', 1 << 20),
        (b'E', 0xffff_ffff),
    ] {
        let mut wire = Wire::session(harness.address).await;
        wire.send(&[&[tag][..], &length.to_be_bytes()].concat())
            .await;
        let replies = wire.rest().await;
        assert_eq!(
            (tags(&replies).as_str(), replies[0].field(b'S').as_str()),
            ("E", "FATAL")
        );
    }
    // Passwords are not asked for in this version: the frame itself is the error, of any length.
    for length in [4_u32, 5, 64 << 20, 0x7fff_ffff] {
        let mut wire = Wire::session(harness.address).await;
        wire.send(&[b"p".as_slice(), &length.to_be_bytes()].concat())
            .await;
        let replies = wire.rest().await;
        assert_eq!(replies[0].field(b'M'), "invalid frontend message type 112");
    }
    let next = Wire::session(harness.address).await;
    assert!(next.socket.readable().await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_that_lie_inside_a_frame_fail_the_statement_only() {
    let harness = Harness::new().await;
    let mut wire = Wire::session(harness.address).await;
    let lies: [(u8, &[u8]); 3] = [
        (b'P', b"\0\0\xff\xff"),
        (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
        (b'D', b""),
    ];
    for (tag, body) in lies {
        wire.send(&message(tag, body)).await;
        // Skipped until Sync.
        wire.send(&parse("SELECT 1")).await;
        wire.send(&message(b'S', b"")).await;
        let replies = wire.until('Z').await;
        assert_eq!(tags(&replies), "EZ");
        assert_eq!(replies[0].field(b'C'), "08P01");
    }
    wire.send(&message(b'Q', b"SELECT 1\0")).await;
    assert_eq!(tags(&wire.until('Z').await), "TDCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_all_rows_there_could_be_allocates_nothing() {
    let harness = Harness::new().await;
    let mut wire = Wire::session(harness.address).await;
    let sql = "SELECT * FROM generate_series(1, 3) AS g (value)";
    let request = [parse(sql), bind(), execute(i32::MAX), message(b'S', b"")].concat();
    wire.send(&request).await;
    assert_eq!(tags(&wire.until('Z').await), "12DDDCZ");
    wire.send(
        &[
            parse(sql),
            bind(),
            execute(2),
            execute(1),
            execute(9),
            message(b'S', b""),
        ]
        .concat(),
    )
    .await;
    assert_eq!(tags(&wire.until('Z').await), "12DDsDsCZ");
}

#[tokio::test(flavor = "multi_thread")]
async fn protocols_that_are_not_spoken_are_refused_and_newer_ones_negotiated() {
    let harness = Harness::new().await;
    let mut wire = Wire::connect(harness.address).await;
    wire.send(&startup(2 << 16, &[("user", "rtsap")])).await;
    assert_eq!(wire.rest().await[0].field(b'C'), "0A000");
    let mut wire = Wire::connect(harness.address).await;
    wire.send(&startup(
        (3 << 16) + 2,
        &[("user", "rtsap"), ("_pq_.x", "1")],
    ))
    .await;
    let replies = wire.until('Z').await;
    assert_eq!(replies[0].tag, 'v');
    assert_eq!(replies[0].body, b"\0\x03\0\0\0\0\0\x01_pq_.x\0");
    let mut wire = Wire::connect(harness.address).await;
    wire.send(&startup(
        3 << 16,
        &[("user", "rtsap"), ("replication", "true")],
    ))
    .await;
    assert_eq!(wire.rest().await[0].field(b'C'), "0A000");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_ends_its_statement() {
    let harness = Harness::new().await;
    let client = harness.client().await;
    client
        .batch_execute("CREATE TABLE t (v BIGINT)")
        .await
        .unwrap();
    let mut wire = Wire::session(harness.address).await;
    wire.send(&message(b'Q', b"SUBSCRIBE t\0")).await;
    assert_eq!(wire.reply().await.unwrap().tag, 'T');
    assert_eq!(harness.engine.status().sessions, 2);
    drop(wire);
    let gone = async {
        while harness.engine.status().sessions > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), gone)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_idle_sessions_and_subscriptions_with_their_reason() {
    let harness = Harness::new().await;
    let mut idle = Wire::session(harness.address).await;
    let mut follower = Wire::session(harness.address).await;
    follower
        .send(&message(b'Q', b"CREATE TABLE t (v BIGINT); SUBSCRIBE t\0"))
        .await;
    follower.until('T').await;
    harness.shut_down().await;
    for wire in [&mut idle, &mut follower] {
        let replies = wire.rest().await;
        assert_eq!(replies.last().unwrap().field(b'C'), "57P01");
    }
}
