//! What a restart keeps.

use crate::harness::Harness;

#[tokio::test]
async fn a_restart_keeps_definitions_rows_and_state() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (k TEXT, v BIGINT)").await;
    client
        .ok("CREATE STREAMING VIEW sums AS SELECT k, sum(v) AS total FROM t GROUP BY k")
        .await;
    client
        .ok("INSERT INTO t VALUES ('a', 1), ('b', 2), ('a', 3)")
        .await;
    client.ok("FLUSH").await;
    drop(client);
    let harness = harness.restart().await;
    let mut client = harness.session();
    assert_eq!(client.ok("SELECT * FROM sums ORDER BY k").await, "a|4\nb|2");
    client.ok("INSERT INTO t VALUES ('a', 10)").await;
    client.ok("FLUSH").await;
    assert_eq!(
        client.ok("SELECT * FROM sums ORDER BY k").await,
        "a|14\nb|2"
    );
    assert_eq!(client.ok("SELECT count(*) FROM t").await, "4");
}

#[tokio::test]
async fn an_acknowledged_insert_survives_without_a_checkpoint() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    client.ok("CREATE TABLE t (v BIGINT)").await;
    client.ok("INSERT INTO t VALUES (1), (2)").await;
    let Harness { engine, folder } = harness;
    // The old engine is fenced by the new one, as a killed process would be forgotten.
    let again = crate::harness::start(&folder, "second").await;
    let again = Harness {
        engine: again,
        folder,
    };
    assert_eq!(again.session().ok("SELECT count(*) FROM t").await, "2");
    drop(engine);
}

#[tokio::test]
async fn a_view_that_has_stopped_does_not_keep_the_server_from_starting() {
    let harness = Harness::new().await;
    let mut client = harness.session();
    for sql in [
        "CREATE TABLE t (k TEXT, v BIGINT)",
        "CREATE STREAMING VIEW shares AS SELECT k, sum(1 / v) AS share FROM t GROUP BY k",
        "CREATE STREAMING VIEW sums AS SELECT k, sum(v) AS total FROM t GROUP BY k",
        "INSERT INTO t VALUES ('a', 0)",
        "FLUSH",
    ] {
        client.ok(sql).await;
    }
    assert_eq!(client.err("SELECT * FROM shares").await.code, "RT0544");
    drop(client);
    let harness = harness.restart().await.restart().await;
    let mut client = harness.session();
    assert_eq!(client.err("SELECT * FROM shares").await.code, "RT0544");
    client.ok("INSERT INTO t VALUES ('a', 5)").await;
    client.ok("FLUSH").await;
    assert_eq!(client.ok("SELECT * FROM sums").await, "a|5");
}
