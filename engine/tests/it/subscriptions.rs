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

#[tokio::test]
async fn envelopes_tell_what_became_of_each_key() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (k TEXT PRIMARY KEY, v BIGINT, w TEXT)")
        .await;
    client.ok("INSERT INTO t VALUES ('a', 1, 'x')").await;
    client.ok("FLUSH").await;
    let (mut one, mut other) = (harness.session(), harness.session());
    let mut upserts = one.follow("SUBSCRIBE t ENVELOPE UPSERT (KEY (k))").await;
    let mut debezium = other
        .follow("SUBSCRIBE (SELECT w, v, k FROM t) ENVELOPE DEBEZIUM (KEY (k))")
        .await;
    assert_eq!(upserts.next(1).await, "upsert|a|1|x");
    assert_eq!(debezium.next(1).await, "insert|a|||x|1");
    client
        .ok("INSERT INTO t VALUES ('a', 2, NULL), ('b', 5, 'y')")
        .await;
    let mut told: Vec<String> = upserts.next(2).await.lines().map(str::to_owned).collect();
    told.sort();
    assert_eq!(told, ["upsert|a|2|", "upsert|b|5|y"]);
    let mut told: Vec<String> = debezium.next(2).await.lines().map(str::to_owned).collect();
    told.sort();
    assert_eq!(told, ["insert|b|||y|5", "upsert|a|x|1||2"]);
    client.ok("DELETE FROM t WHERE k = 'a'").await;
    assert_eq!(upserts.next(1).await, "delete|a||");
    assert_eq!(debezium.next(1).await, "delete|a||2||");
}

#[tokio::test]
async fn an_envelope_needs_the_key_of_what_it_follows() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client
        .ok("CREATE TABLE t (k TEXT, g TEXT, v BIGINT, PRIMARY KEY (k, g))")
        .await;
    client.ok("CREATE TABLE plain (k TEXT)").await;
    let error = client.err("SUBSCRIBE t ENVELOPE UPSERT (KEY (k))").await;
    assert_eq!(error.sqlstate_hint, Some("0A000"));
    assert_eq!(error.hint.as_deref(), Some("Write KEY (\"k\", \"g\")."));
    let error = client
        .err("SUBSCRIBE plain ENVELOPE DEBEZIUM (KEY (k))")
        .await;
    assert!(error.detail.unwrap().contains("not told apart by a key"));
    let error = client.err("SUBSCRIBE t ENVELOPE UPSERT (KEY (k, h))").await;
    assert_eq!(
        (error.sqlstate_hint, error.position),
        (Some("42703"), Some(38))
    );
    let error = client.err("SUBSCRIBE t ENVELOPE UPSERT (KEY (k, k))").await;
    assert_eq!(error.sqlstate_hint, Some("42701"));
}

#[tokio::test]
async fn a_subscription_ends_when_its_time_is_up() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (v BIGINT)").await;
    client.ok("INSERT INTO t VALUES (1)").await;
    client.ok("FLUSH").await;
    let mut past = client
        .follow("SUBSCRIBE t UP TO TIMESTAMP '2020-01-01 00:00:00'")
        .await;
    assert_eq!(past.rest().await, "");
    let end = chrono::Utc::now() + chrono::Duration::milliseconds(700);
    let mut reader = harness.session();
    let mut follower = reader
        .follow(&format!("SUBSCRIBE t UP TO '{}'", end.to_rfc3339()))
        .await;
    assert_eq!(follower.next(1).await, "insert|1");
    client.ok("INSERT INTO t VALUES (2)").await;
    assert_eq!(follower.rest().await, "insert|2");
    let error = client.err("SUBSCRIBE t UP TO 'tomorrow'").await;
    assert_eq!((error.code, error.position), ("RT0104", Some(19)));
}
