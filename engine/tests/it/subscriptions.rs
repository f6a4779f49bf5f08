//! `SUBSCRIBE`: the rows that are there, then every change.

use crate::harness::Harness;

#[tokio::test]
async fn a_subscription_sees_the_snapshot_and_then_changes() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (k TEXT, v BIGINT)").await;
    client
        .ok("CREATE STREAMING VIEW sums AS SELECT k, sum(v) AS total FROM t GROUP BY k")
        .await;
    client.ok("INSERT INTO t VALUES ('a', 1)").await;
    client.ok("FLUSH").await;
    let mut reader = harness.session();
    let mut follower = reader.follow("SUBSCRIBE sums").await;
    assert_eq!(follower.next(1).await, "insert|a|1");
    client.ok("INSERT INTO t VALUES ('a', 2)").await;
    assert_eq!(follower.next(2).await, "delete|a|1\ninsert|a|3");
}

#[tokio::test]
async fn a_query_can_be_followed_without_a_view() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (k TEXT, v BIGINT)").await;
    client.ok("INSERT INTO t VALUES ('a', 1), ('b', 5)").await;
    let mut reader = harness.session();
    let mut follower = reader
        .follow("SUBSCRIBE (SELECT k FROM t WHERE v > 2)")
        .await;
    assert_eq!(follower.next(1).await, "insert|b");
    client.ok("INSERT INTO t VALUES ('c', 9)").await;
    assert_eq!(follower.next(1).await, "insert|c");
    let error = client.err("SUBSCRIBE nothing").await;
    assert_eq!(error.sqlstate_hint, Some("42P01"));
}
