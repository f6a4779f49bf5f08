//! `DECLARE`, `FETCH`, `CLOSE`.

use crate::harness::Harness;

#[tokio::test]
async fn a_cursor_gives_rows_piece_by_piece() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (v BIGINT); INSERT INTO t VALUES (1), (2), (3)")
        .await;
    client
        .ok("BEGIN; DECLARE c CURSOR FOR SELECT v FROM t ORDER BY v")
        .await;
    assert_eq!(client.ok("FETCH 2 FROM c").await, "1\n2");
    assert_eq!(client.ok("FETCH ALL FROM c").await, "3");
    assert_eq!(client.ok("FETCH 1 FROM c").await, "");
    client.ok("COMMIT").await;
    assert_eq!(
        client.err("FETCH 1 FROM c").await.sqlstate_hint,
        Some("34000")
    );
    let outside = client.err("DECLARE d CURSOR FOR SELECT 1").await;
    assert_eq!(outside.sqlstate_hint, Some("25P01"));
}

#[tokio::test]
async fn a_subscription_cursor_waits_no_longer_than_asked() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (v BIGINT); INSERT INTO t VALUES (1)")
        .await;
    let mut reader = harness.session();
    reader.ok("BEGIN; DECLARE c CURSOR FOR SUBSCRIBE t").await;
    assert!(reader.ok("FETCH 10 FROM c").await.ends_with("insert|1"));
    assert_eq!(
        reader.ok("FETCH 10 FROM c WITH (timeout = '1ms')").await,
        ""
    );
    client.ok("INSERT INTO t VALUES (2)").await;
    assert!(reader.ok("FETCH 10 FROM c").await.ends_with("insert|2"));
    assert_eq!(reader.err("FETCH ALL FROM c").await.code, "RT0528");
}
